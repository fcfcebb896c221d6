"""Runs the command line as a user does, in a state folder of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TINY = Path(__file__).resolve().parent / "tiny"


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class User:
    """Somebody at a terminal. `prefix` is the command that runs Python as that user."""

    folder: Path
    prefix: tuple[str, ...]

    @property
    def environment(self) -> dict[str, str]:
        usual = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        return {**usual, "CHAOSKIT_STATE": str(self.folder / "state"), "NO_COLOR": "1", "PYTHONWARNINGS": "error"}

    def command(self, *arguments: str) -> list[str]:
        return [*self.prefix, "-m", "chaoskit", *arguments]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin a command and return at once."""
        return subprocess.Popen(
            self.command(*arguments), cwd=ROOT, env=self.environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def __call__(self, *arguments: str, timeout: float = 300) -> Done:
        """Run a command to its end."""
        done = subprocess.run(
            self.command(*arguments), cwd=ROOT, env=self.environment, text=True, capture_output=True, timeout=timeout,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    @property
    def runs(self) -> str:
        return str(self.folder / "runs")

    def run(self, *arguments: str, timeout: float = 300) -> Done:
        """`chaoskit run` with a run folder of its own and JSON on stdout."""
        return self("run", "--runs", self.runs, "--json", *arguments, timeout=timeout)

    def judged(self, *arguments: str, timeout: float = 300) -> Done:
        """As `run`, where a verdict is asked for: an inconclusive run (the machine was busy with something else, and
        chaoskit said so) is repeated, twice at the most. A verdict that came out wrong is never tried again."""
        for _ in range(2):
            done = self.run(*arguments, timeout=timeout)
            if done.code != 3:
                return done
        return self.run(*arguments, timeout=timeout)


def marked(run: str | None = None) -> list[str]:
    """Command lines of all processes that a run (or any run) started and that are alive."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            raw = path.read_bytes().split(b"\0")
            if any(
                entry == f"CHAOSKIT_RUN={run}".encode() if run else entry.startswith(b"CHAOSKIT_RUN=") for entry in raw
            ):
                found.append(path.with_name("cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


@pytest.fixture
def user() -> Iterator[User]:
    """The user who runs the tests. Not in pytest's own folder: it is closed to others, and as root PostgreSQL runs as
    somebody else."""
    folder = Path(tempfile.mkdtemp(prefix="chaoskit-e2e-"))
    folder.chmod(0o755)
    try:
        yield User(folder, (sys.executable,))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def left() -> Callable[[str], list[str]]:
    """What is alive of a run."""
    return marked


@pytest.fixture
def tiny() -> Path:
    """Folder of the smallest target."""
    return TINY
