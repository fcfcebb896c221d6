"""Queues in any order: what counts as proof of loss, what excuses it, and what Jepsen's total-queue ignores."""

from __future__ import annotations

import random
from dataclasses import replace

from histories.simulate import Call, operations

from chaoskit.checks.models.queue import MODEL
from chaoskit.checks.result import Options, Result


def put(element: object, invoked: int, completed: int, outcome: str = "ok", key: object = None) -> Call:
    return Call(0, "enqueue", value=element, key=key, outcome=outcome, invoked=invoked, completed=completed)


def take(element: object, invoked: int, completed: int, outcome: str = "ok", key: object = None) -> Call:
    return Call(1, "dequeue", key=key, result=element, outcome=outcome, invoked=invoked, completed=completed)


def drain(elements: object, invoked: int, completed: int, outcome: str = "ok", key: object = None) -> Call:
    return Call(2, "drain", key=key, result=elements, outcome=outcome, invoked=invoked, completed=completed)


def judge(*calls: Call) -> Result:
    return MODEL.check(operations(list(calls)), Options())


def kinds(*calls: Call) -> list[str]:
    return [one.kind for one in judge(*calls).anomalies]


def test_all_comes_out_in_any_order() -> None:
    result = judge(put(1, 1, 2), put(2, 3, 4), put(3, 5, 6), take(3, 7, 8), drain((2, 1), 9, 10))
    assert (result.verdict, result.exposed) == ("held", 3)
    assert result.numbers["acknowledged"] == 3


def test_what_a_drain_did_not_find_is_lost() -> None:
    (one,) = judge(put(1, 1, 2), put(2, 3, 4), drain((2,), 5, 6)).anomalies
    assert (one.kind, one.count, sorted(one.witness)) == ("lost", 1, [0, 2])


def test_without_a_drain_it_may_still_be_inside() -> None:
    result = judge(put(1, 1, 2), put(2, 3, 4), take(2, 5, 6))
    assert result.verdict == "inconclusive"
    assert "1 acknowledged element never came out, but may still be inside" in result.reasons[0]
    assert judge(put(1, 1, 2), take(None, 5, 6)).verdict == "inconclusive"
    assert kinds(put(1, 1, 2), replace(take(None, 5, 6), final=True)) == ["lost"]


def test_a_drain_that_overlaps_the_enqueue_proves_nothing() -> None:
    assert judge(put(1, 1, 5), drain((), 3, 8)).verdict == "inconclusive"


def test_unknown_dequeues_may_have_taken_as_many_as_there_are() -> None:
    result = judge(put(1, 1, 2), take(None, 3, 0, "info"), drain((), 5, 6))
    assert (result.verdict, result.notes[0][:1]) == ("held", "1")
    (one,) = judge(put(1, 1, 2), put(2, 1, 2), take(None, 3, 0, "info"), drain((), 5, 6)).anomalies
    assert (one.kind, one.count) == ("lost", 1)
    assert kinds(put(1, 1, 2), put(2, 1, 2), drain(None, 3, 0, "info"), drain((), 5, 6)) == []
    assert kinds(put(1, 1, 2), take(None, 3, 4, "fail"), drain((), 5, 6)) == ["lost"]


def test_duplicates_decide() -> None:
    (one,) = judge(put(1, 1, 2), take(1, 3, 4), drain((1,), 5, 6)).anomalies
    assert (one.kind, sorted(one.witness)) == ("duplicate", [0, 1, 2])
    assert kinds(put(1, 1, 2), drain((1, 1), 5, 6)) == ["duplicate"]


def test_unexpected() -> None:
    assert kinds(take(9, 1, 2), drain((), 3, 4)) == ["thin-air"]
    assert kinds(drain((8, 9, 9), 3, 4)) == ["thin-air", "duplicate"]
    assert kinds(put(1, 1, 2, "fail"), take(1, 3, 4)) == ["resurrection"]
    assert kinds(put(1, 1, 6, "fail"), take(1, 3, 4)) == ["aborted-read"]
    assert kinds(take(1, 1, 2), put(1, 3, 4)) == ["future-read"]


def test_recovered_is_counted() -> None:
    result = judge(put(1, 1, 0, "info"), put(2, 1, 0, "info"), drain((1,), 3, 4))
    assert (result.verdict, result.numbers["recovered"], result.numbers["attempted"]) == ("held", 1, 2)


def test_elements_enqueued_twice_leave_their_queue_open() -> None:
    result = judge(put(1, 1, 2), put(1, 3, 4), drain((1, 1), 5, 6))
    assert result.verdict == "inconclusive"
    assert kinds(put(1, 1, 2), put(1, 3, 4), put(5, 1, 2, key="b"), drain((), 5, 6, key="b")) == ["lost"]


def test_one_is_not_true() -> None:
    assert kinds(put(1, 1, 2), take(1, 3, 4), take(True, 5, 6)) == ["thin-air"]
    assert kinds(put(1, 1, 2), put(True, 1, 2), drain((1, True), 5, 6)) == []


def test_nothing_at_all_is_held() -> None:
    assert judge().verdict == "held"


def test_alterations_are_found() -> None:
    base = operations([put(1, 1, 2), put(2, 3, 4), take(1, 5, 6), take(2, 7, 8), drain((), 9, 10)])
    for alteration in MODEL.alterations:
        altered = alteration.apply(base, 3, random.Random(2))
        assert altered is not None
        assert MODEL.check(altered, Options()).verdict == "refuted", alteration.kind
