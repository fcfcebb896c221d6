"""What all pieces of evidence of one injection look at together: asks over the links, the links' own counters, and the
processes of nodes."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from chaoskit.errors import ChaosKitError
from chaoskit.faults.evidence.model import Counters, Pids, Place, all_of
from chaoskit.probes import ProbeResult, probe
from chaoskit.toxiproxy.model import LinkCounters

__all__ = ["ASKS", "SLACK", "Reading", "Scene"]

ASKS = 7  # per round, all at once, each over a connection of its own
SLACK = 2.0  # seconds that an answer may take beyond what was asked: the machine may be busy
_STAGGER = 0.01  # seconds between the connects of a round
_EVERY = 0.2  # seconds between two readings of the counters
_KEPT = 3000  # readings, ten minutes of them


class Reading(NamedTuple):
    """What a link had carried at an instant of time.monotonic()."""

    at: float
    link: LinkCounters


class Scene:
    """One injection's; the same arguments as `Witness`."""

    def __init__(self, places: Mapping[str, Place], pids: Pids, counters: Counters) -> None:
        self.places = places
        self._pids = pids
        self._counters = counters
        self._base: dict[str, asyncio.Task[list[ProbeResult]]] = {}
        self._readings: deque[tuple[float, Mapping[str, LinkCounters]]] = deque(maxlen=_KEPT)
        self._reader: asyncio.Task[None] | None = None
        self._asked = asyncio.Event()

    async def ask(self, link: str, timeout: float, count: int = ASKS) -> list[ProbeResult]:
        """Ask `count` times, nearly at once, over new connections: a simple server's backlog holds but a few."""
        host, port, protocol, path = self.places[link]

        async def one(number: int) -> ProbeResult:
            await asyncio.sleep(number * _STAGGER)
            return await probe(host, port, protocol, path=path, timeout=timeout)

        return list(await asyncio.gather(*map(one, range(count))))

    async def learn(self, link: str, timeout: float) -> list[ProbeResult]:
        """Ask before the fault, two rounds: once per link, however many want to know."""

        async def twice() -> list[ProbeResult]:
            found = await self.ask(link, timeout)
            # A link that does not answer has had its time: the fault is due.
            return found + await self.ask(link, timeout) if all_of(found, "answered") else found

        if link not in self._base:
            self._base[link] = asyncio.create_task(twice())
        return await self._base[link]

    def base(self, link: str) -> list[ProbeResult]:
        """What was answered before the fault; nothing when nobody asked."""
        task = self._base.get(link)
        return task.result() if task is not None and task.done() and not task.cancelled() else []

    async def processes(self, node: str) -> list[Mapping[str, object]] | str:
        """Living processes (zombies are dead), or why they are not known."""
        try:
            return [process for process in await self._pids(node) if process.get("state") not in ("Z", "X")]
        except ChaosKitError as error:
            return f"not known: {error.message}"

    def counts(self, link: str) -> bool:
        """Whether the server counts what this link carries, as far as is known."""
        return any(link in found for _, found in self._readings)

    async def first_reading(self) -> None:
        """Wait until the counters were asked once, in vain or not; at most a second."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._asked.wait(), 1.0)

    def count(self) -> None:
        """Begin to read the links' counters, every fifth of a second; nothing when that goes on already."""
        if self._reader is None:
            self._reader = asyncio.create_task(self._read())

    async def stop_counting(self) -> None:
        """Read no more; what was read is kept."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.cancel()
            with suppress(asyncio.CancelledError):
                await reader

    def close(self) -> None:
        """Drop what is under way; idempotent."""
        for task in (self._reader, *self._base.values()):
            if task is not None:
                task.cancel()

    def readings(self, link: str, since: float, until: float = float("inf")) -> list[Reading]:
        """What was read of a link between two instants of time.monotonic(); empty where nobody counts."""
        return [
            Reading(at, found[link]) for at, found in list(self._readings) if since <= at <= until and link in found
        ]

    async def _read(self) -> None:
        due = time.monotonic()
        while True:
            with suppress(ChaosKitError):  # a reading that fails is a gap, and the next one may not
                found = await self._counters()
                self._readings.append((time.monotonic(), found))
            self._asked.set()
            due = max(due + _EVERY, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
