"""How well the harness itself did: what was not sent, what was sent late, and how late proxy and workers ran."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.limits import LAG_LIMIT, LATENESS_LIMIT, STALL_LIMIT, UNSENT_LIMIT
from chaoskit.checks.quantiles import PER_MILLE, nearest_rank
from chaoskit.checks.sample import Load
from chaoskit.checks.witness import many
from chaoskit.history.operation import NONE, Answer, ErrorCode, Outcome
from chaoskit.store import read_jsonl
from chaoskit.units import format_duration, format_share

__all__ = ["Health", "Lag", "examine", "read_lag"]


@dataclass(frozen=True)
class Lag:
    """How late a loop of the harness ran, in seconds over one cell."""

    p99: float
    maximum: float


@dataclass(frozen=True)
class Health:
    """What the harness did to the figures.

    Attributes:
        send_p50, send_p99: seconds between due and sent.
        unsent: operations that say nothing about the system, never closed and spoilt ones included.
        reasons: why the cell can be no more than inconclusive; empty = the harness kept within its bounds.
    """

    send_p50: float | None
    send_p99: float | None
    unsent: int
    reasons: tuple[str, ...]


def read_lag(files: Iterable[Path], start_ns: int, end_ns: int) -> Lag | None:
    """Lag samples of an interval, from files of `{"t", "lag_ns"}` lines; None when there are none."""
    found: list[float] = []
    for path in files:
        for line in read_jsonl(path):
            t, lag = line.get("t"), line.get("lag_ns")
            if isinstance(t, int) and isinstance(lag, int | float) and start_ns <= t <= end_ns:
                found.append(lag / 1e9)
    if not found:
        return None
    p99, maximum = nearest_rank(np.array(found), [PER_MILLE["p99"], PER_MILLE["max"]])
    return Lag(p99, maximum)


def examine(load: Load, proxy: Lag | None, worker: Lag | None) -> Health:
    """Compare the harness with its bounds (`chaoskit.checks.limits`)."""
    sent = load.where(np.equal(load.sent, NONE, dtype=np.bool_) ^ True)
    error: NDArray[np.float64] = (sent.sent - sent.due) / 1e9
    p50, p99 = nearest_rank(error, [PER_MILLE["p50"], PER_MILLE["p99"]]) if len(error) else (None, None)
    opened = int(np.count_nonzero(load.outcome == Outcome.OPEN))
    raised = int(np.count_nonzero((load.error == ErrorCode.WORKLOAD) & (load.answer == Answer.NONE)))
    unsent = int(np.count_nonzero(load.answer == Answer.NONE)) - opened - raised
    mute = unsent + opened + raised
    reasons = []
    if len(load) and mute / len(load) > UNSENT_LIMIT:
        parts = [f"{many(unsent, 'operation was', 'operations were')} not sent"] * (unsent > 0)
        parts += [f"{many(opened, 'operation was', 'operations were')} never closed because a worker ended"] * (
            opened > 0
        )
        parts += [
            f"{many(raised, 'operation was', 'operations were')} spoilt by an error in the workload's own code"
        ] * (raised > 0)
        bound = format_share(UNSENT_LIMIT)
        reasons.append(f"of the load {', '.join(parts)} ({format_share(mute / len(load))}; {bound} is the bound)")
    if p99 is not None and p99 > LATENESS_LIMIT:
        bound = format_duration(LATENESS_LIMIT)
        reasons.append(f"operations were sent up to {format_duration(p99)} late (p99; {bound} is the bound)")
    for name, lag in (("the proxy", proxy), ("a traffic worker", worker)):
        if lag is None:
            continue
        if lag.p99 > LAG_LIMIT:
            bound = format_duration(LAG_LIMIT)
            reasons.append(f"{name} was at its limit: it lagged {format_duration(lag.p99)} (p99; {bound} is the bound)")
        elif lag.maximum > STALL_LIMIT:
            bound = format_duration(STALL_LIMIT)
            reasons.append(f"{name} stood still for {format_duration(lag.maximum)} once ({bound} is the bound)")
    return Health(send_p50=p50, send_p99=p99, unsent=mute, reasons=tuple(reasons))
