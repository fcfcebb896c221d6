"""Transactions as flat arrays: one entry per micro-operation, and one per element of every list that was read.

A transaction is a vector of micro-operations `[f k v]`; a million of them are three million small tuples, which is why
they are taken apart once, by C loops over iterators, and never looked at again one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, compress
from operator import itemgetter
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.words import shortened
from chaoskit.errors import HistoryError
from chaoskit.history.operation import NONE
from chaoskit.history.operations import Operations
from chaoskit.history.values import Keyword, Values, shown

__all__ = ["NIL", "Micro", "Names", "flatten"]

NIL = np.int64(np.iinfo(np.int64).min)  # what a register reads that holds nothing; no value of a file has this code
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Names:
    """What codes stand for. `values` None: a code is the integer itself."""

    values: Sequence[Any] | None

    def __getitem__(self, code: int) -> Any:
        return int(code) if self.values is None else self.values[int(code)]


@dataclass(frozen=True, eq=False)
class Micro:
    """Writes of all transactions, and reads of those that are known to have happened; in order of transactions, and
    within a transaction in the order in which it did them.

    Attributes:
        write_txn, write_key, write_value: of each write (append): position of the transaction, codes.
        write_at, read_at: place of each write or read among all micro-operations, for their order.
        read_txn, read_key: of each read.
        read_value: what a register answered (NIL = nothing), where reads answer one value; empty for lists.
        length, start, elements: the lists that were read: `elements[start[i] : start[i] + length[i]]`.
        keys, values: what the codes stand for. Keys are numbered from 0 without gaps: there are `key_count`.
    """

    write_txn: Ints
    write_key: Ints
    write_value: Ints
    write_at: Ints
    read_txn: Ints
    read_key: Ints
    read_at: Ints
    read_value: Ints
    length: Ints
    start: Ints
    elements: Ints
    keys: Names
    values: Names
    key_count: int

    def without_reads(self, transactions: NDArray[np.bool_]) -> Micro:
        """Without what some transactions read; they still wrote what they wrote."""
        kept = ~transactions[self.read_txn]
        columns = ("read_txn", "read_key", "read_at", "read_value", "length", "start")
        return replace(self, **{one: getattr(self, one)[kept] for one in columns if len(getattr(self, one))})

    def exposed(self, count: int) -> int:
        """How many of so many transactions read a key that another one wrote, so that they could show an anomaly."""
        first = np.full(self.key_count, count, dtype=np.int64)
        last = np.full(self.key_count, NONE, dtype=np.int64)
        np.minimum.at(first, self.write_key, self.write_txn)
        np.maximum.at(last, self.write_key, self.write_txn)
        key, reader = self.read_key, self.read_txn
        others = (last[key] != NONE) & ((first[key] != reader) | (last[key] != reader))
        return len(np.unique(reader[others]))

    def key(self, code: int) -> str:
        """A key as people read it in a sentence."""
        return shortened(shown(self.keys[code]))

    def value(self, code: int) -> str:
        """A value as people read it in a sentence."""
        return "nil" if code == NIL else shortened(shown(self.values[code]))


def flatten(operations: Operations, write: str, lists: bool) -> Micro:
    """The micro-operations of a history.

    Args:
        write: what a write is called ("append", "w"); a read is "r".
        lists: reads answer lists of values (nil = empty), not one value.

    Raises:
        HistoryError: a value is no vector of `[f k v]`, has other micro-operations, or its answer is about another
            number of them. The history's fault.
    """
    ok = operations.ok
    asked = np.where(ok & (operations.result != NONE), operations.result, operations.value)
    if (asked == NONE).any():
        _refuse(operations, int(np.argmax(asked == NONE)), write, "nil")
    table = operations.values
    transactions = [table[number] for number in asked.tolist()]
    if not set(map(type, transactions)) <= {tuple}:
        at = next(n for n, one in enumerate(transactions) if type(one) is not tuple)
        _refuse(operations, at, write, shown(transactions[at]))
    counts = np.fromiter(map(len, transactions), dtype=np.int64, count=len(transactions))
    _same_shape(operations, ok, counts)
    txn = np.repeat(np.arange(len(transactions), dtype=np.int64), counts)
    micro = list(chain.from_iterable(transactions))
    del transactions
    if not (set(map(type, micro)) <= {tuple} and set(map(len, micro)) <= {3}):
        at = next(n for n, one in enumerate(micro) if type(one) is not tuple or len(one) != 3)
        _refuse(operations, int(txn[at]), write, shown(micro[at]))
    verbs = {"r": True, write: False}
    try:
        reads = np.fromiter(map(verbs.__getitem__, map(itemgetter(0), micro)), dtype=np.bool_, count=len(micro))
    except (KeyError, TypeError):
        at = next(n for n, one in enumerate(micro) if not isinstance(one[0], str) or one[0] not in verbs)
        _refuse(operations, int(txn[at]), write, shown(micro[at]))
    key, keys, key_count = _keys(list(map(itemgetter(1), micro)))
    third = list(map(itemgetter(2), micro))
    del micro
    read = reads & ok[txn]  # what a transaction read that failed, or whose end nobody knows, was never told to anybody
    written = list(compress(third, (~reads).tolist()))
    answered = list(compress(third, read.tolist()))
    del third
    empty = np.empty(0, dtype=np.int64)
    length, start, elements, read_value = empty, empty, empty, empty
    if lists:
        if not set(map(type, answered)) <= {tuple, type(None)}:
            at = next(n for n, one in enumerate(answered) if one is not None and type(one) is not tuple)
            _refuse(
                operations, int(txn[read][at]), write, f"a read that answers {shown(answered[at])}, which is no list"
            )
        answered = [one or () for one in answered]
        length = np.fromiter(map(len, answered), dtype=np.int64, count=len(answered))
        start = np.cumsum(length) - length
        total = int(length.sum())
        write_value, elements, values = _values(written, lambda: chain.from_iterable(answered), total)
    else:
        write_value, read_value, values = _values(written, lambda: answered, len(answered))
    nil = write_value == NIL
    if nil.any():
        _refuse(operations, int(txn[~reads][np.argmax(nil)]), write, "a write of nil, which is how nothing is read")
    at_all = np.arange(len(txn), dtype=np.int64)
    return Micro(
        write_txn=txn[~reads],
        write_key=key[~reads],
        write_value=write_value,
        write_at=at_all[~reads],
        read_txn=txn[read],
        read_key=key[read],
        read_at=at_all[read],
        read_value=read_value,
        length=length,
        start=start,
        elements=elements,
        keys=keys,
        values=values,
        key_count=key_count,
    )


def _same_shape(operations: Operations, ok: NDArray[np.bool_], counts: Ints) -> None:
    """An answer is about as many micro-operations as were asked for."""
    both = np.flatnonzero(ok & (operations.result != NONE) & (operations.value != NONE))
    table = operations.values
    sizes = (
        len(one) if type(one) is tuple else NONE for one in map(table.__getitem__, operations.value[both].tolist())
    )
    asked = np.fromiter(sizes, dtype=np.int64, count=len(both))
    wrong = asked != counts[both]
    if wrong.any():
        at = int(both[np.argmax(wrong)])
        raise HistoryError(
            operations.source or "history",
            int(operations.line[at]),
            f"operation {int(operations.index[at])} answers {int(counts[at])} micro-operations, but "
            f"{int(asked[np.argmax(wrong)])} were asked for",
        )


def _refuse(operations: Operations, position: int, write: str, found: str) -> NoReturn:
    raise HistoryError(
        operations.source or "history",
        int(operations.line[position]),
        f"operation {int(operations.index[position])} is no transaction: expected a vector of [{write} key value] and "
        f"[r key value], found {found[:80]}",
    )


def _keys(keys: list[Any]) -> tuple[Ints, Names, int]:
    """Keys as numbers from 0 without gaps."""
    whole = _integers(keys, len(keys)) if set(map(type, keys)) <= {int} else None
    if whole is not None:
        names, codes = np.unique(whole, return_inverse=True)
        return codes.astype(np.int64), Names(names.tolist()), len(names)
    numbers = Values()
    codes = np.fromiter((numbers.number(one) + 1 for one in keys), dtype=np.int64, count=len(keys))
    return codes, Names([None, *numbers.all]), len(numbers.all) + 1


def _values(written: list[Any], answered: Callable[[], Iterable[Any]], total: int) -> tuple[Ints, Ints, Names]:
    """Codes of what was written and of what was read, equal where the values are; nil is NIL."""
    types = set(map(type, chain(written, answered())))
    if types <= {int, type(None)}:
        nil = type(None) in types
        first, second = _integers(written, len(written), nil), _integers(answered(), total, nil)
        if first is not None and second is not None:
            return first, second, Names(None)
    number: Callable[[Any], int]
    if types <= {str, Keyword, type(None)}:  # plain equality is right: one dictionary, no Python code per value
        table = {one: code for code, one in enumerate(dict.fromkeys(chain(written, answered())))}
        names = list(table)
        if None in table:
            table[None] = int(NIL)
        number = table.__getitem__
    else:
        numbers = Values()
        names = numbers.all

        def number(one: Any) -> int:
            return int(NIL) if one is None else numbers.number(one)

    return (
        np.fromiter(map(number, written), dtype=np.int64, count=len(written)),
        np.fromiter(map(number, answered()), dtype=np.int64, count=total),
        Names(names),
    )


def _integers(values: Iterable[Any], count: int, nil: bool = False) -> Ints | None:
    """Integers as they are and nil as NIL; None where one needs more than 64 bits, or looks like NIL."""
    missing = int(NIL)
    if nil:
        values = list(values)
        if missing in values:
            return None
        values = [missing if one is None else one for one in values]
    try:
        found = np.fromiter(values, dtype=np.int64, count=count)
    except OverflowError:
        return None
    return None if not nil and count and int(found.min()) == missing else found
