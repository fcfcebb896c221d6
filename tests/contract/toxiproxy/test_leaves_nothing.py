"""After everything has gone, nothing is left in the process: no task, no timer, no connection, no stage of a toxic."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import struct

import pytest
import uvloop

from chaoskit.toxiproxy.server.connection import Connection, Side
from chaoskit.toxiproxy.server.pipe import Pipe
from chaoskit.toxiproxy.server.proxies import Proxies
from chaoskit.toxiproxy.server.stage import DIRECTIONS, Stage, Toxic
from chaoskit.toxiproxy.server.timers import LoopTimers
from chaoskit.toxiproxy.server.toxics import TOXICS

RESET = struct.pack("ii", 1, 0)
VALUES = {"latency": 50, "rate": 1, "average_size": 3, "delay": 1000, "timeout": 60_000, "bytes": 7}


def alive() -> list[object]:
    gc.collect()
    return [thing for thing in gc.get_objects() if isinstance(thing, Connection | Pipe | Side | Stage)]


async def use(address: tuple[str, int], number: int) -> None:
    """One client: talks, listens, and leaves in one of several ways."""
    try:
        async with asyncio.timeout(0.3):
            reader, writer = await asyncio.open_connection(*address)
    except (OSError, TimeoutError):
        return
    writer.write(b"question" * 20)
    try:
        async with asyncio.timeout(0.02 * (number % 3)):
            await reader.read(100)
    except (OSError, TimeoutError):
        pass
    if number % 4 == 0:
        with contextlib.suppress(OSError, AttributeError):  # it may be closed already, and then have no socket
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    if number % 4 == 3:
        writer.close()
        await asyncio.sleep(0.05)
    writer.transport.abort()  # uvloop waits for ever when it is closed with an open transport


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(100):
            writer.write(data)
    except OSError:
        pass
    finally:
        writer.transport.abort()


async def everything(address: tuple[str, int]) -> None:
    server = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=1024)
    timers = LoopTimers(asyncio.get_running_loop())
    proxies = Proxies(timers, "seed")
    try:
        await bent_and_closed(proxies, timers, server, address)
    finally:  # a failure shall be told: uvloop waits for ever when it is closed with something open
        await proxies.close()
        timers.close()
        server.close()
        await asyncio.sleep(0.05)
    for _ in range(200):
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if not others:
            break
        await asyncio.sleep(0.01)
    assert others == set()
    await asyncio.sleep(0.05)


async def bent_and_closed(
    proxies: Proxies, timers: LoopTimers, server: asyncio.Server, address: tuple[str, int]
) -> None:
    """Clients under every toxic, which comes, changes and goes."""
    upstream = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    proxy = await proxies.add_or_replace(proxies.make("p", f"{address[0]}:{address[1]}", upstream), start=True)
    for kind, stage in TOXICS.items():
        attributes = {name: VALUES.get(name, 0) for name in stage.attributes}
        toxics = [
            Toxic(f"{kind}-{stream}", stage, stream, direction, 0.7, dict(attributes))
            for direction, stream in enumerate(DIRECTIONS)
        ]
        for toxic in toxics:
            proxy.add(toxic)
        clients = [asyncio.ensure_future(use(address, number)) for number in range(24)]
        await asyncio.sleep(0.03)
        proxy.update(toxics[0], 1.0, attributes)
        proxy.update(toxics[1], 0.0, attributes)
        if len(kind) % 2:
            await proxy.stop()
            await proxy.start()
        await asyncio.gather(*clients)
        for toxic in toxics:
            proxy.remove(toxic)
    await proxies.close()
    assert proxy.connections == set()
    assert [timer for timer in timers._heap if timer.callback is not None] == []


LOOPS = pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])


@LOOPS
def test_a_proxy_is_switched_off_at_the_moment_that_its_upstream_answers(loop, own_address, monkeypatch):
    """The dial is over, and nobody who waits for it knows."""
    made = Connection.made

    def made_and_gone(self, side):
        made(self, side)
        if side is self.server:
            self.abort()

    monkeypatch.setattr(Connection, "made", made_and_gone)

    async def main() -> None:
        server = await asyncio.start_server(echo, *(upstream := own_address()))
        timers = LoopTimers(asyncio.get_running_loop())
        proxies = Proxies(timers, "seed")
        address = own_address()
        made = proxies.make("p", f"{address[0]}:{address[1]}", f"{upstream[0]}:{upstream[1]}")
        proxy = await proxies.add_or_replace(made, start=True)
        try:
            for number in range(5):
                await use(address, number)
            for _ in range(100):
                await asyncio.sleep(0.01)
                if not proxy.connections:
                    break
            assert (proxy.accepted, proxy.connections) == (5, set())
        finally:
            await proxies.close()
            timers.close()
            server.close()
            await asyncio.sleep(0.05)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main())


@LOOPS
def test_nothing_is_left(loop, own_address):
    assert alive() == []
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(everything(own_address()))
        assert alive() == []
