"""Locks: held once, by whom, and with which token."""

from __future__ import annotations

import random
from typing import Any

import pytest
from histories.simulate import Call, operations

from chaoskit.checks.power import power
from chaoskit.checks.result import Options, Result
from chaoskit.errors import HistoryError
from chaoskit.registry import load


def calls(*rows: tuple[Any, ...]) -> list[Call]:
    """(process, "acquire" or "release", invoked, completed[, outcome[, token[, value]]])"""
    made = []
    for process, f, invoked, completed, *more in rows:
        outcome, token, value = (*more, *("ok", None, None)[len(more) :])
        made.append(Call(process, f, value, None, token, outcome=outcome, invoked=invoked, completed=completed))
    return made


def check(model: str, *rows: tuple[Any, ...]) -> Result:
    return load("model", model).check(operations(calls(*rows)), Options())  # type: ignore[no-any-return]


HELD = ((0, "acquire", 1, 2), (0, "release", 3, 4), (1, "acquire", 5, 6))


@pytest.mark.parametrize("model", ["mutex", "reentrant-mutex", "fenced-mutex"])
def test_one_after_the_other(model: str) -> None:
    assert check(model, *HELD).verdict == "held"
    found = check(model, HELD[0], HELD[1], HELD[2], (2, "acquire", 7, 8))
    assert found.verdict == "refuted"
    # The release is no part of it: it was over before.
    assert [(one.kind, one.witness) for one in found.anomalies] == [("not-linearizable", (2, 3))]


@pytest.mark.parametrize("model", ["mutex", "reentrant-mutex", "fenced-mutex"])
def test_a_release_under_way_may_come_first(model: str) -> None:
    assert check(model, (0, "acquire", 1, 2), (0, "release", 3, 9), (1, "acquire", 4, 5)).verdict == "held"
    assert check(model, (0, "acquire", 1, 2), (0, "release", 6, 9), (1, "acquire", 4, 5)).verdict == "refuted"


@pytest.mark.parametrize("model", ["mutex", "reentrant-mutex", "fenced-mutex"])
def test_unknown_outcomes_may_have_happened_or_not(model: str) -> None:
    assert check(model, (0, "acquire", 1, 2, "info"), (1, "acquire", 3, 4)).verdict == "held"
    lost = ((0, "acquire", 1, 2), (0, "release", 3, 4, "info"), (1, "acquire", 5, 6))
    assert check(model, *lost).verdict == "held"
    assert check(model, *lost, (2, "acquire", 7, 8)).verdict == "refuted"


@pytest.mark.parametrize("model", ["mutex", "reentrant-mutex", "fenced-mutex"])
def test_what_nobody_holds_is_not_released(model: str) -> None:
    assert [one.kind for one in check(model, (0, "release", 1, 2)).anomalies] == ["thin-air"]
    assert check(model, (0, "acquire", 1, 2, "fail"), (0, "release", 3, 4)).verdict == "refuted"


def test_who_releases_matters_to_locks_that_know_their_holder() -> None:
    rows = ((0, "acquire", 1, 2), (1, "release", 3, 4))
    assert check("mutex", *rows).verdict == "held"
    assert check("reentrant-mutex", *rows).verdict == "refuted"
    assert check("fenced-mutex", *rows).verdict == "refuted"


def test_a_holder_may_acquire_again_and_has_to_release_as_often() -> None:
    twice = ((0, "acquire", 1, 2), (0, "acquire", 3, 4), (0, "release", 5, 6))
    assert check("mutex", *twice).verdict == "refuted"
    assert check("fenced-mutex", *twice).verdict == "refuted"
    assert check("reentrant-mutex", *twice, (0, "release", 7, 8), (1, "acquire", 9, 10)).verdict == "held"
    assert check("reentrant-mutex", *twice, (1, "acquire", 9, 10)).verdict == "refuted"


def test_tokens_grow() -> None:
    first = ((0, "acquire", 1, 2, "ok", 5), (0, "release", 3, 4))
    assert check("fenced-mutex", *first, (1, "acquire", 5, 6, "ok", 6)).verdict == "held"
    assert check("fenced-mutex", *first, (1, "acquire", 5, 6, "ok", None)).verdict == "held"
    for token in (5, 4):
        found = check("fenced-mutex", *first, (1, "acquire", 5, 6, "ok", token))
        assert found.verdict == "refuted"
        assert {0, 2} <= set(found.anomalies[0].witness)


def test_clients_and_tokens_in_maps_as_jepsen_writes_them() -> None:
    def one(process: int, f: str, began: int, client: str, fence: int = 0) -> tuple[Any, ...]:
        return process, f, began, began + 1, "ok", {"client": client, "fence": fence}, {"client": client}

    mine = (one(0, "acquire", 1, "a", 7), one(9, "release", 3, "a"))
    assert check("fenced-mutex", *mine, one(1, "acquire", 5, "b", 0)).verdict == "held"
    assert check("fenced-mutex", *mine, one(1, "acquire", 5, "b", 6)).verdict == "refuted"
    with pytest.raises(HistoryError, match="names no client"):
        check("fenced-mutex", *mine, (1, "acquire", 5, 6, "ok", 8))


def test_a_token_is_a_number() -> None:
    with pytest.raises(HistoryError, match="no whole number"):
        check("fenced-mutex", (0, "acquire", 1, 2, "ok", "x"))


def test_a_thousand_acquisitions_of_unknown_outcome_cost_little() -> None:
    rows = [(number, "acquire", number + 1, number + 2, "info") for number in range(1000)]
    end = ((2000, "acquire", 3000, 3001), (2000, "release", 3002, 3003), (2001, "release", 3004, 3005))
    assert check("mutex", *rows, *end).verdict == "held"
    found = check("reentrant-mutex", *rows, *end)
    assert found.verdict == "refuted"
    assert "1,000" in found.notes[1]


@pytest.mark.parametrize("model", ["mutex", "reentrant-mutex", "fenced-mutex"])
def test_planted_bugs_are_found(model: str) -> None:
    rows = []
    for turn in range(20):
        rows.append((turn % 3, "acquire", 10 * turn + 1, 10 * turn + 2, "ok", turn + 1))
        rows.append((turn % 3, "release", 10 * turn + 3, 10 * turn + 4))
    found = power(load("model", model), operations(calls(*rows)), Options(), random.Random(1), tries=10)
    assert all(one.struck and one.share and one.share >= 0.9 for one in found.strikes)
