"""reset_peer: the first read (or the end of the source) resets the connection, after `timeout` milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaoskit.toxiproxy.server.stage import MS, Stage, Toxic
from chaoskit.toxiproxy.server.timers import Timer

if TYPE_CHECKING:
    from chaoskit.toxiproxy.server.pipe import Pipe

__all__ = ["ResetPeer"]


class ResetPeer(Stage):
    """Both sockets are closed with SO_LINGER 0, which sends RST: the far one now, the near one as soon as that close
    has come back through the other direction's chain. Bytes that were still unsent are lost, as in a real reset.

    Hits are connections that were reset.
    """

    type = "reset_peer"
    attributes = ("timeout",)

    def __init__(self, toxic: Toxic, pipe: Pipe) -> None:
        super().__init__(toxic, pipe)
        self._timer: Timer | None = None

    def feed(self, data: bytes, stamp: int) -> None:
        """Dropped; the first one decides the connection's fate."""
        self._doom()

    def end(self) -> None:
        """As good as a read."""
        self._doom()

    def left(self) -> None:
        """A connection that waits for its reset has lost bytes already: it is reset now."""
        if self._timer is not None:
            self._reset()

    def discard(self) -> None:
        """Nothing is held but the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _doom(self) -> None:
        if self._timer is not None:
            return
        wait = self.value("timeout") * MS
        if wait:
            self._timer = self.timers.at(self.timers.now() + wait, self._reset)
        else:
            self._reset()

    def _reset(self) -> None:
        self.toxic.hits += 1
        self.pipe.connection.resetting = True
        self.pipe.cut(self)
