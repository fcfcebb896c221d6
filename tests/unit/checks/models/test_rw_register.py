"""Anomalies of registers by hand, each by its name; what is known of their versions, and what is not."""

from __future__ import annotations

import random

import pytest
from histories import scripts
from histories.simulate import operations

from chaoskit.checks.models.rw_register import MODEL
from chaoskit.checks.result import Model, Options
from chaoskit.errors import HistoryError


class Script(scripts.Script):
    model, lists = MODEL, False


together = Script.together


def test_it_is_a_model_that_says_what_it_cannot_know() -> None:
    assert isinstance(MODEL, Model)
    result = Script().txn("w x 1").txn("r x 1", "w x 2").txn("r x 2").check()
    assert (result.verdict, result.exact) == ("held", False)
    assert "only necessary conditions" in result.notes[0]
    assert result.numbers["writes whose predecessor is known"] == 1


ANOMALIES: dict[str, tuple[list[tuple[str, ...]], str, str | None]] = {
    "thin-air": ([("r x 7",)], "read-uncommitted", None),
    "future-read": ([("r x 1", "w x 1")], "read-uncommitted", None),
    "G1b": ([("w x 1", "w x 2"), ("r x 1",)], "read-committed", "read-uncommitted"),
    "G1c": ([("w x 1", "r y 2"), ("w y 2", "r x 1")], "read-committed", "read-uncommitted"),
    "cyclic-versions": ([("r x 2", "w x 1"), ("r x 1", "w x 2")], "read-committed", "read-uncommitted"),
    "internal": ([("w x 1", "r x")], "read-atomic", "read-committed"),
    "fractured-read": ([("w x 1", "w y 2"), ("r x 1", "r y")], "read-atomic", "read-committed"),
    "lost-update": ([("r x", "w x 1"), ("r x", "w x 2")], "repeatable-read", "read-atomic"),
    "G-single": ([("w x 1",), ("r x 1", "w y 2"), ("r x", "r y 2")], "repeatable-read", "read-atomic"),
    "long-fork": ([("w x 1",), ("w y 2",), ("r x 1", "r y"), ("r x", "r y 2")], "repeatable-read", "read-atomic"),
    "write-skew": ([("r x", "w y 1"), ("r y", "w x 2")], "repeatable-read", "snapshot-isolation"),
    "G2-item": ([("r x", "w y 1"), ("r y", "w z 2"), ("r z", "w x 3")], "repeatable-read", "snapshot-isolation"),
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


def test_nothing_was_there_before_any_write_whoever_wrote_what_it_replaced() -> None:
    whole = together(("w y 1",), ("r y 1", "w y 2", "w x 3"), ("r y", "r x 3"))
    assert "fractured-read" in whole.kinds()
    alone = together(("r y 1", "w y 2", "w x 3"), ("r y", "r x 3"))  # the witness: nobody's is the first 1 in it
    assert "fractured-read" in alone.kinds()


def test_reading_what_failed() -> None:
    assert Script().txn("w x 1", outcome="fail").txn("r x 1").kinds() == {"G1a": 1}


def test_reading_what_was_asked_for_only_later_refutes_everything() -> None:
    assert "future-read" in Script().txn("r x 1").txn("w x 1").kinds()


def test_a_later_version_is_known_from_who_read_before_writing() -> None:
    script = together(("w x 1",), ("r x 1", "w x 2", "w y 3"), ("r y 3", "r x 1"))
    assert {"fractured-read", "G-single"} <= set(script.kinds())


def test_blind_writes_have_no_order_but_that_of_real_time() -> None:
    script = Script().txn("w x 1").txn("w x 2").txn("r x 1").txn("r x 2")
    assert script.kinds() == {"G-single-realtime": 1}
    assert script.check("serializable").verdict == "held"
    sentence = script.check().anomalies[0].sentence
    assert "which was over before operation 1 began to write 2" in sentence
    assert script.check().anomalies[0].witness == (0, 1, 2)


def test_versions_in_real_time_make_cycles_by_themselves() -> None:
    """The read of x is older than the write of x whose transaction it saw: strictly, that cannot be."""
    script = Script().txn("w x 1", at=(0, 5)).txn("w x 2", "w y 3", at=(10, 90)).txn("r x 1", "r y 3", at=(20, 80))
    assert script.kinds() == {"G-single-realtime": 1}


def test_nothing_is_read_after_a_write_was_acknowledged() -> None:
    assert "G-single-realtime" in Script().txn("w x 1").txn("r x").kinds()


def test_an_unknown_outcome_counts_from_the_first_trace_of_it() -> None:
    assert Script().txn("w x 1", "w y 2", outcome="info").txn("r x").txn("r y").check().verdict == "held"
    assert "fractured-read" in Script().txn("w x 1", "w y 2", outcome="info").txn("r x 1", "r y").kinds()


def test_a_value_written_twice_is_refused() -> None:
    with pytest.raises(HistoryError, match="operation 1 writes 1 to x, which operation 0 wrote already"):
        Script().txn("w x 1").txn("w x 1").check()


def test_nothing_at_all_is_held() -> None:
    assert MODEL.check(operations([]), Options()).verdict == "held"


def test_planted_bugs_are_found_where_transactions_read_before_they_write() -> None:
    script = Script()
    for number in range(1, 40):
        script.txn(f"r x {number - 1}" if number > 1 else "r x", f"w x {number}")
    history = operations(script.calls)
    for alteration in MODEL.alterations:
        tried = [alteration.apply(history, position, random.Random(position)) for position in range(5, 35)]
        altered = [one for one in tried if one is not None]
        assert len(altered) > 20
        assert all(MODEL.check(one, Options()).verdict == "refuted" for one in altered), alteration.kind
