"""Windows: the stretches of a cell in which operations are counted, from what was observed, not from what was planned.

    t=0        start            heal            end of load
     |  before   |     during     |     after      |
     |           |<-D->| steady   |                |
                             |<-T>|  during and steady end T early

An operation counts for a window only if its whole budget [due, due + T] lies inside it. Otherwise a system that hangs
until the fault is healed, and answers everything then, would score about one half instead of nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Disturbance", "Span", "budget", "counted", "windows"]


@dataclass(frozen=True)
class Disturbance:
    """A fault, spike or ramp. Instants are ns of the monotonic clock.

    Attributes:
        id: of the injection or of the arrivals.
        planned_ns: when it should have begun.
        length_ns: how long it should have lasted; None for an instant (a restart).
        start_ns: when it was confirmed by reading back; None = never.
        heal_ns: when its end was confirmed; None = never.
    """

    id: str
    planned_ns: int
    length_ns: int | None
    start_ns: int | None
    heal_ns: int | None


@dataclass(frozen=True)
class Span:
    """One window, [start_ns, end_ns], and what an operation needs to count in it.

    Attributes:
        kind: before | during | steady | after | whole. of: the disturbance's id, None for before and whole.
        budget_ns: T; an answer that took longer is a miss.
        heal_ns: an answer after this instant is a miss too; None where no fault is active.
    """

    kind: str
    of: str | None
    start_ns: int
    end_ns: int
    budget_ns: int
    heal_ns: int | None = None

    @property
    def name(self) -> str:
        """`during slow-db`, `before`."""
        return self.kind if self.of is None else f"{self.kind} {self.of}"

    @property
    def seconds(self) -> float:
        """Length of the interval in which counted operations are due: what rates are divided by."""
        return max(0, self.end_ns - self.budget_ns - self.start_ns) / 1e9


def budget(timeout_ns: int, length_ns: int | None) -> int:
    """T = min(client timeout, fault / 4); an instant has no length to take a quarter of."""
    return timeout_ns if not length_ns else min(timeout_ns, length_ns // 4)


def windows(
    origin_ns: int, end_ns: int, timeout_ns: int, failover_ns: int, disturbances: Iterable[Disturbance]
) -> dict[tuple[str, str | None], Span]:
    """All windows of a cell by (kind, of). Pure.

    `before` ends at the first observed start; a disturbance of which no start was observed ends it where one was
    planned, because nobody knows what the system was like from then on. `after X` ends where the next disturbance
    begins: what that one does to the system is not X's affair. A disturbance that was never healed has no `after`.

    Args:
        origin_ns: the cell's t=0.
        end_ns: end of the load, or of what is known of it.
        failover_ns: D, by which `steady` begins later than `during`.
    """
    known = sorted(disturbances, key=_begin)
    budgets = [budget(timeout_ns, one.length_ns) for one in known]
    first = min([_begin(one) for one in known], default=end_ns)
    # The smallest T of all faults: before and during are compared, so they must mean the same by "in time".
    least = min(budgets, default=timeout_ns)
    spans = [
        Span("before", None, origin_ns, max(origin_ns, min(first, end_ns)), least),
        Span("whole", None, origin_ns, max(origin_ns, end_ns), timeout_ns),
    ]
    for one, allowed in zip(known, budgets, strict=True):
        if one.start_ns is None:
            continue
        heal = one.heal_ns
        last = min(end_ns, end_ns if heal is None else heal) - allowed
        for kind, start in (("during", one.start_ns), ("steady", one.start_ns + failover_ns)):
            spans.append(Span(kind, one.id, start, max(start, last), allowed, heal))
        if heal is not None:
            later = [_begin(other) for other in known if other.id != one.id and _begin(other) >= heal]
            spans.append(Span("after", one.id, heal, max(heal, min([end_ns, *later])), allowed))
    return {(span.kind, span.of): span for span in spans}


def counted(due_ns: NDArray[np.int64] | Sequence[int], span: Span) -> slice:
    """Which operations count for a window, as a slice of due times in ascending order."""
    first = int(np.searchsorted(due_ns, span.start_ns, side="left"))
    last = int(np.searchsorted(due_ns, span.end_ns - span.budget_ns, side="right"))
    return slice(first, max(first, last))


def _begin(one: Disturbance) -> int:
    return one.planned_ns if one.start_ns is None else one.start_ns
