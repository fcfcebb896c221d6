"""Statistics over trials: the trial is the sampling unit, because operations of one trial share its luck.

Below five trials no interval is given: it would promise what so few trials cannot keep.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["FEWEST_TRIALS", "Interval", "bootstrap"]

FEWEST_TRIALS = 5
_RESAMPLES = 10_000
_TAIL = 0.025  # on either side: a 95 % interval


@dataclass(frozen=True)
class Interval:
    """A mean over trials with its 95 % percentile interval."""

    mean: float
    low: float
    high: float
    trials: int


def bootstrap(values: Sequence[float], seed: int) -> Interval | None:
    """Percentile bootstrap of the mean over trials (Efron 1979); None below five trials or where one is not finite.

    Args:
        values: one per trial.
        seed: of the resampling, so that analysing a run twice says the same.
    """
    if len(values) < FEWEST_TRIALS or not all(np.isfinite(values)):
        return None
    sample = np.asarray(values, dtype=np.float64)
    draws = np.random.default_rng(seed).integers(0, len(sample), (_RESAMPLES, len(sample)))
    means = np.sort(sample[draws].mean(axis=1))
    low = means[max(0, int(np.ceil(_TAIL * _RESAMPLES)) - 1)]
    high = means[int(np.ceil((1 - _TAIL) * _RESAMPLES)) - 1]
    return Interval(float(sample.mean()), float(low), float(high), len(sample))
