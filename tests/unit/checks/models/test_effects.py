"""Requests with idempotency keys: here, and only here, attempts belong together."""

from __future__ import annotations

import random

import pytest
from histories.simulate import Call, operations

from chaoskit.checks.models.effects import MODEL
from chaoskit.checks.result import Options, Result
from chaoskit.errors import HistoryError


def attempt(key: object, invoked: int, completed: int, outcome: str = "ok") -> Call:
    return Call(invoked, "execute", key=key, outcome=outcome, invoked=invoked, completed=completed)


def read(key: object, answer: object, invoked: int, completed: int) -> Call:
    return Call(invoked, "read", key=key, result=answer, invoked=invoked, completed=completed)


def books(answer: object, invoked: int, completed: int) -> Call:
    return Call(invoked, "effects", result=answer, invoked=invoked, completed=completed)


def judge(*calls: Call) -> Result:
    return MODEL.check(operations(list(calls)), Options())


def kinds(*calls: Call) -> list[str]:
    return [one.kind for one in judge(*calls).anomalies]


def test_ok_is_once_fail_is_never_and_unknown_is_either() -> None:
    assert judge(attempt("k", 1, 2), read("k", 1, 3, 4)).verdict == "held"
    assert judge(attempt("k", 1, 2, "fail"), read("k", 0, 3, 4)).verdict == "held"
    for count in (0, 1):
        assert judge(attempt("k", 1, 0, "info"), read("k", count, 3, 4)).verdict == "held"


def test_retries_are_one_request() -> None:
    """The first attempt failed to answer, the second was acknowledged: one effect is right, two are not."""
    calls = [attempt("k", 1, 0, "info"), attempt("k", 5, 6)]
    assert judge(*calls, read("k", 1, 7, 8)).verdict == "held"
    result = judge(*calls, read("k", 2, 7, 8))
    assert [one.kind for one in result.anomalies] == ["duplicate"]
    assert result.anomalies[0].witness == (0, 1, 2)
    assert result.numbers["requests"] == 1


def test_one_failed_attempt_does_not_make_the_request_fail() -> None:
    assert judge(attempt("k", 1, 2, "fail"), attempt("k", 3, 0, "info"), read("k", 1, 5, 6)).verdict == "held"
    assert kinds(attempt("k", 1, 2, "fail"), read("k", 1, 5, 6)) == ["aborted-read"]


def test_an_effect_that_nobody_asked_for() -> None:
    assert kinds(read("k", 1, 1, 2)) == ["thin-air"]
    assert kinds(attempt("k", 1, 2), books({"k": 1, "z": 1}, 3, 4)) == ["thin-air"]


def test_an_effect_before_its_cause() -> None:
    assert kinds(read("k", 1, 1, 2), attempt("k", 3, 4)) == ["future-read"]


def test_an_acknowledged_request_without_effect() -> None:
    assert kinds(attempt("k", 1, 2), read("k", 0, 3, 4)) == ["lost-effect"]
    assert kinds(attempt("k", 1, 2), read("k", None, 3, 4)) == ["nil-after-ack"]
    assert kinds(attempt("k", 1, 5), read("k", 0, 3, 4)) == []


def test_an_effect_that_was_there_and_is_gone() -> None:
    result = judge(attempt("k", 1, 0, "info"), read("k", 1, 2, 3), read("k", 0, 4, 5))
    assert [one.kind for one in result.anomalies] == ["vanished-effect"]
    assert result.anomalies[0].witness == (0, 1, 2)


@pytest.mark.parametrize("answer", [{"k": 1, "l": 1}, ["k", "l"]])
def test_all_the_books_at_once(answer: object) -> None:
    calls = [attempt("k", 1, 2), attempt("l", 1, 0, "info"), attempt("m", 1, 0, "info")]
    assert judge(*calls, books(answer, 3, 4)).verdict == "held"
    assert judge(*calls, books(answer, 3, 4)).exposed == 3


@pytest.mark.parametrize("answer", [{"l": 1}, ["l"]])
def test_what_is_not_in_the_books_did_not_happen(answer: object) -> None:
    assert kinds(attempt("k", 1, 2), attempt("l", 1, 2), books(answer, 3, 4)) == ["lost-effect"]


def test_books_as_a_list_with_an_entry_twice() -> None:
    assert kinds(attempt("k", 1, 2), books(["k", "k"], 3, 4)) == ["duplicate"]


def test_keys_of_a_map_in_json_are_texts() -> None:
    assert judge(attempt(7, 1, 2), books({"7": 1}, 3, 4)).verdict == "held"


def test_the_key_may_be_the_value() -> None:
    asked = Call(0, "transfer", "k", invoked=1, completed=2)
    assert [one.kind for one in judge(asked, read("k", 0, 3, 4)).anomalies] == ["lost-effect"]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (Call(0, "execute", invoked=1, completed=2), "no idempotency key"),
        (read("k", "many", 1, 2), "no number of effects"),
        (read("k", -1, 1, 2), "no number of effects"),
        (books(5, 1, 2), "neither"),
        (books({"k": "x"}, 1, 2), "no number of effects for k"),
        (Call(0, "write", 1, invoked=1, completed=2), "execute"),
    ],
)
def test_what_has_another_form_is_refused(call: Call, said: str) -> None:
    with pytest.raises(HistoryError, match=said):
        judge(call)


def test_a_number_and_a_text_that_read_alike_are_refused() -> None:
    with pytest.raises(HistoryError, match="reads like another"):
        judge(attempt(7, 1, 2), attempt("7", 3, 4))


@pytest.mark.parametrize("answer", [1, {"k": 1}, ["k"]])
def test_bugs_can_be_planted(answer: object) -> None:
    asked = read("k", answer, 3, 4) if answer == 1 else books(answer, 3, 4)
    given = operations([attempt("k", 1, 2), asked])
    for alteration in MODEL.alterations:
        altered = alteration.apply(given, 1, random.Random(1))
        assert altered is not None
        assert MODEL.check(altered, Options()).verdict == "refuted"
        assert alteration.apply(given, 0, random.Random(1)) is None


def test_nothing_at_all() -> None:
    assert judge().verdict == "held"
