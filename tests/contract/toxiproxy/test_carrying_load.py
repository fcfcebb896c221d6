"""Many connections, big and small chunks, readers that do not read: nothing lost, memory bounded."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# The original does not take part: under toxics that come and go with random traffic it dies once in a while.
KINDS = ("uvloop", "asyncio")
MIB = 1 << 20
TOXICS = {
    "noop": {},
    "latency": {"latency": 3, "jitter": 3},
    "bandwidth": {"rate": 50_000},
    "slicer": {"average_size": 5000, "size_variation": 4000, "delay": 10},
    "slow_close": {"delay": 10},
}
CHAINS = st.sampled_from(
    [
        "",
        "noop",
        "latency",
        "bandwidth",
        "slicer",
        "latency noop",
        "slicer latency bandwidth",
        "bandwidth slicer slow_close",
    ]
)


def resident(pid: int) -> int:
    """Bytes of memory that the process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def cut(blob: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(blob[at : at + size])
        at += size
    return pieces


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    up=st.lists(st.integers(1, 70_000), max_size=12),
    down=st.lists(st.integers(1, 70_000), max_size=12),
    toxics=CHAINS,
    far_ends=st.booleans(),
)
def test_nothing_is_lost_or_reordered_in_either_direction(link, wire, up, down, toxics, far_ends):
    for stream in ("upstream", "downstream"):
        for number, kind in enumerate(toxics.split()):
            link.add(kind, f"{stream}{number}", stream=stream, **TOXICS[kind])
    near, far = link.pair()
    generator = random.Random(str((up, down)))
    questions, answers = generator.randbytes(sum(up)), generator.randbytes(sum(down))

    def send(sock, blob, sizes):
        for piece in cut(blob, sizes):
            sock.sendall(piece)

    threads = [
        threading.Thread(target=send, args=(near, questions, up)),
        threading.Thread(target=send, args=(far, answers, down)),
    ]
    for thread in threads:
        thread.start()
    try:
        assert wire.receive(far, len(questions)) == questions
        assert wire.receive(near, len(answers)) == answers
    finally:
        for thread in threads:
            thread.join()
    first, second = (far, near) if far_ends else (near, far)
    first.close()
    assert wire.drain(second) == b""
    link.client.reset()


@pytest.mark.parametrize("toxic", [None, "latency"])
def test_a_reader_that_does_not_read_stops_the_sender_and_not_the_memory(link, wire, embedded, toxic):
    if toxic:
        link.add(toxic, stream="upstream", latency=2000)
    near, far = link.pair()
    before = resident(embedded.process.pid)
    near.settimeout(1.0)
    sent = 0
    blob = memoryview(bytes(MIB))
    try:
        while sent < 512 * MIB:
            sent += near.send(blob)
    except TimeoutError:
        pass
    assert sent < 200 * MIB
    assert resident(embedded.process.pid) - before < 96 * MIB
    # The rest still comes through, to the last byte, once the reader reads.
    near.settimeout(wire.patience)
    near.shutdown(1)
    assert len(wire.drain(far)) == sent


def test_a_line_full_of_small_chunks_is_bounded_too(link, wire, embedded):
    link.add("latency", stream="upstream", latency=60_000)
    near, _ = link.pair()
    before = resident(embedded.process.pid)
    near.settimeout(1.0)
    end = time.monotonic() + 1.5
    try:
        while time.monotonic() < end:
            near.send(b"tiny")
    except TimeoutError:
        pass
    assert resident(embedded.process.pid) - before < 96 * MIB


@pytest.mark.parametrize("toxic", [None, "latency"])
def test_five_hundred_open_connections(link, wire, toxic):
    if toxic:
        link.add(toxic, latency=20, jitter=10)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def ask(number: int, all_open: asyncio.Barrier) -> None:
        reader, writer = await asyncio.open_connection(*link.address)
        await all_open.wait()
        for turn in range(5):
            question = f"{number}/{turn};".encode() * 50
            writer.write(question)
            assert await reader.readexactly(len(question)) == question
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        link.listener.setblocking(False)
        server = await asyncio.start_server(serve, sock=link.listener.dup(), backlog=1024)
        all_open = asyncio.Barrier(500)
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for number in range(500):
                group.create_task(ask(number, all_open))
        server.close()
        await asyncio.sleep(0.2)

    asyncio.run(main())


def test_a_toxic_reaches_five_hundred_connections_and_healing_closes_them(link, wire, embedded):
    pairs = [link.pair() for _ in range(300)]
    link.add("blackhole")
    for _, far in pairs:
        far.sendall(b"x")
    wire.until(lambda: link.client.counters()[link.name].hits == {"t": 300})
    link.client.remove_toxic(link.name, "t")
    assert {wire.ending(near) for near, _ in pairs} == {"fin"}
    wire.until(lambda: link.client.counters()[link.name].open == 0)
