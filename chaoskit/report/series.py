"""Bins: fewer points, classes added up, quantiles kept honest. Pure; figures draw at most LONGEST points a line."""

from __future__ import annotations

import math
from collections.abc import Sequence

from chaoskit.analysis.model import Series
from chaoskit.report.model import RawTable, Timeline, YieldLine
from chaoskit.report.text import duration, share

__all__ = ["LONGEST", "coarser", "group", "sums", "thinned", "timeline_table", "worst"]

LONGEST = 2000  # points a line in any figure


def group(length: int, longest: int) -> int:
    """How many bins to put into one so that at most `longest` remain."""
    return max(1, math.ceil(length / longest))


def sums(values: Sequence[int], size: int) -> tuple[int, ...]:
    """Counts of `size` neighbouring bins added up."""
    return tuple(sum(values[i : i + size]) for i in range(0, len(values), size))


def worst(values: Sequence[float | None], size: int) -> tuple[float | None, ...]:
    """The largest of `size` neighbouring quantiles: quantiles cannot be averaged, and a peak must not be lost."""
    chunks = (values[i : i + size] for i in range(0, len(values), size))
    return tuple(max((value for value in chunk if value is not None), default=None) for chunk in chunks)


def _means(values: Sequence[float], size: int) -> tuple[float, ...]:
    chunks = [values[i : i + size] for i in range(0, len(values), size)]
    return tuple(sum(chunk) / size for chunk in chunks)


def _shares(values: Sequence[float | None], size: int) -> tuple[float | None, ...]:
    chunks = (values[i : i + size] for i in range(0, len(values), size))
    return tuple(min((value for value in chunk if value is not None), default=None) for chunk in chunks)


def coarser(series: Series, size: int) -> Series:
    """The series with `size` bins in one."""
    if size == 1:
        return series
    return series.model_copy(
        update={
            "step": series.step * size,
            **{name: sums(getattr(series, name), size) for name in ("intended", "yes", "fail", "info")},
            **{name: worst(getattr(series, name), size) for name in ("p50", "p95", "p99")},
        }
    )


def thinned(timeline: Timeline, longest: int) -> Timeline:
    """The timeline with at most `longest` bins: rates are means, latency the largest, yield the smallest of a bin."""
    size = group(len(timeline.ok), longest)
    if size == 1:
        return timeline
    return timeline.model_copy(
        update={
            "step": timeline.step * size,
            "worst": True,
            **{name: _means(getattr(timeline, name), size) for name in ("ok", "late", "fail", "info")},
            **{name: worst(getattr(timeline, name), size) for name in ("p50", "p95", "p99")},
            "yields": tuple(
                YieldLine(cls=line.cls, values=_shares(line.values, size), limits=line.limits)
                for line in timeline.yields
            ),
        }
    )


def timeline_table(timeline: Timeline, longest: int = 60) -> RawTable:
    """The timeline as numbers, for readers who do not see the figure."""
    few = thinned(timeline, longest)
    classes = [line.cls for line in few.yields]
    columns = ("from", "ok/s", "late/s", "fail/s", "info/s", "p50", "p95", "p99", *(f"yield {cls}" for cls in classes))
    rows = [
        (
            f"{few.start + i * few.step:.1f} s",
            *(f"{values[i]:.1f}" for values in (few.ok, few.late, few.fail, few.info)),
            *(duration(values[i]) for values in (few.p50, few.p95, few.p99)),
            *(share(line.values[i]) for line in few.yields),
        )
        for i in range(len(few.ok))
    ]
    note = f"One row per {few.step:g} s." + (" Latencies are the worst of a row's bins." if few.worst else "")
    return RawTable(
        title=f"Timeline of {timeline.variant} as numbers",
        columns=columns,
        rows=tuple(rows),
        numeric=(True,) * len(columns),
        note=note,
    )
