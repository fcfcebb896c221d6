"""A witness as an interval diagram, in the manner of Porcupine: one bar per operation, from sent to answered.

Milliseconds stand beside minutes in most witnesses, so the time axis keeps the order exact and squeezes the distances;
the true times stand at both ends of every bar.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from markupsafe import Markup

from chaoskit.report.model import OpView, WitnessView
from chaoskit.report.svg.draw import Lanes, clipped, figure, line, path, rect, text, width_of
from chaoskit.report.text import duration, slug

__all__ = ["render", "squeezed"]

WIDE, NARROW = 1040.0, 372.0
_WIDE_EDGE, _NARROW_EDGE = 80.0, 62.0  # room for times beside the bars
_NARROW_SPAN = NARROW - 2 * _NARROW_EDGE
_ROW = 46.0
_CLOSEST = 26.0  # pixels between two different instants


def render(witness: WitnessView, *, narrow: bool = False, timed: bool = True) -> Markup:
    """The picture of one witness.

    Args:
        timed: False where instants are but places in an order: then none are written.
    """
    width = NARROW if narrow else WIDE
    edge = _NARROW_EDGE if narrow else _WIDE_EDGE
    place = _Places(_instants(witness), edge, width - edge)
    labels, top = _moments(witness, place, width, timed)
    # Narrow: the answer stands on a line of its own. Slow: the limit is named below the bar.
    row = _ROW + (15.0 if narrow else 0.0) + (12.0 if witness.limit is not None else 0.0)
    bottom = top + row * len(witness.operations)
    # Room for the numbers: of the witness (1, 2, …) or of a file (operation 123,456).
    indent = max([16.0, *(width_of(str(op.number), 12.5) + 8 for op in witness.operations)])
    bars = [
        _bar(op, witness, place, top + row * i, width, indent, narrow, timed) for i, op in enumerate(witness.operations)
    ]
    lines = [line(place(m.at), top - 2, place(m.at), bottom, "moment") for m in witness.moments]
    words = " ".join(
        f"{op.number}: {op.who}, {op.call}, {op.answer}{f', {_times(op)}' if timed else ''}."
        for op in witness.operations
    )
    return figure(
        slug(witness.anchor, "narrow" if narrow else "wide"),
        width,
        bottom + 4,
        f"Witness {witness.label}: operations as intervals",
        f"{witness.sentence} {words}",
        *lines,
        labels,
        *bars,
    )


class _Places:
    """Time to pixels. True to scale where every distance can be seen so; else squeezed: order kept, logarithmic."""

    def __init__(self, instants: Iterable[float], left: float, right: float) -> None:
        self._at = sorted(set(instants)) or [0.0]
        gaps = [later - sooner for sooner, later in zip(self._at, self._at[1:], strict=False)]
        span, smallest = sum(gaps), min(gaps, default=1.0)
        # Judged for the narrow picture, so that both pictures of a witness say the same.
        self.squeezed = bool(gaps) and _NARROW_SPAN * smallest / span < _CLOSEST
        # 1 for the smallest gap, and one more for each factor of ten.
        weights = [1.0 + math.log10(gap / smallest) for gap in gaps] if self.squeezed else gaps
        least = min(_CLOSEST, (right - left) / len(gaps)) if self.squeezed else 0.0
        free = right - left - least * len(gaps)
        self._x = [left if gaps else (left + right) / 2]
        for weight in weights:
            self._x.append(self._x[-1] + least + free * weight / sum(weights))

    def __call__(self, at: float) -> float:
        """The pixel of an instant that was given."""
        return self._x[self._at.index(at)]


def squeezed(witness: WitnessView) -> bool:
    """Whether the picture of this witness is not to scale."""
    return _Places(_instants(witness), 0.0, _NARROW_SPAN).squeezed


def _begin(op: OpView, witness: WitnessView) -> float:
    return op.due if witness.limit is not None or op.sent is None else op.sent


def _instants(witness: WitnessView) -> Iterable[float]:
    for op in witness.operations:
        yield _begin(op, witness)
        if op.end is not None:
            yield op.end
        if witness.limit is not None:
            yield op.due + witness.limit
    for moment in witness.moments:
        yield moment.at
    if any(op.end is None for op in witness.operations):
        yield _never(witness)


def _never(witness: WitnessView) -> float:
    """An instant after all others, where bars without an answer end."""
    found = [op.end if op.end is not None else op.due for op in witness.operations]
    found += [moment.at for moment in witness.moments]
    found += [op.due + (witness.limit or 0.0) for op in witness.operations]
    return max(found) + 1.0


def _moments(witness: WitnessView, place: _Places, width: float, timed: bool) -> tuple[Markup, float]:
    lanes, parts = Lanes(), []
    for moment in sorted(witness.moments, key=lambda moment: moment.at):
        label = clipped(f"{moment.label} {_instant(moment.at)}" if timed else moment.label, width - 8, 12)
        wide = width_of(label)
        at = min(max(place(moment.at) - wide / 2, 0.0), width - wide)
        parts.append(text(at, 13 + lanes.place(at, at + wide + 8) * 17, label, class_="fault"))
    return Markup("").join(parts), lanes.rows * 17 + 6.0


def _bar(
    op: OpView,
    witness: WitnessView,
    place: _Places,
    top: float,
    width: float,
    indent: float,
    narrow: bool,
    timed: bool,
) -> Markup:
    left = place(_begin(op, witness))
    right = place(op.end if op.end is not None else _never(witness))
    call = f"{op.who}: {op.call}"
    words = [call, f"→ {op.answer}"] if narrow else [f"{call} → {op.answer}"]
    parts = [text(0, top + 15, str(op.number), class_="op-number")]
    room = width - indent - 4
    parts += [text(indent, top + 15 + 15 * i, clipped(w, room, 12.5), class_="op") for i, w in enumerate(words)]
    y = top + 7 + 15 * len(words)
    parts.append(rect(left, y, right - left, 14, f"op-bar {op.outcome}", rx=2))
    if witness.limit is not None:
        x = place(op.due + witness.limit)
        parts.append(line(x, y - 4, x, y + 18, "limit refuted"))
        parts.append(text(x, y + 29, f"limit {duration(witness.limit)}", anchor="middle", class_="limit-text"))
    if timed:
        parts.append(text(left - 6, y + 11.5, _instant(_begin(op, witness)), anchor="end", class_="tick"))
    if op.end is None:
        parts.append(path(f"M{right:.1f},{y:.1f}l8,7l-8,7z", f"op-bar {op.outcome}"))
        parts.append(text(right + 11, y + 11.5, "never", class_="tick"))
    elif timed:
        parts.append(text(right + 6, y + 11.5, _instant(op.end), class_="tick"))
    return Markup("").join(parts)


def _instant(at: float) -> str:
    return f"{at:.3f} s"


def _times(op: OpView) -> str:
    end = "never answered" if op.end is None else f"answered {_instant(op.end)}"
    return f"sent {_instant(op.sent) if op.sent is not None else 'never'}, {end}"
