"""One variant over time: outcomes, yield and latency on one time axis, fault bands behind, limits and witnesses on it.

Drawn twice, wide and narrow, because text in a shrunk picture cannot be read on a phone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from chaoskit.report.model import LimitLine, Timeline, YieldLine
from chaoskit.report.series import thinned
from chaoskit.report.svg.draw import (
    Lanes,
    clipped,
    el,
    figure,
    line,
    path,
    polyline,
    rect,
    spread,
    text,
    ticks,
    width_of,
)
from chaoskit.report.text import duration, slug

__all__ = ["Scale", "render", "scale_of"]

WIDE, NARROW = 1040.0, 372.0
_LANE = 19.0
_RATES, _YIELD, _LATENCY = 92.0, 46.0, 128.0
_GAP = 24.0


@dataclass(frozen=True)
class Scale:
    """What all timelines of a report share, so that they can be compared by eye."""

    start: float
    end: float
    rate: float
    fastest: float
    slowest: float


def scale_of(timelines: Sequence[Timeline]) -> Scale:
    """One scale for all: the whole time, the highest rate, all latencies and their limits."""
    start = min(timeline.start for timeline in timelines)
    end = max(timeline.start + timeline.step * len(timeline.ok) for timeline in timelines)
    rate = max(
        (max(map(sum, zip(t.ok, t.late, t.fail, t.info, strict=True)), default=0.0) for t in timelines), default=0
    )
    # From a microsecond: nothing over a network is faster, and a logarithm needs a floor.
    seen = [max(v, 1e-6) for t in timelines for values in (t.p50, t.p95, t.p99) for v in values if v is not None]
    seen += [limit.value for t in timelines for limit in t.limits if limit.value >= 1e-6]
    low, high = (min(seen), max(seen)) if seen else (0.001, 1.0)
    low = 10.0 ** math.floor(math.log10(low) + 0.05)
    high = max(high * 1.25, low * 10)
    return Scale(start, end if end > start else start + 1.0, rate or 1.0, low, high)


def render(timeline: Timeline, scale: Scale, *, narrow: bool = False) -> Markup:
    """The picture of one timeline."""
    width = NARROW if narrow else WIDE
    return _Drawing(thinned(timeline, 90 if narrow else 240), scale, width, narrow).figure()


class _Drawing:
    def __init__(self, timeline: Timeline, scale: Scale, width: float, narrow: bool) -> None:
        self.t, self.scale, self.width, self.narrow = timeline, scale, width, narrow
        self.left, self.right = (46.0, width - 30.0) if narrow else (64.0, width - 44.0)
        self.name = slug(timeline.anchor, "narrow" if narrow else "wide")

    def x(self, at: float) -> float:
        at = min(max(at, self.scale.start), self.scale.end)
        return self.left + (at - self.scale.start) / (self.scale.end - self.scale.start) * (self.right - self.left)

    def figure(self) -> Markup:
        labels, top = self._labels()
        panels: list[Markup] = []
        y = top + 18
        for title, height, draw in self._panels():
            panels.append(text(self.left, y - 6, clipped(title, self.right - self.left, 12), class_="panel"))
            panels.append(draw(y, y + height))
            y += height + _GAP
        bottom = y - _GAP
        return figure(
            self.name,
            self.width,
            bottom + 24,
            f"Timeline of {self.t.variant}",
            self.t.description,
            self._bands(top - 2, bottom),
            labels,
            *panels,
            self._marks(bottom),
            self._time_axis(bottom),
        )

    def _panels(self) -> list[tuple[str, float, Callable[[float, float], Markup]]]:
        found: list[tuple[str, float, Callable[[float, float], Markup]]] = [
            ("Operations per second, by outcome", _RATES, self._rates)
        ]
        for one in self.t.yields:
            cls = "all operations" if one.cls == "*" else one.cls
            found.append((f"Yield of {cls}", _YIELD, lambda top, low, one=one: self._yield(one, top, low)))  # type: ignore[misc]
        cls = "all operations" if self.t.latency_class == "*" else self.t.latency_class
        worst = ", worst per point" if self.t.worst else ""
        title = (
            f"Latency of {cls}, log scale" if self.narrow else f"Latency of {cls} from the due time, log scale{worst}"
        )
        found.append((title, _LATENCY, self._latency))
        return found

    # -- what lies behind and above the panels ------------------------------------------------------------------

    def _bands(self, top: float, bottom: float) -> Markup:
        parts = []
        for band in self.t.bands:
            if band.instant:
                parts.append(line(self.x(band.start), top, self.x(band.start), bottom, "edge"))
                continue
            left, right = self.x(band.start), self.x(band.end if band.end is not None else self.scale.end)
            if band.began:
                parts.append(rect(left, top, right - left, bottom - top, "band"))
                parts.append(line(left, top, left, bottom, "edge"))
                if band.end is not None:
                    parts.append(line(right, top, right, bottom, "edge"))
            else:
                parts.append(rect(left, top, right - left, bottom - top, "band-never"))
        return Markup("").join(parts)

    def _labels(self) -> tuple[Markup, float]:
        """Names of faults and measured times above the panels, each in a row where it meets no other."""
        wanted = [(band.start, band.end, band.label, False) for band in self.t.bands]
        wanted += [(bracket.start, bracket.end, bracket.label, True) for bracket in self.t.brackets]
        lanes, parts = Lanes(), []
        for start, end, label, bracket in sorted(wanted, key=lambda item: item[0]):
            left = self.x(start)
            right = self.x(end if end is not None else self.scale.end)
            shown = clipped(label, self.width - 20, 12)
            wide = width_of(shown) + 8
            at = min(left + 5, self.width - wide)
            if bracket:
                at = min(right + 5, self.width - wide)
            row = lanes.place(min(left, at), max(at + wide, right if bracket else 0.0))
            y = 14 + row * _LANE
            if bracket:
                parts.append(path(f"M{left:.1f},{y - 8:.1f}v8m0,-4H{right:.1f}m0,-4v8", "bracket"))
            parts.append(text(at, y, shown, class_="measure" if bracket else "fault"))
        return Markup("").join(parts), max(lanes.rows, 1) * _LANE + 4

    def _time_axis(self, bottom: float) -> Markup:
        parts = []
        for at in ticks(self.scale.start, self.scale.end, 6 if self.narrow else 12):
            parts.append(line(self.x(at), bottom, self.x(at), bottom + 4, "axis"))
            parts.append(text(self.x(at), bottom + 17, f"{at:g} s", anchor="middle", class_="tick"))
        return Markup("").join(parts)

    def _marks(self, bottom: float) -> Markup:
        """Witnesses: a triangle per operation on the lower edge, and the label that links to the witness."""
        parts, lanes = [], Lanes()
        for mark in self.t.marks:
            # Final reads come after the load: they are in the witness, and not on this axis.
            times = [at for at in mark.times if self.scale.start <= at <= self.scale.end]
            parts += [path(f"M{self.x(at):.1f},{bottom - 8:.1f}l4,8h-8z", "mark") for at in times]
            at = self.x(times[0]) if times else self.right
            wide = width_of(mark.label, 11) + 8
            at = min(max(at, self.left + wide / 2), self.right - wide / 2)
            y = bottom - 25 - lanes.place(at - wide / 2, at + wide / 2 + 2) * 18
            tag = [
                rect(at - wide / 2, y, wide, 15, "tag", rx=3),
                text(at, y + 11.5, mark.label, anchor="middle", class_="tag-text"),
            ]
            parts.append(el("a", *tag, href=f"#{mark.anchor}"))
        return Markup("").join(parts)

    # -- panels ----------------------------------------------------------------------------------------------------

    def _frame(self, top: float, bottom: float, marks: Sequence[tuple[float, str]]) -> Markup:
        parts = []
        for y, label in marks:
            parts.append(line(self.left, y, self.right, y, "grid"))
            parts.append(text(self.left - 6, y + 4, label, anchor="end", class_="tick"))
        parts.append(line(self.left, bottom, self.right, bottom, "axis"))
        return Markup("").join(parts)

    def _rates(self, top: float, bottom: float) -> Markup:
        highest = self.scale.rate * 1.05
        per = (bottom - top) / highest
        marks = [(bottom - at * per, f"{at:g}") for at in ticks(0, highest, 3)]
        base = [0.0] * len(self.t.ok)
        parts = [self._frame(top, bottom, marks)]
        for name in ("ok", "late", "info", "fail"):
            values = getattr(self.t, name)
            boxes = []
            for i, value in enumerate(values):
                if value > 0:
                    left = self.x(self.t.start + i * self.t.step)
                    right = self.x(self.t.start + (i + 1) * self.t.step)
                    high, low = bottom - (base[i] + value) * per, bottom - base[i] * per
                    boxes.append(f"M{left:.1f},{high:.1f}H{right:.1f}V{low:.1f}H{left:.1f}z")
                    base[i] += value
            if boxes:
                parts.append(path("".join(boxes), f"bar {name}"))
        return Markup("").join(parts)

    def _yield(self, one: YieldLine, top: float, bottom: float) -> Markup:
        marks = [(bottom, "0 %"), ((top + bottom) / 2, "50"), (top, "100")]

        def y(value: float) -> float:
            return bottom - value * (bottom - top)

        parts = [self._frame(top, bottom, marks), path(self._curve(one.values, y), "line p99")]
        # Near the axis: close to its line the curve would cross the label.
        parts += [self._limit(limit, y(limit.value), bottom - 5) for limit in one.limits]
        return Markup("").join(parts)

    def _latency(self, top: float, bottom: float) -> Markup:
        low, high = math.log10(self.scale.fastest), math.log10(self.scale.slowest)

        def y(value: float) -> float:
            return bottom - (math.log10(max(value, self.scale.fastest)) - low) / (high - low) * (bottom - top)

        decades = [10.0**power for power in range(math.floor(low), math.ceil(high) + 1)]
        steps = decades if len(decades) > 3 else [f * d for d in decades for f in (1, 2, 5)]
        marks = [(y(at), duration(at)) for at in steps if self.scale.fastest * 0.999 <= at <= self.scale.slowest]
        parts = [self._frame(top, bottom, marks)]
        lasts = []
        for name in ("p50", "p95", "p99"):
            values = getattr(self.t, name)
            parts.append(path(self._curve(values, y), f"line {name}"))
            if (last := next((value for value in reversed(values) if value is not None), None)) is not None:
                lasts.append((name, y(last)))
        places = spread([at for _, at in lasts], 13, top + 4, bottom)
        end = max((i for i, v in enumerate(self.t.p99) if v is not None), default=len(self.t.p99) - 1) + 1
        x = self.x(self.t.start + end * self.t.step) + 5
        parts += [text(x, at + 4, name, class_=f"direct {name}") for (name, _), at in zip(lasts, places, strict=True)]
        places = [y(limit.value) for limit in self.t.limits]
        parts += [
            self._limit(limit, at, at - 4 if at - 14 > top else at + 13)
            for limit, at in zip(self.t.limits, places, strict=True)
        ]
        return Markup("").join(parts)

    def _curve(self, values: Sequence[float | None], y: Callable[[float], float]) -> str:
        middle = self.t.start + self.t.step / 2
        return polyline(
            None if value is None else (self.x(middle + i * self.t.step), y(value)) for i, value in enumerate(values)
        )

    def _limit(self, limit: LimitLine, y: float, baseline: float) -> Markup:
        left, right = self.x(limit.start), self.x(limit.end)
        label = clipped(limit.label, self.right - self.left, 11)
        wide = width_of(label, 11)
        at = min(left + 3, self.right - wide)
        return line(left, y, right, y, f"limit {limit.verdict}") + text(at, baseline, label, class_="limit-text")
