"""Tables and series of one cell: every class in every window, and every class along the time. Numbers only."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from chaoskit.analysis.model import Quantiles, Series, WindowStats
from chaoskit.checks.conditions import window_span
from chaoskit.checks.quantiles import PER_MILLE, nearest_rank, needed
from chaoskit.checks.sample import Load, Sample
from chaoskit.history.operation import Outcome
from chaoskit.history.windows import Span

__all__ = ["EVERY", "MOST_POINTS", "quantiles", "series", "window_stats"]

EVERY = "*"  # the class that stands for all operations
MOST_POINTS = 2000
_STEPS = (0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0)
_OPERATIONS_PER_POINT = 20  # finer than this and a line shows arrivals, not the system


def window_stats(sample: Sample, cls: str, origin_ns: int) -> WindowStats:
    """One class in one window."""
    outcome = sample.load.outcome[sample.asked]
    intended, yes = sample.intended, int(np.count_nonzero(sample.yes))
    seconds = sample.span.seconds
    return WindowStats(
        window=window_span(sample.span, origin_ns),
        cls=cls,
        intended=intended,
        ok=int(np.count_nonzero(outcome == Outcome.OK)),
        fail=int(np.count_nonzero(outcome == Outcome.FAIL)),
        info=int(np.count_nonzero(outcome == Outcome.INFO)),
        yes=yes,
        refused=int(np.count_nonzero(sample.refused)),
        silent=int(np.count_nonzero(sample.silent)),
        late=int(np.count_nonzero(sample.late)),
        accused=int(np.count_nonzero(sample.yes & sample.load.accused)),
        unsent=sample.unsent,
        rate=intended / seconds if seconds else 0.0,
        goodput=yes / seconds if seconds else 0.0,
        yield_=yes / intended if intended else None,
        response=quantiles(sample.latency("due")),
        service=quantiles(sample.latency("sent")),
    )


def quantiles(latency: NDArray[np.float64]) -> Quantiles:
    """Of answered operations only, for tables; how many were not answered stands beside them. NaN and infinity are
    passed over. A quantile is left out where the count makes it another name for the maximum.
    """
    answered = latency[np.isfinite(latency)]
    count = len(answered)
    values = dict(zip(PER_MILLE, nearest_rank(answered, list(PER_MILLE.values())), strict=True))
    known = {name: value if count >= needed(PER_MILLE[name]) else None for name, value in values.items()}
    return Quantiles(
        count=count,
        p50=known["p50"],
        p90=known["p90"],
        p95=known["p95"],
        p99=known["p99"],
        p999=known["p99.9"],
        maximum=known["max"],
    )


def step_of(seconds: float, operations: int) -> float:
    """Seconds per point: fine, but with some operations in each point and no more than 2,000 points; 1 s at most unless
    the run is longer than 2,000 s.
    """
    rate = operations / seconds if seconds > 0 else 0.0
    for step in _STEPS:
        enough = rate * step >= _OPERATIONS_PER_POINT or step >= 1.0
        if enough and seconds / step <= MOST_POINTS:
            return step
    return seconds / MOST_POINTS


def series(load: Load, cls: str, span: Span, step: float) -> Series:
    """One class along the time, from the start of a window to its end.

    Args:
        load: operations of that class.
        span: gives the interval and the budget by which an answer is in time.
        step: seconds per point.
    """
    width = round(step * 1e9)
    points = max(0, -(-(span.end_ns - span.start_ns) // width))
    edges = span.start_ns + width * np.arange(points + 1, dtype=np.int64)
    cuts = np.searchsorted(load.due, edges, side="left")
    inside = load.where(slice(int(cuts[0]), int(cuts[-1])) if points else slice(0, 0))
    cuts = cuts - cuts[0]
    sample = Sample(inside, span)
    latency = sample.latency("due")
    lines: dict[str, list[float | None]] = {"p50": [], "p95": [], "p99": []}
    ranks = [PER_MILLE[name] for name in lines]
    for first, last in pairwise(cuts.tolist()):
        part = latency[first:last]
        part = part[np.isfinite(part)]
        found = nearest_rank(part, ranks) if len(part) else [None] * len(ranks)
        for line, value in zip(lines.values(), found, strict=True):
            line.append(value)

    def counts(chosen: NDArray[np.bool_]) -> tuple[int, ...]:
        total = np.concatenate([[0], np.cumsum(chosen)])
        return tuple((total[cuts[1:]] - total[cuts[:-1]]).tolist())

    return Series(
        cls=cls,
        start=0.0,
        step=step,
        intended=counts(sample.asked),
        yes=counts(sample.yes),
        fail=counts(sample.asked & np.equal(inside.outcome, int(Outcome.FAIL), dtype=np.bool_)),
        info=counts(sample.asked & np.equal(inside.outcome, int(Outcome.INFO), dtype=np.bool_)),
        p50=tuple(lines["p50"]),
        p95=tuple(lines["p95"]),
        p99=tuple(lines["p99"]),
    )
