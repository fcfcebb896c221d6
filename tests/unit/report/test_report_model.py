"""The model: every claim appears, numbers are those of the analysis, words are right, a short run lacks nothing."""

from __future__ import annotations

import math
import os
from pathlib import Path
from types import ModuleType

import pytest

from chaoskit.report import build, render_html
from chaoskit.report.claims import claim_rows
from chaoskit.report.model import Cell, ReportModel
from chaoskit.report.raw import log_tails
from chaoskit.store import RunDir


def cell_of(model: ReportModel, claim: str, variant: str) -> Cell:
    row = next(row for row in model.claims if row.id == claim)
    return next(cell for cell in row.cells if cell.variant == variant)


def test_every_claim_of_every_variant_has_a_row_a_cell_and_a_sentence(model: ReportModel, sample: ModuleType) -> None:
    assert [row.id for row in model.claims] == [claim.id for claim in sample.CLAIMS]
    assert all([cell.variant for cell in row.cells] == ["patient", "impatient"] for row in model.claims)
    said = {(sentence.claim, sentence.variant) for sentence in model.sentences}
    assert said == {(row.id, cell.variant) for row in model.claims for cell in row.cells}


def test_verdicts_values_and_sentences_are_those_of_the_analysis(model: ReportModel, sample: ModuleType) -> None:
    analysis = sample.analysis()
    assert (model.verdict, model.headline) == (analysis.verdict, analysis.headline)
    for summary in analysis.claims:
        cell = cell_of(model, summary.claim, summary.variant)
        finding = summary.findings[0]
        assert (cell.verdict, cell.margin, cell.operations) == (summary.verdict, summary.margin, finding.operations)
        assert (cell.value, cell.limit, cell.unit) == (finding.value, finding.limit, finding.unit)
        sentence = next(s for s in model.sentences if (s.claim, s.variant) == (summary.claim, summary.variant))
        assert sentence.text == summary.sentence


def test_values_stand_alone_and_what_belongs_to_them_stands_beside(model: ReportModel) -> None:
    cell = cell_of(model, "redirects-survive", "impatient")
    assert cell.observed == "83.2 %"
    assert cell.detail == "83.2 % of 719 operations"
    lost = cell_of(model, "links-survive", "impatient")
    assert lost.observed == "1 lost"
    assert lost.detail == "1 of 640 acknowledged writes (0.16 %) gone at the end"
    assert lost.remarks[0] == "lost: 1 acknowledged during cache-dies"


def test_failures_come_first(model: ReportModel) -> None:
    verdicts = [sentence.verdict for sentence in model.sentences]
    assert verdicts == sorted(verdicts, key=["refuted", "inconclusive", "held"].index)


def test_held_says_not_refuted_with_the_count_and_the_bound(model: ReportModel) -> None:
    assert cell_of(model, "redirects-survive", "patient").detail == "not refuted in 719 operations"
    cell = cell_of(model, "codes-never-change", "patient")
    assert cell.observed == "0 of 2,880"
    assert cell.detail == (
        "not refuted in 3,600 operations; at most 1 in 960 exposed (95 %, if independent); in at most 95.0 % of trials "
        "like this one"
    )


def test_inconclusive_says_why(model: ReportModel) -> None:
    cell = cell_of(model, "links-survive", "patient")
    assert (cell.verdict, cell.observed) == ("inconclusive", "–")
    assert cell.detail == "the final reads did not finish within 2 s of settling"


def test_a_censored_value_is_shown_as_a_bound(sample: ModuleType) -> None:
    first = sample.analysis().claims[0]
    censored = first.findings[0].model_copy(update={"value": 2.0, "unit": "seconds", "censored": True})
    analysis = sample.analysis(claims=(first.model_copy(update={"findings": (censored,)}),))
    rows = claim_rows(analysis, sample.plan(), (), ())
    assert rows[0].cells[0].observed == "≥ 2 s"


def test_expectations_are_compared(model: ReportModel) -> None:
    assert cell_of(model, "redirects-survive", "impatient").note == "as expected"
    assert cell_of(model, "links-survive", "impatient").note == "expected: held"
    assert cell_of(model, "recovers", "patient").note == ""
    assert model.expectation == "Not every verdict came out as the experiment expects."


