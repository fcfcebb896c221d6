"""Small histories of several registers that are read and written at once."""

from __future__ import annotations

import random as randomness
from typing import Any

from histories import brute
from histories.brute import NEVER, WRONG, Op
from histories.comparing import Subject
from histories.mutation import Mutant
from histories.simulate import FAILED, Call, simulate


class System:
    """Registers x and y with at most one bug; `torn`: the steps of an operation do not take effect together."""

    BUGS = ("none", "none", "stale", "torn", "skewed", "lies", "aborted", "deaf", "draws")

    def __init__(self, bug: str) -> None:
        self.bug = bug
        self.now: dict[str, Any] = {}
        self.before: dict[str, Any] = {}
        self.ever: list[Any] = [None]

    def __call__(self, call: Call, random: randomness.Random) -> Any:
        bug = self.bug if random.random() < 0.6 else "none"
        state = dict(self.now)
        if bug == "stale":
            state = dict(self.before)
        if bug == "skewed":  # one register is shown as it was before
            state["x"] = self.before.get("x")
        answer = []
        after = dict(self.now)
        for f, key, value in call.value:
            if f == "w":
                self.ever.append(value)
                if not (bug == "torn" and random.random() < 0.5):
                    after[key] = value
                if bug != "deaf":
                    state[key] = value
                answer.append([f, key, value])
            else:
                found = state.get(key)
                if bug == "lies":
                    found = 100
                if bug == "draws":
                    found = random.choice(self.ever)
                answer.append([f, key, found])
        if after != self.now:
            self.before, self.now = self.now, after
        return FAILED if bug == "aborted" else answer


def ask(number: int, random: randomness.Random) -> Call:
    steps = []
    for place in range(random.choice((1, 2, 2))):
        key = random.choice("xy")
        value = random.choice((2 * number + place + 1, random.randint(1, 3))) if random.random() < 0.55 else None
        steps.append(["r", key, None] if value is None else ["w", key, value])
    return Call(0, "txn", steps)


def step(state: Any, op: Op) -> Any:
    """What is read is what the last write left, own ones included."""
    registers = dict(state)
    for place, (f, key, value) in enumerate(op.value):
        if f == "w":
            registers[key] = value
        elif not op.info and registers.get(key) != op.result[place][2]:
            return WRONG
    return tuple(registers.items())


def legal(calls: list[Call]) -> bool:
    ops = [
        Op(c.process, c.f, c.value, c.result, c.invoked, NEVER if c.outcome == "info" else c.completed)
        for c in calls
        if c.outcome != "fail"
    ]
    return brute.linearizable(ops, step, ())


def history(random: randomness.Random) -> list[Call]:
    system = System(random.choice(System.BUGS))
    count, processes = random.randint(6, 8), random.randint(3, 4)
    return simulate(ask, system, count=count, processes=processes, random=random, info=0.2, is_read=lambda call: False)


def _load() -> Any:
    from chaoskit.registry import load

    return load("model", "multi-register")


MULTI = Subject("multi-register", _load, history, legal)
SUBJECTS = [MULTI]
_FILE = "chaoskit/checks/models/multi_register.py"


def _mutant(rule: str, old: str, new: str) -> Mutant:
    return Mutant("histories.multi_register:MULTI", rule, _FILE, old, new)


MUTANTS = [
    _mutant("a failed operation did not happen", "if not one.failed and one.steps]", "if one.steps]"),
    _mutant("steps tie registers together", "group[find(step.key)] = find(one.steps[0].key)", "find(step.key)"),
    _mutant(
        "what was seen may have happened",
        "or any(step[1:] in seen for step in one.writes())",
        "or any(step[1:] in seen for step in ())",
    ),
    _mutant("a read without an answer says nothing", "known = writes or answered", "known = True"),
    _mutant("the initial value needs no write", "if not by and step.value != self.initial:", "if not by:"),
    _mutant("one write of several is enough", "all(one.completed < other.invoked", "any(one.completed < other.invoked"),
    _mutant("what overlaps may come first", "if write.completed < one.invoked:", "if write.position != one.position:"),
    _mutant("a later step sees the earlier ones", "now[one.key] = one.value", "now.setdefault(one.key, one.value)"),
]
