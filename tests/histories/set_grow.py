"""Grow-only sets: right systems, systems with planted bugs, and the truth by brute force."""

from __future__ import annotations

import random as randomness
from typing import Any

from histories.append import common, of_key, shaken
from histories.brute import WRONG, Op, linearizable
from histories.comparing import Subject
from histories.mutation import Mutant
from histories.simulate import FAILED, Call, simulate

BUGS = ("none", "none", "stale", "lost", "zombie", "dirty", "drop", "thin", "replicas")


def history(random: randomness.Random) -> list[Call]:
    """6-8 additions (some of one element again) and reads of one or two sets, by three processes and more."""
    bug = random.choice(BUGS)
    keys = ("x",) if random.random() < 0.7 else ("x", "y")
    state: dict[str, set[Any]] = {key: set() for key in keys}
    other: dict[str, set[Any]] = {key: set() for key in keys}  # a second replica that hears late
    old: dict[str, list[set[Any]]] = {key: [set()] for key in keys}
    again = random.random() < 0.3

    def ask(number: int, random: randomness.Random) -> Call:
        key = random.choice(keys)
        element = random.randrange(3) if again else number
        return Call(0, "add", value=element, key=key) if random.random() < 0.5 else Call(0, "read", key=key)

    def system(call: Call, random: randomness.Random) -> Any:
        have, strikes = state[call.key], random.random() < 0.5
        if call.f == "add":
            if strikes and bug == "drop":
                return None
            (other[call.key] if strikes and bug == "replicas" else have).add(call.value)
            old[call.key].append(set(have))
            return FAILED if strikes and bug == "zombie" else None
        if strikes and bug == "dirty" and have:
            have.discard(random.choice(sorted(have)))
            old[call.key].append(set(have))
        shown = set(have)
        if strikes and bug == "stale":
            shown = random.choice(old[call.key])
        if strikes and bug == "replicas":
            shown = set(other[call.key])
            have |= shown if random.random() < 0.3 else set()
        if strikes and bug == "lost" and have:
            shown = have - {random.choice(sorted(have))}
        if strikes and bug == "thin":
            shown = have | {100}
        return random.choice([frozenset(shown), tuple(sorted(shown)), frozenset(shown) or None])

    calls = simulate(ask, system, count=random.randint(6, 8), processes=3, random=random, info=0.25, fails=0.06)
    return shaken(calls, random) if random.random() < 0.3 else calls


def step(state: frozenset[Any], op: Op) -> Any:
    if op.f == "add":
        return state | {op.value}
    return state if frozenset(op.result or ()) == state else WRONG


def legal(calls: list[Call]) -> bool:
    return all(linearizable(of_key(calls, key), step, frozenset()) for key in {call.key for call in calls})


def _model() -> Any:
    from chaoskit.checks.models.set_grow import MODEL

    return MODEL


SET = Subject("set", _model, history, legal)
SUBJECTS = [SET]
_SET = "chaoskit/checks/models/set_grow.py"
_ADDITIONS = "chaoskit/checks/additions.py"
MUTANTS = [
    *common("histories.set_grow:SET"),
    Mutant(
        "histories.set_grow:SET",
        "incomparable reads fit",
        _SET,
        'apart_from_order(growth, apart, "incomparable-reads", _WORDS)',
        "()",
    ),
    Mutant(
        "histories.set_grow:SET",
        "the last acknowledgement counts",
        _ADDITIONS,
        "acknowledged[group[by_end_ok[::-1]]] = adds[by_end_ok[::-1]]",
        "acknowledged[group[by_end_ok]] = adds[by_end_ok]",
    ),
    Mutant(
        "histories.set_grow:SET",
        "the last addition counts",
        _ADDITIONS,
        "first[group[live[::-1]]] = adds[live[::-1]]",
        "first[group[live]] = adds[live]",
    ),
]
