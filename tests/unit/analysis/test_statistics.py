from __future__ import annotations

from itertools import product

import pytest

from chaoskit.analysis.statistics import bootstrap, holm, most_per_operation, most_per_trial, paired, wilson


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


# Depression scores of nine patients before and after treatment (Hollander and Wolfe, Nonparametric Statistical
# Methods, example 3.1). p is that of scipy 1.17.1, permutation_test(permutation_type="samples", n_resamples=inf);
# the interval that of its bootstrap(method="percentile", n_resamples=200000).
BEFORE = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
AFTER = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]


def test_pairs_against_an_independent_table() -> None:
    found = paired(BEFORE, AFTER, seed=1)
    assert found is not None
    assert (found.mean, found.pairs) == (pytest.approx(0.431889, abs=1e-6), 9)
    assert found.p == pytest.approx(0.02734375)
    assert (found.low, found.high) == (pytest.approx(0.1694, abs=0.02), pytest.approx(0.6909, abs=0.02))


def test_eight_pairs_against_an_independent_table() -> None:
    one = [0.991, 0.987, 0.994, 0.979, 0.988, 0.990, 0.985, 0.992]
    two = [0.982, 0.985, 0.981, 0.975, 0.989, 0.977, 0.980, 0.984]
    found = paired(one, two, seed=1)
    assert found is not None
    assert (found.mean, found.p) == (pytest.approx(0.006625), pytest.approx(0.015625))  # scipy 1.17.1


@pytest.mark.parametrize(("pairs", "interval", "p"), [(4, False, False), (5, True, False), (7, True, False)])
def test_few_pairs_have_no_interval_and_no_p_value(pairs: int, interval: bool, p: bool) -> None:
    found = paired(BEFORE[:pairs], AFTER[:pairs], seed=1)
    assert found is not None
    assert (found.low is not None, found.p is not None) == (interval, p)


def test_many_pairs_are_sampled_and_never_certain() -> None:
    found = paired([1.0] * 30, [0.0] * 30, seed=1)
    assert found is not None and found.p is not None
    assert 0 < found.p < 0.001


def test_pairs_that_are_not_known_have_no_difference() -> None:
    assert paired([], [], seed=1) is None
    assert paired([1.0, float("inf")], [1.0, 2.0], seed=1) is None


def test_holm_against_an_independent_table() -> None:
    """statsmodels 0.15.0, multipletests(method="holm")."""
    assert holm([0.01, 0.04, 0.03, 0.005, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.025, 0.5])
    assert holm([]) == []


@pytest.mark.parametrize(
    ("yes", "count", "low", "high"),
    [
        (0, 10, 0.0, 0.277533),
        (1, 10, 0.017876, 0.40415),
        (5, 10, 0.236593, 0.763407),
        (81, 263, 0.255289, 0.36621),
        (990, 1000, 0.981691, 0.994559),
        (1000, 1000, 0.996173, 1.0),
    ],
)
def test_wilson_against_an_independent_table(yes: int, count: int, low: float, high: float) -> None:
    """scipy 1.17.1, binomtest(yes, count).proportion_ci(method="wilson")."""
    assert wilson(yes, count) == (pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))


def test_bounds_where_nothing_was_seen() -> None:
    assert most_per_operation(3000) == pytest.approx(0.001)
    assert most_per_operation(0) == most_per_trial(0) == wilson(0, 0)[1] == 1.0
    assert most_per_trial(5) == pytest.approx(0.451, abs=0.001)  # scipy: beta.ppf(0.95, 1, 5) = 0.450720
    assert most_per_trial(10) == pytest.approx(0.259, abs=0.001)  # scipy: beta.ppf(0.95, 1, 10) = 0.258866
