from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chaoskit.checks.conditions import Evidence, expectation, judge
from chaoskit.checks.model import Finding
from chaoskit.checks.sample import Load
from chaoskit.history.operation import Answer
from chaoskit.history.windows import Disturbance, windows
from chaoskit.spec.model import Claim, Condition, Window

UNITS = {"goodput": "per-second", "rate": "per-second"}
SHARES = {"yield", "correct", "refused", "silent", "loss"}


def condition(quantity: str, comparison: str, value: float, **more: Any) -> Condition:
    unit = "share" if quantity in SHARES else UNITS.get(quantity, "seconds")
    text = f"{quantity} {comparison} {value}"
    return Condition.model_validate(
        {"text": text, "quantity": quantity, "comparison": comparison, "value": value, "unit": unit, **more}
    )


def verdict(
    book: Any,
    quantity: str,
    comparison: str,
    value: float,
    *,
    window: str = "whole",
    fault: tuple[float, float | None] | None = None,
    end: float = 10.0,
    timeout: float = 2.0,
    failover: float = 0.0,
    accused: list[int] | None = None,
    sides: Any = None,
    **more: Any,
) -> Finding:
    history = book.history()

    def at(seconds: float | None) -> int | None:
        return None if seconds is None else history.origin_ns + round(seconds * 1e9)

    faults = []
    if fault is not None:
        length = None if fault[1] is None else round((fault[1] - fault[0]) * 1e9)
        faults = [Disturbance("x", at(fault[0]) or 0, length, at(fault[0]), at(fault[1]))]
    found = windows(at(0.0) or 0, at(end) or 0, round(timeout * 1e9), round(failover * 1e9), faults)
    marks = None if accused is None else np.array(accused, dtype=np.int64)
    evidence = Evidence(history, Load.of(history, marks), found, checked=accused is not None, sides=sides or {})
    of = "x" if window in ("during", "steady", "after") else None
    claim = Claim(id="c", condition=condition(quantity, comparison, value, **more), window=Window(kind=window, of=of))
    return judge(claim, evidence)


def steady(book: Any, start: float, end: float, rate: float = 50.0, took: float = 0.01, **more: Any) -> Any:
    for n in range(round((end - start) * rate)):
        book.read(start + n / rate, f"k{n}", None, took=took, **more)
    return book


def test_yield_counts_good_answers_of_all_that_were_intended(book: Any) -> None:
    for n in range(200):
        due = n / 40
        if n % 10 == 0:
            book.silent(due)
        elif n % 10 == 1:
            book.refused(due)
        elif n % 10 == 2:
            book.read(due, "k", None, took=2.5)  # too late
        else:
            book.read(due, "k", None)
    found = verdict(book, "yield", ">=", 0.9)
    assert (found.verdict, found.value, found.operations) == ("refuted", 0.7, 200)
    assert "20 refused, 20 not answered, 20 answered too late" in found.observed
    assert found.witness is not None
    assert found.witness.kind == "unanswered"
    assert len(found.witness.operations) == 3
    assert "59 more of 200" in found.witness.sentence
    assert verdict(book, "yield", ">=", 0.7).verdict == "held"
    assert verdict(book, "refused", "<=", 0.1).verdict == "held"
    assert verdict(book, "silent", "<", 0.1).verdict == "refuted"


def test_what_the_harness_did_not_send_is_in_no_denominator(book: Any) -> None:
    steady(book, 0.0, 4.0)
    for n in range(100):
        book.unsent(n / 100)
    found = verdict(book, "yield", ">=", 1.0)
    assert (found.verdict, found.value, found.operations) == ("held", 1.0, 200)
    assert "100 not sent by the harness" in found.observed


def test_fewer_than_a_hundred_operations_decide_nothing_either_way(book: Any) -> None:
    for n in range(99):
        book.silent(n / 50)
    found = verdict(book, "yield", ">=", 0.99)
    assert found.verdict == "inconclusive"
    assert "only 99 operations" in found.reasons[0]
    assert verdict(book.silent(1.99), "yield", ">=", 0.99).verdict == "refuted"


def test_a_class_is_judged_by_its_own_operations(book: Any) -> None:
    steady(book, 0.0, 4.0)
    for n in range(120):
        book.silent(n / 40, cls="create")
    assert verdict(book, "yield", ">=", 0.99, cls="resolve").verdict == "held"
    assert verdict(book, "yield", ">=", 0.99, cls="create").value == 0.0
    assert verdict(book, "yield", ">=", 0.99, cls="missing").verdict == "inconclusive"


