"""Times of which some were not seen to end: recoveries that took longer than anybody watched.

Dropping them would make the slowest systems look best, and counting them as the time that was watched would make them
look faster than they are. They are kept as what they are: "at least" (right-censored).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chaoskit.analysis.statistics import FEWEST_TRIALS, resamples, tails

__all__ = ["Median", "Step", "curve", "median"]

_HALF = 0.5 + 1e-9  # a product of fractions that is a half on paper may be a little more in floating point


@dataclass(frozen=True)
class Step:
    """From `seconds` on, this share of trials is not over. `at_risk`: trials that were still watched just before."""

    seconds: float
    left: float
    at_risk: int


@dataclass(frozen=True)
class Median:
    """A median over trials, and its 95 % interval.

    Attributes:
        seconds: None = more than half were not over when nobody watched any more.
        low, high: None without an interval (too few trials); infinite where the bound was not reached either.
        censored: trials of which only "at least" is known.
    """

    seconds: float | None
    low: float | None
    high: float | None
    trials: int
    censored: int


def curve(seconds: Sequence[float], censored: Sequence[bool]) -> tuple[Step, ...]:
    """The product-limit estimate (Kaplan and Meier 1958), a step for every time at which a trial was over.

    Args:
        seconds: one per trial; where it is censored, the time until which was watched.
    """
    times, over = _ordered(seconds, censored)
    left, found = 1.0, []
    for time in np.unique(times[over]):
        at_risk = int(np.count_nonzero(times >= time))
        left *= 1 - np.count_nonzero(over & (times == time)) / at_risk
        found.append(Step(float(time), float(left), at_risk))
    return tuple(found)


def median(seconds: Sequence[float], censored: Sequence[bool], seed: int) -> Median:
    """The first time by which half of the trials are over; without censoring, the nearest-rank median.

    The interval is the percentile bootstrap over trials, each resampled with its censoring (Efron 1981). None below
    five trials.
    """
    times, over = _ordered(seconds, censored)
    count = len(times)
    once = _medians(times, over, np.ones((1, count), dtype=np.int64))[0] if count else np.inf
    low = high = None
    if count >= FEWEST_TRIALS:
        draws = resamples(count, seed)
        often = np.zeros((len(draws), count), dtype=np.int64)
        np.add.at(often, (np.arange(len(draws))[:, None], draws), 1)
        low, high = tails(_medians(times, over, often))
    return Median(float(once) if np.isfinite(once) else None, low, high, count, int(np.count_nonzero(~over)))


def _ordered(seconds: Sequence[float], censored: Sequence[bool]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """By time; of equal ones those that were over first, because the others lasted at least as long."""
    times, open_end = np.asarray(seconds, dtype=np.float64), np.asarray(censored, dtype=np.bool_)
    order = np.lexsort((open_end, times))
    return times[order], ~open_end[order]


def _medians(times: NDArray[np.float64], over: NDArray[np.bool_], often: NDArray[np.int64]) -> NDArray[np.float64]:
    """The median of each sample in which trial i is there often[:, i] times; infinite where it was not reached."""
    at_risk = np.cumsum(often[:, ::-1], axis=1)[:, ::-1]
    gone = often * over
    left = np.cumprod(1 - gone / np.maximum(at_risk, 1), axis=1)
    reached = left <= _HALF
    first = np.argmax(reached, axis=1)
    return np.where(reached.any(axis=1), times[first], np.inf)
