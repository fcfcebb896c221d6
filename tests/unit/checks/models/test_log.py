"""Logs: both forms of operations, every rule by name, and what is no anomaly."""

from __future__ import annotations

import random

import pytest
from histories.simulate import Call, operations

from chaoskit.checks.models.log import MODEL
from chaoskit.checks.result import Options, Result
from chaoskit.errors import HistoryError


def send(
    message: object, invoked: int, completed: int, offset: object = None, outcome: str = "ok", key: object = "p"
) -> Call:
    return Call(0, "send", value=message, key=key, result=offset, outcome=outcome, invoked=invoked, completed=completed)


def poll(pairs: object, invoked: int, completed: int, outcome: str = "ok", key: object = "p", process: int = 1) -> Call:
    return Call(process, "poll", key=key, result=pairs, outcome=outcome, invoked=invoked, completed=completed)


def stepwise(
    f: str, asked: object, answered: object, invoked: int, completed: int, process: int = 2, outcome: str = "ok"
) -> Call:
    return Call(process, f, value=asked, result=answered, outcome=outcome, invoked=invoked, completed=completed)


def judge(*calls: Call) -> Result:
    return MODEL.check(operations(list(calls)), Options())


def kinds(*calls: Call) -> list[str]:
    return [one.kind for one in judge(*calls).anomalies]


AB = (send("a", 1, 2, 0), send("b", 3, 4, 1))


def test_own_form_is_held() -> None:
    result = judge(*AB, poll(((0, "a"),), 5, 6), poll(((0, "a"), (1, "b")), 7, 8))
    assert (result.verdict, result.exposed, result.numbers["lost"]) == ("held", 2, 0)


def test_form_of_jepsen_is_held_with_markers_between_offsets() -> None:
    result = judge(
        stepwise("txn", (("send", 5, 1), ("poll",)), (("send", 5, (3, 1)), ("poll", {})), 1, 2),
        stepwise("send", (("send", 5, 2),), (("send", 5, 2),), 3, 4),  # its offset is not known
        stepwise("assign", (5, 6), (5, 6), 5, 6, process=3),
        stepwise("poll", (("poll",),), (("poll", {5: ((3, 1),)}),), 7, 8, process=3),
        stepwise("poll", (("poll",),), (("poll", {5: ((7, 2),), 6: ()}),), 9, 10, process=3),
        stepwise("crash", None, None, 11, 12, process=3, outcome="info"),
    )
    assert (result.verdict, result.exposed) == ("held", 1)


def test_forms_mix_and_keys_written_as_text_are_the_same() -> None:
    assert kinds(send(1, 1, 2, 0, key="5"), stepwise("poll", (("poll",),), (("poll", {5: ((0, 1),)}),), 3, 4)) == []


def test_lost_is_passed_over_by_everybody() -> None:
    (one,) = judge(*AB, poll(((1, "b"),), 5, 6)).anomalies
    assert (one.kind, sorted(one.witness)) == ("lost", [0, 2])
    assert "acknowledged at offset 0" in one.sentence


def test_beyond_all_that_was_polled_it_may_be_there() -> None:
    result = judge(*AB, poll(((0, "a"),), 5, 6))
    assert result.verdict == "inconclusive"
    assert "poll every key to its end" in result.reasons[0]
    assert judge(*AB).verdict == "inconclusive"


def test_unknown_sends_may_be_missing() -> None:
    assert kinds(send("a", 1, 0, outcome="info"), send("b", 3, 4, 1), poll(((1, "b"),), 5, 6)) == []
    assert kinds(send("a", 1, 0, outcome="info"), poll(((0, "a"),), 5, 6)) == []


def test_messages_that_cannot_be_there() -> None:
    assert kinds(poll(((0, "x"),), 5, 6)) == ["thin-air"]
    assert kinds(send("a", 1, 2, outcome="fail"), poll(((0, "a"),), 5, 6)) == ["resurrection"]
    assert kinds(send("a", 1, 9, outcome="fail"), poll(((0, "a"),), 5, 6)) == ["aborted-read"]
    assert kinds(poll(((0, "a"),), 1, 2), send("a", 3, 4, 0)) == ["future-read"]


def test_two_messages_at_one_offset() -> None:
    (one,) = judge(send("a", 1, 2, 0), send("b", 1, 2, 0), poll(((0, "b"), (1, "a")), 5, 6)).anomalies[:1]
    assert one.kind == "inconsistent-offsets"
    assert kinds(send("a", 1, 2, 0), send("b", 1, 2), poll(((0, "a"),), 5, 6), poll(((0, "b"),), 5, 6)) == [
        "inconsistent-offsets"
    ]


def test_one_message_at_two_offsets() -> None:
    (one,) = judge(send("a", 1, 2), poll(((0, "a"), (1, "a")), 5, 6)).anomalies
    assert (one.kind, one.witness) == ("duplicate", (1,))
    assert "a of p at offset 0 and a of p at offset 1" in one.sentence


