"""What is wrong with the order of appends to lists, and with transactions that missed what each other appended."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.transactions.anomalies import Found
from chaoskit.checks.transactions.graph import Edges
from chaoskit.checks.transactions.list_reads import shortest, told
from chaoskit.checks.transactions.lists import Lists, Reads
from chaoskit.checks.transactions.words import named
from chaoskit.checks.transactions.writes import fractured, write_skew
from chaoskit.history.operation import NONE

__all__ = ["of_cycles", "of_order", "proof"]

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


def of_order(lists: Lists, reads: Reads) -> Iterator[Found]:
    """What is wrong with the order of versions, for clean lists."""
    yield from _own_order(lists)
    yield from _intermediate(lists, reads)
    yield from _dirty_update(lists)


def of_cycles(lists: Lists, edges: Edges, knotted: Mask) -> Iterator[Found]:
    """What always makes a cycle, so that it need be looked for among the transactions on cycles only."""
    yield from _lost_update(lists)
    inside = edges.within(knotted)
    yield from _fractured(lists, inside)
    yield from write_skew(lists.operations, lists.micro, inside)


def proof(lists: Lists, append: int, among: set[int]) -> int:
    """A transaction that read an append, or the longest list of its key if nobody did; one of `among` if possible."""
    micro = lists.micro
    key, place = int(micro.write_key[append]), int(lists.position[append])
    for txn in sorted(among):
        first, end = np.searchsorted(micro.read_txn, [txn, txn + 1])
        of_key = slice(int(first), int(end))
        long_enough = lists.sound[of_key] & (micro.read_key[of_key] == key) & (lists.length[of_key] > place)
        if long_enough.any() and place != NONE:
            return txn
    return int(micro.read_txn[lists.keeper[key]])


def _own_order(lists: Lists) -> Iterator[Found]:
    """What one transaction appended to a key is there in another order, or in part."""
    operations, micro = lists.operations, lists.micro
    group = micro.write_txn * micro.key_count + micro.write_key
    order = np.argsort(group, kind="stable")
    earlier, later = order[:-1], order[1:]
    wrong = (group[earlier] == group[later]) & (lists.position[later] != NONE)
    wrong &= (lists.position[earlier] == NONE) | (lists.position[earlier] > lists.position[later])
    wrong &= lists.committed[micro.write_txn[later]]
    earlier, later = earlier[wrong], later[wrong]
    if len(later):
        txn, key = int(micro.write_txn[later[0]]), int(micro.write_key[later[0]])
        first, second = (micro.value(int(micro.write_value[one[0]])) for one in (earlier, later))
        sentence = (
            f"{named(operations, txn)} appended {first} to {micro.key(key)} and then {second}, but "
            f"{told(lists, int(lists.keeper[key]))}"
        )
        witness = {txn, int(micro.read_txn[lists.keeper[key]])}
        accused = np.unique(micro.write_txn[later])
        yield Found("incompatible-order", len(later), tuple(sorted(witness)), sentence, accused)


def _intermediate(lists: Lists, reads: Reads) -> Iterator[Found]:
    micro = lists.micro
    others = np.append(micro.write_txn, np.int64(NONE))[reads.last] != micro.read_txn
    wrong = np.flatnonzero((reads.last != NONE) & others & ~np.append(lists.last, True)[reads.last])
    if len(wrong):
        read = shortest(lists, wrong)
        append = int(reads.last[read])
        writer, reader = int(micro.write_txn[append]), int(micro.read_txn[read])
        value, key = micro.value(int(micro.write_value[append])), micro.key(int(micro.write_key[append]))
        sentence = (
            f"{told(lists, read)}: the {value} in it is from the middle of {named(lists.operations, writer)}, which "
            f"went on to append more to {key}"
        )
        accused = np.unique(micro.read_txn[wrong])
        yield Found("G1b", len(wrong), tuple(sorted((writer, reader))), sentence, accused)


def _dirty_update(lists: Lists) -> Iterator[Found]:
    """What was committed on top of what had failed."""
    operations, micro = lists.operations, lists.micro
    key = np.repeat(np.arange(micro.key_count, dtype=np.int64), lists.chain_length)
    place = np.arange(len(key), dtype=np.int64) - lists.chain_start[key]
    known = lists.chain_append != NONE
    writer = np.append(micro.write_txn, np.int64(NONE))[lists.chain_append]
    failed = known & np.append(operations.failed, False)[writer]
    first = np.full(micro.key_count, np.iinfo(np.int64).max, dtype=np.int64)
    np.minimum.at(first, key[failed], place[failed])
    built = np.flatnonzero(known & np.append(lists.committed, False)[writer] & (place > first[key]))
    if len(built):
        at = int(built[0])
        append = int(lists.chain_append[at])
        below = int(lists.chain_append[lists.chain_start[key[at]] + first[key[at]]])
        aborted, committed = int(micro.write_txn[below]), int(writer[at])
        sentence = (
            f"{named(operations, committed)} appended {micro.value(int(micro.write_value[append]))} to "
            f"{micro.key(int(key[at]))} after the {micro.value(int(micro.write_value[below]))} of "
            f"{named(operations, aborted)}, which failed: {told(lists, int(lists.keeper[key[at]]))}"
        )
        witness = {aborted, committed, proof(lists, append, {committed})}
        yield Found("dirty-update", len(built), tuple(sorted(witness)), sentence, np.unique(writer[built]))


def _lost_update(lists: Lists) -> Iterator[Found]:
    """Several transactions read one version of a list and appended to it, each as if the others were not there."""
    micro, keys = lists.micro, lists.micro.key_count
    group = micro.read_txn * keys + micro.read_key
    own = np.unique((micro.write_txn * keys + micro.write_key)[lists.operations.ok[micro.write_txn]])
    # Who finds an append of its own inside of what it read did not append after that version.
    known = np.flatnonzero(lists.position != NONE)
    mine = (micro.write_txn * keys + micro.write_key)[known]
    order = np.lexsort((lists.position[known], mine))
    mine, place = mine[order], lists.position[known][order]
    begin = np.searchsorted(mine, group)
    has_own = np.append(mine, NONE)[begin] == group
    inside = has_own & (np.append(place, NONE)[begin] < lists.length)
    both = np.flatnonzero(np.isin(group, own) & ~inside)
    txn, key, given = micro.read_txn[both], micro.read_key[both], lists.length[both]
    order = np.lexsort((txn, given, key))
    txn, key, given, read = txn[order], key[order], given[order], both[order]
    other = (key[1:] == key[:-1]) & (given[1:] == given[:-1]) & (txn[1:] != txn[:-1])
    lost = np.flatnonzero(other)
    if len(lost):
        at = int(lost[0])
        first, second = int(txn[at]), int(txn[at + 1])
        sentence = (
            f"{told(lists, int(read[at]))} and {told(lists, int(read[at + 1]))}; both went by the same version and "
            "appended to it, so one of them did not see what the other did"
        )
        accused = np.unique(np.concatenate([txn[lost], txn[lost + 1]]))
        yield Found("lost-update", len(lost), tuple(sorted((first, second))), sentence, accused)


def _fractured(lists: Lists, edges: Edges) -> Iterator[Found]:
    """A transaction saw one append of another, and not its append to another key."""

    def missed(append: Ints, read: Ints) -> Mask:
        place = lists.position[append]
        found: Mask = (place >= lists.length[read]) | ((place == NONE) & ~lists.seen[append])
        return found

    return fractured(
        lists.operations, lists.micro, edges, lists.last, missed, lambda read: told(lists, read), "appended"
    )
