from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chaoskit.checks.acknowledged import check
from chaoskit.checks.context import CheckContext
from chaoskit.history.frame import History
from chaoskit.history.operation import Answer, Outcome
from chaoskit.history.windows import Disturbance


def filled(book: Any, writes: int = 120, skip: int = -1, nothing: int = -1) -> Any:
    for n in range(writes):
        book.write(n / 10, f"k{n}", f"v{n}")
        if n != skip:
            book.read(100 + n / 100, f"k{n}", None if n == nothing else f"v{n}", phase=2)
    return book


def at(history: History, seconds: float) -> int:
    return history.origin_ns + round(seconds * 1e9)


def test_all_found(book: Any) -> None:
    found = check(filled(book).history(), CheckContext())
    assert (found.verdict, found.operations, found.exposed) == ("held", 120, 120)


def test_one_lost(book: Any) -> None:
    history = filled(book, nothing=60).history()
    found = check(history, CheckContext((Disturbance("down", 0, 1, at(history, 5.0), at(history, 7.0)),)))
    assert found.verdict == "refuted"
    assert found.anomalies == {"lost": 1}
    assert found.split == {"acknowledged before down": 0, "acknowledged during down": 1, "acknowledged after down": 0}
    assert found.witness is not None
    assert [op.f for op in found.witness.operations] == ["write", "read"]
    assert "k60 was acknowledged for “v60” at 6.010 s; the final read at 100.610 s found nothing" in (
        found.witness.sentence
    )
    rows = history.rows[np.isin(history.rows["index"], [op.index for op in found.witness.operations])]
    alone = History(rows, history.nodes, history.classes, history.functions, history.values, history.origin_ns)
    assert check(alone, CheckContext()).verdict == "refuted"


def test_another_value_is_a_loss_too(book: Any) -> None:
    found = check(book.write(0.0, "a", "u1").read(9.0, "a", "u2", phase=2).history(), CheckContext())
    assert found.anomalies == {"replaced": 1}


def test_one_unknown_is_enough_not_to_say_held(book: Any) -> None:
    found = check(filled(book, skip=3).history(), CheckContext())
    assert found.verdict == "inconclusive"
    assert "1 of 120" in found.reasons[0]


def test_one_unknown_does_not_excuse_a_loss(book: Any) -> None:
    assert check(filled(book, skip=3, nothing=4).history(), CheckContext()).verdict == "refuted"


def test_no_final_reads_at_all(book: Any) -> None:
    found = check(book.write(0.0, "a", "u1").read(1.0, "a", None).history(), CheckContext())
    assert (found.verdict, found.exposed) == ("inconclusive", 0)


def test_only_the_last_answered_final_read_counts(book: Any) -> None:
    book.write(0.0, "a", "u1").write(0.0, "b", "u2")
    book.read(9.0, "a", None, phase=2).read(9.5, "a", "u1", phase=2).silent(12.0, key="a", phase=2)
    book.read(9.0, "b", "u2", phase=2).read(9.5, "b", None, phase=2).refused(12.0, key="b", phase=2)
    found = check(book.history(), CheckContext())
    assert found.anomalies == {"lost": 1}
    assert found.witness is not None and found.witness.operations[0].key == "b"


def test_a_final_read_sent_before_the_acknowledgement_says_nothing(book: Any) -> None:
    book.write(0.0, "a", "u1", took=10.0).read(9.0, "a", None, phase=2)
    found = check(book.history(), CheckContext())
    assert (found.anomalies, found.verdict) == ({}, "inconclusive")


@pytest.mark.parametrize("outcome", [Outcome.INFO, Outcome.FAIL, Outcome.OPEN])
def test_what_was_never_acknowledged_cannot_be_lost(book: Any, outcome: Outcome) -> None:
    filled(book).write(50.0, "z", "vz", outcome=outcome, answer=Answer.REFUSED).read(200.0, "z", None, phase=2)
    assert check(book.history(), CheckContext()).verdict == "held"


def test_nothing_found_during_the_run_is_noted_and_accused_but_decides_nothing(book: Any) -> None:
    history = filled(book).read(50.0, "k1", None).read(0.05, "k5", None).history()
    found = check(history, CheckContext())
    assert found.verdict == "held"
    assert "1 read during the run found nothing" in found.notes[0]
    assert history.seconds("t_due")[found.accused].tolist() == [50.0]
