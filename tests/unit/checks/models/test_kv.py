"""Texts per key: registers where nothing is appended, a search where something is."""

from __future__ import annotations

import random
from typing import Any

import pytest
from histories.simulate import Call, operations

from chaoskit.checks.models.kv import MODEL
from chaoskit.checks.power import power
from chaoskit.checks.result import Options, Result
from chaoskit.errors import HistoryError


def check(*rows: tuple[Any, ...], **options: Any) -> Result:
    """(f, value or answer, invoked, completed[, outcome[, key]])"""
    calls = []
    for process, (f, text, invoked, completed, *more) in enumerate(rows):
        outcome, key = (*more, *("ok", None)[len(more) :])
        asked, answered = (None, text) if f == "get" else (text, None)
        calls.append(Call(process, f, asked, key, answered, outcome=outcome, invoked=invoked, completed=completed))
    return MODEL.check(operations(calls), Options(**options))


def kinds(result: Result) -> dict[str, int]:
    return {one.kind: one.count for one in result.anomalies}


def test_what_is_appended_stands_behind_what_was_put() -> None:
    rows = (("put", "a", 1, 2), ("append", "b", 3, 4), ("append", "c", 5, 6))
    assert check(*rows, ("get", "abc", 7, 8)).verdict == "held"
    found = check(*rows, ("get", "acb", 7, 8))
    assert found.verdict == "refuted"
    assert "get → acb" in found.anomalies[0].sentence


def test_appends_that_overlap_come_in_either_order_but_in_one() -> None:
    rows = (("append", "a", 1, 9), ("append", "b", 2, 8))
    assert check(*rows, ("get", "ab", 10, 11)).verdict == "held"
    assert check(*rows, ("get", "ba", 10, 11)).verdict == "held"
    found = check(*rows, ("get", "ab", 10, 11), ("get", "ba", 12, 13))
    assert (found.verdict, found.exact) == ("refuted", True)
    assert 2 <= len(found.anomalies[0].witness) <= 4


def test_nil_is_the_empty_text_and_the_beginning() -> None:
    assert check(("get", None, 1, 2), ("get", "", 3, 4), ("append", "a", 5, 6)).verdict == "held"
    assert kinds(check(("put", "a", 1, 2), ("get", "", 3, 4))) == {"nil-after-ack": 1}
    assert kinds(check(("append", "a", 1, 2), ("get", "", 3, 4))) == {"not-linearizable": 1}
    assert check(("get", "x", 1, 2), ("append", "a", 5, 6), initial="x").verdict == "held"


def test_a_key_without_appends_is_a_register_and_speaks_of_gets_and_puts() -> None:
    found = check(("put", "a", 1, 2), ("put", "b", 3, 4), ("get", "a", 5, 6))
    assert kinds(found) == {"stale-read": 1}
    assert "get → a" in found.anomalies[0].sentence
    assert "put b" in found.anomalies[0].sentence
    assert "read" not in found.anomalies[0].sentence


def test_keys_with_and_without_appends_in_one_history() -> None:
    stale = (("put", "a", 1, 2, "ok", "p"), ("put", "b", 3, 4, "ok", "p"), ("get", "a", 5, 6, "ok", "p"))
    grown = (("append", "a", 11, 12, "ok", "q"), ("get", "z", 13, 14, "ok", "q"))
    found = check(*stale, *grown)
    assert kinds(found) == {"stale-read": 1, "thin-air": 1}
    assert [one.witness for one in found.anomalies if one.kind == "thin-air"] == [(4,)]
    assert check(*stale[:2], *grown[:1]).verdict == "held"


def test_what_had_failed_rises_again() -> None:
    failed = ("append", "b", 3, 4, "fail")
    assert kinds(check(("put", "a", 1, 2), failed, ("get", "ab", 5, 6))) == {"resurrection": 1}
    late = ("append", "b", 3, 9, "fail")
    found = check(("put", "a", 1, 2), late, ("get", "ab", 5, 6))
    assert kinds(found) == {"aborted-read": 1}
    assert len(found.anomalies[0].witness) == 2


def test_appends_of_unknown_outcome_that_nobody_saw_cost_nothing() -> None:
    unknown = [("append", f"<{number}>", number, number + 1, "info") for number in range(1, 200)]
    assert check(*unknown, ("append", "a", 300, 301), ("get", "a", 302, 303)).verdict == "held"


def test_it_shows_once_even_if_nobody_knows() -> None:
    rows = (("append", "a", 1, 2, "info"), ("append", "b", 3, 4))
    assert check(*rows, ("get", "b", 5, 6), ("get", "ba", 7, 8)).verdict == "held"
    assert check(*rows, ("get", "aba", 5, 6)).verdict == "refuted"


def test_what_is_appended_is_text() -> None:
    with pytest.raises(HistoryError, match="is no text"):
        check(("append", 5, 1, 2))
    assert check(("put", 5, 1, 2), ("get", 5, 3, 4)).verdict == "held"


def test_a_spent_budget_says_where_and_what_helps() -> None:
    found = check(("put", "a", 1, 2), ("append", "b", 3, 9), ("get", "ab", 10, 11), budget=0.0)
    assert found.verdict == "inconclusive"
    assert "stamp the values" in found.reasons[0]


def test_planted_bugs_are_found() -> None:
    calls = []
    for number in range(20):
        calls.append(Call(0, "put", str(number), invoked=4 * number + 1, completed=4 * number + 2))
        calls.append(Call(1, "get", result=str(number), invoked=4 * number + 3, completed=4 * number + 4))
    found = power(MODEL, operations(calls), Options(), random.Random(1), tries=10)
    assert [(one.kind, one.struck > 0, one.share) for one in found.strikes] == [
        ("stale-read", True, 1.0),
        ("lost-write", True, 1.0),
    ]


def test_texts_that_cannot_be_taken_apart_in_one_way_only_are_searched() -> None:
    overlapping = (("append", "a", 1, 2), ("append", "ab", 3, 4), ("append", "b", 5, 6))
    assert check(*overlapping, ("get", "aabb", 7, 8)).verdict == "held"
    assert check(*overlapping, ("get", "abab", 7, 8)).verdict == "refuted"
    assert check(*overlapping, ("get", "aab", 5, 8)).verdict == "held"


def test_long_texts_that_are_only_appended_to_need_no_search() -> None:
    rows = [("append", f"x {number} y", 10 * number, 10 * number + 95) for number in range(300)]
    shown = "".join(f"x {number} y" for number in range(300))
    held = check(*rows, ("get", shown, 5000, 5001), budget=0.0)
    assert (held.verdict, held.exact) == ("held", True)
    for seconds in (0.0, 0.2):
        lost = check(*rows, ("get", shown[:-8], 5000, 5001), budget=seconds)
        assert lost.verdict == "refuted"
        assert lost.anomalies[0].left_out
