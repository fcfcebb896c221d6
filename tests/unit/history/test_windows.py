from __future__ import annotations

import numpy as np
import pytest

from chaoskit.history.windows import Disturbance, Span, budget, counted, windows

S = 1_000_000_000


def slow(
    start: float | None = 5.0, heal: float | None = 13.0, at: float = 5.0, length: float | None = 8.0
) -> Disturbance:
    def ns(seconds: float | None) -> int | None:
        return None if seconds is None else round(seconds * S)

    return Disturbance("slow", round(at * S), ns(length), ns(start), ns(heal))


def bounds(span: Span) -> tuple[float, float, float]:
    return span.start_ns / S, span.end_ns / S, span.budget_ns / S


@pytest.mark.parametrize(
    ("timeout", "length", "expected"), [(2.0, 8.0, 2.0), (2.0, 4.0, 1.0), (2.0, None, 2.0), (0.5, 100.0, 0.5)]
)
def test_the_budget_is_the_timeout_or_a_quarter_of_the_fault(
    timeout: float, length: float | None, expected: float
) -> None:
    assert budget(round(timeout * S), None if length is None else round(length * S)) == expected * S


def test_windows_begin_and_end_with_what_was_observed() -> None:
    found = windows(0, 20 * S, 2 * S, 1 * S, [slow(start=5.3, heal=13.4)])
    assert {span.name: bounds(span) for span in found.values()} == {
        "before": (0.0, 5.3, 2.0),
        "whole": (0.0, 20.0, 2.0),
        "during slow": (5.3, 11.4, 2.0),
        "steady slow": (6.3, 11.4, 2.0),
        "after slow": (13.4, 20.0, 2.0),
    }
    assert found[("during", "slow")].heal_ns == 13_400_000_000
    assert found[("after", "slow")].heal_ns is None


def test_before_uses_the_budget_of_the_shortest_fault_so_that_windows_compare() -> None:
    found = windows(0, 20 * S, 2 * S, 0, [slow(length=4.0, heal=9.0)])
    assert bounds(found[("before", None)]) == (0.0, 5.0, 1.0)
    assert found[("whole", None)].budget_ns == 2 * S


def test_a_fault_that_was_never_seen_to_begin_has_no_window_and_ends_the_baseline_where_it_was_planned() -> None:
    found = windows(0, 20 * S, 2 * S, 0, [slow(start=None, heal=None)])
    assert set(found) == {("before", None), ("whole", None)}
    assert found[("before", None)].end_ns == 5 * S


def test_a_fault_that_was_never_healed_has_no_after() -> None:
    found = windows(0, 20 * S, 2 * S, 0, [slow(heal=None)])
    assert ("after", "slow") not in found
    assert bounds(found[("during", "slow")]) == (5.0, 18.0, 2.0)


def test_after_ends_where_the_next_fault_begins() -> None:
    second = Disturbance("second", 15 * S, 4 * S, 15 * S, 19 * S)
    found = windows(0, 30 * S, 2 * S, 0, [second, slow()])
    assert found[("after", "slow")].end_ns == 15 * S
    assert found[("after", "second")].end_ns == 30 * S


def test_a_load_that_ended_early_cuts_every_window() -> None:
    found = windows(0, 7 * S, 2 * S, 0, [slow(heal=None)])
    assert bounds(found[("during", "slow")]) == (5.0, 5.0, 2.0)
    assert found[("whole", None)].end_ns == 7 * S


def test_only_operations_whose_whole_budget_lies_inside_count() -> None:
    due = np.array([0.9, 1.0, 2.0, 3.0, 3.1]) * S
    span = Span("during", "x", 1 * S, 5 * S, 2 * S)
    assert due[counted(due.astype(np.int64), span)].tolist() == [1.0 * S, 2.0 * S, 3.0 * S]
    assert span.seconds == 2.0


def test_a_window_shorter_than_the_budget_counts_nothing() -> None:
    span = Span("during", "x", 1 * S, 2 * S, 2 * S)
    chosen = counted(np.arange(10, dtype=np.int64) * S // 2, span)
    assert chosen.start == chosen.stop
    assert span.seconds == 0.0
