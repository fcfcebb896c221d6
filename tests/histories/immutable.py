"""Keys that resolve to one value for ever: right systems, and ones that change, share, invent or lose."""

from __future__ import annotations

import random
from itertools import product
from typing import Any

from chaoskit.checks.models.immutable import Immutable
from histories.comparing import Subject
from histories.mutation import Mutant
from histories.simulate import FAILED, Call, simulate

FILE = "chaoskit/checks/models/immutable.py"


def history(generator: random.Random) -> list[Call]:
    stored: dict[str, str] = {}
    bug = generator.choice((None, None, "shared", "changed", "ghost", "failed", "early", "nil"))
    free = ["a", "b", "c", "d", "e"]
    asked: list[str] = []
    chosen = generator.random() < 0.5  # the client names the key, or the system does

    def ask(number: int, generator: random.Random) -> Call:
        if free and generator.random() < 0.5:
            asked.append(f"u{number}")
            return Call(0, "write", f"u{number}", key=free.pop(0) if chosen else None)
        return Call(0, "read", key=generator.choice(("a", "a", "b", "b", "c", None)))

    def system(call: Call, generator: random.Random) -> Any:
        strikes = generator.random() < 0.5
        if call.f == "read":
            if call.key is None:
                return generator.choice([*stored.values(), None])
            if bug == "ghost" and strikes:
                return "ghost"
            if bug == "early" and strikes:
                return f"u{len(asked) + generator.randint(0, 2)}"
            if bug == "changed" and strikes and stored:
                return generator.choice(list(stored.values()))
            return None if bug == "nil" and strikes else stored.get(call.key)
        key = call.key or (free.pop(0) if not (bug == "shared" and strikes) and free else "a")
        refused = generator.random() < 0.2
        if not refused or (bug == "failed" and strikes):
            stored[key] = call.value
        if not refused:
            call.key = key
        return FAILED if refused else None

    calls = simulate(ask, system, count=generator.randint(6, 9), processes=3, random=generator, info=0.4, lost=0.3)
    for call in calls:
        if not chosen and call.f == "write" and call.outcome != "ok":
            call.key = None  # nobody was told
    return calls


def resolves(calls: list[Call]) -> bool:
    """Some assignment of values to keys explains everything, and every value was asked for by then."""
    writes = [call for call in calls if call.f == "write"]
    reads = [call for call in calls if call.f == "read" and call.outcome == "ok"]
    for read in reads:
        possible = [w for w in writes if w.value == read.result and w.outcome != "fail" and w.invoked <= read.completed]
        late = [
            w
            for w in writes
            if read.key is not None and w.key == read.key and w.outcome == "ok" and w.completed < read.invoked
        ]
        if (read.result is None and late) or (read.result is not None and not possible):
            return False
    said = [(call.key, call.value) for call in writes if call.outcome == "ok"]
    said += [(read.key, read.result) for read in reads if read.result is not None and read.key is not None]
    keys = sorted({key for key, _ in said})
    values = sorted({value for _, value in said})
    return any(
        all(dict(zip(keys, choice, strict=True))[key] == value for key, value in said)
        for choice in product(values, repeat=len(keys))
    )


IMMUTABLE = Subject("immutable", Immutable, history, resolves)
SUBJECTS = [IMMUTABLE]


def _mutant(rule: str, old: str, new: str) -> Mutant:
    return Mutant("histories.immutable:IMMUTABLE", rule, FILE, old, new)


MUTANTS = [
    _mutant("somebody asked for it", '"thin-air": answered[unasked & ~aborted]', '"thin-air": answered[:0]'),
    _mutant(
        "a key is given out once", '"duplicate": said.position[wrong & said.is_write]', '"duplicate": answered[:0]'
    ),
    _mutant("a key does not change", '"changed": said.position[wrong & ~said.is_write]', '"changed": answered[:0]'),
    _mutant("what failed is not read", '"aborted-read": answered[aborted]', '"aborted-read": answered[:0]'),
    _mutant("not before it was written", '"future-read": answered[future]', '"future-read": answered[:0]'),
    _mutant(
        "what was acknowledged is found",
        '"nil-after-ack": empty[operations.invoked[empty] > since[operations.key[empty]]]',
        '"nil-after-ack": empty[:0]',
    ),
    _mutant(
        "nil before the acknowledgement", "operations.invoked[empty] > since", "operations.completed[empty] > since"
    ),
    _mutant("unknown writes may have happened", "operations.failed[writes]", "~operations.ok[writes]"),
    _mutant("unknown keys contradict none", "wrong = said.key != NONE", "wrong = said.key >= NONE"),
    _mutant("keys are apart", "truth[said.key[order]] = order", "truth[:] = order[-1] if len(order) else NONE"),
]
