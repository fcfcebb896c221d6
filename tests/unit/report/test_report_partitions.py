"""Partitions in a report: who was heard by whom where it was observed to be, and sides as the scope of claims."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from chaoskit.analysis.model import Analysis
from chaoskit.plan import Plan
from chaoskit.report import build, render_html, render_json, render_markdown
from chaoskit.report.model import ReportModel
from chaoskit.stack.effects import Passage
from chaoskit.store import RunDir

MATRIX = (
    Passage(link="api->db:5432", up=False, down=False),
    Passage(link="cache->db:1", up=True, down=False),
    Passage(link="client@api->api:8000", up=True, down=True),
)


@pytest.fixture(scope="module")
def split(sample: ModuleType, stored: RunDir) -> ReportModel:
    """The sample, its first fault a partition that was placed otherwise in the second variant."""
    plan: Plan = sample.plan()
    analysis: Analysis = sample.analysis()

    def placed(variant: str, fault: Any) -> Any:
        if fault.id != "slow-db":
            return fault
        sides = {"isolated": ("api", "client@api"), "api": ("api", "client@api"), "rest": ("db", "cache")}
        matrix = MATRIX if variant == "patient" else MATRIX[:1]
        notes = ("silent: data, ends and resets are withheld",)
        sentence = f"api is cut off ({variant}), in silence"
        many = tuple(f"line {n}" for n in range(12))
        return fault.model_copy(
            update={"matrix": matrix, "sides": sides, "notes": notes, "sentence": sentence, "evidence": many}
        )

    cells = tuple(
        cell.model_copy(update={"faults": tuple(placed(cell.variant, fault) for fault in cell.faults)})
        for cell in analysis.cells
    )
    claim = plan.experiment.claims[0]
    assert claim.condition is not None
    sided = claim.model_copy(update={"condition": claim.condition.model_copy(update={"side": "isolated"})})
    claims = (sided, *plan.experiment.claims[1:])
    plan = plan.model_copy(update={"experiment": plan.experiment.model_copy(update={"claims": claims})})
    return build(analysis.model_copy(update={"cells": cells, "claims": ()}), plan, sample.ENVIRONMENT, stored)


def test_a_square_for_every_way_in_which_it_stood(split: ReportModel) -> None:
    first, second = split.partitions
    assert (first.variants, second.variants) == (("patient",), ("impatient",))
    assert first.nodes == ("api", "db", "cache")
    assert first.cells == (("", "lost", ""), ("lost", "", "lost"), ("", "passes", ""))
    assert [(side.name, side.value) for side in first.sides] == [
        ("isolated", "api and client@api"),
        ("rest", "db and cache"),
    ]
    assert split.faults[0].notes == ("silent: data, ends and resets are withheld",)


def test_variants_in_which_it_stood_alike_share_one(sample: ModuleType, stored: RunDir) -> None:
    analysis: Analysis = sample.analysis()
    cells = tuple(
        cell.model_copy(
            update={"faults": tuple(fault.model_copy(update={"matrix": MATRIX}) for fault in cell.faults[:1])}
        )
        for cell in analysis.cells
    )
    made = build(analysis.model_copy(update={"cells": cells}), sample.plan(), {}, stored)
    (one,) = made.partitions
    assert set(one.variants) == {"patient", "impatient"}


def test_every_renderer_has_the_square_and_the_sides(split: ReportModel) -> None:
    markdown, html = render_markdown(split), render_html(split)
    assert "| api | – | lost | – |" in markdown and "- side rest: db and cache" in markdown
    assert "who was heard by whom" in html and '<td class="lost">lost</td>' in html and "<dt>rest</dt>" in html
    assert "12 pieces of evidence" in html and "silent: data, ends and resets" in html
    assert '"cells"' in render_json(split)


def test_a_claim_says_at_which_side(split: ReportModel) -> None:
    assert split.claims[0].expected == "yield of resolve at isolated ≥ 99 %"


def test_without_a_partition_there_is_no_square(model: ReportModel) -> None:
    assert model.partitions == () and "heard by whom" not in render_html(model)
