"""What a condition compares: one number per quantity, from the operations that count for a window.

Shares are of the operations intended: those that were not sent are the harness's affair and in no denominator.
Latencies are quantiles by nearest rank over the operations that were answered YES and those that were never answered;
the latter count as infinitely slow, because silence must not improve a figure. Refused ones are left out and counted
beside: how fast a system says no is not how fast it works, and `yield` counts them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.limits import MINIMUM_OPERATIONS
from chaoskit.checks.quantiles import PER_MILLE, nearest_rank, needed
from chaoskit.checks.sample import Sample
from chaoskit.spec.model import Comparison, Condition
from chaoskit.units import format_count, format_duration, format_rate, format_share

__all__ = ["LATENCIES", "Measure", "compare", "measure", "said", "worst"]

LATENCIES = frozenset(PER_MILLE) | {f"service {name}" for name in PER_MILLE}


@dataclass(frozen=True)
class Measure:
    """One quantity of one sample.

    Attributes:
        value: in the unit of the quantity (share, seconds, per second); infinite = an operation never answered.
        operations: how many it was computed from. needed: how many it takes.
        beside: what has to be known to read the figure ("12 not answered, 3 refused").
    """

    value: float
    operations: int
    needed: int = MINIMUM_OPERATIONS
    beside: str = ""


def measure(quantity: str, sample: Sample) -> Measure:
    """The quantity over a sample; NaN for a share of nothing. Not for detection, recovery and loss."""
    if quantity in LATENCIES:
        return _latency(quantity, sample)
    intended = sample.intended
    chosen = _counted(quantity, sample)
    if quantity in ("goodput", "rate"):
        seconds = sample.span.seconds
        value = float(np.count_nonzero(chosen)) / seconds if seconds else float("nan")
    else:
        value = float(np.count_nonzero(chosen)) / intended if intended else float("nan")
    return Measure(value, intended, beside=_beside(sample, intended))


def _counted(quantity: str, sample: Sample) -> NDArray[np.bool_]:
    """The operations that a share or a rate counts."""
    match quantity:
        case "yield" | "goodput":
            return sample.yes
        case "correct":
            return sample.yes & ~sample.load.accused
        case "rate":
            return sample.asked
        case "refused":
            return sample.refused
        case "silent":
            return sample.silent
    raise ValueError(f"{quantity!r} is not a share or a rate of operations")


def _latency(quantity: str, sample: Sample) -> Measure:
    since = "sent" if quantity.startswith("service ") else "due"
    per_mille = PER_MILLE[quantity.removeprefix("service ")]
    latency = sample.latency(since)
    latency = latency[~np.isnan(latency)]
    unanswered, refused = int(np.count_nonzero(np.isinf(latency))), int(np.count_nonzero(sample.refused))
    parts = [f"{format_count(unanswered)} never answered count as slower than any"] * (unanswered > 0)
    parts += [f"{format_count(refused)} refused are left out"] * (refused > 0)
    return Measure(
        nearest_rank(latency, [per_mille])[0],
        len(latency),
        needed=max(MINIMUM_OPERATIONS, needed(per_mille)),
        beside=", ".join(parts),
    )


def _beside(sample: Sample, intended: int) -> str:
    counts = {
        "refused": int(np.count_nonzero(sample.refused)),
        "not answered": int(np.count_nonzero(sample.silent)),
        "answered too late": int(np.count_nonzero(sample.late)),
        "not sent by the harness": sample.unsent,
    }
    return ", ".join(f"{format_count(count)} {what}" for what, count in counts.items() if count)


def worst(condition: Condition, sample: Sample) -> NDArray[np.intp]:
    """Operations that stand against the condition, the worst first, as places in the sample."""
    upper = condition.comparison in (">=", ">")
    if condition.quantity in LATENCIES:
        since = "sent" if condition.quantity.startswith("service ") else "due"
        latency = sample.latency(since)
        slow = ~np.isnan(latency) & ((latency > condition.value) if not upper else (latency < condition.value))
        places = np.flatnonzero(slow)
        order = np.argsort(latency[places], kind="stable")
        return places[order] if upper else places[order[::-1]]
    if condition.quantity == "rate":
        return np.empty(0, dtype=np.intp)  # too little or too much load is nobody's operation
    counted = _counted(condition.quantity, sample)
    # Where the figure is too low, what was not counted stands against it; where it is too high, what was.
    against = sample.asked & (~counted if upper else counted)
    places = np.flatnonzero(against)
    gravity = sample.silent[places] * 3 + sample.late[places] * 2 + sample.refused[places]
    return places[np.argsort(-gravity.astype(np.int64), kind="stable")]


def compare(value: float, comparison: Comparison, limit: float) -> bool:
    """Whether the value is as claimed."""
    match comparison:
        case ">=":
            return value >= limit
        case "<=":
            return value <= limit
        case ">":
            return value > limit
        case "<":
            return value < limit
        case "==":
            return value == limit


def said(value: float, unit: str) -> str:
    """A value as people read it."""
    if unit == "share":
        return format_share(value)
    if unit == "per-second":
        return format_rate(value)
    return format_duration(value) if unit == "seconds" else f"{value:g}"
