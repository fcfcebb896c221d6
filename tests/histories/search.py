"""Small histories judged by models of one's own: the search, with nothing but a `step` to go by."""

from __future__ import annotations

import dataclasses
import random as randomness
from typing import Any
from unittest import mock

from histories import brute
from histories.brute import NEVER, WRONG, Op
from histories.comparing import Subject
from histories.mutation import Mutant
from histories.register import REGISTER
from histories.simulate import FAILED, Call, simulate


class Stack:
    """A stack with few different elements per key, as a user would write it down: last in, first out."""

    initial = ()

    def step(self, state: tuple[int, ...], op: Any) -> tuple[int, ...] | None:
        if op.f == "push":
            return (op.value, *state)
        if op.f == "drop":  # changes nothing where there is nothing
            return state[1:]
        if op.f == "top":
            return state if op.outcome == "info" or state[:1] == (() if op.result is None else (op.result,)) else None
        if op.outcome == "info":
            return state[1:]
        return state[1:] if state[:1] == (() if op.result is None else (op.result,)) else None


class Turns:
    """Any client may go once, then another one must: what is asked for is who it is. Two rooms that do not meet."""

    initial = (-1, 0)

    def step(self, state: tuple[int, int], op: Any) -> tuple[int, int] | None:
        last, count = state
        if op.f == "look":
            return state if op.result in (None, count) else None
        return (op.process, count + 1) if op.process != last else None

    def partition(self, op: Any) -> Any:
        return op.value


class Stacks:
    """The system, with at most one bug."""

    BUGS = ("none", "stale", "forgets", "first", "invents", "aborted")

    def __init__(self, bug: str) -> None:
        self.bug = bug
        self.now: dict[Any, list[int]] = {}
        self.before: dict[Any, list[int]] = {}

    def __call__(self, call: Call, random: randomness.Random) -> Any:
        bug = self.bug if random.random() < 0.6 else "none"
        stack = self.now.setdefault(call.key, [])
        shown = self.before.get(call.key, []) if bug == "stale" else stack
        answer = None if not shown else shown[0 if bug == "first" else -1]
        if call.f != "top":
            self.before[call.key] = list(stack)
        if call.f == "push":
            answer = None
            if bug != "forgets":
                stack.append(call.value)
        elif call.f in ("pop", "drop") and stack and bug != "forgets":
            stack.pop()
        if call.f == "drop":
            answer = None
        elif bug == "invents" and call.f != "push":
            answer = 9
        return FAILED if bug == "aborted" and call.f == "push" else answer


def _stacks(number: int, random: randomness.Random) -> Call:
    f = random.choice(("push", "push", "pop", "top", "drop"))
    return Call(0, f, random.randint(1, 2) if f == "push" else None, random.choice((None, None, "k")))


def _stack(state: Any, op: Op) -> Any:
    """Stacks by key as texts; the last letter is the top."""
    texts = dict(state)
    text = texts.get(op.key, "")
    if op.f in ("pop", "top") and not op.info and text[-1:] != ("" if op.result is None else str(op.result)):
        return WRONG
    if op.f != "top":
        texts[op.key] = text + str(op.value) if op.f == "push" else text[:-1]
    return tuple(texts.items())


class Rooms:
    """The system of `Turns`; the bug lets a client go twice, or counts wrongly."""

    def __init__(self, bug: bool) -> None:
        self.bug = bug
        self.last: dict[Any, tuple[int, int]] = {}

    def __call__(self, call: Call, random: randomness.Random) -> Any:
        last, count = self.last.get(call.value, (-1, 0))
        wrong = self.bug and random.random() < 0.3
        if call.f == "look":
            return count + (random.choice((-1, 1)) if wrong else 0)
        if call.process == last and not wrong:
            return FAILED
        self.last[call.value] = (call.process, count + 1)
        return None


def _rooms(number: int, random: randomness.Random) -> Call:
    return Call(0, random.choice(("go", "go", "look")), random.choice("aab"))


def _turns(state: Any, op: Op) -> Any:
    """Who went, in order, by room."""
    went = [process for room, process in state if room == op.value]
    if op.f == "look":
        return state if op.info or op.result == len(went) else WRONG
    return (*state, (op.value, op.process)) if went[-1:] != [op.process] else WRONG


