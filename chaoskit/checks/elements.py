"""What lists, sets and queues share: keys and elements by number, what reads answered, and extremes within segments."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.forms import unlike
from chaoskit.history.operation import NONE
from chaoskit.history.operations import NEVER, Operations
from chaoskit.history.values import Keyword, identity, shown

__all__ = [
    "Answered",
    "Indexes",
    "Ranks",
    "above_ranks",
    "ahead_max",
    "behind_min",
    "collections",
    "dense",
    "extremes",
    "unstamped",
    "without_value",
]

Ranks = NDArray[np.int64]
Indexes = NDArray[np.int64]
_PLAIN = {int, str, Keyword}  # of these, Python's equality is ours


def without_value(operations: Operations, positions: Indexes, noun: str) -> None:
    """Raise HistoryError where an operation that must name an element names none."""
    bare = positions[operations.value[positions] == NONE]
    if len(bare):
        hint = f"the value of the operation is the {noun}; nil is none"
        raise unlike(operations, int(bare[0]), f"names no {noun}", hint=hint)


def dense(operations: Operations) -> Indexes:
    """Keys as numbers from 0, one per operation; where there are no keys everything is of one."""
    if not len(operations) or (operations.key == operations.key[0]).all():
        return np.zeros(len(operations), dtype=np.int64)
    return np.unique(operations.key, return_inverse=True)[1]


def collections(
    operations: Operations, adds: Indexes, reads: Indexes, noun: str
) -> tuple[dict[int, Collection[Any]], dict[Any, int]]:
    """What reads answered, by result id (nil is empty), and the value ids of all elements that were ever asked for.

    Elements stand in both as their identities, so that True is never taken for 1.

    Raises:
        HistoryError: an answer is neither a list nor a set. The history's fault.
    """
    found: dict[int, Collection[Any]] = {}
    for number in dict.fromkeys(operations.result[reads].tolist()):
        value = () if number == NONE else operations.values[number]
        if not isinstance(value, tuple | frozenset) or (noun == "list" and isinstance(value, frozenset)):
            at = int(reads[np.argmax(operations.result[reads] == number)])
            raise unlike(operations, at, f"does not answer a {noun}", hint=f"a read answers the whole {noun}: [1 2 3]")
        found[number] = value
    asked = {number: operations.values[number] for number in operations.value[adds].tolist()}
    types = set(map(type, asked.values()))
    for value in found.values():
        types.update(map(type, value))
    if types <= _PLAIN:
        return found, {value: number for number, value in asked.items()}
    for number, value in found.items():
        found[number] = type(value)(map(identity, value))  # type: ignore[call-arg]
    return found, {identity(value): number for number, value in asked.items()}


@dataclass(frozen=True, eq=False)
class Answered:
    """A history of objects that are added to and read whole.

    Attributes:
        keys: dense keys of all operations. adds, reads: positions of the additions, and of the answered reads.
        found: what reads answered, by result id. numbers: value ids of all elements; both as `collections` gives them.
    """

    operations: Operations
    keys: Indexes
    adds: Indexes
    reads: Indexes
    found: dict[int, Collection[Any]]
    numbers: dict[Any, int]

    @classmethod
    def of(cls, operations: Operations, add: str, noun: str) -> Answered:
        """Take a history apart.

        Args:
            add: what an addition is called. noun: what a read answers, "list" or "set".

        Raises:
            HistoryError: an addition of nil, or an answer that is no such collection. The history's fault.
        """
        adds = np.flatnonzero(operations.named(add))
        reads = np.flatnonzero(operations.named("read") & operations.ok)
        without_value(operations, adds, "element")
        return cls(operations, dense(operations), adds, reads, *collections(operations, adds, reads, noun))

    def different(self) -> tuple[Indexes, Indexes, Indexes, Indexes]:
        """What was answered about each key, every answer once.

        Returns:
            The key and the result id of each of them, how many elements it holds, and of each read which of them it is.
        """
        wide = len(self.operations.values) + 1
        pairs, pair = np.unique(
            self.keys[self.reads] * wide + self.operations.result[self.reads] + 1, return_inverse=True
        )
        number = pairs % wide - 1
        sizes = np.fromiter(map(len, map(self.found.__getitem__, number.tolist())), np.int64, len(pairs))
        return pairs // wide, number, sizes, pair


def above_ranks(operations: Operations) -> int:
    """A bound that is greater than every rank of an event by 3 at least, NEVER left aside."""
    known = operations.completed[operations.completed != NEVER]
    return 3 + max(int(operations.invoked.max(initial=0)), int(known.max(initial=0)))


def ahead_max(values: Ranks, segment: Indexes, bound: int) -> Ranks:
    """At each place the greatest value of its segment so far. Segments ascend; values lie in [0, bound)."""
    return np.maximum.accumulate(values + segment * bound) - segment * bound if len(values) else values


def behind_min(values: Ranks, segment: Indexes, bound: int) -> Ranks:
    """At each place the least value of its segment from here on. Segments ascend; values lie in [0, bound)."""
    if not len(values):
        return values
    return np.minimum.accumulate((values + segment * bound)[::-1])[::-1] - segment * bound


def extremes(values: Ranks, begins: Indexes, ends: Indexes, of: np.ufunc) -> Ranks:
    """Least or greatest (`np.minimum`, `np.maximum`) of values[begin:end] for many stretches, none of them empty.

    By a table of the extremes of all stretches whose length is a power of two: n log n once, then two looks each.
    """
    if not len(begins):
        return np.empty(0, dtype=np.int64)
    rows = [values]
    while 2 ** len(rows) <= int((ends - begins).max()):
        half = 2 ** (len(rows) - 1)
        rows.append(of(rows[-1][:-half], rows[-1][half:]))
    found = np.empty(len(begins), dtype=np.int64)
    power = np.frexp(ends - begins)[1] - 1  # of the greatest power of two within
    for number, row in enumerate(rows):
        mine = power == number
        found[mine] = of(row[begins[mine]], row[ends[mine] - 2**number])
    return found


def unstamped(operations: Operations, keys: Indexes, out: Indexes, done: str) -> tuple[str, ...]:
    """Why keys (dense numbers, at least one) are left out: an element of theirs was `done` ("appended") twice.

    Nobody can tell then which of the two a read shows, or whether one of them took effect twice.
    """
    firsts = [int(operations.key[np.argmax(keys == one)]) for one in out[:3].tolist()]
    names = ", ".join(shown(operations.of_value(one))[:40] for one in firsts)
    more = f" and {len(out) - 3} more" if len(out) > 3 else ""
    of = "" if firsts == [NONE] else f" of {'key' if len(out) == 1 else 'keys'} {names}{more}"
    return (f"elements{of} were {done} more than once and cannot be told apart: give every operation its own value",)