def test_evidence_points_at_something_that_is_in_the_report(model: ReportModel) -> None:
    there = {w.anchor for w in model.witnesses} | {t.anchor for t in model.timelines} | {"limits", "raw"}
    assert all(cell.anchor in there for row in model.claims for cell in row.cells)
    assert cell_of(model, "links-survive", "impatient").evidence == "witness W2"


def test_phases_go_from_before_to_after(model: ReportModel, sample: ModuleType) -> None:
    assert model.phases == ("before", "during slow-db", "after slow-db")
    stats = {(s.window.name, s.cls): s for s in sample.analysis().cells[1].stats}
    during = model.summaries[1].phases[1]
    assert (during.yield_, during.p99) == (
        stats["during slow-db", "*"].yield_,
        stats["during slow-db", "*"].response.p99,
    )
    assert model.summaries[1].loss == "1 of 640"
    assert model.summaries[0].loss == "–"  # nobody could judge it: not 0


def test_timeline_adds_up_and_carries_limits_bands_and_marks(model: ReportModel, sample: ModuleType) -> None:
    line = model.timelines[1]
    every = sample.analysis().cells[1].series[0]
    for i, due in enumerate(every.intended):
        total = (line.ok[i] + line.late[i] + line.fail[i] + line.info[i]) * line.step
        assert total == pytest.approx(due, abs=0.01)
    assert line.latency_class == "resolve"
    assert [limit.label for limit in line.limits] == ["p99 ≤ 100 ms"]
    assert [limit.label for limit in line.yields[0].limits] == ["yield ≥ 99 %"]
    assert [(band.start, band.end) for band in line.bands] == [sample.SLOW, sample.DOWN]
    assert [(mark.label, len(mark.times)) for mark in line.marks] == [("W1", 1), ("W2", 3)]
    assert [bracket.label for bracket in line.brackets] == ["recovery 1.2 s"]
    assert "3,612 operations" in line.description


def test_witness_keeps_operations_in_order_with_words(model: ReportModel) -> None:
    witness = model.witnesses[1]
    assert [op.outcome for op in witness.operations] == ["ok", "info", "ok"]
    assert witness.operations[0].call == "create i1-aZ3 := https://example.org/i1-0401"
    assert witness.operations[1].answer == "outcome unknown (timeout)"
    assert witness.operations[2].answer == "ok 404, nothing there"
    assert [moment.label for moment in witness.moments][-1] == "cache-dies healed"
    assert model.witnesses[0].limit == 0.1


def test_topology_layers_and_bent_links(model: ReportModel) -> None:
    assert {node.name: node.layer for node in model.topology.nodes} == {"client": 0, "api": 1, "cache": 2, "db": 2}
    assert {link.id: link.faults for link in model.topology.links if link.faults} == {"api->db:5432": (1,)}
    assert {node.name: node.faults for node in model.topology.nodes if node.faults} == {"cache": (2,)}


def test_faults_stand_intended_beside_observed(model: ReportModel) -> None:
    row = model.faults[1]
    assert (row.variant, row.planned, row.observed) == ("impatient", "5.00 – 11.00 s", "5.03 – 11.04 s")
    assert row.seen_text == "seen to bite, seen to be gone"
    assert "asked 200 ms, saw 203 ± 4 ms" in row.evidence[0]


def test_secrets_of_variants_are_not_shown(model: ReportModel) -> None:
    text = model.model_dump_json()
    assert "hunter2" not in text and "API_TOKEN=[redacted]" in text


def test_the_command_carries_seed_and_options(model: ReportModel, sample: ModuleType, stored: RunDir) -> None:
    assert model.reproduce.command == (
        "chaoskit run experiments/url-shortener/database-slow.yaml --set trials=1 --seed 42"
    )
    bare = build(sample.analysis(), sample.plan(), {}, stored).reproduce
    assert bare.command == "chaoskit run experiments/url-shortener/database-slow.yaml --seed 42"
    assert len(bare.experiment_sha256) == 64
    assert bare.experiment_text == sample.EXPERIMENT_TEXT


