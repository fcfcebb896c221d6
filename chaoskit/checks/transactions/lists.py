"""Lists that are only appended to: the order of their versions, recovered from what was read.

The longest list that was read of a key shows the order of all appends that anybody saw; every other read is a prefix of
it, or the two never were versions of one list. Who read which prefix says who came before whom.

Source: Kingsbury and Alvaro, Elle: Inferring Isolation Anomalies from Experimental Observations (VLDB 2020), §4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.transactions.graph import RW, WR, WW, Edges, spread
from chaoskit.checks.transactions.micro import Micro
from chaoskit.checks.transactions.writes import Writes
from chaoskit.history.operation import NONE
from chaoskit.history.operations import Operations

__all__ = ["Lists", "Reads", "Unseen"]

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
_CHUNK = 100_000  # reads compared at a time: the elements of all of them at once would take a GB
_UNSEEN = 16  # appends of one key that nobody saw, after each reader: more would be pairs without end


@dataclass(frozen=True, eq=False)
class Lists:
    """Version orders of all keys. A chain is the longest list that was read of a key; chains lie one after the other.

    Attributes:
        length: per read, how long the list was that the transaction was given: its own appends at the end left out,
            which say what it did, and not where that came to be in the order of versions.
        chain_start, chain_length: per key, in the arrays below. chain_append: append that made each element; NONE where
            nobody did.
        cut: per key, how far the chain can be trusted: up to its first element that is in it twice.
        position: per append, its place in the chain; NONE where no read in order shows it.
        seen: per append, whether any read shows it, in whatever order. last: whether it is its transaction's last on
            the key.
        compatible, sound: per read, whether it is a prefix of the chain; and of the part that can be trusted.
        keeper: per key, the longest sound read; NONE.
        stray_read, stray_append: of each element of reads that are not compatible: which read, whose append (NONE).
        committed: per transaction, whether it happened: certainly, or its outcome is unknown and somebody saw it.
    """

    operations: Operations
    micro: Micro
    length: Ints
    chain_start: Ints
    chain_length: Ints
    chain_append: Ints
    cut: Ints
    position: Ints
    seen: Mask
    last: Mask
    compatible: Mask
    sound: Mask
    keeper: Ints
    stray_read: Ints
    stray_append: Ints
    committed: Mask

    @classmethod
    def of(cls, operations: Operations, micro: Micro, left_out: Mask | None = None) -> Lists:
        """Recover the orders.

        Args:
            left_out: transactions that are not to be ordered; `micro` has no reads of theirs.

        Raises:
            HistoryError: a value is appended twice to a key, so nobody can tell whose it is. The history's fault.
        """
        keys = micro.key_count
        find = Writes(operations, micro)
        given = micro.length - _own_tails(micro, find)
        length = np.zeros(keys, dtype=np.int64)
        np.maximum.at(length, micro.read_key, given)
        start = np.cumsum(length) - length
        longest = _first_of_length(micro, np.ones(len(given), dtype=np.bool_), given, length)
        chain = micro.elements[spread(np.append(micro.start, 0)[longest], length)]
        chain_key = np.repeat(np.arange(keys, dtype=np.int64), length)
        place = np.arange(len(chain), dtype=np.int64) - start[chain_key]

        chain_append = find(chain_key, chain)
        cut = length.copy()
        twice = _repeated(chain_key, chain)
        np.minimum.at(cut, chain_key[twice], place[twice])
        compatible = _prefixes(micro, given, chain, start)
        sound = compatible & (given <= cut[micro.read_key])

        position = np.full(len(micro.write_txn), NONE, dtype=np.int64)
        known = (chain_append != NONE) & (place < cut[chain_key])
        position[chain_append[known]] = place[known]
        strays = np.flatnonzero(~compatible)
        stray_read = np.repeat(strays, given[strays])
        stray_elements = micro.elements[spread(micro.start[strays], given[strays])]
        stray_append = find(micro.read_key[stray_read], stray_elements)
        seen = np.zeros(len(micro.write_txn), dtype=np.bool_)
        seen[chain_append[chain_append != NONE]] = True
        seen[stray_append[stray_append != NONE]] = True
        committed = operations.ok.copy()
        committed[micro.write_txn[seen]] |= operations.info[micro.write_txn[seen]]
        if left_out is not None:
            committed &= ~left_out

        group = micro.write_txn * keys + micro.write_key
        last = np.ones(len(group), dtype=np.bool_)
        order = np.argsort(group, kind="stable")
        last[order[:-1]] = group[order[1:]] != group[order[:-1]]
        keeper_length = np.zeros(keys, dtype=np.int64)
        np.maximum.at(keeper_length, micro.read_key[sound], given[sound])
        keeper = _first_of_length(micro, sound, given, keeper_length)
        return cls(
            operations,
            micro,
            given,
            start,
            length,
            chain_append,
            cut,
            position,
            seen,
            last,
            compatible,
            sound,
            keeper,
            stray_read,
            stray_append,
            committed,
        )

    def clean(self) -> Lists:
        """The same without transactions that read a key of which reads contradict each other, or have an element twice:
        who of them is wrong is unknown, so no order is concluded for any of them.

        What is concluded from the rest is as sound: a legal history stays legal when less of it is told.
        """
        if self.sound.all():
            return self
        keys = np.zeros(self.micro.key_count, dtype=np.bool_)
        keys[self.micro.read_key[~self.sound]] = True
        muddled = np.zeros(len(self.operations), dtype=np.bool_)
        muddled[self.micro.read_txn[keys[self.micro.read_key]]] = True
        return Lists.of(self.operations, self.micro.without_reads(muddled), muddled)

    def edges(self) -> tuple[Edges, Reads, Unseen]:
        """Who comes before whom, what every read saw, and the appends that nobody saw. For clean lists."""
        micro, order = self.micro, _Known(self)
        reads = order.reads()
        pairs = [order.writes(), reads.dependencies()]
        after = np.flatnonzero(reads.following == NONE)
        unseen = Unseen.of(self)
        pairs.append((WW, *unseen.after(np.arange(micro.key_count), order.last_of_key(), None)))
        pairs.append((RW, *unseen.after(micro.read_key[after], micro.read_txn[after], _UNSEEN)))
        pairs.append(reads.antidependencies())
        label = np.concatenate([np.full(len(one[1]), one[0], dtype=np.uint8) for one in pairs])
        source, target, write = (np.concatenate([one[n] for one in pairs]) for n in (1, 2, 3))
        real = (source != target) & (source != NONE)
        return Edges(source[real], target[real], label[real], write[real]), reads, unseen

    def before(self, append: int) -> int:
        """The append of a committed transaction that is next before another in the order of versions; NONE = none."""
        key = int(self.micro.write_key[append])
        start, place = int(self.chain_start[key]), int(self.position[append])
        end = int(self.cut[key]) if place == NONE else place
        for at in range(start + end - 1, start - 1, -1):
            found = int(self.chain_append[at])
            if found != NONE and self.committed[self.micro.write_txn[found]]:
                return found
        return NONE


class _Known:
    """The chains without what is not known to have been committed: appends in order of versions, key after key."""

    def __init__(self, lists: Lists) -> None:
        self.lists, micro = lists, lists.micro
        key = np.repeat(np.arange(micro.key_count, dtype=np.int64), lists.chain_length)
        known = lists.chain_append != NONE
        known[known] = lists.committed[micro.write_txn[lists.chain_append[known]]]
        self.append = lists.chain_append[known]
        self.key = key[known]
        self.txn = micro.write_txn[self.append]
        self.count = np.concatenate([[0], np.cumsum(known)])  # how many before a place in the chains

    def writes(self) -> tuple[int, Ints, Ints, Ints]:
        """Each append is followed by the next one."""
        same = self.key[1:] == self.key[:-1]
        return WW, self.txn[:-1][same], self.txn[1:][same], self.append[1:][same]

    def last_of_key(self) -> Ints:
        """Who appended last to each key, as far as anybody saw; NONE."""
        lists = self.lists
        low = self.count[lists.chain_start]
        end = self.count[lists.chain_start + lists.chain_length]
        return np.where(end > low, np.append(self.txn, NONE)[end - 1], NONE)

    def reads(self) -> Reads:
        """What the reads saw."""
        lists, key = self.lists, self.lists.micro.read_key
        low = self.count[lists.chain_start[key]]
        end = self.count[lists.chain_start[key] + lists.chain_length[key]]
        seen = self.count[lists.chain_start[key] + lists.length]
        append = np.append(self.append, NONE)
        last = np.where(seen > low, append[seen - 1], NONE)
        return Reads(lists, last, np.where(seen < end, append[seen], NONE))


@dataclass(frozen=True, eq=False)
class Reads:
    """What every read saw: the last append in it, and the first one that is not (NONE = none)."""

    lists: Lists
    last: Ints
    following: Ints

    def dependencies(self) -> tuple[int, Ints, Ints, Ints]:
        """Who appended last comes before who read it."""
        micro, some = self.lists.micro, self.last != NONE
        return WR, micro.write_txn[self.last[some]], micro.read_txn[some], self.last[some]

    def antidependencies(self) -> tuple[int, Ints, Ints, Ints]:
        """Who read comes before who appended next."""
        micro, some = self.lists.micro, self.following != NONE
        return RW, micro.read_txn[some], micro.write_txn[self.following[some]], self.following[some]


@dataclass(frozen=True, eq=False)
class Unseen:
    """Appends that were committed and that nobody saw, by key: they come after everything that was seen of it.

    Attributes:
        append, txn: key after key, in order of completion; `count` of each key, from `first` on.
        several: of how many keys more than one transaction's are unseen, so that their order is unknown.
        many: of how many keys there are more than each reader is compared with.
    """

    append: Ints
    first: Ints
    count: Ints
    txn: Ints
    several: int
    many: int

    @classmethod
    def of(cls, lists: Lists) -> Unseen:
        """In order of completion."""
        micro, operations = lists.micro, lists.operations
        append = np.flatnonzero(lists.committed[micro.write_txn] & ~lists.seen)
        order = np.lexsort((operations.completed[micro.write_txn[append]], micro.write_key[append]))
        append = append[order]
        key, txn = micro.write_key[append], micro.write_txn[append]
        count = np.bincount(key, minlength=micro.key_count).astype(np.int64)
        other = (key[1:] == key[:-1]) & (txn[1:] != txn[:-1])
        read = np.zeros(micro.key_count, dtype=np.bool_)
        read[micro.read_key] = True
        many = int(np.count_nonzero((count > _UNSEEN) & read))
        return cls(append, np.cumsum(count) - count, count, txn, len(np.unique(key[1:][other])), many)

    def after(self, key: Ints, txn: Ints, limit: int | None) -> tuple[Ints, Ints, Ints]:
        """Each of some transactions before the unseen appends of a key (`limit`: those that completed first)."""
        count = self.count[key] if limit is None else np.minimum(self.count[key], limit)
        some = np.flatnonzero(count)
        at = spread(self.first[key[some]], count[some])
        return np.repeat(txn[some], count[some]), self.txn[at], self.append[at]


def _own_tails(micro: Micro, find: Writes) -> Ints:
    """How many elements at the end of each read are the transaction's own."""
    tail = np.zeros(len(micro.length), dtype=np.int64)
    group = micro.read_txn * micro.key_count + micro.read_key
    own = np.unique(micro.write_txn * micro.key_count + micro.write_key)
    left = np.flatnonzero(micro.length > 0)
    if len(own):
        at = np.minimum(np.searchsorted(own, group[left]), len(own) - 1)
        left = left[own[at] == group[left]]
    while len(left) and len(own):
        last = find(micro.read_key[left], micro.elements[micro.start[left] + micro.length[left] - tail[left] - 1])
        left = left[(last != NONE) & (micro.write_txn[last] == micro.read_txn[left])]
        tail[left] += 1
        left = left[micro.length[left] > tail[left]]
    return tail


def _first_of_length(micro: Micro, which: Mask, given: Ints, length: Ints) -> Ints:
    """The first read of each key with a length, among some; NONE where there is none."""
    found = np.full(len(length), NONE, dtype=np.int64)
    best = np.flatnonzero(which & (given == length[micro.read_key]))[::-1]
    found[micro.read_key[best]] = best
    return found


def _repeated(key: Ints, value: Ints) -> Ints:
    """Places of elements that are in their chain already."""
    order = np.lexsort((value, key))
    again = (key[order[1:]] == key[order[:-1]]) & (value[order[1:]] == value[order[:-1]])
    found: Ints = order[1:][again]
    return found


def _prefixes(micro: Micro, given: Ints, chain: Ints, start: Ints) -> Mask:
    """Which reads are prefixes of the chain of their key."""
    good = np.ones(len(given), dtype=np.bool_)
    for first in range(0, len(given), _CHUNK):
        part = slice(first, first + _CHUNK)
        length = given[part]
        wrong = np.flatnonzero(
            micro.elements[spread(micro.start[part], length)] != chain[spread(start[micro.read_key[part]], length)]
        )
        good[first + np.searchsorted(np.cumsum(length), wrong, side="right")] = False
    return good
