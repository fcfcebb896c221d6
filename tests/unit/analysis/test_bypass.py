"""The bypass check, from events made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from chaoskit.analysis.run import analyse
from chaoskit.plan import Choice
from chaoskit.spec.model import Claim, Window

LINK = "api->db:5432"


def judged(bench: Any, book: Any, tools: Any, *more: dict[str, Any], without: tuple[str, ...] = (), **plan: Any) -> Any:
    """The analysis of a run in which all went well but for these events."""
    bench.store()
    if plan:
        made = bench.plan()
        made = made.model_copy(update={"injections": tuple(one.model_copy(update=plan) for one in made.injections)})
        bench.run.file("plan.json").write_text(made.model_dump_json())
    bench.cell(tools.load(book).history(), [e for e in bench.events() if e["kind"] not in without] + list(more))
    return analyse(bench.run)


def test_a_leak_spoils_the_claims_about_the_fault_and_names_both_ends(bench: Any, new_book: Any, tools: Any) -> None:
    bench.claims = (tools.SURVIVES, Claim(id="before", condition=tools.YIELD, window=Window(kind="before", of="slow")))
    leak = tools.event(3.0, "leaked", destination="db:5432", source="api")
    found = judged(bench, new_book(), tools, leak)
    assert {claim.claim: claim.verdict for claim in found.claims} == {"survives": "inconclusive", "before": "held"}
    reason = "slow: leaked: api was connected to db:5432 directly, past its link"
    assert found.claims[0].findings[0].reasons == (reason,)
    (fault,) = found.cells[0].faults
    assert (fault.seen, fault.doubts) == (True, (reason.removeprefix("slow: "),))


def test_where_the_source_cannot_be_seen_the_destination_is_named(bench: Any, new_book: Any, tools: Any) -> None:
    leak = tools.event(6.0, "leaked", destination="db:5432", source="")
    found = judged(bench, new_book(), tools, leak)
    assert found.verdict == "inconclusive"
    assert "something was connected to db:5432 directly" in found.claims[0].sentence
    named = tools.event(7.0, "leaked", destination="db:5432", source="api")
    (reason,) = judged(bench, new_book(), tools, leak, named).claims[0].findings[0].reasons
    assert "api was connected" in reason


@pytest.mark.parametrize(("destination", "source"), [("db:5432", "worker"), ("cache:6379", "api"), ("db:9000", "")])
def test_a_leak_past_another_link_is_a_limit_of_the_run(
    bench: Any, new_book: Any, tools: Any, destination: str, source: str
) -> None:
    leak = tools.event(6.0, "leaked", destination=destination, source=source)
    found = judged(bench, new_book(), tools, leak)
    assert found.verdict == "held"
    (told,) = [limit for limit in found.limits if destination in limit]
    assert told.endswith("; no fault was on that link.")


def test_a_link_that_carried_nothing_proves_nothing(bench: Any, new_book: Any, tools: Any) -> None:
    idle = [tools.counters(-2.3, "warm-up", {LINK: 500}), tools.counters(4.0, "baseline", {LINK: 500})]
    found = judged(bench, new_book(), tools, *idle, without=("counters",))
    assert found.verdict == "inconclusive"
    assert f"slow: no traffic passed over {LINK} before it: nothing says that it is used" in found.claims[0].sentence


def test_a_link_that_was_used_when_only_the_target_used_it_counts(bench: Any, new_book: Any, tools: Any) -> None:
    counts = [
        tools.counters(-2.3, "warm-up", {LINK: 0}),
        tools.counters(4.0, "baseline", {LINK: 0}),
        tools.counters(14.0, "healed", {LINK: 900}),  # canaries
        tools.counters(20.0, "done", {LINK: 901}),
    ]
    assert judged(bench, new_book(), tools, *counts, without=("counters",)).verdict == "held"
    assert judged(bench, new_book(), tools, *counts[:3], without=("counters",)).verdict == "inconclusive"


def test_an_idle_link_beside_others_accuses_nobody(bench: Any, new_book: Any, tools: Any) -> None:
    idle = "n2->n3:1"
    counts = [
        tools.counters(-2.3, "warm-up", {LINK: 0, idle: 0}),
        tools.counters(4.0, "baseline", {LINK: 9, idle: 0}),
    ]
    found = judged(bench, new_book(), tools, *counts, without=("counters",), links=(LINK, idle))
    assert found.verdict == "held"
    assert any(f"{idle} carried nothing before slow: whether it is used at all is not known" in x for x in found.limits)


@pytest.mark.parametrize("early", [False, True])
def test_where_nobody_counted_long_enough_that_is_a_limit(bench: Any, new_book: Any, tools: Any, early: bool) -> None:
    counts = [tools.counters(-2.3, "warm-up", {LINK: 0}), tools.counters(-1.9, "baseline", {LINK: 0})] if early else []
    found = judged(bench, new_book(), tools, *counts, without=("counters",))
    assert found.verdict == "held"
    assert any("carried traffic before it was not counted" in limit for limit in found.limits)


def test_a_fault_beside_a_leader_is_reported_where_it_was(bench: Any, new_book: Any, tools: Any) -> None:
    choice = Choice(links=("n2->n1:1",), effects=(), evidence=(), sentence="n2 is cut off")
    placed = tools.event(4.5, "placed", id="slow", role="leader", holder="n2", sentence="n2 is cut off")
    counts = [tools.counters(-2.3, "warm-up", {}), tools.counters(4.0, "baseline", {"n2->n1:1": 9})]
    plan = {"role": "leader", "choices": {"n2": choice}}
    found = judged(bench, new_book(), tools, placed, *counts, without=("counters",), **plan)
    (fault,) = found.cells[0].faults
    assert (fault.sentence, fault.links, found.verdict) == ("n2 is cut off", ("n2->n1:1",), "held")
    assert "n2 is cut off" in found.claims[0].sentence


def test_a_fault_whose_leader_moved_or_was_not_there_proves_nothing(bench: Any, new_book: Any, tools: Any) -> None:
    astray = tools.event(5.2, "unplaced", id="slow", role="leader", reason="leader moved twice while it began")
    found = judged(bench, new_book(), tools, astray)
    assert "slow: leader moved twice while it began" in found.claims[0].sentence
    never = judged(bench, new_book(), tools, astray, without=("begin", "seen", "end", "gone"))
    assert never.claims[0].findings[0].reasons[:2] == (
        "slow: leader moved twice while it began",
        "slow was not injected",
    )
