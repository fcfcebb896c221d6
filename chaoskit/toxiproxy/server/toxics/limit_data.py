"""limit_data: the connection is closed once exactly `bytes` bytes have passed in this direction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaoskit.toxiproxy.server.stage import Stage, Toxic

if TYPE_CHECKING:
    from chaoskit.toxiproxy.server.pipe import Pipe

__all__ = ["LimitData"]


class LimitData(Stage):
    """The read that reaches the limit passes up to it, then this direction ends; 0 ends at the first read.

    What has passed is counted from when the toxic came to this connection, and goes on counting through updates.

    Hits are connections that were cut.
    """

    type = "limit_data"
    attributes = ("bytes",)

    def __init__(self, toxic: Toxic, pipe: Pipe) -> None:
        super().__init__(toxic, pipe)
        self._passed = 0

    def feed(self, data: bytes, stamp: int) -> None:
        """Passes, up to the limit."""
        room = self.value("bytes") - self._passed
        if len(data) < room:
            self._passed += len(data)
            self.out.feed(data, stamp)
            return
        self.toxic.hits += 1
        if room > 0:
            self._passed += room
            self.out.feed(data[:room], stamp)
        self.pipe.cut(self)
