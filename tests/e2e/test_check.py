"""`chaoskit check` as a user runs it: processes, pipes, packed files, a model of one's own, an ordinary user."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path

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
