"""Toxics in virtual time: a pipe without sockets, a clock that moves when a test says so."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from chaoskit.toxiproxy.server.connection import Connection
from chaoskit.toxiproxy.server.pipe import Flow
from chaoskit.toxiproxy.server.stage import DIRECTIONS, MS, Toxic
from chaoskit.toxiproxy.server.timers import Timer
from chaoskit.toxiproxy.server.toxics import TOXICS


class VirtualTimers:
    """Time in nanoseconds; `advance` fires what comes due, each at its own instant."""

    def __init__(self) -> None:
        self.time = 1_000 * MS
        self.heap: list[Timer] = []
        self.order = 0

    def now(self) -> int:
        return self.time

    def at(self, when: int, callback: Callable[[], None]) -> Timer:
        self.order += 1
        timer = Timer(when, self.order, callback)
        heapq.heappush(self.heap, timer)
        return timer

    def advance(self, milliseconds: float) -> None:
        end = self.time + round(milliseconds * MS)
        while self.heap and self.heap[0].when <= end:
            timer = heapq.heappop(self.heap)
            if timer.callback is not None:
                self.time = max(self.time, timer.when)
                timer.callback()
        self.time = end

    @property
    def pending(self) -> int:
        return sum(timer.callback is not None for timer in self.heap)


class FakeTransport:
    """One socket: remembers what was written and when, and how it was closed."""

    def __init__(self, timers: VirtualTimers) -> None:
        self.timers = timers
        self.written: list[tuple[float, bytes]] = []
        self.closed: str | None = None
        self.closed_at: float | None = None
        self.reading = True

    def write(self, data: bytes) -> None:
        assert self.closed is None, "written after it was closed"
        self.written.append((self.timers.time / MS - 1000, data))

    def close(self) -> None:
        self._close("fin")

    def abort(self) -> None:
        self._close("abort")

    def _close(self, how: str) -> None:
        if self.closed is None:
            self.closed, self.closed_at = how, self.timers.time / MS - 1000

    def is_closing(self) -> bool:
        return self.closed is not None

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def get_extra_info(self, name: str) -> None:
        return None


class Rig:
    """A proxy's worth of one connection: feed one side, watch the other, change the chain. Times are milliseconds."""

    def __init__(self, dialled: bool = True) -> None:
        self.timers = VirtualTimers()
        self.proxy = SimpleNamespace(
            timers=self.timers,
            chains=([], []),
            flows=(Flow(), Flow()),
            connections=set(),
        )
        self.connection = Connection(self.proxy, 1)
        self.client = FakeTransport(self.timers)
        self.server = FakeTransport(self.timers)
        if dialled:
            self.connect()

    def connect(self) -> None:
        self.proxy.connections.add(self.connection)
        self.connection.client.transport = self.client
        self.connection.client.inward.write = self.client.write
        self.connection.server.connection_made(self.server)

    def add(self, kind: str, name: str = "t", stream: str = "upstream", toxicity: float = 1.0, **values: int) -> Toxic:
        stage = TOXICS[kind]
        attributes = {**dict.fromkeys(stage.attributes, 0), **values}
        toxic = Toxic(name, stage, stream, DIRECTIONS.index(stream), toxicity, attributes, seed="test")
        self.proxy.chains[toxic.direction].append(toxic)
        self.connection.pipes[toxic.direction].add(toxic)
        return toxic

    def update(self, toxic: Toxic, toxicity: float | None = None, **values: int) -> None:
        toxic.attributes = {**toxic.attributes, **values}
        toxic.toxicity = toxic.toxicity if toxicity is None else toxicity
        self.connection.pipes[toxic.direction].update(toxic)

    def remove(self, toxic: Toxic) -> None:
        self.proxy.chains[toxic.direction].remove(toxic)
        self.connection.pipes[toxic.direction].remove(toxic)

    def ask(self, data: bytes) -> None:
        """The client sends."""
        with_time(self, lambda: self.connection.client.data_received(data))

    def answer(self, data: bytes) -> None:
        """The server sends."""
        with_time(self, lambda: self.connection.server.data_received(data))

    def wait(self, milliseconds: float) -> None:
        self.timers.advance(milliseconds)

    @property
    def asked(self) -> list[tuple[float, bytes]]:
        """What the server got, with the instants."""
        return self.server.written

    @property
    def answered(self) -> list[tuple[float, bytes]]:
        return self.client.written


def with_time(rig: Rig, call: Callable[[], None]) -> None:
    """The hot path asks the system clock itself; here it is told the virtual time."""
    from chaoskit.toxiproxy.server import connection

    before = connection.monotonic_ns
    connection.monotonic_ns = rig.timers.now
    try:
        call()
    finally:
        connection.monotonic_ns = before


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.fixture(scope="session")
def new_rig() -> type[Rig]:
    return Rig
