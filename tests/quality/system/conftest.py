"""One core kept busy, and the command line as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def burner() -> Iterator[None]:
    """A process that wants one whole core, as a laptop's other work does."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """`chaoskit run` with JSON out: (exit code, summary, analysis)."""

    def go(*arguments: str, timeout: float = 1500) -> tuple[int, dict[str, Any], dict[str, Any]]:
        command = [sys.executable, "-m", "chaoskit", "run", "--json", "--runs", str(tmp_path / "runs"), *arguments]
        environment = {**os.environ, "CHAOSKIT_STATE": str(tmp_path / "state")}
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
        assert done.stdout, done.stderr
        (summary,) = json.loads(done.stdout)["runs"]
        folder = Path(summary["directory"])
        assert (folder / "analysis.json").exists(), done.stderr
        return done.returncode, summary, json.loads((folder / "analysis.json").read_text())

    return go
