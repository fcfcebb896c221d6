"""Against tables that were not made here."""

from __future__ import annotations

import math

import pytest

from chaoskit.analysis.summary import _observed
from chaoskit.analysis.survival import curve, median
from chaoskit.checks.model import Finding

# Remission in weeks under 6-mercaptopurine (Freireich et al. 1963), True = still in remission when last seen. The
# estimates are those of scipy 1.17.1: stats.ecdf(CensoredData.right_censored(...)).sf, the same as in every textbook.
WEEKS = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
STILL = [n in (3, 5, 7, 8, 11, 12, 13, 16, 17, 18, 19, 20) for n in range(21)]
ESTIMATES = {6: 0.857143, 7: 0.806723, 10: 0.752941, 13: 0.690196, 16: 0.627451, 22: 0.537815, 23: 0.448179}


def test_the_curve_is_that_of_the_textbooks() -> None:
    found = {step.seconds: step.left for step in curve(WEEKS, STILL)}
    assert found == {week: pytest.approx(left, abs=1e-6) for week, left in ESTIMATES.items()}


def test_at_risk_is_who_was_watched_just_before() -> None:
    assert [step.at_risk for step in curve(WEEKS, STILL)] == [21, 17, 15, 12, 11, 7, 6]


def test_the_median_is_where_the_curve_falls_to_a_half() -> None:
    found = median(WEEKS, STILL, seed=1)
    assert (found.seconds, found.trials, found.censored) == (23, 21, 12)
    # Brookmeyer and Crowley's interval (statsmodels 0.15.0, cloglog) is 13 to not reached.
    assert found.low is not None and found.high is not None
    assert 10 <= found.low <= 16
    assert math.isinf(found.high)


def test_without_censoring_it_is_the_nearest_rank() -> None:
    assert median([4.0, 1.0, 3.0, 2.0], [False] * 4, seed=1).seconds == 2.0
    assert median([4.0, 1.0, 3.0, 2.0, 9.0], [False] * 5, seed=1).seconds == 3.0


def test_a_recovery_that_was_not_seen_counts_as_longer_and_not_as_none() -> None:
    seconds = [2.5, 3.0, 4.5, 5.5, 7.0, 9.0]
    assert median(seconds, [False, False, False, False, True, True], seed=1).seconds == 4.5
    assert median(seconds, [True, False, False, False, True, True], seed=1).seconds == 5.5


def test_more_than_half_unseen_has_no_median() -> None:
    found = median([1.0, 9.0, 9.0, 9.0, 9.0], [False, True, True, True, True], seed=1)
    assert found.seconds is None
    assert found.high == math.inf


def test_below_five_trials_there_is_no_interval() -> None:
    found = median([1.0, 2.0, 3.0, 4.0], [False] * 4, seed=1)
    assert (found.low, found.high) == (None, None)


def test_nothing_has_no_median() -> None:
    assert median([], [], seed=1).seconds is None
    assert curve([], []) == ()


def test_the_same_seed_says_the_same() -> None:
    assert median(WEEKS, STILL, seed=4) == median(WEEKS, STILL, seed=4)


@pytest.mark.parametrize(
    ("unseen", "expected"),
    [
        (1, "median 3 s (95 % interval 1 s to beyond what was watched), 5 trials, 1 of them not seen to end"),
        (4, "median beyond what was watched (8 s), 5 trials, 4 of them not seen to end"),
    ],
)
def test_a_claim_over_trials_keeps_what_was_not_seen(unseen: int, expected: str) -> None:
    values = [1.0, 2.0, 3.0, 4.0, 8.0]
    findings = [
        Finding(
            claim="c",
            verdict="refuted",
            expected="recovery <= 5 s",
            observed="",
            value=value,
            limit=5.0,
            unit="seconds",
            censored=place >= 5 - unseen,
        )
        for place, value in enumerate(values)
    ]
    assert _observed(findings, findings[-1], seed=1) == expected
