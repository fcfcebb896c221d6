"""Lists at levels below linearizable, by their definitions, on histories of copies that pass appends on late."""

from __future__ import annotations

import random as randomness
from collections.abc import Callable
from itertools import permutations
from typing import Any

from chaoskit.checks.result import Options
from histories import brute
from histories.append import BUGS, of_key
from histories.append import history as plain_history
from histories.brute import WRONG, Op
from histories.comparing import Subject
from histories.mutation import Mutant
from histories.simulate import Call, simulate


def _parts(calls: list[Call]) -> tuple[list[Call], list[Call], bool]:
    """Appends that may have happened, answers, and whether no answer is wrong by itself."""
    calls = sorted(calls, key=lambda call: call.invoked)
    appends = [one for one in calls if one.f == "append" and one.outcome != "fail"]
    reads = [one for one in calls if one.f == "read" and one.outcome == "ok"]
    asked = {(one.key, one.value) for one in appends}
    sane = all({(one.key, e) for e in _held(one)} <= asked and len(set(_held(one))) == len(_held(one)) for one in reads)
    return appends, reads, sane


def _held(read: Call) -> tuple[Any, ...]:
    return tuple(read.result or ())


def _before(one: Call, other: Call) -> bool:
    return one.process == other.process and one.invoked < other.invoked


def _ahead(held: tuple[Any, ...], first: Any, second: Any) -> bool:
    return first in held and held.index(first) < held.index(second)


def _own_writes(appends: list[Call], reads: list[Call]) -> bool:
    return all(a.value in _held(r) for r in reads for a in appends if a.key == r.key and _before(a, r))


def _monotonic(appends: list[Call], reads: list[Call]) -> bool:
    return all(set(_held(s)) <= set(_held(r)) for r in reads for s in reads if s.key == r.key and _before(s, r))


def _writes_in_order(appends: list[Call], reads: list[Call]) -> bool:
    pairs = [(a, b) for a in appends for b in appends if a.key == b.key and _before(a, b)]
    return all(
        b.value not in _held(r) or _ahead(_held(r), a.value, b.value) for r in reads for a, b in pairs if a.key == r.key
    )


def _causes_first(appends: list[Call], reads: list[Call]) -> bool:
    pairs = [(s, b) for s in reads for b in appends if s.key == b.key and _before(s, b)]
    return all(
        b.value not in _held(r) or all(_ahead(_held(r), one, b.value) for one in _held(s))
        for r in reads
        for s, b in pairs
        if s.key == r.key
    )


def _causal(appends: list[Call], reads: list[Call]) -> bool:
    nodes = [*appends, *reads]
    past = {id(one): {id(other) for other in nodes if _before(other, one)} for one in nodes}
    for read in reads:
        past[id(read)] |= {id(a) for a in appends if a.key == read.key and a.value in _held(read)}
    for middle in nodes:
        for one in nodes:
            if id(middle) in past[id(one)]:
                past[id(one)] |= past[id(middle)]
    if any(id(one) in past[id(one)] for one in nodes):
        return False
    for order in permutations(appends):
        place = {id(one): number for number, one in enumerate(order)}
        if any(place.get(other, -1) > place[id(one)] for one in order for other in past[id(one)]):
            continue
        if all(
            _held(read) == tuple(a.value for a in order if a.key == read.key and id(a) in past[id(read)])
            for read in reads
        ):
            return True
    return False


def _step(state: tuple[tuple[Any, Any], ...], op: Op) -> Any:
    mine = tuple(value for key, value in state if key == op.key)
    if op.f == "append":
        return (*state, (op.key, op.value))
    return state if tuple(op.result or ()) == mine else WRONG


def _sequential(calls: list[Call]) -> bool:
    keyed = [
        Op(op.process, op.f, op.value, op.result, op.invoked, op.completed, key)
        for key in {call.key for call in calls}
        for op in of_key(calls, key)
    ]
    return brute.sequential(keyed, _step, ())


def _by(definition: Callable[[list[Call], list[Call]], bool]) -> Callable[[list[Call]], bool]:
    def legal(calls: list[Call]) -> bool:
        appends, reads, sane = _parts(calls)
        return sane and definition(appends, reads)

    return legal


class Copies:
    """Copies of lists; appends come to the others late, and not always in order."""

    def __init__(self, random: randomness.Random, roams: float, twice: float) -> None:
        self.copies: list[dict[Any, list[Any]]] = [{} for _ in range(random.randint(2, 3))]
        self.waiting: list[tuple[int, Any, Any]] = []
        self.errs = random.choice([0.0, 0.2]) if roams < 1 else 1.0
        self.twice = twice
        self.roams, self.ordered, self.sorts = roams, random.random() < 0.5, random.random() < 0.5

    def __call__(self, call: Call, random: randomness.Random) -> Any:
        while self.waiting and random.random() < 0.35:
            at, key, value = self.waiting.pop(0 if self.ordered else random.randrange(len(self.waiting)))
            self._add(at, key, value)
        home = random.randrange(len(self.copies)) if random.random() < self.roams else call.process % len(self.copies)
        if call.f == "read":
            held = self.copies[home].get(call.key, [])
            if random.random() < self.errs:
                every = sorted({value for copy in self.copies for value in copy.get(call.key, [])})
                held = random.sample(every, random.randint(0, len(every)))
            if random.random() < self.twice:
                held = [*held, *held[:1]]
            return tuple(held)
        self._add(home, call.key, call.value)
        self.waiting += [(at, call.key, call.value) for at in range(len(self.copies)) if at != home]
        return None

    def _add(self, at: int, key: Any, value: Any) -> None:
        mine = self.copies[at].setdefault(key, [])
        mine.append(value)
        if self.sorts:
            mine.sort()