def test_order_within_a_poll() -> None:
    assert kinds(*AB, poll(((1, "b"), (0, "a")), 5, 6)) == ["reordered"]
    (one,) = judge(*AB, send("c", 5, 6, 2), poll(((0, "a"), (2, "c")), 7, 8), poll(((1, "b"),), 7, 8)).anomalies
    assert (one.kind, sorted(one.witness)) == ("gap", [1, 3])
    assert kinds(*AB, send("c", 5, 6, 3), poll(((0, "a"), (1, "b"), (3, "c")), 7, 8)) == []


def consumer(kind: str, first: int, second: int, between: str = "") -> list[str]:
    log = {0: "a", 1: "b", 2: "c"}
    calls = [*AB, send("c", 5, 6, 2), poll(tuple(log.items()), 7, 8)]
    calls += [stepwise(kind, ("p",), ("p",), 10, 11)] if kind else []
    calls.append(poll(((first, log[first]),), 12, 13, process=2))
    calls += [stepwise(between, ("p",), ("p",), 14, 15)] if between in ("assign", "subscribe") else []
    calls += [poll(None, 14, 15, "fail", process=2)] if between == "fail" else []
    calls.append(poll(((second, log[second]),), 16, 17, process=2))
    result = judge(*calls)
    for one in result.anomalies:
        alone = MODEL.check(operations(calls).where(sorted(one.witness)), Options())
        assert one.kind in [again.kind for again in alone.anomalies]
    return [one.kind for one in result.anomalies]


def test_order_from_poll_to_poll_of_an_assigned_consumer() -> None:
    assert consumer("assign", 0, 1) == []
    assert consumer("assign", 1, 0) == ["nonmonotonic-poll"]
    assert consumer("assign", 1, 1) == ["nonmonotonic-poll"]
    assert consumer("assign", 0, 2) == ["poll-skip"]


@pytest.mark.parametrize("between", ["assign", "subscribe", "fail"])
def test_a_position_that_is_not_known_is_not_judged(between: str) -> None:
    assert consumer("assign", 1, 0, between) == []
    assert consumer("subscribe", 0, 2) == []
    assert consumer("", 1, 0) == []


def test_order_of_sends() -> None:
    (one,) = judge(send("a", 1, 2, 1), send("b", 3, 4, 0), poll(((0, "b"), (1, "a")), 5, 6)).anomalies
    assert (one.kind, sorted(one.witness)) == ("nonmonotonic-send", [0, 1])
    assert kinds(send("a", 1, 4, 1), send("b", 2, 3, 0), poll(((0, "b"), (1, "a")), 5, 6)) == []
    (one,) = judge(send("a", 1, 2), send("b", 3, 4), poll(((0, "b"), (1, "a")), 5, 6)).anomalies
    assert (one.kind, sorted(one.witness)) == ("nonmonotonic-send", [0, 1, 2])
    both = stepwise("send", (("send", 0, 1), ("send", 0, 2)), (("send", 0, (5, 1)), ("send", 0, (4, 2))), 1, 2)
    assert kinds(both, poll(((4, 2), (5, 1)), 5, 6, key=0)) == ["nonmonotonic-send"]


def test_messages_sent_twice_are_left_open() -> None:
    result = judge(send("a", 1, 2, 0), send("a", 3, 4, 1), poll(((0, "a"), (1, "a")), 5, 6))
    assert result.verdict == "inconclusive"
    assert result.reasons[0].startswith("1 message was sent more than once")
    assert kinds(send("a", 1, 2, 0, key="p"), send("a", 3, 4, 0, key="q"), poll(((0, "a"),), 5, 6)) == []


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (send("a", 1, 2, -1), "offset that is no whole number"),
        (send("a", 1, 2, 1 << 70), "offset that is no whole number"),
        (send(None, 1, 2), "names no message"),
        (poll(5, 1, 2), "polls something else"),
        (poll(((1, 2, 3),), 1, 2), "polls something else"),
        (stepwise("txn", 5, 5, 1, 2), "is no list of"),
        (stepwise("txn", (("send", 1),), (("send", 1),), 1, 2), "without a key or a message"),
        (stepwise("txn", (("poll",),), (("poll", 7),), 1, 2), "polls something else"),
        (stepwise("txn", (("poll",), ("poll",)), (("poll",),), 1, 2), "does not answer its own steps"),
    ],
)
def test_what_is_no_history_of_logs_is_refused(call: Call, words: str) -> None:
    with pytest.raises(HistoryError, match=words):
        judge(call)


def test_no_operations_are_held() -> None:
    assert judge().verdict == "held"


@pytest.mark.parametrize("form", ["own", "steps"])
def test_alterations_are_found_in_both_forms(form: str) -> None:
    pairs = ((0, "a"), (1, "b"), (2, "c"))
    answer = stepwise("poll", (("poll",),), (("poll", {"p": pairs}),), 7, 8) if form == "steps" else poll(pairs, 7, 8)
    base = operations([*AB, send("c", 5, 6, 2), answer, poll(((2, "c"),), 9, 10)])
    assert MODEL.check(base, Options()).verdict == "held"
    for alteration in MODEL.alterations:
        altered = alteration.apply(base, 3, random.Random(2))
        assert altered is not None
        assert MODEL.check(altered, Options()).verdict == "refuted", alteration.kind
        assert alteration.apply(base, 0, random.Random(2)) is None
