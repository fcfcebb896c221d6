"""Staleness, convergence and loss: what was counted, from when on, and who is told of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from histories.simulate import Call, operations

from chaoskit.checks.loss import Finals
from chaoskit.checks.models.convergence import MODEL
from chaoskit.checks.models.register import MODEL as REGISTER
from chaoskit.checks.result import Options
from chaoskit.checks.staleness import Staleness
from chaoskit.history.operations import Operations


def history(*rows: tuple[Any, ...]) -> Operations:
    """(process, f, key, value, invoked, completed, node[, outcome])."""
    calls, nodes = [], []
    for process, f, key, value, began, ended, node, *outcome in rows:
        asked, answer = (None, value) if f in ("read", "final") else (value, None)
        kind = "read" if f == "final" else f
        calls.append(Call(process, kind, asked, key, answer, *outcome or ("ok",), began, ended, f == "final"))
        nodes.append(node)
    found = operations(calls)
    order = np.argsort([call.invoked for call in calls], kind="stable")
    return found.altered(node=np.asarray(nodes, dtype=np.int16)[order], nodes=("n1", "n2"))


STALE = history(
    (0, "write", "x", 1, 0, 10, 0),
    (0, "write", "x", 2, 20, 100, 0),
    (1, "read", "x", 1, 90, 95, 1),
    (1, "read", "x", 1, 104, 110, 1),
    (2, "read", "x", 2, 120, 121, 0),
)


def test_staleness_counts_from_when_a_write_was_known_not_from_when_it_was_sent() -> None:
    found = Staleness.of(STALE)
    assert found.age_ns.tolist() == [0, 4_000_000, 0]
    assert found.versions.tolist() == [0, 1, 0]
    assert found.numbers()["stale answers, share"] == pytest.approx(1 / 3)
    assert found.visible([0, 3, 4]) == pytest.approx([2 / 3, 2 / 3, 1])


def test_the_figures_of_a_table_made_by_hand() -> None:
    """A write every 100 ms, acknowledged after 10; a read that shows the n-th so long after the next had been there."""
    writes = [(0, "write", "x", n, 100 * n, 100 * n + 10, 0) for n in range(12)]
    ages = {0: 0, 1: 3, 2: 0, 3: 8, 4: 0, 5: 15, 6: 0, 7: 21, 8: 90, 9: 150, 10: 260}
    reads = [
        (n + 1, "read", "x", n, begin := 100 * n + (110 + age if age else 50), begin + 1, 1) for n, age in ages.items()
    ]
    numbers = Staleness.of(history(*writes, *reads)).numbers()
    # Ranks 6, 11 and 11 of 0 0 0 0 3 8 15 21 90 150 260; numpy 2.4.6: quantile(…, method="inverted_cdf") is the same.
    assert numbers == {
        "answers": 11,
        "stale answers, share": pytest.approx(7 / 11),
        "staleness p50, versions at least": 1,  # of 0 0 0 0 1 1 1 1 1 1 2: only two writes come after the ninth
        "staleness p99, versions at least": 2,
        "staleness max, versions at least": 2,
        "staleness p50, ms at least": 8,
        "staleness p99, ms at least": 260,
        "staleness max, ms at least": 260,
    }


def test_check_and_runs_say_the_same() -> None:
    for given in (STALE, STALE.where([0, 1, 4])):
        assert REGISTER.check(given, Options()).numbers == Staleness.of(given).numbers()
        assert REGISTER.check(given, Options(consistency="causal")).numbers == Staleness.of(given).numbers()


def test_without_answers_there_are_no_figures() -> None:
    found = Staleness.of(STALE.where([0]))
    assert found.numbers() == {}
    assert np.isnan(found.visible([1])).all()


def test_what_was_acknowledged_is_lost_and_what_had_failed_is_there() -> None:
    given = history(
        (0, "add", None, 1, 0, 10, 0),
        (0, "add", None, 2, 20, 30, 1),
        (0, "add", None, 3, 60, 70, 1),
        (3, "add", None, 4, 61, 70, 1, "info"),
        (4, "add", None, 5, 62, 71, 0, "fail"),
        (1, "final", None, [3, 5], 100, 101, 0),
        (2, "final", None, [3, 5], 102, 103, 1),
    )
    finals = Finals(given)
    assert (finals.lost.tolist(), finals.resurrected.tolist(), finals.unread.tolist()) == ([0, 1], [4], [])
    assert finals.numbers() == {"acknowledged": 3, "lost everywhere": 2, "not looked for": 0}
    result = MODEL.check(given, Options())
    assert {one.kind: one.count for one in result.anomalies} == {"resurrection": 1, "lost": 2}


def test_nodes_that_disagree_are_named() -> None:
    given = history(
        (0, "write", "x", 1, 0, 10, 0),
        (0, "write", "x", 2, 20, 30, 0),
        (1, "final", "x", 1, 40, 41, 0),
        (1, "final", "x", 2, 42, 43, 0),
        (2, "final", "x", 1, 44, 45, 1),
    )
    result = MODEL.check(given, Options())
    (one,) = result.anomalies
    assert (result.verdict, one.kind, one.count, one.witness) == ("refuted", "divergence", 1, (3, 4))
    assert "at n1" in one.sentence and "at n2" in one.sentence
    assert "is not judged" in result.notes[0]
    assert MODEL.check(given.where([0, 1, 3]), Options()).verdict == "held"


def test_what_was_not_read_stays_open() -> None:
    rows = [(0, "write", "x", 1, 0, 10, 0), (0, "write", "y", 2, 20, 30, 0), (1, "final", "x", 1, 40, 41, 0)]
    assert "no final read looked for: 1" in MODEL.check(history(*rows), Options()).reasons[0]
    rows += [(1, "final", "y", 2, 42, 43, 0), (2, "final", "x", 1, 44, 45, 1)]
    assert "was not asked about it in the end: 1" in MODEL.check(history(*rows), Options()).reasons[0]
    assert "no final reads" in MODEL.check(history(*rows[:2]), Options()).reasons[0]
    nameless = history(*rows[:1], rows[2]).altered(node=np.full(2, -1, dtype=np.int16))
    assert "which node answered" in MODEL.check(nameless, Options()).reasons[0]


def test_a_write_acknowledged_after_the_last_read_began_is_not_lost() -> None:
    given = history(
        (0, "write", "x", 1, 0, 10, 0), (1, "final", "x", None, 5, 12, 0), (2, "final", "x", None, 5, 12, 1)
    )
    result = MODEL.check(given, Options())
    assert (result.verdict, result.numbers["not looked for"]) == ("inconclusive", 1)
