from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chaoskit.checks.context import CheckContext, Judgement
from chaoskit.checks.immutable import check
from chaoskit.history.frame import History
from chaoskit.history.operation import Answer, ErrorCode, Outcome

INFO = {"outcome": Outcome.INFO, "answer": Answer.SILENT, "error": ErrorCode.TIMEOUT, "took": 2.0}
OPEN = {"outcome": Outcome.OPEN, "answer": Answer.NONE, "took": None}
FAILED = {"outcome": Outcome.FAIL, "answer": Answer.REFUSED, "error": ErrorCode.STATUS, "status": 422}


def judged(book: Any) -> Judgement:
    return check(book.history(), CheckContext())


def only(history: History, judgement: Judgement) -> History:
    """The history that consists of the witness alone."""
    assert judgement.witness is not None
    wanted = [op.index for op in judgement.witness.operations]
    rows = history.rows[np.isin(history.rows["index"], wanted)]
    return History(rows, history.nodes, history.classes, history.functions, history.values, history.origin_ns)


def test_what_was_acknowledged_is_what_is_read(book: Any) -> None:
    book.write(0.0, "a", "u1").write(0.1, "b", "u2")
    for n in range(200):
        book.read(1 + n / 100, "ab"[n % 2], ["u1", "u2"][n % 2])
    found = judged(book)
    assert (found.verdict, found.exposed, found.operations, found.anomalies) == ("held", 200, 202, {})
    assert found.observed == "no key changed in 200 reads of acknowledged keys"


def test_too_few_reads_say_nothing(book: Any) -> None:
    found = judged(book.write(0.0, "a", "u1").read(1.0, "a", "u1"))
    assert found.verdict == "inconclusive"
    assert "only 1 read of" in found.reasons[0]


def test_an_empty_history_says_nothing(book: Any) -> None:
    assert judged(book).verdict == "inconclusive"


@pytest.mark.parametrize("read_at", [0.5, 3.0])
def test_a_read_must_answer_what_was_acknowledged_whenever_it_was(book: Any, read_at: float) -> None:
    book.write(0.0, "x", "u0").write(2.0, "a", "u1").read(read_at, "a", "u0")
    found = judged(book)
    assert found.verdict == "refuted"
    assert found.anomalies == {"changed": 1}
    assert found.witness is not None and "“u1” was acknowledged" in found.witness.sentence
    assert check(only(book.history(), found), CheckContext()).verdict == "refuted"


def test_two_reads_of_one_key_must_agree_also_when_nobody_knows_who_wrote(book: Any) -> None:
    book.write(0.0, None, "u1", **INFO).write(0.0, None, "u2", **INFO).read(3.0, "a", "u1").read(4.0, "a", "u2")
    found = judged(book)
    assert found.anomalies == {"changed": 1}
    assert found.witness is not None and len(found.witness.operations) == 4  # both reads, and where they got it from
    assert found.accused.tolist() == [3]


def test_a_key_given_out_twice(book: Any) -> None:
    found = judged(book.write(0.0, "a", "u1").write(1.0, "a", "u2"))
    assert found.anomalies == {"duplicate": 1}
    assert found.witness is not None and "given out twice" in found.witness.sentence


def test_one_value_acknowledged_twice_under_one_key_is_no_anomaly(book: Any) -> None:
    assert judged(book.write(0.0, "a", "u1").write(1.0, "a", "u1")).anomalies == {}


def test_a_value_that_nobody_asked_for(book: Any) -> None:
    found = judged(book.write(0.0, "a", "u1").read(1.0, "b", "ghost"))
    assert found.anomalies == {"thin-air": 1}
    assert found.witness is not None and len(found.witness.operations) == 1


@pytest.mark.parametrize("how", [INFO, OPEN], ids=["unknown", "in flight when the worker died"])
def test_a_write_of_unknown_outcome_may_have_happened(book: Any, how: dict[str, Any]) -> None:
    assert judged(book.write(0.0, None, "u1", **how).read(3.0, "a", "u1")).anomalies == {}


def test_a_write_that_the_harness_says_was_never_sent_accuses_nobody(book: Any) -> None:
    book.unsent(0.0, cls="create", f="write", value="u1").read(1.0, "a", "u1")
    assert judged(book).anomalies == {}


def test_a_write_that_failed_did_not_happen(book: Any) -> None:
    found = judged(book.write(0.0, None, "u1", **FAILED).read(3.0, "a", "u1"))
    assert found.anomalies == {"aborted-read": 1}


def test_a_value_cannot_be_read_before_its_write_was_sent(book: Any) -> None:
    found = judged(book.read(0.0, "a", "u1", took=0.5).write(1.0, "a", "u1"))
    assert found.anomalies == {"future-read": 1}
    assert found.witness is not None and "before the write" in found.witness.sentence


def test_a_read_that_overlaps_the_write_may_see_it(book: Any) -> None:
    assert judged(book.read(0.0, "a", "u1", took=1.0).write(1.0, "a", "u1")).anomalies == {}


def test_clocks_of_two_machines_are_not_compared(book: Any) -> None:
    history = book.read(0.0, "a", "u1", took=0.5).write(1.0, "a", "u1").history()
    history.rows["clock_domain"] = [0, 1]
    assert check(history, CheckContext()).anomalies == {}


def test_reads_that_found_nothing_or_failed_say_nothing(book: Any) -> None:
    assert judged(book.write(0.0, "a", "u1").read(1.0, "a", None).refused(2.0, key="a")).anomalies == {}


def test_the_warm_up_and_the_final_reads_are_judged_too(book: Any) -> None:
    found = judged(book.write(-1.0, "a", "u1", phase=0).write(0.0, "b", "u2").read(9.0, "a", "u2", phase=2))
    assert found.anomalies == {"changed": 1}


def test_keys_that_something_else_touches_are_left_out(book: Any) -> None:
    book.functions.append("delete")
    book.write(0.0, "a", "u1").add(1.0, f="delete", key="a").read(2.0, "a", "ghost")
    found = judged(book)
    assert found.anomalies == {}
    assert "1 key left out" in found.notes[0]


def test_what_was_never_sent_touched_no_key(book: Any) -> None:
    book.functions.append("")
    book.write(0.0, "a", "u1").unsent(1.0, f="", key="a", phase=2).read(2.0, "a", "ghost")
    assert judged(book).anomalies == {"thin-air": 1}


def test_a_damaged_history_does_not_accuse_of_thin_air(book: Any) -> None:
    history = book.write(0.0, "a", "u1").read(1.0, "b", "u9").history(damaged=("1 row of worker 0 is torn",))
    found = check(history, CheckContext())
    assert found.verdict == "inconclusive"
    assert any("torn" in reason for reason in found.reasons)


def test_every_accused_read_is_counted_once(book: Any) -> None:
    book.write(0.0, "a", "u1").write(0.0, "b", "u2")
    book.read(1.0, "a", "ghost").read(2.0, "a", "u2").read(3.0, "a", "u2").read(4.0, "a", "u1")
    found = judged(book)
    assert found.anomalies == {"thin-air": 1, "changed": 2}
    assert len(found.accused) == 3
