"""When operations are due: int64 nanoseconds from the start of a phase, a pure function of (seed, worker, phase).

Both kinds of gaps come from one idea, time rescaling: events that are evenly spaced (or a Poisson process of rate 1) on
the axis of the *integrated* rate, mapped back through its inverse, have the planned rate at every instant, exactly,
also inside a ramp (Brown et al., Neural Computation 14, 2002). Events are numbered from the phase's start, so a longer
duration only adds events at the end. Randomness is raw PCG64 output, whose stream NumPy keeps stable (NEP 19).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chaoskit.spec.model import Arrivals

__all__ = ["LOAD", "WARM_UP", "draw_classes", "due_times", "expected", "peak_rate", "rate_at"]

WARM_UP, LOAD = 0, 1  # phases as in the column `phase`; the warm-up is the base rate, whatever the shape

_BLOCK = 4096  # exponentials are summed block by block: the sums do not depend on how many are asked for
_MOST = 50_000_000  # operations a worker may plan; ten times what fits a run of an hour at 1,000/s
_DUE, _CLASS = 0, 1  # independent random streams


class _Piece(NamedTuple):
    """From `start` seconds on (to the next piece) the rate is low + slope * (t - start) per second."""

    start: float
    low: float
    slope: float
    area: float  # integrated rate before it


def due_times(
    arrivals: Arrivals, duration: float, *, seed: int, worker: int = 0, workers: int = 1, phase: int = LOAD
) -> NDArray[np.int64]:
    """Due times of one worker in one phase: sorted int64 nanoseconds in [0, duration).

    The union over all workers has the planned rate: even gaps are dealt round robin, random ones are independent
    Poisson processes of rate/workers each.

    Args:
        duration: of the phase in seconds.

    Raises:
        ValueError: a worker number outside 0..workers-1, or more operations than one worker can plan.
    """
    if not 0 <= worker < workers:
        raise ValueError(f"worker {worker} of {workers}")
    pieces = _pieces(arrivals, phase)
    total = _area(pieces, duration)
    if total / workers > _MOST:
        raise ValueError(f"{total / workers:.3g} operations for one worker; at most {_MOST:,} can be planned")
    if arrivals.random:
        area = _poisson(total / workers, _generator(seed, worker, phase, _DUE)) * workers
    else:
        # Half a gap before the first event: as many fall into any stretch as its area says, rounded.
        area = np.arange(worker, math.ceil(total) + 1, workers, dtype=np.float64) + 0.5
        area = area[area < total]
    due = np.rint(_inverse(pieces, area) * 1e9).astype(np.int64)
    return due[due < round(duration * 1e9)]


def draw_classes(
    mix: Mapping[str, float], classes: Mapping[str, int], count: int, *, seed: int, worker: int = 0, phase: int = LOAD
) -> NDArray[np.int64]:
    """The class (by number) of each of the first `count` operations, drawn by weight from a stream of its own.

    Raises:
        ValueError: no weight is positive.
    """
    names = [name for name, weight in mix.items() if weight > 0]
    if not names:
        raise ValueError("the mix gives no class a weight")
    edges = np.cumsum([mix[name] for name in names])
    numbers = np.array([classes[name] for name in names], np.int64)
    picked = np.searchsorted(edges, _uniform(_generator(seed, worker, phase, _CLASS), count) * edges[-1], side="right")
    return np.asarray(numbers[np.minimum(picked, len(names) - 1)])


def rate_at(arrivals: Arrivals, at: float) -> float:
    """Planned operations per second at `at` seconds of the load."""
    start, over = arrivals.at or 0.0, arrivals.over or 0.0
    peak = arrivals.rate if arrivals.peak is None else arrivals.peak
    if arrivals.shape == "spike":
        return peak if start <= at < start + over else arrivals.rate
    if arrivals.shape == "ramp" and at >= start:
        share = 1.0 if at >= start + over else (at - start) / over
        return arrivals.rate + (peak - arrivals.rate) * share
    return arrivals.rate


def peak_rate(arrivals: Arrivals) -> float:
    """The highest planned rate per second."""
    if arrivals.shape == "constant" or arrivals.peak is None:
        return arrivals.rate
    return max(arrivals.rate, arrivals.peak)


def expected(arrivals: Arrivals, duration: float, *, phase: int = LOAD) -> float:
    """How many operations of all workers are planned in a phase of `duration` seconds (the mean, when random)."""
    return _area(_pieces(arrivals, phase), duration)


def _pieces(arrivals: Arrivals, phase: int) -> list[_Piece]:
    """The rate as pieces that do not depend on how long the phase is: a longer one must begin like a shorter one."""
    if phase == WARM_UP or arrivals.shape == "constant":
        return [_Piece(0.0, arrivals.rate, 0.0, 0.0)]
    start, over = arrivals.at or 0.0, arrivals.over or 0.0
    end, before = start + over, start * arrivals.rate
    inside, last = rate_at(arrivals, start), rate_at(arrivals, math.inf)
    # A ramp within a nanosecond is a step: due times know no less, and the slope would overflow.
    slope = (last - inside) / over if arrivals.shape == "ramp" and over > 1e-9 else 0.0
    return [
        _Piece(0.0, arrivals.rate, 0.0, 0.0),
        _Piece(start, inside, slope, before),
        _Piece(end, last, 0.0, before + over * (inside + over * slope / 2)),
    ]


def _area(pieces: list[_Piece], until: float) -> float:
    """The rate integrated from 0 to `until` seconds."""
    piece = [piece for piece in pieces if piece.start <= until][-1]
    gone = until - piece.start
    return piece.area + gone * (piece.low + piece.slope * gone / 2)


def _inverse(pieces: list[_Piece], area: NDArray[np.float64]) -> NDArray[np.float64]:
    """Seconds at which the integrated rate reaches each of `area`."""
    start, low, slope, before = np.array(pieces).T
    piece = np.searchsorted(before, area, side="right") - 1  # of pieces with no area the last one wins: it has a rate
    rest = area - before[piece]
    low, slope = low[piece], slope[piece]
    # The stable form of the quadratic's root: no difference of nearly equal numbers when the slope is small.
    divisor = low + np.sqrt(np.maximum(low * low + 2 * slope * rest, 0.0))
    return np.asarray(start[piece] + 2 * rest / np.maximum(divisor, 1e-300))


def _poisson(total: float, generator: np.random.PCG64) -> NDArray[np.float64]:
    """Events of a Poisson process of rate 1 up to `total`."""
    blocks, done = [], 0.0
    while done < total:
        block = done + np.cumsum(-np.log1p(-_uniform(generator, _BLOCK)))
        blocks.append(block)
        done = float(block[-1])
    area = np.concatenate(blocks) if blocks else np.empty(0)
    return area[area < total]


def _generator(seed: int, worker: int, phase: int, stream: int) -> np.random.PCG64:
    return np.random.PCG64(np.random.SeedSequence([seed % (1 << 64), worker, phase, stream]))


def _uniform(generator: np.random.PCG64, count: int) -> NDArray[np.float64]:
    """Uniform in [0, 1) with 53 bits."""
    raw: Any = generator.random_raw(count)
    return np.asarray((raw >> np.uint64(11)) * 2.0**-53, np.float64)
