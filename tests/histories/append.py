"""Lists that are appended to: right systems, systems with planted bugs, and the truth by brute force."""

from __future__ import annotations

import random as randomness
from typing import Any

from histories.brute import NEVER, WRONG, Op, linearizable
from histories.comparing import Subject
from histories.mutation import Mutant
from histories.simulate import FAILED, Call, simulate

BUGS = ("none", "none", "stale", "lost", "front", "twice", "zombie", "dirty", "drop", "reorder", "thin")


def history(random: randomness.Random, kinds: tuple[str, ...] = BUGS, unlike: float = 0.25) -> list[Call]:
    """6-8 appends and reads of one or two lists, by three processes and more."""
    bug = random.choice(kinds)
    keys = ("x",) if random.random() < 0.7 else ("x", "y")
    state: dict[str, list[Any]] = {key: [] for key in keys}
    old: dict[str, list[list[Any]]] = {key: [[]] for key in keys}
    asked = [0]

    def ask(number: int, random: randomness.Random) -> Call:
        asked[0] = number
        key = random.choice(keys)
        return Call(0, "append", value=number, key=key) if random.random() < 0.5 else Call(0, "read", key=key)

    def system(call: Call, random: randomness.Random) -> Any:
        have, strikes = state[call.key], random.random() < 0.5
        if call.f == "append":
            if strikes and bug == "drop":
                return None
            if strikes and bug == "front":
                have.insert(0, call.value)
            elif strikes and bug == "zombie":
                have.append(call.value)
                old[call.key].append(list(have))
                return FAILED
            else:
                have.append(call.value)
            if strikes and bug == "twice":
                have.append(call.value)
            old[call.key].append(list(have))
            return None
        if strikes and bug == "stale":
            return tuple(random.choice(old[call.key]))
        if strikes and bug == "lost" and have:
            return tuple(one for one in have if one != random.choice(have))
        if strikes and bug == "reorder" and len(have) > 1:
            return tuple(random.sample(have, len(have)))
        if strikes and bug == "dirty" and have:
            have.pop()
            old[call.key].append(list(have))
        if strikes and bug == "thin":
            return (*have, random.choice([100, asked[0] + 1]))  # never asked for, or not yet
        return tuple(have) or random.choice([(), None])

    calls = simulate(ask, system, count=random.randint(6, 8), processes=3, random=random, info=unlike, fails=0.06)
    return shaken(calls, random) if random.random() < 0.3 else calls


def shaken(calls: list[Call], random: randomness.Random) -> list[Call]:
    """An append of known or unknown outcome becomes what a wrong client would have called it, or is cut short."""
    appends = [call for call in calls if call.f != "read"]
    if appends:
        call = random.choice(appends)
        call.outcome = random.choice(["fail", "ok", "info"])
    return calls


def step(state: tuple[Any, ...], op: Op) -> Any:
    if op.f == "append":
        return (*state, op.value)
    return state if (op.result or ()) == state else WRONG


def legal(calls: list[Call]) -> bool:
    return all(linearizable(of_key(calls, key), step, ()) for key in {call.key for call in calls})


def of_key(calls: list[Call], key: Any) -> list[Op]:
    return [
        Op(
            call.process,
            call.f,
            call.value,
            call.result,
            2 * call.invoked,
            NEVER if call.outcome == "info" else 2 * call.completed + 1,
        )
        for call in calls
        if call.key == key and call.outcome != "fail" and not (call.f == "read" and call.outcome == "info")
    ]


def _model() -> Any:
    from chaoskit.checks.models.append import MODEL

    return MODEL


APPEND = Subject("append", _model, history, legal)
SUBJECTS = [APPEND]
_GROWN, _GROWING, _APPEND = "chaoskit/checks/grown.py", "chaoskit/checks/growing.py", "chaoskit/checks/models/append.py"
_ADDITIONS = "chaoskit/checks/additions.py"


def without(subject: str, kind: str, mask: str) -> Mutant:
    """The rule of one kind of anomaly over reads removed."""
    return Mutant(subject, f"no {kind}", _GROWN, f"growth.{mask},", f"np.zeros_like(growth.{mask}),")


def common(subject: str) -> list[Mutant]:
    """Rules that lists and sets share."""
    return [
        without(subject, "resurrection", "resurrected"),
        without(subject, "aborted read", "aborted"),
        without(subject, "thin air", "thin"),
        without(subject, "future read", "future"),
        without(subject, "nil after ack", "empty_after"),
        without(subject, "stale read", "stale"),
        without(subject, "inversion", "inverted"),
        Mutant(subject, "no lost", _GROWN, "if len(growth.lost):", "if False:"),
        Mutant(subject, "no reordered", _GROWN, "if len(growth.overtaken):", "if False:"),
        Mutant(
            subject, "lost: no read after", _GROWING, "np.maximum.at(latest, self.keys[self.reads], self.invoked)", ""
        ),
        Mutant(
            subject,
            "lost: nothing added later",
            _GROWING,
            "np.maximum.at(latest, own.key[shown], own.began[shown])",
            "",
        ),
        Mutant(
            subject,
            "failed additions may show",
            _ADDITIONS,
            "failed, ok = operations.failed[adds],",
            "failed, ok = ~adds.astype(bool) & False,",
        ),
        Mutant(subject, "seen elements can be lost", _GROWING, "~seen & (latest", "(latest"),
        Mutant(
            subject,
            "keys are one",
            "chaoskit/checks/elements.py",
            "return np.unique(operations.key, return_inverse=True)[1]",
            "return np.zeros(len(operations), dtype=np.int64)",
        ),
    ]


MUTANTS = [
    *common("histories.append:APPEND"),
    Mutant(
        "histories.append:APPEND",
        "any order fits",
        _APPEND,
        'apart_from_order(growth, apart, "incompatible-order", _WORDS)',
        "()",
    ),
    Mutant("histories.append:APPEND", "duplicates fit", _APPEND, "by_themselves(growth, found, twice, _WORDS)", "()"),
]
