"""Registers with compare-and-set: values that replaced each other form chains, and a chain is one block in time.

A compare-and-set from a unique value to another one must directly follow what wrote and what read the first, so that a
written value, the compare-and-sets that lead on from it and all answers that show any of these values are contiguous in
every legal order. Inside the block the order is known; between blocks the rule of `chaoskit.checks.zones` holds as for
single writes: "some operation of A ended before one of B began" is an interval order, and has a cycle only if two
blocks are each before the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.origins import Origins
from chaoskit.checks.zones import FAR
from chaoskit.history.operation import NONE

__all__ = ["Chains", "chained"]


@dataclass(frozen=True, eq=False)
class Chains:
    """Clusters tied together by compare-and-sets.

    Attributes:
        origins: of the same history.
        head: of every cluster, the first one of its chain. depth: how many compare-and-sets lie between them.
        circular: mask of clusters whose values come from each other alone, in a circle.
        split: mask of chains (by their head) in which one value was replaced more than once.
        twice: clusters whose value was replaced more than once.
    """

    origins: Origins
    head: NDArray[np.int64]
    depth: NDArray[np.int64]
    circular: NDArray[np.bool_]
    split: NDArray[np.bool_]
    twice: NDArray[np.int64]

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """Clusters of one chain after the other, each from its head on."""
        return np.lexsort((self.depth, self.head))

    @cached_property
    def straight(self) -> NDArray[np.bool_]:
        """Mask of the clusters whose order within the chain is known."""
        return ~self.split[self.head] & ~self.circular & ~self.circular[self.head]

    def ancestors(self, cluster: int) -> list[int]:
        """The clusters that lead to this one, this one first, up to the head or once around a circle."""
        found = {cluster: None}  # in order
        above = int(self.origins.parent[cluster])
        while above != NONE and above not in found:
            found[above] = None
            above = int(self.origins.parent[above])
        return list(found)

    def newest_before(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Per cluster the latest start of its writer and of its ancestors' writers, and whose that is. By doubling, as
        in `chained`: also where a chain is split.
        """
        here = np.arange(len(self.head))
        jump = np.where(self.origins.parent == NONE, here, self.origins.parent)
        newest, holder = self.origins.start, here
        for _ in range(len(here).bit_length()):
            better = newest[jump] > newest
            newest, holder = np.where(better, newest[jump], newest), np.where(better, holder[jump], holder)
            further = jump[jump]
            if np.array_equal(further, jump):
                break
            jump = further
        return newest, holder

    def known_after(self, first: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Per cluster the earliest rank at which a later one of its chain was known, and which; FAR where none is.

        Args:
            first: per cluster, when it was first known (`Origins.tied`, or the end of its writer).
        """
        value = np.where(self.straight, first, FAR)[self.order]
        count = len(value)
        rank = np.empty(count, dtype=np.int64)
        sort = np.argsort(value, kind="stable")
        rank[sort] = np.arange(count)
        # Backwards: later chains come first and must not be seen, so their numbers are higher.
        least = np.minimum.accumulate((rank + self._segment * count)[::-1])[::-1] - self._segment * count
        known, holder = np.full(count, FAR), np.full(count, NONE, dtype=np.int64)
        inner = np.flatnonzero(self._segment[1:] == self._segment[:-1])
        known[self.order[inner]] = value[sort[least[inner + 1]]]
        holder[self.order[inner]] = self.order[sort[least[inner + 1]]]
        return known, holder

    @cached_property
    def _segment(self) -> NDArray[np.int64]:
        """Number of the chain, in the order of `order`."""
        head = self.head[self.order]
        return np.concatenate([[0], np.cumsum(head[1:] != head[:-1])])


def chained(origins: Origins) -> Chains:
    """Follow every compare-and-set back to the write, or the initial value, that its chain began with.

    By doubling: after k rounds every cluster knows its ancestor 2^k steps back. Who is still on the way after more
    steps than there are clusters goes round in a circle.
    """
    count = len(origins.parent)
    here = np.arange(count)
    head = np.where(origins.parent == NONE, here, origins.parent)
    depth = (head != here).astype(np.int64)
    for _ in range(int(count).bit_length()):
        further = head[head]
        if np.array_equal(further, head):
            break
        depth += depth[head]
        head = further
    lost = origins.parent[head] != NONE  # never came to a head
    circular = np.zeros(count, dtype=np.bool_)
    circular[head[lost]] = True
    linked = origins.parent[origins.parent != NONE]
    heirs = np.bincount(linked, minlength=count)
    twice = np.flatnonzero(heirs > 1)
    split = np.zeros(count, dtype=np.bool_)
    split[head[twice]] = True
    return Chains(origins, head, depth, circular, split, twice)
