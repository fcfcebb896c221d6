"""Evidence of what is done beside or to the nodes: processor time really burnt, and actions that returned."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from chaoskit.faults.evidence.model import Observation
from chaoskit.faults.evidence.scene import Scene
from chaoskit.faults.evidence.sight import Sight
from chaoskit.faults.evidence.statistics import interval
from chaoskit.stack.effects import Evidence, burners_of

__all__ = ["Done", "Stressed"]

_APART = 0.2  # seconds between the two readings of one sample
_LEAST = 3  # samples: fewer have no interval to speak of


class Stressed(Sight):
    """Processor time that the burners beside a node had per second, as the kernel counts it; and beside it how long
    the node's own processes waited for a processor, which is what the node feels of it."""

    def __init__(self, item: Evidence, scene: Scene) -> None:
        super().__init__(item, scene)
        assert item.node is not None
        self._node: str = item.node
        self._burners = burners_of(item.node)
        self._before: float | None = None  # seconds per second that the node waited
        self._burnt: list[float] = []  # processors, one sample a look
        self._waited: list[float] = []

    async def before(self, timeout: float) -> None:
        """How long the node waits for processors anyway."""
        self._before = await self._rate(self._node, "waited_s")

    async def seen(self) -> Observation:
        """One more sample; the lower 95 % bound of their mean is at least half of what was asked."""
        burnt, waited = await asyncio.gather(self._rate(self._burners, "cpu_s"), self._rate(self._node, "waited_s"))
        asked = f"asked {self.item.expected:g} processor{'' if self.item.expected == 1 else 's'}"
        if burnt is None:
            return self.said(False, f"{asked}: nobody burns any, or the kernel does not count it")
        self._burnt.append(burnt)
        self._waited += [] if waited is None else [waited]
        mean, half, least = interval(self._burnt)
        if len(self._burnt) < _LEAST:
            return self.said(False, f"{asked}, burnt {mean:.2f} so far")
        return self.said(least >= self.item.expected / 2, f"{asked}, burnt {mean:.2f} ± {half:.2f}{self._felt()}")

    async def gone(self) -> Observation:
        """Nobody burns any more."""
        found = await self.scene.processes(self._burners)
        if isinstance(found, str):
            return self.said(False, found)
        return self.said(not found, f"{len(found)} processes still burn" if found else "nothing is burnt any more")

    def _felt(self) -> str:
        if not self._waited:
            return ""
        now = sum(self._waited) / len(self._waited)
        before = "" if self._before is None else f", {_ms(self._before)} before"
        return f"; its processes waited {_ms(now)} per second for one{before}"

    async def _rate(self, name: str, what: str) -> float | None:
        """How much a count of these processes grew per second, in a short while; None where it is not known."""
        start, old = time.monotonic(), await self._read(name, what)
        await asyncio.sleep(_APART)
        end, new = time.monotonic(), await self._read(name, what)
        both = old.keys() & new.keys()
        return sum(new[who] - old[who] for who in both) / (end - start) if both else None

    async def _read(self, name: str, what: str) -> Mapping[object, float]:
        found = await self.scene.processes(name)
        if isinstance(found, str):
            return {}
        rows = ((process.get("outer"), process.get(what)) for process in found)
        return {who: value for who, value in rows if isinstance(value, int | float)}


class Done(Sight):
    """An action returned: the supervisor confirms nothing else. What it changed is for the claims to say."""

    async def seen(self) -> Observation:
        """It was confirmed, or nobody would ask."""
        return self.said(True, "the action returned without an error; what it changed was not looked at")

    async def gone(self) -> Observation:
        """As above: what could not be taken back would have been an error."""
        return self.said(True, "nothing of the action is under way any more")


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms"
