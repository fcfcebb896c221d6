"""Every exit code of docs/cli.md, produced by a user's command."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chaoskit.errors import ExitCode


def wait_for_phase(process: subprocess.Popen[str], word: str) -> None:
    """Read the plain progress on stderr until a line says this."""
    assert process.stderr is not None
    for line in process.stderr:
        if word in line:
            return
    pytest.fail(f"the run ended without {word!r}")


@pytest.mark.paired
def test_0_all_held(user, tiny: Path, left) -> None:
    done = user.judged(str(tiny / "cache-slow.yaml"))
    assert done.code == ExitCode.OK, done.err + done.out
    (run,) = done.json["runs"]
    assert run["verdict"] == "held"
    assert {claim["verdict"] for claim in run["claims"]} == {"held"}
    folder = Path(run["directory"])
    for name in ("plan.json", "analysis.json", "report.html", "report.md", "report.json", "ledger.jsonl", "run.json"):
        assert (folder / name).stat().st_size > 0, name
    assert (folder / "cells/default/1/history.parquet").stat().st_size > 0
    events = [json.loads(line) for line in (folder / "cells/default/1/events.jsonl").read_text().splitlines()]
    kinds = [event["kind"] for event in events]
    assert kinds.index("begin") < kinds.index("seen") < kinds.index("end") < kinds.index("gone")
    assert left(run["run"]) == []


@pytest.mark.paired
def test_1_a_claim_is_refuted_with_a_witness(user, tiny: Path) -> None:
    done = user.judged(
        str(tiny / "cache-slow.yaml"), "--set", "timeline.slow.latency=700ms",
        "--set", "timeline.slow.for=4s",
    )  # fmt: skip
    assert done.code == ExitCode.REFUTED, done.err + done.out
    analysis = json.loads((Path(done.json["runs"][0]["directory"]) / "analysis.json").read_text())
    claim = next(claim for claim in analysis["claims"] if claim["claim"] == "answers-come")
    assert claim["verdict"] == "refuted"
    assert claim["findings"][0]["witness"]["operations"]


def test_2_every_mistake_at_once_and_nothing_started(user, tiny: Path, tmp_path: Path) -> None:
    text = (tiny / "cache-slow.yaml").read_text().replace("target: .", f"target: {tiny}")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(
        text.replace("latency: 150ms", "latency: 150").replace("during: slow", "during: slowly") + "trails: 2\n"
    )
    done = user("run", "--runs", user.runs, str(wrong))
    assert done.code == ExitCode.USAGE
    places = [line for line in done.err.splitlines() if line.startswith(str(wrong))]
    assert len(places) == 3, done.err
    assert "did you mean" in done.err
    assert not Path(user.runs).exists()
    assert user("run", "--nonsense").code == ExitCode.USAGE
    assert user("report", "--runs", user.runs).code == ExitCode.USAGE


def test_4_a_target_that_does_not_start_shows_its_last_words(user, tiny: Path, left) -> None:
    done = user.run(str(tiny / "cache-slow.yaml"), "--set", 'variants.default.env.api.START="no"')
    assert done.code == ExitCode.ENVIRONMENT, done.err + done.out
    assert "no such luck" in done.json["runs"][0]["error"]["message"]
    assert left(done.json["runs"][0]["run"]) == []


def test_4_a_target_that_exits_in_the_baseline(user, tiny: Path) -> None:
    done = user.run(
        str(tiny / "cache-slow.yaml"), "--set", 'variants.default.env.api.DIE_AFTER="5"',
        "--set", "timeline.slow.at=9s", "--set", "duration=15s",
    )  # fmt: skip
    assert done.code == ExitCode.ENVIRONMENT, done.err + done.out
    assert "ended by itself before any fault (code 7)" in done.json["runs"][0]["error"]["message"]


def test_5_leftovers_name_the_command_that_heals(user, tiny: Path, left) -> None:
    process = user.start("run", "--runs", user.runs, str(tiny / "cache-slow.yaml"))
    wait_for_phase(process, "fault begins")
    (entry,) = Path(user.environment["CHAOSKIT_STATE"]).glob("active/*.json")
    record = json.loads(entry.read_text())
    process.send_signal(signal.SIGSTOP)
    try:
        import os

        os.kill(record["supervisor"][0], signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    again = user.run(str(tiny / "cache-slow.yaml"))
    assert again.code == ExitCode.UNHEALED, again.err + again.out
    assert "chaoskit recover" in again.out
    assert user("recover").code == ExitCode.OK
    assert user("recover").code == ExitCode.OK
    assert left(record["run"]) == []
    assert user("validate", str(tiny / "cache-slow.yaml")).code == ExitCode.OK


def test_6_not_steady_is_no_failure_of_a_claim(user, tiny: Path) -> None:
    done = user.run(str(tiny / "cache-slow.yaml"), "--set", 'variants.default.env.api.FAIL_EVERY="3"')
    assert done.code == ExitCode.NOT_STEADY, done.err + done.out
    assert {claim["verdict"] for claim in done.json["runs"][0]["claims"]} == {"inconclusive"}


def test_70_our_bug_is_one_sentence(user, tiny: Path, tmp_path: Path) -> None:
    code = (
        "import sys, chaoskit.api as api\n"
        "def broken(*a, **k): raise RuntimeError('planted')\n"
        "api.load_plan = broken\n"
        "from chaoskit.cli.__main__ import main\n"
        f"main(['plan', {str(tiny / 'cache-slow.yaml')!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=user.environment)
    assert done.returncode == ExitCode.INTERNAL
    assert "RuntimeError: planted" in done.stderr
    assert "Traceback" not in done.stderr
    kept = Path(done.stderr.split(" with ")[1].split()[0])
    assert "Traceback" in kept.read_text()
    kept.unlink()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED)]
)
def test_130_and_143_heal_and_report_what_was_measured(user, tiny: Path, left, number, code) -> None:
    process = user.start("run", "--runs", user.runs, str(tiny / "cache-slow.yaml"))
    wait_for_phase(process, "seen to bite")
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, out + err
    assert "Traceback" not in err
    assert "report:" in out
    (run,) = Path(user.runs).glob("*/*/run.json")
    record = json.loads(run.read_text())
    assert (record["status"], record["exit_code"]) == ("interrupted", code)
    ledger = [json.loads(line) for line in (run.parent / "ledger.jsonl").read_text().splitlines()]
    assert ledger[-1]["kind"] == "clean"
    assert left(record["run"]) == []


def test_130_twice_leaves_at_once_and_the_supervisor_heals(user, tiny: Path, left: Callable[[str], list[str]]) -> None:
    process = user.start("run", "--runs", user.runs, str(tiny / "cache-slow.yaml"))
    wait_for_phase(process, "seen to bite")
    process.send_signal(signal.SIGSTOP)  # both signals are there before the first one is looked at
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED
    (run,) = Path(user.runs).glob("*/*/ledger.jsonl")
    until = time.monotonic() + 60
    while '"clean"' not in run.read_text() or left(run.parent.name):
        assert time.monotonic() < until, (run.read_text()[-500:], left(run.parent.name))
        time.sleep(0.1)


def test_several_exit_with_the_worst_and_3_too_few_operations_are_no_evidence(user, tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny, tmp_path / "tiny")
    few = tmp_path / "tiny" / "few.yaml"
    few.write_text((tiny / "cache-slow.yaml").read_text().replace("100/s", "10/s"))
    done = user.run(str(tiny / "cache-slow.yaml"), str(few))
    assert [run["name"] for run in map(_record, done.json["runs"])] == ["cache-slow", "few"]
    assert done.json["runs"][1]["exit_code"] == ExitCode.INCONCLUSIVE
    claim = next(claim for claim in done.json["runs"][1]["claims"] if claim["claim"] == "answers-come")
    assert claim["verdict"] == "inconclusive"
    assert done.code == ExitCode.INCONCLUSIVE


def _record(run: dict[str, str]) -> dict[str, str]:
    found: dict[str, str] = json.loads((Path(run["directory"]) / "run.json").read_text())
    return found


@pytest.mark.needs("root")
def test_a_full_disk_keeps_what_was_measured_and_says_so(user, tiny: Path, left) -> None:
    place = user.folder / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=755", "tmpfs", str(place)], check=True)
    try:
        process = user.start("run", "--runs", str(place / "runs"), str(tiny / "cache-slow.yaml"))
        wait_for_phase(process, "seen to bite")
        with contextlib.suppress(OSError), open(place / "fill", "wb", buffering=0) as file:
            while True:
                file.write(bytes(65536))
        out, err = process.communicate(timeout=90)
        assert "Traceback" not in out + err
        # What was needed may have been written before the disk was full: then the run is whole, else it says why.
        assert process.returncode in (ExitCode.OK, ExitCode.ENVIRONMENT), out + err
        assert process.returncode == ExitCode.OK or "No space left" in out + err
        (run,) = (place / "runs").glob("*/*/")
        assert left(run.name) == []
        (place / "fill").unlink()
        again = user("analyse", str(run), "--json")
        assert again.json["cells"][0]["operations"] > 50
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
