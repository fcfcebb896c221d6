"""Linearizability of registers with unique values, in O(n log n): which answers are out of order, what else clashes.

Everything that is known of the time of a cluster (a write and the answers that show it) is `first`, its earliest
completion, and `last`, its latest invocation. Where first < last the register provably held the value all the time
between (a forward zone), else one instant between last and first is enough (a backward zone). The history is
linearizable iff no two forward zones overlap and no backward zone lies inside a forward one, that is: iff no two
clusters are each partly before the other.

Source: Gibbons and Korach, Testing Shared Memories, SIAM J. Comput. 26 (1997), section 4; and Gibbons, Bruno and
Phillips, Black-Box Correctness Tests for Basic Parallel Data Structures (2002).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.origins import Origins

__all__ = ["FAR", "Overtaken", "clashes", "holder_before", "overtaken"]

FAR = np.int64(1 << 62)  # later than every rank


@dataclass(frozen=True, eq=False)
class Overtaken:
    """Which answers show a value that had provably been replaced, and by what.

    Attributes:
        late: mask of seers that began after a value was known that was written after theirs had been.
        stale: those of them that began after such a write had returned (the others saw time run backwards: somebody
            else had already been shown the newer value).
        by: cluster that proves it, for every late seer (for a stale one: whose write had returned first); else -1.
        known: lifted rank at which that cluster was first known, FAR for all that are not late.
    """

    late: NDArray[np.bool_]
    stale: NDArray[np.bool_]
    by: NDArray[np.int64]
    known: NDArray[np.int64]


def overtaken(origins: Origins, first: NDArray[np.int64], trusted: NDArray[np.bool_]) -> Overtaken:
    """Judge every trusted seer by itself.

    A seer of value v is late iff some v' has first(v) < start of v's successor candidate v', and first(v') < its own
    start: v was done with before v' was even asked for, and v' was there before the seer looked.
    """
    order = np.argsort(origins.start, kind="stable")
    start = origins.start[order]
    known, proof = _least_from(first[order])
    returned, write = _least_from(origins.end[order])
    after = np.searchsorted(start, first, side="right")  # of every cluster: those that began when it was done with
    place = np.where(trusted, after[origins.cluster], len(order))
    began = origins.began[origins.seer]
    since = known[place]
    late, stale = since < began, returned[place] < began
    by = np.full(len(place), -1, dtype=np.int64)
    if late.any():
        by[late] = order[np.where(stale, write[place], proof[place])[late]]
    return Overtaken(late, stale, by, np.where(late, since, FAR))


def _least_from(values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The least value at or after every place, and where it is; one entry more for "after the last"."""
    least = np.append(np.minimum.accumulate(values[::-1])[::-1], FAR)
    place = np.where(least[:-1] == values, np.arange(len(values)), len(values))
    return least, np.append(np.minimum.accumulate(place[::-1])[::-1], len(values) - 1)


def holder_before(highest: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where the greatest value at or before every place is."""
    greatest = np.maximum.accumulate(highest)
    place = np.where(greatest == highest, np.arange(len(highest)), -1)
    return np.maximum.accumulate(place)


def clashes(first: NDArray[np.int64], last: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of clusters (or of blocks of them) that are each partly before the other: none iff linearizable.

    Every cluster is paired once at most, with one whose forward zone reaches furthest of those that begin before it.
    """
    forward = np.flatnonzero(first < last)
    if not len(forward):
        return forward, forward
    forward = forward[np.argsort(first[forward], kind="stable")]
    begin, end = first[forward], last[forward]
    furthest = holder_before(end)
    inner = np.flatnonzero(end[furthest[:-1]] > begin[1:]) + 1
    backward = np.flatnonzero(first >= last)
    place = np.searchsorted(begin, last[backward], side="left") - 1  # the last forward zone that begins before it
    holder = furthest[place]
    inside = (place >= 0) & (end[holder] > first[backward])
    one = np.concatenate([forward[furthest[inner - 1]], forward[holder[inside]]])
    other = np.concatenate([forward[inner], backward[inside]])
    return one, other
