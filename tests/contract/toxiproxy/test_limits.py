"""At the limit of open files: clients are turned away or wait, nothing dies, and all is well again afterwards."""

from __future__ import annotations

import contextlib
import re
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from chaoskit.stack.launch import ProxySpec
from chaoskit.toxiproxy.client import Client
from chaoskit.toxiproxy.flows import ToxiproxyError


@dataclass
class Small:
    """A server that may open few files, with one proxy, and that proxy's upstream."""

    client: Client
    process: subprocess.Popen[str]
    log: Path
    upstream: socket.socket
    address: tuple[str, int]
    open: contextlib.ExitStack

    def connects(self, count: int, patience: float) -> list[socket.socket]:
        """Those of so many clients that were not reset in the middle of their connect."""
        made = []
        for _ in range(count):
            with contextlib.suppress(ConnectionResetError):
                made.append(self.open.enter_context(socket.create_connection(self.address, patience)))
        return made

    def passes(self) -> bool:
        """Whether a new client gets through; those who came before may still be in its way."""
        self.upstream.settimeout(0.5)
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            with socket.create_connection(self.address, 0.5) as near:
                near.sendall(b"x")
                while True:
                    far, _ = self.upstream.accept()
                    with far:
                        far.settimeout(0.5)
                        if far.recv(1) == b"x":
                            return True
        return False


@pytest.fixture(params=["uvloop", "asyncio"])
def small(request, wire, tmp_path) -> Iterator[Small]:
    address = wire.own_address()
    argv = [sys.executable, "-m", "chaoskit.toxiproxy.server", "--host", "127.0.0.1", "--port", "0"]
    limited = ["sh", "-c", 'ulimit -n 300; exec "$@"', "sh", *argv, "--loop", request.param]
    log = tmp_path / "log"
    with (
        socket.create_server(("127.0.0.1", 0), backlog=1024) as upstream,
        log.open("w") as stderr,
        subprocess.Popen(limited, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        try:
            upstream.settimeout(wire.patience)
            control = process.stdout.readline().rpartition(":")[2].strip()
            with (
                Client(f"http://127.0.0.1:{control}", timeout=wire.patience) as client,
                contextlib.ExitStack() as clients,
            ):
                to = f"127.0.0.1:{upstream.getsockname()[1]}"
                client.create("small", listen=wire.text(address), upstream=to)
                yield Small(client, process, log, upstream, address, clients)
        finally:
            process.terminate()
    assert process.returncode == 0
    assert "Traceback" not in log.read_text()


def test_as_many_as_there_are_descriptors_for_and_then_a_reset(small, wire):
    clients = small.connects(120, wire.patience)
    wire.until(lambda: "clients are turned away" in small.log.read_text())
    room = int(re.search(r"turned away: (\d+) connections are open", small.log.read_text()).group(1))
    assert 10 <= room <= 90
    wire.until(lambda: small.client.counters()["small"].open == room)
    wire.until(lambda: sum(wire.silent(sock, 0.0) for sock in clients) == room)
    assert {wire.ending(sock) for sock in clients if not wire.silent(sock, 0.0)} <= {"rst"}
    with Client(small.client.url, timeout=wire.patience) as another:
        assert another.version()
    for sock in clients:
        sock.close()
    while small.client.counters()["small"].open:
        small.upstream.accept()[0].close()
    wire.until(small.passes)
    assert small.log.read_text().count("clients are turned away") == 1


def test_as_many_proxies_as_there_are_descriptors_for_and_then_a_refusal(small, wire):
    def wanted(count: int) -> list[ProxySpec]:
        to = wire.text(small.address)
        return [ProxySpec(name=f"p{n}", listen="127.0.0.1:0", upstream=to) for n in range(count)]

    with pytest.raises(ToxiproxyError, match="too many proxies: 50 is the limit") as refused:
        small.client.populate(wanted(50))
    assert refused.value.status == 400
    assert set(small.client.proxies()) == {"small"}  # all of them or none
    small.client.populate(wanted(49))
    with pytest.raises(ToxiproxyError, match="too many proxies: 50 is the limit"):
        small.client.create("one more", listen="127.0.0.1:0", upstream=wire.text(small.address))
    assert len(small.client.proxies()) == 50
    assert small.passes()
    small.client.delete("p7")
    small.client.create("one more", listen="127.0.0.1:0", upstream=wire.text(small.address))


def test_a_system_without_a_descriptor_left_is_waited_for(small, wire):
    """The limit is lowered behind the server's back, so that its own count of connections does not help it."""
    hard = resource.prlimit(small.process.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(small.process.pid, resource.RLIMIT_NOFILE, (40, hard))
    clients = small.connects(80, wire.patience)

    def short() -> bool:
        """Either no client could be accepted, or none could be dialled for: it depends on how fast they came."""
        waited = "no client can be accepted for a moment" in small.log.read_text()
        return waited or small.client.counters()["small"].dial_failures > 0

    wire.until(short)
    assert small.client.version()
    for sock in clients:
        sock.close()
    resource.prlimit(small.process.pid, resource.RLIMIT_NOFILE, (hard, hard))
    wire.until(small.passes)
    assert small.client.get("small").enabled
