from __future__ import annotations

import math

import numpy as np
import pytest

from chaoskit.checks.quantiles import nearest_rank, needed, rank


# Worked by hand: q * n, rounded up to a whole rank.
@pytest.mark.parametrize(
    ("per_mille", "count", "expected"),
    [
        (500, 1, 1),
        (500, 2, 1),
        (500, 3, 2),
        (500, 10, 5),
        (900, 10, 9),
        (900, 11, 10),
        (950, 20, 19),
        (990, 99, 99),
        (990, 100, 99),
        (990, 101, 100),
        (990, 300, 297),
        (999, 1000, 999),
        (999, 1650, 1649),
        (1000, 7, 7),
    ],
)
def test_ranks_are_rounded_up(per_mille: int, count: int, expected: int) -> None:
    assert rank(per_mille, count) == expected


# The example of the method's usual description: 15, 20, 35, 40, 50 has p40 = 20 and p50 = 35.
def test_quantiles_are_values_that_occurred() -> None:
    values = np.array([40.0, 15.0, 50.0, 35.0, 20.0])
    assert nearest_rank(values, [300, 400, 500, 1000]) == [20.0, 20.0, 35.0, 50.0]


def test_infinite_values_are_the_largest() -> None:
    values = np.array([1.0] * 98 + [np.inf] * 2)
    assert nearest_rank(values, [500, 980, 990]) == [1.0, 1.0, math.inf]


def test_no_values_have_no_quantiles() -> None:
    assert math.isnan(nearest_rank(np.empty(0), [500])[0])


@pytest.mark.parametrize(
    ("per_mille", "expected"), [(500, 2), (900, 10), (950, 20), (990, 100), (999, 1000), (1000, 1)]
)
def test_a_quantile_needs_as_many_values_as_make_it_differ_from_the_maximum(per_mille: int, expected: int) -> None:
    assert needed(per_mille) == expected
