"""slow_close: data passes untouched, the end of it comes `delay` milliseconds late."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaoskit.toxiproxy.server.stage import MS, Stage, Toxic
from chaoskit.toxiproxy.server.timers import Timer

if TYPE_CHECKING:
    from chaoskit.toxiproxy.server.pipe import Pipe

__all__ = ["SlowClose"]


class SlowClose(Stage):
    """Holds the end of this direction. A reset counts as an end, so it comes late too, and as an end.

    Hits are ends that were held.
    """

    type = "slow_close"
    attributes = ("delay",)

    def __init__(self, toxic: Toxic, pipe: Pipe) -> None:
        super().__init__(toxic, pipe)
        self._ended = 0  # when the end came
        self._timer: Timer | None = None

    def feed(self, data: bytes, stamp: int) -> None:
        """Passes."""
        self.out.feed(data, stamp)

    def end(self) -> None:
        """Waits."""
        self._ended = self.timers.now()
        self._wait()
        if self._timer is not None:
            self.toxic.hits += 1

    def changed(self) -> None:
        """An end that waits is timed anew, from when it came."""
        if self._timer is not None:
            self._wait()

    def left(self) -> None:
        """An end that waits passes now."""
        if self._timer is not None:
            self.discard()
            self.out.end()

    def discard(self) -> None:
        """Nothing is held but the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        self.discard()
        due = self._ended + self.value("delay") * MS
        if due > self.timers.now():
            self._timer = self.timers.at(due, self._wait)
        else:
            self.out.end()
