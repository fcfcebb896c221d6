"""Model `fifo-queue`: what went in first comes out first; exact for unique elements, in n log n.

Operations: `enqueue` (value: the element, unique per key) and `dequeue` (answers the element; nil: the queue was empty;
a failed dequeue took nothing). Four patterns are all that can be wrong, once every element is unique:

    fresh    an element came out that was never put in (thin-air), whose enqueue failed (aborted-read, resurrection),
             or before its enqueue began (future-read)
    repeat   an element came out twice (duplicate)
    order    a was acknowledged before the enqueue of b began, and b had come out before the dequeue of a began
             (reordered), or a never came out (lost)
    witness  the queue was said to be empty, but at every instant of that dequeue some element was certainly in it:
             one throughout (nil-after-ack), or several that relieved each other (never-empty)

An enqueue of unknown outcome counts if its element came out (by the end of that dequeue at the latest), else it never
happened. A dequeue of unknown outcome may have taken any element that never came out, from its invocation on; so what
never came out counts as in the queue only until then. That is sound but not complete: `exact` is False where a queue
has both such a dequeue and an acknowledged element that never came out.

Source: Bouajjani, Emmi, Enea and Hamza, On Reducing Linearizability to State Reachability (ICALP 2015), and Henzinger,
Sezgin and Vafeiadis, Aspect-Oriented Linearizability Proofs (CONCUR 2013).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.additions import Additions
from chaoskit.checks.altering import DEQUEUES
from chaoskit.checks.elements import Indexes, Ranks, above_ranks, ahead_max, dense, unstamped, without_value
from chaoskit.checks.forms import only
from chaoskit.checks.grown import EVERY_LEVEL
from chaoskit.checks.levels import OBJECTS, weakest
from chaoskit.checks.result import Alteration, Anomaly, Options, Result, judged
from chaoskit.checks.words import called, shortened
from chaoskit.history.operation import NONE
from chaoskit.history.operations import NEVER, Operations
from chaoskit.history.values import shown
from chaoskit.units import format_count

__all__ = ["MODEL", "FifoQueue"]

_EXPECTED = "what went in first comes out first, once, and the queue is empty only when it is"
_Told = tuple[tuple[int, ...], str]


class FifoQueue:
    """Queues per key; `exposed` are answered dequeues that began after an enqueue had been acknowledged."""

    name = "fifo-queue"
    summary = "enqueue x / dequeue: elements come out in the order in which they went in, each of them once"
    functions = frozenset({"enqueue", "dequeue"})
    levels: tuple[str, ...] = ("linearizable",)
    alterations: tuple[Alteration, ...] = DEQUEUES
    per_key = True

    def check(self, operations: Operations, options: Options) -> Result:
        """Judge a history; see the module for the rules."""
        only(operations, self.name, self.functions)
        keys = dense(operations)
        puts = np.flatnonzero(operations.named("enqueue"))
        takes = np.flatnonzero(operations.named("dequeue"))
        without_value(operations, puts, "element")
        additions = Additions.of(operations, keys, puts)
        reasons: tuple[str, ...] = ()
        if additions.repeated.any():
            out = np.unique(additions.key[additions.repeated])
            reasons = unstamped(operations, keys, out, "enqueued")
            puts, takes = puts[~np.isin(keys[puts], out)], takes[~np.isin(keys[takes], out)]
            additions = Additions.of(operations, keys, puts)
        queue = _Queue(operations, keys, takes, additions)
        told = _anomalies(queue)
        return judged(
            self.name,
            "linearizable",
            _EXPECTED,
            len(operations),
            queue.exposed,
            told,
            reasons=reasons,
            notes=queue.notes,
            exact=not queue.notes,
            refuted=weakest((one.level for one in told), OBJECTS),
            not_refuted=None if told or reasons else "linearizable",
        )


MODEL = FifoQueue()


@dataclass(frozen=True, eq=False)
class _Before:
    """Intervals (left, right) of some keys, and which right end is the furthest of those that begin before a rank."""

    key: Indexes
    left: Ranks
    right: Ranks
    bound: int

    @cached_property
    def _order(self) -> Indexes:
        return np.lexsort((self.left, self.key))

    @cached_property
    def _place(self) -> Ranks:
        return (self.key * self.bound + self.left)[self._order]

    @cached_property
    def _furthest(self) -> Ranks:
        return ahead_max(self.right[self._order], self.key[self._order], self.bound)

    def furthest(self, key: Indexes, rank: Ranks) -> Ranks:
        """Greatest right end among intervals of a key whose left end is below a rank; -1 where there is none."""
        if not len(self.key):
            return np.full(len(key), -1, dtype=np.int64)
        at = np.searchsorted(self._place, key * self.bound + rank) - 1
        inside = (at >= 0) & (self.key[self._order][at] == key)
        return np.where(inside, self._furthest[at], -1)

    def which(self, key: int, rank: int) -> int:
        """The interval behind one answer of `furthest`."""
        mine = np.flatnonzero((self.key == key) & (self.left < rank))
        return int(mine[np.argmax(self.right[mine])])

    @cached_property
    def blocks(self) -> _Before:
        """Unions of intervals that overlap. What only touches leaves an instant between."""
        key, left = self.key[self._order], self.left[self._order]
        begins = np.ones(len(key), dtype=np.bool_)
        begins[1:] = (key[1:] != key[:-1]) | (left[1:] >= self._furthest[:-1])
        first = np.flatnonzero(begins)
        last = np.append(first[1:], len(key)) - 1 if len(first) else first
        return _Before(key[first], left[first], self._furthest[last], self.bound)


@dataclass(frozen=True, eq=False)
class _Queue:
    """A history of queues, decoded. Groups are elements, as in `Additions`."""

    operations: Operations
    keys: Indexes
    takes: Indexes
    additions: Additions

    @cached_property
    def bound(self) -> int:
        """Above all ranks: what never came out comes out at bound - 1."""
        return above_ranks(self.operations)

    @cached_property
    def out(self) -> Indexes:
        """Positions of dequeues that answered an element, in order of invocation."""
        return self._answered(np.not_equal)

    @cached_property
    def empty(self) -> Indexes:
        """Positions of dequeues that said the queue was empty."""
        return self._answered(np.equal)

    def _answered(self, nothing: Callable[..., NDArray[np.bool_]]) -> Indexes:
        ok = self.takes[self.operations.ok[self.takes]]
        return np.asarray(ok[nothing(self.operations.result[ok], NONE)], dtype=np.int64)

    @cached_property
    def group(self) -> Indexes:
        """Of each of `out`: the element; NONE where it was never put in."""
        return self.additions.find(self.keys[self.out], self.operations.result[self.out])

    @cached_property
    def again(self) -> NDArray[np.bool_]:
        """Of each of `out`: whether the element had come out by an earlier dequeue."""
        code = self.keys[self.out] * self.additions.width + self.operations.result[self.out]
        found = np.ones(len(code), dtype=np.bool_)
        found[np.unique(code, return_index=True)[1]] = False
        return found

    @cached_property
    def taken(self) -> Indexes:
        """Of each element: position of its first dequeue; NONE."""
        found = np.full(len(self.additions.code), NONE, dtype=np.int64)
        known = self.group != NONE
        found[self.group[known][::-1]] = self.out[known][::-1]
        return found

    @cached_property
    def unknown(self) -> Ranks:
        """Of each key: when the first dequeue of unknown outcome was invoked; bound - 1 where there is none."""
        found = np.full(int(self.keys.max(initial=0)) + 1, self.bound - 1, dtype=np.int64)
        open_ended = self.takes[self.operations.info[self.takes]]
        np.minimum.at(found, self.keys[open_ended], self.operations.invoked[open_ended])
        return found

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What was not looked at to the end."""
        inside = (self.taken == NONE) & (self.additions.known != NEVER)
        inside &= self.unknown[self.additions.key] < self.bound - 1
        if not inside.any():
            return ()
        count = int(np.count_nonzero(inside))
        return (
            f"{format_count(count)} acknowledged {'element' if count == 1 else 'elements'} that never came out may "
            "have been taken by dequeues of unknown outcome: from then on they were not counted as in the queue "
            "(only conditions that are necessary were checked)",
        )

    @cached_property
    def inside(self) -> tuple[Indexes, _Before]:
        """Elements that certainly were in a queue, and from when to when: after the acknowledgement (or the dequeue,
        where the outcome of the enqueue is unknown), before the dequeue began."""
        own, taken = self.additions, self.taken
        entered = np.where(own.known != NEVER, own.known, np.where(taken == NONE, NEVER, self._at(taken, "completed")))
        left = np.where(taken == NONE, self.unknown[own.key], self._at(taken, "invoked"))
        groups = np.flatnonzero((own.first != NONE) & (entered != NEVER))
        return groups, _Before(own.key[groups], entered[groups], left[groups], self.bound)

    def _at(self, positions: Indexes, column: str) -> Ranks:
        values: Ranks = getattr(self.operations, column)
        return values[positions] if len(positions) else positions

    @cached_property
    def exposed(self) -> int:
        """Answered dequeues that began after something had been acknowledged."""
        first = np.full(int(self.keys.max(initial=0)) + 1, NEVER, dtype=np.int64)
        np.minimum.at(first, self.additions.key, self.additions.known)
        answered = self.takes[self.operations.ok[self.takes]]
        return int(np.count_nonzero(first[self.keys[answered]] < self.operations.invoked[answered]))


