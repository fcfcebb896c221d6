"""Figures that people quote: what stands in the tables, and where nothing does."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from chaoskit.analysis.model import Analysis, ClaimDifference
from chaoskit.checks.model import Finding, Planted, StaleAnswers
from chaoskit.plan import Plan
from chaoskit.report import build, html, markdown
from chaoskit.report.quotable import difference_table, stale_tables
from chaoskit.spec.model import Claim, Consistency
from chaoskit.store import RunDir


def stale(window: str, answers: int, wrong: int, **more: Any) -> StaleAnswers:
    return StaleAnswers(
        window=window,
        answers=answers,
        stale=wrong,
        **{
            "age": (0.0, 0.25, 0.41) if wrong else (0.0, 0.0, 0.0),
            "versions": (0, 3, 7) if wrong else (0, 0, 0),
            "visible": (0.9, 0.95, 1.0),
            **more,
        },
    )


ROWS = (
    stale("whole", 1000, 81),
    stale("during cut", 263, 81),
    stale("during cut", 0, 0, side="majority", age=(None,) * 3, versions=(None,) * 3, visible=()),
    stale("during cut", 263, 81, side="minority"),
    stale("whole", 500, 0, node="n2"),
)


@pytest.fixture
def fresh_claim(sample: ModuleType) -> tuple[Analysis, Plan]:
    """The sample with a claim about a register, refuted in one variant."""
    plan = sample.plan()
    claim = Claim(id="fresh", consistency=Consistency(model="register", level="linearizable"))
    experiment = plan.experiment.model_copy(update={"claims": (*plan.experiment.claims, claim)})
    analysis = sample.analysis()
    summary = next(one for one in analysis.claims if one.claim == "codes-never-change")
    made = []
    for variant, rows in (("patient", tuple(one.model_copy(update={"stale": 0}) for one in ROWS)), ("impatient", ROWS)):
        finding = Finding(
            claim="fresh",
            verdict="refuted" if variant == "impatient" else "held",
            expected="linearizable register",
            observed="",
            operations=1000,
            exposed=1000,
            numbers={"answers": 1000.0, "stale answers, share": 0.081, "acknowledged": 640.0, "lost everywhere": 3.0},
            split={"acknowledged before cut": 0, "acknowledged during cut at minority": 3},
            planted=(Planted(kind="stale-read", struck=100, found=71, legal=29),),
            stale=rows,
        )
        made.append(
            summary.model_copy(
                update={"claim": "fresh", "variant": variant, "verdict": finding.verdict, "findings": (finding,)}
            )
        )
    return (
        analysis.model_copy(update={"claims": (*analysis.claims, *made)}),
        plan.model_copy(update={"experiment": experiment}),
    )


def test_staleness_by_window_side_and_node(fresh_claim: tuple[Analysis, Plan]) -> None:
    (table,) = stale_tables(*fresh_claim)
    assert table.title == "fresh: how stale answers were, at least"
    assert [row[:4] for row in table.rows] == [
        ("patient", "whole", "everywhere", "1,000"),  # one row where nothing was stale
        ("impatient", "whole", "everywhere", "1,000"),
        ("impatient", "during cut", "everywhere", "263"),
        ("impatient", "during cut", "at majority", "0"),
        ("impatient", "during cut", "at minority", "263"),
        ("impatient", "whole", "asked n2", "500"),
    ]
    # scipy 1.17.1: binomtest(81, 263).proportion_ci(method="wilson") is 0.255289 to 0.36621.
    assert table.rows[2][4:] == (
        "81 = 30.8 % (25.5 % to 36.6 %)",
        "0 s · 250 ms · 410 ms",
        "0 · 3 · 7",
        "90.0 % · 95.0 % · 100 %",
    )
    assert table.rows[3][4:] == ("–",) * 4
    assert {len(row) for row in table.rows} == {len(table.columns)} == {len(table.numeric)}


def test_what_was_lost_and_what_would_have_been_seen_stands_beside_the_verdict(
    fresh_claim: tuple[Analysis, Plan], sample: ModuleType, stored: RunDir
) -> None:
    model = build(*fresh_claim, sample.ENVIRONMENT, stored)
    cell = next(row for row in model.claims if row.id == "fresh").cells[1]
    assert cell.remarks[0] == "lost: 3 acknowledged during cut at minority"
    assert cell.remarks[1].startswith("stale-read: in 71 of 100 places where this bug could have struck")
    assert cell.remarks[2] == "acknowledged: 640; lost everywhere: 3"


def test_the_loss_of_a_claim_about_consistency_stands_in_the_summary(
    fresh_claim: tuple[Analysis, Plan], sample: ModuleType, stored: RunDir
) -> None:
    analysis, plan = fresh_claim
    cells = tuple(
        cell.model_copy(update={"findings": (*cell.findings, *one.findings)})
        for cell in analysis.cells
        for one in analysis.claims
        if (one.claim, one.variant) == ("fresh", cell.variant)
    )
    without = tuple(one for one in plan.experiment.claims if one.invariant != "acknowledged-survive")
    plan = plan.model_copy(update={"experiment": plan.experiment.model_copy(update={"claims": without})})
    model = build(analysis.model_copy(update={"cells": cells}), plan, sample.ENVIRONMENT, stored)
    assert [one.loss for one in model.summaries] == ["3 of 640", "3 of 640"]


def test_trials_are_added_up_and_what_cannot_be_is_of_the_worst(
    fresh_claim: tuple[Analysis, Plan], sample: ModuleType, stored: RunDir
) -> None:
    analysis, plan = fresh_claim
    claims = tuple(
        one.model_copy(update={"findings": one.findings * 3}) if one.claim == "fresh" else one
        for one in analysis.claims
    )
    model = build(analysis.model_copy(update={"claims": claims}), plan, sample.ENVIRONMENT, stored)
    cell = next(row for row in model.claims if row.id == "fresh").cells[1]
    assert cell.remarks[0] == "lost: 9 acknowledged during cut at minority"
    assert cell.remarks[1].startswith("stale-read: in 213 of 300 places")
    assert cell.remarks[2] == "worst trial: acknowledged: 640; lost everywhere: 3"
    assert "Of each variant the first trial with the worst verdict." in model.staleness[0].note


DIFFERENCES = (
    ClaimDifference(
        claim="redirects-survive", variant="impatient", reference="patient", unit="share", pairs=9,
        mean=-0.166, low=-0.181, high=-0.152, p=0.0156,
    ),
    ClaimDifference(
        claim="recovers", variant="impatient", reference="patient", unit="seconds", pairs=9, why="1 pair without two",
    ),
    ClaimDifference(
        claim="fast", variant="impatient", reference="patient", unit="per-second", pairs=5,
        mean=0.0, low=-1.0, high=2.5,
    ),
    ClaimDifference(claim="few", variant="impatient", reference="patient", unit="count", pairs=9, mean=3, p=0.0001),
)  # fmt: skip


def test_differences_have_sign_interval_and_reason(sample: ModuleType) -> None:
    table = difference_table(sample.analysis(differences=DIFFERENCES))
    assert table is not None
    assert [row[1:] for row in table.rows] == [
        ("impatient less patient", "9", "−16.60 points", "−18.10 points to −15.20 points", "0.016"),
        ("impatient less patient", "9", "–", "1 pair without two", "–"),
        ("impatient less patient", "5", "±0/s", "−1/s to +2.5/s", "–"),
        ("impatient less patient", "9", "+3", "–", "< 0.001"),
    ]
    assert difference_table(sample.analysis()) is None


def test_html_and_markdown_show_the_same_tables(
    fresh_claim: tuple[Analysis, Plan], sample: ModuleType, stored: RunDir
) -> None:
    analysis, plan = fresh_claim
    model = build(analysis.model_copy(update={"differences": DIFFERENCES}), plan, sample.ENVIRONMENT, stored)
    page, text = html.render(model), markdown.render(model)
    for part in ("how stale answers were, at least", "30.8 % (25.5 % to 36.6 %)", "Variants compared trial by trial"):
        assert part in page and part in text
    assert "−16.60 points" in page and "−16.60 points" in text


def test_a_report_without_such_figures_has_no_such_tables(sample: ModuleType, stored: RunDir) -> None:
    model = build(sample.analysis(), sample.plan(), sample.ENVIRONMENT, stored)
    assert (model.staleness, model.differences) == ((), None)
    assert "how stale" not in html.render(model)
    assert "trial by trial" not in markdown.render(model)
