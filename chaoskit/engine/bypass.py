"""Whether traffic takes its links: what they carried, and who is connected past them. Written down; judged later."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from chaoskit.engine.block import Block
from chaoskit.errors import ChaosKitError
from chaoskit.units import NS

__all__ = ["Bypass"]

_EVERY_NS = NS // 10  # between two looks for connections past the links
_SHARE = 10  # a look takes at most one part in so many of the time: where it is slow there are fewer
_PATIENCE_S = 1.0  # for the counters: no fault is to wait longer for its heal because the proxy is slow to answer


class Bypass:
    """Of one cell: writes the events `leaked` and `counters`."""

    def __init__(self, block: Block) -> None:
        self._block = block
        self._leaks: set[tuple[str, str]] = set()
        self._counting = asyncio.Lock()
        self._counted = False

    async def watch(self) -> None:
        """Look about ten times a second; never returns."""
        now = self._block.clock.now_ns
        while True:
            began = now()
            await self.look()
            await self._block.clock.sleep_until(max(began + _EVERY_NS, now() + (now() - began) * _SHARE))

    async def look(self) -> None:
        """Record connections past the links that were not known yet. Where nobody can look now, the next time may do.

        Raises:
            StoreError: it could not be written.
        """
        try:
            found = await self._block.supervisor.strays()
        except ChaosKitError:  # a supervisor that is gone is noticed elsewhere
            return
        for stray in found:
            leak = (stray["destination"], stray["source"])
            if leak not in self._leaks:
                self._leaks.add(leak)
                self._block.recorder.event("leaked", destination=leak[0], source=leak[1])

    async def baseline(self) -> None:
        """Record what the links carried without a fault: once, however many ask, and before the first canary, because
        those who ask are about to send canaries over the links.

        Raises:
            StoreError: it could not be written.
        """
        async with self._counting:
            if not self._counted:
                self._counted = True
                await self.count("baseline")

    async def count(self, when: str, injection: str | None = None) -> None:
        """Record what each link carried since it was made; nothing where nobody counts, or no answer comes.

        Args:
            when: `warm-up` (before it), `baseline` (at its end), `start` and `end` (of an injection), `healed` (the
                last canary is home), `done` (the end of the load).

        Raises:
            StoreError: it could not be written.
        """
        links: dict[str, Any] = {}
        with suppress(ChaosKitError, TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                links = {name: link.model_dump() for name, link in (await self._block.counters()).items()}
        if links:
            about: dict[str, Any] = {} if injection is None else {"id": injection}
            self._block.recorder.event("counters", when=when, **about, links=links)
