"""A checker beside brute force on many small random histories: not one disagreement, and enough of each kind."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from chaoskit.checks.result import Model, Options, Result
from histories.simulate import Call, operations


@dataclass(frozen=True)
class Subject:
    """A model, random small histories for it (right and broken systems mixed), and the truth about one of them.

    `history(random)` gives 6-10 calls of at least 3 processes; `legal(calls)` is brute force, or a definition.
    `gate`: how many histories are compared in the gate (levels of one model share what is due to the model).
    `one_sided`: the checker looks at necessary conditions only: what it refutes must be illegal, what it lets pass may
    be either (the share that it misses is printed).
    """

    name: str
    model: Callable[[], Model]
    history: Callable[[random.Random], list[Call]]
    legal: Callable[[list[Call]], bool]
    options: Options = field(default_factory=Options)
    one_sided: bool = False
    gate: int = 5000


@dataclass
class Shares:
    """What the histories were like."""

    histories: int = 0
    illegal: int = 0
    info: int = 0
    operations: int = 0
    missed: int = 0

    def __str__(self) -> str:
        return (
            f"{self.histories} histories, {self.illegal / self.histories:.0%} illegal, "
            f"{self.info / self.operations:.0%} of operations of unknown outcome, {self.missed} missed"
        )


def compare(subject: Subject, count: int, seed: int) -> Shares:
    """Raises AssertionError at the first disagreement, with the history; then checks the shares."""
    generator = random.Random(seed)
    model, shares = subject.model(), Shares()
    for number in range(count):
        calls = subject.history(generator)
        legal = subject.legal(calls)
        whole = operations(calls)
        result = model.check(whole, subject.options)
        shares.histories += 1
        shares.illegal += not legal
        shares.operations += len(calls)
        shares.info += sum(call.outcome == "info" for call in calls)
        expected = "held" if legal else "refuted"
        if subject.one_sided and not legal and result.verdict == "held":
            shares.missed += 1
            continue
        assert result.verdict == expected, told(subject, seed, number, calls, result, expected)
        alone: dict[tuple[int, ...], Result] = {}  # anomalies of one cause have one witness: it is judged once
        for anomaly in result.anomalies if result.verdict == "refuted" else ():
            witness = tuple(sorted(anomaly.witness))
            if witness not in alone:
                alone[witness] = model.check(whole.where(witness), subject.options)
            assert any(one.kind == anomaly.kind for one in alone[witness].anomalies), told(
                subject, seed, number, calls, alone[witness], f"{anomaly.kind} from the witness {witness} alone"
            )
    if count >= 1000:
        assert shares.illegal >= 0.2 * count, f"too few illegal histories to mean anything: {shares}"
        assert shares.illegal <= 0.8 * count, f"too few legal histories to mean anything: {shares}"
        assert shares.info >= 0.1 * shares.operations, f"too few unknown outcomes: {shares}"
    return shares


def told(subject: Subject, seed: int, number: int, calls: list[Call], result: Any, expected: str) -> str:
    lines = [f"{subject.name}, seed {seed}, history {number}: expected {expected}, got {result}"]
    lines += [f"  {place}: {call}" for place, call in enumerate(sorted(calls, key=lambda call: call.invoked))]
    return "\n".join(lines)
