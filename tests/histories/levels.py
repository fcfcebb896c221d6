"""Levels below linearizable, by their definitions: every order of the writes is tried, and nothing is clever.

For registers, `write x`, `read`, `cas [old new]`, every value written once; an operation of unknown outcome counts as
having happened if somebody was shown what it wrote.
"""

from __future__ import annotations

import random as randomness
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import Any

from chaoskit.checks.result import Options
from histories import brute
from histories.comparing import Subject
from histories.mutation import Mutant
from histories.register import _by_key, ops
from histories.simulate import FAILED, Call, simulate

_NOTHING = -1  # the write that there was before all others


@dataclass
class Told:
    """The operations that count, by number in order of invocation, and what each shows and leads to."""

    calls: list[Call]
    shows: dict[int, int]  # read -> write, or _NOTHING
    writes: list[int]
    impossible: bool

    def before(self, one: int, other: int) -> bool:
        """Whether one client did the one before the other."""
        a, b = self.calls[one], self.calls[other]
        return a.process == b.process and a.invoked < b.invoked

    def version(self, one: int) -> int | None:
        """What an operation wrote, or else showed."""
        return one if one in self.writes else self.shows.get(one)


def _asked(call: Call) -> tuple[Any, Any, bool, bool]:
    """(what it shows, what it writes, whether it shows, whether it writes)."""
    if call.f == "read":
        return call.result, None, True, False
    if call.f == "cas":
        return call.value[0], call.value[1], True, True
    return None, call.value, False, True


def told(calls: list[Call], initial: Any) -> Told:
    calls = sorted((one for one in calls if one.outcome != "fail"), key=lambda call: call.invoked)
    calls = [one for one in calls if one.outcome == "ok" or one.f != "read"]
    while True:  # what of unknown outcome nobody was shown never happened, and so nobody was shown by it either
        seen = {(one.key, _asked(one)[0]) for one in calls if _asked(one)[2]}
        kept = [one for one in calls if one.outcome == "ok" or (one.key, _asked(one)[1]) in seen]
        if len(kept) == len(calls):
            break
        calls = kept
    maker = {(one.key, _asked(one)[1]): number for number, one in enumerate(calls) if _asked(one)[3]}
    shows: dict[int, int] = {}
    impossible = False
    for number, one in enumerate(calls):
        shown, _, looks, _ = _asked(one)
        if looks:
            source = _NOTHING if shown == initial else maker.get((one.key, shown))
            impossible = impossible or source is None
            shows[number] = _NOTHING if source is None else source
    return Told(calls, shows, sorted(maker.values()), impossible)


def _orders(writes: list[int]) -> Iterator[dict[int, int]]:
    for order in permutations(writes):
        yield {_NOTHING: -1} | {write: place for place, write in enumerate(order)}


def _session(guarantee: Callable[[Told, dict[int, int], int, int], bool]) -> Callable[[list[Call]], bool]:
    """For every key there is an order of its writes in which each write comes after all that its client had seen or
    written of that key before, and in which the guarantee holds for each pair of operations of one client.
    """

    def legal(calls: list[Call]) -> bool:
        story = told(calls, None)
        if story.impossible:
            return False
        for key in {one.key for one in story.calls}:
            mine = [number for number, one in enumerate(story.calls) if one.key == key]
            pairs = [(a, b) for a in mine for b in mine if story.before(a, b)]
            writes = [one for one in mine if one in story.writes]
            if not any(_fits(story, place, pairs, writes, guarantee) for place in _orders(writes)):
                return False
        return True

    return legal


def _fits(story: Told, place: dict[int, int], pairs: Any, writes: list[int], guarantee: Any) -> bool:
    if any(one in story.shows and place[story.shows[one]] >= place[one] for one in writes):
        return False
    for a, b in pairs:
        versions = [one for one in (story.version(a), story.shows.get(a)) if one is not None]
        if b in story.writes and any(place[version] >= place[b] for version in versions):
            return False
        if not guarantee(story, place, a, b):
            return False
    return True


def _own_writes(story: Told, place: dict[int, int], a: int, b: int) -> bool:
    return a not in story.writes or b not in story.shows or place[a] <= place[story.shows[b]]


def _monotonic(story: Told, place: dict[int, int], a: int, b: int) -> bool:
    return a not in story.shows or b not in story.shows or place[story.shows[a]] <= place[story.shows[b]]


