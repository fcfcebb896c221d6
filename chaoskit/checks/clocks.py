"""Vector clocks over lanes: of everything that must come before an operation, how much of every client's own order.

Source: Fidge (1988) and Mattern (1989); one column per client is enough to know the last write of each client to each
key that an answer depends on, as in AWDIT (Møldrup and Pavlogiannis, PLDI 2025).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.result import Budget
from chaoskit.history.operation import NONE

__all__ = ["Columns", "clocks"]

Ints = NDArray[np.int64]
_CELLS = 100_000_000  # nodes times columns, 4 bytes each
_BETWEEN_LOOKS = 4096


class Columns:
    """The lanes that have a column: those in which something was written, or all of them.

    Attributes:
        column: of every node, its column; NONE for nodes whose lane has none, and those in no lane.
        codes: of each column, key * span + place of the writes of its lane, ascending; `writes`: the writes themselves.
    """

    def __init__(self, lane: Ints, place: Ints, writes: Ints, key: Ints, every: bool = False) -> None:
        """Args:
        lane, place: of every node; lane NONE = in none. writes: nodes that write. key: of each of them.
        every: lanes in which nothing was written have a column, too.
        """
        names = np.unique(lane[lane != NONE] if every else lane[writes])
        number = np.searchsorted(names, lane[writes])
        of_lane = np.full(int(lane.max(initial=0)) + 2, NONE, dtype=np.int64)
        of_lane[names] = np.arange(len(names))
        self.count, self.place = len(names), place
        self.column = of_lane[lane]
        self.span = int(place.max(initial=0)) + 2
        code = key * self.span + place[writes]
        order = np.lexsort((code, number))
        bounds = np.searchsorted(number[order], np.arange(len(names) + 1))
        self.codes = [code[order[a:b]] for a, b in pairwise(bounds)]
        self.writes = [writes[order[a:b]] for a, b in pairwise(bounds)]

    def last(self, column: int, key: Ints, seen: NDArray[np.int32]) -> Ints:
        """The last write of a lane to a key among so many of its operations, for many at once; NONE where none is."""
        codes, base = self.codes[column], key * self.span
        if not len(codes):
            return np.full(len(key), NONE, dtype=np.int64)
        at = np.searchsorted(codes, base + seen) - 1
        return np.where((at >= 0) & (codes[at] >= base), self.writes[column][at], NONE)

    def knows(self, clock: NDArray[np.int32], node: Ints, other: Ints) -> NDArray[np.bool_]:
        """Whether `other`, a write, must come before `node`."""
        return clock[node, self.column[other]] > self.place[other]


def clocks(columns: Columns, source: Ints, target: Ints, budget: Budget) -> NDArray[np.int32] | None:
    """For every node and column: how many operations of that lane must come before it, counted by place.

    Args:
        source, target: steps without circles.

    Returns:
        None where there are too many clients for the size of the history, or the budget is spent.
    """
    nodes = len(columns.column)
    if nodes * max(1, columns.count) > _CELLS:
        return None
    found = np.zeros((nodes, max(1, columns.count)), dtype=np.int32)
    order = np.argsort(source, kind="stable")
    pointers = np.searchsorted(source[order], np.arange(nodes + 1)).tolist()
    targets = target[order].tolist()
    open_steps = np.bincount(target, minlength=nodes).tolist()
    ready = [node for node, number in enumerate(open_steps) if not number]
    rows, column, after = list(found), columns.column.tolist(), (columns.place + 1).tolist()
    maximum = np.maximum
    for number, node in enumerate(ready):  # grows while it is gone through
        if number % _BETWEEN_LOOKS == 0 and budget.spent():
            return None
        row, own = rows[node], column[node]
        for step in range(pointers[node], pointers[node + 1]):
            following = targets[step]
            other = rows[following]
            maximum(other, row, out=other)
            if own >= 0 and other[own] < after[node]:
                other[own] = after[node]
            open_steps[following] -= 1
            if not open_steps[following]:
                ready.append(following)
    return found
