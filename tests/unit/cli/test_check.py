"""The command `check`, in this process: verdicts as exit codes, text for people, JSON for programs."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from chaoskit import registry
from chaoskit.checks.files import check_file
from chaoskit.checks.models.register import MODEL
from chaoskit.checks.result import Options, Result
from chaoskit.cli.__main__ import call
from chaoskit.cli.check_text import file_text
from chaoskit.errors import CheckerError, ExitCode
from chaoskit.history.operations import Operations


def edn(*operations: tuple[int, str, str, str], end: str = ":ok") -> str:
    """One operation after the other: process, function, value as asked, value as answered."""
    lines = []
    for process, f, asked, answered in operations:
        for kind, value in ((":invoke", asked), (end, answered)):
            index = len(lines)
            lines.append(
                f"{{:type {kind}, :f :{f}, :value {value}, :process {process}, :time {index * 10**6}, :index {index}}}"
            )
    return "\n".join(lines) + "\n"


LEGAL = edn((0, "write", "1", "1"), (1, "read", "nil", "1"), (0, "write", "2", "2"), (1, "read", "nil", "2"))
STALE = edn((0, "write", "1", "1"), (0, "write", "2", "2"), (1, "read", "nil", "1"))


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def files(self) -> list[dict[str, Any]]:
        found = json.loads(self.out)
        assert found["schema_version"] == 1
        assert found["exit_code"] == self.code
        files: list[dict[str, Any]] = found["files"]
        return files


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """`chaoskit check …` in a folder with legal.edn and stale.edn."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "legal.edn").write_text(LEGAL)
    (tmp_path / "stale.edn").write_text(STALE)

    def run(*arguments: str) -> Done:
        capfd.readouterr()
        code = int(call(["check", *arguments]))
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return Done(code, out, err)

    return run


def replaced(monkeypatch: pytest.MonkeyPatch, model: Any) -> None:
    """Put a model in the place of `register`."""
    real = registry.load
    monkeypatch.setattr(
        registry, "load", lambda kind, name: model if (kind, name) == ("model", "register") else real(kind, name)
    )


def test_held(check: Callable[..., Done]) -> None:
    done = check("legal.edn", "--model", "register")
    assert (done.code, done.err) == (ExitCode.OK, "")
    first, *rest = done.out.splitlines()
    assert first == "✓ held  legal.edn  register, linearizable"
    assert any("4 operations" in line and "read as jepsen" in line for line in rest)
    assert "what this history would have shown" in rest
    assert "places where this bug could have struck" in done.out


def test_refuted_with_sentence_and_picture(check: Callable[..., Done]) -> None:
    done = check("stale.edn", "--model", "register")
    assert done.code == ExitCode.REFUTED
    assert done.out.startswith("✕ refuted  stale.edn  register, linearizable\n")
    assert "stale-read: 1 (refutes linearizable)\n  operation 4 (process 1: read → 1)" in done.out
    assert "process 1  read → 1" in done.out
    assert "├" in done.out
    assert "at lines 1, 3, 5" in done.out
    assert done.out.rstrip().splitlines()[-1].startswith("next: ")


def test_on_a_terminal_sentences_fit(check: Callable[..., Done], tmp_path: Path) -> None:
    found = check_file("stale.edn", "register")
    for columns in (80, 100):
        lines = file_text(found, columns=columns).splitlines()
        assert max(map(len, lines)) <= columns
        assert any("├" in line for line in lines)
    whole = file_text(found)
    assert " ".join(file_text(found, columns=80).split()) == " ".join(whole.split())


def test_json(check: Callable[..., Done]) -> None:
    held, refuted = check("legal.edn", "stale.edn", "--model", "register", "--json").files
    assert (held["file"], held["format"], held["model"], held["consistency"]) == (
        "legal.edn", "jepsen", "register", "linearizable",
    )  # fmt: skip
    assert (held["verdict"], held["reason"], held["anomalies"], held["operations"]) == ("held", None, [], 4)
    assert held["exact"] is True
    assert held["seconds"] > 0
    for kind in held["power"]["kinds"]:
        assert kind["found"] + kind["legal"] <= kind["struck"]
    assert (refuted["verdict"], refuted["power"], refuted["refuted"]) == ("refuted", None, "linearizable")
    (anomaly,) = refuted["anomalies"]
    assert (anomaly["count"], anomaly["witness"], anomaly["lines"]) == (1, [0, 2, 4], [1, 3, 5])
    assert "operation 4 (process 1: read → 1)" in anomaly["sentence"]


