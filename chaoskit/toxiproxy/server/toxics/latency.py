"""latency: a delay line. Every read leaves `latency` ± `jitter` milliseconds after it came, in the order it came."""

from __future__ import annotations

from chaoskit.toxiproxy.server.line import Line
from chaoskit.toxiproxy.server.stage import MS

__all__ = ["Latency"]


class Latency(Line):
    """Delay with order kept: a read that drew a short delay still waits for those before it.

    Delays are counted from the instant at which bytes arrived, not from when their turn came, so throughput is not cut
    until the line is full; what leaves carries the instant it was due as its new stamp, so that latencies in a chain
    add up exactly. The end of the source passes once the line is empty and is not delayed itself.
    """

    type = "latency"
    attributes = ("latency", "jitter")
    limit = 16 * 1024 * 1024  # the original stops at 1,024 reads of up to 32 KiB

    def feed(self, data: bytes, stamp: int) -> None:
        """Join the line."""
        self.toxic.hits += 1
        super().feed(data, stamp)

    def plan(self, *, idle: bool) -> None:
        """A whole read, at its own instant, but not before the one ahead of it."""
        data, came = self.line[0]
        self.piece = len(data)
        self.due = max(came + self._draw(), self.due)

    def stamp(self, came: int) -> int:
        """When it was due, however late the timer was."""
        return self.due

    def changed(self) -> None:
        """The head is timed anew, from its own arrival; those behind it draw when they become the head."""
        if self.line:
            self.due = self.line[0][1] + self._draw()
            self.leave()

    def _draw(self) -> int:
        latency, jitter = self.value("latency"), self.value("jitter")
        if jitter:
            latency += self.random.randrange(-jitter, jitter)
        return max(latency, 0) * MS
