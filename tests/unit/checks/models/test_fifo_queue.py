"""FIFO queues: the four patterns, and what outcomes that nobody knows do to each."""

from __future__ import annotations

import random

import numpy as np
import pytest
from histories.simulate import Call, operations

from chaoskit.checks.models.fifo_queue import MODEL
from chaoskit.checks.result import Options, Result
from chaoskit.errors import HistoryError


def put(element: object, invoked: int, completed: int, outcome: str = "ok", key: object = None) -> Call:
    return Call(0, "enqueue", value=element, key=key, outcome=outcome, invoked=invoked, completed=completed)


def take(element: object, invoked: int, completed: int, outcome: str = "ok", key: object = None) -> Call:
    return Call(1, "dequeue", key=key, result=element, outcome=outcome, invoked=invoked, completed=completed)


def judge(*calls: Call) -> Result:
    return MODEL.check(operations(list(calls)), Options())


def kinds(*calls: Call) -> list[str]:
    return [one.kind for one in judge(*calls).anomalies]


def test_in_order_is_held() -> None:
    result = judge(put(1, 1, 2), put(2, 3, 4), take(1, 5, 6), take(2, 7, 8), take(None, 9, 10))
    assert (result.verdict, result.exposed, result.exact, result.not_refuted) == ("held", 3, True, "linearizable")


def test_out_of_order_needs_all_four_to_show() -> None:
    (one,) = judge(put(1, 1, 2), put(2, 3, 4), take(2, 5, 6), take(1, 7, 8)).anomalies
    assert (one.kind, sorted(one.witness)) == ("reordered", [0, 1, 2, 3])
    assert kinds(put(1, 1, 2), put(2, 3, 4), take(2, 5, 8), take(1, 6, 7)) == []  # concurrent dequeues
    assert kinds(put(1, 1, 4), put(2, 2, 3), take(2, 5, 6), take(1, 7, 8)) == []  # concurrent enqueues


def test_what_never_came_out_though_a_later_one_did_is_lost() -> None:
    (one,) = judge(put(1, 1, 2), put(2, 3, 4), take(2, 5, 6)).anomalies
    assert (one.kind, sorted(one.witness)) == ("lost", [0, 1, 2])
    assert "and 1 never came out" in one.sentence


def test_what_is_still_inside_is_not_lost() -> None:
    assert kinds(put(1, 1, 2), put(2, 3, 4), take(1, 5, 6)) == []


def test_fresh() -> None:
    assert kinds(take(9, 1, 2)) == ["thin-air"]
    assert kinds(put(1, 1, 2, "fail"), take(1, 3, 4)) == ["resurrection"]
    assert kinds(put(1, 1, 9, "fail"), take(1, 3, 4)) == ["aborted-read"]
    assert kinds(take(1, 1, 2), put(1, 3, 4)) == ["future-read"]


def test_twice() -> None:
    (one,) = judge(put(1, 1, 2), take(1, 3, 4), take(1, 5, 6)).anomalies
    assert (one.kind, one.count, sorted(one.witness)) == ("duplicate", 1, [0, 1, 2])


def test_empty_while_one_element_was_inside_throughout() -> None:
    (one,) = judge(put(1, 1, 2), take(None, 3, 4), take(1, 5, 6)).anomalies
    assert (one.kind, sorted(one.witness)) == ("nil-after-ack", [0, 1, 2])


def test_never_empty_though_no_element_was_inside_throughout() -> None:
    calls = [put(0, 0, 1)]
    for n in range(12):  # each goes only when the next has come
        calls += [put(n + 1, 10 * n + 10, 10 * n + 11), take(n, 10 * n + 12, 10 * n + 13)]
    result = judge(*calls, take(None, 5, 125))
    (one,) = result.anomalies
    assert (one.kind, one.large, len(one.witness)) == ("never-empty", True, 26)
    alone = MODEL.check(operations([*calls, take(None, 5, 125)]).where(sorted(one.witness)), Options())
    assert [again.kind for again in alone.anomalies] == ["never-empty"]
    gap = [call for call in calls if call.value != 5 and call.result != 5]
    assert kinds(*gap, take(None, 5, 125)) == []


def test_unknown_enqueue() -> None:
    assert kinds(put(1, 1, 0, "info"), take(None, 3, 4)) == []
    assert kinds(put(1, 1, 0, "info"), put(2, 3, 4), take(2, 5, 6), take(1, 7, 8)) == []  # it came late
    assert kinds(put(1, 1, 0, "info"), take(1, 3, 4), put(2, 5, 6), take(None, 7, 8)) == ["nil-after-ack"]
    assert kinds(put(1, 3, 0, "info"), take(1, 1, 2)) == ["future-read"]


def test_unknown_dequeue_may_have_taken_what_never_came_out() -> None:
    result = judge(put(1, 1, 2), put(2, 3, 4), take(None, 5, 0, "info"), take(2, 6, 7))
    assert (result.verdict, result.exact) == ("held", False)
    assert "1 acknowledged element that never came out" in result.notes[0]


def test_unknown_dequeue_takes_nothing_before_it_began() -> None:
    assert kinds(put(1, 1, 2), put(2, 3, 4), take(2, 5, 6), take(None, 7, 0, "info")) == ["lost"]
    assert kinds(put(1, 1, 2), take(None, 3, 4), take(None, 5, 0, "info")) == ["nil-after-ack"]
    assert judge(put(1, 1, 2), take(1, 3, 4), take(None, 5, 0, "info")).exact


def test_failed_dequeue_took_nothing() -> None:
    assert kinds(put(1, 1, 2), take(None, 3, 4, "fail"), take(1, 5, 6)) == []


def test_queues_are_apart() -> None:
    assert kinds(put(1, 1, 2, key="a"), take(None, 3, 4, key="b"), put(1, 5, 6, key="b"), take(1, 7, 8, key="b")) == []


def test_elements_enqueued_twice_leave_their_queue_open() -> None:
    result = judge(put(1, 1, 2), put(1, 3, 4), take(1, 5, 6), take(1, 7, 8))
    assert result.verdict == "inconclusive"
    assert "were enqueued more than once" in result.reasons[0]


def test_no_operations() -> None:
    assert judge().verdict == "held"
    with pytest.raises(HistoryError, match="names no element"):
        judge(put(None, 1, 2))


def test_each_alteration_is_found() -> None:
    calls = [put(n, 2 * n, 2 * n + 1) for n in range(5)] + [take(n, 20 + 2 * n, 21 + 2 * n) for n in range(5)]
    base = operations(calls)
    assert MODEL.check(base, Options()).verdict == "held"
    for alteration in MODEL.alterations:
        altered = alteration.apply(base, 7, random.Random(1))
        assert altered is not None
        assert np.count_nonzero(altered.result != base.result) <= 2
        assert MODEL.check(altered, Options()).verdict == "refuted", alteration.kind
        assert alteration.apply(base, 0, random.Random(1)) is None
