"""The one clock: monotonic nanoseconds in records, one wall-clock anchor a run, virtual time in tests."""

from __future__ import annotations

import asyncio
import heapq
import time
from typing import Protocol

__all__ = ["Clock", "SystemClock", "VirtualClock"]


class Clock(Protocol):
    """Where time comes from. Records hold `now_ns` values only; `wall_ns` is asked once a run, as the anchor."""

    def now_ns(self) -> int:
        """Monotonic nanoseconds (CLOCK_MONOTONIC: one axis for all processes of a machine)."""
        ...

    def wall_ns(self) -> int:
        """Nanoseconds since the epoch."""
        ...

    async def sleep_until(self, when_ns: int) -> None:
        """Return at or after `when_ns`, at once when it is past."""
        ...


class SystemClock:
    """Real time."""

    def now_ns(self) -> int:
        """Monotonic nanoseconds."""
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        """Nanoseconds since the epoch."""
        return time.time_ns()

    async def sleep_until(self, when_ns: int) -> None:
        """Sleep; loops because an event loop's timers may fire up to a millisecond early."""
        while (left := when_ns - time.monotonic_ns()) > 0:
            await asyncio.sleep(left / 1e9)


class VirtualClock:
    """Time that moves only when a test says so; sleepers wake in the order of their due times."""

    def __init__(self, start_ns: int = 0) -> None:
        self._now = start_ns
        self._sleepers: list[tuple[int, int, asyncio.Event]] = []
        self._count = 0

    def now_ns(self) -> int:
        """The virtual instant."""
        return self._now

    def wall_ns(self) -> int:
        """The virtual instant, read as wall time."""
        return self._now

    async def sleep_until(self, when_ns: int) -> None:
        """Wait until `advance` has passed `when_ns`."""
        if when_ns <= self._now:
            return
        event = asyncio.Event()
        self._count += 1
        heapq.heappush(self._sleepers, (when_ns, self._count, event))
        await event.wait()

    async def advance(self, by_ns: int) -> None:
        """Move time on by `by_ns`, waking each sleeper at its own instant and letting it run."""
        end = self._now + by_ns
        while self._sleepers and self._sleepers[0][0] <= end:
            when, _, event = heapq.heappop(self._sleepers)
            self._now = max(self._now, when)
            event.set()
            for _ in range(10):
                await asyncio.sleep(0)
        self._now = end
