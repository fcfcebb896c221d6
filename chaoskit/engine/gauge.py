"""Conditions read off the workers' counters while a cell runs: steady state, aborts, and the live view.

Good enough to decide whether to go on, and to show; verdicts come from the history alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from chaoskit.checks.quantities import compare, said
from chaoskit.engine.load import Load
from chaoskit.spec.model import Claim, Condition, Experiment
from chaoskit.traffic.snapshot import Snapshot, Span, between
from chaoskit.units import NS

__all__ = ["Gauge", "measure"]

_WINDOW_S = 1.0  # what "now" means for aborts and the live view


def measure(condition: Condition, span: Span) -> float | None:
    """The value of a condition's quantity in a span; None when nothing ended, or counters cannot tell."""
    quantity, cls = condition.quantity, condition.cls
    if quantity in ("yield", "correct"):
        return span.share("yes", cls)
    if quantity in ("refused", "silent"):
        return span.share(quantity, cls)
    if quantity == "goodput":
        return span.rate("yes", cls)
    if quantity == "rate":
        return span.rate("due", cls)
    if quantity == "max":
        return span.quantile(1.0, cls)
    if quantity.startswith("p"):
        return span.quantile(float(quantity[1:]) / 100.0, cls)
    return None


def _text(condition: Condition, value: float | None) -> str:
    return "n/a" if value is None else said(value, condition.unit)


class Gauge:
    """Reads the counters of one cell."""

    def __init__(self, experiment: Experiment, load: Load) -> None:
        self._experiment, self._load = experiment, load
        self._origins: dict[str | None, Snapshot] = {}  # by side; None = all clients
        self._recent: dict[str | None, deque[Snapshot]] = {}
        self._since: dict[str, int] = {}  # abort condition -> since when it is true
        self._windows: dict[str, Snapshot] = {}  # claim -> snapshot at its window's beginning
        self._claims: dict[str, dict[str, Any]] = {}
        self._phase: tuple[str, int | None] = ("starting", None)

    def phase(self, name: str, until_ns: int | None) -> None:
        """What phase it is and when it is to end."""
        self._phase = (name, until_ns)

    def origin(self) -> None:
        """It is t=0: what ended before was warm-up."""
        sides = {condition.side for condition in self._experiment.steady_state}
        self._origins = {side: self._snapshot(side) for side in (None, *sides)}

    def steady(self) -> tuple[bool, str]:
        """Whether a steady-state condition is broken since t=0, and all of them with their values as a sentence."""
        broken, texts = False, []
        for condition in self._experiment.steady_state:
            value = measure(condition, between(self._origins[condition.side], self._snapshot(condition.side)))
            met = value is not None and compare(value, condition.comparison, condition.value)
            broken |= not met
            texts.append(f"{condition.text}: {_text(condition, value)}{'' if met else ' (not met)'}")
        return broken, "; ".join(texts) or "none asked for"

    def abort(self) -> str | None:
        """The abort condition that has been true for as long as it says, with its value; None while there is none."""
        for condition in self._experiment.abort:
            span = self._last(condition.side)
            value = None if span is None else measure(condition, span)
            if span is None or value is None:  # nothing ended: no news
                continue
            if not compare(value, condition.comparison, condition.value):
                self._since.pop(condition.text, None)
                continue
            since = self._since.setdefault(condition.text, span.earlier.at_ns)
            if span.later.at_ns - since >= (condition.sustain or 0.0) * NS:
                return f"{condition.text} (it was {_text(condition, value)})"
        return None

    def live(self, now_ns: int, active: Sequence[str]) -> dict[str, Any]:
        """Figures for the live view."""
        name, until = self._phase
        found: dict[str, Any] = {
            "phase": name,
            "left_s": None if until is None else max((until - now_ns) / NS, 0.0),
        }
        span = self._last()
        if span is None:
            return found
        later = span.later
        found |= {
            "rate": span.rate("sent"),
            "ok": later.count("ok"),
            "fail": later.count("fail"),
            "info": later.count("info"),
            "yield": span.share("yes"),
            "p50": span.quantile(0.5),
            "p99": span.quantile(0.99),
            "claims": self._standing(later, active),
        }
        return found

    def _snapshot(self, side: str | None) -> Snapshot:
        """What was counted so far, by all clients or by those of a side."""
        return self._load.snapshot() if side is None else self._load.snapshot(self._load.clients(side))

    def _last(self, side: str | None = None) -> Span | None:
        """The last second or so; None while there is none."""
        if self._phase[0] == "starting":
            return None
        now = self._snapshot(side)
        recent = self._recent.setdefault(side, deque())
        if not recent or now.at_ns > recent[-1].at_ns:
            recent.append(now)
        while len(recent) > 2 and now.at_ns - recent[1].at_ns >= _WINDOW_S * NS:
            recent.popleft()
        return between(recent[0], now) if now.at_ns > recent[0].at_ns else None

    def _standing(self, now: Snapshot, active: Sequence[str]) -> list[dict[str, Any]]:
        """How each claim stands that counters can tell about and whose window has begun."""
        for claim in self._experiment.claims:
            # Who stands on the sides of a partition is known for certain when the run is over.
            if claim.condition is None or claim.condition.side is not None or not self._open(claim, active):
                continue
            begin = self._windows.setdefault(claim.id, now)
            value = measure(claim.condition, between(begin, now))
            if value is not None:
                holds = compare(value, claim.condition.comparison, claim.condition.value)
                self._claims[claim.id] = {
                    "id": claim.id,
                    "state": "holds" if holds else "broken",
                    "text": f"{claim.condition.text}: {_text(claim.condition, value)} so far",
                }
        return list(self._claims.values())

    def _open(self, claim: Claim, active: Sequence[str]) -> bool:
        kind, of = claim.window.kind, claim.window.of
        if not self._origins:
            return False
        if kind in ("during", "steady"):
            return of in active
        if kind == "before":
            return self._phase[0] == "baseline"
        if kind == "after":
            return self._phase[0] == "recovery" and of not in active
        return self._phase[0] in ("baseline", "fault", "recovery")
