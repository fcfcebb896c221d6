"""Is there an order of the operations that explains all answers? The plain search, for what has no short cut.

Goes through the events in order and keeps every configuration that is still possible: the state of the object, and
which of the operations under way have taken effect. An operation is made to take effect only when it must (it returns)
or when something that must needs it to have. Source: Lowe, Testing for linearizability (2017), just-in-time
linearization; Wing and Gong (1993) for the search itself.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from chaoskit.checks.result import Budget
from chaoskit.history.operations import NEVER

__all__ = ["Puzzle", "Searched", "search", "smallest"]

_CONFIGURATIONS = 1_000_000  # of one instant; some 200 bytes each
_BETWEEN_LOOKS = 4096


@dataclass(frozen=True)
class Puzzle:
    """Operations of one object, numbered from 0.

    Attributes:
        invoked, completed: ranks; NEVER for an operation that may have taken effect, at any time, or not at all.
        step: (state, number) -> the next state, or None where the answer contradicts the state.
        initial: the state before all. looks: of every operation, whether it never changes the state.
    """

    invoked: Sequence[int]
    completed: Sequence[int]
    step: Callable[[Hashable, int], Hashable | None]
    initial: Hashable
    looks: Sequence[bool]


@dataclass(frozen=True)
class Searched:
    """`legal`: True, False, or None where the budget ended the search; `at`: number of the operation it ended at."""

    legal: bool | None
    at: int


def search(puzzle: Puzzle, chosen: Sequence[int], budget: Budget) -> Searched:
    """Judge some of a puzzle's operations as if there were no others."""
    events = [(puzzle.invoked[one], False, one) for one in chosen]
    events += [(puzzle.completed[one], True, one) for one in chosen if puzzle.completed[one] != NEVER]
    events.sort()
    bits: dict[int, int] = {}  # operations under way -> the bit that says "has taken effect"
    free: list[int] = []
    configurations: set[tuple[Hashable, int]] = {(puzzle.initial, 0)}
    for _, returns, one in events:
        if not returns:
            bits[one] = free.pop() if free else 1 << len(bits)
            continue
        found = _returned(puzzle, one, bits, configurations, budget)
        if not found:
            return Searched(None if found is None else False, one)
        configurations = found
        free.append(bits.pop(one))
    return Searched(True, -1)


def _returned(
    puzzle: Puzzle, one: int, bits: dict[int, int], before: set[tuple[Hashable, int]], budget: Budget
) -> set[tuple[Hashable, int]] | None:
    """The configurations in which `one` has taken effect, with its bit cleared; None where the budget is spent."""
    step, wanted = puzzle.step, bits[one]
    looks = [(number, bit) for number, bit in bits.items() if puzzle.looks[number]]
    changes = [(number, bit) for number, bit in bits.items() if not puzzle.looks[number]]
    after: set[tuple[Hashable, int]] = set()
    seen: set[tuple[Hashable, int]] = set()
    stack = list(before)
    rounds = 0
    while stack:
        rounds += 1
        if rounds % _BETWEEN_LOOKS == 1 and (budget.spent() or len(seen) > _CONFIGURATIONS):
            return None
        state, done = stack.pop()
        for number, bit in looks:  # what only looks may look at once: later it can do no more than that
            if not done & bit and step(state, number) is not None:
                done |= bit
        if (state, done) in seen:
            continue
        seen.add((state, done))
        if done & wanted:
            after.add((state, done & ~wanted))
            continue
        for number, bit in changes:
            if not done & bit:
                following = step(state, number)
                if following is not None:
                    stack.append((following, done | bit))
    return after


def smallest(
    chosen: Sequence[int],
    closed: Callable[[Sequence[int]], list[int]],
    illegal: Callable[[Sequence[int]], bool],
    budget: Budget,
) -> list[int]:
    """A small set of operations that is still illegal: none can be left out of it alone.

    Halves, quarters … are left out as long as that works (Zeller and Hildebrandt, Simplifying and Isolating
    Failure-Inducing Input, 2002).

    Args:
        closed: drops what makes no sense without what was left out (answers whose write is gone).
        illegal: False also where it cannot be said.
        budget: once it is spent, what has been reached is given back, however large.
    """
    left, parts = list(chosen), 2
    while len(left) > 1:
        size = max(1, len(left) // parts)
        for begin in range(0, len(left), size):
            if budget.spent():
                return left
            fewer = closed(left[:begin] + left[begin + size :])
            if fewer and illegal(fewer):
                left, parts = fewer, max(2, parts - 1)
                break
        else:
            if size == 1:
                break
            parts = min(len(left), parts * 2)
    return left
