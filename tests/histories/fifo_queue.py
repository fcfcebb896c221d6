"""FIFO queues: right systems, systems with planted bugs, and the truth by brute force."""

from __future__ import annotations

import random as randomness
from typing import Any

from histories.append import of_key
from histories.brute import WRONG, Op, linearizable
from histories.comparing import Subject
from histories.mutation import Mutant
from histories.simulate import FAILED, Call, simulate

BUGS = ("none", "none", "none", "lifo", "drop", "twice", "zombie", "blind", "thin", "shuffle")


def history(random: randomness.Random, certain: bool = False) -> list[Call]:
    """6-9 enqueues and dequeues of one or two queues, by three processes and more.

    certain: what every dequeue took is known, so that the checker is exact.
    """
    bug = random.choice(BUGS)
    keys = ("x",) if random.random() < 0.8 else ("x", "y")
    state: dict[str, list[Any]] = {key: [] for key in keys}
    gone: dict[str, list[Any]] = {key: [] for key in keys}
    taken: dict[int, Any] = {}
    puts = random.choice([0.4, 0.5, 0.6])

    asked = [0]

    def ask(number: int, random: randomness.Random) -> Call:
        asked[0] = number
        key = random.choice(keys)
        return Call(0, "enqueue", value=number, key=key) if random.random() < puts else Call(0, "dequeue", key=key)

    def system(call: Call, random: randomness.Random) -> Any:
        have, strikes = state[call.key], random.random() < 0.65
        if call.f == "enqueue":
            if not (strikes and bug == "drop"):
                have.insert(random.randrange(len(have) + 1) if strikes and bug == "shuffle" else len(have), call.value)
            return FAILED if strikes and bug == "zombie" else None
        if strikes and bug == "blind":
            answer = None
        elif strikes and bug == "thin":
            answer = random.choice([100, asked[0] + 1])  # never asked for, or not yet
        elif strikes and bug == "twice" and gone[call.key]:
            answer = random.choice(gone[call.key])
        else:
            answer = have.pop(-1 if strikes and bug == "lifo" else 0) if have else None
        gone[call.key] += [] if answer is None else [answer]
        taken[id(call)] = answer
        return answer

    count = random.randint(6, 9)
    calls = simulate(
        ask, system, count=count, processes=3, random=random, info=0.3, fails=0.05, is_read=lambda call: False
    )
    for call in calls:
        if certain and call.f == "dequeue" and call.outcome == "info":
            call.outcome = "ok" if id(call) in taken else "fail"
            call.result = taken.get(id(call))
    puts_ok = [call for call in calls if call.f == "enqueue"]
    if puts_ok and random.random() < 0.3:
        random.choice(puts_ok).outcome = random.choice(["fail", "ok", "info"])
    return calls


def step(state: tuple[Any, ...], op: Op) -> Any:
    if op.f == "enqueue":
        return (*state, op.value)
    if op.info:
        return state[1:]
    if op.result is None:
        return WRONG if state else state
    return state[1:] if state and state[0] == op.result else WRONG


def legal(calls: list[Call]) -> bool:
    return all(linearizable(_all_of_key(calls, key), step, ()) for key in {call.key for call in calls})


def _all_of_key(calls: list[Call], key: Any) -> list[Op]:
    return of_key([call for call in calls if call.outcome != "fail"], key)


def _model() -> Any:
    from chaoskit.checks.models.fifo_queue import MODEL

    return MODEL


FIFO = Subject("fifo-queue", _model, lambda random: history(random, certain=True), legal, gate=2500)
UNKNOWN = Subject("fifo-queue, unknown dequeues", _model, history, legal, one_sided=True, gate=2500)
SUBJECTS = [FIFO, UNKNOWN]


def _mutant(rule: str, old: str, new: str, count: int = 3000, subject: str = "FIFO") -> Mutant:
    return Mutant(f"histories.fifo_queue:{subject}", rule, "chaoskit/checks/models/fifo_queue.py", old, new, count)


MUTANTS = [
    _mutant("no resurrection", "EVERY_LEVEL, late, out", "EVERY_LEVEL, late & False, out"),
    _mutant("no aborted read", "EVERY_LEVEL, failed & ~late, out", "EVERY_LEVEL, failed & False, out"),
    _mutant("no thin air", "EVERY_LEVEL, ~known, out", "EVERY_LEVEL, known & False, out"),
    _mutant("no duplicate", "EVERY_LEVEL, queue.again, out", "EVERY_LEVEL, queue.again & False, out"),
    _mutant("no future read", '"linearizable", early, out', '"linearizable", early & False, out'),
    _mutant(
        "what never came out is not waited for",
        'for kind, chosen in (("lost", ~came), ("reordered", came))',
        'for kind, chosen in (("reordered", came),)',
    ),
    _mutant(
        "what came out later is not waited for",
        'for kind, chosen in (("lost", ~came), ("reordered", came))',
        'for kind, chosen in (("lost", ~came),)',
    ),
    _mutant("empty is believed", "found += _never_empty(queue)", "pass"),
    _mutant(
        "one element must cover it all",
        "(_proper(inside).blocks.furthest(keys, began) > ended) & ~by_one",
        "by_one & False",
        40_000,
    ),
    _mutant(
        "unknown enqueues count as acknowledged at once",
        'np.where(taken == NONE, NEVER, self._at(taken, "completed"))',
        "own.began",
    ),
    _mutant(
        "unseen unknown enqueues count",
        'np.where(taken == NONE, NEVER, self._at(taken, "completed"))',
        'self._at(own.first, "invoked")',
    ),
    _mutant(
        "unknown dequeues take nothing",
        "np.minimum.at(found, self.keys[open_ended], self.operations.invoked[open_ended])",
        "pass",
        subject="UNKNOWN",
    ),
    _mutant(
        "order by beginnings",
        "ahead.furthest(own.key[later], own.began[later]) > operations.completed",
        "ahead.furthest(own.key[later], own.began[later]) > operations.invoked",
    ),
]
