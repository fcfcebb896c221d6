"""Counters: right ones, and ones that lose adds, count twice, answer late or answer what nobody added."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

from chaoskit.checks.models.counter import Counter
from chaoskit.checks.result import Options
from histories.brute import NEVER, WRONG, Op, linearizable
from histories.comparing import Subject
from histories.mutation import Mutant
from histories.simulate import Call, simulate

FILE, RULES = "chaoskit/checks/models/counter.py", "chaoskit/checks/counts.py"


def history(generator: random.Random, amounts: tuple[int, ...], initial: int = 0) -> list[Call]:
    count = {"now": initial, "shown": initial}
    bug = generator.choice((None, "lost", "twice", "stale", "nil", "odd"))

    def ask(_: int, generator: random.Random) -> Call:
        if generator.random() < 0.5:
            return Call(0, "read")
        return Call(0, "add", generator.choice(amounts))

    def system(call: Call, generator: random.Random) -> Any:
        strikes = bug is not None and generator.random() < 0.7
        if call.f == "add":
            count["shown"] = count["now"]
            count["now"] += call.value * (0 if bug == "lost" and strikes else 2 if bug == "twice" and strikes else 1)
            return None
        if strikes and bug in ("stale", "nil", "odd"):
            return {"stale": count["shown"], "nil": None, "odd": count["now"] + generator.choice((-1, 1))}[bug]
        return count["now"]

    return simulate(
        ask, system, count=generator.randint(6, 8), processes=3, random=generator, info=0.35, lost=0.3, fails=0.04
    )


def happened(calls: list[Call]) -> list[Op]:
    return [
        Op(call.process, call.f, call.value, call.result, call.invoked, _end(call))
        for call in calls
        if call.outcome != "fail"
    ]


def _end(call: Call) -> int:
    return NEVER if call.outcome == "info" else call.completed


def step(initial: int, state: int, op: Op) -> Any:
    if op.f == "add":
        return state + op.value
    return state if (initial if op.result is None else op.result) == state else WRONG


def explained(initial: int, calls: list[Call]) -> bool:
    return linearizable(happened(calls), partial(step, initial), initial)


def within_bounds(calls: list[Call]) -> bool:
    """Jepsen's bounds, read by read, and the divisor that all amounts have in common."""
    adds = [call for call in calls if call.f == "add" and call.outcome != "fail"]
    for read in (call for call in calls if call.f == "read" and call.outcome == "ok"):
        least = most = 0
        for add in adds:
            if add.outcome == "ok" and add.completed < read.invoked:
                least, most = least + add.value, most + add.value
            elif add.invoked <= read.completed:
                least, most = least + min(0, add.value), most + max(0, add.value)
        if not least <= (read.result or 0) <= most:
            return False
    return True


def signed(generator: random.Random) -> list[Call]:
    while True:
        calls = history(generator, (-2, 1, 3, 2))
        if any(call.f == "add" and call.outcome != "fail" and call.value < 0 for call in calls):
            return calls


EQUAL = Subject(
    "counter",
    Counter,
    lambda generator: history(generator, (2,), 10),
    partial(explained, 10),
    Options(initial=10),
    gate=2000,
)
MIXED = Subject(
    "counter, any amounts",
    Counter,
    lambda generator: history(generator, generator.choice(((0, 1, 3), (-2, 1, 3)))),
    partial(explained, 0),
    one_sided=True,
    gate=1500,
)
SIGNED = Subject("counter, with decrements", Counter, signed, within_bounds, gate=1500)
SUBJECTS = [EQUAL, MIXED, SIGNED]


def _mutant(subject: str, rule: str, old: str, new: str, file: str = RULES) -> Mutant:
    return Mutant(f"histories.counter:{subject}", rule, file, old, new)


MUTANTS = [
    _mutant("EQUAL", "answers do not fall", 'side="right")] < reads.invoked\n', 'side="right")] < -1\n'),
    _mutant(
        "EQUAL", "equal answers do not fall", 'side="right")] < reads.invoked\n', 'side="left")] < reads.invoked\n'
    ),
    _mutant("EQUAL", "not more than was begun", "surplus | uneven", "uneven"),
    _mutant("EQUAL", "multiples only", "surplus | uneven", "surplus"),
    _mutant(
        "EQUAL",
        "nothing acknowledged is missing",
        "yield from _missing(operations, adds, reads)",
        "return",
    ),
    _mutant(
        "EQUAL",
        "what must come first is placed first",
        "heappush(waiting, jobs[at][1:])",
        "waiting.append(jobs[at][1:])",
    ),
    _mutant("EQUAL", "an add between equal answers", "found.update(last for _, last, _ in jobs[at:])", "pass"),
    _mutant(
        "EQUAL",
        "earlier reads bound later ones",
        "np.maximum.accumulate(np.maximum.reduceat(reads.invoked, first))",
        "np.maximum.reduceat(reads.invoked, first)",
    ),
    _mutant("EQUAL", "failed adds do not count", " & ~operations.failed[members]]", "]", FILE),
    _mutant(
        "EQUAL",
        "nil is the count before anything",
        "answer = np.full(len(part), initial, dtype=np.int64)",
        "answer = np.full(len(part), 0, dtype=np.int64)",
        FILE,
    ),
    _mutant("SIGNED", "not below the bounds", "(reads.answer < sure + less) | ", ""),
    _mutant("SIGNED", "not above the bounds", " | (reads.answer > sure + more)", ""),
    _mutant("SIGNED", "what may have been taken away", "(reads.answer < sure + less)", "(reads.answer < sure)"),
    _mutant("SIGNED", "what may have been added", "(reads.answer > sure + more)", "(reads.answer > sure)"),
    _mutant("SIGNED", "decrements have rules of their own", "adds.amount.min() < 0", "adds.amount.min() < -9", FILE),
]
