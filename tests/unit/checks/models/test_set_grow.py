"""Grow-only sets: flicker, incomparable reads, and what is common with lists, by name."""

from __future__ import annotations

import random

import numpy as np
import pytest
from histories.simulate import Call, operations

from chaoskit.checks.models.set_grow import MODEL
from chaoskit.checks.result import Options, Result
from chaoskit.errors import HistoryError


def add(element: object, invoked: int, completed: int, outcome: str = "ok", key: object = None) -> Call:
    return Call(0, "add", value=element, key=key, outcome=outcome, invoked=invoked, completed=completed)


def read(result: object, invoked: int, completed: int, outcome: str = "ok", key: object = None) -> Call:
    answer = frozenset(result) if isinstance(result, set) else result
    return Call(1, "read", key=key, result=answer, outcome=outcome, invoked=invoked, completed=completed)


def judge(*calls: Call) -> Result:
    return MODEL.check(operations(list(calls)), Options())


def kinds(*calls: Call) -> list[str]:
    return [one.kind for one in judge(*calls).anomalies]


def test_a_set_that_grows_is_held_as_set_or_list() -> None:
    result = judge(add(1, 1, 2), read({1}, 3, 4), add(2, 5, 8), read((2, 1), 6, 7), read({1, 2}, 9, 10))
    assert (result.verdict, result.exposed) == ("held", 3)


def test_a_flickering_set_passes_the_rule_per_element_but_not_this() -> None:
    """Both additions are still open, so each element may or may not be there; but it cannot go again."""
    (one,) = judge(add(1, 0, 20), read({1}, 1, 2), read(set(), 3, 4), read({1}, 5, 6)).anomalies
    assert (one.kind, sorted(one.witness)) == ("new-old-inversion", [1, 2])


def test_reads_of_which_neither_holds_the_other() -> None:
    """Concurrent, so every element by itself is in order."""
    (one,) = judge(add(1, 0, 20), add(2, 0, 20), read({1}, 1, 9), read({2}, 2, 8)).anomalies
    assert (one.kind, sorted(one.witness), one.level) == ("incomparable-reads", [2, 3], "sequential")


def test_an_element_that_shows_without_one_acknowledged_before_it() -> None:
    (one,) = judge(read({2}, 0, 9), add(1, 1, 2), add(2, 3, 4), read({1, 2}, 0, 10)).anomalies
    assert (one.kind, len(one.witness)) == ("reordered", 4)


def test_failed_addition_that_shows_up() -> None:
    """Jepsen's `set` passes it."""
    assert kinds(add(1, 1, 2, "fail"), read({1}, 3, 4)) == ["resurrection"]
    assert kinds(add(1, 1, 2, "fail"), add(1, 1, 0, "info"), read({1}, 3, 4)) == []


def test_adding_again_changes_nothing() -> None:
    assert kinds(add(1, 1, 2), add(1, 5, 6), read({1}, 3, 4), read({1}, 7, 8)) == []
    assert kinds(read(set(), 3, 4), add(1, 1, 10), add(1, 5, 6), read({1}, 7, 8)) == []
    assert kinds(add(1, 5, 6), read({1}, 3, 4), add(1, 1, 0, "info")) == []
    assert kinds(add(1, 1, 2), add(1, 5, 6), read(set(), 3, 4), read({1}, 7, 8)) == ["nil-after-ack"]


def test_a_list_that_says_an_element_twice_is_no_set() -> None:
    (one,) = judge(add(1, 1, 2), read((1, 1), 3, 4)).anomalies
    assert (one.kind, one.witness) == ("duplicate", (1,))


def test_thin_air_future_lost_and_stale() -> None:
    assert kinds(read({1}, 3, 4)) == ["thin-air"]
    assert kinds(read({1}, 1, 2), add(1, 3, 4)) == ["future-read"]
    assert kinds(add(1, 1, 2), add(2, 3, 4), read({2}, 5, 6)) == ["lost"]
    assert kinds(add(1, 1, 2), add(2, 3, 4), read({2}, 5, 6), read({1, 2}, 7, 8)) == ["reordered", "stale-read"]


def test_unanswered_reads_and_unseen_unknown_additions_say_nothing() -> None:
    assert kinds(add(1, 1, 0, "info"), read(set(), 3, 4), read(None, 5, 0, "info"), read(None, 5, 6, "fail")) == []


def test_what_is_no_history_of_sets_is_refused() -> None:
    with pytest.raises(HistoryError, match="does not answer a set"):
        judge(read(5, 1, 2))
    with pytest.raises(HistoryError, match="names no element"):
        judge(add(None, 1, 2))


def test_each_alteration_is_found() -> None:
    calls = [add(n, 2 * n, 2 * n + 1) for n in range(6)] + [read(set(range(3)), 7, 10), read(set(range(6)), 20, 21)]
    base = operations(calls)
    position = len(base) - 1
    assert MODEL.check(base, Options()).verdict == "held"
    for alteration in MODEL.alterations:
        altered = alteration.apply(base, position, random.Random(1))
        assert altered is not None
        assert np.count_nonzero(altered.result != base.result) == 1
        assert MODEL.check(altered, Options()).verdict == "refuted", alteration.kind
        assert alteration.apply(base, 0, random.Random(1)) is None