def test_no_power_on_request(check: Callable[..., Done]) -> None:
    assert check("legal.edn", "--model", "register", "--json", "--no-power").files[0]["power"] is None
    assert check("stale.edn", "--model", "register", "--json", "--power").files[0]["power"] is None  # nothing is held


def test_the_same_seed_gives_the_same_power(check: Callable[..., Done]) -> None:
    arguments = ("legal.edn", "--model", "register", "--json", "--seed", "7")
    assert check(*arguments).files[0]["power"] == check(*arguments).files[0]["power"]


def test_min_power(check: Callable[..., Done], tmp_path: Path) -> None:
    (tmp_path / "one.edn").write_text(edn((0, "write", "1", "1")))
    done = check("one.edn", "--model", "register", "--min-power", "50%")
    assert done.code == ExitCode.INCONCLUSIVE
    assert "why: no bug could have struck anywhere" in done.out
    assert check("one.edn", "--model", "register").code == ExitCode.OK


def test_the_worst_of_several(check: Callable[..., Done], tmp_path: Path) -> None:
    (tmp_path / "bad.edn").write_text(LEGAL + "{:type :invoke, :f :read")
    (tmp_path / "strange.edn").write_text(edn((0, "enqueue", "1", "1")))
    assert check("legal.edn", "stale.edn", "--model", "register").code == ExitCode.REFUTED
    done = check("stale.edn", "bad.edn", "strange.edn", "absent.edn", "legal.edn", "--model", "register")
    assert done.code == ExitCode.USAGE
    assert "bad.edn:9: " in done.err
    assert "strange.edn:1: operation 0 is called enqueue" in done.err
    assert "absent.edn: " in done.err
    assert "✕ refuted  stale.edn" in done.out
    assert "✓ held  legal.edn" in done.out
    files = check("stale.edn", "bad.edn", "legal.edn", "--model", "register", "--json").files
    assert [one["verdict"] for one in files] == ["refuted", None, "held"]
    error = files[1]["error"]
    assert (error["type"], error["file"], error["line"]) == ("HistoryError", "bad.edn", 9)


def test_what_is_impossible_is_not_judged(check: Callable[..., Done], tmp_path: Path) -> None:
    (tmp_path / "two.edn").write_text(
        "{:type :invoke, :f :read, :value nil, :process 0}\n{:type :invoke, :f :read, :value nil, :process 0}\n"
    )
    done = check("two.edn", "--model", "register")
    assert done.code == ExitCode.USAGE
    assert "two.edn:2: " in done.err
    assert "still has an operation open" in done.err


def test_standard_input_and_gzip(check: Callable[..., Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "packed").write_bytes(gzip.compress(STALE.encode()))
    assert check("packed", "--model", "register").code == ExitCode.REFUTED
    for content in (LEGAL.encode(), gzip.compress(LEGAL.encode())):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        done = check("-", "--model", "register")
        assert done.code == ExitCode.OK
        assert done.out.startswith("✓ held  standard input")
    assert check("-", "-", "--model", "register").code == ExitCode.USAGE


def test_with_no_model(check: Callable[..., Done]) -> None:
    done = check("legal.edn")
    assert done.code == ExitCode.INCONCLUSIVE
    assert done.out.startswith("? nothing was checked  legal.edn")
    assert "4 operations of 2 processes: write 2, read 2" in done.out
    assert "--model register: " in done.out
    assert "next: chaoskit check legal.edn --model " in done.out
    (found,) = check("legal.edn", "--json").files
    assert found["reason"] == "no model was given"
    assert "register" in [one["model"] for one in found["could_check"] if not one["against"]]


def test_ignored_operations(check: Callable[..., Done], tmp_path: Path) -> None:
    (tmp_path / "mixed.edn").write_text(edn((0, "write", "1", "1"), (1, "sync", "nil", "nil"), (1, "read", "nil", "1")))
    assert check("mixed.edn", "--model", "register").code == ExitCode.USAGE
    done = check("mixed.edn", "--model", "register", "--ignore", "sync")
    assert done.code == ExitCode.OK
    assert "left out as asked: 1 operation called sync" in done.out


def test_values_with_their_keys(check: Callable[..., Done], tmp_path: Path) -> None:
    (tmp_path / "keyed.edn").write_text(
        edn((0, "write", '["x" 1]', '["x" 1]'), (1, "sync", "nil", "nil"), (1, "read", '["y" nil]', '["y" nil]'))
    )
    done = check("keyed.edn", "--model", "register", "--ignore", "sync")
    assert done.code == ExitCode.OK
    assert "values were taken for [key value]" in done.out
    assert "--no-keyed" in done.out
    assert check("keyed.edn", "--model", "register", "--ignore", "sync", "--keyed").code == ExitCode.OK
    assert check("keyed.edn", "--model", "register", "--ignore", "sync", "--no-keyed").code == ExitCode.REFUTED
    done = check("legal.edn", "--model", "register", "--keyed")
    assert done.code == ExitCode.USAGE
    assert "legal.edn:1: expected [key value]" in done.err


def test_the_initial_value(check: Callable[..., Done], tmp_path: Path) -> None:
    (tmp_path / "zero.edn").write_text(edn((0, "read", "nil", "0"), (0, "write", "1", "1")))
    assert check("zero.edn", "--model", "register").code == ExitCode.REFUTED
    assert check("zero.edn", "--model", "register", "--initial", "0").code == ExitCode.OK
    (tmp_path / "word.edn").write_text(edn((0, "read", "nil", ":none"), (0, "write", "1", "1")))
    assert check("word.edn", "--model", "register", "--initial", ":none").code == ExitCode.OK


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--model", "registre"), "did you mean 'register'"),
        (("--model", "register", "--consistency", "linear"), "linearizable"),
        (("--model", "register", "--format", "nope"), "no format called 'nope'"),
        (("--model", "register", "--budget", "60"), "not a duration"),
        (("--model", "register", "--min-power", "2"), "not a share"),
        (("--model", "register", "--ignore", "sync"), "no operation called sync"),
        (("--export", "nope"), "no format called 'nope'"),
        (("--export", "jepsen", "--model", "register"), "judges none"),
        (("--output", "x"), "--export"),
        (("--model", "no_such_module_of_mine.Class"), "no module called no_such_module_of_mine"),
    ],
)
def test_a_wrong_command_line(check: Callable[..., Done], arguments: tuple[str, ...], said: str) -> None:
    done = check("legal.edn", *arguments)
    assert done.code == ExitCode.USAGE
    assert said in done.err
    assert done.out == ""


