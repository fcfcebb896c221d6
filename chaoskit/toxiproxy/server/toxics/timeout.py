"""timeout: drops all data; closes the connection after `timeout` milliseconds without any, or never when it is 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaoskit.toxiproxy.server.stage import MS, Stage, Toxic
from chaoskit.toxiproxy.server.timers import Timer

if TYPE_CHECKING:
    from chaoskit.toxiproxy.server.pipe import Pipe

__all__ = ["Timeout"]


class Timeout(Stage):
    """As the original: each read starts the wait anew, the end of the source passes at once, and removing the toxic
    closes the connections it acted on, because bytes are missing from their streams.

    Hits are reads that were dropped, and connections that were closed because none came.
    """

    type = "timeout"
    attributes = ("timeout",)

    def __init__(self, toxic: Toxic, pipe: Pipe) -> None:
        super().__init__(toxic, pipe)
        self._timer: Timer | None = None
        self._since = 0  # instant of the last read

    def entered(self) -> None:
        """The wait begins."""
        self._since = self.timers.now()
        self._wait()

    def changed(self) -> None:
        """The wait begins anew with its new length."""
        self.entered()

    def feed(self, data: bytes, stamp: int) -> None:
        """Dropped."""
        self.toxic.hits += 1
        self._since = self.timers.now()

    def end(self) -> None:
        """Passes at once."""
        self.pipe.cut(self)

    def left(self) -> None:
        """Closes."""
        self.pipe.cut(self)

    def discard(self) -> None:
        """Nothing is held but the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        self.discard()
        wait = self.value("timeout") * MS
        if not wait:
            return
        # Reads only note their instant: one timer a connection, however chatty the peer is.
        due = self._since + wait
        if due <= self.timers.now():
            self.toxic.hits += 1
            self.pipe.cut(self)
        else:
            self._timer = self.timers.at(due, self._wait)
