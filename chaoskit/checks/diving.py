"""A quick look for one order of the operations that explains all answers: depth first, before everything is searched.

Most histories are legal, and then the first order that is tried is nearly right: an operation takes effect when it
returns, or when an answer needs it to have, and what only looks does so as soon as it may. Where that leads nowhere the
last choice is made in another way. What is found is an order, so *legal* is certain; what is not found says nothing,
and `chaoskit.checks.linearize` searches everything. Source: Wing and Gong, Testing and Verifying Concurrent Objects
(1993), with the cache of Lowe, Testing for linearizability (2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from chaoskit.checks.result import Budget
from chaoskit.history.operations import NEVER

__all__ = ["Steps", "dive"]

_ILLEGAL = -1
_PATIENCE = 2000  # choices taken back without coming further: there is no way, or it is hard to find
_MOST = 1_000_000  # configurations remembered; some 200 bytes each


class Steps(Protocol):
    """What is asked of a machine (`chaoskit.checks.linearize.Machine`)."""

    changing: set[int]

    def row(self, kind: int) -> dict[int, int]:
        """What is known of a kind so far: state -> next state, -1 where it cannot be."""
        ...

    def following(self, state: int, kind: int) -> int:
        """The next state, or -1."""
        ...


def dive(
    machine: Steps,
    invoked: Sequence[int],
    completed: Sequence[int],
    kinds: Sequence[int],
    budget: Budget,
) -> bool:
    """Whether an order was found that explains every answer.

    Args:
        invoked, completed, kinds: of every operation its ranks (NEVER: it may have happened or not) and what it does.
    """
    return _Dive(machine, invoked, completed, kinds, budget).found()


class _Dive:
    """A configuration is a state and the bits of those operations under way that have taken effect."""

    def __init__(
        self,
        machine: Steps,
        invoked: Sequence[int],
        completed: Sequence[int],
        kinds: Sequence[int],
        budget: Budget,
    ) -> None:
        self._machine, self._kinds, self._completed, self._budget = machine, kinds, completed, budget
        began, ended = np.array(invoked, dtype=np.int64), np.array(completed, dtype=np.int64)
        returning = np.flatnonzero(ended != NEVER)
        order = np.argsort(np.concatenate([began, ended[returning]]), kind="stable")
        self._events: list[int] = np.concatenate([np.arange(len(began)), ~returning])[order].tolist()  # ~: returns
        self._rows = {kind: machine.row(kind) for kind in set(kinds)}
        self._bits = [0] * len(began)
        self._under_way: dict[int, int] = {}  # bit -> operation
        self._place = self._front = self._fresh = 0  # where this is, how far it ever came, bits that are in use
        self._furthest, self._patience = 0, _PATIENCE  # choices that may be taken back until it comes further than this
        self._free: list[int] = []
        self._choices: list[tuple[int, int, int, bool]] = []  # place, state, done; whether to let others go first
        self._seen: set[tuple[int, int, int]] = set()

    def found(self) -> bool:
        """The answer."""
        start: tuple[int, int] | None = (0, 0)
        while start is not None:
            if self._went_on(*start):
                return True
            start = self._other_way()
        return False

    def _went_on(self, state: int, done: int) -> bool:
        """Go on from here: whether the end was reached. Else what returns here cannot take effect now."""
        events, kinds, bits, under_way, rows = self._events, self._kinds, self._bits, self._under_way, self._rows
        machine, seen = self._machine, self._seen
        changing, place = machine.changing, self._place
        while place < len(events):
            one = events[place]
            if one >= 0:
                if place >= self._front:
                    self._front = place + 1
                    bits[one] = self._free.pop() if self._free else 1 << self._fresh
                    self._fresh += bits[one] >> self._fresh
                under_way[bits[one]] = one
                place += 1
                continue
            one = ~one
            bit, kind = bits[one], kinds[one]
            if done & bit:
                done ^= bit
            else:
                following = rows[kind].get(state)
                if following is None:
                    following = machine.following(state, kind)
                if following == _ILLEGAL or kind in changing:
                    for other, number in under_way.items():  # what only looks may look now, before the state changes
                        looks = kinds[number] not in changing and rows[kinds[number]].get(state) == state
                        done |= other if looks else 0
                    here = (place, state, done)
                    again = here in seen
                    if not again:
                        seen.add(here)
                        self._choices.append((*here, True))
                    if again or following == _ILLEGAL:
                        self._place = place
                        return False
                    state = following
            del under_way[bit]
            if place >= self._front:
                self._front = place + 1
                self._free.append(bit)
            place += 1
        return True

    def _other_way(self) -> tuple[int, int] | None:
        """Take the last choice back: state and done of the next try, at its place; None where there is none."""
        while self._choices:
            place, state, done, others = self._choices.pop()
            self._rewind(place)
            if not others:
                return state, done
            if self._front > self._furthest:
                self._furthest, self._patience = self._front, _PATIENCE
            self._patience -= 1
            if not self._patience or len(self._seen) > _MOST or self._budget.spent():
                return None
            tries = self._tries(place, state, done)
            if tries:
                self._choices.extend((place, *one, False) for one in tries[:-1])
                return tries[-1]
        return None

    def _tries(self, place: int, state: int, done: int) -> list[tuple[int, int]]:
        """What one other operation can make of a configuration before the one that returns; the likeliest last."""
        machine, kinds, returning = self._machine, self._kinds, ~self._events[place]
        found = []
        for bit, one in self._under_way.items():
            if done & bit or one == returning:
                continue
            after = machine.following(state, kinds[one])
            if after == _ILLEGAL or (place, after, done | bit) in self._seen:
                continue
            if after == state and self._completed[one] == NEVER:  # it would be as if it had never happened
                continue
            fits = machine.following(after, kinds[returning]) != _ILLEGAL
            found.append((fits, -self._completed[one], after, done | bit))
        return [one[2:] for one in sorted(found)]

    def _rewind(self, place: int) -> None:
        events, bits, under_way = self._events, self._bits, self._under_way
        for at in range(self._place - 1, place - 1, -1):
            one = events[at]
            if one >= 0:
                del under_way[bits[one]]
            else:
                under_way[bits[~one]] = ~one
        self._place = place
