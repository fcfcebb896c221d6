"""What must come before what, and why, as steps between operations; circles of steps, and the shortest of them.

A circle of steps is a contradiction: each of its operations would have to come before itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.transactions.graph import knots
from chaoskit.history.operation import NONE

__all__ = ["FORCED", "OWN", "SHOWN", "Steps", "Ways"]

OWN, SHOWN, FORCED = range(3)  # one client's order; an answer that shows what was written; what follows from a rule
_TRIED = 16  # circles looked at for the shortest one
_MANY = 100_000  # steps; in a knot with more, the first circle will do

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Steps:
    """Steps between nodes: operations by position, and above them nodes that only join steps.

    Attributes:
        why: OWN, SHOWN or FORCED.
        read: of forced steps, the answer that forces it; else NONE. proof: the operation through which the client of
            that answer knew better; NONE where a way of other steps leads to it.
    """

    source: Ints
    target: Ints
    why: NDArray[np.uint8]
    read: Ints
    proof: Ints

    @classmethod
    def of(cls, why: int, source: Ints, target: Ints, read: Ints | None = None, proof: Ints | None = None) -> Steps:
        """Steps for one reason."""
        nothing = np.full(len(source), NONE, dtype=np.int64)
        return cls(
            source,
            target,
            np.full(len(source), why, dtype=np.uint8),
            nothing if read is None else read,
            nothing if proof is None else proof,
        )

    def __len__(self) -> int:
        return len(self.source)

    def where(self, chosen: NDArray[np.bool_] | Ints) -> Steps:
        """Some of them."""
        return Steps(self.source[chosen], self.target[chosen], self.why[chosen], self.read[chosen], self.proof[chosen])

    def joined(self, *others: Steps) -> Steps:
        """With others."""
        every = (self, *others)
        return Steps(
            np.concatenate([one.source for one in every]),
            np.concatenate([one.target for one in every]),
            np.concatenate([one.why for one in every]),
            np.concatenate([one.read for one in every]),
            np.concatenate([one.proof for one in every]),
        )

    def knotted(self, nodes: int, place: Ints | None = None) -> tuple[Ints, Steps]:
        """The knot of every node (NONE: in none), and the steps inside knots. All circles are in knots.

        Args:
            place: where nodes would be if there were no circle (their invocation); it makes the search quick.
        """
        part = knots(nodes, self.source, self.target, place)
        inside = (part[self.source] != NONE) & (part[self.source] == part[self.target])
        return part, self.where(inside)

    def circle(self, part: Ints) -> Steps:
        """A short circle in the smallest knot; by a forced step if there is one.

        Args:
            part: of every node, its knot, as `knotted` gives it; there is at least one.
        """
        sizes = np.bincount(part[part != NONE])
        own = self.where(part[self.source] == int(np.argmin(sizes)))
        forced = np.flatnonzero(own.why == FORCED)
        starts = forced if len(forced) else np.arange(len(own))
        ways = Ways(own)
        best: list[int] = []
        for start in starts[: _TRIED if len(own) < _MANY else 1].tolist():
            way = ways.between(int(own.target[start]), int(own.source[start]))
            if way is not None and (not best or len(way) + 1 < len(best)):
                best = [start, *way]
        return own.where(np.asarray(best, dtype=np.int64))


class Ways:
    """Ways along steps, with as few changes of client as can be."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps

    @cached_property
    def _from(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for number, source in enumerate(self.steps.source.tolist()):
            found.setdefault(source, []).append(number)
        return found

    def between(self, source: int, target: int) -> list[int] | None:
        """Steps (by number) from one node to another; [] where they are the same, None where there is no way.

        A step in one client's own order costs nothing (those between are left out of witnesses), any other one.
        """
        if source == target:
            return []
        costs: dict[int, int] = {source: 0}
        came: dict[int, int] = {}
        following = self._from
        targets, why = self._targets, self._whys
        waiting = deque([(source, 0)])
        while waiting:
            node, cost = waiting.popleft()
            if node == target:
                break
            if cost > costs[node]:
                continue
            for step in following.get(node, ()):
                other, dear = targets[step], why[step] != OWN
                if cost + dear < costs.get(other, 1 << 60):
                    costs[other], came[other] = cost + dear, step
                    (waiting.append if dear else waiting.appendleft)((other, cost + dear))
        if target not in came:
            return None
        way, node = [], target
        while node != source:
            way.append(came[node])
            node = int(self.steps.source[came[node]])
        return way[::-1]

    @cached_property
    def _targets(self) -> list[int]:
        found: list[int] = self.steps.target.tolist()
        return found

    @cached_property
    def _whys(self) -> list[int]:
        found: list[int] = self.steps.why.tolist()
        return found

    def stations(self, way: Sequence[int], operations: int) -> list[int]:
        """The operations along a way, without those in the midst of one client's own order.

        Args:
            operations: how many there are; nodes above them only join steps.
        """
        steps, found = self.steps, []
        for number, step in enumerate(way):
            source, target = int(steps.source[step]), int(steps.target[step])
            begins = number == 0 or steps.why[step] != OWN or steps.why[way[number - 1]] != OWN
            ends = number == len(way) - 1 or steps.why[step] != OWN or steps.why[way[number + 1]] != OWN
            found += [node for node, wanted in ((source, begins), (target, ends)) if wanted and node < operations]
        return list(dict.fromkeys(found))
