"""How old the answers of registers were, at least: in milliseconds and in versions.

The age of an answer is counted from the instant at which a newer value was provably there (its write had returned, or
somebody had been shown it), not from when that write was sent: what is reported is never more than the truth.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.origins import Origins
from chaoskit.checks.quantiles import nearest_rank
from chaoskit.checks.zones import Overtaken
from chaoskit.history.operations import Operations

__all__ = ["ages", "staleness", "versions_behind"]


def ages(operations: Operations, origins: Origins, found: Overtaken) -> NDArray[np.int64]:
    """Nanoseconds per seer, at least; 0 for what was not provably replaced. Needs a history with times."""
    age = np.zeros(len(origins.seer), dtype=np.int64)
    late = np.flatnonzero(found.late)
    if len(late):
        order = np.argsort(origins.ended)
        proof = order[np.searchsorted(origins.ended[order], found.known[late])]
        age[late] = np.maximum(0, operations.began_ns[origins.seer[late]] - operations.ended_ns[proof])
    return age


def versions_behind(origins: Origins, first: NDArray[np.int64], found: Overtaken) -> NDArray[np.int64]:
    """How many writes had returned since the value that each seer shows was last known to be current, at least.

    Counted are all writes that had returned when it began, less all that had begun when its value was first known.
    """
    behind = np.zeros(len(origins.seer), dtype=np.int64)
    late = np.flatnonzero(found.late)
    if len(late):
        returned = np.searchsorted(np.sort(origins.end), origins.began[origins.seer[late]], side="left")
        begun = np.searchsorted(np.sort(origins.start), first[origins.cluster[late]], side="right")
        behind[late] = np.maximum(1, returned - begun)
    return behind


def staleness(
    operations: Operations, origins: Origins, first: NDArray[np.int64], found: Overtaken, placed: NDArray[np.bool_]
) -> dict[str, float]:
    """Figures over the answers whose write is known.

    Args:
        placed: mask of these seers.
    """
    count = int(np.count_nonzero(placed))
    if not count:
        return {}
    late = int(np.count_nonzero(found.late & placed))
    behind, age = [0.0] * 2, [0.0] * 3
    if late:
        behind = nearest_rank(versions_behind(origins, first, found)[placed].astype(np.float64), (990, 1000))
        if operations.timed:
            age = nearest_rank(ages(operations, origins, found)[placed] / 1e6, (500, 990, 1000))
    numbers = {"stale answers, share": late / count}
    numbers |= {f"staleness {name}, versions at least": n for name, n in zip(("p99", "max"), behind, strict=True)}
    if operations.timed:
        numbers |= {f"staleness {name}, ms at least": n for name, n in zip(("p50", "p99", "max"), age, strict=True)}
    return numbers
