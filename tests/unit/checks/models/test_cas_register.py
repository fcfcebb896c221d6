"""Registers with compare-and-set: chains, lost updates, circles, and witnesses of long chains."""

from __future__ import annotations

import random
from typing import Any

import pytest
from histories.simulate import Call, operations

from chaoskit.checks.models.cas_register import MODEL
from chaoskit.checks.result import Options
from chaoskit.errors import HistoryError


def history(*rows: tuple[Any, ...]):
    """(process, f, value, invoked, completed[, outcome]); the value of a cas is (old, new)."""
    calls = []
    for process, f, value, invoked, completed, *more in rows:
        asked, answer = (None, value) if f == "read" else (value, None)
        outcome = more[0] if more else "ok"
        calls.append(Call(process, f, asked, result=answer, outcome=outcome, invoked=invoked, completed=completed))
    return operations(calls)


def check(*rows: tuple[Any, ...], **options: Any):
    return MODEL.check(history(*rows), Options(**options))


def kinds(result) -> dict[str, int]:
    return {one.kind: one.count for one in result.anomalies}


def chain(length: int, begin: int = 10) -> list[tuple[Any, ...]]:
    """0 is written, then replaced one by one by process 0."""
    links = [(0, "cas", (at, at + 1), begin + 10 * at, begin + 10 * at + 1) for at in range(length)]
    return [(0, "write", 0, 1, 2), *links]


def test_a_chain_is_held() -> None:
    assert check(*chain(20), (1, "read", 20, 500, 501)).verdict == "held"


def test_a_compare_and_set_from_the_initial_value() -> None:
    assert check((0, "cas", (None, 1), 1, 2), (1, "read", 1, 3, 4)).verdict == "held"
    assert check((0, "cas", (0, 1), 1, 2), (1, "read", 1, 3, 4), initial=0).verdict == "held"
    assert kinds(check((0, "cas", (0, 1), 1, 2))) == {"thin-air": 1}


def test_a_failed_one_says_nothing() -> None:
    assert check((0, "write", 1, 1, 2), (0, "cas", (1, 2), 3, 4, "fail"), (0, "read", 1, 5, 6)).verdict == "held"


def test_a_failed_one_must_not_be_read() -> None:
    result = check((0, "write", 1, 1, 2), (0, "cas", (1, 2), 3, 4, "fail"), (0, "read", 2, 5, 6))
    assert kinds(result) == {"resurrection": 1}


def test_two_that_found_the_same_value_lost_an_update() -> None:
    result = check((0, "write", 1, 1, 2), (0, "cas", (1, 2), 3, 9), (1, "cas", (1, 3), 4, 8))
    assert (kinds(result), result.anomalies[0].witness) == ({"lost-update": 1}, (0, 1, 2))


def test_one_of_unknown_outcome_counts_once_its_value_was_seen() -> None:
    rows = [(0, "write", 1, 1, 2), (0, "cas", (1, 2), 3, 9), (1, "cas", (1, 3), 4, 0, "info")]
    assert check(*rows).verdict == "held"
    result = check(*rows, (2, "read", 3, 10, 11))
    assert (kinds(result), result.anomalies[0].witness) == ({"lost-update": 1}, (0, 1, 2, 3))


def test_one_of_unknown_outcome_counts_where_it_was_seen_by_way_of_others() -> None:
    rows = [(0, "write", 1, 1, 2), (1, "cas", (1, 2), 3, 0, "info"), (2, "cas", (2, 3), 4, 0, "info")]
    assert check(*rows, (0, "read", 1, 5, 6), (0, "read", 3, 7, 8)).verdict == "held"
    assert check(*rows, (0, "read", 3, 5, 6), (0, "read", 1, 7, 8)).verdict == "refuted"


def test_one_that_changes_nothing_is_a_read() -> None:
    rows = [(0, "write", 1, 1, 2), (0, "cas", (1, 1), 3, 4), (0, "cas", (1, 1), 5, 6), (0, "read", 1, 7, 8)]
    assert check(*rows).verdict == "held"
    assert check((0, "write", 1, 1, 2), (0, "write", 2, 3, 4), (0, "cas", (1, 1), 5, 6)).verdict == "refuted"


def test_values_that_come_from_each_other_came_out_of_thin_air() -> None:
    result = check((0, "cas", (1, 2), 1, 9), (1, "cas", (2, 3), 2, 10), (2, "cas", (3, 1), 3, 11))
    assert (kinds(result), result.anomalies[0].witness) == ({"thin-air": 3}, (0, 1, 2))


