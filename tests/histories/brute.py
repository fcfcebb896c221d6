"""Brute force: is there any order of the operations that explains every answer? No cleverness, so that it can be right.

Tries every order that respects real time (or only each process's own order, for sequential consistency) by depth first
search, without a cache and without pruning beyond what the rule of order itself forbids. For histories of 6-10
operations; independent of everything in chaoskit/checks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

NEVER = 1 << 62


@dataclass(frozen=True)
class Op:
    """One operation. `completed` is NEVER for one of unknown outcome; failed ones are not given to brute force."""

    process: int
    f: str
    value: Any  # what was asked
    result: Any  # what was answered, None for nothing
    invoked: int
    completed: int
    key: Any = None

    @property
    def info(self) -> bool:
        return self.completed == NEVER


Step = Callable[[Any, Op], Any]  # (state, op) -> the next state, or WRONG where the answer contradicts the state
WRONG = object()


def linearizable(ops: Sequence[Op], step: Step, initial: Any) -> bool:
    """Whether some order within real time explains all answers; operations of unknown outcome may be left out."""
    return _ordered(ops, step, initial, lambda one, other: one.completed <= other.invoked)


def sequential(ops: Sequence[Op], step: Step, initial: Any) -> bool:
    """Whether some order that keeps each process's own order explains all answers."""
    return _ordered(ops, step, initial, lambda one, other: one.process == other.process and one.invoked < other.invoked)


def _ordered(ops: Sequence[Op], step: Step, initial: Any, before: Callable[[Op, Op], bool]) -> bool:
    """Whether the operations fit into an order in which none comes before one that is `before` it.

    Sets of operations are bits of a number: `ahead` of each are those that have to be placed before it.
    """
    bits = [1 << place for place in range(len(ops))]
    ahead = [sum(bit for bit, other in zip(bits, ops, strict=True) if before(other, one)) for one in ops]
    choices = list(zip(bits, ahead, ops, strict=True))
    needed = sum(bit for bit, one in zip(bits, ops, strict=True) if not one.info)

    def search(left: int, state: Any) -> bool:
        if not left & needed:
            return True
        for bit, ahead, one in choices:
            if left & bit and not left & ahead:
                after = step(state, one)
                if after is not WRONG and search(left ^ bit, after):
                    return True
        return False

    return search((1 << len(ops)) - 1, initial)


def register(state: Any, op: Op) -> Any:
    """A register that is read, written and compared-and-set."""
    if op.f == "write":
        return op.value
    if op.f == "cas":
        old, new = op.value
        return new if state == old else WRONG
    return state if op.info or op.result == state else WRONG
