"""Stored runs can be judged and reported again with no target, also one whose engine was killed."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from chaoskit.errors import ExitCode


@pytest.mark.paired
def test_a_run_is_judged_again_the_same(user, tiny: Path, tmp_path: Path) -> None:
    done = user.judged(str(tiny / "cache-slow.yaml"))
    folder = Path(done.json["runs"][0]["directory"])
    first = json.loads((folder / "analysis.json").read_text())
    for name in ("analysis.json", "report.html", "report.md", "report.json"):
        (folder / name).unlink()
    again = user("analyse", str(folder), "--json")
    assert again.code == done.code
    assert again.json == first
    assert user("analyze", folder.name, "--runs", user.runs).code == done.code
    paths = user("report", "--runs", user.runs).out.split()
    assert [Path(path).name for path in paths] == ["report.html", "report.md", "report.json"]
    assert user("report", str(folder), "--format", "md", "--stdout").out.startswith("#")
    assert user("report", str(folder), "--format", "pdf", "--stdout").code == ExitCode.USAGE
    newest = user("runs", "--runs", user.runs, "--json").json["runs"][0]
    assert (newest["run"], newest["status"], newest["verdict"]) == (folder.name, "done", "held")


def test_a_run_of_a_newer_version_is_refused(user, tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "x" / "20300101T000000Z-abcdef"
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text('{"schema_version": 99}')
    done = user("analyse", str(folder))
    assert done.code == ExitCode.ENVIRONMENT
    assert "schema_version 99" in done.err
    assert "next:" in done.err


def test_an_engine_killed_in_the_fault_leaves_a_run_that_can_be_judged(user, tiny: Path, left) -> None:
    process = user.start("run", "--runs", user.runs, str(tiny / "cache-slow.yaml"))
    assert process.stderr is not None
    for line in process.stderr:
        if "seen to bite" in line:
            break
    process.kill()
    process.communicate()
    (ledger,) = Path(user.runs).glob("*/*/ledger.jsonl")
    until = time.monotonic() + 60
    while '"clean"' not in ledger.read_text() or left(ledger.parent.name):
        assert time.monotonic() < until
        time.sleep(0.1)
    (entry,) = user("runs", "--runs", user.runs, "--json").json["runs"]
    assert entry["status"] == "killed"
    done = user("analyse", str(ledger.parent), "--json")
    assert done.code == ExitCode.INCONCLUSIVE
    assert done.json["verdict"] == "inconclusive"
    assert done.json["cells"][0]["operations"] > 100
    assert user("report", str(ledger.parent)).code == ExitCode.OK
    page = (ledger.parent / "report.html").read_text()
    assert "inconclusive" in page.lower()


def test_stop_from_another_terminal(user, tiny: Path, left) -> None:
    process = user.start("run", "--runs", user.runs, str(tiny / "cache-slow.yaml"))
    assert process.stderr is not None
    for line in process.stderr:
        if "seen to bite" in line:
            break
    stopped = user("stop")
    assert stopped.code == ExitCode.OK, stopped.err
    out, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED, out + err
    assert "report:" in out
    (run,) = Path(user.runs).glob("*/*/run.json")
    assert left(run.parent.name) == []
    assert user("stop").code == ExitCode.USAGE


@pytest.mark.paired
def test_a_run_moved_elsewhere_can_be_reported(user, tiny: Path, tmp_path: Path) -> None:
    done = user.judged(str(tiny / "cache-slow.yaml"))
    moved = tmp_path / "a moved run"
    shutil.move(done.json["runs"][0]["directory"], moved)
    assert user("report", str(moved)).code == ExitCode.OK
