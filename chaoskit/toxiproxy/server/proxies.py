"""The proxies and their toxics, as the API sees them. Every change reaches open connections before it is answered."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from chaoskit.toxiproxy.server import address
from chaoskit.toxiproxy.server.connection import NO_LINGER, Connection
from chaoskit.toxiproxy.server.listener import Listener
from chaoskit.toxiproxy.server.pipe import Flow
from chaoskit.toxiproxy.server.stage import DIRECTIONS, MS, Toxic
from chaoskit.toxiproxy.server.timers import Timers

__all__ = ["Proxies", "Proxy"]

_REMEMBERED = 1000  # toxics that are gone, of which a proxy still tells the hits
_SILENCE = 10_000 * MS  # between two complaints about the same
_TURNS = 100  # of the event loop, in which closed connections shall be gone
_log = logging.getLogger(__name__)


class Proxy:
    """One listener in front of one upstream, with a chain of toxics for each direction.

    Attributes:
        listen: host:port as asked for, or as bound once it has listened. upstream: host:port, looked up at each dial.
        full: whether no further connection may be opened.
        chains: toxics of the upstream and of the downstream direction, in order.
        hits: of toxics that are gone, by name; of the last thousand.
    """

    def __init__(
        self, name: str, listen: str, upstream: str, *, timers: Timers, seed: str, full: Callable[[], bool]
    ) -> None:
        self.name = name
        self.listen = listen
        self.upstream = upstream
        self.enabled = False
        self.timers = timers
        self.full = full
        self.chains: tuple[list[Toxic], list[Toxic]] = ([], [])
        self.flows = (Flow(), Flow())
        self.hits: dict[str, int] = {}
        self.accepted = 0
        self.dial_failures = 0
        self.connections: set[Connection] = set()
        self._seed = f"{seed}/{name}"
        self._listener: Listener | None = None

    def toxics(self) -> Iterator[Toxic]:
        """All of them: upstream first, each direction in chain order."""
        for chain in self.chains:
            yield from chain

    def find(self, name: str) -> Toxic | None:
        """The toxic of that name; names are unique over both directions."""
        return next((toxic for toxic in self.toxics() if toxic.name == name), None)

    async def start(self) -> None:
        """Listen; nothing happens when it does already.

        Raises:
            AddressError: the address is malformed, unknown or taken; the proxy stays disabled.
        """
        if self.enabled:
            return
        try:
            host, port = await address.resolve(self.listen)
        except address.AddressError as error:
            raise address.AddressError(f"listen tcp: {error}") from None
        sock = address.listen(host, port)
        self.listen = address.join(*sock.getsockname()[:2])
        self._listener = Listener(sock, self._accept, self.timers)
        self._heed()
        self.enabled = True

    async def stop(self) -> None:
        """Stop listening (connects are refused from now on) and close every connection, on both sides."""
        self.enabled = False
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for connection in list(self.connections):
            connection.abort()
        for _ in range(_TURNS):  # the loop closes aborted sockets in its next turns: answer when they are closed
            if not self.connections:
                break
            await asyncio.sleep(0)

    def _accept(self, sock: socket.socket) -> None:
        if self.full():
            # Descriptors are kept for the control port: a proxy that cannot be told to heal would be the worst fault.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            sock.close()
            return
        self.accepted += 1
        Connection(self, self.accepted).begin(sock)

    def _heed(self) -> None:
        """Connects hang while a direction is silent for everybody: a handshake needs both of them."""
        if self._listener is None:
            return
        if any(toxic.stage.mute and toxic.toxicity >= 1 for toxic in self.toxics()):
            self._listener.hush()
        else:
            self._listener.wake()

    def add(self, toxic: Toxic) -> None:
        """Put it at the end of its direction's chain."""
        toxic.seed = self._seed
        toxic.hits = self.hits.pop(toxic.name, 0)
        self.chains[toxic.direction].append(toxic)
        self._heed()
        for connection in list(self.connections):
            connection.pipes[toxic.direction].add(toxic)

    def update(self, toxic: Toxic, toxicity: float, attributes: dict[str, int]) -> None:
        """Give it new values; each connection keeps its roll of the dice."""
        toxic.toxicity = toxicity
        toxic.attributes = attributes
        self._heed()
        for connection in list(self.connections):
            connection.pipes[toxic.direction].update(toxic)

    def remove(self, toxic: Toxic) -> None:
        """Take it out; what it held back on open connections passes on, in order."""
        self.chains[toxic.direction].remove(toxic)
        for connection in list(self.connections):
            connection.pipes[toxic.direction].remove(toxic)
        self.hits[toxic.name] = toxic.hits
        if len(self.hits) > _REMEMBERED:
            del self.hits[next(iter(self.hits))]
        self._heed()

    def counters(self) -> dict[str, object]:
        """What passed: bytes by direction, hits by toxic (also of those removed), connections."""
        hits = {**self.hits, **{toxic.name: toxic.hits for toxic in self.toxics()}}
        return {
            "accepted": self.accepted,
            "open": len(self.connections),
            "dial_failures": self.dial_failures,
            **{
                name: {"received": flow.received, "sent": flow.sent}
                for name, flow in zip(DIRECTIONS, self.flows, strict=True)
            },
            "hits": hits,
        }


