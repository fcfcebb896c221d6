from __future__ import annotations

from itertools import product

import pytest

from chaoskit.analysis.statistics import bootstrap


def test_below_five_trials_there_is_no_interval() -> None:
    assert bootstrap([1.0, 2.0, 3.0, 4.0], seed=1) is None


def test_a_value_that_is_not_known_leaves_no_interval() -> None:
    assert bootstrap([1.0, 2.0, 3.0, 4.0, float("inf")], seed=1) is None


def test_trials_that_agree_leave_no_doubt() -> None:
    found = bootstrap([0.7] * 5, seed=1)
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(0.7), pytest.approx(0.7))


def test_the_interval_is_that_of_all_resamples() -> None:
    """All 5^5 resamples of 1..5: 126 of 3,125 have a mean of 1.8 or less (4.0 %), 56 of 1.6 or less (1.8 %)."""
    means = sorted(sum(draw) / 5 for draw in product([1, 2, 3, 4, 5], repeat=5))
    assert means[round(len(means) * 0.025)] == 1.8
    found = bootstrap([3.0, 1.0, 5.0, 2.0, 4.0], seed=11)
    assert found is not None
    assert (found.mean, found.low, found.high) == (pytest.approx(3.0), pytest.approx(1.8), pytest.approx(4.2))


def test_the_same_seed_says_the_same() -> None:
    values = [0.91, 0.97, 0.99, 0.95, 0.93, 0.96]
    assert bootstrap(values, seed=3) == bootstrap(values, seed=3)