def _causal(calls: list[Call]) -> bool:
    """One order of all writes that does not contradict causality; every answer shows the last of its causal past."""
    story = told(calls, None)
    if story.impossible:
        return False
    count = range(len(story.calls))
    past = {one: {other for other in count if story.before(other, one)} for one in count}
    for read, write in story.shows.items():
        past[read] |= {write} - {_NOTHING}
    for middle in count:
        for one in count:
            if middle in past[one]:
                past[one] |= past[middle]
    if any(one in past[one] for one in count):
        return False

    def right(place: dict[int, int]) -> bool:
        if any(place[other] > place[one] for one in story.writes for other in past[one] if other in place):
            return False
        for read, write in story.shows.items():
            key = story.calls[read].key
            known = [one for one in past[read] if one in story.writes and story.calls[one].key == key]
            if max(known, key=place.__getitem__, default=_NOTHING) != write:
                return False
        return True

    return any(right(place) for place in _orders(story.writes))


def _sequential(calls: list[Call]) -> bool:
    return brute.sequential(ops(calls), _by_key, ((object(), None),))


class Replicas:
    """Two or three copies that pass writes on late, to clients that stay at one of them or go from one to another."""

    def __init__(self, random: randomness.Random, roams: float, ordered: bool, odd: float) -> None:
        self.copies: list[dict[Any, Any]] = [{} for _ in range(random.randint(2, 3))]
        self.waiting: list[tuple[int, Any, Any]] = []
        self.roams, self.ordered, self.odd = roams, ordered, odd

    def __call__(self, call: Call, random: randomness.Random) -> Any:
        while self.waiting and random.random() < 0.5:
            at, key, value = self.waiting.pop(0 if self.ordered else random.randrange(len(self.waiting)))
            self.copies[at][key] = value
        home = random.randrange(len(self.copies)) if random.random() < self.roams else call.process % len(self.copies)
        copy = self.copies[home]
        if call.f == "read":
            if random.random() < self.odd:
                return random.choice([None, 1, 2, 3, 4, 5, 6])
            return copy.get(call.key)
        if call.f == "cas" and copy.get(call.key) != call.value[0] and random.random() > self.odd:
            return FAILED
        value = call.value[1] if call.f == "cas" else call.value
        copy[call.key] = value
        self.waiting += [(at, call.key, value) for at in range(len(self.copies)) if at != home]
        if random.random() < self.odd:
            return FAILED
        return None


def _passed_on(random: randomness.Random) -> list[Call]:
    """Word that goes from client to client, until one is answered what it may or may not believe after all that."""
    told = [(0, "write", 0, 1), (1, "read", 0, 1), (1, "write", 0, 2), (1, "write", 1, 3), (2, "read", 1, 3)]
    told = [one for one in told if random.random() < 0.9]
    told.append((2, "read", 0, random.choice([None, 1, 2])))
    calls = []
    for number, (process, f, key, value) in enumerate(told):
        asked, answer = (None, value) if f == "read" else (value, None)
        calls.append(Call(process, f, asked, key, answer, invoked=2 * number + 1, completed=2 * number + 2))
    return calls


def _subject(name: str, model: str, legal: Callable[[list[Call]], bool], roams: float, odd: float = 0.0) -> Subject:
    def load() -> Any:
        from chaoskit.registry import load

        return load("model", model)

    def history(random: randomness.Random) -> list[Call]:
        if legal is _causal and random.random() < 0.08:
            return _passed_on(random)
        keys = 2 if legal is _causal and random.random() < 0.7 else random.choice([1, 1, 2, 3])
        written = [0]

        def ask(number: int, random: randomness.Random) -> Call:
            key = random.randrange(keys) if keys > 1 else None
            kind = random.random()
            if kind < 0.55 or (kind < 0.85 and written[0] >= 5):
                return Call(0, "read", key=key)
            written[0] += 1
            if model == "cas-register" and kind < 0.85:
                old = random.choice([None, *range(1, written[0])])
                return Call(0, "cas", [old, written[0]], key=key)
            return Call(0, "write", written[0], key=key)

        wild = odd if random.random() < 0.3 else 0.0
        ordered = random.random() < (0.1 if legal is _causal else 0.5)
        system = Replicas(random, roams if random.random() < 0.6 else 0.0, ordered, wild)
        count = random.randint(6, 10)
        return simulate(ask, system, count=count, processes=3, random=random, info=0.38, fails=0.05)

    level = name.rpartition("-at-")[0]
    return Subject(name, load, history, legal, Options(consistency=level, budget=30), gate=1250)


READ_YOUR_WRITES = _subject("read-your-writes-at-registers", "register", _session(_own_writes), 0.9, 0.6)
MONOTONIC_READS = _subject("monotonic-reads-at-registers", "cas-register", _session(_monotonic), 0.9, 0.6)
CAUSAL = _subject("causal-at-registers", "register", _causal, 0.7, 0.4)
SEQUENTIAL = _subject("sequential-at-registers", "cas-register", _sequential, 0.6, 0.3)
SUBJECTS = [READ_YOUR_WRITES, MONOTONIC_READS, CAUSAL, SEQUENTIAL]

