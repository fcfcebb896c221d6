"""Evidence that something comes late."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from statistics import median

from chaoskit.faults.evidence.model import Observation, all_of, counted, ms
from chaoskit.faults.evidence.scene import ASKS, SLACK, Scene
from chaoskit.faults.evidence.sight import LinkSight, trips
from chaoskit.faults.evidence.statistics import change
from chaoskit.probes import ProbeResult, closing, round_trips
from chaoskit.stack.effects import Evidence

__all__ = ["Latency", "SlowClose"]


class Latency(LinkSight):
    """The round trip grows by what was asked."""

    speaks = True

    def __init__(self, item: Evidence, scene: Scene) -> None:
        super().__init__(item, scene)
        self._samples: list[float] = []

    async def look(self) -> Observation:
        """Ask, on old and new connections."""
        base, item = self.base, self.item
        asked_once = item.expected + item.tolerance + (4 * max(base) if base else 0.0)
        limit = round_trips(self.protocol) * asked_once + SLACK
        old, new = await self.ask_all(limit, ASKS - 1)
        results = ([old] if old else []) + new
        self._samples += trips(results)
        asked = f"asked {ms(item.expected)} ms"
        if len(base) < 2 or len(self._samples) < 2:
            return self.said(False, f"{asked}, no comparison: {counted(results)}", self._samples)
        mean, half, least = change(base, self._samples)
        text = f"{asked}, saw {ms(mean)} ± {ms(half, like=mean)} ms"
        if lost := [r for r in results if r.kind != "answered"]:
            text += f" ({counted(lost)})"
        return self.said(_bites(item.expected, half, least), text, self._samples)

    async def gone(self) -> Observation:
        """It answers, about as fast as before."""
        base = self.base
        found = await self.scene.ask(self.link, SLACK + 2 * self.item.expected, ASKS)
        times = trips(found)
        if not all_of(found, "answered"):
            return self.said(False, counted(found), times)
        if not base or not times:
            return self.said(True, "answers again", times)
        more, spread = median(times) - median(base), max(base) - min(base)
        text = f"round trip {ms(median(times))} ms, before {ms(median(base))} ms"
        return self.said(more <= max(self.item.expected / 2, spread), text, times)


class SlowClose(LinkSight):
    """An end that a canary says comes back later than before, by what was asked; on any protocol."""

    holds = False

    def __init__(self, item: Evidence, scene: Scene) -> None:
        super().__init__(item, scene)
        self._before: list[float] = []
        self._samples: list[float] = []

    async def before(self, timeout: float) -> None:
        """How long an end takes."""
        self._before = _ends(await self._close(timeout))

    async def look(self) -> Observation:
        """Close, and wait for the end."""
        expected = self.item.expected
        results = await self._close(expected + SLACK)
        self._samples += _ends(results)
        asked = f"asked {ms(expected)} ms"
        if len(self._before) < 2 or len(self._samples) < 2:
            return self.said(False, f"{asked}, no comparison: {counted(results)}", self._samples)
        mean, half, least = change(self._before, self._samples)
        text = f"{asked}, ends came {ms(mean)} ± {ms(half, like=mean)} ms later"
        return self.said(_bites(expected, half, least), text, self._samples)

    async def gone(self) -> Observation:
        """It answers, and ends come as before."""
        found = await super().gone()
        times = _ends(await self._close(SLACK + self.item.expected))
        if not found.seen or not times or not self._before:
            return found if times else self.said(False, "no end of a connection came")
        more, spread = median(times) - median(self._before), max(self._before) - min(self._before)
        text = f"ends come after {ms(median(times))} ms, before {ms(median(self._before))} ms"
        return self.said(more <= max(self.item.expected / 2, spread), text, times)

    async def _close(self, timeout: float) -> list[ProbeResult]:
        host, port, _, _ = self.scene.places[self.link]
        return list(await asyncio.gather(*(closing(host, port, timeout=timeout) for _ in range(ASKS))))


def _ends(results: Sequence[ProbeResult]) -> list[float]:
    return [r.took for r in results if r.kind == "closed" and r.took is not None]


def _bites(expected: float, half: float, least: float) -> bool:
    """The bound of the change is at least half of what was asked, and the change is known as finely as that: whoever
    looks again and again would else take a lucky moment of a noisy link for a small delay.
    """
    return least >= expected / 2 and half <= expected