def test_harness_trouble_stands_apart_from_limits(sample: ModuleType, stored: RunDir) -> None:
    cell = sample.cell("patient").model_copy(
        update={"reasons": ("operations left 80 ms late",), "complete": False, "findings": ()}
    )
    limits = ("patient/1 is inconclusive: operations left 80 ms late.", "One trial per variant.")
    model = build(sample.analysis(cells=(cell,), limits=limits), sample.plan(), {}, stored)
    assert model.harness_problems == ("patient, trial 1: operations left 80 ms late",)
    assert model.limits[0] == "One trial per variant."
    assert "did not complete: 0 of 2 cells" in model.interrupted


def test_of_several_trials_the_worst_is_drawn_and_values_are_medians(sample: ModuleType, stored: RunDir) -> None:
    calm = sample.cell("impatient", 1).model_copy(update={"findings": sample.findings("patient")[:1]})
    cells = (calm, sample.cell("impatient", 2), sample.cell("patient"))
    model = build(sample.analysis(cells=cells), sample.plan(), {}, stored)
    assert model.timelines[1].note == "trial 2 of 2: the first with the worst verdict"
    assert model.summary_note.endswith("Medians of 2 trials.")


def test_a_run_that_measured_nothing_still_makes_a_whole_report(empty: ReportModel, sample: ModuleType) -> None:
    assert empty.verdict == "inconclusive"
    assert "interrupted: 0 of 2 cells" in empty.interrupted
    assert len(empty.sentences) == 2 * len(sample.CLAIMS)
    assert all("the run ended before" in cell.detail for row in empty.claims for cell in row.cells)
    assert empty.claims[0].expected == "yield of resolve ≥ 99 %"
    assert empty.faults[0].observed == "never began"
    assert (empty.timelines, empty.witnesses, empty.tables, empty.logs) == ((), (), (), ())


def test_infinite_and_impossible_numbers_are_drawn_as_none(sample: ModuleType, stored: RunDir) -> None:
    cell = sample.cell("patient")
    lines = tuple(one.model_copy(update={"p99": (math.inf, -1.0, 0.0, *one.p99[3:])}) for one in cell.series)
    endless = tuple(
        one.model_copy(update={"yield_": math.inf, "response": one.response.model_copy(update={"p99": math.inf})})
        for one in cell.stats
    )
    broken = cell.model_copy(update={"series": lines, "stats": endless})
    model = build(sample.analysis(cells=(broken,)), sample.plan(), {}, stored)
    assert model.timelines[0].p99[:3] == (None, None, 0.0)
    assert model.summaries[0].phases[0].p99 is None
    assert "Timeline of patient" in render_html(model)


def test_a_cell_without_series_windows_or_lags_is_fine(sample: ModuleType, stored: RunDir) -> None:
    bare = sample.cell("patient").model_copy(
        update={
            "series": (), "stats": (), "windows": (), "faults": (), "findings": (), "operations": 0,
            "send_error_p50": None, "send_error_p99": None, "proxy_lag_max": None, "worker_lag_max": None,
            "overhead": None, "complete": False,
        }
    )  # fmt: skip
    model = build(sample.analysis(cells=(bare,), claims=()), sample.plan(), {}, stored)
    assert model.harness.rows[0][4] == "–"
    assert model.harness_problems == ("patient, trial 1: it did not run to its end",)


def test_logs_that_are_no_logs_are_left_out(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    logs = run.block("patient") / "logs"
    logs.mkdir(parents=True)
    os.mkfifo(logs / "pipe.log")  # would block whoever opens it
    (logs / "loop.log").symlink_to(logs / "loop.log")
    (logs / "folder.log").mkdir()
    (logs / "binary.log").write_bytes(bytes(range(256)) * 100)
    (logs / "long.log").write_bytes(b"x" * 10_000_000)
    tails = {tail.name: tail for tail in log_tails(run)}
    assert set(tails) == {"patient / binary", "patient / long"}
    assert len(tails["patient / long"].lines) < 10_000
    assert "\x00" not in tails["patient / binary"].lines
    assert tails["patient / long"].note == "last lines of 10,000,000 bytes"


def test_only_the_ends_of_logs_are_read(model: ReportModel) -> None:
    tails = {log.name: log for log in model.logs}
    assert tails["impatient / api"].lines.splitlines()[-1] == "INFO request 499 took 3 ms"
    assert len(tails["impatient / api"].lines.splitlines()) == 30
    assert tails["impatient / db"].note == ""
