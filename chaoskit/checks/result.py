"""What a consistency model is asked, and what it answers: `check(operations, options) -> Result`, pure.

Models are registered by name under the kind `model` (`chaoskit.registry`; others' under the entry point group
`chaoskit.model`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.levels import OBJECTS, TRANSACTIONS, weakest
from chaoskit.errors import CheckerError
from chaoskit.history.operations import Operations

if TYPE_CHECKING:  # at run time it would load pydantic, which `chaoskit check` does without
    from chaoskit.spec.model import Verdict

__all__ = ["Alteration", "Anomaly", "Budget", "Model", "Options", "Result", "judged"]


class Budget:
    """Seconds that a search may take. Exact checks ignore it; a search that spends it is inconclusive, never held."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock() + seconds

    def left(self) -> float:
        """Seconds that are left, never below zero."""
        return max(0.0, self._end - self._clock())

    def spent(self) -> bool:
        """Whether nothing is left."""
        return self._clock() >= self._end


@dataclass(frozen=True)
class Options:
    """What the user may say about a history that is not in it.

    Attributes:
        consistency: the level asked for; None = the strongest that the model judges.
        initial: value before anything was written (register), or None for nothing.
        total: sum of all accounts (bank), None = as the first snapshot says. allow_negative: accounts may be overdrawn.
        group_size: keys per group (long-fork).
        budget: seconds for searches, per file.
        progress: told (done, of all) on long work.
    """

    consistency: str | None = None
    initial: Any = None
    total: int | None = None
    allow_negative: bool = False
    group_size: int | None = None
    budget: float = 60.0
    progress: Callable[[int, int], None] | None = None


@dataclass(frozen=True)
class Anomaly:
    """One kind of anomaly in a history.

    Attributes:
        kind: its name in the field ("stale-read", "G1c", "lost-update").
        level: the weakest level that it refutes.
        count: how often (per read where reads can be accused). accused: positions of the operations accused.
        witness: positions (2 to 10; 1 where one operation alone is impossible) of a smallest set that the same model
            refutes when it is given nothing else.
        sentence: why, in plain words, naming operations by their index, with the values.
        left_out: how many more operations the argument needs where no ten stand alone (a long chain of
            compare-and-sets, each of which found what the one before it wrote; a count that misses one of many
            adds). 0: the witness stands alone.
        large: nothing smaller proves it, and all of it is shown, so the witness may be of any size.
    """

    kind: str
    level: str
    count: int
    witness: tuple[int, ...]
    sentence: str
    accused: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    left_out: int = 0
    large: bool = False


@dataclass(frozen=True)
class Result:
    """A verdict on one history.

    Attributes:
        model, level: what was asked. expected: that in plain words ("every read answers the last write").
        verdict: held = no anomaly that refutes `level`; refuted; inconclusive, with `reasons`.
        anomalies: all kinds found, the gravest first; also those that refute other levels than the one asked for.
        operations: how many were looked at. exposed: how many could have shown an anomaly.
        exact: held means legal. False: only conditions that are necessary were looked at (`notes` says which).
        refuted: weakest level refuted. not_refuted: strongest one that is not. None where there is none, or where
            the model has no levels but its own rule.
        numbers: figures beside the verdict ("staleness p99, ms": 12.0), as people may quote them.
        notes: what was seen and decides nothing.
    """

    model: str
    level: str
    expected: str
    verdict: Verdict
    operations: int
    exposed: int
    anomalies: tuple[Anomaly, ...] = ()
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    exact: bool = True
    refuted: str | None = None
    not_refuted: str | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Alteration:
    """One answer changed as a bug of this kind would have changed it: how the power of a check is found out.

    `apply(operations, position, random)` gives the altered history, or None where this bug cannot strike at that
    operation (there is no older value to answer …). Whether the result is still legal is not its business.
    """

    kind: str
    apply: Callable[[Operations, int, random.Random], Operations | None]


@runtime_checkable
class Model(Protocol):
    """What a correct system would do, and how histories are compared with it."""

    name: str
    summary: str  # one line for --help: what the operations are, and what shall hold
    functions: frozenset[str]  # what the operations of this model are called: {"read", "write"}
    levels: tuple[str, ...]  # what it can judge, its default first; () where there is but one rule
    alterations: tuple[Alteration, ...]

    def check(self, operations: Operations, options: Options) -> Result:
        """Judge a history.

        Raises:
            HistoryError: the operations are not what this model is about, or impossible. The history's fault.
            CheckerError: the checker gave up; inconclusive.
        """
        ...


def judged(
    model: str,
    level: str,
    expected: str,
    operations: int,
    exposed: int,
    anomalies: tuple[Anomaly, ...],
    refuting: frozenset[str] | None = None,
    **more: Any,
) -> Result:
    """The result when a check came to its end: refuted where an anomaly refutes the level asked for, else held.

    Args:
        refuting: levels whose refutation refutes `level` (all that it implies); None: any anomaly refutes.
        more: fields of Result; with `reasons` and no refutation it is inconclusive. `refuted` where an anomaly refutes
            more levels than its own, `not_refuted` where more than the level asked for was looked at.
    """
    for one in anomalies:
        if not 1 <= len(one.witness) <= (operations if one.large else 10):
            raise CheckerError(f"the witness of {one.kind} has {len(one.witness)} operations: our bug, please report")
    hit = [one for one in anomalies if refuting is None or one.level in refuting]
    verdict: Verdict = "refuted" if hit else "inconclusive" if more.get("reasons") else "held"
    ladder = TRANSACTIONS if level in TRANSACTIONS else OBJECTS
    if level in ladder:  # what is said of levels never contradicts the verdict or an anomaly
        more["refuted"] = weakest({one.level for one in anomalies} | {more.get("refuted")}, ladder)
        more["not_refuted"] = more.get("not_refuted") or (level if verdict == "held" else None)
    return Result(model, level, expected, verdict, operations, exposed, anomalies, **more)
