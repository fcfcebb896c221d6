from __future__ import annotations

import json
from typing import Any

import pytest

from chaoskit.analysis import analyse, exit_code
from chaoskit.analysis.model import Analysis
from chaoskit.errors import ExitCode, StoreError
from chaoskit.spec.model import Arrivals, Claim, Condition, Consistency, Window


def only(analysis: Analysis) -> Any:
    (claim,) = analysis.claims
    return claim


def stored(bench: Any, history: Any, events: Any = None, **more: Any) -> Analysis:
    bench.store()
    bench.cell(history, events, **more)
    return analyse(bench.run)


def test_a_run_in_which_all_went_well(bench: Any, new_book: Any, tools: Any) -> None:
    found = stored(bench, tools.load(new_book()).history())
    claim = only(found)
    assert (found.verdict, claim.verdict, exit_code(found)) == ("held", "held", ExitCode.OK)
    assert (found.run, found.name, found.question) == (bench.run.id, "x", "What breaks?")
    assert (found.started, found.as_expected, found.interrupted) == ("2023-11-14T22:13:20Z", None, False)
    assert found.headline == "The claim was not refuted in 1,000 operations."
    assert claim.sentence == (
        "yield of resolve was 100 % of 199 operations during slow (5.05 s to 11.02 s: api->db:5432 answers 200 ms "
        "late); claimed was >= 99 %: not refuted."
    )
    (cell,) = found.cells
    assert cell.complete and not cell.reasons
    assert (cell.operations, cell.unsent, cell.proxy_lag_max) == (1000, 0, 0.001)
    assert cell.overhead == pytest.approx(2.0)  # 26 s from the anchor to the end, 24 s stated
    (fault,) = cell.faults
    assert (fault.seen, fault.gone, fault.start, fault.end) == (True, True, 5.05, 13.02)
    assert fault.evidence[0] == "api->db:5432: asked 200 ms, saw 203 ± 4 ms"
    assert [window.name for window in cell.windows] == ["before", "whole", "during slow", "steady slow", "after slow"]


def test_it_survives_json(bench: Any, new_book: Any, tools: Any) -> None:
    found = stored(bench, tools.load(new_book(), hurt=(5.0, 13.0)).history())
    assert Analysis.model_validate_json(found.model_dump_json()) == found


def test_it_writes_nothing(bench: Any, new_book: Any, tools: Any) -> None:
    stored(bench, tools.load(new_book()).history())
    before = sorted(bench.run.path.rglob("*"))
    analyse(bench.run)
    assert sorted(bench.run.path.rglob("*")) == before


def test_a_refuted_claim(bench: Any, new_book: Any, tools: Any) -> None:
    found = stored(bench, tools.load(new_book(), hurt=(6.0, 13.0)).history())
    claim = only(found)
    assert (found.verdict, exit_code(found)) == ("refuted", ExitCode.REFUTED)
    assert found.headline.startswith(
        "1 of 1 claim refuted. patient: 23.6 % of 199 operations (152 not answered) during slow, where"
    )
    assert "resolve due at 6.000 s: no answer" in claim.sentence
    assert claim.margin.endswith("points below the limit")


def test_every_window_and_class_is_counted(bench: Any, new_book: Any, tools: Any) -> None:
    (cell,) = stored(bench, tools.load(new_book(), hurt=(5.0, 13.0)).history()).cells
    stats = {(one.window.name, one.cls): one for one in cell.stats}
    assert {cls for _, cls in stats} == {"*", "resolve"}
    before, during, after = (stats[(name, "*")] for name in ("before", "during slow", "after slow"))
    assert (before.yield_, during.yield_, after.yield_) == (1.0, 0.0, 1.0)
    assert before.intended == 153  # due in [0, 5.05 - 2]
    assert (during.silent, during.late, during.refused) == (during.intended, 0, 0)
    assert before.rate == pytest.approx(50.0, rel=0.01) and before.goodput == before.rate
    assert (before.response.count, before.response.p99, before.response.p999) == (153, 0.01, None)
    assert during.response.count == 0 and during.response.maximum is None


