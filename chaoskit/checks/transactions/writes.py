"""Whose a value is: writes found by key and value, and transactions that missed what another wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.transactions.anomalies import Found
from chaoskit.checks.transactions.graph import RW, WR, Edges, spread
from chaoskit.checks.transactions.micro import Micro
from chaoskit.checks.transactions.words import named
from chaoskit.errors import HistoryError
from chaoskit.history.operation import NONE
from chaoskit.history.operations import Operations

__all__ = ["Writes", "fractured", "write_skew"]

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Writes:
    """Finds writes by key and value, all at once."""

    def __init__(self, operations: Operations, micro: Micro) -> None:
        """Raises:
        HistoryError: a value is written twice to a key, so nobody can tell whose it is. The history's fault.
        """
        values = micro.write_value
        low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
        self._values: Ints | None = None
        if (high - low + 1) * max(micro.key_count, 1) >= 2**62:
            self._values = np.unique(values)
            low, high = 0, len(self._values) - 1
        self._low, self._high = low, high
        code, _ = self._code(micro.write_key, values)
        self._order = np.argsort(code, kind="stable")
        self._codes = code[self._order]
        twice = np.flatnonzero(self._codes[1:] == self._codes[:-1])
        if len(twice):
            first, second = int(self._order[twice[0]]), int(self._order[twice[0] + 1])
            before, after = (int(operations.index[micro.write_txn[one]]) for one in (first, second))
            raise HistoryError(
                operations.source or "history",
                int(operations.line[micro.write_txn[second]]),
                f"operation {after} writes {micro.value(int(values[second]))} to "
                f"{micro.key(int(micro.write_key[second]))}, which operation {before} "
                f"{'wrote' if before != after else 'itself has written'} already: nobody can tell them apart",
                hint="write every value once per key; a retry is a new operation with a new value",
            )

    def _code(self, key: Ints, value: Ints) -> tuple[Ints, Mask]:
        inside = np.ones(len(value), dtype=np.bool_)
        if self._values is not None and len(self._values):
            at = np.minimum(np.searchsorted(self._values, value), len(self._values) - 1)
            inside = self._values[at] == value
            value = at
        inside &= (value >= self._low) & (value <= self._high)
        return key * (self._high - self._low + 1) + np.where(inside, value - self._low, 0), inside

    def __call__(self, key: Ints, value: Ints) -> Ints:
        """Which write each is; NONE where nobody wrote it."""
        if not len(self._codes):
            return np.full(len(key), NONE, dtype=np.int64)
        code, inside = self._code(key, value)
        at = np.minimum(np.searchsorted(self._codes, code), len(self._codes) - 1)
        return np.where(inside & (self._codes[at] == code), self._order[at], NONE)


def fractured(
    operations: Operations,
    micro: Micro,
    edges: Edges,
    last: Mask,
    missed: Callable[[Ints, Ints], Mask],
    told: Callable[[int], str],
    wrote: str,
) -> Iterator[Found]:
    """A transaction saw one write of another, and missed its write to another key.

    Args:
        last: per write, whether it is its transaction's last on the key: the version that others may see.
        missed: (writes, reads of the same keys) -> which of the reads show what was there before the write.
        told: a read in words. wrote: what the writer did ("appended").
    """
    seen = edges.where(np.equal(edges.label, WR, dtype=np.bool_))
    low = np.searchsorted(micro.write_txn, seen.source, "left")
    count = np.searchsorted(micro.write_txn, seen.source, "right") - low
    edge, write = np.repeat(np.arange(len(seen)), count), spread(low, count)
    other = last[write] & (micro.write_key[write] != micro.write_key[seen.write[edge]])
    edge, write = edge[other], write[other]
    group = micro.read_txn * micro.key_count + micro.read_key
    order = np.argsort(group, kind="stable")
    wanted = seen.target[edge] * micro.key_count + micro.write_key[write]
    low = np.searchsorted(group[order], wanted, "left")
    count = np.searchsorted(group[order], wanted, "right") - low
    edge, write, read = np.repeat(edge, count), np.repeat(write, count), order[spread(low, count)]
    torn = np.flatnonzero(missed(write, read))
    if len(torn):
        at = int(torn[0])
        writer, reader = int(seen.source[edge[at]]), int(seen.target[edge[at]])
        first = int(seen.write[edge[at]])
        sentence = (
            f"{told(int(read[at]))}, without the {micro.value(int(micro.write_value[write[at]]))} of "
            f"{named(operations, writer)}, although it did read the {micro.value(int(micro.write_value[first]))} that "
            f"the same transaction {wrote} to {micro.key(int(micro.write_key[first]))}"
        )
        accused = np.unique(seen.target[edge[torn]])
        yield Found("fractured-read", len(accused), tuple(sorted((writer, reader))), sentence, accused)


def write_skew(operations: Operations, micro: Micro, edges: Edges) -> Iterator[Found]:
    """Two transactions, each of which missed what the other wrote to another key."""
    count = len(operations)
    missed = edges.where(np.equal(edges.label, RW, dtype=np.bool_))
    there = missed.source * count + missed.target
    order = np.argsort(there, kind="stable")
    back = missed.target * count + missed.source
    low = np.searchsorted(there[order], back, "left")
    times = np.searchsorted(there[order], back, "right") - low
    one, other = np.repeat(np.arange(len(missed)), times), order[spread(low, times)]
    keys = micro.write_key[missed.write]
    skewed = np.flatnonzero((keys[one] != keys[other]) & (missed.source[one] < missed.target[one]))
    if len(skewed):
        pair = one[skewed[0]], other[skewed[0]]
        first, second = int(missed.source[pair[0]]), int(missed.target[pair[0]])
        texts = [
            f"{named(operations, int(missed.source[at]))} read {micro.key(int(keys[at]))} without the "
            f"{micro.value(int(micro.write_value[missed.write[at]]))} of operation "
            f"{int(operations.index[missed.target[at]])}"
            for at in pair
        ]
        pairs = np.unique(missed.source[one[skewed]] * count + missed.target[one[skewed]])
        accused = np.unique(np.concatenate([pairs // count, pairs % count]))
        sentence = f"{texts[0]}, and {texts[1]}: whichever came first, the other should have seen it"
        yield Found("write-skew", len(pairs), tuple(sorted((first, second))), sentence, accused)
