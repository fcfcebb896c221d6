"""The embedded Toxiproxy beside the original: how much they carry, what it costs, how exact their toxics are.

    .venv/bin/python benchmarks/proxy.py [--rounds 5]

Each server has one core, clients and upstream share the other one. Rounds alternate between the two servers and the
median counts, so that a machine that is busy for a while hurts both. The original is found as `--toxiproxy real` finds
it ($TOXIPROXY_SERVER, what `python3 tools/toxiproxy.py` made, the PATH); without it there is nothing to compare with,
and the rows say so.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import uvloop

from chaoskit.errors import EnvironmentFault
from chaoskit.runtimes.real_toxiproxy import find_server
from chaoskit.stack.effects import LinkState, Toxic
from chaoskit.stack.launch import ProxySpec
from chaoskit.toxiproxy.client import Client
from chaoskit.toxiproxy.links import ToxiproxyLinks, server_argv

# Nobody else's: connections come from 127.0.0.1, and on a busy machine they would take the ports of listeners there.
HOST = "127.1.255.1"
MESSAGE = b"x" * 64
SMALL_CONNECTIONS, SMALL_SECONDS = 64, 2.0
BULK = 768 << 20  # bytes
PINGS = 1500
LATENCY, LATENCY_PINGS = 10, 100  # milliseconds
BANDWIDTH_SECONDS = 5.0
MANY = 9000  # connections
SILENT = LinkState(
    toxics=tuple(Toxic(name=f"cut.{way}", type="blackhole", stream=way) for way in ("upstream", "downstream"))
)


@dataclass
class Server:
    """A running Toxiproxy. `ports`: of its proxies, by the kind of upstream."""

    name: str
    port: int
    pid: int
    ports: dict[str, int]

    def client(self) -> Client:
        return Client(f"http://{HOST}:{self.port}", timeout=30)

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        with open(f"/proc/{self.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self) -> int:
        """Bytes of memory."""
        with open(f"/proc/{self.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cores() -> tuple[int, int]:
    """Core of the proxy, core of everybody else."""
    there = sorted(os.sched_getaffinity(0))
    return there[0], there[-1]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])


# Parts that run as processes of their own, beside the proxy.


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)  # type: ignore[attr-defined]


class Source(asyncio.Protocol):
    """Sends as much as is taken."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.full = False
        self.resume_writing()

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        while not self.full:
            self.transport.write(bytes(1 << 16))  # type: ignore[attr-defined]

    def connection_lost(self, error: Exception | None) -> None:
        self.full = True


async def serve() -> None:
    """An echo, a sink and a source; prints their ports."""
    loop = asyncio.get_running_loop()
    kinds = (Echo, asyncio.Protocol, Source)
    servers = [await loop.create_server(kind, HOST, 0, backlog=4096) for kind in kinds]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.Event().wait()


async def small(port: int) -> dict[str, float]:
    """Messages to and fro, one at a time on each connection."""
    answered = 0

    class Asker(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport
            transport.write(MESSAGE)  # type: ignore[attr-defined]

        def data_received(self, data: bytes) -> None:
            nonlocal answered
            answered += 1
            self.transport.write(data)  # type: ignore[attr-defined]

    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(Asker, HOST, port) for _ in range(SMALL_CONNECTIONS)]
    await asyncio.sleep(0.2)
    before, start = answered, time.perf_counter()
    await asyncio.sleep(SMALL_SECONDS)
    rate = (answered - before) / (time.perf_counter() - start)
    for transport, _ in made:
        transport.abort()
    return {"rate": rate}


def bulk(port: int) -> dict[str, float]:
    """One connection, as fast as it goes, until the other end has it all."""
    blob = bytes(1 << 20)
    with socket.create_connection((HOST, port)) as sock:
        start = time.perf_counter()
        for _ in range(BULK >> 20):
            sock.sendall(blob)
        return {"rate": BULK / 1e6 / (time.perf_counter() - start)}


