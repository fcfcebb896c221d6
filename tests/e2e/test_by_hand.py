"""By hand, as a user does it: up, inject, status, heal, down; what is forgotten or killed leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chaoskit.errors import ExitCode


def until(true: Callable[[], Any], what: str, patience: float = 60.0) -> Any:
    end = time.monotonic() + patience
    while not (found := true()):
        assert time.monotonic() < end, f"not within {patience:g} s: {what}"
        time.sleep(0.05)
    return found


def ask(listen: str) -> str:
    """GET /healthz by hand."""
    host, _, port = listen.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: api\r\n\r\n")
        return connection.recv(4096).decode()


class Hand:
    """A user with a stack up."""

    def __init__(self, user: Any, tiny: Path, left: Callable[[str], list[str]]) -> None:
        self.user, self.tiny, self.left = user, tiny, left

    def up(self, *arguments: str) -> dict[str, Any]:
        done = self.user("up", str(self.tiny), "--runs", self.user.runs, "--json", *arguments)
        assert done.code == ExitCode.OK, done.out + done.err
        found: dict[str, Any] = done.json["stack"]
        return found

    def status(self, *names: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.user("status", "--json", *names).json["stacks"]
        return found

    def active(self) -> list[str]:
        return sorted(path.name for path in (self.user.folder / "state" / "active").glob("*"))

    def keeper(self) -> int:
        (entry,) = (self.user.folder / "state" / "active").glob("*.json")
        return int(json.loads(entry.read_text())["engine"][0])

    def gone(self, run: str) -> bool:
        return not self.left(run) and not self.active()


@pytest.fixture(
    params=["as this user", pytest.param("as an ordinary user", marks=pytest.mark.needs("root", "ordinary-user"))]
)
def hand(request: pytest.FixtureRequest, user, tiny: Path, left: Callable[[str], list[str]]) -> Iterator[Hand]:
    if request.param == "as this user":
        somebody = user
    else:
        shutil.copytree(tiny, user.folder / "tiny")
        user.folder.chmod(0o777)
        somebody, tiny = type(user)(user.folder, request.getfixturevalue("ordinary")), user.folder / "tiny"
    found = Hand(somebody, tiny, left)
    yield found
    for stack in found.status():
        somebody("down", stack["run"])


@pytest.fixture
def mine(user, tiny: Path, left: Callable[[str], list[str]]) -> Iterator[Hand]:
    """As this user only: for what does not depend on it."""
    found = Hand(user, tiny, left)
    yield found
    for stack in found.status():
        user("down", stack["run"])


def link(stack: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (one for one in stack["links"] if one["id"] == name)
    assert isinstance(found, dict)
    return found


def test_a_stack_is_bent_and_healed_by_hand(hand: Hand) -> None:
    stack = hand.up()
    assert stack["name"] == "tiny" and [node["state"] for node in stack["nodes"]] == ["running", "running"]
    entry = link(stack, "client->api:8000")
    assert entry["talk"] == f"curl -i http://{entry['listen']}/healthz" and "200" in ask(entry["listen"])
    assert "valkey-cli -h" in link(stack, "api->cache:6379")["talk"]

    done = hand.user("inject", "latency", "api -> cache", "--latency", "200ms", "--jitter=10ms", "--for", "60s")
    assert done.code == ExitCode.OK, done.out + done.err
    assert "api->cache:6379 answers 200 ms ± 10 ms late" in done.out
    assert "seen to bite: api->cache:6379: asked 200 ms, saw " in done.out
    assert hand.user("inject", "outage", "client -> api", "--for", "60s", "--id", "cut").code == ExitCode.OK
    with pytest.raises(ConnectionRefusedError):
        ask(entry["listen"])
    (now,) = hand.status()
    assert link(now, "api->cache:6379")["bent_by"] == ["latency-1"] and link(now, entry["id"])["bent_by"] == ["cut"]
    assert {fault["id"]: fault["state"] for fault in now["faults"]} == {"latency-1": "active", "cut": "active"}

    done = hand.user("heal", "cut")
    assert done.code == ExitCode.OK and "cut: " in done.out and "seen to be gone" in done.out
    assert "200" in ask(entry["listen"])
    assert hand.user("heal").code == ExitCode.OK
    assert all(fault["state"] == "healed" for fault in hand.status()[0]["faults"])
    text = hand.user("status").out
    assert "healed (by hand)" in text and "talk over it" in text

    for path in (hand.user.folder / "state").rglob("*"):
        assert path.lstat().st_mode & 0o077 == 0, path
    assert hand.user("down").code == ExitCode.OK
    assert hand.gone(stack["run"]) and hand.status() == []
    assert hand.user("recover").code == ExitCode.OK


def test_a_fault_is_healed_at_its_deadline_and_a_forgotten_stack_ends(mine: Hand) -> None:
    stack = mine.up("--for", "20s")
    assert mine.user("inject", "outage", "api -> cache", "--for", "2s").code == ExitCode.OK
    until(lambda: mine.status()[0]["faults"][0]["state"] == "healed", "healed at its deadline", 15)
    fault = mine.status()[0]["faults"][0]
    assert fault["why"] == "its time was over" and fault["gone"] is not None
    until(lambda: mine.gone(stack["run"]), "ended after --for")
    assert mine.user("recover").code == ExitCode.OK


def test_a_frozen_keeper_and_a_killed_one_leave_nothing(mine: Hand) -> None:
    stack = mine.up()
    assert mine.user("inject", "outage", "api -> cache", "--for", "60s").code == ExitCode.OK
    keeper = mine.keeper()
    os.kill(keeper, signal.SIGSTOP)
    try:
        until(lambda: mine.gone(stack["run"]), "healed and stopped by the supervisor, as nobody beat its heart")
    finally:
        os.kill(keeper, signal.SIGCONT)
    again = mine.up("--name", "second")
    assert mine.user("inject", "blackhole", "api -> cache", "--for", "60s").code == ExitCode.OK
    os.kill(mine.keeper(), signal.SIGKILL)
    until(lambda: mine.gone(again["run"]), "healed and stopped by the supervisor")
    assert mine.user("status").out == "" and mine.user("recover").code == ExitCode.OK


def test_mistakes_bend_nothing(mine: Hand) -> None:
    assert mine.user("status").code == ExitCode.OK
    for words in (("inject", "latency", "a -> b", "--latency", "1s", "--for", "1s"), ("heal",), ("down",)):
        done = mine.user(*words)
        assert done.code == ExitCode.USAGE and "no stack is up" in done.err and "chaoskit up" in done.err
    done = mine.user("up", "url-shortner")
    assert done.code == ExitCode.USAGE and "did you mean 'url-shortener'?" in done.err
    done = mine.user("up", str(mine.tiny), "--env", "cash.A=1", "--runs", mine.user.runs)
    assert done.code == ExitCode.USAGE and "no service 'cash'" in done.err
    done = mine.user("up", str(mine.tiny), "--env", "api.START=no", "--runs", mine.user.runs)
    assert done.code == ExitCode.ENVIRONMENT and "no such luck" in done.err and mine.active() == []

    stack = mine.up("--env", "api.FAIL_EVERY=3")
    done = mine.user("up", str(mine.tiny), "--runs", mine.user.runs)
    assert done.code == ExitCode.USAGE and "is up already" in done.err and "--name" in done.err
    for words, sentence in (
        (("latncy", "api -> cache", "--for", "1s"), "did you mean 'latency'?"),
        (("latency", "api -> cache", "--for", "1s", "--latency", "2s", "--jiter", "1s"), "'jiter'"),
        (("latency", "api -> cache", "--for", "1s", "--latency"), "--latency has no value"),
    ):
        done = mine.user("inject", *words)
        assert done.code == ExitCode.USAGE and sentence in done.err, (words, done.err)
    assert mine.user("heal", "nothing").code == ExitCode.USAGE
    assert mine.status()[0]["faults"] == [] and mine.status()[0]["run"] == stack["run"]


def test_stop_all_ends_stacks_and_blocks_until_released(mine: Hand) -> None:
    first, second = mine.up("--name", "one"), mine.up("--name", "two")
    done = mine.user("down")
    assert done.code == ExitCode.USAGE and "several stacks are up: one, two" in done.err
    assert sorted(stack["name"] for stack in mine.status()) == ["one", "two"]
    assert mine.user("inject", "outage", "api -> cache", "--for", "60s", "--stack", "two").code == ExitCode.OK
    assert [one["name"] for one in mine.status() if one["faults"]] == ["two"]

    assert mine.user("stop", "--all").code == ExitCode.OK
    assert mine.gone(first["run"]) and mine.gone(second["run"])
    for words in (("up", str(mine.tiny)), ("run", str(mine.tiny / "cache-slow.yaml"))):
        done = mine.user(*words, "--runs", mine.user.runs)
        assert done.code == ExitCode.ENVIRONMENT and "nothing may run since" in done.err
        assert "chaoskit stop --release" in done.err
    assert mine.user("stop", "--all", "--release").code == ExitCode.USAGE
    assert "runs may begin again" in mine.user("stop", "--release").err
    third = mine.up("--name", "three")
    assert mine.user("stop", third["run"]).code == ExitCode.OK
    assert mine.gone(third["run"])


def test_an_interrupted_start_leaves_nothing(mine: Hand) -> None:
    process = mine.user.start("up", str(mine.tiny), "--runs", mine.user.runs)
    assert process.stderr is not None
    for line in process.stderr:
        if "cache, api" in line:
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED
    assert mine.active() == [] and mine.status() == []
