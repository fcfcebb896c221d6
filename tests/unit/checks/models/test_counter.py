"""Counters: what bounds on single reads miss, and what a count is wrong against."""

from __future__ import annotations

import random

import pytest
from histories.simulate import Call, operations

from chaoskit.checks.models.counter import MODEL
from chaoskit.checks.result import Options, Result
from chaoskit.errors import HistoryError


def add(amount: object, invoked: int, completed: int, outcome: str = "ok", key: object = None) -> Call:
    return Call(invoked, "add", amount, key=key, outcome=outcome, invoked=invoked, completed=completed)


def read(answer: object, invoked: int, completed: int, outcome: str = "ok", key: object = None) -> Call:
    return Call(invoked, "read", key=key, result=answer, outcome=outcome, invoked=invoked, completed=completed)


def judge(*calls: Call, initial: object = None) -> Result:
    return MODEL.check(operations(list(calls)), Options(initial=initial))


def kinds(*calls: Call) -> list[str]:
    return [one.kind for one in judge(*calls).anomalies]


def test_a_count_that_adds_up() -> None:
    result = judge(add(1, 1, 2), read(1, 3, 4), add(1, 5, 6), read(2, 7, 8))
    assert (result.verdict, result.exact, result.exposed) == ("held", True, 2)


def test_bounds_of_single_reads_are_not_enough() -> None:
    """Each read alone is between what was acknowledged and what was begun; together they have lost an add."""
    calls = [add(1, 1, 100), read(1, 3, 4), add(1, 5, 6), read(1, 7, 8)]
    result = judge(*calls)
    assert [one.kind for one in result.anomalies] == ["lost-add"]
    assert result.anomalies[0].witness == (1, 2, 3)


def test_reads_that_overlap_bound_each_other_too() -> None:
    """3 was answered before the read of 1 ended; an add after both must be counted on top of the 3, not of the 1."""
    unknown = [add(1, 2, 0, "info"), add(1, 7, 0, "info"), add(1, 12, 0, "info")]
    calls = [add(1, 0, 2), *unknown, read(3, 3, 5), add(1, 5, 17), read(1, 5, 7), add(1, 7, 8)]
    assert judge(*calls, read(4, 9, 12)).verdict == "held"
    assert kinds(*calls, read(3, 9, 12)) == ["lost-add"]


def test_an_add_of_unknown_outcome_may_count_whenever_it_likes() -> None:
    unknown = add(1, 1, 0, "info")
    assert judge(unknown, read(0, 3, 4), read(1, 5, 6)).verdict == "held"
    assert judge(unknown, read(0, 3, 4), read(0, 5, 6)).verdict == "held"
    assert kinds(unknown, read(1, 3, 4), read(0, 5, 6)) == ["non-monotonic"]


def test_a_failed_add_does_not_count() -> None:
    assert kinds(add(1, 1, 2, "fail"), read(1, 3, 4)) == ["thin-air"]


def test_an_add_that_touches_the_read_may_be_in_it() -> None:
    assert judge(read(1, 1, 5), add(1, 5, 6)).verdict == "held"
    assert kinds(read(1, 1, 4), add(1, 5, 6)) == ["thin-air"]


def test_an_odd_answer_where_all_amounts_are_even() -> None:
    result = judge(add(2, 1, 9), add(2, 1, 9), read(1, 2, 3))
    assert [one.kind for one in result.anomalies] == ["thin-air"]
    assert "multiple of 2" in result.anomalies[0].sentence


def test_nil_is_the_count_at_the_beginning_and_not_a_wildcard() -> None:
    assert judge(read(None, 1, 2), add(1, 3, 4)).verdict == "held"
    assert kinds(add(1, 1, 2), read(None, 3, 4)) == ["nil-after-ack"]


def test_the_initial_count() -> None:
    assert judge(read(10, 1, 2), initial=10).verdict == "held"
    assert judge(read(9, 1, 2), initial=10).anomalies[0].kind == "thin-air"


def test_different_amounts_are_necessary_conditions_and_say_so() -> None:
    """3 of {1, 5} is within the bounds and no sum: subset sums are not searched."""
    result = judge(add(1, 1, 9), add(5, 1, 9), read(3, 2, 3))
    assert (result.verdict, result.exact) == ("held", False)
    assert "which of them add up" in result.notes[0]


def test_decrements_are_judged_by_bounds_and_say_so() -> None:
    result = judge(add(5, 1, 2), add(-3, 3, 0, "info"), read(2, 4, 5), read(5, 6, 7))
    assert (result.verdict, result.exact) == ("held", False)
    assert kinds(add(5, 1, 2), add(-3, 3, 4), read(5, 5, 6)) == ["thin-air"]
    assert kinds(add(-3, 1, 2), read(0, 5, 6)) == ["lost-add"]


def test_counters_are_apart() -> None:
    assert judge(add(1, 1, 2, key="a"), read(0, 3, 4, key="b")).verdict == "held"
    assert kinds(add(1, 1, 2, key="a"), read(0, 3, 4, key="a")) == ["lost-add"]


def test_a_loss_among_many_is_shown_between_two_reads() -> None:
    calls = [add(1, 10 * n, 10 * n + 1) for n in range(50)]
    calls += [read(n + 1 - (n >= 30), 10 * n + 2, 10 * n + 3) for n in range(50)]
    (found,) = judge(*calls).anomalies
    assert len(found.witness) == 3
    assert found.count >= 1


def test_a_count_is_wrong_against_everything_that_was_counted() -> None:
    calls = [add(1, 2 * n, 2 * n + 1) for n in range(50)]
    (found,) = judge(*calls, read(49, 200, 201)).anomalies
    assert (len(found.witness), found.left_out) == (10, 41)
    assert "50 adds of 50 in all" in found.sentence


def test_numbers_written_as_text_are_numbers() -> None:
    assert judge(add("1", 1, 2), read("1", 3, 4)).verdict == "held"


def test_huge_numbers() -> None:
    assert kinds(add(1, 1, 2), read(10**40, 3, 4)) == ["thin-air"]
    assert kinds(add(1, 1, 2), read(-(10**40), 3, 4)) == ["thin-air"]
    with pytest.raises(HistoryError, match="60 bits"):
        judge(add(10**40, 1, 2))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (add("x", 1, 2), "no whole number"),
        (add(True, 1, 2), "no whole number"),
        (add(None, 1, 2), "adds nothing"),
        (read(1.5, 1, 2), "no whole number"),
        (Call(0, "write", 1, invoked=1, completed=2), "add, read"),
    ],
)
def test_what_is_no_counter_is_refused(call: Call, said: str) -> None:
    with pytest.raises(HistoryError, match=said):
        judge(call)


def test_bugs_can_be_planted() -> None:
    given = operations([add(1, 1, 2), read(1, 3, 4), add(1, 5, 6), read(2, 7, 8)])
    for alteration in MODEL.alterations:
        altered = alteration.apply(given, 3, random.Random(1))
        assert altered is not None
        assert MODEL.check(altered, Options()).verdict == "refuted"
        assert alteration.apply(given, 0, random.Random(1)) is None


def test_nothing_at_all() -> None:
    assert judge().verdict == "held"