def test_series_add_up(bench: Any, new_book: Any, tools: Any) -> None:
    (cell,) = stored(bench, tools.load(new_book(), hurt=(5.0, 13.0)).history()).cells
    every = next(one for one in cell.series if one.cls == "*")
    assert (every.start, every.step, len(every.intended)) == (0.0, 0.5, 40)
    assert sum(every.intended) == 1000
    assert (sum(every.yes), sum(every.fail), sum(every.info)) == (600, 400, 0)
    assert every.yes[9:12] == (25, 0, 0)
    assert every.p99[0] == 0.01 and every.p99[20] is None


def test_a_fault_that_was_not_seen_proves_nothing(bench: Any, new_book: Any, tools: Any) -> None:
    events = [e if e["kind"] != "seen" else {**e, "kind": "unseen", "evidence": ["saw 0.3 ms"]} for e in bench.events()]
    found = stored(bench, tools.load(new_book()).history(), events)
    assert (found.verdict, exit_code(found)) == ("inconclusive", ExitCode.INCONCLUSIVE)
    assert "slow was not seen to bite: " in only(found).sentence
    assert only(found).findings[0].value == 1.0  # what was measured is still shown


def test_a_fault_that_was_not_seen_to_be_gone_spoils_what_comes_after_it_only(
    bench: Any, new_book: Any, tools: Any
) -> None:
    after = Claim(id="after", condition=tools.YIELD, window=Window(kind="after", of="slow"))
    before = Claim(id="before", condition=tools.YIELD, window=Window(kind="before", of="slow"))
    whole = Claim(id="whole", condition=tools.YIELD)
    bench.claims = (tools.SURVIVES, after, before, whole)
    events = [e if e["kind"] != "gone" else {**e, "kind": "stayed"} for e in bench.events()]
    found = stored(bench, tools.load(new_book()).history(), events)
    assert {claim.claim: claim.verdict for claim in found.claims} == {
        "survives": "held",
        "after": "inconclusive",
        "before": "held",
        "whole": "inconclusive",
    }


def test_the_last_word_about_a_fault_counts(bench: Any, new_book: Any, tools: Any) -> None:
    events = bench.events()
    unseen = tools.event(5.5, "unseen", id="slow", evidence=["not yet"])
    found = stored(bench, tools.load(new_book()).history(), [*events[:6], unseen, *events[6:]])
    assert found.verdict == "held"


@pytest.mark.parametrize(
    ("kind", "interrupted", "said"),
    [("abort", False, "aborted"), ("interrupted", True, "interrupted"), ("error", False, "failed")],
)
def test_a_cell_that_ended_early_is_inconclusive(
    bench: Any, new_book: Any, tools: Any, kind: str, interrupted: bool, said: str
) -> None:
    events = [*bench.events()[:8], tools.event(9.0, kind, reason="yield < 20 % for 5 s")]
    found = stored(bench, tools.load(new_book(), end=9.0).history(), events)
    (cell,) = found.cells
    assert (found.verdict, found.interrupted, cell.complete) == ("inconclusive", interrupted, False)
    assert cell.reasons == (f"the cell was {said}: yield < 20 % for 5 s",) or cell.reasons[0].startswith(
        "the cell failed"
    )
    assert cell.windows[1].end == pytest.approx(9.0, abs=0.05)


def test_a_killed_engine_leaves_an_inconclusive_cell_with_figures(bench: Any, new_book: Any, tools: Any) -> None:
    found = stored(bench, tools.load(new_book(), end=9.0).history(), bench.events()[:8])
    (cell,) = found.cells
    assert "the engine was killed" in cell.reasons[0]
    assert cell.stats and cell.series


