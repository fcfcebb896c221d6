"""An engine that is frozen, or cannot write, in the middle of a fault: the fault is gone at its deadline or before,
and the report says what happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from chaoskit.errors import ExitCode


def begun(process: subprocess.Popen[str]) -> None:
    """Read the progress until a fault has begun."""
    assert process.stderr is not None
    for line in process.stderr:
        if "fault begins" in line:
            return
    pytest.fail("no fault began")


def records(folder: Path, kind: str) -> list[dict[str, Any]]:
    """Records of a kind in the ledger of the only run."""
    (ledger,) = folder.glob("runs/*/*/ledger.jsonl")
    lines = [line for line in ledger.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [record for record in map(json.loads, lines) if record["kind"] == kind]


def test_a_frozen_engine_has_its_fault_healed_at_the_deadline_and_says_so(user, tiny: Path, left) -> None:
    # The deadline lies 3.2 s behind the begin: before the 5 s of silence after which the supervisor ends the whole run.
    process = user.start(
        "run", "--runs", user.runs, str(tiny / "cache-slow.yaml"), "--set", "timeline.slow.for=1200ms",
        "--set", "duration=5s",
    )  # fmt: skip
    begun(process)
    os.kill(process.pid, signal.SIGSTOP)
    try:
        (undo,) = records(user.folder, "undo")
        until = time.monotonic() + 60
        while not (ended := records(user.folder, "ended")):
            assert time.monotonic() < until, "nobody took the fault back"
            time.sleep(0.05)
    finally:
        os.kill(process.pid, signal.SIGCONT)
    out, err = process.communicate(timeout=90)
    assert ended[0]["ids"] == ["slow/1"]
    assert ended[0]["t"] >= undo["deadline_ns"]  # nobody else did it, and not too early
    # Late only by what a busy machine may cost; the whole run, ended by its silence, would have been 1.8 s later.
    assert ended[0]["t"] - undo["deadline_ns"] < 10e9
    assert "Traceback" not in err
    assert process.returncode in (ExitCode.INCONCLUSIVE, ExitCode.ENVIRONMENT), out + err
    (report,) = user.folder.glob("runs/*/*/report.md")
    if process.returncode == ExitCode.INCONCLUSIVE:  # else the machine was so slow that the silence came first
        assert "the supervisor healed" in report.read_text()
        assert "at the deadline because the engine was late" in report.read_text()
    assert "inconclusive" in report.read_text()
    assert left(report.parent.name) == []


@pytest.mark.needs("root")
def test_an_engine_that_cannot_write_heals_at_once_and_says_so(user, tiny: Path, left) -> None:
    """The disk is full from the begin of the fault on: its end can be recorded nowhere, and still it ends."""
    place = user.folder / "runs"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=755", "tmpfs", str(place)], check=True)
    try:
        process = user.start(
            "run", "--runs", user.runs, str(tiny / "cache-slow.yaml"), "--set", "timeline.slow.for=12s",
            "--set", "duration=14s",
        )  # fmt: skip
        begun(process)
        try:
            with open(place / "fill", "wb", buffering=0) as file:
                while True:
                    file.write(bytes(65536))
        except OSError:
            pass
        out, err = process.communicate(timeout=90)
        assert process.returncode == ExitCode.ENVIRONMENT, out + err
        assert "No space left" in out + err
        assert "Traceback" not in out + err
        (run,) = place.glob("*/*/")
        assert left(run.name) == []
        (place / "fill").unlink()
        again = user("report", str(run))
        assert again.code == ExitCode.OK, again.err + again.out
        report = (run / "report.md").read_text()
        assert "No space left" in report or "could not write" in report
        assert "inconclusive" in report
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
