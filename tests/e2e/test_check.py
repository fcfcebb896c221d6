"""`chaoskit check` as a user runs it: processes, pipes, packed files, a model of one's own, an ordinary user."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import time
from pathlib import Path
from signal import SIGINT, SIGKILL

import pytest

from chaoskit.errors import ExitCode

ROOT = Path(__file__).resolve().parents[2]


def history(values: int, stale: bool) -> str:
    """A writer and a reader in turns; the last read answers the first value, if it is to be stale."""
    lines = []
    for number in range(1, values + 1):
        answer = 1 if stale and number == values else number
        for process, kind, f, value in (
            (0, "invoke", "write", number),
            (0, "ok", "write", number),
            (1, "invoke", "read", "nil"),
            (1, "ok", "read", answer),
        ):
            lines.append(f"{{:type :{kind}, :f :{f}, :value {value}, :process {process}, :time {len(lines)}}}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def files(user) -> Path:
    (user.folder / "legal.edn").write_text(history(50, stale=False))
    (user.folder / "stale.edn.gz").write_bytes(gzip.compress(history(50, stale=True).encode()))
    (user.folder / "torn.edn").write_text(history(50, stale=True)[:-20])
    return user.folder


def test_verdicts_of_several_files(user, files: Path) -> None:
    names = [str(files / name) for name in ("legal.edn", "stale.edn.gz", "torn.edn")]
    done = user("check", *names, "--model", "register", "--json")
    assert done.code == ExitCode.USAGE
    held, refuted, torn = done.json["files"]
    assert (held["verdict"], held["operations"]) == ("held", 100)
    assert {one["kind"]: one["found"] == one["struck"] > 0 for one in held["power"]["kinds"]} == {
        one["kind"]: True for one in held["power"]["kinds"]
    }
    assert refuted["verdict"] == "refuted"
    assert torn["error"]["line"] == 200

    # The witness, alone in a file, is refuted as well.
    (anomaly,) = refuted["anomalies"]
    lines = history(50, stale=True).splitlines()
    alone = [line for at in anomaly["lines"] for line in lines[at - 1 : at + 1]]
    (files / "witness.edn").write_text("\n".join(alone))
    assert user("check", str(files / "witness.edn"), "--model", "register").code == ExitCode.REFUTED


def test_from_a_pipe_to_a_pipe(user, files: Path) -> None:
    exported = subprocess.run(
        user.command("check", "-", "--export", "jsonl"), input=(files / "stale.edn.gz").read_bytes(),
        env=user.environment, capture_output=True, timeout=60,
    )  # fmt: skip
    assert exported.returncode == ExitCode.OK, exported.stderr
    assert all(json.loads(line) for line in exported.stdout.splitlines())
    judged = subprocess.run(
        user.command("check", "-", "--model", "register"), input=exported.stdout,
        env=user.environment, capture_output=True, timeout=60,
    )  # fmt: skip
    assert judged.returncode == ExitCode.REFUTED, judged.stderr
    assert "✕ refuted  standard input" in judged.stdout.decode()


def test_a_reader_that_has_enough(user, files: Path) -> None:
    """`chaoskit check … | head -1` ends quietly, and with the exit code that it would have had."""
    (files / "many.edn").write_text(history(3000, stale=False))
    for arguments in (
        ("legal.edn", "many.edn", "--model", "register", "--no-power"),
        ("many.edn", "--export", "jsonl"),
    ):
        process = subprocess.Popen(
            user.command("check", *arguments), cwd=files, env={**user.environment, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        process.stdout.close()  # at once: every write fails
        assert process.stderr is not None
        told = process.stderr.read().decode()
        process.stderr.close()
        assert process.wait(60) == ExitCode.OK, told
        assert told == "", told


@pytest.mark.parametrize("arguments", [("--model", "register", "--json"), ("--export", "jsonl")])
def test_a_full_disk(user, files: Path, arguments: tuple[str, ...]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            user.command("check", str(files / "legal.edn"), *arguments), env=user.environment, stdout=full,
            stderr=subprocess.PIPE, text=True, timeout=60,
        )  # fmt: skip
    assert done.returncode == ExitCode.ENVIRONMENT
    assert done.stderr == "error: cannot write to standard output: No space left on device\n"


@pytest.mark.parametrize("arguments", [("--help",), ("check", "--help"), ("schema",)])
def test_whoever_closes_stdout_is_not_a_bug(user, arguments: tuple[str, ...]) -> None:
    command = user.command(*arguments)
    for where, code in ((">/dev/full", ExitCode.ENVIRONMENT), (">&-", ExitCode.OK)):
        done = subprocess.run(
            ["/bin/sh", "-c", f'exec "$@" {where}', "sh", *command], env=user.environment, stderr=subprocess.PIPE,
            text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert "No space left on device" in done.stderr if code else done.stderr == ""


@pytest.mark.parametrize("signal", [SIGKILL, SIGINT])
def test_whoever_is_stopped_while_writing_leaves_what_was_there(user, files: Path, signal: int) -> None:
    """A name has the old content or the whole of the new one, whenever the process ends."""
    (files / "many.edn").write_text(history(15_000, stale=False))
    output = files / "many.jsonl"
    output.write_text("old")
    process = subprocess.Popen(
        user.command("check", str(files / "many.edn"), "--export", "jsonl", "--output", str(output)),
        env=user.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(files.glob(".many.jsonl.*")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal)
    _, told = process.communicate(timeout=60)
    assert process.returncode in (-signal, ExitCode.INTERRUPTED, ExitCode.OK), told
    assert told == b"" or process.returncode == ExitCode.OK
    if process.returncode == ExitCode.OK:
        assert len(output.read_text().splitlines()) == 30_001
    else:
        assert output.read_text() == "old"
    if signal == SIGINT:
        assert not list(files.glob(".many.jsonl.*"))


def test_a_file_that_may_not_be_read_and_one_that_may_not_be_written(user, files: Path) -> None:
    unreadable = files / "legal.edn"
    unreadable.chmod(0)
    nowhere = files / "torn.edn" / "out"  # a file is no folder
    for arguments, code, said in (
        ([str(files / "nowhere.edn"), "--model", "register"], ExitCode.USAGE, "No such file"),
        ([str(files / "stale.edn.gz"), "--export", "jsonl", "--output", str(nowhere)], ExitCode.ENVIRONMENT, "cannot"),
        (
            [str(files / "stale.edn.gz"), "--model", "register", "--html", str(nowhere)],
            ExitCode.ENVIRONMENT,
            "cannot write",
        ),
    ):
        done = user("check", *arguments)
        assert (done.code, said in done.err) == (code, True), done.err
    done = user("check", str(unreadable), "--model", "register", "--no-power")
    assert done.code == (ExitCode.OK if os.geteuid() == 0 else ExitCode.USAGE), done.err


def test_standard_input_that_is_closed(user) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" <&-', "sh", *user.command("check", "-", "--model", "register")],
        env=user.environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == ExitCode.USAGE
    assert "standard input: cannot be read: it is closed" in done.stderr