def test_a_side_is_the_clients_of_one_node(book: Any) -> None:
    book.nodes.append("client@n1")
    steady(book, 0.0, 4.0)
    for n in range(120):
        book.silent(n / 40, source="client@n1")
    assert verdict(book, "yield", ">=", 0.99, side="client").verdict == "held"
    assert verdict(book, "yield", ">=", 0.99, side="client@n1").verdict == "refuted"
    assert "no client" in verdict(book, "yield", ">=", 0.99, side="majority").reasons[0]


def test_correct_is_yield_less_what_was_accused(book: Any) -> None:
    steady(book, 0.0, 4.0)
    found = verdict(book, "correct", ">=", 0.99, accused=[3, 4, 5, 6])
    assert (found.verdict, found.value) == ("refuted", 0.98)
    assert found.witness is not None and [op.index for op in found.witness.operations] == [3, 4, 5]
    assert "no invariant" in verdict(book, "correct", ">=", 0.99).reasons[0]


def test_rates_are_per_second_of_due_time(book: Any) -> None:
    steady(book, 0.0, 10.0, rate=40.0)
    assert verdict(book, "rate", ">=", 40.0).value == pytest.approx(40.0, rel=0.01)  # 8 s of due time
    assert verdict(book, "goodput", ">=", 50.0).verdict == "refuted"
    assert verdict(book, "rate", ">=", 50.0).witness is None


def test_silence_is_slower_than_any_answer(book: Any) -> None:
    steady(book, 0.0, 4.0)  # 200
    for n in range(3):
        book.silent(n / 10)
    found = verdict(book, "p99", "<=", 0.3)  # rank 201 of 203
    assert (found.verdict, found.value, found.censored) == ("refuted", 2.0, True)
    assert found.observed.startswith("more than 2 s")
    assert found.witness is not None and found.witness.kind == "unanswered"
    assert verdict(book, "p95", "<=", 0.3).verdict == "held"


def test_refusals_are_no_latencies(book: Any) -> None:
    steady(book, 0.0, 4.0, took=0.2)
    for n in range(300):
        book.refused(n / 100, took=0.001)
    found = verdict(book, "p50", "<=", 0.1)
    assert (found.verdict, found.value, found.operations) == ("refuted", 0.2, 200)
    assert "300 refused are left out" in found.observed


def test_latency_is_counted_from_the_due_time_and_service_from_the_send(book: Any) -> None:
    steady(book, 0.0, 4.0, took=0.05, late=0.04)
    assert verdict(book, "p99", "<=", 1.0).value == pytest.approx(0.05)
    assert verdict(book, "service p99", "<=", 1.0).value == pytest.approx(0.01)


def test_rare_quantiles_need_more_operations(book: Any) -> None:
    steady(book, 0.0, 4.0)
    found = verdict(book, "p99.9", "<=", 1.0)
    assert found.verdict == "inconclusive" and "at least 1,000" in found.reasons[0]
    assert verdict(book, "max", "<=", 1.0).verdict == "held"


def test_answers_at_the_heal_do_not_count(book: Any) -> None:
    """A system that hangs for the whole fault and answers everything when it is healed."""
    for n in range(600):
        due = 2.0 + n / 100
        book.read(due, "k", None, took=10.0 - due + 0.01)
    found = verdict(book, "yield", ">=", 0.5, window="during", fault=(2.0, 10.0), end=20.0)
    assert (found.verdict, found.value) == ("refuted", 0.0)
    p50 = verdict(book, "p50", "<=", 8.5, window="during", fault=(2.0, 10.0), end=20.0, timeout=8.0)
    assert p50.verdict == "refuted" and p50.censored


def test_the_window_decides_what_counts(book: Any) -> None:
    steady(book, 0.0, 5.0)
    for n in range(400):
        book.silent(5.0 + n / 50)
    steady(book, 13.0, 20.0)
    within = {"fault": (5.0, 13.0), "end": 20.0}
    assert verdict(book, "yield", ">=", 0.99, window="before", **within).verdict == "held"
    assert verdict(book, "yield", ">=", 0.99, window="after", **within).verdict == "held"
    during = verdict(book, "yield", ">=", 0.99, window="during", **within)
    assert (during.value, during.operations) == (0.0, 201)  # due in [5, 9]: 13 - T - T
    assert during.window is not None
    assert (during.window.name, during.window.start, during.window.end) == ("during x", 5.0, 11.0)
    late = verdict(book, "yield", ">=", 0.99, window="steady", failover=1.0, **within)
    assert late.operations == 151


