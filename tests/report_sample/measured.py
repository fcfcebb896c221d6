"""What was measured: series and figures of one cell."""

from __future__ import annotations

import math
from typing import Any

from chaoskit.analysis.model import Quantiles, Series, WindowStats
from chaoskit.checks.model import WindowSpan
from report_sample.asked import DOWN, END, RATES, SLOW, STEP


def wave(i: int) -> float:
    return math.sin(i * 1.7) + 0.5 * math.sin(i * 0.61 + 1)


def series(variant: str) -> tuple[Series, ...]:
    """Rates wobble a little, as Poisson arrivals do; the slow database shows in latency, the timeout in failures."""
    length = int(END / STEP)
    every: dict[str, list[Any]] = {}
    for cls, rate in RATES.items():
        rows: dict[str, list[Any]] = {name: [] for name in ("intended", "yes", "fail", "info", "p50", "p95", "p99")}
        for i in range(length):
            at = i * STEP
            due = max(1, round(rate * STEP + 1.5 * wave(i + len(cls))))
            slow, down = SLOW[0] <= at < SLOW[1], DOWN[0] <= at < DOWN[1]
            fail = info = 0
            base = 0.004 + 0.0007 * wave(i)
            p50, p95, p99 = base, base * 2.1, base * 3.4
            if slow and variant == "patient":
                p50, p95, p99 = (0.021, 0.212, 0.248) if not down else (0.205, 0.228, 0.261)
            elif slow:
                p50, p95, p99 = (0.006, 0.19, 0.247) if not down else (0.201, 0.246, 0.251)
                bad = round(due * (0.33 if down else 0.12 + 0.02 * wave(i)))
                fail, info = (bad, 0) if cls == "resolve" else (bad // 2, bad - bad // 2)
            late = 1 if variant == "patient" and down else 0
            row = (due, due - fail - info - late, fail, info, p50, p95, p99)
            for name, value in zip(rows, row, strict=True):
                rows[name].append(value)
        every[cls] = [rows]
    together = {
        name: [sum(pair) for pair in zip(every["resolve"][0][name], every["create"][0][name], strict=True)]
        for name in ("intended", "yes", "fail", "info")
    } | {name: every["resolve"][0][name] for name in ("p50", "p95", "p99")}
    return tuple(
        Series(cls=cls, start=0.0, step=STEP, **{name: tuple(values) for name, values in rows.items()})
        for cls, rows in (("*", together), ("resolve", every["resolve"][0]), ("create", every["create"][0]))
    )


WINDOWS = (
    WindowSpan(name="before", start=0.0, end=SLOW[0]),
    WindowSpan(name="during slow-db", start=SLOW[0], end=SLOW[1] - 1.5),
    WindowSpan(name="after slow-db", start=SLOW[1], end=END),
)


def stats(found: tuple[Series, ...]) -> tuple[WindowStats, ...]:
    rows = []
    for window in WINDOWS:
        for one in found:
            bins = [i for i in range(len(one.yes)) if window.start <= i * one.step and (i + 1) * one.step <= window.end]
            due, yes, fail, info = (
                sum(getattr(one, name)[i] for i in bins) for name in ("intended", "yes", "fail", "info")
            )
            peak = max((one.p99[i] or 0.0 for i in bins), default=None)
            middle = sorted(one.p50[i] or 0.0 for i in bins)[len(bins) // 2] if bins else None
            quantiles = Quantiles(
                count=yes,
                p50=middle,
                p90=middle and middle * 1.7,
                p95=peak and peak * 0.8,
                p99=peak,
                maximum=peak and peak * 1.3,
            )
            length = window.end - window.start
            rows.append(
                WindowStats(
                    window=window,
                    cls=one.cls,
                    intended=due,
                    ok=due - fail - info,
                    fail=fail,
                    info=info,
                    yes=yes,
                    refused=fail,
                    late=due - fail - info - yes,
                    silent=info,
                    unsent=0,
                    rate=due / length,
                    goodput=yes / length,
                    yield_=yes / due if due else None,
                    response=quantiles,
                    service=quantiles,
                )
            )
    return tuple(rows)
