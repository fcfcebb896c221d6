"""Where clients stood, and when what they wrote was acknowledged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chaoskit.checks import acknowledged
from chaoskit.checks.context import CheckContext
from chaoskit.checks.sides import by_time_and_side, standing
from chaoskit.history.windows import Disturbance

ORIGIN = 5_000_000_000_000
SIDES = {"cut": {"majority": ("client@n1", "n1"), "minority": ("client@n2", "n2")}}


def at(seconds: float) -> int:
    return ORIGIN + round(seconds * 1e9)


CUT = Disturbance("cut", planned_ns=at(10), length_ns=10**10, start_ns=at(10), heal_ns=at(20))


@pytest.fixture
def split(book: Any) -> Any:
    """Twelve keys written by three clients at 5, 12, 15 and 25 s; in the end those of n2 are gone."""
    book.nodes += ["client@n1", "client@n2", "n1", "n2"]
    for due in (5, 12, 15, 25):
        for client in ("client@n1", "client@n2", "client"):
            book.write(due, f"{due} {client}", f"{due} {client}", source=client)
    for due in (5, 12, 15, 25):
        for client in ("client@n1", "client@n2", "client"):
            kept = f"{due} {client}" if client == "client@n1" else None
            book.read(40, f"{due} {client}", kept, phase=2)
    return book


def test_rows_stand_where_their_client_stood(split: Any) -> None:
    history = split.history()
    assert standing(history, SIDES["cut"])[:6].tolist() == [0, 1, -1] * 2
    history.rows["source"][0] = -1
    assert standing(history, SIDES["cut"])[:2].tolist() == [-1, 1]
    assert standing(history, {}).max() == -1


def test_losses_are_told_by_time_and_side(split: Any) -> None:
    found = acknowledged.check(split.history(), CheckContext((CUT,), SIDES))
    assert found.anomalies == {"lost": 8}
    assert found.split == {
        "acknowledged before cut": 2,
        "acknowledged during cut at majority": 0,
        "acknowledged during cut at minority": 2,
        "acknowledged during cut": 2,  # by the client that stood on no side
        "acknowledged after cut": 2,
    }


def test_without_sides_a_fault_has_one_count(split: Any) -> None:
    found = acknowledged.check(split.history(), CheckContext((CUT,)))
    assert found.split == {"acknowledged before cut": 2, "acknowledged during cut": 4, "acknowledged after cut": 2}


def test_a_fault_that_was_not_healed_lasts_and_one_that_was_not_seen_is_left_out(split: Any) -> None:
    endless = Disturbance("endless", planned_ns=at(10), length_ns=None, start_ns=at(10), heal_ns=None)
    unseen = Disturbance("unseen", planned_ns=at(10), length_ns=None, start_ns=None, heal_ns=None)
    found = by_time_and_side(split.history(), np.arange(12), (endless, unseen), SIDES)
    assert found == {
        "acknowledged before endless": 3,
        "acknowledged during endless": 9,
        "acknowledged after endless": 0,
    }


def test_single_nodes_are_no_sides_and_one_side_has_one_count(split: Any) -> None:
    """As a partition tells its sides: every member by itself, and the same members under two names."""
    alone = {"n1": ("n1", "client@n1"), "n2": ("n2", "client@n2")}
    sides = {
        "cut": {**alone, "isolated": ("client@n2", "n2"), "rest": ("client@n1", "n1"), "minority": ("client@n2", "n2")}
    }
    found = by_time_and_side(split.history(), np.arange(12), (CUT,), sides)
    assert found == {
        "acknowledged before cut": 3,
        "acknowledged during cut at isolated or minority": 2,
        "acknowledged during cut at rest": 2,
        "acknowledged during cut": 2,
        "acknowledged after cut": 3,
    }


def test_where_all_stood_on_a_side_nobody_is_elsewhere(split: Any) -> None:
    history = split.history()
    inside = np.flatnonzero((standing(history, SIDES["cut"]) >= 0) & (history.rows["t_due"] < at(30)))
    assert by_time_and_side(history, inside, (CUT,), SIDES) == {
        "acknowledged before cut": 2,
        "acknowledged during cut at majority": 2,
        "acknowledged during cut at minority": 2,
        "acknowledged after cut": 2,
    }
