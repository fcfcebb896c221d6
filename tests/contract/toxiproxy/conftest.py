"""A Toxiproxy as a process, a link through it, and both ends of it in the test's hands.

One suite, two servers: the embedded one (on both of its loops) and the original, where there is one on this machine
(`python3 tools/toxiproxy.py` makes it). Where the two differ on purpose, the test is marked `differs`, which is what
docs/toxiproxy.md is written from, and asks `expected` for the answer of the server that it runs on. Tests of what only
the embedded one does ask for the fixture `embedded`.
"""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from chaoskit.runtimes.real_toxiproxy import server_argv
from chaoskit.stack.effects import Toxic
from chaoskit.toxiproxy.client import Client

PATIENCE = 20.0  # seconds that anything may take on a busy machine before it counts as not happening

OwnAddress = Callable[[], tuple[str, int]]


@dataclass
class Server:
    """A running server. `url` is its REST API."""

    kind: str
    host: str
    port: int
    process: subprocess.Popen[str]
    lag_file: Path | None = None
    again: Callable[[], Server] | None = None  # starts another one of its kind

    @property
    def real(self) -> bool:
        return self.kind == "real"

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


@contextlib.contextmanager
def running(kind: str, folder: Path, address: tuple[str, int], *arguments: str) -> Iterator[Server]:
    """`address`: for the original, which does not say where it listens when it is told 0."""
    if kind == "real":
        host, port = address
        argv = [*server_argv(host, port), *arguments]
        log = (folder / "server-real.log").open("w")
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=log, text=True)
        log.close()
        server = Server(kind, host, port, process)
        until(lambda: listens(address) or process.poll() is not None)
        assert process.poll() is None, (folder / "server-real.log").read_text()
    else:
        lag_file = folder / f"lag-{kind}.jsonl"
        argv = [sys.executable, "-W", "error", "-m", "chaoskit.toxiproxy.server", "--host", "127.0.0.1", "--port", "0"]
        argv += ["--lag-file", str(lag_file), "--seed", "7", "--loop", kind, *arguments]
        log = (folder / f"server-{kind}.log").open("w")
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=log, text=True)
        log.close()
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "listening on" in line, line
        server = Server(kind, "127.0.0.1", int(line.rpartition(":")[2]), process, lag_file)
    try:
        yield server
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
    if kind != "real":
        assert process.returncode == 0
        assert (folder / f"server-{kind}.log").read_text() == ""


def until(condition, patience: float = PATIENCE) -> None:
    """Wait for a condition that shall come true."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)


def listens(address: tuple[str, int]) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(address) == 0


REAL = pytest.param("real", marks=pytest.mark.needs("toxiproxy"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test on the servers that its module names in KINDS; by default on the usual loop and on the original."""
    if "toxiproxy_server" in metafunc.fixturenames:
        kinds = list(getattr(metafunc.module, "KINDS", ("uvloop", "real")))
        if "embedded" in metafunc.fixturenames and "real" in kinds:
            kinds.remove("real")
        metafunc.parametrize(
            "toxiproxy_server", [REAL if kind == "real" else kind for kind in kinds], indirect=True, scope="session"
        )


@pytest.fixture(scope="session")
def toxiproxy_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, own_address: OwnAddress
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("toxiproxy")
    with contextlib.ExitStack() as started:

        def start() -> Server:
            return started.enter_context(running(request.param, folder, own_address()))

        server = start()
        server.again = start
        yield server


@pytest.fixture(autouse=True)
def alive(request: pytest.FixtureRequest) -> None:
    """The original dies now and then; whoever comes after the test that saw it gets another one. That the embedded
    server has died is told when it is stopped."""
    if "toxiproxy_server" in request.fixturenames:
        server = request.getfixturevalue("toxiproxy_server")
        if server.process.poll() is not None:
            another = server.again()
            server.process, server.host, server.port = another.process, another.host, another.port


@pytest.fixture
def embedded(toxiproxy_server: Server) -> Server:
    """Asked for by tests of what only the embedded server does; they are not run on the original."""
    return toxiproxy_server


@pytest.fixture(params=["uvloop", REAL])
def own_kind(request: pytest.FixtureRequest) -> str:
    """For tests that start a server themselves."""
    return str(request.param)


@pytest.fixture
def own_server(own_kind: str, tmp_path: Path, own_address: OwnAddress) -> Iterator[Server]:
    """A server of the test's own, for what a server may not survive."""
    with running(own_kind, tmp_path, own_address()) as server:
        yield server


