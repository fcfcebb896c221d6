"""The bounds that evidence is judged by: how much a typical value grew, and what share of trials fails. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean, variance

__all__ = ["change", "interval", "pause", "share_above"]

_DOUBT = 0.05  # of every one-sided bound
# Quantiles of Student's t, one-sided 95 % (= two-sided 90 %) and two-sided 95 %, for 1, 2, ... 12 degrees of freedom;
# beyond, the value for 12 is used, which errs on the cautious side.
_T_ONE = (6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812, 1.796, 1.782)
_T_TWO = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179)


def change(before: Sequence[float], after: Sequence[float]) -> tuple[float, float, float]:
    """How much the typical value grew: (difference, half width of its two-sided 95 % interval, one-sided 95 % bound).

    Yuen's test (Biometrika 61, 1974): means with a fifth trimmed off either end, and Winsorized variances, because one
    connect that had to be repeated (a second, on Linux) would else drown what is measured. Degrees of freedom are the
    smaller sample's instead of Welch's: simpler, and never too narrow. Both samples need two values or more.
    """
    mean_before, error_before, kept_before = _trimmed(before)
    mean_after, error_after, kept_after = _trimmed(after)
    error = math.sqrt(error_before + error_after)
    freedom = min(kept_before, kept_after, len(_T_ONE) + 1) - 1
    difference = mean_after - mean_before
    return difference, _T_TWO[freedom - 1] * error, difference - _T_ONE[freedom - 1] * error


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """A mean, the half width of its two-sided 95 % interval, and its one-sided lower 95 % bound (Student's t).

    With a single value the width is not known: it is infinite.
    """
    mean = fmean(values)
    if len(values) < 2:
        return mean, math.inf, -math.inf
    error = math.sqrt(variance(values, mean) / len(values))
    freedom = min(len(values), len(_T_ONE) + 1) - 1
    return mean, _T_TWO[freedom - 1] * error, mean - _T_ONE[freedom - 1] * error


def share_above(hits: int, trials: int) -> float:
    """One-sided lower 95 % bound of a share, of which `hits` in `trials` were seen.

    Exact (Clopper and Pearson, Biometrika 26, 1934): the smallest share at which so many hits, or more, would still
    come up in one of twenty samples.
    """
    if hits == 0:
        return 0.0
    return _solve(lambda share: _at_least(hits, trials, share) >= _DOUBT)


def pause(share: float) -> int:
    """How many slices in a row must be empty, where a `share` of them was not before, for chance to explain it in at
    most one of twenty cases."""
    if share >= 1.0:
        return 1
    return math.ceil(math.log(_DOUBT) / math.log1p(-share))


def _trimmed(values: Sequence[float]) -> tuple[float, float, int]:
    """Trimmed mean, its squared standard error, and how many values it stands on."""
    ordered = sorted(values)
    size = len(ordered)
    cut = size // 5
    kept = ordered[cut : size - cut]
    winsorized = [kept[0]] * cut + kept + [kept[-1]] * cut
    return fmean(kept), (size - 1) * variance(winsorized) / (len(kept) * (len(kept) - 1)), len(kept)


def _at_least(hits: int, trials: int, share: float) -> float:
    """Probability of `hits` or more in `trials` (binomial); by logarithms: terms of long samples are tiny."""
    if share <= 0.0:
        return 0.0 if hits else 1.0
    if share >= 1.0:
        return 1.0
    whole = math.lgamma(trials + 1)
    yes, no = math.log(share), math.log1p(-share)
    return math.fsum(
        math.exp(whole - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * yes + (trials - k) * no)
        for k in range(hits, trials + 1)
    )


def _solve(holds: Callable[[float], bool]) -> float:
    """The smallest share at which a condition that comes true as the share grows is true."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