# What follows without trying orders decides nothing in small histories, because there all orders can be tried. In a
# crowd of clients who write registers of their own they cannot: here the truth is known from how a history was made.

_NIL, _ANSWERED, _WAITS = "shown nothing", "answered before the next write", "two writes, and answers of the first"


def _crowded(random: randomness.Random) -> list[Call]:
    """Two clients who each miss what the other wrote, or might have, among many who have nothing to do with them."""
    kind, contradiction = random.choice([_NIL, _ANSWERED, _WAITS]), random.random() < 0.5
    clients: list[list[tuple[str, Any, int | None]]] = [[("write", f"own {n}", v) for v in range(4)] for n in range(8)]
    if kind == _NIL:
        clients += [[("write", "x", 1), ("read", "y", None if contradiction else 1)]]
        clients += [[("write", "y", 1), ("read", "x", None)]]
    elif kind == _ANSWERED:
        clients += [[("write", "x", 1), ("write", "y", 1)]]
        clients += [[("read", "x", 1), ("write", "x", 2), ("read", "y", 1)]]
        clients += [[("read", "y", 1), ("write", "y", 2), ("read", "x", 1 if contradiction else 2)]]
    else:
        clients = [[("write", key, value)] for key in range(16) for value in (1, 2)]
        clients += [[("read", key, 1) for key in reversed(range(16))]]
    calls: list[Call] = []
    for step in range(max(map(len, clients))):
        for process, own in enumerate(clients):
            if step < len(own):
                f, key, value = own[step]
                asked, answer = (None, value) if f == "read" else (value, None)
                at = 2 * len(calls) + 1
                calls.append(Call(process, f, asked, key=key, result=answer, invoked=at, completed=at + 1))
    return calls


def _made_right(calls: list[Call]) -> bool:
    answers = {(call.key, call.result): call for call in calls if call.f == "read"}
    both_nothing = ("x", None) in answers and ("y", None) in answers
    both_first = ("x", 1) in answers and ("y", 1) in answers and ("x", 2) not in answers
    return not both_nothing and not both_first


CROWDED = Subject(
    "sequential-in-a-crowd", SEQUENTIAL.model, _crowded, _made_right, Options(consistency="sequential", budget=2)
)
_SESSIONS, _CAUSAL = "chaoskit/checks/session_registers.py", "chaoskit/checks/causal.py"
_SEQUENTIAL, _LANES = "chaoskit/checks/sequential.py", "chaoskit/checks/lanes.py"


def _mutant(subject: str, rule: str, file: str, old: str, new: str, count: int = 3000) -> Mutant:
    return Mutant(f"histories.levels:{subject}", rule, file, old, new, count)


MUTANTS = [
    _mutant(
        "MONOTONIC_READS",
        "nothing is older than something",
        _SESSIONS,
        "nothing = known & (self.wrote == NONE)",
        "nothing = known & (self.wrote < NONE)",
    ),
    _mutant(
        "MONOTONIC_READS",
        "answers put writes into an order",
        _SESSIONS,
        "part, inside = self.by_key.joined(forced).knotted(",
        "part, inside = self.by_key.knotted(",
        20_000,
    ),
    _mutant(
        "READ_YOUR_WRITES", "own writes count", _SESSIONS, "writing[self.writes] = True", "writing[self.writes] = False"
    ),
    _mutant(
        "MONOTONIC_READS",
        "clients are apart",
        _LANES,
        "np.unique(operations.session, return_inverse=True)",
        "np.unique(operations.session * 0, return_inverse=True)",
    ),
    _mutant(
        "CAUSAL",
        "no answer of nothing after its causes",
        _CAUSAL,
        "found = [_missed(story, ways, pairs, nothing, False), ",
        "found = [",
        20_000,
    ),
    _mutant(
        "CAUSAL",
        "no answer of what was replaced before it",
        _CAUSAL,
        "pairs.later, True)]",
        "pairs.later & False, True)]",
    ),
    _mutant(
        "CAUSAL",
        "writes have one order",
        _CAUSAL,
        "story.whole.joined(forced.where(apart)).knotted(",
        "story.whole.knotted(",
        20_000,
    ),
    _mutant(
        "CROWDED",
        "who was shown nothing comes first",
        _SEQUENTIAL,
        "steps = story.whole.joined(_from_nothing(story))",
        "steps = story.whole",
        20,
    ),
    _mutant(
        "CROWDED",
        "who is answered comes before the next write",
        _SEQUENTIAL,
        "new = (reader != later) & ~columns",
        "new = (reader < 0) & ~columns",
        20,
    ),
    _mutant(
        "CROWDED",
        "a write waits for those who are to see what it replaces",
        "chaoskit/checks/ordering.py",
        "return self._left.get((key, self._now[key]), 0) == mine",
        "return True",
        20,
    ),
]
