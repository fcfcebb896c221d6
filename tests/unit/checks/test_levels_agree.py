"""What is said of levels never contradicts itself: anomalies, the verdict, what is refuted and what is not."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from histories.catalogue import subjects
from histories.comparing import Subject
from histories.simulate import operations

from chaoskit.checks.levels import TRANSACTIONS, implied
from chaoskit.checks.result import Result
from chaoskit.registry import known, load

COUNT = 12


def generators() -> list[Any]:
    """One subject of each generator of histories whose model is one of ours."""
    first: dict[Any, Subject] = {}
    for one in subjects():
        if known("model", getattr(one.model(), "name", "")):
            first.setdefault(one.history, one)
    return [pytest.param(one, id=one.name) for one in first.values()]


@pytest.mark.parametrize("subject", generators())
def test_levels_verdict_and_anomalies_agree(subject: Subject) -> None:
    model: Any = load("model", subject.model().name)
    chance = random.Random(8)
    for _ in range(COUNT):
        given = operations(subject.history(chance))
        found = {
            level: model.check(given, replace(subject.options, consistency=level)) for level in model.levels or (None,)
        }
        for level, result in found.items():
            if level is None:
                assert (result.verdict == "refuted") == bool(result.anomalies)
                assert result.refuted is result.not_refuted is None
            else:
                one_result(level, result)
                all_levels(level, result, found)


def one_result(level: str, result: Result) -> None:
    """A result by itself."""
    broken = {one.level for one in result.anomalies}
    assert (result.verdict == "refuted") == bool(broken & implied(level)), result
    if result.not_refuted is not None:
        assert not broken & implied(result.not_refuted), result
        assert result.refuted not in implied(result.not_refuted), result
    else:
        assert result.verdict != "held", result
    assert (result.refuted is None) == (not broken), result
    if result.refuted is not None:
        assert not broken & (implied(result.refuted) - {result.refuted}), result
        if level not in TRANSACTIONS:  # there an anomaly may refute two levels of which none implies the other
            assert result.refuted in broken, result


def all_levels(level: str, result: Result, found: dict[str, Result]) -> None:
    """A result beside those of the other levels."""
    for other, told in found.items():
        if other in implied(level):
            assert told.verdict != "refuted" or result.verdict == "refuted", (other, level, told, result)
            assert result.verdict != "held" or told.verdict == "held", (other, level, told, result)
    if result.refuted in found:
        assert found[result.refuted].verdict == "refuted", result
    if result.not_refuted in found:
        assert found[result.not_refuted].verdict != "refuted", result