def test_what_hangs_on_a_circle_is_judged_too() -> None:
    rows = [(0, "cas", (1, 2), 10, 90), (1, "cas", (2, 1), 11, 91), (2, "cas", (2, 3), 1, 95), (3, "read", 3, 2, 3)]
    assert "future-read" in kinds(check(*rows))


def test_a_long_circle_is_shown_by_one_of_them() -> None:
    result = check(*[(at, "cas", (at, (at + 1) % 30), 1 + at, 100 + at) for at in range(30)], initial=-1)
    (one,) = result.anomalies
    assert (one.kind, one.count, one.left_out) == ("thin-air", 30, 28)


def test_it_must_not_succeed_on_what_had_been_overwritten() -> None:
    result = check((0, "write", 1, 1, 2), (0, "write", 2, 3, 4), (1, "cas", (1, 3), 5, 6))
    assert (kinds(result), list(result.anomalies[0].accused)) == ({"stale-read": 1}, [2])
    assert "found 1, although operation 1 (process 0: write 2) had been acknowledged" in result.anomalies[0].sentence


def test_inside_a_chain_nothing_is_shown_after_what_replaced_it() -> None:
    # Everything overlaps the write of 1, so that only the chain tells the order.
    rows = [(0, "write", 1, 1, 90), (1, "cas", (1, 2), 2, 5), (2, "read", 1, 6, 7)]
    result = check(*rows)
    assert (kinds(result), result.anomalies[0].witness) == ({"stale-read": 1}, (0, 1, 2))
    inverted = check((0, "write", 1, 1, 90), (1, "cas", (1, 2), 2, 91), (2, "read", 2, 3, 4), (2, "read", 1, 6, 7))
    assert kinds(inverted) == {"new-old-inversion": 1}


def test_a_value_is_not_shown_before_the_chain_that_leads_to_it_has_begun() -> None:
    # The cas from 2 to 3 began in time, but the one from 1 to 2 did not.
    rows = [(0, "write", 1, 1, 2), (1, "cas", (2, 3), 3, 90), (2, "read", 3, 4, 5), (0, "cas", (1, 2), 6, 7)]
    result = check(*rows)
    assert (kinds(result), result.anomalies[0].witness) == ({"future-read": 1}, (0, 1, 2, 3))


def test_a_write_has_no_place_inside_a_chain() -> None:
    # 1 -> 2 -> 3 is one block from 1 to 20; the write of 9 ended inside it, and nobody ever saw it.
    rows = [(0, "write", 1, 1, 2), (0, "cas", (1, 2), 3, 90), (2, "write", 9, 4, 5), (1, "cas", (2, 3), 6, 91)]
    result = check(*rows)
    assert (kinds(result), set(result.anomalies[0].witness)) == ({"flip-flop": 1}, {0, 1, 2, 3})
    assert check(*rows[:3]).verdict == "held"


def test_a_lost_write_beside_a_long_chain_says_what_it_leaves_out() -> None:
    # Acknowledged in the middle of 100 compare-and-sets that know nothing of it.
    result = check(*chain(100), (1, "write", -5, 405, 606))
    (one,) = result.anomalies
    assert (result.verdict, one.kind) == ("refuted", "flip-flop")
    assert len(one.witness) <= 10 < one.left_out
    shorter = check(*chain(100), (1, "write", -5, 405, 425))
    assert shorter.verdict == "refuted"


def test_values_that_come_again_are_searched() -> None:
    rows = [(0, "write", 1, 1, 2), (0, "cas", (1, 2), 3, 4), (0, "cas", (2, 1), 5, 6), (0, "cas", (1, 2), 7, 8)]
    assert check(*rows, (0, "read", 2, 9, 10)).verdict == "held"
    assert check(*rows, (0, "read", 1, 9, 10)).verdict == "refuted"


def test_what_does_not_ask_for_old_and_new_is_refused() -> None:
    with pytest.raises(HistoryError, match=r"operation 0 .*\[old new\]"):
        check((0, "cas", 5, 1, 2))


def test_planted_bugs_are_found() -> None:
    rows: list[tuple[Any, ...]] = []
    for at in range(0, 60, 3):
        rows.append((0, "write", at, 30 * at + 1, 30 * at + 2))
        rows.append((0, "cas", (at, at + 1), 30 * at + 3, 30 * at + 4))
        rows.append((1, "read", at + 1, 30 * at + 5, 30 * at + 6))
    right = history(*rows)
    assert MODEL.check(right, Options()).verdict == "held"
    for bug in MODEL.alterations:
        struck = [bug.apply(right, position, random.Random(position)) for position in range(len(right))]
        verdicts = [MODEL.check(altered, Options()).verdict for altered in struck if altered is not None]
        assert len(verdicts) > 15, bug.kind
        assert set(verdicts) == {"refuted"}, bug.kind
