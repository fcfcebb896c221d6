"""One direction of one connection: from a socket through the chain of toxics to the other socket.

Without toxics a read goes straight to the far transport: no queue, no task, no copy in between. Back-pressure is a
count of reasons not to read.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic_ns
from typing import TYPE_CHECKING

from chaoskit.toxiproxy.server.stage import Outlet, Stage, Toxic

if TYPE_CHECKING:
    from chaoskit.toxiproxy.server.connection import Connection, Side

__all__ = ["Flow", "Pipe"]


class Flow:
    """Bytes of one direction of one proxy, over all its connections.

    Attributes:
        received: read from the source. sent: given to the far socket, which may still hold them when it is closed.
    """

    __slots__ = ("received", "sent")

    def __init__(self) -> None:
        self.received = 0
        self.sent = 0


def _nowhere(data: bytes) -> None:
    """Where bytes go whose far socket was never there."""


class _Void:
    """Where a direction leads that carries nothing any more."""

    def feed(self, data: bytes, stamp: int) -> None:
        pass

    def end(self) -> None:
        pass


_VOID = _Void()


class _Gate:
    """First and only stage until the far socket is there: keeps the one read that slipped in, then holds."""

    __slots__ = ("kept", "pipe")

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe
        self.kept: list[bytes] = []

    def feed(self, data: bytes, stamp: int) -> None:
        if not self.kept:
            self.pipe.hold()
        self.kept.append(data)

    def end(self) -> None:
        """Remembered by the pipe itself."""


class _Sink:
    """The end of a chain: the far socket."""

    __slots__ = ("_pipe",)

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    def feed(self, data: bytes, stamp: int) -> None:
        # A delayed write may fire after the far socket was closed, and one of many may find it dead: what follows in
        # the same turn, before the loop has told us, is dropped.
        pipe = self._pipe
        if not pipe.shut and not pipe.far.closing:
            pipe.flow.sent += len(data)
            pipe.write(data)

    def end(self) -> None:
        pipe = self._pipe
        if not pipe.shut:
            pipe.shut = True
            pipe.first = _VOID
            pipe.far.close()


class Pipe:
    """One direction of a connection. Its chain is empty until `open`, then follows the proxy's.

    Attributes:
        write: gives bytes to the far socket. first: where a read goes; None = straight to `write`.
        shut: the far socket is closed, or is told to close.
    """

    __slots__ = (
        "_cut", "_ended", "_gate", "_holds", "connection", "direction", "far", "first", "flow", "shut", "sink",
        "source", "stages", "write",
    )  # fmt: skip

    def __init__(self, connection: Connection, direction: int, source: Side, far: Side, flow: Flow) -> None:
        self.connection = connection
        self.direction = direction
        self.source = source
        self.far = far
        self.flow = flow
        self.write: Callable[[bytes], None] = _nowhere
        self.sink: Outlet = _Sink(self)
        self.stages: list[Stage] = []
        self._gate: _Gate | None = _Gate(self)
        self.first: Outlet | None = self._gate
        self.shut = False
        self._ended = False
        self._cut = False
        self._holds = 0

    def open(self, chain: list[Toxic]) -> None:
        """Let bytes through, under these toxics, beginning with what came early."""
        gate, self._gate = self._gate, None
        if gate is None:
            return
        self.stages = [toxic.stage(toxic, self) for toxic in chain]
        self._link()
        for stage in [stage for stage in self.stages if stage.active]:
            stage.entered()
        for data in gate.kept:
            (self.first or self.sink).feed(data, monotonic_ns())
        if gate.kept:
            self.release()
        if self._ended:
            (self.first or self.sink).end()

    def end(self) -> None:
        """The source has ended; told to the chain once."""
        if not self._ended:
            self._ended = True
            (self.first or self.sink).end()

    def cut(self, stage: Stage) -> None:
        """A stage ends the stream by itself: what comes from before it is dropped, what it has passed on follows."""
        if stage not in self.stages:
            return
        self.hold()  # for good: nothing of the source is wanted any more
        self._cut = True
        at = self.stages.index(stage) + 1
        gone, self.stages = self.stages[:at], self.stages[at:]
        self._link()
        following = stage.out
        _detach(gone)
        following.end()

    def die(self) -> None:
        """The far socket is gone: what is held and what comes is dropped, but the source is read to its end."""
        self.shut = True
        self._gate = None
        gone, self.stages = self.stages, []
        self.first = _VOID
        _detach(gone)
        if self._holds:
            self._holds = 0
            self.source.resume()

    def add(self, toxic: Toxic) -> None:
        """A toxic was put at the end of the proxy's chain."""
        if self._gate is not None or self.shut:
            return
        stage = toxic.stage(toxic, self)
        self.stages.append(stage)
        self._link()
        if stage.active:
            stage.entered()

    def update(self, toxic: Toxic) -> None:
        """A toxic has new attributes or another toxicity."""
        if self._gate is not None:
            self.connection.reconsider()
            return
        for stage in self.stages:
            if stage.toxic is toxic:
                before, stage.active = stage.active, toxic.takes(self.connection.number)
                if before and not stage.active:
                    stage.left()
                self._link()
                if stage.active:
                    (stage.changed if before else stage.entered)()
                return

    def remove(self, toxic: Toxic) -> None:
        """A toxic was taken out of the proxy's chain."""
        if self._gate is not None:
            self.connection.reconsider()
            return
        for stage in self.stages:
            if stage.toxic is toxic:
                if stage.active:
                    stage.left()
                if stage in self.stages:  # leaving may have closed the far side, and with it the whole chain
                    self.stages.remove(stage)
                    self._link()
                    _detach([stage])
                return

    def hold(self) -> None:
        """One more reason not to read from the source."""
        self._holds += 1
        if self._holds == 1:
            self.source.pause()

    def release(self) -> None:
        """One reason less."""
        if self._holds:  # a pipe that died has forgotten its reasons
            self._holds -= 1
            if not self._holds:
                self.source.resume()

    def _link(self) -> None:
        if self.shut:
            return
        live = [stage for stage in self.stages if stage.active]
        following = self.sink
        for stage in reversed(live):
            stage.out = following
            following = stage
        if self._cut:
            self.first = _VOID
        else:
            self.first = live[0] if live else None


def _detach(stages: list[Stage]) -> None:
    """Stages that are out of the chain hold nothing, and whatever they still do leads nowhere."""
    for stage in stages:
        stage.out = _VOID
        stage.discard()
