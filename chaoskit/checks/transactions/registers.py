"""Registers that transactions read and write: as much of the order of versions as can be known for certain.

A write leaves no trace of what it replaced. Three things are certain: nothing was there before the first write; a
transaction that read a version and then wrote the key made a later one; and, for strict serializability only, what was
written after another write was over is later. Everything else would be guessed, or searched (it is NP-hard:
Papadimitriou, The serializability of concurrent database updates, 1979), and is left alone.

Source of the first two: Kingsbury and Alvaro, Elle (VLDB 2020), §5.2: initial state, writes follow reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.transactions.anomalies import Found
from chaoskit.checks.transactions.graph import LATE, RW, WR, Edges, spread
from chaoskit.checks.transactions.micro import NIL, Micro
from chaoskit.checks.transactions.words import named
from chaoskit.checks.transactions.writes import Writes, fractured, write_skew
from chaoskit.history.operation import NONE
from chaoskit.history.operations import Operations

__all__ = ["Registers", "of_cycles", "of_reads", "told"]

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
_FIRST = 16  # first writes of one key that each reader of nothing is compared with


@dataclass(frozen=True, eq=False)
class Registers:
    """Who read what from whom.

    Attributes:
        writer: per read, number of the write of the value; NONE for nil, and for what nobody wrote.
        own: per read, the transaction's own write of the key just before it; NONE.
        first: per read that no own write of the key precedes, the first read of it in the same transaction; NONE.
        version: per read, a number that reads of one value of one key share, whoever wrote it.
        last: per write, whether it is its transaction's last on the key: the version that others may see.
        seen: per write, whether another transaction read it. committed: per transaction, whether it happened.
        based: per write that is last, the version that its transaction read before; NONE where it read none. `fresh`:
            whether that is not so, or it read nil: nothing is known to have been there before. `begins`: whether it
            is fresh, or what it read was written by nobody: no other write is known to come before it.
    """

    operations: Operations
    micro: Micro
    writer: Ints
    own: Ints
    first: Ints
    version: Ints
    last: Mask
    seen: Mask
    committed: Mask
    based: Ints
    fresh: Mask
    begins: Mask

    @classmethod
    def of(cls, operations: Operations, micro: Micro) -> Registers:
        """Find out.

        Raises:
            HistoryError: a value is written twice to a key, so nobody can tell whose it is. The history's fault.
        """
        writer = Writes(operations, micro)(micro.read_key, micro.read_value)
        writer[micro.read_value == NIL] = NONE
        count, writes = len(micro.read_txn), len(micro.write_txn)
        group = np.concatenate([micro.read_txn, micro.write_txn]) * micro.key_count
        group += np.concatenate([micro.read_key, micro.write_key])
        order = np.lexsort((np.concatenate([micro.read_at, micro.write_at]), group))
        group, is_read = group[order], order < count
        place = np.arange(len(order))
        begins = np.ones(len(order), dtype=np.bool_)
        begins[1:] = group[1:] != group[:-1]
        begin = np.maximum.accumulate(np.where(begins, place, 0))
        ends = np.append(begins[1:], True)[: len(order)]

        written = np.maximum.accumulate(np.where(is_read, NONE, place))
        read = order[is_read]
        own = np.full(count, NONE, dtype=np.int64)
        some = (written >= begin)[is_read]
        own[read[some]] = order[written[is_read][some]] - count
        first = np.full(count, NONE, dtype=np.int64)
        leads = is_read[begin][is_read] & ~some
        first[read[leads]] = order[begin[is_read][leads]]

        last_write = np.maximum.accumulate(np.where(is_read, NONE, place))[ends]
        last_write = last_write[last_write >= begin[ends]]
        last = np.zeros(writes, dtype=np.bool_)
        last[order[last_write] - count] = True
        order_of_values = np.lexsort((micro.read_value, micro.read_key))
        key, value = micro.read_key[order_of_values], micro.read_value[order_of_values]
        version = np.empty(count, dtype=np.int64)
        version[order_of_values] = np.cumsum(
            np.append(False, (key[1:] != key[:-1]) | (value[1:] != value[:-1]))[:count]
        )
        based, fresh = np.full(writes, NONE, dtype=np.int64), np.ones(writes, dtype=np.bool_)
        reading = last_write[is_read[begin[last_write]]]
        given, made = order[begin[reading]], order[reading] - count
        based[made], fresh[made] = version[given], micro.read_value[given] == NIL
        begins = np.ones(writes, dtype=np.bool_)
        begins[made] = writer[given] == NONE

        other = (writer != NONE) & (np.append(micro.write_txn, NONE)[writer] != micro.read_txn)
        seen = np.zeros(writes, dtype=np.bool_)
        seen[writer[other]] = True
        committed = operations.ok.copy()
        committed[micro.write_txn[seen]] |= operations.info[micro.write_txn[seen]]
        return cls(operations, micro, writer, own, first, version, last, seen, committed, based, fresh, begins)

    def edges(self) -> tuple[Edges, int]:
        """Who comes before whom for certain; and for how many keys not all first writes were compared."""
        micro = self.micro
        wrote = np.append(micro.write_txn, NONE)[self.writer]
        external = np.flatnonzero((self.writer != NONE) & self.committed[wrote] & (wrote != micro.read_txn))
        first, skipped = self._first_writes()
        parts = [
            (WR, wrote[external], micro.read_txn[external], self.writer[external]),
            self._missed(),
            first,
            self._late(external),
        ]
        label = np.concatenate([np.full(len(one[1]), one[0], dtype=np.uint8) for one in parts])
        source, target, write = (np.concatenate([one[n] for one in parts]) for n in (1, 2, 3))
        real = source != target
        return Edges(source[real], target[real], label[real], write[real]), skipped

    def _missed(self) -> tuple[int, Ints, Ints, Ints]:
        """Who read a version comes before who made another one of it."""
        micro = self.micro
        made = np.flatnonzero((self.based != NONE) & ~self.fresh)
        made = made[np.argsort(self.based[made], kind="stable")]
        low = np.searchsorted(self.based[made], self.version, "left")
        count = np.searchsorted(self.based[made], self.version, "right") - low
        write = made[spread(low, count)]
        return RW, np.repeat(micro.read_txn, count), micro.write_txn[write], write

    def _first_writes(self) -> tuple[tuple[int, Ints, Ints, Ints], int]:
        """Who read nothing comes before every first write: one that is not known to come after another.

        Those that completed first, if there are many; also for how many keys there are.
        """
        micro, operations = self.micro, self.operations
        nil = np.flatnonzero((micro.read_value == NIL) & (self.own == NONE))
        roots = np.flatnonzero(self.last & self.committed[micro.write_txn] & self.begins)
        roots = roots[np.lexsort((operations.completed[micro.write_txn[roots]], micro.write_key[roots]))]
        count = np.bincount(micro.write_key[roots], minlength=micro.key_count).astype(np.int64)
        begin = np.cumsum(count) - count
        size = np.minimum(count, _FIRST)[micro.read_key[nil]]
        write = roots[spread(begin[micro.read_key[nil]], size)]
        many = np.unique(micro.read_key[nil][count[micro.read_key[nil]] > _FIRST])
        return (RW, np.repeat(micro.read_txn[nil], size), micro.write_txn[write], write), len(many)

    def _late(self, external: Ints) -> tuple[int, Ints, Ints, Ints]:
        """Who read a version comes before who wrote the key after that version's writer was over: the one of these that
        completed first. In real time only.
        """
        micro, operations = self.micro, self.operations
        versions = np.flatnonzero(self.last & self.committed[micro.write_txn])
        invoked = operations.invoked[micro.write_txn[versions]]
        order = np.lexsort((invoked, micro.write_key[versions]))
        versions, invoked = versions[order], invoked[order]
        span = int(operations.invoked.max(initial=0)) + 2
        begun = micro.write_key[versions] * span + invoked
        over = operations.completed[micro.write_txn[self.writer[external]]]
        after = np.searchsorted(begun, micro.read_key[external] * span + np.minimum(over, span - 1))
        ends = np.minimum(operations.completed[micro.write_txn[versions]], span * 4)
        earliest = _least_from(micro.write_key[versions] * (span * 8) + ends)
        inside = after < len(versions)
        inside[inside] = micro.write_key[versions[after[inside]]] == micro.read_key[external[inside]]
        write = versions[earliest[after[inside]]]
        return LATE, micro.read_txn[external[inside]], micro.write_txn[write], write


def _least_from(values: Ints) -> Ints:
    """For each place, where from there to the end the least value is."""
    backward = values[::-1]
    least = np.minimum.accumulate(backward)
    lower = np.ones(len(values), dtype=np.bool_)
    lower[1:] = backward[1:] < least[:-1]
    at = np.maximum.accumulate(np.where(lower, np.arange(len(values)), 0))
    found: Ints = (len(values) - 1 - at)[::-1]
    return found


def of_reads(registers: Registers) -> Iterator[Found]:
    """What is wrong with a read whatever the order of transactions."""
    operations, micro = registers.operations, registers.micro
    wrote = np.append(micro.write_txn, np.int64(NONE))[registers.writer]
    own = wrote == micro.read_txn
    there = registers.writer != NONE
    nil = micro.read_value == NIL
    ahead = there & own & (np.append(micro.write_at, NONE)[registers.writer] > micro.read_at)
    begun = np.where(there, operations.invoked[wrote], NONE)
    early = ahead | (there & ~own & (begun > operations.completed[micro.read_txn]))
    failed = there & operations.failed[wrote]
    middle = there & ~own & ~failed & ~np.append(registers.last, True)[registers.writer]
    before = np.append(micro.write_value, NIL)[registers.own]
    given = micro.read_value[registers.first] if len(nil) else micro.read_value
    expected = np.where(registers.own != NONE, before, np.where(registers.first != NONE, given, micro.read_value))
    for kind, wrong, why in (
        ("thin-air", ~there & ~nil, "which nobody ever wrote"),
        ("future-read", early, "before it was written"),
        ("G1a", failed, "although {writer}, which wrote it, failed"),
        ("G1b", middle, "which is from the middle of {writer}: that went on to write another value"),
        (
            "internal",
            (micro.read_value != expected) & ~ahead,
            "although in the same transaction it was {expected} before",
        ),
    ):
        reads = np.flatnonzero(wrong)
        if len(reads):
            read = int(reads[0])
            reader, writer = int(micro.read_txn[read]), int(wrote[read])
            alone = kind in ("thin-air", "internal") or writer == reader
            reason = why.format(
                writer="" if alone else named(operations, writer), expected=micro.value(int(expected[read]))
            )
            sentence = f"{told(registers, read)}, {reason}"
            witness = (reader,) if alone else tuple(sorted((reader, writer)))
            yield Found(kind, len(reads), witness, sentence, np.unique(micro.read_txn[reads]))


def of_cycles(registers: Registers, edges: Edges, knotted: Mask) -> Iterator[Found]:
    """What always makes a cycle, so that it need be looked for among the transactions on cycles only."""
    inside = edges.within(knotted)
    yield from _lost_update(registers)
    yield from _fractured(registers, inside)
    yield from write_skew(registers.operations, registers.micro, inside)


def told(registers: Registers, read: int) -> str:
    """ "operation 3 (process 1) read x → 5"."""
    micro = registers.micro
    who = named(registers.operations, int(micro.read_txn[read]))
    return f"{who} read {micro.key(int(micro.read_key[read]))} → {micro.value(int(micro.read_value[read]))}"


def _lost_update(registers: Registers) -> Iterator[Found]:
    """Several transactions read one version of a register and wrote the next, each as if the others were not there."""
    operations, micro = registers.operations, registers.micro
    writes = np.flatnonzero(registers.based != NONE)
    writes = writes[np.argsort(registers.based[writes], kind="stable")]
    based, txn = registers.based[writes], micro.write_txn[writes]
    lost = np.flatnonzero(based[1:] == based[:-1])
    if len(lost):
        at = int(lost[0])
        pair = tuple(sorted((int(txn[at]), int(txn[at + 1]))))
        read = int(np.argmax(registers.version == based[at]))
        sentence = (
            f"{named(operations, pair[0])} and {named(operations, pair[1])} both read "
            f"{micro.key(int(micro.read_key[read]))} → {micro.value(int(micro.read_value[read]))} and wrote it, so one "
            "of them did not see what the other did"
        )
        yield Found("lost-update", len(lost), pair, sentence, np.unique(np.concatenate([txn[lost], txn[lost + 1]])))


def _fractured(registers: Registers, edges: Edges) -> Iterator[Found]:
    """A transaction saw one write of another, and of another key what that one had replaced."""

    def missed(write: Ints, read: Ints) -> Mask:
        replaced = ~registers.fresh[write] & (registers.version[read] == registers.based[write])
        found: Mask = (registers.micro.read_value[read] == NIL) | replaced
        return found

    return fractured(
        registers.operations,
        registers.micro,
        edges,
        registers.last,
        missed,
        lambda read: told(registers, read),
        "wrote",
    )
