"""One client through the proxy: two sockets, and a pipe in each direction.

As in the original there is no half-close: the end of one side, once it has passed the chain, closes the other side
fully, and that close comes back through the other chain.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from time import monotonic_ns
from typing import TYPE_CHECKING, cast

from chaoskit.toxiproxy.server.address import parse
from chaoskit.toxiproxy.server.pipe import Pipe
from chaoskit.toxiproxy.server.stage import DOWNSTREAM, UPSTREAM, Toxic

if TYPE_CHECKING:
    from chaoskit.toxiproxy.server.proxies import Proxy

__all__ = ["NO_LINGER", "Connection", "Side"]

NO_LINGER = struct.pack("ii", 1, 0)  # close(2) then sends RST and forgets what was unsent


class Side(asyncio.Protocol):
    """One of the two sockets of a connection."""

    __slots__ = ("connection", "inward", "lost", "outward", "transport")

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
                handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            self.transport.abort()
        else:
            self.transport.close()
        # Nothing more is read from a closing transport. Said now, because a peer that does not read can keep the close
        # itself waiting for ever, and the other side must not wait with it.
        self.outward.end()

    @property
    def closing(self) -> bool:
        """Whether the socket takes nothing more: it is being closed, or has failed."""
        return self.transport is not None and self.transport.is_closing()

    def pause(self) -> None:
        """Read nothing for now."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()


class Connection:
    """A client that was accepted, and the upstream dialled for it. `number` counts the proxy's connections from 1.

    `resetting`: its sockets are closed with RST from now on.
    """

    __slots__ = (
        "_aborted", "_dialling", "_mute", "_task", "client", "number", "pipes", "proxy", "resetting", "server",
        "timers",
    )  # fmt: skip

    def __init__(self, proxy: Proxy, number: int) -> None:
        self.proxy = proxy
        self.number = number
        self.timers = proxy.timers
        self.resetting = False
        self.client = Side(self)
        self.server = Side(self)
        up = Pipe(self, UPSTREAM, self.client, self.server, proxy.flows[UPSTREAM])
        down = Pipe(self, DOWNSTREAM, self.server, self.client, proxy.flows[DOWNSTREAM])
        self.client.outward = self.server.inward = up
        self.server.outward = self.client.inward = down
        self.pipes = (up, down)
        self._task: asyncio.Task[None] | None = None
        self._dialling = False
        self._mute = False
        self._aborted = False

    def begin(self, sock: socket.socket) -> None:
        """Take a client over. A task of its own: an upstream that does not answer must not keep others waiting."""
        self.proxy.connections.add(self)
        self._task = asyncio.get_running_loop().create_task(self._establish(sock))

    def made(self, side: Side) -> None:
        """A socket is open; once it is the upstream's, bytes may pass."""
        if side is self.server:
            for pipe, chain in zip(self.pipes, self.proxy.chains, strict=True):
                pipe.open(chain)

    async def _establish(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            try:
                await loop.connect_accepted_socket(lambda: self.client, sock)
            except OSError:
                sock.close()
                self.client.lost = True
                return
            if self._aborted:
                self.abort()
                return
            muting = self._muting()
            if muting:
                # The kernel has already shaken hands with the client, but nothing of it may be known upstream.
                self._mute = True
                for toxic in muting:
                    toxic.hits += 1
                return
            self._dialling = True
            try:
                host, port = parse(self.proxy.upstream)
                await loop.create_connection(lambda: self.server, host or "localhost", port)
            except (OSError, ValueError):
                self.proxy.dial_failures += 1
                self.client.close()
            except asyncio.CancelledError:
                # Given up by `abort`. The dial may have succeeded in the same turn: then uvloop says so, closes the
                # socket, and never says that.
                self.server.connection_lost(None)
                raise
        finally:
            self._task = None
            self.settle()  # both sides may be gone before this task runs on

    def _muting(self) -> list[Toxic]:
        return [toxic for toxic in self.proxy.toxics() if toxic.stage.mute and toxic.takes(self.number)]

    def reconsider(self) -> None:
        """A toxic has changed before bytes could pass: a client that was kept in silence is let go when it is over."""
        if self._mute and not self._muting():
            self._mute = False
            self.client.close()

    def settle(self) -> None:
        """Forget the connection once neither socket is open or to come."""
        if self.client.lost and self.server.transport is None and self._task is None:
            self.proxy.connections.discard(self)
            for pipe in self.pipes:
                pipe.die()

    def abort(self) -> None:
        """Close both sockets at once, dropping what is held: the proxy was disabled or deleted."""
        self._aborted = True
        # A dial that has just succeeded must not be cancelled: uvloop then closes the socket and tells nobody, and the
        # connection would count as open for ever. It is closed below.
        if self._dialling and self._task is not None and self.server.transport is None:
            self._task.cancel()
        for pipe in self.pipes:
            pipe.die()
        for side in (self.client, self.server):
            if side.transport is not None:
                side.transport.abort()
        self.settle()