def pings(port: int, count: int) -> dict[str, float]:
    """Round trips of one connection, microseconds."""
    found = []
    with socket.create_connection((HOST, port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            start = time.perf_counter_ns()
            sock.sendall(MESSAGE)
            sock.recv(1000)
            found.append((time.perf_counter_ns() - start) / 1000)
    found.sort()
    return {"p50": found[len(found) // 2], "p99": found[int(len(found) * 0.99)]}


def steady(port: int) -> dict[str, float]:
    """Thousand bytes a second that come from a source that never stops."""
    with socket.create_connection((HOST, port)) as sock:
        got, begun = 0, time.perf_counter()
        while time.perf_counter() - begun < 1:  # what the buffers took at once has passed
            sock.recv(1 << 20)
        begun = time.perf_counter()
        while (took := time.perf_counter() - begun) < BANDWIDTH_SECONDS:
            got += len(sock.recv(1 << 20))
        return {"rate": got / 1000 / took}


async def many(port: int, count: int) -> None:
    """Open connections, each of them asked once, all of them held until the parent says a word."""
    ready = asyncio.Semaphore(200)
    streams = []

    async def one() -> None:
        async with ready:
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(MESSAGE)
            await reader.readexactly(len(MESSAGE))
            streams.append(writer)

    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(one())
    print(json.dumps({"open": len(streams)}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    for writer in streams:
        writer.transport.abort()


def part(name: str, port: int, count: int) -> None:
    os.sched_setaffinity(0, {cores()[1]})
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if name in ("serve", "many"):
        uvloop.run(serve() if name == "serve" else many(port, count))
        return
    parts = {
        "small": lambda: uvloop.run(small(port)),
        "bulk": lambda: bulk(port),
        "pings": lambda: pings(port, count),
        "steady": lambda: steady(port),
    }
    print(json.dumps(parts[name]()), flush=True)


def command(name: str, port: int = 0, count: int = 0) -> list[str]:
    return [sys.executable, __file__, "--part", name, "--port", str(port), "--count", str(count)]


def measure(name: str, port: int, count: int = 0) -> dict[str, float]:
    done = subprocess.run(command(name, port, count), stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


# The parent.


@contextlib.contextmanager
def upstreams() -> Iterator[list[int]]:
    with subprocess.Popen(command("serve"), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield [int(port) for port in process.stdout.readline().split()]
        finally:
            process.kill()


@contextlib.contextmanager
def running(name: str, argv: list[str], port: int, upstream: list[int]) -> Iterator[Server]:
    """A server on its own core, with a proxy in front of each upstream."""
    core = cores()[0]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(
        argv, stdout=quiet, stderr=quiet, env={**os.environ, "GOMAXPROCS": "1", "LOG_LEVEL": "error"},
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    ) as process:  # fmt: skip
        try:
            end = time.monotonic() + 20
            with socket.socket() as probe:
                while probe.connect_ex((HOST, port)) and time.monotonic() < end:
                    time.sleep(0.05)
            server = Server(name, port, process.pid, {})
            with server.client() as client:
                for kind, to in zip(("echo", "sink", "source"), upstream, strict=True):
                    made = client.create(kind, listen=f"{HOST}:0", upstream=f"{HOST}:{to}")
                    server.ports[kind] = int(made.listen.rpartition(":")[2])
            yield server
        finally:
            process.terminate()


def undisturbed(server: Server) -> tuple[float, float]:
    """Small messages a second, and the processor time that they took: of three tries the one with the most of it.

    A server that carries all it can has its core for itself. Where others take a part of it the rate tells of them; so
    the choice is made by what the server got, and never by what it did with it.
    """
    tries = []
    while len(tries) < 3 and (not tries or tries[-1][1] < 0.85 * SMALL_SECONDS):
        before = server.cpu()
        rate = measure("small", server.ports["echo"])["rate"]
        tries.append((rate, server.cpu() - before))
    return max(tries, key=lambda one: one[1])


def one_round(server: Server, echo: int) -> dict[str, float]:
    """Everything that is compared, once."""
    direct, through = measure("pings", echo, PINGS), measure("pings", server.ports["echo"], PINGS)
    rate, small_cpu = undisturbed(server)
    before = server.cpu()
    mb = measure("bulk", server.ports["sink"])["rate"]
    bulk_cpu = server.cpu() - before
    with server.client() as client:
        client.add_toxic("echo", Toxic(name="slow", type="latency", attributes={"latency": LATENCY}))
        late = measure("pings", server.ports["echo"], LATENCY_PINGS)
        client.remove_toxic("echo", "slow")
    return {
        "small": rate,
        "small per CPU-second": rate * (SMALL_SECONDS + 0.2) / small_cpu,
        "bulk": mb,
        "bulk per CPU-second": BULK / 1e6 / bulk_cpu,
        "added p50": through["p50"] - direct["p50"],
        "late p50": late["p50"] - 1000 * LATENCY,
        "late p99": late["p99"] - 1000 * LATENCY,
    }


def compared(servers: list[Server], echo: int, rounds: int) -> dict[str, dict[str, float]]:
    """Medians by server and figure."""
    found: dict[str, list[dict[str, float]]] = {server.name: [] for server in servers}
    for number in range(rounds):
        for server in servers if number % 2 == 0 else reversed(servers):
            found[server.name].append(one_round(server, echo))
    return {
        name: {key: statistics.median(one[key] for one in every) for key in every[0]} for name, every in found.items()
    }


def bandwidth(server: Server, rate: int) -> float:
    """Share of what was asked that passes, over five seconds."""
    with server.client() as client:
        client.add_toxic("source", Toxic(name="narrow", type="bandwidth", attributes={"rate": rate}))
        try:
            return measure("steady", server.ports["source"])["rate"] / rate
        finally:
            client.remove_toxic("source", "narrow")


def held_open(server: Server) -> tuple[int, float]:
    """How many connections were open at once and answered, and kilobytes of memory for each."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    count = min(MANY, (limit - 500) // 2)
    before = server.resident()
    with subprocess.Popen(
        command("many", server.ports["echo"], count), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        there = int(json.loads(process.stdout.readline() or '{"open": 0}')["open"])
        each = (server.resident() - before) / 1000 / max(there, 1)
        process.stdin.write("\n")
    return there, each


async def control(port: int) -> tuple[float, float, float]:
    """Seconds to make 200 proxies, to cut 20 of them silently with everything read back, and to heal them."""
    specs = [ProxySpec(name=f"n{n}", listen=f"{HOST}:0", upstream=f"{HOST}:1") for n in range(200)]
    links = ToxiproxyLinks(f"{HOST}:{port}", timeout=30)
    try:
        start = time.perf_counter()
        await links.create(specs)
        made = time.perf_counter()
        for state in (SILENT, LinkState()):
            await asyncio.gather(*(links.apply(spec.name, state) for spec in specs[:20]))
            if state is SILENT:
                cut = time.perf_counter()
        healed = time.perf_counter()
    finally:
        await links.aclose()
    return made - start, cut - made, healed - cut


def rows(rounds: int = 5) -> list[tuple[str, str, str, str]]:
    """For `make bench`: (what, measured, against, promise)."""
    port, rival_port = free_port(), free_port()
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(upstreams())
        argv = list(server_argv(HOST, port, None, 1))
        ours = stack.enter_context(running("ours", argv, port, upstream))
        servers = [ours]
        try:
            rival = [find_server(), "-host", HOST, "-port", str(rival_port)]
            servers.append(stack.enter_context(running("theirs", rival, rival_port, upstream)))
        except EnvironmentFault:
            print("  no real Toxiproxy here: `python3 tools/toxiproxy.py` makes one", file=sys.stderr)
        there, each = held_open(ours)  # first, while the process has no memory to spare
        found = compared(servers, upstream[0], rounds)
        shares = [bandwidth(ours, rate) for rate in (100, 10_000)]
        made, cut, healed = asyncio.run(control(port))
    mine, other = found["ours"], found.get("theirs")

    def row(what: str, key: str, unit: str, promise: str, *, difference: bool = False) -> tuple[str, str, str, str]:
        against = "no real Toxiproxy here"
        if other is not None:
            against = f"{other[key]:,.0f} {unit}"
            against += "" if difference else f" ({mine[key] / other[key]:.2f} x)"
        return (f"proxy: {what}", f"{mine[key]:,.0f} {unit}", against, promise)

    return [
        row("small messages, 64 connections", "small", "/s", ">= 1.0 x Toxiproxy's"),
        row("the same per CPU-second", "small per CPU-second", "/s", "-"),
        row("bulk per CPU-second", "bulk per CPU-second", "MB", ">= 1.3 x Toxiproxy's"),
        row("bulk", "bulk", "MB/s", "-"),
        row("added latency p50", "added p50", "us", "<= Toxiproxy's + 15 us", difference=True),
        row(f"latency of {LATENCY} ms: error p50", "late p50", "us", "<= Toxiproxy's", difference=True),
        row(f"latency of {LATENCY} ms: error p99", "late p99", "us", "<= Toxiproxy's", difference=True),
        *(
            (f"proxy: bandwidth of {rate:,} KB/s over 5 s", f"{100 * share - 100:+.1f} %", "-", "within 3 %")
            for rate, share in zip((100, 10_000), shares, strict=True)
        ),
        ("proxy: open connections, all answered", f"{there:,}", f"{each:.1f} KB each", f"{MANY:,} (or ulimit -n)"),
        ("proxy: 200 proxies created", f"{made:.3f} s", "-", "< 1 s"),
        ("proxy: 20 links cut and verified", f"{cut:.3f} s", "-", "< 0.5 s"),
        ("proxy: 20 links healed and verified", f"{healed:.3f} s", "-", "< 0.5 s"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, default=0, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part:
        part(asked.part, asked.port, asked.count)
    else:
        for line in rows(asked.rounds):
            print("  ".join(cell.ljust(width) for cell, width in zip(line, (42, 16, 24, 0), strict=True)))


if __name__ == "__main__":
    main()