def test_a_window_that_was_never_observed(book: Any) -> None:
    found = verdict(steady(book, 0.0, 4.0), "yield", ">=", 0.9, window="during")
    assert found.verdict == "inconclusive" and "not observed" in found.reasons[0]


def outage(book: Any, back: float) -> Any:
    steady(book, 0.0, 5.0)
    for n in range(round((back - 5.0) * 50)):
        book.refused(5.0 + n / 50)
    return steady(book, back, 20.0)


@pytest.mark.parametrize(("back", "value"), [(9.0, 0.0), (11.0, 2.0), (12.4, 4.0)])
def test_recovery_is_the_first_of_three_good_stretches(book: Any, back: float, value: float) -> None:
    outage(book, back)
    found = verdict(book, "recovery", "<=", 2.5, window="after", fault=(5.0, 9.0), end=20.0)
    assert found.value == value  # bins of one second: 50 operations
    assert found.verdict == ("held" if value <= 2.5 else "refuted")
    if found.verdict == "refuted":
        assert found.witness is not None and found.witness.kind == "refused"


def test_a_recovery_that_was_not_seen_took_at_least_as_long_as_was_watched(book: Any) -> None:
    outage(book, 18.9)
    past = verdict(book, "recovery", "<=", 5.0, window="after", fault=(5.0, 9.0), end=20.0)
    assert (past.verdict, past.censored) == ("refuted", True)
    assert past.observed.startswith("at least 10 s")
    assert past.witness is not None and past.witness.kind == "refused"
    short = verdict(book, "recovery", "<=", 30.0, window="after", fault=(5.0, 9.0), end=20.0)
    assert short.verdict == "inconclusive" and "watched" in short.reasons[0]


def test_slow_is_not_recovered_even_if_everything_is_answered(book: Any) -> None:
    steady(book, 0.0, 9.0)
    steady(book, 9.0, 14.0, took=0.2)
    steady(book, 14.0, 20.0)
    found = verdict(book, "recovery", "<=", 1.0, window="after", fault=(5.0, 9.0), end=20.0)
    assert (found.verdict, found.value) == ("refuted", 5.0)


def test_one_slow_operation_is_not_a_relapse(book: Any) -> None:
    steady(book, 0.0, 20.0)
    book.read(9.5, "z", None, took=0.9)
    assert verdict(book, "recovery", "<=", 0.5, window="after", fault=(5.0, 9.0), end=20.0).value == 0.0


def test_detection_is_when_a_client_can_first_notice(book: Any) -> None:
    steady(book, 0.0, 6.0)
    for n in range(300):
        book.silent(6.0 + n / 50)
    within = {"window": "during", "fault": (5.0, 13.0), "end": 20.0}
    found = verdict(book, "detection", "<=", 2.0, **within)
    # From 6 s on nobody answers; the stretch up to 7 s is known to be slow 100 ms later.
    assert found.value == pytest.approx(2.1)
    assert found.verdict == "refuted"
    assert found.witness is not None and found.witness.operations[0].due == 6.0
    assert verdict(book, "detection", "<=", 4.0, **within).verdict == "held"


def test_a_refusal_is_noticed_when_it_comes(book: Any) -> None:
    steady(book, 0.0, 7.0).refused(7.0, took=0.1)
    steady(book, 7.02, 15.0)
    found = verdict(book, "detection", "<=", 1.0, window="during", fault=(5.0, 13.0), end=20.0)
    assert (found.verdict, found.value) == ("refuted", pytest.approx(2.1))


def test_where_clients_notice_nothing_there_is_no_detection(book: Any) -> None:
    found = verdict(steady(book, 0.0, 20.0), "detection", "<=", 1.0, window="during", fault=(5.0, 13.0), end=20.0)
    assert found.verdict == "inconclusive" and "noticed nothing" in found.reasons[0]


def test_a_slow_stretch_is_noticed_at_its_end(book: Any) -> None:
    steady(book, 0.0, 6.0)
    steady(book, 6.0, 13.0, took=0.5)
    found = verdict(book, "detection", "<=", 1.0, window="during", fault=(5.0, 13.0), end=20.0)
    assert found.value == pytest.approx(2.1)


def written(book: Any, lost: int, unread: int) -> Any:
    for n in range(200):
        book.write(n / 40, f"k{n}", f"v{n}")
        if n >= unread:
            book.read(30 + n / 100, f"k{n}", None if n < unread + lost else f"v{n}", phase=2)
    return book


