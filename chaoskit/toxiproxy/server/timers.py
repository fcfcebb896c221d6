"""Everything in the proxy that happens later, at its nanosecond: one heap, one timerfd.

An event loop's own timers are coarse (libuv counts whole milliseconds and may fire up to one early), which shows when
the latency asked for is a few milliseconds. A timerfd is exact to the wake-up time of the machine; where there is none
(not Linux) the loop's timers stand in, rounded up so that nothing leaves early.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from typing import Protocol

from chaoskit.linux import Timerfd

__all__ = ["LoopTimers", "Timer", "Timers"]

_LATEST = 1 << 62  # nanoseconds, more than a century: beyond it the kernel's structures overflow
_FEW = 1000  # timers that are not worth being tidied up
_DAY = 86_400_000  # milliseconds; event loops refuse timers that are years away


class Timer:
    """One thing that is due. Cancelling twice, or after it fired, does nothing."""

    __slots__ = ("callback", "order", "when")

    def __init__(self, when: int, order: int, callback: Callable[[], None]) -> None:
        self.when = when
        self.order = order
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Do not fire."""
        self.callback = None

    def __lt__(self, other: Timer) -> bool:
        return (self.when, self.order) < (other.when, other.order)


class Timers(Protocol):
    """What toxics ask for time; tests bring a virtual one."""

    def now(self) -> int:
        """Monotonic nanoseconds."""
        ...

    def at(self, when: int, callback: Callable[[], None]) -> Timer:
        """Call back at `when` (nanoseconds) or as soon after it as can be, never before."""
        ...


class LoopTimers:
    """Timers on the running event loop.

    Args:
        exact: use a timerfd; False takes the loop's own timers, as where there is no timerfd.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, exact: bool = True) -> None:
        self._loop = loop
        self._heap: list[Timer] = []
        self._order = 0
        self._armed = 0  # instant at which the next wake-up is due, 0 = none
        self._latest = 0
        self._tidy_at = _FEW
        self._fd = _timerfd() if exact else None
        self._handle: asyncio.TimerHandle | None = None
        if self._fd is not None:
            loop.add_reader(self._fd.fileno(), self._wake)

    def now(self) -> int:
        """Monotonic nanoseconds."""
        return time.monotonic_ns()

    def at(self, when: int, callback: Callable[[], None]) -> Timer:
        """Call back at `when`, or as soon after it as the loop can, and never within this call."""
        self._order += 1
        when = min(when, _LATEST)
        timer = Timer(when, self._order, callback)
        heapq.heappush(self._heap, timer)
        if len(self._heap) > self._tidy_at:
            self._tidy()
        if not self._armed or when < self._armed:
            self._arm(when)
        return timer

    def take_lateness(self) -> int:
        """Worst delay in nanoseconds between due and fired since the last call: the lag of the loop."""
        latest, self._latest = self._latest, 0
        return latest

    def close(self) -> None:
        """Fire nothing any more; idempotent."""
        self._heap.clear()
        if self._handle is not None:
            self._handle.cancel()
        if self._fd is not None:
            self._loop.remove_reader(self._fd.fileno())
            self._fd.close()
            self._fd = None

    def _tidy(self) -> None:
        """Forget what was cancelled: timers of the far future, one a connection, would pile up until they are due."""
        self._heap[:] = [timer for timer in self._heap if timer.callback is not None]
        heapq.heapify(self._heap)
        self._tidy_at = max(2 * len(self._heap), _FEW)

    def _arm(self, when: int) -> None:
        self._armed = when
        if self._fd is not None:
            self._fd.arm(when)
            return
        if self._handle is not None:
            self._handle.cancel()
        milliseconds = -(-(when - time.monotonic_ns()) // 1_000_000)
        self._handle = self._loop.call_later(min(max(milliseconds, 0), _DAY) / 1000, self._wake)

    def _wake(self) -> None:
        if self._fd is not None:
            self._fd.read()
        heap = self._heap
        # Only what is due by now: what callbacks ask for comes after the sockets had their turn, or a few busy
        # connections could keep all others, and the control port, waiting.
        until = time.monotonic_ns()
        while heap and heap[0].when <= until:
            timer = heapq.heappop(heap)
            callback, timer.callback = timer.callback, None
            if callback is None:
                continue
            self._latest = max(self._latest, time.monotonic_ns() - timer.when)
            try:
                callback()
            except Exception as error:  # one connection's trouble must not stop everybody's clock
                self._loop.call_exception_handler({"message": "a timer's callback failed", "exception": error})
        while heap and heap[0].callback is None:
            heapq.heappop(heap)
        self._armed = 0
        if heap:
            self._arm(heap[0].when)


def _timerfd() -> Timerfd | None:
    try:
        return Timerfd()
    except (OSError, AttributeError):  # out of descriptors; a C library that has no such call
        return None
