"""Statistics over trials: the trial is the sampling unit, because operations of one trial share its luck.

Below five trials no interval is given: it would promise what so few trials cannot keep. Below eight pairs no p-value
is: with seven, even differences that all have one sign are no rarer than 1 in 64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FEWEST_PAIRS",
    "FEWEST_TRIALS",
    "Difference",
    "Interval",
    "bootstrap",
    "holm",
    "most_per_operation",
    "most_per_trial",
    "paired",
    "resamples",
    "tails",
    "wilson",
]

FEWEST_TRIALS = 5
FEWEST_PAIRS = 8
_RESAMPLES = 10_000
_TAIL = 0.025  # on either side: a 95 % interval
_EXACT = 16  # pairs up to which all choices of signs are tried; above, as many random ones
_NORMAL = 1.959963984540054  # the two-sided 95 % quantile of the normal distribution


@dataclass(frozen=True)
class Interval:
    """A mean over trials with its 95 % percentile interval."""

    mean: float
    low: float
    high: float
    trials: int


@dataclass(frozen=True)
class Difference:
    """The mean of differences between pairs of trials.

    Attributes:
        low, high: 95 % interval; None below five pairs.
        p: how often signs drawn at random would give a mean as far from zero; None below eight pairs. Of several
            comparisons, give all of them to `holm`.
    """

    mean: float
    low: float | None
    high: float | None
    pairs: int
    p: float | None


def bootstrap(values: Sequence[float], seed: int) -> Interval | None:
    """Percentile bootstrap of the mean over trials (Efron 1979); None below five trials or where one is not finite.

    Args:
        values: one per trial.
        seed: of the resampling, so that analysing a run twice says the same.
    """
    if len(values) < FEWEST_TRIALS or not all(np.isfinite(values)):
        return None
    sample = np.asarray(values, dtype=np.float64)
    low, high = tails(sample[resamples(len(sample), seed)].mean(axis=1))
    return Interval(float(sample.mean()), low, high, len(sample))


def paired(first: Sequence[float], second: Sequence[float], seed: int) -> Difference | None:
    """How much two variants differ, trial by trial (the same seed, the same place in the order): first - second.

    The p-value is that of the exact permutation test of Fisher (1935): if the variants were the same, each difference
    could as well have had the other sign. None where there is no pair, or where a value is not finite.
    """
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    count = len(differences)
    if not count or not np.isfinite(differences).all():
        return None
    interval = bootstrap(differences.tolist(), seed)
    low, high = (interval.low, interval.high) if interval else (None, None)
    p = _signs(differences, seed) if count >= FEWEST_PAIRS else None
    return Difference(float(differences.mean()), low, high, count, p)


def holm(p: Sequence[float]) -> list[float]:
    """p-values of several comparisons, adjusted so that together they keep their promise (Holm 1979)."""
    order = np.argsort(p, kind="stable")
    stepped = np.asarray(p, dtype=np.float64)[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0) if len(p) else stepped
    return [float(one) for one in adjusted]


def wilson(yes: int, count: int) -> tuple[float, float]:
    """A 95 % interval of a share within one trial (Wilson 1927): a hint only, as operations of a trial share its luck.

    Of nothing nothing is known: (0, 1).
    """
    if not count:
        return 0.0, 1.0
    share, spread = yes / count, _NORMAL**2 / count
    middle = share + spread / 2
    width = _NORMAL * math.sqrt(share * (1 - share) / count + spread / (4 * count))
    low, high = (middle - width) / (1 + spread), (middle + width) / (1 + spread)
    return (0.0 if yes == 0 else low), (1.0 if yes == count else high)


def most_per_operation(exposed: int) -> float:
    """Where no anomaly was seen: at most so many per exposed operation, 95 % sure, were operations independent ("the
    rule of three", Hanley and Lippman-Hand 1983).
    """
    return min(1.0, 3 / exposed) if exposed else 1.0


def most_per_trial(trials: int) -> float:
    """Where no trial showed an anomaly: at most this share of trials would, 95 % sure. 45 % for 5, 26 % for 10."""
    return float(1 - 0.05 ** (1 / trials)) if trials else 1.0


def resamples(count: int, seed: int) -> NDArray[np.int64]:
    """Which trials are in each of 10,000 samples drawn with replacement; a row per sample."""
    return np.random.default_rng(seed).integers(0, count, (_RESAMPLES, count))


def tails(estimates: NDArray[np.float64]) -> tuple[float, float]:
    """The 2.5 % and the 97.5 % quantile, by nearest rank."""
    ordered = np.sort(estimates)
    low = ordered[max(0, math.ceil(_TAIL * len(ordered)) - 1)]
    high = ordered[math.ceil((1 - _TAIL) * len(ordered)) - 1]
    return float(low), float(high)


def _signs(differences: NDArray[np.float64], seed: int) -> float:
    count = len(differences)
    if count <= _EXACT:
        choices = np.arange(1 << count)[:, None] >> np.arange(count) & 1
    else:
        choices = np.random.default_rng(seed).integers(0, 2, (1 << _EXACT, count))
        choices[0] = 0  # what was seen is one of the possibilities
    means = np.abs((1 - 2 * choices) @ differences)
    seen = abs(differences.sum())
    return float(np.mean(means >= seen * (1 - 1e-12)))
