"""A connection without toxics, and which connections a toxic takes; in virtual time."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace
from typing import Any

from chaoskit.toxiproxy.server.connection import Connection
from chaoskit.toxiproxy.server.pipe import Flow


class TestFastPath:
    def test_without_toxics_a_read_is_written_at_once(self, rig):
        rig.ask(b"question")
        rig.answer(b"answer")
        assert rig.asked == [(0, b"question")]
        assert rig.answered == [(0, b"answer")]
        assert [(flow.received, flow.sent) for flow in rig.proxy.flows] == [(8, 8), (6, 6)]
        assert rig.connection.pipes[0].first is None

    def test_a_slow_reader_stops_the_other_side_only(self, rig):
        rig.connection.server.pause_writing()
        assert not rig.client.reading
        assert rig.server.reading
        rig.connection.server.resume_writing()
        assert rig.client.reading

    def test_end_of_file_closes_the_far_side_and_then_the_near_one(self, rig):
        assert rig.connection.client.eof_received() is True
        assert rig.server.closed == "fin"
        assert rig.client.closed == "fin"

    def test_all_is_forgotten_when_both_are_lost(self, rig):
        rig.connection.client.connection_lost(None)
        assert rig.server.closed == "fin"
        assert rig.proxy.connections
        rig.connection.server.connection_lost(None)
        assert not rig.proxy.connections

    def test_bytes_before_the_upstream_is_there_wait_and_hold_the_client(self, new_rig):
        rig = new_rig(dialled=False)
        rig.connection.client.transport = rig.client
        rig.ask(b"early")
        assert not rig.client.reading
        rig.ask(b"bird")
        rig.connect()
        assert b"".join(data for _, data in rig.asked) == b"earlybird"
        assert rig.client.reading

    def test_an_end_before_the_upstream_is_there_is_told_after_the_bytes(self, new_rig):
        rig = new_rig(dialled=False)
        rig.connection.client.transport = rig.client
        rig.ask(b"early")
        rig.connection.client.eof_received()
        rig.connect()
        assert rig.asked == [(0, b"early")]
        assert rig.server.closed == "fin"


def test_a_dial_that_succeeds_while_it_is_given_up_leaves_nothing_open(monkeypatch):
    """As uvloop does it: it tells of the connection, closes the socket, and never tells of that."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        dialled = asyncio.Event()

        async def dial(factory: Any, host: str, port: int) -> None:
            dialled.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                factory().connection_made(SimpleNamespace(write=None, is_closing=lambda: True))
                raise

        monkeypatch.setattr(loop, "create_connection", dial)
        proxy: Any = SimpleNamespace(
            upstream="127.0.0.1:1", timers=None, chains=([], []), flows=(Flow(), Flow()), connections=set(),
            toxics=list, dial_failures=0,
        )  # fmt: skip
        near, far = socket.socketpair()
        with near, far:
            near.setblocking(False)
            connection = Connection(proxy, 1)
            connection.begin(near)
            await dialled.wait()
            assert proxy.connections == {connection}
            connection.abort()
            for _ in range(5):
                await asyncio.sleep(0)
            assert proxy.connections == set()

    asyncio.run(main())


class TestToxicity:
    def test_a_spared_connection_is_on_the_fast_path(self, rig):
        rig.add("latency", latency=100, toxicity=0.0)
        assert rig.connection.pipes[0].first is None
        rig.ask(b"a")
        assert rig.asked == [(0, b"a")]

    def test_raising_it_adds_connections_and_never_swaps_them(self, rig):
        toxic = rig.add("latency", toxicity=0.3)
        hit = {number for number in range(500) if toxic.takes(number)}
        assert 100 < len(hit) < 200
        toxic.toxicity = 0.6
        more = {number for number in range(500) if toxic.takes(number)}
        assert hit < more
        assert 230 < len(more) < 370

    def test_directions_and_toxics_roll_their_own_dice(self, rig):
        toxics = [
            rig.add("latency", name, stream=stream, toxicity=0.5)
            for name, stream in (("a", "upstream"), ("b", "upstream"), ("a2", "downstream"))
        ]
        rolls = [tuple(toxic.takes(number) for number in range(64)) for toxic in toxics]
        assert len(set(rolls)) == 3

    def test_an_update_that_hits_begins_to_act(self, rig):
        toxic = rig.add("latency", latency=100, toxicity=0.0)
        rig.update(toxic, toxicity=1.0)
        rig.ask(b"a")
        rig.wait(100)
        assert rig.asked == [(100, b"a")]
        assert toxic.hits == 1
