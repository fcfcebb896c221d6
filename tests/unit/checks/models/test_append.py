"""Lists: every trap of lengths, orders and outcomes, by name."""

from __future__ import annotations

import random

import numpy as np
import pytest
from histories.simulate import Call, operations

from chaoskit.checks.models.append import MODEL
from chaoskit.checks.result import Options, Result
from chaoskit.errors import HistoryError


def append(element: object, invoked: int, completed: int, outcome: str = "ok", key: object = None) -> Call:
    return Call(0, "append", value=element, key=key, outcome=outcome, invoked=invoked, completed=completed)


def read(result: object, invoked: int, completed: int, outcome: str = "ok", key: object = None) -> Call:
    return Call(1, "read", key=key, result=result, outcome=outcome, invoked=invoked, completed=completed)


def judge(*calls: Call) -> Result:
    return MODEL.check(operations(list(calls)), Options())


def kinds(*calls: Call) -> list[str]:
    return [one.kind for one in judge(*calls).anomalies]


def test_a_list_that_grows_is_held() -> None:
    result = judge(append(1, 1, 2), read((1,), 3, 4), append(2, 5, 8), read((1, 2), 6, 7), read((1, 2), 9, 10))
    assert (result.verdict, result.exposed, result.not_refuted) == ("held", 3, "linearizable")


def test_lengths_alone_pass_what_is_not_linearizable() -> None:
    """0 was acknowledged before 1 began, and yet 1 stands first; the read of length 2 lies where both lengths fit."""
    result = judge(append(0, 1, 2), append(1, 4, 5), read((1, 0), 0, 3))
    assert result.verdict == "refuted"
    assert {one.kind for one in result.anomalies} == {"reordered", "future-read"}


def test_order_of_appends_against_real_time() -> None:
    result = judge(append(0, 1, 2), append(1, 4, 5), read((1, 0), 6, 7))
    (one,) = result.anomalies
    assert (one.kind, sorted(one.witness), one.level) == ("reordered", [0, 1, 2], "linearizable")
    assert "shows 1 ahead of 0" in one.sentence


def test_concurrent_appends_stand_in_any_order() -> None:
    assert kinds(append(0, 1, 4), append(1, 2, 5), read((1, 0), 6, 7)) == []


def test_thin_air_is_one_operation() -> None:
    (one,) = judge(append(1, 1, 2), read((1, 9), 3, 4)).anomalies
    assert (one.kind, one.witness, one.count) == ("thin-air", (1,), 1)
    assert "answers 9, which nobody ever appended" in one.sentence


def test_true_is_not_one() -> None:
    assert kinds(append(1, 1, 2), read((True,), 3, 4)) == ["lost", "thin-air"]
    assert kinds(append(1, 1, 2), append(True, 1, 2), read((1, True), 3, 4), read((1, True), 5, 6)) == []


def test_failed_append_that_shows() -> None:
    assert kinds(append(1, 1, 2, "fail"), read((1,), 3, 4)) == ["resurrection"]
    assert kinds(append(1, 1, 5, "fail"), read((1,), 3, 4)) == ["aborted-read"]
    assert kinds(append(1, 1, 2, "fail"), append(1, 3, 4), read((1,), 5, 6)) == []


def test_unknown_append_may_show_at_any_later_time_or_never() -> None:
    assert kinds(append(1, 1, 0, "info"), read((), 3, 4), read((1,), 5, 6)) == []
    assert kinds(append(1, 1, 0, "info"), read((), 3, 4)) == []
    assert kinds(read((1,), 1, 2), append(1, 3, 0, "info")) == ["future-read"]
    assert kinds(append(1, 1, 0, "info"), read((1,), 3, 4), read(None, 5, 6)) == ["new-old-inversion"]


def test_an_unanswered_read_says_nothing() -> None:
    assert kinds(append(1, 1, 2), read(None, 3, 4, "fail"), read(None, 5, 0, "info")) == []


def test_duplicate_element() -> None:
    (one,) = judge(append(1, 1, 2), append(2, 1, 2), read((1, 2, 1), 3, 4)).anomalies
    assert (one.kind, one.witness) == ("duplicate", (2,))
    assert "shows 1 more than once" in one.sentence


def test_lists_of_which_neither_is_the_beginning() -> None:
    result = judge(append(1, 0, 9), append(2, 0, 9), append(3, 0, 9), read((1, 2, 3), 1, 8), read((2, 1), 2, 7))
    (one,) = result.anomalies
    assert (one.kind, sorted(one.witness), result.refuted) == ("incompatible-order", [3, 4], "sequential")


