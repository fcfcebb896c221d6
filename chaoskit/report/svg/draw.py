"""Small parts that all pictures are drawn from. Every attribute and text is escaped here and nowhere else.

Widths of text are estimated: the browser's font is not known. The estimate is generous, so that labels do not meet.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

__all__ = [
    "Lanes",
    "clipped",
    "el",
    "figure",
    "line",
    "path",
    "polyline",
    "rect",
    "spread",
    "text",
    "ticks",
    "width_of",
]


def _format(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    return str(value)


def el(tag: str, *children: Markup, **attributes: object) -> Markup:
    """One element. `class_` is class, `_` in names is `-`; None leaves an attribute out."""
    found = "".join(
        f' {escape(name.rstrip("_").replace("_", "-"))}="{escape(_format(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    inner = "".join(children)
    return Markup(f"<{tag}{found}>{inner}</{tag}>" if inner else f"<{tag}{found}/>")


def text(x: float, y: float, content: str, *, anchor: str | None = None, class_: str | None = None) -> Markup:
    """A line of text with its baseline at y."""
    return el("text", Markup(escape(content)), x=x, y=y, text_anchor=anchor, class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return el("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def rect(x: float, y: float, width: float, height: float, class_: str, *, rx: float | None = None) -> Markup:
    """A rectangle; never narrower than a hair, so that a short interval is still seen."""
    return el("rect", x=x, y=y, width=max(width, 0.8), height=max(height, 0.0), rx=rx, class_=class_)


def path(d: str, class_: str, **attributes: object) -> Markup:
    """A path."""
    return el("path", d=d, class_=class_, **attributes)


def figure(name: str, width: float, height: float, title: str, description: str, *children: Markup) -> Markup:
    """The whole picture. `name` must be unique in the page; title and description are its text alternative."""
    return Markup(
        f'<svg class="pic" viewBox="0 0 {_format(width)} {_format(height)}" width="{_format(width)}" '
        f'height="{_format(height)}" role="img" aria-labelledby="{escape(name)}-t {escape(name)}-d">'
        f'<title id="{escape(name)}-t">{escape(title)}</title><desc id="{escape(name)}-d">{escape(description)}</desc>'
        f"{''.join(children)}</svg>"
    )


def width_of(content: str, size: float = 12.0) -> float:
    """About how wide a text is."""
    return sum(0.62 if ord(c) < 0x2E80 else 1.1 for c in content) * size


def clipped(content: str, width: float, size: float = 12.0) -> str:
    """The text cut to a width, with an ellipsis; whole texts stand in a table beside every picture."""
    if width_of(content, size) <= width:
        return content
    kept = max(1, int(width / (0.62 * size)) - 1)
    while kept > 1 and width_of(content[:kept], size) > width - 0.7 * size:
        kept -= 1
    return content[:kept].rstrip() + "…"


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers between low and high, at most about `most`."""
    span = high - low
    if span <= 0 or most < 1:
        return [low]
    raw = span / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(found for factor in (1, 2, 5, 10) if (found := factor * power) >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions near the wanted ones, in the same order, at least `gap` apart and inside [low, high] where they fit."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    found = list(wanted)
    at = low - gap
    for i in order:
        at = found[i] = max(wanted[i], at + gap)
    at = high + gap
    for i in reversed(order):
        at = found[i] = min(found[i], at - gap)
    return found


class Lanes:
    """Puts labels into as few rows as possible so that none meets another."""

    def __init__(self) -> None:
        self._ends: list[float] = []

    def place(self, start: float, end: float) -> int:
        """The row (from 0) for something that covers [start, end]; call in the order of `start`."""
        for row, taken in enumerate(self._ends):
            if taken <= start:
                self._ends[row] = end
                return row
        self._ends.append(end)
        return len(self._ends) - 1

    @property
    def rows(self) -> int:
        """How many rows are in use."""
        return len(self._ends)


def polyline(points: Iterable[tuple[float, float] | None]) -> str:
    """Path data through points, broken at None; a point alone becomes a short dash, else it would not be seen."""
    parts: list[str] = []
    run: list[tuple[float, float]] = []
    for point in (*points, None):
        if point is not None:
            run.append(point)
            continue
        if len(run) == 1:
            x, y = run[0]
            parts.append(f"M{_format(x - 1.5)},{_format(y)}h3")
        elif run:
            parts.append("M" + "L".join(f"{_format(x)},{_format(y)}" for x, y in run))
        run = []
    return "".join(parts)
