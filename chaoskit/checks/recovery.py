"""Detection and recovery: when clients first suffered, and when they were back to what they had before.

Both look at consecutive bins of due time. Recovered = yield within 5 % and p99 within twice of *before*, for three bins
in a row; the time is that of the first of the three. A recovery that was not seen is not dropped: it took at
least as long as was watched (right-censored).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from chaoskit.checks.limits import RECOVERY_BINS, RECOVERY_SLOWER, RECOVERY_YIELD, SLOW_FLOOR
from chaoskit.checks.quantiles import PER_MILLE, nearest_rank
from chaoskit.checks.sample import Load, Sample
from chaoskit.history.windows import Span

__all__ = ["Bin", "Timing", "bin_width", "bins", "detection", "recovery"]

# A bin's p99 from fewer operations than this is one unlucky operation; bins beyond two seconds blur what is measured.
_OPERATIONS_PER_BIN = 30
_WIDTHS = (0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Bin:
    """One stretch of due time. `places` are operations of the load it was cut from."""

    sample: Sample
    places: slice

    @property
    def yield_(self) -> float:
        """Share answered in time; NaN when nothing was intended."""
        intended = self.sample.intended
        return float(np.count_nonzero(self.sample.yes)) / intended if intended else float("nan")

    def slow(self, limit: float) -> bool:
        """Whether the p99 is above the limit. In a bin of fewer than 100 the p99 is the maximum, and one operation
        makes no trend: it takes two.
        """
        latency = self.sample.latency()
        above = int(np.count_nonzero(latency > limit))
        return above > max(1, int(np.count_nonzero(~np.isnan(latency))) // 100)


@dataclass(frozen=True)
class Timing:
    """When something happened, in seconds from the instant it is counted from.

    Attributes:
        seconds: None = nothing to be seen; with `censored`, it took at least this long.
        culprit: place (in the load) of the operation that shows it, if there is one.
        why: what kept it from being measured; empty when it was.
    """

    seconds: float | None
    censored: bool = False
    culprit: int | None = None
    why: str = ""


def bin_width(load: Load, span: Span) -> float:
    """Seconds per bin: 0.5, 1 or 2, the first in which about 30 operations of this window's rate are due."""
    sample = load.within(span)
    rate = len(sample.load) / span.seconds if span.seconds else 0.0
    # 10 % less will do: with random arrivals the rate that was seen is never quite the one that was asked for.
    return next((width for width in _WIDTHS if rate * width >= 0.9 * _OPERATIONS_PER_BIN), _WIDTHS[-1])


def bins(load: Load, span: Span, width: float) -> list[Bin]:
    """Whole bins of a window, by due time. The last ones whose budget does not lie inside the window are left out."""
    step = round(width * 1e9)
    last = span.end_ns - span.budget_ns
    edges = np.arange(span.start_ns, last + 1, step)
    cuts = np.searchsorted(load.due, edges, side="left")
    found = []
    for first, end, start in zip(cuts[:-1], cuts[1:], edges[:-1], strict=True):
        places = slice(int(first), int(end))
        part = replace(span, start_ns=int(start), end_ns=int(start) + step + span.budget_ns)
        found.append(Bin(Sample(load.where(places), part), places))
    return found


def recovery(load: Load, before: Span, after: Span) -> Timing:
    """Seconds from the heal until the load is served as before.

    Args:
        load: the operations of the class that is asked about.
    """
    calm = load.within(before)
    least, most = RECOVERY_YIELD * Bin(calm, slice(0, 0)).yield_, max(RECOVERY_SLOWER * _p99(calm), SLOW_FLOOR)
    if not np.isfinite(most) or np.isnan(least):
        return Timing(None, why="there was nothing to go back to: no usable p99 before the fault")
    width = bin_width(load, before)
    found = bins(load, after, width)
    if len(found) < RECOVERY_BINS:
        why = f"only {len(found)} stretches of {width:.3g} s after the heal: {RECOVERY_BINS} in a row are needed"
        return Timing(None, why=why)
    good = [one.yield_ >= least and not one.slow(most) for one in found]  # NaN >= is false: no evidence, not good
    for first in range(len(good) - RECOVERY_BINS + 1):
        if all(good[first : first + RECOVERY_BINS]):
            return Timing(first * width, culprit=_sufferer(found[first - 1], most) if first else None)
    trailing = next((n for n, one in enumerate(reversed(good)) if not one), len(good))
    bad = found[len(good) - trailing - 1]
    return Timing((len(good) - trailing) * width, censored=True, culprit=_sufferer(bad, most))


def detection(load: Load, before: Span, during: Span) -> Timing:
    """Seconds from the observed start until clients could notice: first failed answer or end of first slow bin."""
    hurt = load.within(during)
    usual = _p99(load.within(before))
    if np.isnan(usual):
        return Timing(None, why="there was nothing to compare with: no answered operation before the fault")
    bad = np.flatnonzero(hurt.asked & ~hurt.yes)
    known: list[tuple[int, int | None]] = []
    offset = int(np.searchsorted(load.due, during.start_ns, side="left"))
    if len(bad):
        # A refusal is noticed when it comes, silence when the budget is used up.
        due, end = hurt.load.due[bad], hurt.load.end[bad]
        when = np.where(hurt.refused[bad], end, due + during.budget_ns)
        first = int(np.argmin(when))
        known.append((int(when[first]), offset + int(bad[first])))
    limit = max(RECOVERY_SLOWER * usual, SLOW_FLOOR)
    for one in bins(load, during, bin_width(load, before)):
        if one.slow(limit):
            # Whoever is due at the end of the bin is known to be slow only when the limit has passed.
            edge = one.sample.span.end_ns - one.sample.span.budget_ns
            known.append((edge + round(limit * 1e9), _sufferer(one, limit)))
            break
    if not known:
        return Timing(None, why="clients noticed nothing: no failed operation and no slow stretch in this window")
    instant, culprit = min(known, key=lambda pair: pair[0])
    return Timing((instant - during.start_ns) / 1e9, culprit=culprit)


def _p99(sample: Sample) -> float:
    """From the due time, silence counting as infinite; NaN when nothing was answered or awaited."""
    latency = sample.latency()
    return nearest_rank(latency[~np.isnan(latency)], [PER_MILLE["p99"]])[0]


def _sufferer(one: Bin, slow: float) -> int | None:
    """The operation that shows that a bin is bad, as a place in the load."""
    missed = one.sample.asked & ~one.sample.yes
    latency = one.sample.latency()
    places = np.flatnonzero(missed | (latency > slow))
    return one.places.start + int(places[0]) if len(places) else None
