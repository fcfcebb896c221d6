"""Evidence that data is cut into pieces: the link's count of reads that it cut, and what a canary is sent by it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, median

from chaoskit.faults.evidence.carrying import Carrying, moved
from chaoskit.faults.evidence.model import Observation, count
from chaoskit.faults.evidence.scene import ASKS, SLACK, Reading
from chaoskit.faults.evidence.statistics import change
from chaoskit.probes import ProbeResult
from chaoskit.units import format_size

__all__ = ["Sliced"]

# Pieces of an answer that are looked for at most: without a pause between them the kernel sends ten or so as they are,
# and puts the rest together again as acknowledgements come.
_APART = 20


class Sliced(Carrying):
    """Reads are cut into pieces of `expected` ± `tolerance` bytes.

    A count of reads that were cut is the proxy's own word. Where a canary speaks the protocol, and answers are what is
    cut, its kernel's count of the segments that an answer comes in must bear it out; elsewhere the text says whose word
    it is. Reads of the canary would show nothing: one that is late finds many segments together.
    """

    by_requests = False

    async def before(self, timeout: float) -> None:
        """Ask before the counting begins: what a canary sends is counted as well."""
        if self.protocol != "tcp" and self.item.stream != "up":
            await self.scene.learn(self.link, timeout)
        await super().before(timeout)

    async def look(self) -> Observation:
        """By what is counted, and then by what arrives."""
        found = await super().look()
        if not found.seen or not self.scene.counts(self.link):
            return found
        usual, asked, size = self._usual()
        if asked < 2:
            return found.model_copy(update={"text": f"{found.text}, by the proxy's own count alone"})
        seen, text = self._compared(usual, asked, size, await self.scene.ask(self.link, SLACK, ASKS))
        return found.model_copy(update={"seen": seen, "text": f"{found.text}; {text}"})

    def judge(self, before: Sequence[Reading], now: Sequence[Reading]) -> Observation:
        """Something was cut, and passed."""
        passed, hits = sum(moved(now, way) for way in self.ways), self.hits(now)
        text = f"{count(hits, 'read')} cut into pieces of about {format_size(self.item.expected)}, "
        text += f"{format_size(passed)} passed"
        nothing = not passed and not any(moved(before, way) for way in self.ways)
        return self.said(hits > 0 and passed > 0, text, idle=nothing)

    async def ask(self) -> Observation:
        """An answer comes in many segments."""
        usual, asked, size = self._usual()
        if not usual:
            return self.said(False, "no comparison: too few answers")
        if asked < 2:
            return self.said(False, f"an answer of {format_size(size)} is too short to be cut")
        return self.said(*self._compared(usual, asked, size, await self.scene.ask(self.link, SLACK, ASKS)))

    async def gone(self) -> Observation:
        """As of every fault that is counted, and answers come in as few segments as before, where that was known."""
        found = await super().gone()
        usual, asked, size = self._usual()
        if not found.seen or asked < 2:
            return found
        still, text = self._compared(usual, asked, size, await self.scene.ask(self.link, SLACK, ASKS))
        return self.said(False, f"{text}, still") if still else found

    def _usual(self) -> tuple[list[float], int, float]:
        """Segments of answers before the fault, those that are asked for (1: it cannot be told), bytes of an answer."""
        base = [found for found in self.scene.base(self.link) if found.kind == "answered" and found.segments]
        if len(base) < 2 or self.item.stream == "up":
            return [], 1, 0.0
        size = median(found.size for found in base)
        usual = _segments(base, size)
        pieces = min(math.ceil(size / (self.item.expected + self.item.tolerance)), _APART)
        return usual, pieces if pieces > fmean(usual) else 1, size

    def _compared(
        self, usual: Sequence[float], asked: int, size: float, found: Sequence[ProbeResult]
    ) -> tuple[bool, str]:
        """Whether answers came in so many more segments as were asked for, by half at least, and that in words."""
        now = _segments(found, size)
        if len(now) < 2:
            return False, "no comparison: too few answers"
        _, _, least = change(usual, now)
        text = f"an answer of {format_size(size)} comes in {count(round(fmean(now)), 'segment')}, "
        text += f"{round(fmean(usual))} before"
        return least >= (asked - fmean(usual)) / 2, text


def _segments(found: Sequence[ProbeResult], size: float) -> list[float]:
    """Segments per `size` bytes, also of answers that did not come whole in time."""
    return [one.segments * size / one.size for one in found if one.segments and one.size]