@dataclass
class Proxies:
    """All proxies by name. `seed` fixes toxicity and jitter of all of them; past `room` clients are turned away."""

    timers: Timers
    seed: str
    room: int = 100_000  # connections at most, over all proxies
    by_name: dict[str, Proxy] = field(default_factory=dict)
    _complaint: int = 0  # when it may be said again that there is no room

    def make(self, name: str, listen: str, upstream: str) -> Proxy:
        """A proxy that is not listed yet and does not listen."""
        return Proxy(name, listen, upstream, timers=self.timers, seed=self.seed, full=self._full)

    def _full(self) -> bool:
        if sum(len(proxy.connections) for proxy in self.by_name.values()) < self.room:
            return False
        now = self.timers.now()
        if now >= self._complaint:
            self._complaint = now + _SILENCE
            _log.warning(
                "clients are turned away: %d connections are open, as many as the limit of open files allows "
                "(ulimit -n; two a connection)",
                self.room,
            )
        return True

    async def add_or_replace(self, proxy: Proxy, *, start: bool) -> Proxy:
        """List it; one of the same name and addresses stays as it is, enabled or not, any other of that name goes.

        Raises:
            AddressError: its address is malformed, unknown or taken.
        """
        existing = self.by_name.get(proxy.name)
        if existing is not None:
            if not await differs(existing, proxy.listen, proxy.upstream):
                return existing
            await existing.stop()
        if start:
            await proxy.start()
        self.by_name[proxy.name] = proxy
        return proxy

    async def change(self, proxy: Proxy, *, listen: str, upstream: str, enabled: bool) -> None:
        """Move, enable or disable it. A new address closes its connections; toxics survive.

        Raises:
            AddressError: the new address is malformed (nothing changed) or cannot be listened on (it stays disabled).
        """
        if await differs(proxy, listen, upstream):
            await proxy.stop()
            proxy.listen, proxy.upstream = listen, upstream
        if enabled and not proxy.enabled:
            await proxy.start()
        elif not enabled and proxy.enabled:
            await proxy.stop()

    async def reset(self) -> None:
        """Remove all toxics, enable all proxies: every one, also when some cannot be enabled.

        Raises:
            AddressError: the first one's trouble, after all were tried.
        """
        for proxy in self.by_name.values():
            for toxic in list(proxy.toxics()):
                proxy.remove(toxic)
        # Side by side: a name that nobody knows takes its time to be given up, and the others shall not wait for it.
        done = await asyncio.gather(*(proxy.start() for proxy in self.by_name.values()), return_exceptions=True)
        for trouble in done:
            if trouble is not None:
                raise trouble

    async def close(self) -> None:
        """Stop all of them."""
        for proxy in self.by_name.values():
            await proxy.stop()


async def differs(proxy: Proxy, listen: str, upstream: str) -> bool:
    """Whether these are other addresses than the proxy has; names are looked up before they are compared.

    Raises:
        AddressError: `listen` is malformed or unknown.
    """
    host, port = await address.resolve(listen)
    return address.join(host, port) != proxy.listen or upstream != proxy.upstream
