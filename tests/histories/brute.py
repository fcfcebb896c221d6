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
    return _search(frozenset(range(len(ops))), ops, step, initial, _real_time)


def sequential(ops: Sequence[Op], step: Step, initial: Any) -> bool:
    """Whether some order that keeps each process's own order explains all answers."""
    return _search(frozenset(range(len(ops))), ops, step, initial, _own_order)


def _real_time(left: frozenset[int], ops: Sequence[Op], one: int) -> bool:
    return all(ops[other].completed > ops[one].invoked for other in left if other != one)


def _own_order(left: frozenset[int], ops: Sequence[Op], one: int) -> bool:
    own = [other for other in left if other != one and ops[other].process == ops[one].process]
    return all(ops[other].invoked > ops[one].invoked for other in own)


def _search(left: frozenset[int], ops: Sequence[Op], step: Step, state: Any, may_be_next: Any) -> bool:
    if all(ops[one].info for one in left):
        return True
    for one in sorted(left):
        if not may_be_next(left, ops, one):
            continue
        after = step(state, ops[one])
        if after is not WRONG and _search(left - {one}, ops, step, after, may_be_next):
            return True
    return False


def register(state: Any, op: Op) -> Any:
    """A register that is read, written and compared-and-set."""
    if op.f == "write":
        return op.value
    if op.f == "cas":
        old, new = op.value
        return new if state == old else WRONG
    return state if op.info or op.result == state else WRONG
