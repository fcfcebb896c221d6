"""What was seen of every element of sets: when it was known to be there, which reads show it, and which miss it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.additions import Additions
from chaoskit.checks.elements import Answered, Indexes, Ranks, extremes
from chaoskit.history.operation import NONE
from chaoskit.history.operations import NEVER, Operations

__all__ = ["Fates", "fates_of"]


@dataclass(frozen=True, eq=False)
class Fates:
    """What was seen of every element.

    Attributes:
        reads: positions of answered reads, by key and then in order of invocation; `read_key` their keys.
        found: answers by result id. twice: mask over reads: shows an element more than once.
        group, begins, ends: stretches of consecutive `reads` that show an element (place in `additions`; NONE: nobody
            ever asked for it), by element and then in order.
    """

    operations: Operations
    additions: Additions
    reads: Indexes
    read_key: Indexes
    found: Mapping[int, Collection[Any]]
    twice: NDArray[np.bool_]
    group: Indexes
    begins: Indexes
    ends: Indexes

    @cached_property
    def invoked(self) -> Ranks:
        """Ranks of the reads' invocations."""
        return self.operations.invoked[self.reads]

    @cached_property
    def completed(self) -> Ranks:
        """Ranks of the reads' completions."""
        return self.operations.completed[self.reads]

    @cached_property
    def first_ended(self) -> Ranks:
        """Of each stretch: the earliest completion of its reads."""
        return extremes(self.completed, self.begins, self.ends, np.minimum)

    @cached_property
    def _added(self) -> NDArray[np.bool_]:
        """Stretches of elements that may have been added."""
        added: NDArray[np.bool_] = self.group != NONE
        added[added] = self.additions.first[self.group[added]] != NONE
        return added

    @cached_property
    def known(self) -> Ranks:
        """Of each element: from when on it was known to be there; NEVER. Failed additions are never known."""
        found = np.where(self.additions.first == NONE, NEVER, self.additions.known)
        np.minimum.at(found, self.group[self._added], self.first_ended[self._added])
        return found

    @cached_property
    def last_ended(self) -> Ranks:
        """Of each element: the latest completion of a read that shows it; -1."""
        found = np.full(len(self.additions.code), -1, dtype=np.int64)
        last = extremes(self.completed, self.begins, self.ends, np.maximum)
        np.maximum.at(found, self.group[self._added], last[self._added])
        return found

    @cached_property
    def last_shown(self) -> Indexes:
        """Of each element: the last of `reads` that shows it; -1."""
        found = np.full(len(self.additions.code), -1, dtype=np.int64)
        np.maximum.at(found, self.group[self._added], self.ends[self._added] - 1)
        return found

    @cached_property
    def _of_key(self) -> tuple[Indexes, Indexes]:
        """Of each element: where the reads of its key begin and end."""
        own = self.additions.key
        return np.searchsorted(self.read_key, own), np.searchsorted(self.read_key, own, side="right")

    @cached_property
    def last_missed(self) -> Indexes:
        """Of each element: the last of `reads` that does not show it; -1."""
        begin, end = self._of_key
        latest = np.full(len(self.additions.code), -1, dtype=np.int64)  # where the last stretch begins
        np.maximum.at(latest, self.group[self._added], self.begins[self._added])
        found = np.where((self.last_shown == end - 1) & (latest >= 0), latest, end) - 1
        return np.where(found >= begin, found, -1)

    def _began(self, reads: Indexes) -> Ranks:
        return np.where(reads >= 0, np.append(self.invoked, NONE)[reads], NONE)

    @cached_property
    def missed(self) -> NDArray[np.bool_]:
        """Elements that a read missed which began after they were known."""
        return np.greater(self._began(self.last_missed), self.known, dtype=np.bool_)

    @cached_property
    def lost(self) -> NDArray[np.bool_]:
        """Elements that were known, and that a read misses which began after all that show them had ended."""
        return self.missed & np.less(self.last_ended, self._began(self.last_missed), dtype=np.bool_)

    @cached_property
    def stable(self) -> NDArray[np.bool_]:
        """Elements that were known, and that the last read to begin shows."""
        found: NDArray[np.bool_] = (self.last_shown > self.last_missed) & (self.known != NEVER)
        return found

    @cached_property
    def looked_for(self) -> NDArray[np.bool_]:
        """Elements for which a read began after they were known."""
        begin, end = self._of_key
        return np.greater(self._began(np.where(end > begin, end - 1, -1)), self.known, dtype=np.bool_)


def fates_of(operations: Operations) -> Fates:
    """Take a history apart.

    Raises:
        HistoryError: an addition of nil, or an answer that is no collection. The history's fault.
    """
    sets = Answered.of(operations, "add", "set")
    keys, found, numbers = sets.keys, sets.found, sets.numbers
    reads = sets.reads[np.argsort(keys[sets.reads], kind="stable")]
    read_key = keys[reads]
    came: list[Collection[Any]] = []
    went: list[Collection[Any]] = []
    repeated = np.zeros(len(reads), dtype=np.bool_)
    before: frozenset[Any] = frozenset()
    last = (-1, -2)
    for place, at in enumerate(zip(read_key.tolist(), operations.result[reads].tolist(), strict=True)):
        if at == last:
            came.append(())
            went.append(())
            repeated[place] = place > 0 and repeated[place - 1]
            continue
        now = frozenset(found[at[1]])
        repeated[place] = len(now) < len(found[at[1]])
        if at[0] != last[0]:
            before = frozenset()  # another key: what stood in the one before goes on to its last read
        came.append(now - before)
        went.append(before - now)
        before, last = now, at
    strange = set(chain.from_iterable(came)) - numbers.keys()
    wide = len(operations.values)
    numbers = numbers | {element: wide + number for number, element in enumerate(strange)}
    wide += len(strange) + 1
    end_of_key = np.searchsorted(read_key, read_key, side="right")
    code, begins = _events(came, numbers, read_key, wide)
    gone, ended = _events(went, numbers, read_key, wide)
    # By element, then in order: an element that came goes before it comes again, so the n-th stretch ends at the n-th
    # going, or at the end of the key where there is none any more.
    order, order_gone = np.lexsort((begins, code)), np.lexsort((ended, gone))
    code, begins, gone, ended = code[order], begins[order], gone[order_gone], ended[order_gone]
    nth = np.arange(len(code)) - np.searchsorted(code, code)
    at_gone = np.searchsorted(gone, code) + nth
    inside = at_gone < np.searchsorted(gone, code, side="right")
    ends = np.where(inside, np.append(ended, 0)[np.where(inside, at_gone, len(ended))], end_of_key[begins])
    additions = Additions.of(operations, keys, sets.adds)
    value = code % wide
    group = additions.find(code // wide, np.where(value < len(operations.values), value, NONE))
    return Fates(operations, additions, reads, read_key, found, repeated, group, begins, ends)


def _events(
    parts: list[Collection[Any]], numbers: Mapping[Any, int], read_key: Indexes, wide: int
) -> tuple[Indexes, Indexes]:
    """Which elements (key * wide + number) came or went, and at which read."""
    sizes = np.fromiter(map(len, parts), np.int64, len(parts))
    places = np.repeat(np.arange(len(parts)), sizes)
    number = np.fromiter(map(numbers.__getitem__, chain.from_iterable(parts)), np.int64, int(sizes.sum()))
    return read_key[places] * wide + number, places
