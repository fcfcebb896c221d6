"""A run's rows as operations: processes keep their numbers wherever these tell them apart."""

from __future__ import annotations

import numpy as np
import pytest

from chaoskit.history.frame import History
from chaoskit.history.operation import NONE, ROW, Answer, Outcome
from chaoskit.history.operations import Operations


def history(workers: list[int], processes: list[int]) -> History:
    rows = np.zeros(len(workers), dtype=ROW)
    for name in ("session", "source", "node", "key", "value_id", "result_id", "t_first", "parent", "status"):
        rows[name] = NONE
    rows["index"], rows["worker"], rows["process"] = np.arange(len(rows)), workers, processes
    rows["t_due"] = rows["t_sent"] = np.arange(len(rows)) * 10
    rows["t_end"] = rows["t_sent"] + 5
    rows["outcome"], rows["answer"], rows["state"] = Outcome.OK, Answer.YES, 2
    return History(rows, (), (), ("read",), (), 0)


@pytest.mark.parametrize(
    ("workers", "processes"), [([], []), ([0, 0], [0, 1]), ([0, 1, 0, 1], [0, 2, 1, 3]), ([1, 0], [5, 9])]
)
def test_a_process_has_the_number_that_the_run_gave_it(workers: list[int], processes: list[int]) -> None:
    assert Operations.of(history(workers, processes)).process.tolist() == processes


def test_processes_of_two_workers_are_never_one() -> None:
    found = Operations.of(history([0, 1, 0, 1], [0, 0, 1, 1]))
    assert len(set(found.process.tolist())) == 4
