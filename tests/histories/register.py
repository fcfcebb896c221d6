"""Small histories of registers: from a right system, from systems with planted bugs, and with answers at random."""

from __future__ import annotations

import random as randomness
from collections.abc import Callable
from typing import Any

from chaoskit.checks.result import Options
from histories import brute
from histories.brute import NEVER, WRONG, Op
from histories.comparing import Subject
from histories.mutation import Mutant
from histories.simulate import FAILED, Call, simulate

Ask = Callable[[int, randomness.Random], Call]


class System:
    """Registers by key, with at most one bug. `draws`: answers and success are drawn by lot among what was asked."""

    BUGS = ("none", "stale", "forgets", "lies", "aborted", "flips", "late", "blind", "draws", "foresees")

    def __init__(self, bug: str, initial: Any) -> None:
        self.bug, self.initial = bug, initial
        self.now: dict[Any, Any] = {}
        self.past: dict[Any, list[Any]] = {}

    def __call__(self, call: Call, random: randomness.Random) -> Any:
        key, bug = call.key, self.bug if random.random() < 0.7 else "none"
        past = self.past.setdefault(key, [self.initial])
        current = self.now.get(key, self.initial)
        if call.f == "read":
            if bug == "stale":
                return random.choice(past[-3:])
            if bug == "forgets":
                return self.initial
            if bug == "lies":
                return (current or 0) + 100
            if bug == "foresees":
                return (current or 0) + random.randint(1, 4)
            if bug == "flips":
                return random.choice([current, past[-2]]) if len(past) > 1 else current
            return random.choice(past) if bug == "draws" else current
        if call.f == "cas":
            old, new = call.value
            matches = current == old
            if bug in ("blind", "draws") and random.random() < 0.5:
                matches = bug == "blind" or old in past
            if not matches:
                return FAILED
            value = new
        else:
            value = call.value
        past.append(value)
        if bug == "aborted":
            self.now[key] = value
            return FAILED
        if not (bug == "late" and random.random() < 0.5):
            self.now[key] = value
        return None


def _by_key(state: Any, op: Op) -> Any:
    """Any number of registers; `state` is a function of the key as a tuple of pairs, later ones first."""
    before = next((value for key, value in state if key == op.key), state[-1][1])
    if op.f == "read":
        return state if op.result == before else WRONG
    if op.f == "cas":
        if op.value[0] != before:
            return WRONG
        return ((op.key, op.value[1]), *state)
    return ((op.key, op.value), *state)


def ops(calls: list[Call]) -> list[Op]:
    """What brute force looks at: no failed operations, no reads without an answer."""
    return [
        Op(
            call.process,
            call.f,
            tuple(call.value) if isinstance(call.value, list) else call.value,
            call.result,
            call.invoked,
            NEVER if call.outcome == "info" else call.completed,
            call.key,
        )
        for call in calls
        if call.outcome != "fail" and not (call.outcome == "info" and call.f == "read")
    ]


def _subject(name: str, initial: Any, most: int, info: float) -> Subject:
    def load() -> Any:
        from chaoskit.registry import load

        return load("model", name)

    def history(random: randomness.Random) -> list[Call]:
        system = System(random.choice(System.BUGS), initial)
        count, processes = random.randint(6, most), random.randint(3, 4)
        return simulate(random.choice(ASKS[name]), system, count=count, processes=processes, random=random, info=info)

    def legal(calls: list[Call]) -> bool:
        return brute.linearizable(ops(calls), _by_key, ((object(), initial),))

    return Subject(name, load, history, legal, Options(initial=initial, budget=30))


def _plain(keys: int, values: int = 0) -> Ask:
    """Reads and writes; every value once, or one of a few."""

    def ask(number: int, random: randomness.Random) -> Call:
        key = random.randrange(keys) if keys > 1 else None
        if random.random() < 0.45:
            return Call(0, "write", random.randint(1, values) if values else number + 1, key=key)
        return Call(0, "read", key=key)

    return ask


def _comparing(number: int, random: randomness.Random) -> Call:
    """Every value once; compares with what may be there, mostly the last value or two that were asked for."""
    kind = random.random()
    if kind < 0.5:
        old = random.choice([number, number, number, number - 1, random.randint(0, number), number + 2, number + 2])
        return Call(0, "cas", [old, number + 1])
    return Call(0, "write", number + 1) if kind < 0.7 else Call(0, "read")


def _repeating(number: int, random: randomness.Random) -> Call:
    """The same with values that come again, the initial one among them."""
    kind = random.random()
    if kind < 0.5:
        return Call(0, "cas", [random.randint(0, 2), random.randint(0, 2)])
    return Call(0, "write", random.randint(0, 2)) if kind < 0.7 else Call(0, "read")


ASKS: dict[str, tuple[Ask, ...]] = {
    "register": (_plain(1), _plain(1), _plain(2), _plain(1, 3)),
    "cas-register": (_comparing, _comparing, _comparing, _repeating),
}
REGISTER = _subject("register", None, most=9, info=0.28)
CAS = _subject("cas-register", 0, most=10, info=0.25)

