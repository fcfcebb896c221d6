"""Requests with idempotency keys: right systems, and ones that execute twice, forget, or execute what failed."""

from __future__ import annotations

import random
from typing import Any

from chaoskit.checks.models.effects import Effects
from histories.brute import NEVER, WRONG, Op, linearizable
from histories.comparing import Subject
from histories.mutation import Mutant
from histories.simulate import FAILED, Call, simulate

FILE = "chaoskit/checks/models/effects.py"


def history(generator: random.Random) -> list[Call]:
    books: dict[str, int] = {}
    bug = generator.choice((None, "twice", "lost", "failed", "stale", "ghost", "restart"))
    form = generator.choice(("key", "map", "list"))
    keys = ("k", "l")[: generator.randint(1, 2)]

    def ask(_: int, generator: random.Random) -> Call:
        key = generator.choice(keys)
        if generator.random() < 0.55:
            return Call(0, "read", key=key) if form == "key" else Call(0, "effects")
        return Call(0, "execute", key=key) if generator.random() < 0.5 else Call(0, "execute", key)

    def system(call: Call, generator: random.Random) -> Any:
        strikes = generator.random() < 0.8
        if call.f == "execute":
            key = call.key or call.value
            refused = generator.random() < 0.2
            if not (bug == "lost" and strikes) and (not refused or (bug == "failed" and strikes)):
                books[key] = books.get(key, 0) + 1 if bug == "twice" and strikes else 1
            return FAILED if refused else None
        if bug == "restart" and strikes:
            books.clear()
        seen = {} if bug == "stale" and strikes else dict(books)
        if bug == "ghost" and strikes:
            seen[generator.choice("kz")] = 1
        if form == "key":
            return seen.get(call.key, None if generator.random() < 0.3 else 0)
        return seen if form == "map" else [key for key, count in seen.items() for _ in range(count)]

    return simulate(
        ask,
        system,
        count=generator.randint(6, 9),
        processes=3,
        random=generator,
        info=0.45,
        lost=0.4,
        is_read=lambda call: call.f != "execute",
    )


def explained(calls: list[Call]) -> bool:
    """Request by request: some order of its attempts and of what was answered about it explains every answer."""
    keys = {call.key or call.value for call in calls if call.f == "execute"} | {"z", "k", "l"}
    return all(_explained(key, calls) for key in keys)


def _explained(key: str, calls: list[Call]) -> bool:
    def step(state: bool, op: Op) -> Any:
        if op.f == "execute":
            return True
        return state if _count(op, key) == int(state) else WRONG

    ops = [
        Op(c.process, c.f, c.value, c.result, c.invoked, NEVER if c.outcome == "info" else c.completed, c.key)
        for c in calls
        if c.outcome != "fail" and ((c.key or c.value) == key or c.f == "effects")
    ]
    return linearizable(ops, step, False)


def _count(op: Op, key: str) -> int:
    if op.f == "read":
        return op.result or 0
    return op.result.count(key) if isinstance(op.result, list) else op.result.get(key, 0)


EFFECTS = Subject("effects", Effects, history, explained)
SUBJECTS = [EFFECTS]


def _mutant(rule: str, old: str, new: str) -> Mutant:
    return Mutant("histories.effects:EFFECTS", rule, FILE, old, new)


MUTANTS = [
    _mutant("at most once", "kind[answers.count > 1] = 1", "pass"),
    _mutant("somebody asked for it", "kind[unmade & ~failed[answers.request]] = 2", "pass"),
    _mutant("what failed has no effect", "kind[unmade & failed[answers.request]] = 3", "pass"),
    _mutant("not before it was asked for", "kind[found & (told < begun) & ~unmade] = 4", "pass"),
    _mutant(
        "nil after the acknowledgement",
        "kind[none & (asked > acknowledged) & answers.nil] = 5",
        "kind[answers.nil] = 0",
    ),
    _mutant("acknowledged is once", "kind[none & (asked > acknowledged)] = 6", "pass"),
    _mutant("what was counted stays", "kind[none & (asked > seen[answers.request])] = 7", "pass"),
    _mutant(
        "an acknowledgement that came later",
        "kind[none & (asked > acknowledged)] = 6",
        "kind[none & (acknowledged != NEVER)] = 6",
    ),
    _mutant(
        "attempts of unknown outcome may have happened",
        "possible, ok = ~operations.failed[attempts], ",
        "possible, ok = operations.ok[attempts], ",
    ),
    _mutant("what the books do not list did not happen", "counted = np.zeros(", "counted = np.ones("),
    _mutant(
        "attempts with one key are one request",
        "np.where(operations.key[attempts] == NONE, operations.value[attempts], operations.key[attempts])",
        "operations.index[attempts] % len(operations.values)",
    ),
]
