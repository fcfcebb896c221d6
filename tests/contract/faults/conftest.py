"""A link of one's own: a server that answers over HTTP, a Toxiproxy in front of it, and clients that go through it."""

from __future__ import annotations

import asyncio
import random
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from chaoskit import registry
from chaoskit.faults.evidence import Observation, Witness
from chaoskit.faults.model import Compiled, Ground
from chaoskit.runtimes import real_toxiproxy
from chaoskit.stack.effects import CLEAN, LinkEffect, fold_links
from chaoskit.stack.launch import ProxySpec
from chaoskit.stack.topology import Link, Target, Topology
from chaoskit.toxiproxy.links import ToxiproxyLinks, server_argv

TARGET = Target(
    name="t", folder="/t", compose_file="/t", services=(), topology=Topology(nodes=(), links=()), entry="api"
)
PATIENCE = 20.0
Address = tuple[str, int]
OwnAddress = Callable[[], Address]


class Backend:
    """Answers `GET /N` with N bytes. `noise`: up to so many seconds late, at random."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.noise = 0.0
        self._random = random.Random(7)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, *self.address, backlog=1024)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(self._random.uniform(0.0, self.noise))
                size = int(head.split()[1][1:] or b"20")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
                await writer.drain()
                if b"connection: close" in head.lower():
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()


@dataclass
class Load:
    """Users that each ask for `size` bytes every `every` seconds over a connection of their own, until `stop`.

    `chats`: without waiting for the answers, as members of a cluster talk to each other. `fresh`: each time over a new
    connection.
    """

    address: Address | None = None
    users: int = 4
    size: int = 2000
    every: float = 0.02
    chats: bool = False
    fresh: bool = False
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._use()) for _ in range(self.users)]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _use(self) -> None:
        assert self.address is not None, "set it, or give the load to the bench"
        while True:
            writer = None
            try:
                reader, writer = await asyncio.open_connection(*self.address)
                while True:
                    writer.write(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % self.size)
                    if not self.chats:
                        await reader.readuntil(b"\r\n\r\n")
                        await reader.readexactly(self.size)
                    elif reader.at_eof() or writer.is_closing():
                        break
                    await asyncio.sleep(self.every)
                    if self.fresh:
                        break
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.05)
            finally:
                if writer is not None:
                    writer.transport.abort()


@dataclass
class Bench:
    """One link under one Toxiproxy, and what a test does with it."""

    server: str
    links: ToxiproxyLinks
    backend: Backend
    link: Link
    address: Address

    def compile(self, name: str, raw: dict[str, Any], duration: float = 10.0) -> Compiled:
        fault = registry.load("fault", name)
        stored = fault.Parameters.model_validate(raw).model_dump()
        ground = Ground(TARGET, (self.link,), duration=duration, toxiproxy=self.server)
        found: Compiled = fault.compile("slow", stored, ground)
        return found

    def witness(self, compiled: Compiled, protocol: Any = "http", counters: Any = None) -> Witness:
        async def nobody(node: str) -> list[dict[str, object]]:
            return []

        place = (*self.address, protocol, "/5000")
        return Witness(compiled.evidence, {self.link.id: place}, nobody, counters or self.links.counters)

    async def begin(self, compiled: Compiled) -> None:
        await self.links.apply(self.link.id, fold_links(compiled.effects)[self.link.id])

    async def end(self) -> None:
        await self.links.apply(self.link.id, CLEAN)

    @asynccontextmanager
    async def timed(self, compiled: Compiled) -> AsyncIterator[None]:
        """Effects begin and end by themselves, as the engine makes them."""

        async def play() -> None:
            start = time.monotonic()
            for effect in compiled.effects:
                assert isinstance(effect, LinkEffect) and effect.ends is not None
                await asyncio.sleep(max(start + effect.begins - time.monotonic(), 0.0))
                await self.links.apply(self.link.id, fold_links([effect])[self.link.id])
                await asyncio.sleep(max(start + effect.ends - time.monotonic(), 0.0))
                await self.end()

        task = asyncio.create_task(play())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await self.end()

    async def seen(self, witness: Witness, within: float = PATIENCE) -> Observation:
        (found,) = await witness.seen(time.monotonic() + within)
        return found

    async def gone(self, witness: Witness, within: float = PATIENCE) -> Observation:
        (found,) = await witness.gone(time.monotonic() + within)
        return found


@pytest.fixture(scope="module", params=["embedded", pytest.param("real", marks=pytest.mark.needs("toxiproxy"))])
def server(request: pytest.FixtureRequest, own_address: OwnAddress) -> Iterator[tuple[str, str]]:
    """(which, control address) of a Toxiproxy that runs."""
    host, port = own_address()
    argv = real_toxiproxy.server_argv(host, port) if request.param == "real" else server_argv(host, port, None, 7)
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + PATIENCE
        while True:
            with socket.socket() as sock:
                if sock.connect_ex((host, port)) == 0:
                    break
            assert process.poll() is None and time.monotonic() < end, "the server did not start"
            time.sleep(0.02)
        yield request.param, f"{host}:{port}"
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.fixture
def bench(server: tuple[str, str], own_address: OwnAddress) -> Any:
    """`async with bench() as b`: a link through the server, clean, to a backend that runs."""
    which, control = server

    @asynccontextmanager
    async def make(load: Load | None = None) -> AsyncIterator[Bench]:
        address, to = own_address(), own_address()
        backend, links = Backend(to), ToxiproxyLinks(control, timeout=PATIENCE)
        await backend.start()
        link = Link(source="api", destination=f"db-{address[0]}-{address[1]}", port=80, protocol="http")
        try:
            spec = ProxySpec(name=link.id, listen=f"{address[0]}:{address[1]}", upstream=f"{to[0]}:{to[1]}")
            await links.create([spec])
            if load is not None:
                load.address = address
                load.start()
            yield Bench(which, links, backend, link, address)
        finally:
            if load is not None:
                await load.stop()
            try:
                await links.apply(link.id, CLEAN)
            finally:
                await links.aclose()
                await backend.stop()

    return make


@pytest.fixture
def load() -> type[Load]:
    """Its class, because tests cannot import this file."""
    return Load