def test_a_refuted_invariant_stands_on_its_witness_in_a_cell_that_ended_early(
    bench: Any, new_book: Any, tools: Any
) -> None:
    bench.claims = (tools.SURVIVES, tools.IMMUTABLE)
    book = tools.load(new_book(), end=9.0).write(0.5, "a", "u1").read(1.0, "a", "ghost")
    found = stored(bench, book.history(), bench.events()[:8])
    verdicts = {claim.claim: claim.verdict for claim in found.claims}
    assert verdicts == {"survives": "inconclusive", "codes": "refuted"}
    codes = next(claim for claim in found.claims if claim.claim == "codes")
    assert "ghost" in codes.sentence
    assert any("the engine was killed" in note for note in codes.findings[0].notes)


def test_a_cell_that_never_began(bench: Any, new_book: Any, tools: Any) -> None:
    bench.trials = 2
    found = stored(bench, tools.load(new_book()).history())
    assert [cell.complete for cell in found.cells] == [True, False]
    assert only(found).verdict == "inconclusive"
    assert "never begun" in only(found).sentence


def test_a_cell_without_a_history(bench: Any) -> None:
    found = stored(bench, None)
    assert "its history cannot be read" in found.cells[0].reasons[0]
    assert found.verdict == "inconclusive"


def test_a_malformed_history(bench: Any, new_book: Any, tools: Any) -> None:
    book = tools.load(new_book()).read(1.0, "a", None, process=-5, took=1.0).read(1.5, "a", None, process=-5)
    found = stored(bench, book.history())
    assert "malformed" in found.cells[0].reasons[0]
    assert found.verdict == "inconclusive" and found.cells[0].stats == ()


def test_nothing_in_the_events(bench: Any, new_book: Any, tools: Any) -> None:
    found = stored(bench, tools.load(new_book()).history(), [])
    assert found.verdict == "inconclusive"
    assert found.started == "2025-01-01T10:11:12Z"


