"""Identifiers: given out once."""

from __future__ import annotations

import random

import pytest
from histories.simulate import Call, operations

from chaoskit.checks.models.unique_ids import MODEL
from chaoskit.checks.result import Options, Result
from chaoskit.errors import HistoryError


def generate(answer: object, at: int, outcome: str = "ok", key: object = None) -> Call:
    return Call(at, "generate", key=key, result=answer, outcome=outcome, invoked=2 * at, completed=2 * at + 1)


def judge(*calls: Call) -> Result:
    return MODEL.check(operations(list(calls)), Options())


def test_all_different() -> None:
    assert judge(generate(1, 1), generate(2, 2)).verdict == "held"


def test_each_repetition_counts() -> None:
    (found,) = judge(generate(1, 1), generate(1, 2), generate(2, 3), generate(1, 4)).anomalies
    assert (found.kind, found.count, found.witness, found.accused.tolist()) == ("duplicate", 2, (0, 1), [1, 3])


def test_one_one_and_true_are_three_answers() -> None:
    assert judge(generate(1, 1), generate(1.0, 2), generate(True, 3), generate("1", 4)).verdict == "held"


def test_under_different_keys_they_may_be_equal() -> None:
    assert judge(generate(1, 1, key="a"), generate(1, 2, key="b")).verdict == "held"


def test_what_nobody_saw_is_not_compared() -> None:
    assert judge(generate(1, 1, "info"), generate(1, 2), generate(1, 3, "fail")).verdict == "held"


def test_an_acknowledged_request_without_an_identifier() -> None:
    assert [one.kind for one in judge(generate(None, 1)).anomalies] == ["nil-after-ack"]


def test_anything_else_is_refused() -> None:
    with pytest.raises(HistoryError, match="generate"):
        judge(Call(0, "read", result=1, invoked=1, completed=2))


def test_a_bug_can_be_planted() -> None:
    given = operations([generate(1, 1), generate(2, 2)])
    altered = MODEL.alterations[0].apply(given, 1, random.Random(1))
    assert altered is not None
    assert MODEL.check(altered, Options()).verdict == "refuted"
    assert MODEL.alterations[0].apply(given, 0, random.Random(1)) is None