def _legal(step: Any) -> Any:
    def legal(calls: list[Call]) -> bool:
        ops = [
            Op(c.process, c.f, c.value, c.result, c.invoked, NEVER if c.outcome == "info" else c.completed, c.key)
            for c in calls
            if c.outcome != "fail"
        ]
        return brute.linearizable(ops, step, ())

    return legal


def _subject(name: str, own: type, system: Any, ask: Any, step: Any) -> Subject:
    def load() -> Any:
        from chaoskit.checks.models.user import wrap

        return wrap(own)

    def history(random: randomness.Random) -> list[Call]:
        count = random.randint(6, 8)
        return simulate(
            ask, system(random), count=count, processes=3, random=random, info=0.2, is_read=lambda call: False
        )

    return Subject(name, load, history, _legal(step), gate=2500)


class AsLarge:
    """A model that treats all histories as large ones: one order is looked for first, and parts begin anywhere."""

    def __init__(self, own: type) -> None:
        from chaoskit.checks.models.user import wrap

        self.model = wrap(own)

    def __getattr__(self, name: str) -> Any:  # what else a model says of itself
        return getattr(self.model, name)

    def check(self, operations: Any, options: Any) -> Any:
        with mock.patch("chaoskit.checks.linearize._FEW", 0), mock.patch("chaoskit.checks.searching._LONG", 0):
            return self.model.check(operations, options)


STACK = _subject("own-stack", Stack, lambda random: Stacks(random.choice(Stacks.BUGS)), _stacks, _stack)
TURNS = _subject("own-turns", Turns, lambda random: Rooms(random.random() < 0.7), _rooms, _turns)


class Register:
    """One value per key, as a user would write it down."""

    def step(self, state: int | None, op: Any) -> int | tuple[()] | None:
        if op.f == "write":
            return op.value
        return state if op.outcome == "info" or state == (() if op.result is None else op.result) else None

    initial = ()


LARGE = dataclasses.replace(STACK, name="own-stack-as-large", model=lambda: AsLarge(Stack), gate=500)
LARGE_REGISTER = dataclasses.replace(REGISTER, name="own-register-as-large", model=lambda: AsLarge(Register), gate=2000)
SUBJECTS = [STACK, TURNS, LARGE, LARGE_REGISTER]

_SEARCH, _USER = "chaoskit/checks/linearize.py", "chaoskit/checks/models/user.py"
_WHOLE, _DIVE = "chaoskit/checks/searching.py", "chaoskit/checks/diving.py"


def _mutant(subject: str, rule: str, file: str, old: str, new: str, count: int = 3000) -> Mutant:
    return Mutant(f"histories.search:{subject}", rule, file, old, new, count)


MUTANTS = [
    _mutant(
        "STACK",
        "of equal operations the one that returns first goes first",
        _SEARCH,
        "while last.get((kinds[one], mode, rank), 0) > end:",
        "while False:",
        20_000,
    ),
    _mutant(
        "STACK",
        "what looks at once changes nothing",
        _SEARCH,
        "or machine.told or machine.confirmed(run.looked)",
        "or machine.told or True",
        20_000,
    ),
    _mutant("TURNS", "an unknown outcome may never take effect", _SEARCH, "if completed[one] != NEVER:", "if True:"),
    _mutant("STACK", "others may go before", _SEARCH, "one & its != full and", "one & its == 0 and one > full and"),
    Mutant(
        "histories.kv:KV",
        "what is the same and used less is as good, nothing else",
        _SEARCH,
        "if ((used | spare) - other) & spare == spare:",
        "if True:",
        10_000,
    ),
    _mutant(
        "STACK",
        "what failed takes no part",
        _USER,
        "return by_key(operations, ~operations.failed)",
        "return by_key(operations, operations.ok | True)",
    ),
    _mutant("TURNS", "operations differ by what is asked for", _USER, "if asked - told_apart:", "if False:"),
    _mutant("TURNS", "as the user says", _USER, "if partition is None:", "if True:"),
    _mutant("LARGE_REGISTER", "an answer fits its state", _DIVE, "if again or following == _ILLEGAL:", "if again:"),
    _mutant(
        "LARGE_REGISTER",
        "what took effect does not do so again",
        _DIVE,
        "if done & bit or one == returning:",
        "if one == returning:",
    ),
    _mutant(
        "LARGE_REGISTER",
        "who returned is gone",
        _DIVE,
        "                under_way[bits[~one]] = ~one",
        "                pass",
    ),
    _mutant("STACK", "a witness holds what makes each answer possible", _WHOLE, "if possible(()):", "if True:"),
]
