"""PostgreSQL, Valkey and an HTTP API behind the embedded Toxiproxy: every fault bites, is seen, heals, is seen to be
gone; and nothing is left when engine and supervisor are killed in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parent / "helpers" / "stack.py"
LINKS = ["latency", "timeout", "outage", "blackhole", "reset"]
NODES = ["kill", "restart", "pause", "kill wiped", "restart wiped", "stress", "action"]
FAULTS = [*LINKS, *NODES]


@pytest.fixture(
    params=[
        pytest.param(("own", "auto"), marks=pytest.mark.needs("namespaces"), id="own-namespace"),
        pytest.param(("ordinary", "never"), marks=pytest.mark.needs("ordinary-user"), id="ordinary-subreaper"),
    ]
)
def stack(request: pytest.FixtureRequest, folder: Path) -> Any:
    """Command line of the script up to the names of faults, as one user or another."""
    who, namespace = request.param
    prefix: tuple[str, ...] = (sys.executable,) if who == "own" else request.getfixturevalue("ordinary")
    if prefix[0] == "setpriv":
        os.chown(folder, 65534, 65534)
    surroundings = ["env", f"CHAOSKIT_STATE={folder}/state", f"XDG_CACHE_HOME={folder}/cache"]
    return [*surroundings, *prefix, str(SCRIPT), str(folder / f"run-{folder.name}"), namespace], folder


def using(folder: Path) -> list[str]:
    """Living processes that hold something below `folder` (servers overwrite the environment that carries the mark)."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and any(
                str((entry / name).readlink()).startswith(str(folder)) for name in ("cwd", "fd/1", "fd/2")
            ):
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def until(true: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + 60.0
    while not true():
        assert time.monotonic() < end, f"not within a minute: {what}"
        time.sleep(0.05)


@pytest.mark.timeout(300)
def test_every_fault_bites_and_heals_for_all_to_see(stack: Any) -> None:
    command, folder = stack
    done = subprocess.run([*command, *FAULTS], capture_output=True, text=True, cwd="/", timeout=280)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line.get("fault") for line in lines[1:-1]] == FAULTS, done.stdout + done.stderr
    assert lines[-1] == {"event": "over"}
    for line in lines[1:-1]:
        assert line["seen"] and all(line["seen"]), line
        assert line["gone"] and all(line["gone"]), line
    assert using(folder) == [] and list((folder / "state" / "active").iterdir()) == []


@pytest.mark.parametrize("victims", ["engine", "supervisor", "both"])
def test_nothing_is_left_whoever_is_killed(stack: Any, victims: str) -> None:
    command, folder = stack
    with subprocess.Popen([*command, "hold"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/") as run:
        assert run.stdout is not None
        try:
            up, holding = (json.loads(run.stdout.readline()) for _ in range(2))
            assert holding["event"] == "holding" and min(holding["state"].values()) >= 1, (up, holding)
            assert holding["leader"] == "db"
            held = using(folder)
            assert any("postgres: " in command for command in held)  # these overwrite their mark
            assert sum("runtimes.burner" in command for command in held) >= 4, held
            assert any("runtimes.actions_runner" in command for command in held), held
            if victims != "engine":
                os.kill(up["supervisor"], signal.SIGKILL)
            if victims != "supervisor":
                run.kill()
            else:
                run.communicate("\n", timeout=60)
                assert using(folder) == []  # the engine cleaned up after its supervisor
            if up["private"] or victims == "engine":
                until(lambda: not using(folder), "everything has ended without any help")
        finally:
            run.kill()
    python = command[: command.index(str(SCRIPT))]
    code = "import json; from chaoskit.safety.recover import recover; print(json.dumps(recover().summary()))"
    first, second = (
        json.loads(subprocess.run([*python, "-c", code], capture_output=True, text=True, cwd="/", check=True).stdout)
        for _ in range(2)
    )
    assert first["left"] == [] and second == {"found": [], "done": [], "left": []}
    assert using(folder) == [] and list((folder / "state" / "active").iterdir()) == []
