"""Long forks: two reads that saw two writes in different orders; late snapshots are no forks."""

from __future__ import annotations

import random
from typing import Any

import pytest
from histories.simulate import Call, operations

from chaoskit.checks.models.long_fork import MODEL
from chaoskit.checks.result import Options, Result
from chaoskit.errors import HistoryError


def write(key: int, invoked: int, completed: int, outcome: str = "ok") -> Call:
    return Call(invoked, "write", (("w", key, 1),), outcome=outcome, invoked=invoked, completed=completed)


def read(answer: dict[int, object], invoked: int, completed: int) -> Call:
    asked = tuple(("r", key, None) for key in answer)
    result = tuple(("r", key, value) for key, value in answer.items())
    return Call(invoked, "read", asked, result=result, invoked=invoked, completed=completed)


def judge(*calls: Call, **options: Any) -> Result:
    return MODEL.check(operations(list(calls)), Options(**options))


def kinds(*calls: Call, **options: Any) -> list[str]:
    return [one.kind for one in judge(*calls, **options).anomalies]


WRITES = (write(0, 1, 20), write(1, 1, 20))


def test_reads_that_agree() -> None:
    result = judge(*WRITES, read({0: 1, 1: None}, 2, 3), read({1: 1, 0: 1}, 4, 5))
    assert (result.verdict, result.exact, result.exposed) == ("held", True, 2)
    assert result.not_refuted == "serializable"


def test_reads_that_saw_different_orders() -> None:
    result = judge(*WRITES, read({0: 1, 1: None}, 2, 3), read({1: 1, 0: None}, 4, 5))
    (found,) = result.anomalies
    assert (found.kind, found.level, found.witness) == ("long-fork", "snapshot-isolation", (0, 1, 2, 3))
    assert (result.refuted, result.not_refuted) == ("snapshot-isolation", None)


def test_a_fork_that_is_no_neighbour_of_its_twin() -> None:
    writes = [write(key, 1, 50) for key in range(3)]
    chain = [read({0: 1, 1: None, 2: None}, 2, 3), read({0: 1, 1: 1, 2: None}, 4, 5), read({0: 1, 1: 1, 2: 1}, 6, 7)]
    assert kinds(*writes, *chain) == []
    assert kinds(*writes, *chain, read({0: None, 1: None, 2: 1}, 8, 9)) == ["long-fork"]


def test_a_late_snapshot_is_no_fork() -> None:
    result = judge(write(0, 1, 2), read({0: None, 1: None}, 3, 4))
    assert result.verdict == "held"
    assert [(one.kind, one.level) for one in result.anomalies] == [("nil-after-ack", "strict-serializable")]


def test_groups_are_apart() -> None:
    assert judge(*WRITES, read({0: 1}, 2, 3), read({1: 1}, 4, 5), read({0: None}, 6, 7)).verdict == "held"


def test_groups_that_share_keys_are_not_judged_to_the_end() -> None:
    result = judge(*WRITES, read({0: 1, 1: None}, 2, 3), read({1: 1, 2: None}, 4, 5))
    assert (result.verdict, result.exact) == ("held", False)


def test_values_from_nowhere_from_failures_and_from_later() -> None:
    assert kinds(write(0, 1, 2), read({0: 7}, 3, 4)) == ["thin-air"]
    assert kinds(read({0: 1}, 3, 4)) == ["thin-air"]
    assert kinds(write(0, 1, 2, "fail"), read({0: 1}, 3, 4)) == ["aborted-read"]
    assert kinds(read({0: 1}, 1, 2), write(0, 3, 4)) == ["future-read"]
    assert kinds(write(0, 1, 2, "info"), read({0: 1}, 3, 4)) == []


@pytest.mark.parametrize(
    ("calls", "said"),
    [
        ([write(0, 1, 2), write(0, 3, 4)], "writes too"),
        ([Call(0, "write", (("w", 0, 1), ("w", 1, 1)), invoked=1, completed=2)], "no write of one value"),
        ([Call(0, "txn", (("w", 0, 1), ("r", 1, None)), invoked=1, completed=2)], "neither one write"),
        ([Call(0, "read", 5, result=5, invoked=1, completed=2)], "neither a write"),
        ([Call(0, "read", result=None, invoked=1, completed=2)], "neither a write"),
        ([Call(0, "read", result=(("r", 0, 1), ("r", 0, 1)), invoked=1, completed=2)], "a key twice"),
        ([Call(0, "add", 5, invoked=1, completed=2)], "read, txn, write"),
    ],
)
def test_what_has_another_form_is_refused(calls: list[Call], said: str) -> None:
    with pytest.raises(HistoryError, match=said):
        judge(*calls)


def test_groups_of_another_size_are_refused() -> None:
    with pytest.raises(HistoryError, match="groups have 3"):
        judge(read({0: None, 1: None}, 1, 2), group_size=3)


def test_a_bug_can_be_planted() -> None:
    given = operations([*WRITES, read({0: 1, 1: None}, 2, 3), read({0: 1, 1: None}, 4, 5)])
    altered = MODEL.alterations[0].apply(given, 3, random.Random(1))
    assert altered is not None
    assert MODEL.check(altered, Options()).verdict == "refuted"
    assert MODEL.alterations[0].apply(given, 0, random.Random(1)) is None


def test_nothing_at_all() -> None:
    assert judge().verdict == "held"
