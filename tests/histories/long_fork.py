"""Groups of write-once keys: snapshots in order but late, forks, and values from nowhere, from failures, from later."""

from __future__ import annotations

import random
from itertools import permutations
from typing import Any

from chaoskit.checks.models.long_fork import LongFork
from chaoskit.checks.result import Options
from histories.comparing import Subject
from histories.mutation import Mutant
from histories.simulate import FAILED, Call, simulate

FILE = "chaoskit/checks/models/long_fork.py"


def history(generator: random.Random) -> list[Call]:
    order: list[int] = []  # keys as they were written
    bug = generator.choice((None, "fork", "fork", "ghost", "early", "failed"))
    groups = ((0, 1, 2), (3, 4)) if generator.random() < 0.3 else ((0, 1, 2),)
    keys = [key for group in groups for key in group]
    generator.shuffle(keys)

    def ask(_: int, generator: random.Random) -> Call:
        if keys and generator.random() < 0.45:
            return Call(0, "write", (("w", keys.pop(), 1),))
        group = list(generator.choice(groups))
        generator.shuffle(group)
        return Call(0, "read", tuple(("r", key, None) for key in group))

    def system(call: Call, generator: random.Random) -> Any:
        strikes = generator.random() < 0.8
        if call.f == "write":
            refused = generator.random() < 0.2
            if not refused or (bug == "failed" and strikes):
                order.append(call.value[0][1])
            return FAILED if refused else call.value
        seen = set(order)
        if bug in ("stale", "fork"):  # an older snapshot is still one
            seen = set(order[: generator.randint(0, len(order))])
        if bug == "fork" and strikes:
            seen = set(generator.sample(order, generator.randint(0, len(order))))
        if bug == "early" and strikes:
            seen |= set(keys[-1:])
        values = {key: 7 if bug == "ghost" and strikes and generator.random() < 0.4 else 1 for key in seen}
        return tuple(("r", key, values.get(key)) for _, key, _ in call.value)

    return simulate(ask, system, count=generator.randint(7, 10), processes=3, random=generator, info=0.5, lost=0.4)


def ordered(calls: list[Call]) -> bool:
    """Every value was written by then, and some order of each group's writes has all its snapshots as beginnings."""
    wrote = {call.value[0][1]: call for call in calls if call.f == "write"}
    groups: dict[frozenset[int], list[set[int]]] = {}
    for read in (call for call in calls if call.f == "read" and call.outcome == "ok"):
        seen = {(key, value) for _, key, value in read.result if value is not None}
        for key, value in seen:
            write = wrote.get(key)
            if write is None or value != 1 or write.outcome == "fail" or write.invoked > read.completed:
                return False
        groups.setdefault(frozenset(key for _, key, _ in read.result), []).append({key for key, _ in seen})
    return all(
        any(all(one == set(order[: len(one)]) for one in snapshots) for order in permutations(group))
        for group, snapshots in groups.items()
    )


FORK = Subject("long-fork", LongFork, history, ordered, Options(consistency="snapshot-isolation"))
SUBJECTS = [FORK]


def _mutant(rule: str, old: str, new: str) -> Mutant:
    return Mutant("histories.long_fork:FORK", rule, FILE, old, new)


MUTANTS = [
    _mutant("each snapshot contains the one before", "if chain[-1].seen <= snapshot.seen:", "if True:"),
    _mutant("in the order of their sizes", "snapshots.sort(key=lambda one: len(one.seen))", "pass"),
    _mutant("snapshots of one group", "found.setdefault(group, [])", "found.setdefault(frozenset({0}), [])"),
    _mutant("somebody wrote it", "write is None or write.value != value", "False"),
    _mutant("what failed is not read", "elif write.failed:", "elif False:"),
    _mutant("not before it was written", "elif snapshot.ended < write.invoked:", "elif False:"),
    _mutant("late is no fork", '"nil-after-ack": "strict-serializable"', '"nil-after-ack": "snapshot-isolation"'),
]