def test_lost_is_what_no_read_ever_shows() -> None:
    (one,) = judge(append(1, 1, 2), append(2, 3, 4), read((2,), 5, 6), read((2,), 7, 8)).anomalies
    assert (one.kind, one.count, one.witness) == ("lost", 1, (0, 3))
    assert "no read ever shows 1" in one.sentence


def test_lost_is_told_by_a_read_that_began_before_but_shows_what_came_after() -> None:
    (one,) = judge(read((2,), 0, 9), append(1, 1, 2), append(2, 3, 4)).anomalies
    assert (one.kind, sorted(one.witness)) == ("lost", [0, 1, 2])


def test_lost_needs_a_read_that_should_have_shown_it() -> None:
    assert kinds(read((), 0, 9), append(1, 1, 2)) == []


def test_nothing_after_an_acknowledgement() -> None:
    result = judge(append(1, 1, 2), read(None, 3, 4), read((1,), 5, 6))
    (one,) = result.anomalies
    assert (one.kind, sorted(one.witness)) == ("nil-after-ack", [0, 1])


def test_stale_read_names_the_read_that_shows_more() -> None:
    (one,) = judge(append(1, 1, 2), append(2, 3, 4), read((1,), 5, 6), read((1, 2), 7, 8)).anomalies
    assert (one.kind, sorted(one.witness)) == ("stale-read", [1, 2, 3])


def test_list_that_shrinks_before_anything_was_acknowledged() -> None:
    """A rule that looks for acknowledged appends only would pass it."""
    (one,) = judge(append(1, 1, 20), read((1,), 2, 3), read((), 4, 5)).anomalies
    assert (one.kind, sorted(one.witness)) == ("new-old-inversion", [1, 2])
    assert "the list shrank" in one.sentence


def test_what_touches_is_concurrent() -> None:
    both = operations([append(1, 1, 4), read((), 5, 6)])
    assert MODEL.check(both, Options()).verdict == "refuted"
    touching = both.altered(invoked=np.array([0, 1]), completed=np.array([2, 3]))
    assert MODEL.check(touching, Options()).verdict == "held"


def test_keys_are_judged_apart_and_counted_together() -> None:
    calls = [append(1, 1, 2, key=key) for key in "abc"] + [read((), 3, 4, key=key) for key in "ac"]
    calls += [read((1,), 5, 6, key=key) for key in "abc"]
    (one,) = judge(*calls).anomalies
    assert (one.kind, one.count, len(one.accused)) == ("nil-after-ack", 2, 2)


def test_elements_that_were_appended_twice_leave_their_key_open() -> None:
    calls = [append(1, 1, 2, key="a"), append(1, 3, 4, key="a"), append(1, 1, 2, key="b"), read((9,), 5, 6, key="a")]
    result = judge(*calls)
    assert result.verdict == "inconclusive"
    assert "elements of key a were appended more than once" in result.reasons[0]
    assert judge(*calls, read((), 3, 4, key="b")).verdict == "refuted"
    (reason,) = judge(append(1, 1, 2), append(1, 3, 4)).reasons
    assert reason.startswith("elements were appended more than once")


def test_a_history_of_nothing_is_held() -> None:
    assert judge().verdict == "held"
    assert judge(append(1, 1, 0, "info"), append(2, 1, 0, "info")).verdict == "held"
    assert judge(read((1,), 1, 2)).verdict == "refuted"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (Call(0, "write", value=1, invoked=1, completed=2), "nothing that the model append knows"),
        (append(None, 1, 2), "names no element"),
        (read(5, 1, 2), "does not answer a list"),
        (read(frozenset({1}), 1, 2), "does not answer a list"),
    ],
)
def test_what_is_no_history_of_lists_is_refused(call: Call, words: str) -> None:
    with pytest.raises(HistoryError, match=words):
        judge(call)


def test_each_alteration_strikes_one_answer_and_is_found() -> None:
    calls = [append(n, 2 * n, 2 * n + 1) for n in range(6)] + [read(tuple(range(6)), 20, 21), read((0, 1, 2), 5, 10)]
    base = operations(calls)
    position = int(np.flatnonzero(base.f == base.functions.index("read"))[-1])
    assert MODEL.check(base, Options()).verdict == "held"
    for alteration in MODEL.alterations:
        altered = alteration.apply(base, position, random.Random(1))
        assert altered is not None
        assert np.count_nonzero(altered.result != base.result) == 1
        assert MODEL.check(altered, Options()).verdict == "refuted", alteration.kind
        assert alteration.apply(base, 0, random.Random(1)) is None
