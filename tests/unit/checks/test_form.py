from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chaoskit.checks.context import check_form
from chaoskit.errors import CheckerError
from chaoskit.history.frame import History
from chaoskit.history.operation import NONE, Outcome


def refusal(history: History) -> str:
    with pytest.raises(CheckerError) as caught:
        check_form(history)
    return str(caught.value)


def test_a_history_of_single_threaded_processes_is_fine(book: Any) -> None:
    book.read(0.0, "a", None, process=1).read(0.01, "a", None, process=1).read(0.0, "a", None, process=1, worker=1)
    book.write(0.5, None, "u", process=1, outcome=Outcome.INFO, took=2.0).unsent(3.0, process=1)
    check_form(book.history())


def test_nothing_is_well_formed(book: Any) -> None:
    check_form(book.history())


def test_two_open_operations_of_one_process(book: Any) -> None:
    book.read(0.0, "a", None, took=1.0, process=7).read(0.5, "a", None, process=7)
    assert "process 7) was sent while its process still had another one open" in refusal(book.history())


def test_a_process_goes_on_after_an_operation_that_was_never_closed(book: Any) -> None:
    book.write(0.0, None, "u", took=None, outcome=Outcome.OPEN, process=7).read(0.5, "a", None, process=7)
    assert "still had another one open" in refusal(book.history())


def test_a_process_goes_on_after_an_unknown_outcome(book: Any) -> None:
    book.write(0.0, None, "u", took=2.0, outcome=Outcome.INFO, process=7).read(5.0, "a", None, process=7)
    assert "unknown end" in refusal(book.history())


def test_an_answer_before_the_question(book: Any) -> None:
    assert "ended before it was sent" in refusal(book.read(1.0, "a", None, took=-0.5).history())


def test_ok_without_an_end(book: Any) -> None:
    assert "never ended" in refusal(book.read(1.0, "a", None, took=None).history())


def test_rows_out_of_order(book: Any) -> None:
    history = book.read(1.0, "a", None).read(2.0, "a", None).history()
    history.rows["t_due"] = np.flip(history.rows["t_due"].copy())
    assert "order of due time" in refusal(history)


def test_an_outcome_that_does_not_exist(book: Any) -> None:
    history = book.read(1.0, "a", None).history()
    history.rows["outcome"] = 9
    assert "does not exist" in refusal(history)


def test_an_unsent_operation_occupies_no_process(book: Any) -> None:
    history = book.unsent(0.0, process=3).read(0.0, "a", None, process=3).history()
    assert (history.rows["t_sent"] == NONE).sum() == 1
    check_form(history)
