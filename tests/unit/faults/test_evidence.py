"""A witness sees what is there: real sockets that are late, silent, refuse, reset, or do none of it."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from chaoskit.faults.evidence import Observation, Witness, change
from chaoskit.stack.effects import Evidence

LINK = "api->cache:6379"


@pytest.fixture(autouse=True)
def come_back(own_address: Callable[[], tuple[str, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a server listened it can listen again."""
    monkeypatch.setattr(Server, "own_address", staticmethod(own_address), raising=False)


class Server:
    """Answers PING with PONG, in the way `mode` says."""

    own_address: Callable[[], tuple[str, int]]

    def __init__(self) -> None:
        self.mode = "good"
        self.delay = 0.0
        self.host, self.port = self.own_address()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._handle, self.host, self.port, reuse_address=True)

    async def refuse(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)

    async def stop(self) -> None:
        await self.refuse()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        silent = self.mode == "silent-when-new"
        try:
            while await reader.read(4096):
                if silent or self.mode == "silent":
                    await asyncio.sleep(3600)
                if self.mode == "reset":
                    sock = writer.get_extra_info("socket")
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                await asyncio.sleep(self.delay)
                if self.mode == "drop":
                    return
                writer.write(b"+PONG\r\n")
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
            self._tasks.discard(task)


@asynccontextmanager
async def watching(item: Evidence, pids: Any = None) -> AsyncIterator[tuple[Server, Witness]]:
    server = Server()
    await server.listen()

    async def nobody(node: str) -> list[dict[str, object]]:
        return []

    witness = Witness((item,), {LINK: (server.host, server.port, "resp", "/")}, pids or nobody)
    try:
        await witness.before()
        yield server, witness
    finally:
        witness.close()
        await server.stop()


async def seen(witness: Witness, within: float = 20.0) -> Observation:
    (found,) = await witness.seen(time.monotonic() + within)
    return found


async def gone(witness: Witness, within: float = 20.0) -> Observation:
    (found,) = await witness.gone(time.monotonic() + within)
    return found


def evidence(kind: str, expected: float = 0.0) -> Evidence:
    return Evidence(kind=kind, link=LINK, expected=expected)


def test_latency_is_measured_and_seen_to_go() -> None:
    async def main() -> None:
        async with watching(evidence("latency", 0.3)) as (server, witness):
            server.delay = 0.3
            found = await seen(witness)
            assert found.seen and found.text.startswith(f"{LINK}: asked 300 ms, saw "), found
            assert " ± " in found.text and min(found.samples) >= 0.299
            still = await gone(witness, 0.0)
            assert not still.seen, still
            server.delay = 0.0
            assert (await gone(witness)).seen

    asyncio.run(main())


def test_much_less_latency_than_was_asked_is_not_seen() -> None:
    async def main() -> Observation:
        async with watching(evidence("latency", 5.0)) as (server, witness):
            server.delay = 0.4
            return await seen(witness, 0.0)

    found = asyncio.run(main())
    assert not found.seen and "asked 5000 ms, saw" in found.text


@pytest.mark.parametrize("kind", ["latency", "refused", "silent", "reset", "timeout"])
def test_a_fault_that_does_not_bite_is_not_seen(kind: str) -> None:
    async def main() -> Observation:
        async with watching(evidence(kind, 5.0)) as (_, witness):
            return await seen(witness, 0.0)

    found = asyncio.run(main())
    assert not found.seen and found.text.startswith(LINK)


def test_silence_refusal_and_reset_are_seen_and_seen_to_go() -> None:
    async def silent(server: Server) -> None:
        server.mode = "silent"

    async def reset(server: Server) -> None:
        server.mode = "reset"

    async def drop(server: Server) -> None:
        server.mode, server.delay = "drop", 0.2

    async def main() -> None:
        for kind, expected, bend in (
            ("silent", 0.5, silent),
            ("reset", 0.0, reset),
            ("timeout", 0.2, drop),
            ("refused", 0.0, Server.refuse),
        ):
            async with watching(evidence(kind, expected)) as (server, witness):
                await bend(server)
                found = await seen(witness)
                assert found.seen, found
                assert not (await gone(witness, 0.0)).seen
                server.mode, server.delay = "good", 0.0
                if kind == "refused":
                    await server.listen()
                again = await gone(witness)
                assert again.seen and "answers again" in again.text, again

    asyncio.run(main())


def test_a_cut_that_spares_open_connections_is_no_silence() -> None:
    async def main() -> Observation:
        async with watching(evidence("silent", 0.3)) as (server, witness):
            server.mode = "silent-when-new"
            return await seen(witness, 0.0)

    found = asyncio.run(main())
    assert not found.seen and "the open connection answered, new ones: 2 silent" in found.text


