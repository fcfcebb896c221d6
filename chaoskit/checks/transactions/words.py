"""Sentences about transactions: which operation is meant, and why a cycle of them is impossible."""

from __future__ import annotations

from collections.abc import Callable

from chaoskit.checks.transactions.graph import RT, SO, Edges
from chaoskit.history.operations import Operations

__all__ = ["around", "named", "shown_list"]

_LONGEST = 6  # elements of a list
_STEPS = 10  # of a cycle


def named(operations: Operations, position: int) -> str:
    """An operation: "operation 12 (process 3)"."""
    return f"operation {int(operations.index[position])} (process {int(operations.process[position])})"


def shown_list(elements: list[str]) -> str:
    """A list, its end where it is long: "[… 5 6 7]"."""
    if len(elements) > _LONGEST:
        elements = ["…", *elements[-_LONGEST:]]
    return f"[{' '.join(elements)}]"


def around(operations: Operations, edges: Edges, why: Callable[[int], str]) -> str:
    """A cycle in words: each transaction before the next, and for what reason, until the first comes before itself.

    Args:
        why: says of an edge (by its place in `edges`) what the history shows; not asked for order in time.
    """
    steps = []
    count = len(edges)
    left_out = range(_STEPS - 2, count - 2) if count > _STEPS else range(0)
    for at in range(count):
        if at in left_out:
            if at == left_out.start:
                steps.append(f"… so on over {len(left_out)} more …")
            continue
        source, target = int(edges.source[at]), int(edges.target[at])
        label = int(edges.label[at])
        if label in (RT, SO):
            who = "the same session began it" if label == SO else "it began"
            reason = f"{who} after operation {int(operations.index[source])} was over"
        else:
            reason = why(at)
        before = named(operations, source) if at == 0 else f"operation {int(operations.index[source])}"
        after = f"operation {int(operations.index[target])}" if at == count - 1 else named(operations, target)
        steps.append(f"{before} comes before {after}, because {reason}")
    return f"{'; '.join(steps)}: so each of them would have to come before itself"
