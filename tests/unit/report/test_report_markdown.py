"""Markdown and JSON say the same as the page."""

from __future__ import annotations

import json
import subprocess
import sys

from markdown_it import MarkdownIt

from chaoskit.data import SCHEMA_VERSION
from chaoskit.report import render_html, render_json, render_markdown
from chaoskit.report.model import ReportModel


def test_markdown_begins_with_the_verdict_and_has_every_claim(model: ReportModel) -> None:
    text = render_markdown(model)
    assert text.startswith("# ✕ Refuted: database-slow\n")
    assert f"**{model.headline}**" in text
    for row in model.claims:
        assert f"| {row.id} |" in text
    for part in ("## Claims", "## Witnesses", "## What was tested", "## Limits of this run", "## Reproduce"):
        assert part in text
    assert "    chaoskit run experiments/url-shortener/database-slow.yaml --set trials=1 --seed 42" in text
    assert len(text.encode()) < 1_000_000


def test_markdown_tables_are_tables(model: ReportModel) -> None:
    parsed = MarkdownIt("commonmark").enable("table").render(render_markdown(model))
    assert parsed.count("<table>") == 6  # claims, variants, two witnesses, faults, harness
    assert "|" not in parsed.replace("||", "")
    assert "<h1>✕ Refuted: database-slow</h1>" in parsed


def test_markdown_of_an_empty_run(empty: ReportModel) -> None:
    text = render_markdown(empty)
    assert text.startswith("# ? Inconclusive")
    assert "0 of 2 cells" in text


def test_json_is_the_model(model: ReportModel) -> None:
    data = json.loads(render_json(model))
    assert data["schema_version"] == SCHEMA_VERSION
    assert ReportModel.model_validate(data) == model
    assert data["claims"][0]["cells"][1]["value"] == 0.832


def test_rendering_is_pure(model: ReportModel) -> None:
    assert render_html(model) == render_html(model)
    assert render_markdown(model) == render_markdown(model)


def test_looking_at_the_package_loads_nothing_heavy() -> None:
    code = "import sys, chaoskit.report; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"jinja2", "plotly", "pydantic", "numpy"} & set(done.stdout.split())