@pytest.fixture
def expected(request: pytest.FixtureRequest):
    """`expected(original=…, embedded=…)`: what the server under test shall show, where the two differ on purpose."""
    own = "own_kind" in request.fixturenames
    kind = request.getfixturevalue("own_kind") if own else request.getfixturevalue("toxiproxy_server").kind
    assert request.node.get_closest_marker("differs"), "say with the marker `differs` what differs, and why"

    def expected(*, original, embedded):
        assert original != embedded, "no difference"
        return original if kind == "real" else embedded

    return expected


@pytest.fixture
def client(toxiproxy_server: Server) -> Iterator[Client]:
    with Client(toxiproxy_server.url, timeout=PATIENCE) as client:
        yield client
        for name in client.proxies():
            client.delete(name)


@dataclass
class Link:
    """A proxy in front of a listener of the test's own: `pair` gives both ends of a connection through it."""

    name: str
    client: Client
    listener: socket.socket
    address: tuple[str, int]
    open: list[socket.socket] = field(default_factory=list)

    def connect(self) -> socket.socket:
        sock = socket.create_connection(self.address, PATIENCE)
        self.open.append(sock)
        return sock

    def accept(self) -> socket.socket:
        sock, _ = self.listener.accept()
        sock.settimeout(PATIENCE)
        self.open.append(sock)
        return sock

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """(the client's end, the server's end), seen to be joined."""
        near = self.connect()
        far = self.accept()
        return near, far

    def add(
        self, kind: str, name: str = "t", stream: str = "downstream", toxicity: float = 1.0, **values: int
    ) -> Toxic:
        toxic = Toxic(name=name, type=kind, stream=stream, toxicity=toxicity, attributes=values)
        return self.client.add_toxic(self.name, toxic)


@pytest.fixture
def link(client: Client, own_address: OwnAddress) -> Iterator[Link]:
    address, upstream = own_address(), own_address()
    with socket.create_server(upstream, backlog=1024) as listener:
        listener.settimeout(PATIENCE)
        proxy = client.create("api->db:5432", listen=text(address), upstream=text(upstream))
        link = Link(proxy.name, client, listener, address)
        yield link
        for sock in link.open:
            sock.close()


def text(address: tuple[str, int]) -> str:
    return f"{address[0]}:{address[1]}"


@dataclass(frozen=True)
class Wire:
    """What a test does with sockets. (A class, because tests cannot import this file.)"""

    own_address: OwnAddress
    patience = PATIENCE

    def own_text(self) -> str:
        """host:port where nobody else comes to be by chance."""
        return text(self.own_address())

    def running(self, kind: str, folder: Path, *arguments: str) -> AbstractContextManager[Server]:
        return running(kind, folder, self.own_address(), *arguments)

    @staticmethod
    def receive(sock: socket.socket, size: int) -> bytes:
        """Exactly so many bytes."""
        found = bytearray()
        while len(found) < size:
            data = sock.recv(min(size - len(found), 1 << 20))
            assert data, f"closed after {len(found)} of {size} bytes"
            found += data
        return bytes(found)

    @staticmethod
    def drain(sock: socket.socket) -> bytes:
        """All bytes until the end of file."""
        found = bytearray()
        while data := sock.recv(1 << 20):
            found += data
        return bytes(found)

    @staticmethod
    def silent(sock: socket.socket, seconds: float = 0.4) -> bool:
        """Neither data nor an end comes within that time."""
        return not select.select([sock], [], [], seconds)[0]

    @classmethod
    def round_trip(cls, near: socket.socket, far: socket.socket, stream: str = "downstream") -> float:
        """Seconds that one byte takes through the link in that direction."""
        source, target = (far, near) if stream == "downstream" else (near, far)
        start = time.monotonic()
        source.sendall(b"x")
        assert cls.receive(target, 1) == b"x"
        return time.monotonic() - start

    @staticmethod
    def ending(sock: socket.socket) -> str:
        """How the peer ended it: fin or rst."""
        try:
            assert sock.recv(1) == b""
        except ConnectionResetError:
            return "rst"
        return "fin"

    until = staticmethod(until)
    listens = staticmethod(listens)
    text = staticmethod(text)


@pytest.fixture
def wire(own_address: OwnAddress) -> Wire:
    return Wire(own_address)