def _anomalies(queue: _Queue) -> tuple[Anomaly, ...]:
    operations, own, out, group = queue.operations, queue.additions, queue.out, queue.group
    known = group != NONE
    failed = np.zeros(len(out), dtype=np.bool_)
    failed[known] = own.failed[group[known]] != NONE
    told = np.zeros(len(out), dtype=np.int64)
    told[failed] = own.told[group[failed]]
    late = failed & (told < operations.invoked[out])
    early = np.zeros(len(out), dtype=np.bool_)
    early[known] = own.began[group[known]] > operations.completed[out[known]]

    def name(position: int) -> str:
        return called(operations, int(position))

    def put_of(one: int, what: str) -> _Told:
        put = int(own.failed[group[one]] if own.first[group[one]] == NONE else own.first[group[one]])
        return (put, int(out[one])), f"{name(out[one])} took what {name(put)} {what}"

    def thin(one: int) -> _Told:
        return (int(out[one]),), f"{name(out[one])} took an element that nobody ever enqueued"

    def twice(one: int) -> _Told:
        same = (operations.result[out] == operations.result[out[one]]) & (queue.keys[out] == queue.keys[out[one]])
        before = int(out[np.argmax(same)])
        put = (int(own.first[group[one]]),) if known[one] and own.first[group[one]] != NONE else ()
        return (*put, before, int(out[one])), f"{name(out[one])} took what {name(before)} had taken"

    found: list[Anomaly] = []

    def add(kind: str, level: str, mask: NDArray[np.bool_], over: Indexes, tell: Callable[[int], _Told]) -> None:
        if mask.any():
            witness, sentence = tell(int(np.argmax(mask)))
            found.append(Anomaly(kind, level, int(np.count_nonzero(mask)), witness, sentence, over[mask]))

    groups, inside = queue.inside
    came = queue.taken[groups] != NONE
    later = np.flatnonzero((queue.taken != NONE) & (own.first != NONE))
    for kind, chosen in (("lost", ~came), ("reordered", came)):
        ahead = _Before(inside.key[chosen], inside.left[chosen], inside.right[chosen], queue.bound)
        overtaken = ahead.furthest(own.key[later], own.began[later]) > operations.completed[queue.taken[later]]

        def order(one: int, ahead: _Before = ahead, chosen: NDArray[np.bool_] = chosen) -> _Told:
            b = int(later[one])
            a = int(groups[chosen][ahead.which(int(own.key[b]), int(own.began[b]))])
            put = int(own.first[a] if own.acknowledged[a] == NONE else own.acknowledged[a])
            before = f"{name(put)} had ended before {name(own.first[b])} began, but {name(queue.taken[b])} "
            witness = (put, int(own.first[b]), int(queue.taken[b]))
            element = shortened(shown(operations.values[int(own.value[a])]))
            if queue.taken[a] == NONE:
                return witness, f"{before}took the later element, and {element} never came out"
            return (
                *witness,
                int(queue.taken[a]),
            ), f"{before}had taken the later element before {name(queue.taken[a])} began"

        add(kind, "linearizable", overtaken, queue.taken[later], order)
    add("resurrection", EVERY_LEVEL, late, out, lambda one: put_of(one, "had been told to have failed to put in"))
    add("aborted-read", EVERY_LEVEL, failed & ~late, out, lambda one: put_of(one, "failed to put in"))
    add("thin-air", EVERY_LEVEL, ~known, out, thin)
    add("duplicate", EVERY_LEVEL, queue.again, out, twice)
    add("future-read", "linearizable", early, out, lambda one: put_of(one, "had not even begun to put in"))
    found += _never_empty(queue)
    return tuple(found)


