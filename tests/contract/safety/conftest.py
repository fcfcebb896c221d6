"""A real engine process with a real supervisor and real nodes, which tests kill in every way there is."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HELPERS = Path(__file__).parent / "helpers"
LINK, OTHER = "api->db:5432", "client->api:8000"
PATIENCE = 60.0  # other people's builds run on this machine
EFFECTS: list[dict[str, Any]] = [
    {"kind": "link", "id": "slow/1", "injection": "slow", "link": LINK, "toxics": [{"name": "t", "type": "latency"}]},
    {"kind": "link", "id": "cut/1", "injection": "cut", "link": OTHER, "enabled": False},
    {"kind": "node", "id": "freeze/1", "injection": "freeze", "node": "db", "state": "paused"},
]


def marked(run: str) -> list[int]:
    """Living processes that carry the run's mark, found without any help of chaoskit."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                mine = f"CHAOSKIT_RUN={run}".encode() in (folder / "environ").read_bytes().split(b"\0")
                if mine and (folder / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX":
                    found.append(int(folder.name))
    return found


ACTIONS = """
import sys
from pathlib import Path

def mark(place):
    Path(place.folder, "mark").write_text("")
    return "marked"

def unmark(place):
    if Path(place.folder, "unwilling").exists():
        raise RuntimeError("not now")
    Path(place.folder, "mark").unlink(missing_ok=True)
"""


class Engine:
    """One engine process; `root` is its folder with state, links and the run directory."""

    def __init__(self, root: Path, prefix: tuple[str, ...], **options: Any) -> None:
        self.root, self.prefix = root, prefix
        self.links = root / "links"
        self.slow_start = options.pop("slow_start", 0.0)
        self.run = options.pop("run", None) or f"run-{os.urandom(4).hex()}"
        self.folder = root / "runs" / self.run
        for folder in (root / "state", self.links, self.folder):
            folder.mkdir(parents=True, exist_ok=True)
        if prefix[0] == "setpriv":
            for folder in (root, *root.rglob("*")):
                os.chown(folder, 65534, 65534)
        log = str(self.folder / "blocks" / "v" / "logs")
        argv = ["sh", "-c", "setsid sleep 1000 & exec sleep 1000"]

        def launch(name: str) -> dict[str, Any]:
            return {"name": name, "argv": argv, "cwd": "/", "log": f"{log}/{name}.log"}

        target = root / "target"
        target.mkdir(exist_ok=True)
        (target / "actions.py").write_text(ACTIONS)
        self.target = target
        if prefix[0] == "setpriv":
            os.chown(target, 65534, 65534)

        def action(name: str, **more: Any) -> dict[str, Any]:
            return {"name": name, "file": str(target / "actions.py"), "function": name, **more}

        runner = [prefix[-1], "-P", "-m", "chaoskit.runtimes.actions_runner"]
        paths = {"PYTHONPATH": ":".join(p for p in sys.path if p)}
        stack = {
            "actions": [action("mark", undo="unmark"), action("unmark")],
            "caller": {**launch("actions"), "argv": runner, "env": paths, "cwd": str(target)},
            "interposition": "hosts",
            "nodes": [launch("db"), launch("api")],
            "proxies": [{"name": name, "listen": "", "upstream": ""} for name in (LINK, OTHER)],
            "proxy_process": launch("proxy"),
            "control": "",
            "clients": {"client": launch("client")},
            "entries": {"client": ""},
            "canaries": {},
        }
        settings = {
            "run": str(self.folder),
            "runtime": "file",
            "deadline_s": 300.0,
            "silence_s": 60.0,
            "hold_s": 300.0,
            "pid_namespace": "auto",
            "effects": EFFECTS,
            "stack": stack,
            **options,
        }
        entry_points = root / "plugin" / "safetytest-1.0.dist-info"
        if not entry_points.exists():
            entry_points.mkdir(parents=True)
            (entry_points / "METADATA").write_text("Metadata-Version: 2.1\nName: safetytest\nVersion: 1.0\n")
            (entry_points / "entry_points.txt").write_text("[chaoskit.driver]\nfile = filedriver:FileDriver\n")
        self.ready: dict[str, Any] = {}
        self.process = subprocess.Popen(
            self.command(str(HELPERS / "engine.py"), json.dumps(settings)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
        )

    def command(self, *arguments: str) -> list[str]:
        """A Python command line in this engine's surroundings (its user, state folder and plug-in)."""
        path = [str(self.root / "plugin"), str(HELPERS), *(p for p in sys.path if p)]
        surroundings = {
            "PYTHONPATH": ":".join(path),
            "CHAOSKIT_STATE": str(self.root / "state"),
            "LINKS": str(self.links),
            "SLOW_START": str(self.slow_start),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        variables = [f"{name}={value}" for name, value in surroundings.items()]
        *before, python = self.prefix
        return [*before, "env", *variables, python, *arguments]

    def python(self, code: str) -> str:
        """Run a piece of code in this engine's surroundings; what it printed."""
        done = subprocess.run(self.command("-c", code), capture_output=True, text=True, cwd="/", timeout=PATIENCE * 2)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        text = self.process.stdout.readline()
        assert text, f"the engine ended (code {self.process.wait(10)}): {self.log()}"
        found = json.loads(text)
        assert isinstance(found, dict)
        return found

    def wait_for(self, **fields: Any) -> dict[str, Any]:
        while True:
            found = self.line()
            if all(found.get(name) == value for name, value in fields.items()):
                return found

    def ask(self, command: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        while "answer" not in (found := self.line()):
            pass
        return found

    def log(self) -> str:
        path = self.folder / "supervisor.log"
        return path.read_text() if path.exists() else "no supervisor.log"

    def ledger(self) -> list[str]:
        return [record["kind"] for record in self.records()]

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "ledger.jsonl").read_text().splitlines()]

    def bent(self) -> list[str]:
        """Links that are not clean, as their files say; one whose file is just being written is not clean yet."""
        found = []
        for path in self.links.iterdir():
            if path.name.isdigit():
                state = json.loads(path.read_text() or "null")
                if state is None or state["toxics"] or not state["enabled"]:
                    found.append(path.name)
        return found

    def marked(self) -> list[int]:
        return marked(self.run)

    def active(self) -> list[Path]:
        return list((self.root / "state" / "active").glob("*"))

    def recover(self) -> dict[str, list[str]]:
        code = "import json; from chaoskit.safety.recover import recover; print(json.dumps(recover().summary()))"
        found = json.loads(self.python(code))
        assert isinstance(found, dict)
        return found

    def close(self) -> None:
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pid in self.marked():
            with contextlib.suppress(OSError):
                os.kill(pid, 9)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that any user can reach (pytest's own is closed to others)."""
    path = Path(tempfile.mkdtemp(prefix="safety-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def engines(folder: Path) -> Iterator[Callable[..., Engine]]:
    """Makes engines; as whom: `prefix`."""
    made: list[Engine] = []

    def make(prefix: tuple[str, ...] = (sys.executable,), **options: Any) -> Engine:
        made.append(Engine(folder, prefix, **options))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


EVERYBODY = [
    pytest.param(("own", "auto"), marks=pytest.mark.needs("namespaces"), id="own-namespace"),
    pytest.param(("own", "never"), id="own-subreaper"),
    pytest.param(
        ("ordinary", "auto"),
        marks=[pytest.mark.needs("namespaces"), pytest.mark.needs("ordinary-user")],
        id="ordinary-namespace",
    ),
    pytest.param(("ordinary", "never"), marks=pytest.mark.needs("ordinary-user"), id="ordinary-subreaper"),
]
Started = Callable[..., tuple[Engine, bool]]


def _starter(request: pytest.FixtureRequest, engines: Callable[..., Engine]) -> Started:
    who, namespace = request.param
    prefix: tuple[str, ...] = (sys.executable,)
    if who == "ordinary":
        whole: tuple[str, ...] = request.getfixturevalue("ordinary")
        prefix = (*whole[: whole.index("env")], whole[-1]) if "env" in whole else whole

    def start(**options: Any) -> tuple[Engine, bool]:
        engine = engines(prefix, pid_namespace=namespace, **options)
        engine.ready = engine.wait_for(event="ready")
        assert engine.ready["private"] is (namespace == "auto")
        # supervisor, and db, api, proxy and worker with a hidden child each
        end = time.monotonic() + 60.0
        while len(engine.marked()) < 9:
            assert time.monotonic() < end, "a hidden child is missing"
            time.sleep(0.02)
        return engine, bool(engine.ready["private"])

    return start


@pytest.fixture(params=EVERYBODY)
def started(request: pytest.FixtureRequest, engines: Callable[..., Engine]) -> Started:
    """Starts an engine and waits until its faults are active; the engine, and whether nothing can outlive it."""
    return _starter(request, engines)


@pytest.fixture(params=[EVERYBODY[0], EVERYBODY[3]])
def started_twice(request: pytest.FixtureRequest, engines: Callable[..., Engine]) -> Started:
    """The same, as the most and the least privileged only: for what does not depend on it much."""
    return _starter(request, engines)


@pytest.fixture(params=[EVERYBODY[0], EVERYBODY[2]])
def started_privately(request: pytest.FixtureRequest, engines: Callable[..., Engine]) -> Started:
    """The same, in a PID namespace only."""
    return _starter(request, engines)


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    """The folder of runs is a disk of 256 KiB."""
    place = folder / "runs"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=777", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)
