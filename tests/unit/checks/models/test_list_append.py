"""Anomalies by hand, each by its name; the traps of lists; and what cannot be read."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from histories import scripts
from histories.simulate import Call, operations

from chaoskit.checks.models.list_append import MODEL
from chaoskit.checks.result import Model, Options
from chaoskit.errors import HistoryError
from chaoskit.history.operations import NEVER

Micro = tuple[str, str, Any]


class Script(scripts.Script):
    model, lists = MODEL, True


together = Script.together


def test_it_is_a_model() -> None:
    assert isinstance(MODEL, Model)


def test_transactions_in_order_are_strictly_serializable() -> None:
    result = Script().txn("a x 1").txn("r x 1", "a y 2").txn("r x 1", "a x 3", "r x 1 3", "r y 2").check()
    assert (result.verdict, result.exact, result.anomalies) == ("held", True, ())
    assert (result.level, result.refuted, result.not_refuted) == ("strict-serializable", None, "strict-serializable")
    assert result.exposed == 2


# name -> (transactions at one time, the weakest level refuted, the strongest that is not)
ANOMALIES: dict[str, tuple[list[tuple[str, ...]], str, str | None]] = {
    "G0": ([("a x 1", "a y 2"), ("a x 3", "a y 4"), ("r x 1 3", "r y 4 2")], "read-uncommitted", None),
    "G1b": ([("a x 1", "a x 2"), ("r x 1",), ("r x 1 2",)], "read-committed", "read-uncommitted"),
    "G1c": ([("a x 1", "r y 2"), ("a y 2", "r x 1")], "read-committed", "read-uncommitted"),
    "incompatible-order": ([("a x 1",), ("a x 2",), ("r x 1 2",), ("r x 2 1",)], "read-committed", "read-uncommitted"),
    "thin-air": ([("r x 7",)], "read-uncommitted", None),
    "duplicate-elements": ([("a x 1",), ("r x 1 1",)], "read-uncommitted", None),
    "internal": ([("a x 1", "r x")], "read-atomic", "read-committed"),
    "future-read": ([("r x 1", "a x 1")], "read-uncommitted", None),
    "fractured-read": ([("a x 1", "a y 2"), ("r x 1", "r y"), ("r y 2",)], "read-atomic", "read-committed"),
    "lost-update": ([("r x", "a x 1"), ("r x", "a x 2"), ("r x 1 2",)], "repeatable-read", "read-atomic"),
    "G-single": ([("a x 1",), ("r x 1", "a y 2"), ("r x", "r y 2")], "repeatable-read", "read-atomic"),
    "long-fork": ([("a x 1",), ("a y 2",), ("r x 1", "r y"), ("r x", "r y 2")], "repeatable-read", "read-atomic"),
    "G-nonadjacent": ([("a x 1",), ("a y 2",), ("r x 1", "r y"), ("r x", "r y 2")], "repeatable-read", "read-atomic"),
    "write-skew": ([("r x", "a y 1"), ("r y", "a x 2")], "repeatable-read", "snapshot-isolation"),
    "G2-item": (
        [("r x", "a y 1"), ("r y", "a z 2"), ("r z", "a x 3"), ("r x 3", "r y 1", "r z 2")],
        "repeatable-read",
        "snapshot-isolation",
    ),
}


@pytest.mark.parametrize("kind", ANOMALIES)
def test_anomaly_and_the_levels_that_it_refutes(kind: str) -> None:
    transactions, refuted, left = ANOMALIES[kind]
    script = together(*transactions)
    result = script.check("serializable")
    assert kind in script.kinds()
    assert (result.verdict, result.refuted, result.not_refuted) == ("refuted", refuted, left)
    if left is not None:
        assert script.check(left).verdict == "held"
    assert script.check(refuted).verdict == "refuted"


@pytest.mark.parametrize("kind", ["G-single", "long-fork", "lost-update"])
def test_what_refutes_two_levels_is_told_with_the_one_that_was_asked_about(kind: str) -> None:
    script = together(*ANOMALIES[kind][0])
    for level in ("repeatable-read", "snapshot-isolation"):
        result = script.check(level)
        assert result.verdict == "refuted"
        assert {one.level for one in result.anomalies if one.kind == kind} == {level}


def test_write_skew_is_what_snapshot_isolation_allows() -> None:
    script = together(*ANOMALIES["write-skew"][0])
    assert script.check("snapshot-isolation").verdict == "held"
    assert script.check("read-atomic").verdict == "held"


def test_reading_what_failed() -> None:
    script = Script().txn("a x 1", outcome="fail").txn("r x 1")
    assert script.kinds() == {"G1a": 1}
    assert "which appended 1, failed" in script.check().anomalies[0].sentence


def test_building_on_what_failed() -> None:
    kinds = Script().txn("a x 1", outcome="fail").txn("a x 2").txn("r x 1 2").kinds()
    assert kinds == {"G1a": 1, "dirty-update": 1}


def test_reading_what_was_asked_for_only_later_refutes_everything() -> None:
    script = Script().txn("r x 1").txn("a x 1")
    assert script.kinds()["future-read"] == 1
    assert script.check("read-uncommitted").verdict == "refuted"


def test_an_append_that_nobody_saw_comes_last() -> None:
    assert "G-single-realtime" in Script().txn("a x 1").txn("r x").kinds()
    assert Script().txn("a x 1").txn("r x").check("serializable").verdict == "held"


def test_stale_reads_are_about_real_time_or_about_the_session() -> None:
    script = Script().txn("a x 1", process=1).txn("r x", process=2).txn("r x 1", process=3)
    assert script.kinds() == {"G-single-realtime": 1}
    assert script.check().not_refuted == "strong-session-serializable"
    own = Script().txn("a x 1", process=1).txn("r x", process=1).txn("r x 1", process=3)
    assert own.kinds() == {"G-single-process": 1}
    assert own.check().not_refuted == "serializable"
    assert own.check("serializable").verdict == "held"


def test_sessions_may_overlap_within_themselves() -> None:
    """A sticky session with several open requests: what overlaps has no order, what follows both has."""
    script = Script()
    script.txn("a x 1", at=(0, 10), process=1).txn("a y 2", at=(1, 30), process=2).txn(
        "r x", "r y", at=(40, 50), process=3
    )
    columns = operations(script.calls).altered(session=operations(script.calls).process * 0)
    assert {one.kind for one in MODEL.check(columns, Options()).anomalies} == {"G-single-process"}


def test_an_unknown_outcome_counts_from_the_first_trace_of_it() -> None:
    """Its other append was then made, too: who reads without it is before it."""
    unseen = Script().txn("a x 1", "a y 2", outcome="info").txn("r x").txn("r y")
    assert unseen.check().verdict == "held"
    seen = Script().txn("a x 1", "a y 2", outcome="info").txn("r x 1", "r y")
    assert "fractured-read" in seen.kinds()


def test_a_failed_or_unknown_transactions_reads_say_nothing() -> None:
    script = Script().txn("a x 1").txn("r x", "a y 1", outcome="info").txn("r y 1")
    assert script.check().verdict == "held"


def test_own_appends_at_the_end_of_a_read_are_no_version() -> None:
    """Transactions with deferred writes each see their own append behind the same list: read committed allows it."""
    script = together(("a x 1", "r x 1"), ("a x 2", "r x 2"), ("r x 1 2",))
    assert script.check("read-atomic").verdict == "held"
    assert script.check("snapshot-isolation").verdict == "refuted"


def test_own_appends_in_the_wrong_order_or_in_part() -> None:
    assert "incompatible-order" in Script().txn("a x 1", "a x 2").txn("r x 2 1").kinds()
    assert "incompatible-order" in Script().txn("a x 1", "a x 2").txn("r x 2").kinds()


def test_reads_of_one_transaction_must_agree() -> None:
    assert Script().txn("a x 1", at=(0, 9)).txn("r x", "r x 1", at=(0, 9)).kinds()["internal"] == 1
    assert "internal" not in Script().txn("a x 1").txn("r x 1", "a x 2", "r x 1 2", "r x 1 2").kinds()
    assert Script().txn("a x 1").txn("r x 1", "a x 2", "r x 1 2", "r x 1").kinds()["internal"] == 1


def test_contradictory_reads_of_one_key_do_not_hide_what_is_wrong_with_others() -> None:
    script = together(("a x 1",), ("a x 2",), ("r x 1 2",), ("r x 2 1",), *ANOMALIES["G1c"][0])
    script.calls[-2].value = script.calls[-2].result = (("append", "p", 1), ("r", "q", (2,)))
    script.calls[-1].value = script.calls[-1].result = (("append", "q", 2), ("r", "p", (1,)))
    assert set(script.kinds()) == {"incompatible-order", "G1c"}


def test_the_witness_of_a_cycle_has_the_read_that_proves_the_order() -> None:
    script = together(*ANOMALIES["G0"][0])
    result = script.check()
    witness = next(one.witness for one in result.anomalies if one.kind == "G0")
    assert witness == (0, 1, 2)


def test_a_ring_longer_than_ten_is_shown_whole() -> None:
    count = 14
    script = together(*((f"r k{n}", f"a k{(n + 1) % count} {n + 1}") for n in range(count)))
    anomaly = next(one for one in script.check().anomalies if one.kind == "G2-item")
    assert len(anomaly.witness) == count
    assert anomaly.large
    assert "so on over 4 more" in anomaly.sentence


def test_sentences_say_why() -> None:
    script = together(*ANOMALIES["G1c"][0])
    [anomaly] = script.check().anomalies
    assert "operation 0 (process 0) comes before operation 1 (process 1), because" in anomaly.sentence
    assert "so each of them would have to come before itself" in anomaly.sentence


def test_many_unseen_appends_are_not_all_compared_and_that_is_told() -> None:
    script = together(*((f"a x {n}",) for n in range(20)), ("r x",))
    result = script.check()
    assert not result.exact
    assert any("not all of them were compared" in note for note in result.notes)


def test_nothing_at_all_is_held() -> None:
    assert MODEL.check(operations([]), Options()).verdict == "held"
    assert Script().txn().check().verdict == "held"


@pytest.mark.parametrize("keys", [(1, 2), ("x", "y"), (1, "1"), (True, 1), (None, "x"), ((1, 2), (1, 3)), (2**70, 1)])
@pytest.mark.parametrize("values", [(1, 2), ("p", "q"), (1.5, 1), (True, 1), (2**70, 3), (-(2**63), 2**63 - 1)])
def test_keys_and_values_of_every_type(keys: tuple[Any, Any], values: tuple[Any, Any]) -> None:
    (x, y), (p, q) = keys, values
    calls = [
        Call(0, "txn", (("append", x, p), ("append", y, q)), None, (("append", x, p), ("append", y, q)), "ok", 0, 5),
        Call(1, "txn", (("append", x, q),), None, (("append", x, q),), "ok", 10, 15),
        Call(2, "txn", (("r", x, None), ("r", y, None)), None, (("r", x, (p, q)), ("r", y, (q,))), "ok", 20, 25),
    ]
    assert MODEL.check(operations(calls), Options()).verdict == "held"
    calls[2].result = (("r", x, (q, p)), ("r", y, (q,)))
    assert MODEL.check(operations(calls), Options()).verdict == "refuted"


@pytest.mark.parametrize(
    ("value", "result", "says"),
    [
        (5, None, "is no transaction"),
        (None, None, "found nil"),
        ((("r", "x"),), None, "found [r x]"),
        ((("w", "x", 1),), None, "found [w x 1]"),
        ((([1], "x", 1),), None, "is no transaction"),
        ((("append", "x", None),), None, "a write of nil"),
        ((("r", "x", None),), (("r", "x", 3),), "which is no list"),
        ((("r", "x", None),), (("r", "x", (1,)), ("r", "x", (1,))), "2 micro-operations, but 1"),
        ((("append", "x", 1), ("append", "x", 1)), None, "itself has written"),
    ],
)
def test_what_is_no_transaction_is_refused(value: Any, result: Any, says: str) -> None:
    call = Call(0, "txn", value, None, value if result is None else result, "ok", 0, 1)
    with pytest.raises(HistoryError) as caught:
        MODEL.check(operations([call]), Options())
    assert says in str(caught.value)


def test_a_value_appended_twice_is_refused() -> None:
    with pytest.raises(HistoryError) as caught:
        Script().txn("a x 1", outcome="fail").txn("a x 1").check()
    assert "operation 1 writes 1 to x, which operation 0 wrote already" in str(caught.value)


def test_planted_bugs_are_found() -> None:
    script = Script()
    for number in range(1, 40):
        seen = " ".join(map(str, range(1, number)))
        script.txn(f"r x {seen}".strip(), f"a x {number}")
    history = operations(script.calls)
    chance = random.Random(3)
    for alteration in MODEL.alterations:
        tried = [alteration.apply(history, position, chance) for position in range(5, 35)]
        altered = [one for one in tried if one is not None]
        assert len(altered) > 20
        assert all(MODEL.check(one, Options()).verdict == "refuted" for one in altered), alteration.kind


def test_what_nobody_saw_and_nobody_acknowledged_comes_before_nothing() -> None:
    script = Script().txn("a x 1", outcome="info", process=0).txn("a y 2", process=0).txn("r x", "r y 2", process=1)
    given = operations(script.calls)
    given = given.altered(real_time=False, completed=np.where(given.info, NEVER, 1000))  # as of sessions without times
    assert MODEL.check(given, Options(consistency="strong-session-serializable")).verdict == "held"
