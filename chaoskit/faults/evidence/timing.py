"""Evidence that something comes late."""

from __future__ import annotations

from statistics import median

from chaoskit.faults.evidence.model import Observation, all_of, counted, ms
from chaoskit.faults.evidence.scene import ASKS, SLACK, Scene
from chaoskit.faults.evidence.sight import LinkSight, trips
from chaoskit.faults.evidence.statistics import change
from chaoskit.stack.effects import Evidence

__all__ = ["Latency"]


class Latency(LinkSight):
    """The round trip grows by what was asked."""

    speaks = True

    def __init__(self, item: Evidence, scene: Scene) -> None:
        super().__init__(item, scene)
        self._samples: list[float] = []

    async def look(self) -> Observation:
        """Ask, on old and new connections."""
        base, item = self.base, self.item
        limit = item.expected + item.tolerance + SLACK + (4 * max(base) if base else 0.0)
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
        return self.said(least >= item.expected / 2, text, self._samples)

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
