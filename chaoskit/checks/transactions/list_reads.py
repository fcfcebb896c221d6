"""What is wrong with reads of lists by themselves: values from nowhere, from failed transactions, twice …

Every rule is about all reads at once, over the columns of `Lists`; what a person is shown is one example.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.transactions.anomalies import Found
from chaoskit.checks.transactions.graph import spread
from chaoskit.checks.transactions.lists import Lists
from chaoskit.checks.transactions.micro import Micro
from chaoskit.checks.transactions.words import named, shown_list
from chaoskit.history.operation import NONE

__all__ = ["of_reads", "shortest", "told"]

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


def of_reads(lists: Lists) -> Iterator[Found]:
    """What is wrong with a read itself, or with two of them beside each other."""
    yield from _thin_air(lists)
    yield from _future(lists)
    yield from _aborted(lists)
    yield from _twice(lists)
    yield from _incompatible(lists)
    yield from _internal(lists)


def _hits(lists: Lists, in_chain: Mask, in_stray: Mask) -> tuple[Ints, Ints]:
    """Reads that contain a marked element, and where in its list the first such element is, for all reads."""
    micro = lists.micro
    key = np.repeat(np.arange(micro.key_count, dtype=np.int64), lists.chain_length)
    place = np.arange(len(key), dtype=np.int64) - lists.chain_start[key]
    never = np.iinfo(np.int64).max
    first = np.full(micro.key_count, never, dtype=np.int64)
    np.minimum.at(first, key[in_chain], place[in_chain])
    found = np.where(lists.compatible, first[micro.read_key], never)
    np.minimum.at(found, lists.stray_read[in_stray], _stray_place(lists)[in_stray])
    return np.flatnonzero(found < lists.length), found


def _stray_place(lists: Lists) -> Ints:
    """Where in its list each element of a stray read is."""
    own = lists.stray_read
    first = np.searchsorted(own, own)
    place: Ints = np.arange(len(own), dtype=np.int64) - first
    return place


def shortest(lists: Lists, reads: Ints) -> int:
    """The one of some reads that shows the fewest elements."""
    return int(reads[np.argmin(lists.length[reads])])


def told(lists: Lists, read: int) -> str:
    """A read in words: "operation 3 (process 1) read x → [1 2]"."""
    micro = lists.micro
    who = named(lists.operations, int(micro.read_txn[read]))
    return f"{who} read {micro.key(int(micro.read_key[read]))} → {_elements(lists, read)}"


def _elements(lists: Lists, read: int) -> str:
    micro, start = lists.micro, int(lists.micro.start[read])
    return shown_list([micro.value(int(one)) for one in micro.elements[start : start + int(micro.length[read])]])


def _append_at(lists: Lists, read: int, place: int) -> int:
    if lists.compatible[read]:
        return int(lists.chain_append[lists.chain_start[lists.micro.read_key[read]] + place])
    return int(lists.stray_append[np.searchsorted(lists.stray_read, read) + place])


def _value_at(lists: Lists, read: int, place: int) -> str:
    return lists.micro.value(int(lists.micro.elements[lists.micro.start[read] + place]))


def _thin_air(lists: Lists) -> Iterator[Found]:
    reads, place = _hits(lists, lists.chain_append == NONE, lists.stray_append == NONE)
    if len(reads):
        read = shortest(lists, reads)
        who = int(lists.micro.read_txn[read])
        value = _value_at(lists, read, int(place[read]))
        sentence = f"{told(lists, read)}, but nobody ever appended {value} to it"
        yield Found("thin-air", len(reads), (who,), sentence, np.unique(lists.micro.read_txn[reads]))


def _aborted(lists: Lists) -> Iterator[Found]:
    failed = np.append(lists.operations.failed[lists.micro.write_txn], False)
    reads, place = _hits(lists, failed[lists.chain_append], failed[lists.stray_append])
    if len(reads):
        read = shortest(lists, reads)
        append = _append_at(lists, read, int(place[read]))
        writer, reader = int(lists.micro.write_txn[append]), int(lists.micro.read_txn[read])
        value = lists.micro.value(int(lists.micro.write_value[append]))
        sentence = f"{told(lists, read)}, although {named(lists.operations, writer)}, which appended {value}, failed"
        yield Found(
            "G1a", len(reads), tuple(sorted((writer, reader))), sentence, np.unique(lists.micro.read_txn[reads])
        )


def _future(lists: Lists) -> Iterator[Found]:
    """Read before it was asked for."""
    operations, micro = lists.operations, lists.micro
    begun = np.append(operations.invoked[micro.write_txn], np.int64(NONE))  # NONE: -1, before everything
    key = np.repeat(np.arange(micro.key_count, dtype=np.int64), lists.chain_length)
    span = int(operations.invoked.max(initial=0)) + 2
    latest = np.maximum.accumulate(begun[lists.chain_append] + key * span) - key * span  # of the list up to here
    ends = np.append(latest, np.int64(NONE))[lists.chain_start[micro.read_key] + lists.length - 1]
    over = operations.completed[micro.read_txn]
    early = lists.compatible & (lists.length > 0) & (ends > over)
    early[lists.stray_read[begun[lists.stray_append] > over[lists.stray_read]]] = True
    reads = np.flatnonzero(early)
    if len(reads):
        read = shortest(lists, reads)
        appends = [_append_at(lists, read, place) for place in range(int(lists.length[read]))]
        append = next(one for one in appends if one != NONE and begun[one] > over[read])
        writer, reader = int(micro.write_txn[append]), int(micro.read_txn[read])
        value = micro.value(int(micro.write_value[append]))
        sentence = f"{told(lists, read)}, and was over before {named(operations, writer)} began, which appended {value}"
        yield Found("future-read", len(reads), (reader, writer), sentence, np.unique(micro.read_txn[reads]))


def _twice(lists: Lists) -> Iterator[Found]:
    micro = lists.micro
    again = lists.compatible & ~lists.sound
    strays = _stray_repeats(lists)
    again[strays] = True
    reads = np.flatnonzero(again)
    if len(reads):
        read = shortest(lists, reads)
        elements = micro.elements[micro.start[read] : micro.start[read] + lists.length[read]].tolist()
        value = next(one for place, one in enumerate(elements) if one in elements[:place])
        sentence = f"{told(lists, read)}, with {micro.value(value)} in it twice; it was appended once at most"
        witness = (int(micro.read_txn[read]),)
        yield Found("duplicate-elements", len(reads), witness, sentence, np.unique(micro.read_txn[reads]))


def _stray_repeats(lists: Lists) -> Ints:
    """Stray reads with an element twice."""
    micro = lists.micro
    value = micro.elements[micro.start[lists.stray_read] + _stray_place(lists)]
    order = np.lexsort((value, lists.stray_read))
    read, value = lists.stray_read[order], value[order]
    return np.unique(read[1:][(read[1:] == read[:-1]) & (value[1:] == value[:-1])])


def _incompatible(lists: Lists) -> Iterator[Found]:
    """Two reads of which neither begins with the other."""
    micro = lists.micro
    strays = np.setdiff1d(np.flatnonzero(~lists.compatible), _stray_repeats(lists))
    if len(strays):
        read = shortest(lists, strays)
        key = int(micro.read_key[read])
        whole = lists.compatible & (micro.read_key == key) & (lists.length == lists.chain_length[key])
        other = int(np.argmax(whole))
        witness = {int(micro.read_txn[read]), int(micro.read_txn[other])}
        sentence = f"{told(lists, read)} and {told(lists, other)}: these cannot be two states of one list that grows"
        accused = np.unique(micro.read_txn[strays])
        yield Found("incompatible-order", len(strays), tuple(sorted(witness)), sentence, accused)


def _internal(lists: Lists) -> Iterator[Found]:
    """A transaction contradicts itself: what it reads of a key is what it read before and its own appends since."""
    micro, keys = lists.micro, lists.micro.key_count
    ok = np.flatnonzero(lists.operations.ok[micro.write_txn])
    group = np.concatenate([micro.read_txn * keys + micro.read_key, (micro.write_txn * keys + micro.write_key)[ok]])
    at = np.concatenate([micro.read_at, micro.write_at[ok]])
    order = np.lexsort((at, group))
    again = group[order[1:]] == group[order[:-1]]
    several = np.zeros(len(order), dtype=np.bool_)
    several[1:] |= again
    several[:-1] |= again
    order = order[several]
    group, is_read = group[order], order < len(micro.read_txn)
    some = np.isin(group, group[is_read])
    order, group, is_read = order[some], group[some], is_read[some]
    if not len(group):
        return
    _, begin, member = np.unique(group, return_index=True, return_inverse=True)
    before: Ints = np.cumsum(~is_read) - ~is_read
    before -= before[begin][member]  # own appends in the group so far
    reads, place = order[is_read], np.flatnonzero(is_read)
    _, which = np.unique(member[place], return_index=True)
    first = reads[which][member[place]]
    tail = micro.length[reads] - lists.length[reads]
    wrong = (lists.length[reads] != lists.length[first]) | (tail != before[place])
    long_enough = np.flatnonzero(lists.length[reads] == lists.length[first])
    wrong[long_enough[_differs(micro, lists.length, reads[long_enough], first[long_enough])]] = True
    # The j-th own append of the group, beside the j-th own element at the end of the list.
    appends, owner = ok[order[~is_read] - len(micro.read_txn)], member[~is_read]
    begins, size = np.searchsorted(owner, member[place]), np.bincount(owner, minlength=len(begin))[member[place]]
    shown = np.minimum(tail, size)
    element = micro.elements[spread(micro.start[reads] + lists.length[reads], shown)]
    other = element != micro.write_value[appends[spread(begins, shown)]]
    wrong[np.repeat(np.arange(len(reads)), shown)[other]] = True
    early = wrong & _shows_later(lists, reads, begins + before[place], size - before[place], appends)
    for kind, accused in (("internal", reads[wrong & ~early]), ("future-read", reads[early])):
        if len(accused):
            txn, key = int(micro.read_txn[accused[0]]), int(micro.read_key[accused[0]])
            sentence = _contradiction(lists, txn, key, kind)
            yield Found(kind, len(accused), (txn,), sentence, np.unique(micro.read_txn[accused]))


def _differs(micro: Micro, length: Ints, reads: Ints, others: Ints) -> Ints:
    """Places of reads that were given another list than others of the same length."""
    element = micro.elements[spread(micro.start[reads], length[reads])]
    other = micro.elements[spread(micro.start[others], length[reads])]
    return np.unique(np.repeat(np.arange(len(reads)), length[reads])[element != other])


def _shows_later(lists: Lists, reads: Ints, begin: Ints, count: Ints, appends: Ints) -> Mask:
    """Which reads show an append at their end that their transaction made only later."""
    micro = lists.micro
    later = micro.write_value[appends[spread(begin, count)]]
    read = np.repeat(np.arange(len(reads)), count)
    tail = (micro.length - lists.length)[reads]
    shown = micro.elements[spread(micro.start[reads] + lists.length[reads], tail)]
    pairs = np.stack([np.concatenate([read, np.repeat(np.arange(len(reads)), tail)]), np.concatenate([later, shown])])
    source = np.arange(pairs.shape[1]) < len(later)
    order = np.lexsort((pairs[1], pairs[0]))
    pairs, source = pairs[:, order], source[order]
    same = (pairs[:, 1:] == pairs[:, :-1]).all(axis=0) & (source[1:] != source[:-1])
    found = np.zeros(len(reads), dtype=np.bool_)
    found[pairs[0, 1:][same]] = True
    return found


def _contradiction(lists: Lists, txn: int, key: int, kind: str) -> str:
    micro = lists.micro
    reads = np.flatnonzero((micro.read_txn == txn) & (micro.read_key == key))
    appends = np.flatnonzero((micro.write_txn == txn) & (micro.write_key == key))
    steps = [(int(micro.read_at[one]), f"read {_elements(lists, int(one))}") for one in reads]
    steps += [(int(micro.write_at[one]), f"appended {micro.value(int(micro.write_value[one]))}") for one in appends]
    story = ", then ".join(text for _, text in sorted(steps))
    what = "which cannot follow from each other" if kind == "internal" else "which is to read what is not there yet"
    return f"{named(lists.operations, txn)}, on {micro.key(key)}: {story}, {what}"