@pytest.mark.parametrize(
    ("kind", "now", "bites", "is_gone"),
    [
        ("down", [], True, False),
        ("down", [{"pid": 1, "outer": 11, "state": "S"}], False, True),
        ("down", [{"pid": 1, "outer": 11, "state": "Z"}], True, False),
        ("frozen", [{"pid": 1, "outer": 11, "state": "T"}, {"pid": 2, "outer": 12, "state": "T"}], True, False),
        ("frozen", [{"pid": 1, "outer": 11, "state": "T"}, {"pid": 2, "outer": 12, "state": "R"}], False, False),
        ("frozen", [], False, False),
        ("restarted", [{"pid": 1, "outer": 21, "state": "S"}], True, True),
        ("restarted", [{"pid": 1, "outer": 11, "state": "S"}], False, True),
        ("restarted", [], False, False),
        ("unheard-of", [], False, False),
    ],
)
def test_nodes(kind: str, now: list[dict[str, object]], bites: bool, is_gone: bool) -> None:
    table: list[dict[str, object]] = [{"pid": 1, "outer": 11, "state": "S"}, {"pid": 2, "outer": 12, "state": "S"}]

    async def pids(node: str) -> list[dict[str, object]]:
        assert node == "db"
        return table

    async def main() -> tuple[bool, bool]:
        witness = Witness((Evidence(kind=kind, node="db"),), {}, pids)
        await witness.before()
        table[:] = now
        return (await seen(witness, 0.0)).seen, (await gone(witness, 0.0)).seen

    assert asyncio.run(main()) == (bites, is_gone)


def test_a_link_that_is_dead_before_the_fault_does_not_hold_the_fault_up() -> None:
    async def main() -> float:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            sock.listen(64)  # connects are taken, and nobody answers
            witness = Witness(
                (evidence("latency", 0.1),), {LINK: ("127.0.0.1", sock.getsockname()[1], "resp", "/")}, None
            )  # type: ignore[arg-type]
            start = time.monotonic()
            await witness.before(1.0)
            witness.close()
            return time.monotonic() - start

    assert asyncio.run(main()) < 1.9  # one round; two would take two seconds


def test_what_another_fault_hides_is_asked_in_the_end() -> None:
    """Behind a cut nothing says that a node died; and where it stays dead beyond the cut, its own end shows both."""

    async def main() -> None:
        async with watching(evidence("back")) as (server, witness):
            await server.refuse()
            assert (await seen(witness)).idle  # at once: nobody waits for what cannot be seen
            assert not (await gone(witness, 0.0)).seen
            await server.listen()
            assert (await gone(witness)).seen
        async with watching(evidence("silent", 0.2).model_copy(update={"ends_with": "kill"})) as (server, witness):
            await server.refuse()
            found = await gone(witness, 0.0)
            assert found.seen and "to be asked when kill is over" in found.text

    asyncio.run(main())


def test_plain_tcp_is_honest_about_what_it_cannot_show() -> None:
    async def main() -> Observation:
        witness = Witness((evidence("latency", 0.1),), {LINK: ("127.0.0.1", 1, "tcp", "/")}, None)  # type: ignore[arg-type]
        return await seen(witness, 0.0)

    found = asyncio.run(main())
    assert not found.seen and "declare the link's protocol" in found.text


def test_change_against_cases_worked_by_hand() -> None:
    # Fewer than five values: nothing is trimmed. Means 2 and 5, variances 1 and 1, error sqrt(2/3), 2 degrees.
    difference, half, least = change([1, 2, 3], [4, 5, 6])
    assert difference == pytest.approx(3.0)
    assert half == pytest.approx(4.303 * (2 / 3) ** 0.5)
    assert least == pytest.approx(3.0 - 2.920 * (2 / 3) ** 0.5)
    # Five: one off either end. 2 3 4 is kept, Winsorized 2 2 3 4 4 (variance 1), squared error 4 * 1 / (3 * 2).
    difference, half, _ = change([1, 2, 3, 4, 1000], [12, 12, 13, 14, 14])
    assert difference == pytest.approx(10.0)
    assert half == pytest.approx(4.303 * (2 * 4 / 6) ** 0.5)
    assert change([0.0] * 50, [1.0] * 50) == (1.0, 0.0, 1.0)


def test_noise_is_seldom_taken_for_latency_and_latency_seldom_missed() -> None:
    draw = random.Random(7)

    def sample(more: float) -> list[float]:
        # some milliseconds, and now and then a connect that had to be repeated
        return [draw.expovariate(200) + more + (1.0 if draw.random() < 0.05 else 0.0) for _ in range(7)]

    def seen(more: float) -> int:
        return sum(change(sample(0.0), sample(more))[2] >= 0.1 for _ in range(1000))

    assert seen(0.0) < 10
    assert seen(0.2) > 900
