"""Does a request leave when the plan says? The worker and a plain asyncio client (`call_later`, streams), side by side.

    .venv/bin/python benchmarks/load.py [--rate 2000] [--seconds 4]

Both send the same Poisson arrivals to the same small server, one after the other, on one core; the server has the other
one. Absolute numbers depend on the machine and on who else is using it: the load average is printed for that, and the
last column is the one to look at.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httptools
import numpy as np
import uvloop
from numpy.typing import NDArray

from chaoskit.history.spool import SpoolWriter
from chaoskit.history.storage import load_history
from chaoskit.spec.model import Arrivals
from chaoskit.stack.topology import ClassSpec
from chaoskit.traffic.arrivals import due_times
from chaoskit.traffic.config import WorkerConfig
from chaoskit.traffic.counters import Counters
from chaoskit.traffic.snapshot import Control, State

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 32\r\n\r\n" + b"x" * 32
REQUEST = b"GET /x HTTP/1.1\r\nHost: bench\r\n\r\n"
WORKLOAD = """
class Get:
    async def perform(self, intent, http):
        intent.asks(f="read", key="x")
        if (await http.request("GET", "/x")).status == 200:
            intent.ok()
    def final(self):
        return []
workload = Get
"""
SEED = 1


class Server(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        self.transport.write(ANSWER)  # type: ignore[attr-defined]


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def plan(rate: float, seconds: float) -> NDArray[np.int64]:
    return due_times(Arrivals(shape="constant", rate=rate), seconds, seed=SEED)


async def rival(port: int, rate: float, seconds: float) -> None:
    """One timer of the loop per arrival, one coroutine per request, streams from a free list."""
    loop = asyncio.get_running_loop()
    due = plan(rate, seconds)
    start = time.monotonic_ns() + 200_000_000
    sent = np.full(len(due), -1, np.int64)
    free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    tasks = set()

    async def one(number: int) -> None:
        reader, writer = free.pop() if free else await asyncio.open_connection("127.0.0.1", port)
        sent[number] = time.monotonic_ns()
        writer.write(REQUEST)
        await reader.readexactly(len(ANSWER))
        free.append((reader, writer))

    def begin(number: int) -> None:
        task = loop.create_task(one(number))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    now = time.monotonic_ns()
    for number, at in enumerate(due.tolist()):
        loop.call_later((start + at - now) / 1e9, begin, number)
    await asyncio.sleep(seconds + 0.5)
    while tasks:
        await asyncio.sleep(0.05)
    late = (sent - start - due)[sent >= 0] / 1e6
    report(len(due), late, time.process_time() / seconds)


def report(planned: int, late_ms: NDArray[np.float64], cpu: float) -> None:
    p50, p99, worst = np.percentile(late_ms, [50, 99, 100]) if len(late_ms) else [float("nan")] * 3
    print(json.dumps({"planned": planned, "sent": len(late_ms), "p50": p50, "p99": p99, "max": worst, "cpu": cpu}))


def worker(port: int, rate: float, seconds: float, folder: Path) -> None:
    """A whole worker process, as a run starts it; read back from its spool."""
    (folder / "workload.py").write_text(WORKLOAD)
    counters = Counters.create(folder / "counters", ["get"])
    config = WorkerConfig(
        seed=SEED,
        host="127.0.0.1",
        port=port,
        arrivals=Arrivals(shape="constant", rate=rate),
        mix={"get": 1.0},
        classes=(ClassSpec(name="get", kind="read"),),
        warm_up=0.5,
        duration=seconds,
        workload=str(folder / "workload.py"),
        key_prefix="bench",
        spool=str(folder / "spool"),
        counters=str(folder / "counters"),
        lag=str(folder / "lag.jsonl"),
        node="server",
    )
    (folder / "config.json").write_text(config.model_dump_json())
    process = subprocess.Popen([sys.executable, "-m", "chaoskit.traffic.worker", str(folder / "config.json")])

    def until(state: State) -> None:
        while counters.read().state < state and process.poll() is None:
            time.sleep(0.01)

    until(State.READY)
    counters.start_at(time.monotonic_ns() + 100_000_000)
    until(State.LOAD_DONE)
    counters.tell(Control.QUIT)
    if process.wait():
        raise SystemExit(counters.read().failure)
    rows = load_history(folder).rows
    load = rows[(rows["phase"] == 1) & (rows["t_sent"] >= 0)]
    lags = [json.loads(line)["cpu"] for line in (folder / "lag.jsonl").read_text().splitlines()]
    report(len(plan(rate, seconds)), (load["t_sent"] - load["t_due"]) / 1e6, float(np.mean(lags[5:])))


def pinned(cores: set[int]) -> None:
    if os.cpu_count() and len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, cores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=2000.0)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--part", choices=["serve", "rival", "worker"], help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    if asked.part == "serve":
        pinned({cores[0]})
        uvloop.run(serve())
    elif asked.part == "rival":
        pinned({cores[-1]})
        asyncio.run(rival(asked.port, asked.rate, asked.seconds))
    elif asked.part == "worker":
        pinned({cores[-1]})
        with tempfile.TemporaryDirectory() as folder:
            worker(asked.port, asked.rate, asked.seconds, Path(folder))
    else:
        compare(asked.rate, asked.seconds)


def measured(rate: float, seconds: float) -> tuple[dict[str, float], dict[str, float]]:
    """What the worker and what the rival did with the same arrivals."""
    command = [sys.executable, __file__, "--rate", str(rate), "--seconds", str(seconds)]
    with subprocess.Popen([*command, "--part", "serve"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        found = []
        try:
            for part in ("worker", "rival"):
                done = subprocess.run([*command, "--part", part, "--port", port], stdout=subprocess.PIPE, check=True)
                found.append(json.loads(done.stdout))
        finally:
            server.terminate()
    return found[0], found[1]


def rows() -> list[tuple[str, str, str, str]]:
    """For `make bench`: (what, measured, against, promise)."""
    ours, theirs = measured(2000.0, 4.0)
    missing = ours["planned"] - ours["sent"]
    return [
        ("load 2,000/s Poisson: missing", f"{missing:,} of {ours['planned']:,}", "-", "0"),
        *(
            (
                f"load 2,000/s Poisson: send error {name}",
                f"{ours[name]:.3f} ms",
                f"{ours[name] / max(theirs[name], 1e-9):.2f} x asyncio call_later",
                promise,
            )
            for name, promise in (("p50", "<= 0.3 ms idle"), ("p99", "<= 5 ms idle"))
        ),
        ("load 2,000/s Poisson: CPU", f"{ours['cpu']:.0%}", f"{ours['cpu'] / theirs['cpu']:.2f} x asyncio", "-"),
        ("a row in the spool, opened and closed", *recording(), "-"),
    ]


def recording() -> tuple[str, str]:
    """Cost of one row, opened and closed, and what that is at 2,000/s."""
    count = 100_000
    with tempfile.TemporaryDirectory() as folder:
        spool = SpoolWriter(Path(folder), 0, nodes=["client", "server"], classes=["get"], rows=count)
        begin = time.process_time()
        for number in range(count):
            common = {"key": 0, "value_id": -1, "t_due": number, "t_sent": number, "phase": 1, "bytes_out": 1}
            spool.open(process=0, source=0, node=1, cls=0, f=0, **common)
            spool.close_row(
                number, result_id=-1, t_first=1, t_end=2, bytes_in=1, status=200, error=0, outcome=1, answer=1, **common
            )
        cost = (time.process_time() - begin) / count
        spool.close()
    return f"{cost * 1e6:.1f} us each", f"{cost * 2000:.2%} of a core at 2,000/s"


def compare(rate: float, seconds: float) -> None:
    ours, theirs = measured(rate, seconds)
    print(f"{rate:g}/s Poisson for {seconds:g} s on one core; load average {os.getloadavg()[0]:.1f}\n")
    print(f"{'':24}{'chaoskit worker':>18}{'asyncio call_later':>20}{'ratio':>9}")
    print(f"{'planned':24}{ours['planned']:>18,}{theirs['planned']:>20,}")
    print(f"{'missing':24}{ours['planned'] - ours['sent']:>18,}{theirs['planned'] - theirs['sent']:>20,}")
    for name, text in (("p50", "send error p50, ms"), ("p99", "send error p99, ms"), ("max", "send error max, ms")):
        print(f"{text:24}{ours[name]:>18.3f}{theirs[name]:>20.3f}{ours[name] / max(theirs[name], 1e-9):>9.2f}")
    print(f"{'CPU of its core':24}{ours['cpu']:>18.0%}{theirs['cpu']:>20.0%}{ours['cpu'] / theirs['cpu']:>9.2f}")


if __name__ == "__main__":
    main()
