"""What does not start says why, in its own last words, and leaves nothing; what ends by itself is reported."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

SCENARIO = Path(__file__).with_name("scenario.py")
ALONE = {"db": None, "cache": None}
SERVE = (
    "import socket, sys, time; s = socket.socket(); s.setsockopt(1, 2, 1); s.bind((sys.argv[1], int(sys.argv[2])));"
    "s.listen(); print('listening', flush=True); time.sleep(600)"
)
# rewrite needs nothing of the machine; what differs under hosts is tested there
WAYS = pytest.mark.parametrize("way", ["rewrite", pytest.param("hosts", marks=pytest.mark.needs("namespaces"))])


def run(name: str, way: str, folder: Path, **api: Any) -> dict[str, Any]:
    """The scenario with `api` alone in the stack, as given."""
    service = {"ports": [8000], "protocol": "tcp", "start_timeout": 60, **api}
    done = subprocess.run(
        [sys.executable, str(SCENARIO), name, way, str(folder), json.dumps({**ALONE, "api": service})],
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def python(code: str) -> list[str]:
    return ["python", "-c", code, "${NODE_HOST}", "${NODE_PORT}"]


def refused(found: dict[str, Any]) -> tuple[str, str]:
    assert found["error"].get("type") == "TargetError", found
    assert found["left"] == []
    assert found["ended"] == []
    return found["error"]["message"], found["error"]["hint"]


@WAYS
def test_a_start_that_works_can_be_taken_down_twice(way: str, tmp_path: Path) -> None:
    found = run("attempt", way, tmp_path, process_command=python(SERVE))
    assert found == {"error": {}, "left": [], "again": "a stack is up already", "ended": []}


@WAYS
def test_a_server_that_exits_shows_its_last_lines(way: str, tmp_path: Path) -> None:
    code = "import sys; [print('line', n) for n in range(40)]; sys.exit('no configuration')"
    message, hint = refused(run("attempt", way, tmp_path, process_command=python(code)))
    assert message.startswith("api ended while starting (exit code 1)")
    assert "| no configuration" in message
    assert "| line 39" in message
    assert "| line 20" not in message
    assert str(tmp_path) in hint


def test_a_server_that_is_killed(tmp_path: Path) -> None:
    code = "import os; os.kill(os.getpid(), 9)"
    message, _ = refused(run("attempt", "rewrite", tmp_path, process_command=python(code)))
    assert "(killed by signal 9)" in message
    assert "(it wrote nothing)" in message


def test_a_program_that_does_not_exist(tmp_path: Path) -> None:
    message, _ = refused(run("attempt", "rewrite", tmp_path, process_command=["no-such-server"]))
    assert "cannot start no-such-server" in message


def test_a_server_that_never_listens(tmp_path: Path) -> None:
    code = "import time; print('thinking', flush=True); time.sleep(600)"
    message, hint = refused(run("attempt", "rewrite", tmp_path, process_command=python(code), start_timeout=1.5))
    assert "not ready after 1.5 s" in message
    assert "refused" in message
    assert "| thinking" in message
    assert "start_timeout" in hint


def test_a_server_on_every_address_is_told_apart(tmp_path: Path) -> None:
    wild = SERVE.replace("sys.argv[1]", "'0.0.0.0'")
    message, hint = refused(run("attempt", "rewrite", tmp_path, process_command=python(wild)))
    assert "api listens on every address of the machine" in message
    assert "${NODE_HOST}" in hint


@pytest.mark.needs("namespaces")
def test_a_server_on_every_address_cannot_stand_beside_its_links(tmp_path: Path) -> None:
    """The proxies were there first: its own error is shown, with what to do about it."""
    wild = SERVE.replace("sys.argv[1]", "'0.0.0.0'")
    message, hint = refused(run("attempt", "hosts", tmp_path, process_command=python(wild)))
    assert "Address already in use" in message
    assert "${NODE_HOST}" in hint


@WAYS
def test_a_server_on_a_wrong_address_is_told_where_it_is(way: str, tmp_path: Path) -> None:
    wrong = SERVE.replace("sys.argv[1]", "'127.0.0.1'").replace("int(sys.argv[2])", "0")
    message, hint = refused(run("attempt", way, tmp_path, process_command=python(wrong), start_timeout=3))
    assert "listens on 127.0.0.1:" in message
    assert "${NODE_PORT}" in hint


@WAYS
def test_health_check_of_the_compose_file(way: str, tmp_path: Path) -> None:
    """It runs where the node runs: there its own name means something."""
    code = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])))"
    check = {"test": ["python", "-c", code, "localhost" if way == "rewrite" else "api", "8000"]}
    if way == "rewrite":
        check = {"test": f"{shlex.quote(sys.executable)} -c 'import sys, socket; h, p = sys.argv[1].split(\":\"); "
                         "socket.create_connection((h, int(p)))' localhost:8000"}  # fmt: skip
    assert run("attempt", way, tmp_path, process_command=python(SERVE), healthcheck=check)["error"] == {}
    failing = {"test": "echo still warming up; exit 1"}
    found = run("attempt", way, tmp_path / "b", process_command=python(SERVE), healthcheck=failing, start_timeout=1.5)
    message, _ = refused(found)
    assert "still warming up" in message


def test_who_ends_by_itself_is_reported_and_who_was_told_is_not(tmp_path: Path) -> None:
    found = run("workers", "rewrite", tmp_path, process_command=python(SERVE))
    assert found["ended"] == [["api", -9, ["listening"]], ["w1", 3, ["last words"]], ["w2", -9, []]]
    assert "w3 runs already" in found["twice"]
    assert found["stopped"] == []
    assert (found["state"], found["again"]) == ("killed", "running")


@WAYS
def test_four_stacks_side_by_side(way: str, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda n: run("attempt", way, tmp_path / str(n), process_command=python(SERVE)), range(4))
        )
    assert [one["error"] for one in found] == [{}] * 4
    assert [one["left"] for one in found] == [[]] * 4
