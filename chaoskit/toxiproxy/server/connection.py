"""One client through the proxy: two sockets, two directions, and the chain of toxics in each.

Without toxics a read goes straight to the far transport: no queue, no task, no copy in between. Back-pressure is a
count of reasons not to read. As in the original there is no half-close: the end of one side, once it has passed the
chain, closes the other side fully, and that close comes back through the other chain.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from time import monotonic_ns
from typing import TYPE_CHECKING, cast

from chaoskit.toxiproxy.server.address import parse
from chaoskit.toxiproxy.server.stage import DOWNSTREAM, UPSTREAM, Outlet, Stage, Toxic

if TYPE_CHECKING:
    from chaoskit.toxiproxy.server.proxies import Proxy

__all__ = ["Connection", "Flow", "Pipe", "Side"]

_NO_LINGER = struct.pack("ii", 1, 0)  # close(2) then sends RST and forgets what was unsent


class Flow:
    """Bytes of one direction of one proxy, over all its connections: read from the source, handed to the far socket."""

    __slots__ = ("received", "sent")

    def __init__(self) -> None:
        self.received = 0
        self.sent = 0


def _drop(data: bytes) -> None:
    """Where bytes go whose far socket was never there."""


class _Void:
    """Where a direction leads once its far socket is closed."""

    def feed(self, data: bytes, stamp: int) -> None:
        pass

    def end(self) -> None:
        pass


_VOID = _Void()


class Side(asyncio.Protocol):
    """One of the two sockets of a connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.transport: asyncio.Transport | None = None
        self.lost = False
        self.outward: Pipe  # what is read here goes this way
        self.inward: Pipe  # what is written here came this way

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass
        self.inward.write = self.transport.write
        self.connection.made(self)

    def data_received(self, data: bytes) -> None:
        """The hot path."""
        pipe = self.outward
        size = len(data)
        pipe.flow.received += size
        first = pipe.first
        if first is None:
            pipe.flow.sent += size
            pipe.write(data)
        else:
            first.feed(data, monotonic_ns())

    def eof_received(self) -> bool:
        """The peer will send nothing more. Keeps the transport open: who closes what is for the chains to say."""
        self.outward.end()
        return True

    def pause_writing(self) -> None:
        """The peer reads slowly: stop reading on the far side."""
        self.inward.hold()

    def resume_writing(self) -> None:
        """The peer has caught up."""
        self.inward.release()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed, by us or by the peer; a reset counts as an end, as in the original."""
        if self.lost:
            return
        self.lost = True
        self.transport = None
        self.inward.die()
        self.outward.end()
        self.connection.settle()

    def close(self) -> None:
        """Close after what was written is sent; with RST and at once when the connection is being reset."""
        if self.transport is None:
            self.connection_lost(None)  # never connected: nobody to tell but the other direction
            return
        if self.connection.resetting:
            handle: socket.socket | None = self.transport.get_extra_info("socket")
            if handle is not None:
                handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self.transport.abort()
        else:
            self.transport.close()
        # Nothing more is read from a closing transport. Said now, because a peer that does not read can keep the close
        # itself waiting for ever, and the other side must not wait with it.
        self.outward.end()

    def pause(self) -> None:
        """Read nothing for now."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()


class _Gate:
    """First and only stage while the upstream is being dialled: keeps the one read that slipped in, then holds."""

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
        # A delayed write may fire after the far socket was closed: it is dropped.
        pipe = self._pipe
        if not pipe.shut:
            pipe.flow.sent += len(data)
            pipe.write(data)

    def end(self) -> None:
        pipe = self._pipe
        if not pipe.shut:
            pipe.shut = True
            pipe.first = _VOID
            pipe.dest.close()


class Pipe:
    """One direction of one connection. Its chain is empty until `open`, then follows the proxy's."""

    def __init__(self, connection: Connection, direction: int, source: Side, dest: Side, flow: Flow) -> None:
        self.connection = connection
        self.direction = direction
        self.source = source
        self.dest = dest
        self.flow = flow
        self.write = _drop
        self.sink: Outlet = _Sink(self)
        self.stages: list[Stage] = []
        self._gate: _Gate | None = _Gate(self)
        self.first: Outlet | None = self._gate  # None = straight to `write`
        self.shut = False  # the far socket is closed, or is told to close
        self._ended = False
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

    def die(self) -> None:
        """The far socket is gone: what is held and what comes is dropped, but the source is read to its end."""
        self.shut = True
        self._gate = None
        for stage in self.stages:
            stage.discard()
        self.stages = []
        self.first = _VOID
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
        for stage in self.stages:
            if stage.toxic is toxic:
                if stage.active:
                    stage.left()
                stage.discard()
                if stage in self.stages:  # leaving may have closed the far side, and with it the whole chain
                    self.stages.remove(stage)
                    self._link()
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
        following: Outlet = self.sink
        for stage in reversed(live):
            stage.out = following
            following = stage
        self.first = live[0] if live else None


class Connection:
    """A client that was accepted, and the upstream dialled for it. `number` counts the proxy's connections from 1."""

    def __init__(self, proxy: Proxy, number: int) -> None:
        self.proxy = proxy
        self.number = number
        self.timers = proxy.timers
        self.resetting = False
        self.client = Side(self)
        self.server = Side(self)
        self._dialling: asyncio.Task[None] | None = None
        up = Pipe(self, UPSTREAM, self.client, self.server, proxy.flows[UPSTREAM])
        down = Pipe(self, DOWNSTREAM, self.server, self.client, proxy.flows[DOWNSTREAM])
        self.client.outward = self.server.inward = up
        self.server.outward = self.client.inward = down
        self.pipes = (up, down)

    def made(self, side: Side) -> None:
        """A socket is open: dial when it is the client's, let bytes through when it is the server's."""
        if side is self.server:
            self._open()
            return
        if self.proxy.full():
            # Descriptors are kept for the control port: a proxy that cannot be told to heal would be the worst fault.
            self.abort()
            return
        self.proxy.connections.add(self)
        muted = [
            toxic for chain in self.proxy.chains for toxic in chain if toxic.stage.mute and toxic.takes(self.number)
        ]
        if muted:
            # The kernel has already shaken hands with the client, but nothing of it may be known upstream.
            for toxic in muted:
                toxic.hits += 1
            self._open()
        else:
            # A task of its own: an upstream that does not answer must not keep others from being accepted.
            self._dialling = asyncio.get_running_loop().create_task(self._dial())

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            host, port = parse(self.proxy.upstream)
            await loop.create_connection(lambda: self.server, host or "localhost", port)
        except (OSError, ValueError):
            self.proxy.dial_failures += 1
            self.client.close()
        finally:
            self._dialling = None
            self.settle()  # both sides may be gone before this task runs on

    def _open(self) -> None:
        for pipe, chain in zip(self.pipes, self.proxy.chains, strict=True):
            pipe.open(chain)

    def settle(self) -> None:
        """Forget the connection once neither socket is open or to come."""
        if self.client.lost and self.server.transport is None and self._dialling is None:
            self.proxy.connections.discard(self)
            for pipe in self.pipes:
                pipe.die()

    def abort(self) -> None:
        """Close both sockets at once, dropping what is held: the proxy was disabled or deleted."""
        if self._dialling is not None:
            self._dialling.cancel()
            self._dialling = None
        for pipe in self.pipes:
            pipe.die()
        for side in (self.client, self.server):
            if side.transport is not None:
                side.transport.abort()
        self.settle()
