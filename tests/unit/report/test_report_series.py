"""Fewer bins: sums stay sums, peaks stay peaks, and no line has more than 2,000 points."""

from __future__ import annotations

from types import ModuleType

import pytest

from chaoskit.analysis.model import Series
from chaoskit.report import build
from chaoskit.report.figures import figures
from chaoskit.report.model import ReportModel
from chaoskit.report.series import LONGEST, coarser, thinned, timeline_table
from chaoskit.store import RunDir


def long_series(bins: int, cls: str = "*") -> Series:
    counts = tuple(range(bins))
    return Series(
        cls=cls,
        start=0.0,
        step=0.1,
        intended=counts,
        yes=counts,
        fail=(0,) * bins,
        info=(0,) * bins,
        p50=(0.001,) * bins,
        p95=(None,) * bins,
        p99=tuple(0.5 if i == 777 else 0.01 for i in range(bins)),
    )


def test_coarser_bins_keep_sums_and_peaks() -> None:
    fine = long_series(1001)
    coarse = coarser(fine, 4)
    assert sum(coarse.intended) == sum(fine.intended)
    assert len(coarse.intended) == 251 and coarse.step == pytest.approx(0.4)
    assert coarse.p99[777 // 4] == 0.5
    assert set(coarse.p95) == {None}


def test_no_line_is_longer_than_the_limit(sample: ModuleType, stored: RunDir) -> None:
    cells = tuple(
        sample.cell(variant).model_copy(update={"series": (long_series(7001), long_series(7001, "resolve"))})
        for variant in ("patient", "impatient")
    )
    model = build(sample.analysis(cells=cells), sample.plan(), {}, stored)
    assert all(0 < len(timeline.ok) <= LONGEST and timeline.worst for timeline in model.timelines)
    longest = max(len(trace["y"]) for figure in figures(model) for trace in figure["data"])
    assert 500 < longest <= 1000


def test_thinning_a_timeline_keeps_its_span_and_its_worst(model: ReportModel) -> None:
    line = model.timelines[1]
    few = thinned(line, 20)
    assert len(few.ok) <= 20
    assert few.step * len(few.ok) >= line.step * len(line.ok)
    assert max(v for v in few.p99 if v) == max(v for v in line.p99 if v)
    assert min(v for v in few.yields[0].values if v is not None) == min(
        v for v in line.yields[0].values if v is not None
    )


def test_the_table_of_a_timeline_has_its_numbers(model: ReportModel) -> None:
    table = timeline_table(model.timelines[1])
    assert len(table.rows) <= 60
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert table.columns[-1] == "yield resolve"
