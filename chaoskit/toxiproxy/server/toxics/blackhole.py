"""blackhole (not in the original): nothing comes through in this direction, neither data nor the end of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaoskit.toxiproxy.server.stage import Stage, Toxic

if TYPE_CHECKING:
    from chaoskit.toxiproxy.server.pipe import Pipe

__all__ = ["LIMIT", "Blackhole"]

LIMIT = 256 * 1024  # bytes swallowed before the source is no longer read, and its sender's buffers fill up


class Blackhole(Stage):
    """A silent cut. Data, FIN and RST of the source are withheld until the toxic is removed; then both ends are closed,
    because what was swallowed is missing. While it acts no new connection reaches the upstream: a handshake needs both
    directions, so cutting one of them is enough (`mute`), and with a toxicity of 1 the client's connect hangs.

    Hits are reads and ends that were withheld, and clients that were accepted and left in silence: those that a lower
    toxicity takes, and those that were in the queue already.
    """

    type = "blackhole"
    mute = True

    def __init__(self, toxic: Toxic, pipe: Pipe) -> None:
        super().__init__(toxic, pipe)
        self._swallowed = 0
        self._holding = False

    def feed(self, data: bytes, stamp: int) -> None:
        """Swallowed; a sender that goes on is stopped by its own full buffers, as by packets that get no answer."""
        self.toxic.hits += 1
        self._swallowed += len(data)
        if self._swallowed > LIMIT and not self._holding:
            self._holding = True
            self.pipe.hold()

    def end(self) -> None:
        """Withheld."""
        self.toxic.hits += 1

    def left(self) -> None:
        """Close the far end; the near one follows through the other direction, when that is not cut as well."""
        self.pipe.cut(self)

    def discard(self) -> None:
        """Nothing is kept; let the source be read again, so that its close is seen."""
        if self._holding:
            self._holding = False
            self.pipe.release()
