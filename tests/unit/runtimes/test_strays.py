"""Who holds a connection to a real endpoint: told apart by real processes with real sockets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator

import pytest

from chaoskit import linux
from chaoskit.runtimes import strays
from chaoskit.runtimes.strays import Strays

DIAL = """
import socket, sys
held = [socket.create_connection((sys.argv[1], int(sys.argv[2]))) for _ in range(int(sys.argv[3]))]
print("dialled", flush=True)
sys.stdin.read()
"""

BRIEFLY = """
import socket, sys, time
print("dialled", flush=True)
while True:
    with socket.create_connection((sys.argv[1], int(sys.argv[2]))):
        time.sleep(0.005)
    time.sleep(0.045)
"""


class Bench:
    """One real endpoint of the node `db` in this process (the supervisor's part), and processes that dial it."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0), backlog=2000)
        self.port: int = self.server.getsockname()[1]
        self.launched: dict[str, int] = {}
        self._processes: list[subprocess.Popen[str]] = []
        self.strays = Strays({"db:5432": f"127.0.0.1:{self.port}"}, lambda: self.launched, "proxy", every=0.0)

    def dial(self, name: str | None, count: int = 1, host: str = "127.0.0.1", how: str = DIAL) -> subprocess.Popen[str]:
        """A process that holds connections; `name` None = it is of the supervisor's own."""
        process = subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", how, host, str(self.port), str(count)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "dialled\n"
        if name is not None:
            self.launched[name] = process.pid
        return process

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()
        self.server.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    try:
        yield made
    finally:
        made.close()


def test_the_proxy_the_supervisor_and_the_destination_itself_may(bench: Bench) -> None:
    bench.dial("proxy", 3)
    bench.dial("db")
    bench.dial(None)  # a health check, an action
    with socket.create_connection(("127.0.0.1", bench.port)):  # a readiness probe
        assert bench.strays.look() == []


@pytest.mark.parametrize("host", ["127.0.0.1", "::ffff:127.0.0.1"])
def test_a_node_that_dials_around_its_link_is_named(bench: Bench, host: str) -> None:
    bench.dial("proxy")
    api = bench.dial("api", host=host)
    bench.dial("client-1")
    both = [{"destination": "db:5432", "source": "api"}, {"destination": "db:5432", "source": "client-1"}]
    assert sorted(bench.strays.look(), key=str) == both
    assert sorted(bench.strays.look(), key=str) == both  # as long as it is there
    api.communicate("")
    assert bench.strays.look() == both[1:]


def test_a_socket_that_nobody_of_us_holds_names_the_destination_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.dial("proxy")
    somebody = bench.dial("api")
    del bench.launched["api"]
    real = linux.descendants
    monkeypatch.setattr(  # as if it were no child of ours
        linux, "descendants", lambda pid, table=None: [p for p in real(pid, table) if p.pid != somebody.pid]
    )
    assert bench.strays.look() == [{"destination": "db:5432", "source": ""}]


def test_nobody_is_accused_where_it_cannot_be_known(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.dial("api")
    assert bench.strays.look() == []  # without a proxy there is no link to go around
    bench.dial("proxy")
    monkeypatch.setattr(linux, "owners", lambda pids: {})
    assert bench.strays.look() == [{"destination": "db:5432", "source": ""}]
    monkeypatch.setattr(strays, "_open", lambda pid: False)  # another user's processes
    assert bench.strays.look() == []


def test_what_ended_before_its_holder_was_found_accuses_nobody(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.dial("proxy")
    api = bench.dial("api")
    real: Callable[..., dict[int, int]] = linux.owners

    def late(pids: list[int]) -> dict[int, int]:
        if api.poll() is None:
            api.communicate("")
        return real(pids)

    monkeypatch.setattr(linux, "owners", late)
    assert bench.strays.look() == []


def test_descriptors_are_read_only_when_a_connection_is_new(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.dial("proxy", 900)
    api = bench.dial("api")
    asked: list[int] = []
    owners = linux.owners

    def counting(pids: Iterable[int]) -> dict[int, int]:
        listed = list(pids)
        asked.extend(listed)
        return owners(listed)

    monkeypatch.setattr(linux, "owners", counting)
    assert bench.strays.look() == [{"destination": "db:5432", "source": "api"}]
    assert api.pid in asked and len(asked) < len(linux.processes())
    asked.clear()
    assert bench.strays.look() == [{"destination": "db:5432", "source": "api"}]
    assert asked == []


def test_connections_of_five_milliseconds_are_caught_beside_those_of_the_proxy(bench: Bench) -> None:
    bench.strays = Strays({"db:5432": f"127.0.0.1:{bench.port}"}, lambda: bench.launched, "proxy")
    bench.dial("proxy", how=BRIEFLY)
    bench.dial("api", 30)
    assert bench.strays.look() == [{"destination": "db:5432", "source": "api"}]
    bench.dial("client-1", how=BRIEFLY)
    bench.dial("db", how=BRIEFLY)
    bench.dial(None, how=BRIEFLY)
    found: set[str] = set()
    deadline = time.monotonic() + 30
    while "client-1" not in found and time.monotonic() < deadline:
        time.sleep(0.05)
        found |= {one["source"] for one in bench.strays.look()}
    assert found == {"api", "client-1"}  # and neither the proxy, nor the destination, nor the supervisor's own


def test_a_process_that_has_ended_is_not_one_that_may_not_be_looked_into() -> None:
    assert strays._open(os.getpid())
    assert strays._open(2**22 + 1)
