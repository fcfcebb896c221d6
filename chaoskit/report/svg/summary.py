"""Variants side by side as two small pictures: yield and p99, from before the faults to after them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from markupsafe import Markup

from chaoskit.report.model import Summary
from chaoskit.report.svg.draw import clipped, el, figure, line, path, polyline, spread, text
from chaoskit.report.text import duration

__all__ = ["MARKERS", "render_p99", "render_yield"]

_WIDTH, _HEIGHT = 500.0, 210.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 370.0, 28.0, 176.0
MARKERS = ("M-4.5,-4.5h9v9h-9z", "M0,-6l6,6l-6,6l-6,-6z", "M0,-5.5l6,10.5h-12z", "M-5.5,-5l11,0l-5.5,10.5z")


def render_yield(phases: Sequence[str], summaries: Sequence[Summary]) -> Markup:
    """Share of operations answered yes within the budget, phase by phase."""
    values = [[phase.yield_ for phase in summary.phases] for summary in summaries]
    seen = [value for row in values for value in row if value is not None]
    low = 0.0 if not seen or min(seen) < 0.9 else 0.9
    marks = [(at, f"{at * 100:g} %") for at in (low, (low + 1) / 2, 1.0)]
    return _slopes("summary-yield", "Yield", phases, summaries, values, marks, lambda v: (v - low) / (1 - low))


def render_p99(phases: Sequence[str], summaries: Sequence[Summary]) -> Markup:
    """p99 of answered operations, phase by phase, on a log scale."""
    values = [[phase.p99 for phase in summary.phases] for summary in summaries]
    seen = [max(value, 1e-6) for row in values for value in row if value is not None]
    low = math.floor(math.log10(min(seen))) if seen else -3
    high = max(math.ceil(math.log10(max(seen))) if seen else 0, low + 1)
    marks = [(10.0**power, duration(10.0**power)) for power in range(low, high + 1)]
    return _slopes(
        "summary-p99",
        "p99 (log scale)",
        phases,
        summaries,
        values,
        marks,
        lambda v: (math.log10(max(v, 10.0**low)) - low) / (high - low),
    )


def _slopes(
    name: str,
    title: str,
    phases: Sequence[str],
    summaries: Sequence[Summary],
    values: Sequence[Sequence[float | None]],
    marks: Sequence[tuple[float, str]],
    height: Callable[[float], float],
) -> Markup:
    def y(value: float) -> float:
        return _BOTTOM - height(value) * (_BOTTOM - _TOP)

    step = (_RIGHT - _LEFT) / max(len(phases), 1)
    xs = [_LEFT + step * (i + 0.5) for i in range(len(phases))]
    parts = [text(0, 14, title, class_="panel")]
    for at, label in marks:
        parts.append(line(_LEFT, y(at), _RIGHT, y(at), "grid"))
        parts.append(text(_LEFT - 6, y(at) + 4, label, anchor="end", class_="tick"))
    parts += [
        text(x, _BOTTOM + 20, clipped(phase, step, 11), anchor="middle", class_="tick")
        for x, phase in zip(xs, phases, strict=True)
    ]
    ends = [next((y(v) for v in reversed(row) if v is not None), None) for row in values]
    known = [i for i, end in enumerate(ends) if end is not None]
    places = dict(zip(known, spread([ends[i] or 0.0 for i in known], 16, _TOP, _BOTTOM), strict=True))
    for i, (summary, row) in enumerate(zip(summaries, values, strict=True)):
        style = f"v{i % 4}"
        points = [None if value is None else (x, y(value)) for x, value in zip(xs, row, strict=True)]
        parts.append(path(polyline(points), f"slope {style}"))
        parts += [
            path(MARKERS[i % 4], f"dot {style}", transform=f"translate({point[0]:.1f} {point[1]:.1f})")
            for point in points
            if point is not None
        ]
        if i in places:
            label = clipped(summary.variant, _WIDTH - _RIGHT - 18, 12)
            parts.append(path(MARKERS[i % 4], f"dot {style}", transform=f"translate({_RIGHT + 4} {places[i]:.1f})"))
            parts.append(text(_RIGHT + 15, places[i] + 4, label, class_="series"))
    words = "; ".join(
        f"{summary.variant}: "
        + ", ".join(
            f"{phase.phase} {phase.yield_text if name.endswith('yield') else phase.p99_text}"
            for phase in summary.phases
        )
        for summary in summaries
    )
    return figure(name, _WIDTH, _HEIGHT, f"{title} per variant and phase", words, el("g", *parts))
