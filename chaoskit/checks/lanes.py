"""Sessions as rows of operations that followed each other: what a client had done before it asked for the next thing.

The order of a session is that of real time within it. A session whose operations overlapped (several connections, or
one that went on after an outcome that nobody knows) is taken apart into lanes, each of which never overlaps: fewer
things are then known to be in order, so nobody is accused who should not be.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chaoskit.history.operations import NEVER, Operations
from chaoskit.units import format_count

__all__ = ["Lanes"]


@dataclass(frozen=True, eq=False)
class Lanes:
    """Attributes:
    count: how many lanes there are. divided: how many sessions had to be taken apart.
    lane, place: of every operation, its lane (from 0) and how many of its lane were before it.
    order: positions of all operations, lane after lane.
    """

    count: int
    divided: int
    lane: NDArray[np.int64]
    place: NDArray[np.int64]
    order: NDArray[np.int64]

    @classmethod
    def of(cls, operations: Operations) -> Lanes:
        """Lanes of a history. Failed operations are in them too: to be refused comes before what is asked next."""
        names, lane = np.unique(operations.session, return_inverse=True)
        count = len(names)
        order = np.lexsort((operations.invoked, lane))
        before, after = order[:-1], order[1:]
        overlap = (lane[before] == lane[after]) & (operations.completed[before] > operations.invoked[after])
        torn = np.unique(lane[after[overlap]]).tolist()
        for number in torn:
            mine = order[np.searchsorted(lane[order], number) : np.searchsorted(lane[order], number, side="right")]
            taken = _apart(operations.invoked[mine].tolist(), operations.completed[mine].tolist())
            fresh = np.asarray(taken, dtype=np.int64)
            lane = lane.copy()
            lane[mine[fresh > 0]] = count + fresh[fresh > 0] - 1
            count += int(fresh.max())
            order = np.lexsort((operations.invoked, lane))
        place = np.empty(len(order), dtype=np.int64)
        begins = np.searchsorted(lane[order], np.arange(count))
        place[order] = np.arange(len(order)) - begins[lane[order]]
        return cls(count, len(torn), lane, place, order)

    def notes(self) -> tuple[str, ...]:
        """What is to be said of sessions that were taken apart."""
        if not self.divided:
            return ()
        return (
            f"sessions in which operations overlapped: {format_count(self.divided)}; only what did not overlap counts "
            "as one after the other",
        )


def _apart(invoked: list[int], completed: list[int]) -> list[int]:
    """The number of the first lane that is free, for each operation of one session in order of invocation."""
    free: list[int] = []
    busy: list[tuple[int, int]] = []
    found, used = [], 0
    for began, ended in zip(invoked, completed, strict=True):
        while busy and busy[0][0] < began:
            heapq.heappush(free, heapq.heappop(busy)[1])
        if free:
            number = heapq.heappop(free)
        else:
            number, used = used, used + 1
        found.append(number)
        if ended != NEVER:
            heapq.heappush(busy, (ended, number))
    return found
