"""Porcupine, the fastest general checker there is, built from its Go module and asked about the same histories."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from chaoskit.runtimes.cache import cache_folder, locked

SOURCE = Path(__file__).resolve().parent / "porcupine"


@dataclass(frozen=True)
class Timed:
    """One answer of Porcupine: Ok, Illegal or Unknown (the time was up); seconds and bytes of the check alone."""

    verdict: str
    seconds: float
    cpu: float
    memory: int


def built() -> Path:
    """The program, built once per user and version of its source.

    Raises:
        RuntimeError: there is no Go, or the module is not to be had; with the reason.
    """
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        raise RuntimeError("no Go is installed")
    files = [SOURCE / name for name in ("main.go", "go.mod", "go.sum")]
    name = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
    folder = cache_folder("porcupine")
    program = folder / f"porcupine-{name}"
    with locked(folder / "lock"):
        if os.access(program, os.X_OK):
            return program
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            made = Path(scratch) / "porcupine"
            done = subprocess.run(
                [go, "build", "-o", str(made), "."], cwd=SOURCE, capture_output=True, text=True, timeout=600
            )
            if done.returncode:
                raise RuntimeError(f"Porcupine cannot be built: {done.stderr.strip().splitlines()[-1]}")
            made.rename(program)
    return program


def asked(history: Path, limit: float) -> Timed:
    """What Porcupine says to a history that `generating.for_porcupine` wrote.

    Args:
        limit: seconds that it may take.
    """
    done = subprocess.run(
        [str(built()), str(history), str(limit)], capture_output=True, text=True, check=True, timeout=limit + 300
    )
    return Timed(**json.loads(done.stdout))
