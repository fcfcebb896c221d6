"""What the launcher promises, with and without namespaces, as root and as an ordinary user."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chaoskit import linux

NAMESPACES = pytest.mark.needs("namespaces")
PIDS = pytest.mark.parametrize("pids", [False, pytest.param(True, marks=NAMESPACES)], ids=["subreaper", "namespace"])
CALLER = """
import json, os, subprocess, sys
from chaoskit.linux import Launch
launch = Launch(**json.loads(sys.argv[1]))._replace(parent=os.getpid())
command, fd = launch.command(sys.argv[2])
process = subprocess.Popen(command, pass_fds=[fd])
os.close(fd)
print("launcher", process.pid, flush=True)
sys.exit(process.wait())
"""
# A grandchild in a session of its own, which no process group and no parent's death reaches.
HIDES = (
    "import os, time; os.fork() or (os.setsid(), os.fork() and os._exit(0)); print('up', flush=True); time.sleep(999)"
)


def start(python: tuple[str, ...], marker: str, *argv: str, **launch: Any) -> subprocess.Popen[str]:
    described = {"argv": argv, "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}, "cwd": "/", **launch}
    return subprocess.Popen(
        [*python, "-c", CALLER, json.dumps(described), marker],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd="/",
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """Exit code and output, the line with the launcher's pid left out."""
    out, _ = process.communicate(timeout=60)
    return process.returncode, [line for line in out.splitlines() if not line.startswith("launcher ")]


def own_python(python: tuple[str, ...]) -> str:
    return python[-1]


@PIDS
@pytest.mark.parametrize(
    ("script", "code"), [("exit 3", 3), ("exit 0", 0), ("kill -TERM $$", 143), ("kill -9 $$", 137)]
)
def test_ends_as_the_program_ended(python: tuple[str, ...], marker: str, pids: bool, script: str, code: int) -> None:
    assert finish(start(python, marker, "/bin/sh", "-c", script, pids=pids)) == (code, [])


@PIDS
def test_a_program_that_is_not_there(python: tuple[str, ...], marker: str, pids: bool) -> None:
    code, lines = finish(start(python, marker, "no-such-program", pids=pids))
    assert code == linux.CANNOT_START
    assert lines == ["chaoskit: cannot start no-such-program: No such file or directory"]


def test_a_folder_that_is_not_there(python: tuple[str, ...], marker: str) -> None:
    code, lines = finish(start(python, marker, "true", cwd="/no/such/folder"))
    assert code == linux.CANNOT_ISOLATE
    assert "/no/such/folder" in lines[0]


@NAMESPACES
@PIDS
def test_names_mean_something_only_inside(python: tuple[str, ...], marker: str, pids: bool) -> None:
    name = marker.replace("_", "-")
    code = f"import socket; print(socket.gethostbyname('{name}'), socket.gethostbyname('localhost'))"
    inside = start(python, marker, own_python(python), "-c", code, pids=pids, hosts=[("127.77.1.2", name)])
    assert finish(inside) == (0, ["127.77.1.2 127.0.0.1"])
    assert name not in Path("/etc/hosts").read_text()


@NAMESPACES
def test_pids_are_private(python: tuple[str, ...], marker: str) -> None:
    script = "echo $PPID $(ls /proc | grep -c '^[0-9]')"
    code, lines = finish(start(python, marker, "/bin/sh", "-c", script, pids=True))
    parent, count = map(int, lines[0].split())
    assert (code, parent) == (0, 1)
    assert count < 10


def test_signals_mean_what_they_meant(python: tuple[str, ...], marker: str) -> None:
    """Python ignores SIGPIPE and the launcher blocks TERM: neither may reach the program. What whoever started us had
    ignored (nohup does that) stays so."""
    command = ("grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")
    code, lines = finish(start(python, marker, *command))
    assert code == 0
    plain = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    inner = 0b11 << 31  # signals 32 and 33 are the C library's own; what make starts has them ignored

    def masks(found: list[str]) -> dict[str, int]:
        return {line.split(":")[0]: int(line.split(":")[1], 16) & ~inner for line in found}

    assert masks(lines) == masks(plain)
    assert masks(lines)["SigBlk"] == 0
    assert not masks(lines)["SigIgn"] & 1 << signal.SIGPIPE - 1


# Without a namespace the launcher is init itself: what its death by SIGKILL leaves is for the supervisor to end.
@pytest.mark.parametrize(
    ("pids", "how"),
    [(False, how) for how in ("caller", "end", "program")]
    + [pytest.param(True, how, marks=NAMESPACES) for how in ("caller", "launcher", "end", "program")],
)
def test_nothing_outlives(
    python: tuple[str, ...],
    marker: str,
    pids: bool,
    how: str,
    eventually: Callable[[Callable[[], bool]], bool],
    find_marked: Callable[[], list[int]],
) -> None:
    """Whoever is killed with SIGKILL, the grandchild in its own session dies too."""
    process = start(python, marker, own_python(python), "-c", HIDES, marker, pids=pids)
    assert process.stdout is not None
    launcher = int(process.stdout.readline().split()[1])
    for _ in range(2):
        assert process.stdout.readline() == "up\n"
    family = linux.descendants(launcher)
    program = next(
        found for found in family if "time.sleep(999)" in linux.command(found.pid) and found.name[:2] == "py"
    )
    assert len([found for found in family if "setsid" in linux.command(found.pid)]) == 2
    if how == "end":
        os.kill(launcher, linux.END)
    else:
        os.kill({"caller": process.pid, "launcher": launcher, "program": program.pid}[how], signal.SIGKILL)
    assert eventually(lambda: not find_marked())
    process.communicate(timeout=60)


def test_term_reaches_the_program(python: tuple[str, ...], marker: str) -> None:
    process = start(
        python, marker, "/bin/sh", "-c", "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.05; done"
    )
    assert process.stdout is not None
    launcher = int(process.stdout.readline().split()[1])
    assert process.stdout.readline() == "up\n"
    os.kill(launcher, signal.SIGTERM)
    assert finish(process) == (5, ["bye"])


def test_memory_that_outlives_its_process_is_removed(python: tuple[str, ...], marker: str) -> None:
    """A killed PostgreSQL leaves a System V segment behind: 4,096 of them and no server starts any more."""
    code = (
        "import ctypes, os; libc = ctypes.CDLL(None); print('segment', libc.shmget(0, 64, 0o1600), flush=True);"
        "os.kill(os.getpid(), 9)"
    )
    found, lines = finish(start(python, marker, own_python(python), "-c", code))
    segment = lines[0].split()[1]
    assert found == 137
    assert int(segment) >= 0
    assert segment not in {line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}


@pytest.mark.needs("root")
@PIDS
def test_becomes_another_user(marker: str, pids: bool, tmp_path: Path) -> None:
    shell = "id -u; id -g; id -G; cat file 2>&1; pwd"
    closed = tmp_path / "closed to others"
    data = closed / "data"
    data.mkdir(parents=True)
    (data / "file").write_text("seen\n")
    closed.chmod(0o700)
    described = {"pids": pids, "user": (65534, 65534), "reach": [str(data)], "cwd": str(data)}
    code, lines = finish(start((sys.executable,), marker, "/bin/sh", "-c", shell, **described))
    if pids:
        assert (code, lines) == (0, ["65534", "65534", "65534", "seen", str(data)])
    else:
        assert code == linux.CANNOT_ISOLATE
        assert "may not enter" in lines[0]
