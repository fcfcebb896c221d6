"""Several registers at once: steps take effect together, and what no order explains has a small witness."""

from __future__ import annotations

import random
from typing import Any

import pytest
from histories.simulate import Call, operations

from chaoskit.checks.models.multi_register import MODEL
from chaoskit.checks.result import Options
from chaoskit.errors import HistoryError
from chaoskit.history.operations import Operations


def history(*rows: tuple[Any, ...]) -> Operations:
    """(process, steps as answered, invoked, completed[, outcome])"""
    calls = []
    for process, steps, invoked, completed, *more in rows:
        asked = [[f, key, None if f == "r" else value] for f, key, value in steps]
        outcome = more[0] if more else "ok"
        answer = steps if outcome == "ok" else None
        calls.append(Call(process, "txn", asked, result=answer, outcome=outcome, invoked=invoked, completed=completed))
    return operations(calls)


def check(*rows: tuple[Any, ...], **options: Any):
    return MODEL.check(history(*rows), Options(**options))


def kinds(result) -> dict[str, int]:
    return {one.kind: one.count for one in result.anomalies}


BOTH = [["w", "x", 1], ["w", "y", 1]]


def test_steps_take_effect_together() -> None:
    assert check((0, BOTH, 1, 2), (1, [["r", "x", 1], ["r", "y", 1]], 3, 4)).verdict == "held"
    torn = check((0, BOTH, 1, 9), (1, [["r", "x", 1], ["r", "y", None]], 3, 4))
    assert (torn.verdict, kinds(torn), torn.anomalies[0].witness) == ("refuted", {"not-linearizable": 1}, (0, 1))


def test_nothing_is_read_after_an_acknowledged_write() -> None:
    result = check((0, [["w", "x", 1]], 1, 2), (1, [["r", "x", None]], 3, 4))
    assert (kinds(result), result.anomalies[0].witness) == ({"nil-after-ack": 1}, (0, 1))


def test_an_operation_sees_its_own_writes() -> None:
    assert check((0, [["w", "x", 1], ["r", "x", 1]], 1, 2)).verdict == "held"
    assert kinds(check((0, [["w", "x", 1], ["r", "x", None]], 1, 2))) == {"internal": 1}
    assert kinds(check((0, [["w", "x", 2]], 1, 9), (1, [["r", "x", None], ["r", "x", 2]], 1, 9))) == {"internal": 1}


def test_values_out_of_nowhere() -> None:
    assert kinds(check((0, [["r", "x", 7]], 1, 2))) == {"thin-air": 1}
    assert kinds(check((0, BOTH, 1, 9, "fail"), (1, [["r", "y", 1]], 3, 4))) == {"aborted-read": 1}
    assert kinds(check((0, BOTH, 1, 2, "fail"), (1, [["r", "y", 1]], 3, 4))) == {"resurrection": 1}
    assert kinds(check((1, [["r", "y", 1]], 1, 2), (0, BOTH, 3, 4))) == {"future-read": 1}


def test_an_unknown_outcome_is_all_or_nothing() -> None:
    info = (0, BOTH, 1, 0, "info")
    assert check(info, (1, [["r", "x", None], ["r", "y", None]], 3, 4)).verdict == "held"
    assert check(info, (1, [["r", "x", None], ["r", "y", None]], 3, 4), (1, [["r", "x", 1]], 5, 6)).verdict == "held"
    assert check(info, (1, [["r", "x", 1]], 3, 4), (1, [["r", "y", None]], 5, 6)).verdict == "refuted"


def test_store_buffers_are_found() -> None:
    # Each misses the other's write: every register by itself is fine.
    result = check((0, [["w", "x", 1], ["r", "y", None]], 1, 8), (1, [["w", "y", 1], ["r", "x", None]], 2, 9))
    assert (result.verdict, result.anomalies[0].witness) == ("refuted", (0, 1))


def test_the_witness_is_as_small_as_it_can_be() -> None:
    rows = [(0, [["w", "x", at]], 10 * at, 10 * at + 1) for at in range(1, 30)]
    rows += [(1, [["r", "x", at]], 10 * at + 2, 10 * at + 3) for at in range(1, 30)]
    result = check(*rows, (2, [["r", "x", 3]], 500, 501))
    (one,) = result.anomalies
    assert len(one.witness) == 3


def test_a_spent_budget_is_inconclusive() -> None:
    rows = [(at, [["w", "x", at]], 1 + at, 100 + at) for at in range(9)]
    result = check(*rows, budget=0.0)
    assert (result.verdict, result.not_refuted) == ("inconclusive", None)
    assert "--budget" in result.reasons[0]


def test_registers_that_nothing_ties_together_are_searched_apart() -> None:
    rows = [(key, [["w", key, 1], ["r", key, 1]], 1 + key, 100 + key) for key in range(40)]
    result = check(*rows)
    assert (result.verdict, result.notes) == ("held", ("groups of registers searched: 40, refuted: 0",))


@pytest.mark.parametrize("steps", [5, [[1, 2]], [["q", "x", 1]], None], ids=str)
def test_what_is_no_list_of_steps_is_refused(steps: Any) -> None:
    with pytest.raises(HistoryError, match="list of steps"):
        MODEL.check(operations([Call(0, "txn", steps, result=steps, invoked=1, completed=2)]), Options())


def test_planted_bugs_are_found() -> None:
    rows = []
    for at in range(1, 30):
        rows.append((0, [["w", "x", at], ["w", "y", -at]], 10 * at, 10 * at + 1))
        rows.append((1, [["r", "x", at], ["r", "y", -at]], 10 * at + 2, 10 * at + 3))
    right = history(*rows)
    assert MODEL.check(right, Options()).verdict == "held"
    for bug in MODEL.alterations:
        struck = [bug.apply(right, position, random.Random(position)) for position in range(len(right))]
        verdicts = [MODEL.check(altered, Options()).verdict for altered in struck if altered is not None]
        assert len(verdicts) > 20, bug.kind
        assert set(verdicts) == {"refuted"}, bug.kind
