"""What all tests share: the `needs` marker, the ordinary user, and addresses that nobody else takes.

`CHAOSKIT_REQUIRE=browser,namespaces` turns a skip for a missing thing into a failure; CI sets it for what it installed.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

NOBODY = 65534
SETPRIV = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


@cache
def _namespaces() -> str | None:
    from chaoskit import linux

    found = linux.probe()
    return None if found.hosts else f"no private mount namespaces: {found.reason}"


@cache
def _ordinary_user() -> str | None:
    return None if ordinary_python() else "no python that an ordinary user may execute"


@cache
def ordinary_python() -> tuple[str, ...] | None:
    """Command prefix that runs this environment's Python as an ordinary user: as itself, or as nobody when root."""
    if os.geteuid() != 0:
        return (sys.executable,)
    if shutil.which("setpriv") is None:
        return None
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    site = next(p for p in sys.path if p.endswith("site-packages"))
    root = str(Path(__file__).resolve().parents[1])
    for python in (sys.executable, f"/usr/bin/python{version}"):
        prefix = (
            *SETPRIV,
            "env",
            f"PYTHONPATH={site}:{root}",
            "PYTHONDONTWRITEBYTECODE=1",
            "HOME=/nonexistent",
            python,
        )
        try:
            done = subprocess.run([*prefix, "-c", "import numpy, chaoskit"], capture_output=True, cwd="/", timeout=60)
        except OSError:
            continue
        if done.returncode == 0:
            return prefix
    return None


@cache
def _toxiproxy() -> str | None:
    from chaoskit.errors import EnvironmentFault
    from chaoskit.runtimes.real_toxiproxy import find_server

    try:
        find_server()
    except EnvironmentFault as error:
        return error.message
    return None


PROBES: dict[str, Callable[[], str | None]] = {
    "browser": lambda: None if shutil.which("chromium") or shutil.which("chromium-browser") else "no Chromium",
    "namespaces": _namespaces,
    "ordinary-user": _ordinary_user,
    "root": lambda: None if os.geteuid() == 0 else "not root",
    "toxiproxy": _toxiproxy,
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    required = {name.strip() for name in os.environ.get("CHAOSKIT_REQUIRE", "").split(",")} - {""}
    if unknown := required - set(PROBES):
        raise pytest.UsageError(f"CHAOSKIT_REQUIRE names {sorted(unknown)}; known: {sorted(PROBES)}")
    for marker in item.iter_markers("needs"):
        for thing in marker.args:
            reason = PROBES[thing]()
            if reason is not None and thing in required:
                pytest.fail(f"CHAOSKIT_REQUIRE asks for {thing}: {reason}", pytrace=False)
            if reason is not None:
                pytest.skip(reason)


@pytest.hookimpl(trylast=True)  # after what is not asked for was taken out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Deal the slow tests to all workers, which begin with them. Each is given a stretch of the list, and takes work
    from the end of another's when it has done its own: in the order of the files one would have all the slow ones."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers == 1:
        return
    slow = {item: None for item in items if "e2e" in item.path.parts or item.path.name == "test_brute_force.py"}
    rest = [item for item in items if item not in slow]
    shares = [
        part[len(part) * one // workers : len(part) * (one + 1) // workers]
        for one in range(workers)
        for part in (list(slow), rest)
    ]
    items[:] = [item for share in shares for item in share]


@pytest.fixture
def ordinary() -> tuple[str, ...]:
    """Command prefix for this environment's Python as an ordinary user (mark the test `needs("ordinary-user")`)."""
    found = ordinary_python()
    assert found is not None
    return found


OwnAddress = Callable[[], tuple[str, int]]


@pytest.fixture(scope="session")
def own_address() -> Iterator[OwnAddress]:
    """Call it for a (host, port) where nobody else comes to be by chance: for listeners that go and come back, and for
    places that shall stay empty.

    A free port of 127.0.0.1 will not do. The moment its listener is gone, any connection that anybody opens may be
    given it, keeps it for a minute after its end, and the listener cannot come back; a connect to it may even meet
    itself. Connections come from 127.0.0.1 and from ports that the kernel chooses; these are neither. The first three
    numbers of the host are this process's own for as long as a socket is bound to the last address of them.
    """
    with socket.socket() as held:
        for third in random.sample(range(1, 255), 254):
            try:
                held.bind((f"127.1.{third}.255", 61474))
            except OSError:
                continue
            break
        else:
            pytest.fail("127.1.1.0 to 127.1.254.255 are all in use by other tests", pytrace=False)

        def free() -> Iterator[tuple[str, int]]:
            for port in range(20000, 32000):  # below those that the kernel chooses
                for last in range(1, 255):
                    host = f"127.1.{third}.{last}"
                    with socket.socket() as trial:
                        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        try:
                            trial.bind((host, port))
                        except OSError:  # somebody listens on this port of every address
                            continue
                    yield host, port

        yield free().__next__