SUBJECTS = [REGISTER, CAS]
_ORIGINS, _ZONES, _CHAINS = "chaoskit/checks/origins.py", "chaoskit/checks/zones.py", "chaoskit/checks/chains.py"
_REGISTERS, _SEARCH = "chaoskit/checks/registers.py", "chaoskit/checks/linearize.py"


def _mutant(subject: str, rule: str, file: str, old: str, new: str, count: int = 3000) -> Mutant:
    return Mutant(f"histories.register:{subject}", rule, file, old, new, count)


MUTANTS = [
    _mutant("REGISTER", "who began in time is not late", _ZONES, "stale = since < began, ", "stale = since < FAR, "),
    _mutant(
        "REGISTER",
        "a write comes after a value only if it began when that was known",
        _ZONES,
        "np.searchsorted(start, first, ",
        "np.searchsorted(start, origins.start, ",
    ),
    _mutant("REGISTER", "forward zones do not overlap", _ZONES, "end[furthest[:-1]] > begin[1:]", "end[:-1] > FAR"),
    _mutant(
        "REGISTER", "no backward zone in a forward one", _ZONES, "inside = (place >= 0) & ", "inside = (place < 0) & "
    ),
    _mutant(
        "REGISTER",
        "a failed write did not happen",
        _ORIGINS,
        "changes &= ok | (~failed & observed[makes])",
        "changes &= ok | observed[makes]",
    ),
    _mutant(
        "REGISTER",
        "nothing is shown before its write began",
        _ORIGINS,
        "early = (ended[seer] < origin_start[cluster]) & ~unwritten",
        "early = np.zeros_like(unwritten)",
    ),
    _mutant(
        "REGISTER", "what is shown was written", _ORIGINS, "unwritten = cluster == NONE", "unwritten = cluster < NONE"
    ),
    _mutant(
        "REGISTER",
        "values that come again are searched",
        _ORIGINS,
        "ambiguous[owner[several[home]]] = True",
        "ambiguous[owner[several[home]]] = False",
    ),
    _mutant("REGISTER", "registers do not meet", _ORIGINS, "base = register * span + 1", "base = register * 0 + 1"),
    _mutant(
        "REGISTER",
        "an unknown outcome may take effect at any time",
        _ORIGINS,
        "np.where(known, completed, span - 2)",
        "np.where(known, completed, invoked + 1)",
    ),
    _mutant(
        "REGISTER",
        "a read without an answer says nothing",
        _ORIGINS,
        "looks = ((function == _READ) & ok)",
        "looks = (function == _READ)",
    ),
    _mutant(
        "REGISTER",
        "the initial value is there first",
        _ORIGINS,
        "home = np.concatenate([start, ",
        "home = np.concatenate([start * 0, ",
    ),
    _mutant(
        "REGISTER",
        "the search tries what is under way",
        _SEARCH,
        "stack.append(new)",
        "after.discard(new)",
    ),
    _mutant("REGISTER", "what only looks must see the state", _SEARCH, "if following == _ILLEGAL:", "if False:"),
    _mutant("CAS", "the initial value is the one that is told", _ORIGINS, "numbers.number(frozen(initial))", "NONE"),
    _mutant(
        "CAS",
        "a value is replaced once",
        _CHAINS,
        "twice = np.flatnonzero(heirs > 1)",
        "twice = np.flatnonzero(heirs > 9)",
    ),
    _mutant(
        "CAS",
        "an unknown outcome is known by what came of it",
        _ORIGINS,
        "observed[shows[unsure[happened]]] = True",
        "observed[shows[unsure[happened]]] |= False",
    ),
    _mutant(
        "CAS",
        "values do not come from each other",
        _CHAINS,
        "circular[head[lost]] = True",
        "circular[head[lost]] = False",
        20_000,
    ),
    _mutant(
        "CAS",
        "nothing is shown before all that led to it began",
        _REGISTERS,
        "self.early |= placed & ",
        "self.early |= ~placed & placed & ",
        20_000,
    ),
    _mutant(
        "CAS",
        "inside a chain the order is known",
        _REGISTERS,
        "self.overtaken = self._within(self.overtaken)",
        "self._within(self.overtaken)",
    ),
    _mutant(
        "CAS",
        "a chain is one block",
        _REGISTERS,
        "np.maximum.at(end, head, last)",
        "np.maximum.at(end, np.arange(len(head)), last)",
        20_000,
    ),
    _mutant(
        "CAS",
        "of several possible writers none is certain",
        _ORIGINS,
        "unsettled = doubtful & ~ok[seer]",
        "unsettled = doubtful & ok[seer] & ~ok[seer]",
    ),
    _mutant(
        "CAS",
        "a failed compare-and-set found nothing",
        _ORIGINS,
        "((function == _CAS) & ~failed & (changes | ok))",
        "(function == _CAS)",
    ),
    _mutant(
        "CAS", "a witness shows that what it needs did happen", _REGISTERS, "whole |= self._evidence(whole)", "pass"
    ),
]
