"""The bounds that evidence is judged by, against published values and by simulation."""

from __future__ import annotations

import random
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaoskit.faults.evidence.statistics import change, interval, pause, share_above


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [
        # One-sided 95 % bounds: the ends of two-sided 90 % Clopper-Pearson intervals.
        (0, 10, 0.0, 1 - 0.05**0.1),
        (10, 10, 0.05**0.1, 1.0),
        (1, 10, 0.005116, 0.394163),
        (5, 10, 0.222441, 0.777559),
    ],
)
def test_exact_bounds_of_a_share(hits: int, trials: int, low: float, high: float) -> None:
    assert share_above(hits, trials) == pytest.approx(low, abs=2e-4)
    assert share_above(trials - hits, trials) == pytest.approx(1 - high, abs=2e-4)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_bound_is_where_chance_becomes_one_in_twenty(case: tuple[int, int]) -> None:
    hits, trials = case
    low = share_above(hits, trials)
    assert 0.0 <= low <= hits / trials
    if hits:
        tail = sum(comb(trials, k) * low**k * (1 - low) ** (trials - k) for k in range(hits, trials + 1))
        assert tail == pytest.approx(0.05, rel=1e-6)


def test_long_samples_do_not_vanish() -> None:
    assert 0.008 < share_above(100, 10_000) < 0.01


def test_a_mean_and_its_interval() -> None:
    mean, half, least = interval([1.0, 2.0, 3.0])
    assert (mean, half) == (2.0, pytest.approx(4.303 / 3**0.5))
    assert least == pytest.approx(2.0 - 2.920 / 3**0.5)
    assert interval([4.0])[0] == 4.0 and interval([4.0])[2] == float("-inf")


def test_how_long_a_pause_is_no_chance() -> None:
    assert pause(1.0) == 1
    for share in (0.05, 0.2, 0.5, 0.9):
        assert (1 - share) ** pause(share) <= 0.05 < (1 - share) ** (pause(share) - 1)


def test_looking_again_and_again_does_not_make_a_fault() -> None:
    """The rule of latency: the bound is half of what was asked, and the change is known as finely as that."""
    draw = random.Random(11)

    def sample(size: int, more: float) -> list[float]:
        return [draw.uniform(0.0, 0.05) + more + (1.0 if draw.random() < 0.02 else 0.0) for _ in range(size)]

    def ever_seen(asked: float, real: float) -> bool:
        before, now = sample(14, 0.0), []
        for _ in range(20):
            now += sample(7, real)
            _, half, least = change(before, now)
            if least >= asked / 2 and half <= asked:
                return True
        return False

    for asked in (0.001, 0.01, 0.03, 0.2):
        assert sum(ever_seen(asked, 0.0) for _ in range(60)) <= 4
    assert sum(ever_seen(0.2, 0.2) for _ in range(60)) >= 55
