"""The data path under everything at once: exact where nothing lossy is asked for, and never a crash, hang or leak.

CHAOSKIT_FUZZ_SECONDS=300 makes it longer; CHAOSKIT_FUZZ_SEED=n repeats the choices of a run (the instants are the
machine's). One event loop plays all parts: clients, upstreams, and whoever bends the links meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import struct
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

SECONDS = float(os.environ.get("CHAOSKIT_FUZZ_SECONDS", "6"))
SEED = int(os.environ.get("CHAOSKIT_FUZZ_SEED") or random.SystemRandom().getrandbits(32))
PATIENCE = 60.0  # seconds for anything that shall happen
HEADER = struct.Struct("!III")
RESET = struct.pack("ii", 1, 0)

# Values from harmless to absurd; the first set loses nothing.
SAFE = {
    "noop": {},
    "latency": {"latency": (0, 1, 20), "jitter": (0, 5, -3)},
    "bandwidth": {"rate": (500, 5000, 1 << 40)},
    "slicer": {"average_size": (0, -1, 100, 5000), "size_variation": (0, 50, 9000, -5), "delay": (0, 50, -1)},
    "slow_close": {"delay": (0, 30, -1)},
}
WILD = {
    **SAFE,
    "latency": {"latency": (0, 50, 100_000, 1 << 62, -(1 << 63)), "jitter": (0, 5, 1 << 62)},
    "bandwidth": {"rate": (0, 1, 100, -1, -(1 << 63))},
    "slicer": {"average_size": (0, 1, 1 << 62), "size_variation": (0, 1, 1 << 62), "delay": (0, 1 << 62)},
    "slow_close": {"delay": (0, 100, 1 << 62)},
    "timeout": {"timeout": (0, 1, 100, -1)},
    "reset_peer": {"timeout": (0, 1, 100, -1, 1 << 62)},
    "limit_data": {"bytes": (0, 1, 1000, 100_000, -1)},
    "blackhole": {},
}


class Fuzz:
    """One run against one server. `random` makes all choices."""

    def __init__(self, url: str, random: random.Random) -> None:
        self.random = random
        self.http = httpx.AsyncClient(base_url=url, timeout=PATIENCE)
        self.ports: dict[str, int] = {}
        self.there: dict[str, list[str]] = {"exact": [], "wild": [], "garbage": [], "hole": []}
        self.seen: Counter[str] = Counter()
        self.made = 0

    async def call(self, method: str, path: str, body=None, expect=(200, 201, 204)):
        answer = await self.http.request(method, path, json=body)
        assert answer.status_code in expect, f"{method} {path} {body}: {answer.status_code} {answer.text}"
        return answer

    async def proxy(self, name: str, upstream: int) -> None:
        made = await self.call(
            "POST", "/proxies", {"name": name, "listen": "127.0.0.1:0", "upstream": f"127.0.0.1:{upstream}"}
        )
        self.ports[name] = int(made.json()["listen"].rpartition(":")[2])

    # Who bends the links.

    async def bend(self, name: str) -> None:
        toxics = self.there[name]
        kinds = SAFE if name == "exact" else WILD
        roll = self.random.random()
        if toxics and roll < 0.4:
            gone = toxics.pop(self.random.randrange(len(toxics)))
            await self.call("DELETE", f"/proxies/{name}/toxics/{gone}")
        elif toxics and roll < 0.6:
            which = self.random.choice(toxics)
            kind = which.partition("-")[0]
            body = {"attributes": self.values(kinds[kind]), "toxicity": self.random.choice([0, 0.5, 1])}
            await self.call("PATCH", f"/proxies/{name}/toxics/{which}", body)
        elif roll < 0.63 and name != "exact":
            for enabled in (False, True):
                await self.call("POST", f"/proxies/{name}", {"enabled": enabled})
        elif len(toxics) < 4:
            self.made += 1
            kind = self.random.choice(sorted(kinds))
            body = {
                "name": f"{kind}-{self.made}",
                "type": kind,
                "stream": self.random.choice(["upstream", "downstream"]),
                "toxicity": self.random.choice([1, 1, 0.5, 0]),
                "attributes": self.values(kinds[kind]),
            }
            await self.call("POST", f"/proxies/{name}/toxics", body)
            toxics.append(body["name"])
        self.seen["changes"] += 1

    def values(self, choices: dict[str, tuple[int, ...]]) -> dict[str, int]:
        return {name: self.random.choice(values) for name, values in choices.items()}

    # Clients and upstreams that keep to a protocol, and compare every byte.

    async def exact_client(self) -> None:
        up, down = (self.random.choice([0, 1, 100, 40_000, 200_000]) for _ in range(2))
        seed = self.random.getrandbits(32)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports["exact"])
        try:
            writer.write(HEADER.pack(up, down, seed))
            async with asyncio.TaskGroup() as both:
                both.create_task(self.send(writer, random.Random(seed).randbytes(up)))
                found = both.create_task(self.receive(reader, down))
            assert found.result() == random.Random(seed + 1).randbytes(down)
            assert await reader.readexactly(1) == b"K", "the upstream did not say that it got everything"
        finally:
            writer.close()
        self.seen["exact"] += 1
        self.seen["bytes"] += up + down

    async def exact_upstream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up, down, seed = HEADER.unpack(await reader.readexactly(HEADER.size))
        async with asyncio.TaskGroup() as both:
            both.create_task(self.send(writer, random.Random(seed + 1).randbytes(down)))
            found = both.create_task(self.receive(reader, up))
        assert found.result() == random.Random(seed).randbytes(up)
        writer.write(b"K")
        assert await reader.read() == b"", "more came than was sent"

    async def send(self, writer: asyncio.StreamWriter, blob: bytes) -> None:
        at = 0
        while at < len(blob):
            size = self.random.choice([1, 10, 1000, 60_000])
            writer.write(blob[at : at + size])
            at += size
            await writer.drain()
            if self.random.random() < 0.05:
                await asyncio.sleep(self.random.random() * 0.02)

    async def receive(self, reader: asyncio.StreamReader, size: int) -> bytes:
        found = bytearray()
        while len(found) < size:
            data = await reader.read(min(self.random.choice([1, 100, 70_000]), size - len(found)))
            assert data, f"closed after {len(found)} of {size} bytes"
            found += data
            if self.random.random() < 0.01:
                await asyncio.sleep(self.random.random() * 0.02)
        return bytes(found)

    # Clients and upstreams without manners.

    async def wild_client(self, name: str) -> None:
        try:
            async with asyncio.timeout(1.0):
                streams = await asyncio.open_connection("127.0.0.1", self.ports[name])
        except (OSError, TimeoutError):
            self.seen["no connection"] += 1
            return
        await self.misbehave(*streams)
        self.seen["wild"] += 1

    async def misbehave(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for _ in range(self.random.randrange(6)):
                what = self.random.randrange(6)
                async with asyncio.timeout(0.2):
                    if what < 2:
                        writer.write(self.random.randbytes(self.random.choice([1, 500, 100_000])))
                        await writer.drain()
                    elif what == 2:
                        await reader.read(self.random.choice([1, 70_000]))
                    elif what == 3:
                        await asyncio.sleep(self.random.random() * 0.2)
                    elif what == 4 and writer.can_write_eof():
                        writer.write_eof()
                    else:
                        break
        except (OSError, TimeoutError, RuntimeError):  # the last: writing after the end
            pass
        if self.random.random() < 0.5:
            sock = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writer.transport.abort()

    # A bystander, who must notice nothing.

    async def bystander(self, until: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports["calm"])
        while time.monotonic() < until:
            start = time.monotonic()
            writer.write(b"ping")
            assert await reader.readexactly(4) == b"ping"
            self.seen["pings"] += 1
            self.seen["slowest ping, ms"] = max(self.seen["slowest ping, ms"], int(1000 * (time.monotonic() - start)))
            await asyncio.sleep(0.02)
        writer.close()

    async def echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()


async def fuzz(url: str, generator: random.Random) -> Counter[str]:
    """Everything at once for SECONDS; then nothing may be left open."""
    run = Fuzz(url, generator)
    failures: list[BaseException] = []

    def upstream(handle):
        async def guarded(reader, writer) -> None:
            try:
                await handle(reader, writer)
            except Exception as error:
                failures.append(error)
            finally:
                writer.close()

        return asyncio.start_server(guarded, "127.0.0.1", 0, backlog=1024)

    servers = {
        "exact": await upstream(run.exact_upstream),
        "wild": await upstream(run.misbehave),
        "garbage": await upstream(run.misbehave),
        "calm": await upstream(run.echo),
    }
    with full_backlog() as hole, socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))  # taken, and nobody listens
        for name, server in servers.items():
            await run.proxy(name, server.sockets[0].getsockname()[1])
        await run.proxy("hole", hole)
        await run.proxy("dead", dead.getsockname()[1])
        until = time.monotonic() + SECONDS

        async def bender() -> None:
            while time.monotonic() < until:
                await run.bend(generator.choice(["exact", "exact", "wild", "wild", "garbage", "hole"]))
                await asyncio.sleep(generator.random() * 0.03)
            await run.call("POST", "/reset")

        async def repeat(act) -> None:
            while time.monotonic() < until and not failures:
                await act()

        async with asyncio.timeout(SECONDS + 2 * PATIENCE), asyncio.TaskGroup() as group:
            group.create_task(bender())
            group.create_task(run.bystander(until))
            for _ in range(6):
                group.create_task(repeat(run.exact_client))
            for name in ("wild", "wild", "wild", "garbage", "garbage", "hole", "dead"):
                group.create_task(repeat(lambda name=name: run.wild_client(name)))
        for server in servers.values():
            server.close()
        end = time.monotonic() + PATIENCE
        while still := await opened(run):
            assert time.monotonic() < end, f"connections are left open: {still}"
            await asyncio.sleep(0.05)
        for name in run.ports:
            await run.call("DELETE", f"/proxies/{name}")
    await run.http.aclose()
    assert not failures, failures
    return run.seen


async def opened(run: Fuzz) -> dict[str, int]:
    counters = (await run.call("GET", "/chaoskit/counters")).json()
    for name in ("exact", "calm"):
        for direction in ("upstream", "downstream"):
            flow = counters[name][direction]
            assert flow["sent"] <= flow["received"], counters[name]
    # Where the upstream never answers, the dial goes on as long as the system tries.
    return {name: link["open"] for name, link in counters.items() if link["open"] and name != "hole"}


@contextlib.contextmanager
def full_backlog():
    """The port of an upstream that drops handshakes."""
    with socket.socket() as full, contextlib.ExitStack() as fillers:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(8):
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        yield full.getsockname()[1]


@pytest.mark.parametrize("kind", ["uvloop", "asyncio"])
def test_fuzz(wire, tmp_path, kind):
    with wire.running(kind, tmp_path) as server:
        process = Path(f"/proc/{server.process.pid}")

        def resident() -> int:
            return int((process / "statm").read_text().split()[1]) * 4096

        def descriptors() -> int:
            return len(list((process / "fd").iterdir()))

        before = resident(), descriptors()
        print(f"CHAOSKIT_FUZZ_SEED={SEED}")
        try:
            seen = asyncio.run(fuzz(server.url, random.Random(SEED)))
        except BaseException as error:
            error.add_note(f"CHAOSKIT_FUZZ_SEED={SEED} makes the same choices again")
            raise
        print(dict(seen), resident() - before[0])
        assert seen["exact"] >= 5 and seen["wild"] >= 10 and seen["changes"] >= 10 and seen["pings"] >= 5, seen
        wire.until(lambda: descriptors() <= before[1])
        assert resident() - before[0] < 128 << 20