@dataclass(frozen=True)
class Failing:
    """The register, but it fails."""

    error: Exception
    name: str = "register"
    summary: str = ""
    functions: frozenset[str] = MODEL.functions
    levels: tuple[str, ...] = MODEL.levels
    alterations: tuple[Any, ...] = ()

    def check(self, operations: Operations, options: Options) -> Result:
        raise self.error


def test_a_checker_that_crashes_or_gives_up(check: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> None:
    replaced(monkeypatch, Failing(ZeroDivisionError("half of nothing")))
    done = check("legal.edn", "--model", "register")
    assert done.code == ExitCode.INCONCLUSIVE
    assert "why: the checker crashed: ZeroDivisionError: half of nothing" in done.out
    kept = Path(done.err.rsplit(" ", 1)[1].strip())
    assert "half of nothing" in kept.read_text()
    replaced(monkeypatch, Failing(CheckerError("gave up after 60 s")))
    done = check("legal.edn", "--model", "register")
    assert (done.code, done.err) == (ExitCode.INCONCLUSIVE, "")
    assert "why: gave up after 60 s" in done.out


def test_figures_that_json_does_not_know(check: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Counting(Failing):
        def check(self, operations: Operations, options: Options) -> Result:
            found = MODEL.check(operations, options)
            return replace(found, numbers={"worst": float("inf"), "none": float("nan"), "two": 2})

    replaced(monkeypatch, Counting(ValueError()))
    done = check("legal.edn", "--model", "register", "--json")
    assert done.files[0]["numbers"] == {"worst": "inf", "none": None, "two": 2.0}
    assert "NaN" not in done.out
    text = check("legal.edn", "--model", "register", "--no-power").out
    assert "  worst: inf\n  none: nan\n  two: 2\n" in text


def test_ascii_where_the_terminal_knows_no_more(tmp_path: Path) -> None:
    (tmp_path / "stale.edn").write_text(STALE.replace(":value 1", ':value "é\\u001b[31m"'))
    done = subprocess.run(
        [sys.executable, "-m", "chaoskit", "check", str(tmp_path / "stale.edn"), "--model", "register"],
        env={**os.environ, "PYTHONIOENCODING": "ascii", "NO_COLOR": "1"},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == ExitCode.REFUTED, done.stderr
    assert done.stdout.isascii()
    assert "\x1b" not in done.stdout
    assert "\\xe9\\x1b[31m" in done.stdout
    assert "|--" in done.stdout


def test_export(check: Callable[..., Done], tmp_path: Path) -> None:
    done = check("stale.edn", "--export", "jsonl")
    assert done.code == ExitCode.OK
    (tmp_path / "again").write_text(done.out)
    assert check("again", "--model", "register").code == ExitCode.REFUTED
    done = check("again", "--export", "jepsen", "-o", "back.edn")
    assert (done.code, done.out) == (ExitCode.OK, "")
    assert check("back.edn", "--model", "register").code == ExitCode.REFUTED
    done = check("stale.edn", "--export", "jepsen", "-o", str(tmp_path / "stale.edn" / "x"))
    assert done.code == ExitCode.ENVIRONMENT
    assert "cannot write" in done.err
    done = check("stale.edn", "--export", "jepsen", "-o", "/dev/full")
    assert done.code == ExitCode.ENVIRONMENT
    assert "No space left" in done.err


def test_export_to_what_is_no_file(check: Callable[..., Done], tmp_path: Path) -> None:
    """A pipe or a device is written to; it is never replaced by a file."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        assert check("stale.edn", "--export", "jepsen", "-o", str(pipe)).code == ExitCode.OK
        assert os.read(reader, 10_000).startswith(b"{")
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_help_names_models_and_formats(check: Callable[..., Done]) -> None:
    done = check("--help")
    assert done.code == ExitCode.OK
    for name in (*registry.names("model"), *registry.names("format")):
        assert f"\n  {name} " in done.out, name


def test_progress_is_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    from chaoskit.cli import check as command

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(command, "_LONG", 0.0)
    monkeypatch.setattr(command, "_OFTEN", 0.0)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with command._progress("file") as tell:
        assert tell is None
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with command._progress("f\x1bile") as tell:
        assert tell is not None
        tell("reading", 5, 10)
        monkeypatch.setattr(command, "_OFTEN", 1000.0)
        tell("reading", 6, 10)
    assert "reading f\\x1bile 50 %" in terminal.getvalue()
    assert "60 %" not in terminal.getvalue()  # five times a second at most
    assert terminal.getvalue().endswith("\r\x1b[K")
    quiet = Terminal()
    monkeypatch.setattr(sys, "stderr", quiet)
    with command._progress("file"):
        pass
    assert quiet.getvalue() == ""


def test_nothing_heavy_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "stale.edn").write_text(STALE)
    code = "import sys; from chaoskit.cli.__main__ import call; call(sys.argv[1:]);print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code, "check", str(tmp_path / "stale.edn"), "--model", "register"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    loaded = set(done.stderr.split())
    assert "numpy" in loaded
    heavy = {"pandas", "pyarrow", "plotly", "jinja2", "httpx", "scipy", "asyncio"}
    assert not {*heavy, "chaoskit.data", "chaoskit.spec.model", "chaoskit.engine"} & loaded


def test_what_a_weaker_level_allows_is_told_apart(check: Callable[..., Done]) -> None:
    done = check("stale.edn", "--model", "register", "--consistency", "causal")
    assert done.code == ExitCode.OK
    lines = done.out.splitlines()
    assert lines[0].endswith("stale.edn  register, causal")
    assert lines.index("what causal allows, and stronger levels do not:") < lines.index(
        "stale-read: 1 (refutes linearizable)"
    )


def test_a_history_that_could_show_nothing_is_not_the_end_of_the_matter(
    check: Callable[..., Done], tmp_path: Path
) -> None:
    (tmp_path / "writes.edn").write_text(edn((0, "write", "1", "1"), (1, "write", "2", "2")))
    for arguments in ((), ("--no-power",)):
        done = check("writes.edn", "--model", "register", *arguments)
        assert (done.code, "nothing in it could have shown an anomaly" in done.out) == (ExitCode.OK, True)
    (tmp_path / "faults.edn").write_text("{:type :info, :f :start, :process :nemesis}\n")
    done = check("faults.edn", "--model", "register")
    assert done.code == ExitCode.INCONCLUSIVE
    assert "there is no operation in it to be judged" in done.out
    assert "not refuted" not in done.out


def test_huge_values_do_not_fill_the_screen(check: Callable[..., Done], tmp_path: Path) -> None:
    huge = "k" * 100_000
    (tmp_path / "txn.edn").write_text(edn((0, "txn", "[[:r 5 nil]]", f'[[:r 5 ["{huge}"]]]')))
    (tmp_path / "register.edn").write_text(edn((0, "read", "nil", f'"{huge}"')))
    for name, model in (("txn.edn", "list-append"), ("register.edn", "register")):
        done = check(name, "--model", model)
        assert done.code == ExitCode.REFUTED
        assert max(map(len, done.out.splitlines())) < 500
