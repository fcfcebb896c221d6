"""Clients of a simulated system: histories with concurrency, crashes and outcomes that nobody knows.

A system is a function `(op, random) -> answer` that changes its own state: it is called once, at an instant between
invocation and completion. Right systems give legal histories; a planted bug is another function. Times are virtual.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chaoskit.history.operation import Outcome
from chaoskit.history.operations import NEVER, Operations
from chaoskit.history.values import Values, frozen

FAILED = object()  # a system answers this: it certainly did not happen


@dataclass
class Call:
    """One operation as it is asked, and what became of it."""

    process: int
    f: str
    value: Any = None
    key: Any = None
    result: Any = None
    outcome: str = "ok"  # ok, fail, info
    invoked: int = 0
    completed: int = 0
    final: bool = False


def simulate(
    ask: Callable[[int, random.Random], Call],
    system: Callable[[Call, random.Random], Any],
    *,
    count: int,
    processes: int,
    random: random.Random,
    info: float = 0.1,
    lost: float = 0.5,
    fails: float = 0.05,
    is_read: Callable[[Call], bool] = lambda call: call.f == "read",
) -> list[Call]:
    """Run `count` operations of `processes` concurrent clients.

    Args:
        ask: the i-th operation, a new one each time (process and times are filled in here).
        info: share of operations whose answer is lost; of these, `lost` never reached the system. A read without an
            answer counts as failed. `fails`: share of operations refused before they reach the system.
    """
    clock = 0
    free = list(range(processes))
    waiting: list[tuple[str, Call]] = []  # (what comes next for it, call)
    done: list[Call] = []
    next_process, asked = processes, 0
    while asked < count or waiting:
        clock += 1
        can_start = asked < count and free
        if can_start and (not waiting or random.random() < 0.5):
            call = ask(asked, random)
            call.process, call.invoked = free.pop(random.randrange(len(free))), clock
            asked += 1
            done.append(call)
            waiting.append(("refuse" if random.random() < fails else "act", call))
            continue
        at = random.randrange(len(waiting))
        stage, call = waiting.pop(at)
        if stage == "act":
            gone = random.random() < info
            if not (gone and random.random() < lost):
                call.result = system(call, random)
                if call.result is FAILED:
                    call.result, stage = None, "refuse"
            if stage == "act":
                if gone:
                    call.outcome, call.result = "info", None
                waiting.append(("answer", call))
                continue
        if stage == "refuse":
            call.outcome = "fail"
        if call.outcome == "info" and is_read(call):
            call.outcome = "fail"
        call.completed = clock
        if call.outcome == "info":
            free.append(next_process)  # a process does not go on after an outcome that nobody knows
            next_process += 1
        else:
            free.append(call.process)
    return done


_OUTCOMES = {"ok": Outcome.OK, "fail": Outcome.FAIL, "info": Outcome.INFO}


def operations(calls: list[Call]) -> Operations:
    """Calls as the checkers are given them."""
    values = Values()
    functions = tuple(dict.fromkeys(call.f for call in calls))
    calls = sorted(calls, key=lambda call: call.invoked)
    number = values.number
    return Operations.make(
        process=[call.process for call in calls],
        f=[functions.index(call.f) for call in calls],
        outcome=[_OUTCOMES[call.outcome] for call in calls],
        invoked=[2 * call.invoked for call in calls],
        completed=[NEVER if call.outcome == "info" else 2 * call.completed + 1 for call in calls],
        key=[number(frozen(call.key)) for call in calls],
        value=[number(frozen(call.value)) for call in calls],
        result=[number(frozen(call.result)) if call.outcome == "ok" else -1 for call in calls],
        began_ns=[call.invoked * 1_000_000 for call in calls],
        ended_ns=[-1 if call.outcome == "info" else call.completed * 1_000_000 for call in calls],
        final=np.array([call.final for call in calls], dtype=bool),
        functions=functions,
        values=values.all,
    )
