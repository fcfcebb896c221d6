"""A log-linear histogram of durations: 64 cells per doubling, so that a quantile is off by less than 0.8 %.

Cells count microseconds: exact below 64 µs, then each octave [2^k, 2^(k+1)) in 64 equal parts, up to 134 s. Recording
is a batch operation (a few ns a value in NumPy); adding two histograms is adding their cells.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["CELLS", "add", "quantile"]

_BITS = 6
_PER_OCTAVE = 1 << _BITS
_TOP = 27  # octaves end at 2^27 µs = 134 s; longer ones land in the last cell
CELLS = _PER_OCTAVE * (_TOP - _BITS + 1)


def add(cells: NDArray[np.int64], durations_ns: NDArray[np.int64]) -> None:
    """Count each duration (ns; negative ones as 0) in `cells`, in place."""
    if not len(durations_ns):
        return
    micros = np.clip(durations_ns // 1000, 0, (1 << _TOP) - 1)
    # frexp: micros = m * 2^e with m in [0.5, 1), exact for these sizes
    octave = np.maximum(np.frexp(micros.astype(np.float64))[1] - 1, _BITS)
    cell = np.where(
        micros < _PER_OCTAVE, micros, (octave - _BITS + 1) * _PER_OCTAVE + (micros >> (octave - _BITS)) - _PER_OCTAVE
    )
    cells += np.bincount(cell, minlength=CELLS)


def quantile(cells: NDArray[np.int64], q: float) -> float | None:
    """Seconds below or at which a share `q` of the durations lies, by nearest rank (the ceil(q*n)-th smallest).

    The middle of the cell is given; None when nothing was counted.
    """
    count = int(cells.sum())
    if not count:
        return None
    rank = max(1, math.ceil(q * count))
    cell = int(np.searchsorted(np.cumsum(cells), rank))
    if cell < _PER_OCTAVE:
        return (cell + 0.5) / 1e6
    octave, part = divmod(cell, _PER_OCTAVE)
    width = 1 << (octave - 1)
    return ((_PER_OCTAVE + part) * width + width / 2) / 1e6
