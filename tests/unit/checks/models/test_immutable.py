"""The model by itself; the invariant of experiments, which is the same code, has tests of its own."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from histories.simulate import Call, operations

from chaoskit.checks.models.immutable import MODEL
from chaoskit.checks.result import Options, Result
from chaoskit.errors import HistoryError


def write(key: object, value: object, at: int, outcome: str = "ok") -> Call:
    return Call(at, "write", value, key=key, outcome=outcome, invoked=2 * at, completed=2 * at + 1)


def read(key: object, answer: object, at: int) -> Call:
    return Call(at, "read", key=key, result=answer, invoked=2 * at, completed=2 * at + 1)


def judge(*calls: Call) -> Result:
    return MODEL.check(operations(list(calls)), Options())


def kinds(*calls: Call) -> dict[str, int]:
    return {one.kind: one.count for one in judge(*calls).anomalies}


def test_what_was_acknowledged_is_what_is_read() -> None:
    result = judge(write("a", 1, 1), read("a", 1, 2), read("b", None, 3))
    assert (result.verdict, result.exposed, result.exact) == ("held", 1, True)


def test_nil_after_the_acknowledgement_is_no_wildcard() -> None:
    assert kinds(write("a", 1, 2), read("a", None, 1)) == {}
    assert kinds(write("a", 1, 1), read("a", None, 2)) == {"nil-after-ack": 1}
    assert kinds(write(None, 1, 1, "info"), read("a", None, 2)) == {}


def test_a_changed_key_is_shown_with_where_its_values_came_from() -> None:
    (found,) = judge(write("a", 1, 1), write("b", 2, 2), read("a", 2, 3)).anomalies
    assert (found.kind, found.witness) == ("changed", (0, 1, 2))
    assert found.sentence.startswith("a: “1” was acknowledged at 0.003 s by operation 0")


def test_an_answer_from_nowhere_vouches_for_nothing() -> None:
    """The ghost is accused, and not the read that answers something else afterwards."""
    assert kinds(write(None, 1, 1, "info"), read("a", "ghost", 2), read("a", 1, 3)) == {"thin-air": 1}


def test_one_value_under_two_keys() -> None:
    assert kinds(write("a", 1, 1), write("b", 1, 2), read("a", 1, 3), read("b", 1, 4)) == {}


def test_a_history_without_times_has_ranks_only() -> None:
    given = operations([write("a", 1, 1), write("a", 2, 2)])
    bare = replace(given, began_ns=given.began_ns * 0 - 1, ended_ns=given.ended_ns * 0 - 1)
    (found,) = MODEL.check(bare, Options()).anomalies
    assert found.sentence == (
        "a was given out twice: for “1” by operation 0 (process 1) and for “2” by operation 1 (process 2)"
    )


def test_anything_else_is_refused() -> None:
    with pytest.raises(HistoryError, match="read, write"):
        judge(Call(0, "delete", key="a", invoked=1, completed=2))


def test_bugs_can_be_planted() -> None:
    given = operations([write("a", 1, 1), write("b", 2, 2), read("a", 1, 3)])
    for alteration in MODEL.alterations:
        altered = alteration.apply(given, 2, random.Random(1))
        assert altered is not None
        assert MODEL.check(altered, Options()).verdict == "refuted"
        assert alteration.apply(given, 0, random.Random(1)) is None


def test_nothing_at_all() -> None:
    assert judge().verdict == "held"
