"""Whatever is left of a run's files: the analysis says what is known, and never raises or holds a claim for it."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaoskit.analysis.cell import Material, analyse_cell
from chaoskit.analysis.facts import read_facts
from chaoskit.analysis.model import CellAnalysis

junk = st.dictionaries(
    st.sampled_from(["t", "kind", "id", "confirmed_ns", "evidence", "end_ns", "name", "reason", "code"]),
    st.one_of(st.none(), st.integers(-1, 10**13), st.text(max_size=5), st.lists(st.integers(), max_size=2)),
)
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def judged(bench: Any, events: list[Any], history: Any) -> CellAnalysis:
    plan = bench.plan()
    facts = read_facts(events, frozenset({"api", "db"}))
    return analyse_cell(plan, plan.cells[0], Material(facts, history, why="" if history else "none"))


@QUICK
@given(data=st.data())
def test_missing_and_foreign_events(bench: Any, new_book: Any, tools: Any, data: st.DataObject) -> None:
    whole = bench.events()
    kept = data.draw(st.lists(st.sampled_from(range(len(whole))), unique=True))
    events: list[Any] = [whole[n] for n in sorted(kept)]
    for extra in data.draw(st.lists(junk, max_size=4)):
        events.insert(data.draw(st.integers(0, len(events))), extra)
    bench.claims = (tools.SURVIVES, tools.IMMUTABLE, tools.LINKS)
    found = judged(bench, events, tools.load(new_book(), rate=50.0).history())
    assert len(found.findings) == 3
    kinds = {event["kind"] if event["kind"] != "phase" else event["name"] for n, event in enumerate(whole) if n in kept}
    survives = found.findings[0]
    if {"done", "seen", "begin", "origin"} - kinds:
        assert all(finding.verdict != "held" for finding in found.findings)
    elif not {"error", "abort", "interrupted", "exit"} & {str(event.get("kind")) for event in events}:
        assert survives.verdict == "held"


@QUICK
@given(last=st.floats(-2.0, 20.0), rate=st.sampled_from([0.0, 1.0, 30.0]))
def test_a_history_that_stops_anywhere(bench: Any, new_book: Any, tools: Any, last: float, rate: float) -> None:
    history = tools.load(new_book(), rate=rate or 1.0, end=last if rate else -2.0).history()
    events = [event for event in bench.events() if event["t"] <= tools.at(last)]
    found = judged(bench, events, history)
    assert [finding.verdict for finding in found.findings] == ["inconclusive"]
    for one in found.stats:
        assert one.yes + one.late + one.refused + one.silent == one.intended