def _apart(calls: list[Call]) -> list[Call]:
    """A client does not go on after an outcome that nobody knows: what it does next is another client's."""
    for number, one in enumerate(calls):
        if one.outcome == "info":
            for other in calls:
                if other.process == one.process and other.invoked > one.invoked:
                    other.process += 100 * (number + 1)
    return calls


def _history(roams: float, odd: float) -> Callable[[randomness.Random], list[Call]]:
    def history(random: randomness.Random) -> list[Call]:
        if random.random() < odd:
            return _apart(plain_history(random, BUGS))
        keys = random.choice([1, 1, 2]) if roams < 1 else 1
        made = [0]

        def ask(number: int, random: randomness.Random) -> Call:
            key = random.randrange(keys) if keys > 1 else None
            if random.random() < 0.5 and made[0] < 5:
                made[0] += 1
                return Call(0, "append", made[0], key=key)
            return Call(0, "read", key=key)

        clients = 3 if roams < 1 else 2  # and a new one after each unknown outcome
        system = Copies(random, roams if roams == 1 or random.random() < 0.7 else 0.0, 0.1 if odd >= 0.5 else 0.0)
        return simulate(
            ask, system, count=random.randint(8, 10), processes=clients, random=random, info=0.27, fails=0.03
        )

    return history


def _subject(level: str, legal: Callable[[list[Call]], bool], roams: float, odd: float) -> Subject:
    def load() -> Any:
        from chaoskit.registry import load

        return load("model", "append")

    return Subject(
        f"{level}-at-lists", load, _history(roams, odd), legal, Options(consistency=level, budget=30), gate=800
    )


READ_YOUR_WRITES = _subject("read-your-writes", _by(_own_writes), 1.0, 0.1)
MONOTONIC_READS = _subject("monotonic-reads", _by(_monotonic), 1.0, 0.1)
MONOTONIC_WRITES = _subject("monotonic-writes", _by(_writes_in_order), 1.0, 0.1)
WRITES_FOLLOW_READS = _subject("writes-follow-reads", _by(_causes_first), 1.0, 0.5)
CAUSAL = _subject("causal", _by(_causal), 0.3, 0.2)
SEQUENTIAL = _subject("sequential", _sequential, 0.0, 0.4)
SUBJECTS = [READ_YOUR_WRITES, MONOTONIC_READS, MONOTONIC_WRITES, WRITES_FOLLOW_READS, CAUSAL, SEQUENTIAL]
_SESSIONS, _LEVELS = "chaoskit/checks/list_sessions.py", "chaoskit/checks/list_levels.py"


def _mutant(subject: str, rule: str, file: str, old: str, new: str, count: int = 3000) -> Mutant:
    return Mutant(f"histories.list_levels:{subject}", rule, file, old, new, count)


MUTANTS = [
    _mutant("READ_YOUR_WRITES", "own appends are there", _SESSIONS, "if missed != NONE:", "if missed < NONE:"),
    _mutant(
        "MONOTONIC_READS",
        "what was shown stays",
        _SESSIONS,
        "if before != NONE and not self.holds(at, before):",
        "if before < NONE:",
    ),
    _mutant("MONOTONIC_WRITES", "own appends in order", _SESSIONS, "if previous is not None and ", "if not place and "),
    _mutant("WRITES_FOLLOW_READS", "causes come first", _SESSIONS, "for one in seen:\n", "for one in seen[:0]:\n"),
    _mutant(
        "CAUSAL",
        "dependencies are there",
        _LEVELS,
        "found = [_missing(lists, steps, columns, clock, of_read)]",
        "found = [None]",
        20_000,
    ),
    _mutant(
        "CAUSAL",
        "appends have one order",
        _LEVELS,
        "steps.joined(_steps(FORCED, order)).knotted(nodes)",
        "steps.knotted(nodes)",
        20_000,
    ),
    _mutant(
        "SEQUENTIAL",
        "what nobody saw comes last",
        _LEVELS,
        "forced.append((joint[key], append, NONE))",
        "pass",
        20_000,
    ),
    _mutant(
        "SEQUENTIAL", "an answer comes after what it holds", _LEVELS, "        if at:\n", "        if at < 0:\n", 20_000
    ),
]
