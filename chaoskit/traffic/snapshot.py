"""What a worker has published, as data: snapshots, differences of two, and several workers as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from chaoskit.traffic.histogram import quantile

__all__ = ["COUNTS", "Control", "Snapshot", "Span", "State", "between", "merged"]

COUNTS = (
    "due",
    "sent",
    "unsent",
    "in_flight",
    "ok",
    "fail",
    "info",
    "yes",
    "refused",
    "silent",
    "none",
    "late_max_ns",
)  # per class, in the order of the shared words


class State(IntEnum):
    """Where a worker is."""

    STARTING = 0
    READY = 1  # waits for the start instant
    LOADING = 2
    LOAD_DONE = 3  # nothing in flight any more; waits to be told about the final reads
    FINAL = 4
    DONE = 5
    FAILED = 6


class Control(IntEnum):
    """What the engine tells a worker."""

    RUN = 0
    STOP = 1  # send no more load
    FINAL = 2  # do the final reads
    QUIT = 3  # exit now


@dataclass(frozen=True)
class Snapshot:
    """One publication of a worker, or several added up (`merged`).

    Attributes:
        at_ns: when it was published (the worker's heartbeat), monotonic.
        counts: one row a class, columns as in `count`. cells: response times from the due time of answers YES.
        lag_ns: how late the worker's own loop was at worst in the last 100 ms.
        workload_errors: how often the workload's code raised. failure: the text of the first such error, or why the
            worker failed; "" when all is well.
        final_total, final_done: progress of the final reads.
    """

    at_ns: int
    state: State
    classes: tuple[str, ...]
    counts: NDArray[np.int64]
    cells: NDArray[np.int64]
    lag_ns: int = 0
    workload_errors: int = 0
    final_total: int = 0
    final_done: int = 0
    failure: str = ""

    def count(self, what: str, cls: str | None = None) -> int:
        """A count since the start, of one class or of all.

        Args:
            what: due, sent, unsent, in_flight, ok, fail, info, yes, refused, silent, none (answers that say nothing
                about the system), or late_max_ns (the worst of the classes).

        Raises:
            KeyError: no such count or class.
        """
        column = self.counts[:, _index(COUNTS, what)]
        if cls is not None:
            return int(column[_index(self.classes, cls)])
        return int(column.max(initial=0)) if what == "late_max_ns" else int(column.sum())


@dataclass(frozen=True)
class Span:
    """What happened between two snapshots: operations that *ended* in it, by their answers."""

    seconds: float
    earlier: Snapshot
    later: Snapshot

    def count(self, what: str, cls: str | None = None) -> int:
        """Difference of a count. Meaningless for in_flight and late_max_ns."""
        return self.later.count(what, cls) - self.earlier.count(what, cls)

    def answered(self, cls: str | None = None) -> int:
        """Operations that ended and say something about the system."""
        return sum(self.count(what, cls) for what in ("yes", "refused", "silent"))

    def share(self, answer: str, cls: str | None = None) -> float | None:
        """Share of one answer (`yes`, `refused`, `silent`) in what ended; None when nothing did."""
        total = self.answered(cls)
        return self.count(answer, cls) / total if total else None

    def rate(self, what: str = "due", cls: str | None = None) -> float:
        """A count per second: `due` (what was asked for), `sent`, `yes` (goodput)."""
        return self.count(what, cls) / self.seconds if self.seconds > 0 else 0.0

    def quantile(self, q: float, cls: str | None = None) -> float | None:
        """Response time in seconds from the due time, of answers YES; None when there were none."""
        cells = self.later.cells - self.earlier.cells
        return quantile(cells[_index(self.later.classes, cls)] if cls is not None else cells.sum(axis=0), q)


def between(earlier: Snapshot, later: Snapshot) -> Span:
    """What happened from one snapshot to a later one of the same workers.

    Raises:
        ValueError: they are not of the same classes.
    """
    if earlier.classes != later.classes:
        raise ValueError("snapshots of different workers")
    return Span((later.at_ns - earlier.at_ns) / 1e9, earlier, later)


def merged(snapshots: Sequence[Snapshot]) -> Snapshot:
    """All workers as one: counts added, the state of the one that is least far (FAILED if one is), the worst lag.

    Raises:
        ValueError: no snapshot, or of different classes.
    """
    if not snapshots or any(snapshot.classes != snapshots[0].classes for snapshot in snapshots):
        raise ValueError("nothing to merge, or different classes")
    states = [snapshot.state for snapshot in snapshots]
    counts = np.sum([snapshot.counts for snapshot in snapshots], axis=0)
    late = _index(COUNTS, "late_max_ns")
    counts[:, late] = np.max([snapshot.counts[:, late] for snapshot in snapshots], axis=0)
    return Snapshot(
        at_ns=max(snapshot.at_ns for snapshot in snapshots),
        state=State.FAILED if State.FAILED in states else min(states),
        classes=snapshots[0].classes,
        counts=counts,
        cells=np.sum([snapshot.cells for snapshot in snapshots], axis=0),
        lag_ns=max(snapshot.lag_ns for snapshot in snapshots),
        workload_errors=sum(snapshot.workload_errors for snapshot in snapshots),
        final_total=sum(snapshot.final_total for snapshot in snapshots),
        final_done=sum(snapshot.final_done for snapshot in snapshots),
        failure=next((snapshot.failure for snapshot in snapshots if snapshot.failure), ""),
    )


def _index(names: Sequence[str], name: str) -> int:
    try:
        return names.index(name)
    except ValueError:
        raise KeyError(f"{name!r} is not one of {', '.join(names)}") from None
