"""bandwidth: at most `rate` thousand bytes a second, for each connection by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaoskit.toxiproxy.server.line import NEVER, Line
from chaoskit.toxiproxy.server.stage import MS, Toxic

if TYPE_CHECKING:
    from chaoskit.toxiproxy.server.pipe import Pipe

__all__ = ["Bandwidth"]

_SLICE = 100  # milliseconds that a piece may take


class Bandwidth(Line):
    """A narrow wire: `n` bytes leave `n / rate` milliseconds after the wire was free for them.

    A read that would take longer than a tenth of a second leaves in pieces, one every tenth. While bytes wait, each
    piece is timed from the instant at which the one before it was due: a clock that wakes late costs no throughput.
    With a rate of 0 (or less, which ends the original) nothing passes until it is raised.

    Hits are reads that the limit held back for a millisecond or more, alone or behind others.
    """

    type = "bandwidth"
    attributes = ("rate",)

    def __init__(self, toxic: Toxic, pipe: Pipe) -> None:
        super().__init__(toxic, pipe)
        self._rate = 0  # bytes in a millisecond, with which the head was planned
        self._begun = 0  # when its piece began to leave

    def feed(self, data: bytes, stamp: int) -> None:
        """Join the queue for the wire."""
        super().feed(data, stamp)
        if self.line and self.waiting >= self.value("rate"):
            self.toxic.hits += 1

    def plan(self, *, idle: bool) -> None:
        """The next tenth of a second's worth."""
        self._rate = self.value("rate")
        self._begun = self.timers.now() if idle else self.due
        self.piece = min(len(self.line[0][0]) - self.gone, self._rate * _SLICE)
        self.due = self._begun + self.piece * MS // self._rate if self._rate else NEVER

    def changed(self) -> None:
        """What the old rate has already let through leaves; the rest goes on with the new one."""
        if self.line:
            now = self.timers.now()
            self.piece = min((now - self._begun) * self._rate // MS, self.piece)
            self.due = now
            self.leave()