@pytest.mark.parametrize(
    ("lost", "unread", "limit", "expected"),
    [
        (0, 0, 0.0, "held"),
        (1, 0, 0.0, "refuted"),
        (1, 0, 0.01, "held"),
        (0, 1, 0.0, "inconclusive"),
        (0, 1, 0.01, "held"),
        (3, 1, 0.01, "refuted"),
    ],
)
def test_loss_lies_between_what_is_gone_and_what_may_be(
    book: Any, lost: int, unread: int, limit: float, expected: str
) -> None:
    found = verdict(written(book, lost, unread), "loss", "<=", limit)
    assert found.verdict == expected
    assert found.value == lost / 200
    assert (found.witness is not None) == (expected == "refuted")


def test_for_asks_for_a_stretch_without_a_break(book: Any) -> None:
    steady(book, 0.0, 3.0)
    for n in range(50):
        book.silent(3.0 + n / 50)
    steady(book, 4.0, 9.0)
    assert verdict(book, "yield", ">=", 0.99, sustain=3.0).verdict == "held"
    found = verdict(book, "yield", ">=", 0.99, sustain=5.0)
    assert (found.verdict, found.limit, found.unit) == ("refuted", 5.0, "seconds")
    assert found.value is not None and 3.0 <= found.value < 5.0


def test_what_is_claimed_reads_aloud() -> None:
    asked = condition("yield", ">=", 0.99, cls="resolve", side="majority", sustain=5.0)
    assert expectation(asked) == "yield of resolve at majority >= 99 % for 5 s"
    assert expectation(condition("p99", "<=", 0.3)) == "p99 <= 300 ms"


def test_operations_that_were_never_closed_count_for_nothing(book: Any) -> None:
    steady(book, 0.0, 4.0)
    for n in range(50):
        book.add(n / 50, None, answer=Answer.NONE, outcome=0)
    found = verdict(book, "yield", ">=", 0.99)
    assert (found.verdict, found.operations) == ("held", 200)


SIDES = {"x": {"minority": ("api-1", "client@api-1"), "majority": ("api-2", "client@api-2", "client@api-3")}}


def on_sides(new_book: Any) -> Any:
    """In the fault the client in the minority gets nothing, the others everything."""
    book = new_book()
    book.nodes += [f"client@api-{n}" for n in (1, 2, 3)]
    for n in range(900):
        due, source = n / 60, f"client@api-{n % 3 + 1}"
        cut = 5.0 <= due < 13.0 and source == "client@api-1"
        (book.silent if cut else book.write)(due, **({} if cut else {"key": f"k{n}", "value": f"v{n}"}), source=source)
    return book


@pytest.mark.parametrize(
    ("side", "value"),
    [("minority", 0.0), ("majority", 1.0), ("client@api-1", 0.0), ("api-2", 1.0), (None, 2 / 3)],
)
def test_operations_count_for_the_side_on_which_their_client_stood(new_book: Any, side: str, value: float) -> None:
    found = verdict(
        on_sides(new_book), "yield", ">=", 0.99, window="during", fault=(5.0, 13.0), end=15.0, timeout=0.1, side=side,
        sides=SIDES,
    )  # fmt: skip
    assert found.value == pytest.approx(value, abs=0.01)
    assert found.expected == f"yield{f' at {side}' if side else ''} >= 99 %"


def test_nobody_on_a_side_is_no_verdict(new_book: Any) -> None:
    for side, of in (("minority", {"x": {"minority": ("api-9",)}}), ("nobody", SIDES), ("minority", {"y": SIDES["x"]})):
        found = verdict(on_sides(new_book), "yield", ">=", 0.5, window="during", fault=(5.0, 13.0), side=side, sides=of)
        assert found.verdict == "inconclusive" and f"no client of the run stood at “{side}”" in found.reasons[0]


def test_loss_is_of_the_writes_of_the_side(new_book: Any) -> None:
    book = new_book()
    book.nodes += ["client@api-1", "client@api-2"]
    for n in range(400):
        book.write(n / 40, f"k{n}", f"v{n}", source=f"client@api-{n % 2 + 1}")
    for n in range(400):  # what was written at api-1 is gone
        book.read(20 + n / 40, f"k{n}", None if n % 2 == 0 else f"v{n}", phase=2)
    for side, share in (("api-1", 1.0), ("api-2", 0.0)):
        assert verdict(book, "loss", "<=", 0.0, side=side).value == share
