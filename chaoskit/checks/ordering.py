"""Search for one order of operations on registers: depth first, along what is known already, within a budget.

Answers are put into the order as soon as they fit, because nothing is lost by that; what has to be tried is which write
comes next. A write may come once everybody has read what it replaces. In a history of a system that did well, the order
of invocation is nearly right, so that is tried first.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from chaoskit.checks.circles import Steps
from chaoskit.checks.result import Budget
from chaoskit.checks.session_registers import Story
from chaoskit.history.operation import NONE

__all__ = ["Ordering"]

_REMEMBERED = 200_000  # dead ends
_BETWEEN_LOOKS = 256


class Ordering:
    """One search.

    Args:
        steps: what must come before what, without circles. nodes: how many there are, those that only join included.
    """

    def __init__(self, story: Story, steps: Steps, nodes: int) -> None:
        origins = story.origins
        order = np.argsort(steps.source, kind="stable")
        pointers = np.searchsorted(steps.source[order], np.arange(nodes + 1))
        targets = steps.target[order]
        self._after = [targets[a:b].tolist() for a, b in pairwise(pointers)]
        self._open = np.bincount(steps.target, minlength=nodes).tolist()
        joints = set(range(len(story.operations), nodes))
        self._shown: dict[int, int] = dict(zip(story.reads.tolist(), story.wrote.tolist(), strict=True))
        self._writes = set(story.writes.tolist())
        self._key = origins.register.tolist()
        self._began = story.operations.invoked.tolist()
        self._joints = joints
        self._left: dict[tuple[int, int], int] = {}  # (key, write): answers that are to show it
        for read, write in self._shown.items():
            self._left[self._key[read], write] = self._left.get((self._key[read], write), 0) + 1
        self._now = [NONE] * origins.registers
        members = np.flatnonzero(story.member).tolist()
        self._to_do = len(members) + len(joints)
        self._ready = {one for one in (*members, *joints) if not self._open[one]}
        self._trail: list[tuple[int, int]] = []  # (what was put into the order, what its register showed before)

    def search(self, budget: Budget) -> bool | None:
        """Whether there is an order; None where the budget was spent before that was known."""
        choices: list[tuple[int, list[int]]] = []
        dead: set[tuple[frozenset[int], tuple[int, ...]]] = set()
        looks = 0
        while True:
            self._look()
            if len(self._trail) == self._to_do:
                return True
            looks += 1
            if looks % _BETWEEN_LOOKS == 0 and budget.spent():
                return None
            writes = sorted((one for one in self._ready if self._fits(one)), key=self._began.__getitem__, reverse=True)
            if len(writes) > 1:
                state = (frozenset(self._ready), tuple(self._now))
                if state in dead:
                    writes = []
                elif len(dead) >= _REMEMBERED:
                    return None
                else:
                    dead.add(state)
            if writes:
                choices.append((len(self._trail), writes))
            while choices and not choices[-1][1]:
                choices.pop()
            if not choices:
                return False
            mark, writes = choices[-1]
            while len(self._trail) > mark:
                self._undo()
            self._put(writes.pop())

    def _look(self) -> None:
        """Put into the order what changes nothing and fits."""
        found = True
        while found:
            found = False
            for one in [one for one in self._ready if one in self._joints or one not in self._writes]:
                if one in self._joints or self._now[self._key[one]] == self._shown[one]:
                    self._put(one)
                    found = True

    def _fits(self, one: int) -> bool:
        """Whether a write may come now: all answers that show what it replaces are there."""
        if one not in self._writes:
            return False
        key = self._key[one]
        mine = one in self._shown and self._shown[one] == self._now[key]
        if one in self._shown and not mine:
            return False
        return self._left.get((key, self._now[key]), 0) == mine

    def _put(self, one: int) -> None:
        joint = one in self._joints
        before = NONE if joint else self._now[self._key[one]]
        self._trail.append((one, before))
        self._ready.remove(one)
        if not joint:
            if one in self._shown:
                self._left[self._key[one], self._shown[one]] -= 1
            if one in self._writes:
                self._now[self._key[one]] = one
        for other in self._after[one]:
            self._open[other] -= 1
            if not self._open[other]:
                self._ready.add(other)

    def _undo(self) -> None:
        one, before = self._trail.pop()
        for other in self._after[one]:
            if not self._open[other]:
                self._ready.discard(other)
            self._open[other] += 1
        self._ready.add(one)
        if one not in self._joints:
            if one in self._shown:
                self._left[self._key[one], self._shown[one]] += 1
            if one in self._writes:
                self._now[self._key[one]] = before
