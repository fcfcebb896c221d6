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
LEAST = {
    "exact": 5,
    "wild": 10,
    "changes": 10,
    "pings": 5,
}  # it goes on until so many were seen, also on a busy machine
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
    """One run against one server. `random` makes all choices; `own_address` gives places that nobody else can take,
    also while a proxy is switched off."""

    def __init__(self, http: httpx.AsyncClient, random: random.Random, own_address) -> None:
        self.random = random
        self.http = http
        self.own_address = own_address
        self.until = time.monotonic() + SECONDS
        self.addresses: dict[str, tuple[str, int]] = {}
        self.there: dict[str, list[str]] = {"exact": [], "wild": [], "garbage": [], "hole": []}
        self.seen: Counter[str] = Counter()
        self.made = 0
        self.failures: list[Exception] = []  # of the upstreams

    async def call(self, method: str, path: str, body=None, expect=(200, 201, 204)):
        answer = await self.http.request(method, path, json=body)
        assert answer.status_code in expect, f"{method} {path} {body}: {answer.status_code} {answer.text}"
        return answer

    def over(self) -> bool:
        enough = all(self.seen[what] >= least for what, least in LEAST.items())
        return bool(self.failures) or (enough and time.monotonic() >= self.until)

    async def proxy(self, name: str, upstream: tuple[str, int]) -> None:
        self.addresses[name] = self.own_address()
        (host, port), (to, at) = self.addresses[name], upstream
        await self.call("POST", "/proxies", {"name": name, "listen": f"{host}:{port}", "upstream": f"{to}:{at}"})

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
        reader, writer = await asyncio.open_connection(*self.addresses["exact"])
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
                streams = await asyncio.open_connection(*self.addresses[name])
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

    async def bystander(self) -> None:
        reader, writer = await asyncio.open_connection(*self.addresses["calm"])
        try:
            while not self.over():
                start = time.monotonic()
                writer.write(b"ping")
                assert await reader.readexactly(4) == b"ping"
                self.seen["pings"] += 1
                took = int(1000 * (time.monotonic() - start))
                self.seen["slowest ping, ms"] = max(self.seen["slowest ping, ms"], took)
                await asyncio.sleep(0.02)
        finally:
            writer.close()

    async def echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()


async def fuzz(url: str, generator: random.Random, own_address) -> Counter[str]:
    """Everything at once for SECONDS; then nothing may be left open."""
    async with contextlib.AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=PATIENCE))
        run = Fuzz(http, generator, own_address)

        async def upstream(name: str, handle) -> None:
            async def guarded(reader, writer) -> None:
                try:
                    await handle(reader, writer)
                except Exception as error:
                    run.failures.append(error)
                finally:
                    writer.close()

            address = own_address()
            server = await asyncio.start_server(guarded, *address, backlog=1024)
            stack.callback(server.close)
            await run.proxy(name, address)

        await upstream("exact", run.exact_upstream)
        await upstream("wild", run.misbehave)
        await upstream("garbage", run.misbehave)
        await upstream("calm", run.echo)
        await run.proxy("hole", stack.enter_context(full_backlog(own_address())))
        await run.proxy("dead", own_address())  # nobody listens there

        async def bender() -> None:
            while not run.over():
                await run.bend(generator.choice(["exact", "exact", "wild", "wild", "garbage", "hole"]))
                await asyncio.sleep(generator.random() * 0.03)
            await run.call("POST", "/reset")

        async def repeat(act) -> None:
            while not run.over():
                await act()

        try:
            async with asyncio.timeout(SECONDS + 2 * PATIENCE), asyncio.TaskGroup() as group:
                group.create_task(bender())
                group.create_task(run.bystander())
                for _ in range(6):
                    group.create_task(repeat(run.exact_client))
                for name in ("wild", "wild", "wild", "garbage", "garbage", "hole", "dead"):
                    group.create_task(repeat(lambda name=name: run.wild_client(name)))
        except TimeoutError:
            run.failures.append(AssertionError(f"it does not come to an end: {dict(run.seen)}"))
        assert not run.failures, run.failures
        end = time.monotonic() + PATIENCE
        while still := await opened(run):
            assert time.monotonic() < end, f"connections are left open: {still}"
            await asyncio.sleep(0.05)
        for name in run.addresses:
            await run.call("DELETE", f"/proxies/{name}")
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
def full_backlog(address: tuple[str, int]):
    """An upstream that drops handshakes."""
    with socket.socket() as full, contextlib.ExitStack() as fillers:
        full.bind(address)
        full.listen(0)
        for _ in range(8):
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(address)
        yield address


@pytest.mark.timeout(SECONDS + 5 * PATIENCE)
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
            seen = asyncio.run(fuzz(server.url, random.Random(SEED), wire.own_address))
        except BaseException as error:
            error.add_note(f"CHAOSKIT_FUZZ_SEED={SEED} makes the same choices again")
            raise
        print(dict(seen), resident() - before[0])
        wire.until(lambda: descriptors() <= before[1])
        assert resident() - before[0] < 128 << 20
