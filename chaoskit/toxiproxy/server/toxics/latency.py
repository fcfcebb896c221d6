"""latency: a delay line. Every read leaves `latency` ± `jitter` milliseconds after it came, in the order it came."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from chaoskit.toxiproxy.server.stage import MS, Stage, Toxic
from chaoskit.toxiproxy.server.timers import Timer

if TYPE_CHECKING:
    from chaoskit.toxiproxy.server.connection import Pipe

__all__ = ["LIMIT", "Latency"]

LIMIT = 16 * 1024 * 1024  # bytes held before the source is no longer read; the original stops at 1,024 reads
_EACH = 256  # what keeping one read costs beside its bytes


class Latency(Stage):
    """Delay with order kept: a read that drew a short delay still waits for those before it.

    Delays are counted from the instant at which bytes arrived, not from when their turn came, so throughput is not cut
    until the line is full; what leaves carries the instant it was due as its new stamp, so that latencies in a chain
    add up exactly. The end of the source passes once the line is empty and is not delayed itself.
    """

    type = "latency"
    attributes = ("latency", "jitter")

    def __init__(self, toxic: Toxic, pipe: Pipe) -> None:
        super().__init__(toxic, pipe)
        self._line: deque[tuple[bytes, int]] = deque()
        self._size = 0
        self._due = 0  # of the head of the line; earlier than nothing behind it
        self._timer: Timer | None = None
        self._holding = False
        self._ended = False

    def feed(self, data: bytes, stamp: int) -> None:
        """Join the line."""
        if self._ended:
            return
        self.toxic.hits += 1
        self._line.append((data, stamp))
        self._size += len(data) + _EACH
        if len(self._line) == 1:
            self._due = max(stamp + self._draw(), self._due)
            self._release()
        if self._size > LIMIT and not self._holding:
            self._holding = True
            self.pipe.hold()

    def end(self) -> None:
        """Follows the line."""
        if not self._ended:
            self._ended = True
            if not self._line:
                self.out.end()

    def changed(self) -> None:
        """The head is timed anew, from its own arrival; those behind it draw when they become the head."""
        if self._line:
            self._due = self._line[0][1] + self._draw()
            self._release()

    def left(self) -> None:
        """Everything at once, in order."""
        self._stop()
        line, self._line = self._line, deque()
        for data, stamp in line:
            self.out.feed(data, stamp)
        self._shrink(self._size)
        if self._ended:
            self.out.end()

    def discard(self) -> None:
        """Drop the line."""
        self._stop()
        self._line.clear()
        self._shrink(self._size)

    def _draw(self) -> int:
        latency, jitter = self.value("latency"), self.value("jitter")
        if jitter:
            latency += self.random.randrange(-jitter, jitter)
        return max(latency, 0) * MS

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _release(self) -> None:
        """Let go what is due; ask to be called again for the next."""
        self._stop()
        now = self.timers.now()
        line = self._line
        while line and self._due <= now:
            data, _ = line.popleft()
            self._shrink(len(data) + _EACH)
            self.out.feed(data, self._due)
            if line:
                self._due = max(line[0][1] + self._draw(), self._due)
        if line:
            self._timer = self.timers.at(self._due, self._release)
        elif self._ended:
            self.out.end()

    def _shrink(self, size: int) -> None:
        self._size -= size
        if self._holding and self._size <= LIMIT // 2:
            self._holding = False
            self.pipe.release()
