"""Raw-socket servers that behave badly on purpose, and a real Sender against them."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvloop

from chaoskit.history.frame import History
from chaoskit.history.reading import read_spool
from chaoskit.history.spool import SpoolWriter
from chaoskit.history.storage import merge
from chaoskit.spec.model import Arrivals
from chaoskit.stack.topology import ClassSpec
from chaoskit.traffic.config import WorkerConfig
from chaoskit.traffic.sending import Sender

Handler = Callable[["Peer"], None]


@dataclass
class Peer:
    """The server's end of one connection."""

    sock: socket.socket
    requests: list[bytes]

    def request(self) -> bytes:
        """One request, headers and body; b"" at the end of the connection."""
        raw = b""
        while b"\r\n\r\n" not in raw:
            raw += (more := self.sock.recv(65536))
            if not more:
                return b""
        head, _, body = raw.partition(b"\r\n\r\n")
        length = next((int(x[15:]) for x in head.lower().split(b"\r\n") if x.startswith(b"content-length:")), 0)
        while len(body) < length:
            body += self.sock.recv(65536)
        self.requests.append(raw)
        return raw

    def send(self, *pieces: bytes, pause: float = 0.0) -> None:
        for piece in pieces:
            self.sock.sendall(piece)
            time.sleep(pause)

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def wait(self) -> None:
        """Until the other side closes."""
        try:
            while self.sock.recv(65536):
                pass
        except OSError:
            pass


@dataclass
class RawServer:
    """Calls `handler` in a thread of its own for each connection."""

    handler: Handler
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.peers: list[socket.socket] = []
        self.threads: list[threading.Thread] = []
        self.acceptor = threading.Thread(target=self._accept, daemon=True)
        self.acceptor.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self.peers.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            with sock:
                self.handler(Peer(sock, self.requests))
        except OSError:
            pass

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.acceptor.join(5)
        for sock in self.peers:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self.threads:
            thread.join(5)


@pytest.fixture
def serve() -> Iterator[Callable[[Handler], RawServer]]:
    servers: list[RawServer] = []

    def start(handler: Handler) -> RawServer:
        servers.append(RawServer(handler))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


class Plain:
    """Asks once; says ok to 2xx and 304, absent to 404."""

    def __init__(self, method: str = "POST", **request: Any) -> None:
        self.method, self.extra = method, request
        self.replies: list[Any] = []

    async def perform(self, intent: Any, http: Any) -> None:
        intent.asks(f=intent.cls, key="k", value=intent.stamp)
        reply = await http.request(self.method, "/x", **self.extra)
        self.replies.append(reply)
        if reply.status < 300 or reply.status == 304:
            intent.ok(result=reply.body.decode("latin-1"))
        elif reply.status == 404:
            intent.absent()

    def final(self) -> list[tuple[str, str]]:
        return []


@dataclass
class Done:
    history: History
    sender: Sender
    workload: Any

    @property
    def summary(self) -> list[tuple[str, str, str]]:
        from chaoskit.history.operation import ERROR_NAMES, Answer, ErrorCode, Outcome

        return [
            (
                Outcome(row["outcome"]).name.lower(),
                Answer(row["answer"]).name.lower(),
                ERROR_NAMES[ErrorCode(row["error"])],
            )
            for row in self.history.rows
        ]


@pytest.fixture
def send(tmp_path: Path) -> Callable[..., Done]:
    """Sends operations one after the other (or `at_once`) and gives back what is on record.

    Args of the function: port, kind, count, pause (seconds between them), timeout, workload, at_once, host, in_flight.
    """
    runs = 0

    def run(
        port: int,
        kind: str = "write",
        count: int = 1,
        pause: float = 0.0,
        timeout: float = 5.0,
        workload: Any = None,
        at_once: bool = False,
        host: str = "127.0.0.1",
        in_flight: int | None = None,
        idle_limit: float = 1.5,
        classes: tuple[str, ...] = ("op",),
    ) -> Done:
        nonlocal runs
        runs += 1
        folder = tmp_path / f"run{runs}"
        workload = workload if workload is not None else Plain()
        file = folder / "workload.py"
        config = WorkerConfig(
            seed=1,
            host=host,
            port=port,
            timeout=timeout,
            arrivals=Arrivals(shape="constant", rate=10),
            mix=dict.fromkeys(classes, 1.0),
            classes=tuple(ClassSpec(name=name, kind="read" if kind == "read" else "write") for name in classes),
            warm_up=0,
            duration=1,
            workload=str(file),
            key_prefix="k",
            spool=str(folder),
            counters=str(folder / "counters"),
            lag=str(folder / "lag"),
            node="api",
            in_flight=in_flight,
            idle_limit=idle_limit,
        )
        spool = SpoolWriter(folder, 0, nodes=["client", "api"], classes=classes)

        async def main() -> Sender:
            loop = asyncio.get_running_loop()
            failures: list[Any] = []
            sender = Sender(config, workload, spool, loop, (host, port), failures.append)
            problems: list[Any] = []
            loop.set_exception_handler(lambda _, context: problems.append(context))

            async def settled() -> None:
                while sender.in_flight and not failures:
                    sender.expire(time.monotonic_ns())
                    await asyncio.sleep(0.002)

            for number in range(count):
                sender.begin(number % len(classes), time.monotonic_ns(), 1)
                if not at_once:
                    await settled()
                    await asyncio.sleep(pause)
            await settled()
            sender.close()
            await asyncio.sleep(0.02)
            assert failures == []
            assert problems == []
            return sender

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            sender = runner.run(main())
        spool.close()
        return Done(merge(read_spool(folder)), sender, workload)

    return run


@pytest.fixture
def plain() -> type[Plain]:
    return Plain
