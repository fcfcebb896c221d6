"""The proxies and their toxics, as the API sees them. Every change reaches open connections before it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from chaoskit.toxiproxy.server import address
from chaoskit.toxiproxy.server.connection import Connection, Flow
from chaoskit.toxiproxy.server.stage import DIRECTIONS, Toxic
from chaoskit.toxiproxy.server.timers import Timers

__all__ = ["Proxies", "Proxy"]


class Proxy:
    """One listener in front of one upstream, with a chain of toxics for each direction.

    Attributes:
        listen: host:port as asked for, or as bound once it has listened. upstream: host:port, looked up at each dial.
        full: whether no further connection may be opened.
        chains: toxics of the upstream and of the downstream direction, in order.
        hits: of toxics that are gone, by name.
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
        self._server: asyncio.Server | None = None

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
        # The transports of a server are made one by one, from its accept loop; the backlog was set with the socket.
        self._server = await asyncio.get_running_loop().create_server(self._accept, sock=sock, backlog=4096)
        self.enabled = True

    async def stop(self) -> None:
        """Stop listening (connects are refused from now on) and close every connection, on both sides."""
        self.enabled = False
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self.connections):
            connection.abort()
        for _ in range(4):  # the loop closes aborted sockets in its next turns: answer when they are closed
            await asyncio.sleep(0)

    def _accept(self) -> asyncio.Protocol:
        self.accepted += 1
        return Connection(self, self.accepted).client

    def add(self, toxic: Toxic) -> None:
        """Put it at the end of its direction's chain."""
        toxic.seed = self._seed
        toxic.hits = self.hits.pop(toxic.name, 0)
        self.chains[toxic.direction].append(toxic)
        for connection in list(self.connections):
            connection.pipes[toxic.direction].add(toxic)

    def update(self, toxic: Toxic, toxicity: float, attributes: dict[str, int]) -> None:
        """Give it new values; each connection keeps its roll of the dice."""
        toxic.toxicity = toxicity
        toxic.attributes = attributes
        for connection in list(self.connections):
            connection.pipes[toxic.direction].update(toxic)

    def remove(self, toxic: Toxic) -> None:
        """Take it out; what it held back on open connections passes on, in order."""
        self.chains[toxic.direction].remove(toxic)
        for connection in list(self.connections):
            connection.pipes[toxic.direction].remove(toxic)
        self.hits[toxic.name] = toxic.hits

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

    def make(self, name: str, listen: str, upstream: str) -> Proxy:
        """A proxy that is not listed yet and does not listen."""
        return Proxy(name, listen, upstream, timers=self.timers, seed=self.seed, full=self._full)

    def _full(self) -> bool:
        return sum(len(proxy.connections) for proxy in self.by_name.values()) >= self.room

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
        trouble: address.AddressError | None = None
        for proxy in self.by_name.values():
            for toxic in list(proxy.toxics()):
                proxy.remove(toxic)
            try:
                await proxy.start()
            except address.AddressError as error:
                trouble = trouble or error
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
