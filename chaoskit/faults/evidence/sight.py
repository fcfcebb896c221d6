"""One piece of evidence being looked for: what every kind of it has in common."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from chaoskit.faults.evidence.model import Observation, all_of, counted
from chaoskit.faults.evidence.scene import SLACK, Scene
from chaoskit.probes import Canary, ProbeResult
from chaoskit.stack.effects import Evidence
from chaoskit.stack.topology import Protocol

__all__ = ["LinkSight", "Sight", "Unknown", "trips"]


class Sight(ABC):
    """Made anew for each injection and told `before`, then `seen` again and again, then `gone` again and again: what it
    learns it keeps, so that bounds get tighter from look to look.

    Class attributes:
        counting: it reads the links' counters.
    """

    counting: ClassVar[bool] = False

    def __init__(self, item: Evidence, scene: Scene) -> None:
        self.item = item
        self.scene = scene

    async def before(self, timeout: float) -> None:
        """Learn what it is like without the fault."""
        return

    @abstractmethod
    async def seen(self) -> Observation:
        """One look while the fault lasts: does it bite?"""

    @abstractmethod
    async def gone(self) -> Observation:
        """One look after it was taken back: is all as before? `seen` then means seen to be gone."""

    def close(self) -> None:
        """Hang up; idempotent."""
        return

    @classmethod
    def blind(cls, item: Evidence, protocol: Protocol, counted: bool) -> str | None:
        """Why this can never be seen on a link of that protocol, as the end of a sentence; None where it can.

        Args:
            counted: the server counts what its links carry; the real Toxiproxy does not.
        """
        return None

    def said(self, seen: bool, text: str, samples: Sequence[float] = (), *, idle: bool = False) -> Observation:
        """The observation, with the place in front of its text."""
        where = self.item.link or self.item.node
        return Observation(
            evidence=self.item, seen=seen, text=f"{where}: {text}" if where else text, samples=tuple(samples), idle=idle
        )


class Unknown(Sight):
    """A kind that nobody here knows: never seen, and never the reason to believe that a fault stayed."""

    async def seen(self) -> Observation:
        """Not."""
        return self.said(False, f"nothing here knows how to see {self.item.kind!r}")

    async def gone(self) -> Observation:
        """As above."""
        return self.said(False, f"nothing here knows how to see {self.item.kind!r}")


class LinkSight(Sight):
    """Of a link, by asking over it.

    Class attributes:
        speaks: a canary must speak the link's protocol; on plain TCP it could not see this.
        holds: it wants a connection that is older than the fault.
        asks: how often a healed link is asked.
    """

    speaks: ClassVar[bool] = False
    holds: ClassVar[bool] = True
    asks: ClassVar[int] = 2

    def __init__(self, item: Evidence, scene: Scene) -> None:
        super().__init__(item, scene)
        assert item.link is not None
        self.link: str = item.link
        self.protocol = scene.places[self.link][2]
        self.old: Canary | None = None

    async def before(self, timeout: float) -> None:
        """Round trips, and a connection that will be older than the fault."""
        if not self.holds:
            await self.scene.learn(self.link, timeout)
            return
        host, port, protocol, path = self.scene.places[self.link]
        self.old = Canary(host, port, protocol, path)
        await asyncio.gather(self.scene.learn(self.link, timeout), self.old.open(timeout))

    @classmethod
    def blind(cls, item: Evidence, protocol: Protocol, counted: bool) -> str | None:
        """Where a canary would have to speak."""
        if cls.speaks and protocol == "tcp":
            return f"a canary on plain TCP cannot show {item.kind}: declare the link's protocol"
        return None

    async def seen(self) -> Observation:
        """One look, unless it cannot show anything."""
        reason = self.blind(self.item, self.protocol, self.scene.counts(self.link))
        return await self.look() if reason is None else self.said(False, reason)

    @abstractmethod
    async def look(self) -> Observation:
        """One look while the fault lasts."""

    async def gone(self) -> Observation:
        """It answers."""
        found = await self.scene.ask(self.link, SLACK, self.asks)
        if not all_of(found, "answered"):
            return self.said(False, counted(found), trips(found))
        return self.said(True, "answers again", trips(found))

    def close(self) -> None:
        """Hang up."""
        if self.old is not None:
            self.old.close()

    @property
    def base(self) -> list[float]:
        """Round trips before the fault."""
        return trips(self.scene.base(self.link))

    async def ask_all(self, timeout: float, count: int) -> tuple[ProbeResult | None, list[ProbeResult]]:
        """Ask over the connection that is older than the fault (None once it has ended) and over new ones, at once."""
        if self.old is None or not self.old.is_open:
            return None, await self.scene.ask(self.link, timeout, count)
        old, new = await asyncio.gather(self.old.ask(timeout), self.scene.ask(self.link, timeout, count))
        return old, new


def trips(results: Sequence[ProbeResult]) -> list[float]:
    """Round trips of those that were answered."""
    return [r.rtt for r in results if r.kind == "answered" and r.rtt is not None]