def test_a_checker_that_crashes_gives_up_its_own_claim_only(
    bench: Any, new_book: Any, tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chaoskit.checks import immutable

    def broken(history: Any, context: Any) -> Any:
        raise ZeroDivisionError("no")

    monkeypatch.setattr(immutable, "check", broken)
    bench.claims = (tools.SURVIVES, tools.IMMUTABLE)
    found = stored(bench, tools.load(new_book()).history())
    assert [claim.verdict for claim in found.claims] == ["held", "inconclusive"]
    assert "the checker immutable crashed: ZeroDivisionError: no" in found.claims[1].sentence


def test_an_invariant_that_nobody_knows(bench: Any, new_book: Any, tools: Any) -> None:
    bench.claims = (Claim(id="c", invariant="no-such"),)
    found = stored(bench, tools.load(new_book()).history())
    assert "no invariant called 'no-such'" in only(found).sentence


def test_correct_takes_off_what_the_declared_invariants_accuse(bench: Any, new_book: Any, tools: Any) -> None:
    correct = Condition(text="c", quantity="correct", comparison=">=", value=0.999, unit="share")
    bench.claims = (Claim(id="right", condition=correct, window=Window(kind="during", of="slow")),)
    book = tools.load(new_book()).write(0.5, "a", "u1")
    for n in range(10):
        book.read(6.0 + n / 10, "a", "ghost")
    found = stored(bench, book.history())
    assert only(found).verdict == "refuted"
    during = next(one for one in found.cells[0].stats if one.window.name == "during slow" and one.cls == "*")
    assert (during.accused, during.yes) == (10, during.intended)


class TestHarness:
    def test_a_workload_that_raises(self, bench: Any, new_book: Any, tools: Any) -> None:
        book = tools.load(new_book())
        for n in range(5):
            book.add(1.0 + n / 10, outcome=3, answer=0, error=11)
        found = stored(bench, book.history())
        assert "5 operations were spoilt by an error in the workload" in found.cells[0].reasons[0]

    def test_too_much_unsent(self, bench: Any, new_book: Any, tools: Any) -> None:
        book = tools.load(new_book())
        for n in range(10):
            book.unsent(1.0 + n / 10)
        found = stored(bench, book.history())
        assert found.verdict == "inconclusive"
        assert "10 operations were not sent" in found.cells[0].reasons[0]

    def test_one_in_a_thousand_is_allowed(self, bench: Any, new_book: Any, tools: Any) -> None:
        assert stored(bench, tools.load(new_book()).unsent(1.0).history()).verdict == "held"

    def test_sent_too_late(self, bench: Any, new_book: Any, tools: Any) -> None:
        book = new_book()
        for n in range(1000):
            book.read(n / 50, "k", None, took=0.2, late=0.08 if n % 20 == 0 else 0.0)
        found = stored(bench, book.history())
        assert "sent up to 80 ms late" in found.cells[0].reasons[0]
        assert found.verdict == "inconclusive"

    def test_a_proxy_at_its_limit(self, bench: Any, new_book: Any, tools: Any) -> None:
        found = stored(bench, tools.load(new_book()).history(), proxy_lag=0.09)
        assert "the proxy was at its limit" in found.cells[0].reasons[0]

    def test_a_worker_that_stood_still_once(self, bench: Any, new_book: Any, tools: Any) -> None:
        spool = bench.run.cell("patient", 1) / "spool"
        spool.mkdir(parents=True)
        lines = [{"t": tools.at(n / 10), "lag_ns": 700_000_000 if n == 50 else 0, "cpu": 0.1} for n in range(200)]
        (spool / "worker-0-lag.jsonl").write_text("\n".join(map(json.dumps, lines)))
        found = stored(bench, tools.load(new_book()).history())
        assert "a traffic worker stood still for 700 ms once" in found.cells[0].reasons[0]
        assert found.cells[0].worker_lag_max == 0.7

    def test_lag_outside_of_the_cell_is_another_cells(self, bench: Any, new_book: Any, tools: Any) -> None:
        bench.store()
        bench.cell(tools.load(new_book()).history())
        with open(bench.run.block("patient") / "lag.jsonl", "a") as file:
            file.write("\n" + json.dumps({"t": tools.at(500.0), "lag_ns": 9_000_000_000, "cpu": 1.0}))
        assert analyse(bench.run).verdict == "held"

    def test_lag_that_was_not_recorded_is_a_limit_of_the_run(self, bench: Any, new_book: Any, tools: Any) -> None:
        found = stored(bench, tools.load(new_book()).history(), proxy_lag=None)
        assert found.cells[0].proxy_lag_max is None
        assert any("how late the proxy ran was not recorded" in limit for limit in found.limits)

    def test_a_worker_that_was_killed(self, bench: Any, new_book: Any, tools: Any) -> None:
        book = tools.load(new_book())
        for n in range(5):
            book.add(19.0 + n / 10, None, outcome=0, answer=0)
        found = stored(bench, book.history())
        assert "5 operations were never closed because a worker ended" in found.cells[0].reasons[0]


def test_a_spike_is_a_window_like_a_fault(bench: Any, new_book: Any, tools: Any) -> None:
    bench.fault = None
    bench.arrivals = Arrivals(shape="spike", rate=50.0, peak=200.0, at=6.0, over=8.0)
    bench.claims = (Claim(id="c", condition=tools.YIELD, window=Window(kind="during", of="spike")),)
    found = stored(bench, tools.load(new_book(), hurt=(7.0, 8.0)).history())
    assert only(found).verdict == "refuted"
    windows = {window.name: (window.start, window.end) for window in found.cells[0].windows}
    assert windows == {
        "before": (0.0, 6.0),
        "whole": (0.0, 20.0),
        "during spike": (6.0, 12.0),
        "steady spike": (6.0, 12.0),
        "after spike": (14.0, 20.0),
    }


def test_a_node_that_ends_by_itself_is_told(bench: Any, new_book: Any, tools: Any) -> None:
    events = [*bench.events(), tools.event(7.2, "exit", name="api", code=1, log=[])]
    found = stored(bench, tools.load(new_book()).history(), events)
    assert found.cells[0].observations == ("api ended by itself at 7.2 s (code 1)",)
    assert any("api ended by itself" in limit for limit in found.limits)
    assert found.verdict == "held"


class TestTrials:
    def run(self, bench: Any, new_book: Any, tools: Any, hurt: list[bool]) -> Analysis:
        bench.trials = len(hurt)
        bench.fresh = "trial"
        bench.store()
        for trial, one in enumerate(hurt, 1):
            window = (5.5 + trial / 10, 6.0 + trial / 5) if one else None
            bench.cell(tools.load(new_book(), hurt=window).history(), trial=trial)
        return analyse(bench.run)

    def test_refuted_once_is_refuted(self, bench: Any, new_book: Any, tools: Any) -> None:
        found = self.run(bench, new_book, tools, [False, True, False])
        assert only(found).verdict == "refuted"
        assert [finding.verdict for finding in only(found).findings] == ["held", "refuted", "held"]
        assert only(found).sentence.endswith("(refuted in 1 of 3 trials).")

    def test_below_five_trials_there_are_values_and_no_interval(self, bench: Any, new_book: Any, tools: Any) -> None:
        found = self.run(bench, new_book, tools, [False, False, False])
        assert only(found).observed == "100 %, 100 %, 100 % (3 trials)"
        assert any("3 trials per variant: below 5 no interval" in limit for limit in found.limits)

    def test_from_five_on_there_is_an_interval(self, bench: Any, new_book: Any, tools: Any) -> None:
        found = self.run(bench, new_book, tools, [True] * 5)
        assert "95 % interval" in only(found).observed and "5 trials" in only(found).observed


class TestExpectations:
    def run(self, bench: Any, new_book: Any, tools: Any, expected: str, hurt: bool) -> Analysis:
        bench.expect = {"patient": {"survives": expected}}
        return stored(bench, tools.load(new_book(), hurt=(5.0, 13.0) if hurt else None).history())

    @pytest.mark.parametrize(
        ("expected", "hurt", "as_expected", "code"),
        [
            ("refuted", True, True, ExitCode.OK),
            ("held", True, False, ExitCode.REFUTED),
            ("refuted", False, False, ExitCode.REFUTED),
            ("held", False, True, ExitCode.OK),
        ],
    )
    def test_the_exit_code_says_whether_it_came_out_so(
        self, bench: Any, new_book: Any, tools: Any, expected: str, hurt: bool, as_expected: bool, code: ExitCode
    ) -> None:
        found = self.run(bench, new_book, tools, expected, hurt)
        assert (found.as_expected, exit_code(found)) == (as_expected, code)
        assert found.verdict == ("refuted" if hurt else "held")  # shown as found, whatever was expected

    def test_what_is_not_listed_is_expected_to_hold(self, bench: Any, new_book: Any, tools: Any) -> None:
        bench.expect = {}
        found = stored(bench, tools.load(new_book()).history())
        assert (only(found).expected_verdict, found.as_expected) == ("held", True)

    def test_inconclusive_where_something_was_expected(self, bench: Any, new_book: Any, tools: Any) -> None:
        bench.expect = {"patient": {"survives": "refuted"}}
        found = stored(bench, tools.load(new_book()).history(), bench.events()[:8])
        assert (found.as_expected, exit_code(found)) == (False, ExitCode.INCONCLUSIVE)


def test_limits_are_told(bench: Any, new_book: Any, tools: Any) -> None:
    bench.fault = "kill"
    found = stored(bench, tools.load(new_book()).write(1.0, None, "u", outcome=3, answer=3, took=2.0).history())
    text = "\n".join(found.limits)
    for part in ("One trial", "1 operation has an unknown outcome", "not a power failure", "not refuted"):
        assert part in text


def test_a_plan_that_cannot_be_read(bench: Any) -> None:
    with pytest.raises(StoreError, match="is this a run directory"):
        analyse(bench.run)
    bench.run.path.mkdir(parents=True)
    bench.run.file("plan.json").write_text('{"schema_version": 1, "cells": 3}')
    with pytest.raises(StoreError, match="not a plan of this chaoskit"):
        analyse(bench.run)
    bench.run.file("plan.json").write_text('{"schema_version": 99}')
    with pytest.raises(StoreError, match="schema_version 99"):
        analyse(bench.run)


FITS = Claim(
    id="fits",
    consistency=Consistency(model="register", level="linearizable", classes=("resolve",)),
    window=Window(kind="during", of="slow"),
)


def overwritten(book: Any, stale: bool = False) -> Any:
    """One key, written all the time and read 50 times a second; a stale reader answers what was there before."""
    for n in range(-20, 200):
        book.write(n / 10, "k", f"v{n}", phase=0 if n < 0 else 1)
    for n in range(-95, 1000):
        number = n // 5 - (8 if stale and 350 <= n < 450 else 0)
        book.read(n / 50 + 0.015, "k", f"v{number}", phase=0 if n < 0 else 1)
    return book


def test_a_claim_about_a_history_is_held_with_bound_and_power(bench: Any, new_book: Any) -> None:
    bench.claims = (FITS,)
    claim = only(stored(bench, overwritten(new_book()).history()))
    assert claim.verdict == "held"
    assert claim.sentence == (
        "linearizable register of resolve during slow (5.05 s to 11.02 s: api->db:5432 answers 200 ms late): no "
        "anomaly in 199 answers that could have shown one: not refuted."
    )
    (finding,) = claim.findings
    assert finding.exposed == 199
    assert {one.kind: (one.struck, one.found) for one in finding.planted}["lost-write"] == (100, 100)
    assert (claim.most_per_operation, claim.most_per_trial) == (pytest.approx(3 / 199), pytest.approx(0.95))


def test_a_refuted_history_has_a_witness_and_costs_correct(bench: Any, new_book: Any) -> None:
    correct = Condition(text="correct >= 99%", quantity="correct", comparison=">=", value=0.99, unit="share")
    claimed = Claim(id="right", condition=correct, window=Window(kind="during", of="slow"))
    everything = Claim(id="all", consistency=Consistency(model="register", level="linearizable"))
    bench.claims, bench.invariants = (FITS, claimed, everything), ()
    found = stored(bench, overwritten(new_book(), stale=True).history())
    fits, right, _ = found.claims
    assert (fits.verdict, right.verdict) == ("refuted", "refuted")
    assert fits.observed.startswith("100 stale-read in ")
    assert fits.findings[0].exposed and (fits.most_per_operation, fits.most_per_trial) == (None, None)
    assert fits.findings[0].witness is not None and "; for instance operation " in fits.sentence
    during = next(one for one in found.cells[0].stats if one.window.name == "during slow" and one.cls == "resolve")
    assert during.accused == 100
    assert Analysis.model_validate_json(found.model_dump_json()) == found


def test_a_claim_about_some_answers_does_not_make_all_others_correct(bench: Any, new_book: Any) -> None:
    correct = Condition(text="correct >= 99%", quantity="correct", comparison=">=", value=0.99, unit="share")
    bench.claims, bench.invariants = (FITS, Claim(id="right", condition=correct)), ()
    found = stored(bench, overwritten(new_book()).history())
    assert [claim.verdict for claim in found.claims] == ["held", "inconclusive"]


def test_a_refuted_history_stands_on_its_witness_whatever_became_of_the_fault(bench: Any, new_book: Any) -> None:
    bench.claims = (FITS,)
    unseen = [one for one in bench.events() if one["kind"] != "seen"]
    claim = only(stored(bench, overwritten(new_book(), stale=True).history(), unseen))
    assert claim.verdict == "refuted"
    assert any(
        note.startswith("stands on its witness, although slow was not seen to bite") for note in claim.findings[0].notes
    )
    claim = only(stored(bench, overwritten(new_book()).history(), unseen))
    assert (claim.verdict, "not seen to bite" in claim.sentence) == ("inconclusive", True)


def test_a_cell_without_a_history_says_nothing_of_it(bench: Any) -> None:
    bench.claims = (FITS,)
    claim = only(stored(bench, None))
    assert (claim.verdict, claim.expected) == ("inconclusive", "linearizable register of resolve")