def _never_empty(queue: _Queue) -> list[Anomaly]:
    operations, empty = queue.operations, queue.empty
    groups, inside = queue.inside
    keys, began, ended = queue.keys[empty], operations.invoked[empty], operations.completed[empty]
    by_one = inside.furthest(keys, began) > ended
    by_many = (_proper(inside).blocks.furthest(keys, began) > ended) & ~by_one
    found = []
    for kind, mask in (("nil-after-ack", by_one), ("never-empty", by_many)):
        if not mask.any():
            continue
        covers = [
            (_cover(inside, int(keys[one]), int(began[one]), int(ended[one])), one)
            for one in np.flatnonzero(mask)[:100]
        ]
        cover, one = min(covers, key=lambda entry: len(entry[0]))
        put = [_put(queue, int(groups[place])) for place in cover]
        taken = [int(queue.taken[groups[place]]) for place in cover if queue.taken[groups[place]] != NONE]
        elements = ", then ".join(
            shown(operations.values[int(queue.additions.value[groups[place]])]) for place in cover
        )
        sentence = f"{called(operations, int(empty[one]))} found the queue empty, but {elements} was in it all the time"
        if kind == "nil-after-ack":
            sentence += f": {called(operations, put[0])} had ended before"
        witness = tuple(dict.fromkeys([*put, int(empty[one]), *taken]))
        large = kind == "never-empty"  # as many elements as relieved each other
        count = int(np.count_nonzero(mask))
        found.append(Anomaly(kind, "linearizable", count, witness, sentence, empty[mask], large=large))
    return found


def _put(queue: _Queue, group: int) -> int:
    acknowledged = int(queue.additions.acknowledged[group])
    return int(queue.additions.first[group]) if acknowledged == NONE else acknowledged


def _proper(intervals: _Before) -> _Before:
    some = intervals.left < intervals.right
    return _Before(intervals.key[some], intervals.left[some], intervals.right[some], intervals.bound)


def _cover(intervals: _Before, key: int, began: int, ended: int) -> list[int]:
    """The fewest intervals that cover a stretch, from left to right: always the one that reaches furthest."""
    chosen, at = [], began
    while at <= ended:
        place = intervals.which(key, at)
        chosen.append(place)
        at = int(intervals.right[place])
    return chosen
