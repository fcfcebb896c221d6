"""Banks: totals, signs, accounts, and balances at the end that the transfers do not explain."""

from __future__ import annotations

import random
from typing import Any

import pytest
from histories.simulate import Call, operations

from chaoskit.checks.models.bank import MODEL
from chaoskit.checks.result import Options, Result
from chaoskit.errors import HistoryError


def move(source: str, target: str, amount: object, invoked: int, completed: int, outcome: str = "ok") -> Call:
    value = {"from": source, "to": target, "amount": amount}
    return Call(invoked, "transfer", value, outcome=outcome, invoked=invoked, completed=completed)


def read(answer: object, invoked: int, completed: int, final: bool = False) -> Call:
    return Call(invoked, "read", result=answer, invoked=invoked, completed=completed, final=final)


def judge(*calls: Call, **options: Any) -> Result:
    return MODEL.check(operations(list(calls)), Options(**options))


def kinds(*calls: Call, **options: Any) -> list[str]:
    return [one.kind for one in judge(*calls, **options).anomalies]


def test_snapshots_that_add_up() -> None:
    result = judge(read({"a": 5, "b": 5}, 1, 2), move("a", "b", 3, 3, 4), read({"a": 2, "b": 8}, 5, 6))
    assert (result.verdict, result.exposed, result.exact) == ("held", 1, False)
    assert "necessary" in result.notes[0]


def test_half_a_transfer_is_another_total() -> None:
    (found,) = judge(read({"a": 5, "b": 5}, 1, 2), read({"a": 2, "b": 5}, 5, 6)).anomalies
    assert (found.kind, found.witness) == ("wrong-total", (0, 1))
    assert "add up to 7 instead of 10" in found.sentence


def test_with_the_total_given_one_snapshot_is_enough() -> None:
    (found,) = judge(read({"a": 5, "b": 4}, 1, 2), total=10).anomalies
    assert (found.kind, found.witness) == ("wrong-total", (0,))


def test_below_zero_unless_accounts_may_be_overdrawn() -> None:
    assert kinds(read({"a": -1, "b": 11}, 1, 2)) == ["negative-balance"]
    assert kinds(read({"a": -1, "b": 11}, 1, 2), allow_negative=True) == []


@pytest.mark.parametrize("answer", [None, {"a": None, "b": 10}])
def test_no_balance_is_no_answer(answer: object) -> None:
    assert kinds(read({"a": 0, "b": 10}, 1, 2), read(answer, 3, 4)) == ["nil-balance"]


def test_money_on_an_account_from_nowhere() -> None:
    first = read({"a": 5, "b": 5}, 1, 2)
    assert kinds(first, read({"a": 4, "b": 5, "z": 1}, 3, 4)) == ["thin-air"]
    assert kinds(first, move("a", "z", 1, 3, 4), read({"a": 4, "b": 5, "z": 1}, 5, 6)) == []


def test_accounts_that_are_numbers_here_and_texts_there() -> None:
    start, lost = read({"0": 5}, 1, 2), Call(3, "transfer", {"from": 0, "to": 1, "amount": 1}, invoked=3, completed=4)
    assert judge(start, lost, read({"0": 4, "1": 1}, 5, 6, final=True)).verdict == "held"
    assert judge(start, lost, read({"0": 5}, 5, 6, final=True)).verdict == "inconclusive"


def test_an_account_that_is_left_out_is_empty() -> None:
    assert kinds(read({"a": 5, "b": 0}, 1, 2), read({"a": 5}, 3, 4)) == []
    assert kinds(read({"a": 5}, 1, 2), read({"a": 5, "b": 0}, 3, 4)) == []


def test_a_transfer_lost_without_a_trace_in_the_total() -> None:
    start, lost = read({"a": 5, "b": 5}, 1, 2), move("a", "b", 3, 3, 4)
    assert judge(start, lost, read({"a": 2, "b": 8}, 5, 6, final=True)).verdict == "held"
    result = judge(start, lost, read({"a": 5, "b": 5}, 5, 6, final=True))
    assert result.verdict == "inconclusive"
    assert "makes it 2" in result.reasons[0]
    unknown = move("a", "b", 3, 3, 0, "info")
    assert judge(start, unknown, read({"a": 5, "b": 5}, 5, 6, final=True)).verdict == "held"
    assert judge(start, unknown, read({"a": 1, "b": 9}, 5, 6, final=True)).verdict == "inconclusive"


def test_a_snapshot_that_is_late_is_no_loss() -> None:
    start, done = read({"a": 5, "b": 5}, 1, 2), move("a", "b", 3, 3, 6)
    assert judge(start, done, read({"a": 5, "b": 5}, 5, 7, final=True)).verdict == "held"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (move("a", "b", 1.5, 1, 2), "whole number"),
        (Call(0, "transfer", ("a", "b", 1), invoked=1, completed=2), "is no transfer"),
        (Call(0, "transfer", {"from": "a"}, invoked=1, completed=2), "is no transfer"),
        (read((1, 2), 1, 2), "answers no balances"),
        (read({"a": "much"}, 1, 2), "whole number"),
        (Call(0, "add", 1, invoked=1, completed=2), "read, transfer"),
    ],
)
def test_what_is_no_bank_is_refused(call: Call, said: str) -> None:
    with pytest.raises(HistoryError, match=said):
        judge(call)


def test_bugs_can_be_planted() -> None:
    given = operations([read({"a": 5, "b": 5}, 1, 2), move("a", "b", 3, 3, 4), read({"a": 2, "b": 8}, 5, 6)])
    for alteration in MODEL.alterations:
        altered = alteration.apply(given, 2, random.Random(1))
        assert altered is not None
        assert MODEL.check(altered, Options()).verdict == "refuted"
        assert alteration.apply(given, 1, random.Random(1)) is None


def test_nothing_at_all() -> None:
    assert judge().verdict == "held"
