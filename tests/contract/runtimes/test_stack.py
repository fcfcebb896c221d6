"""A real PostgreSQL, a real Valkey and an app: both interpositions, with and without namespaces, as root and not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from chaoskit import linux

SCENARIO = Path(__file__).with_name("scenario.py")
NOBODY = 65534

pytestmark = pytest.mark.timeout(300)


def run(python: tuple[str, ...], name: str, interposition: str, folder: str, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*python, str(SCENARIO), name, interposition, folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
        env={**os.environ, **env},
    )


def folder_for(python: tuple[str, ...], where: str) -> str:
    """A folder that the user behind `python` may write to, with a space in its name."""
    folder = Path(where) / "a run"
    folder.mkdir()
    Path(where).chmod(0o755)
    if len(python) > 1 and os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    return str(folder)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("me", "hosts", ""), id="me-hosts", marks=pytest.mark.needs("namespaces")),
        pytest.param(("me", "rewrite", "off"), id="me-rewrite-bare"),
        pytest.param(
            ("ordinary", "hosts", ""), id="ordinary-hosts", marks=pytest.mark.needs("namespaces", "ordinary-user")
        ),
        pytest.param(
            ("ordinary", "rewrite", "off"), id="ordinary-rewrite-bare", marks=pytest.mark.needs("ordinary-user")
        ),
    ],
)
def life(request: pytest.FixtureRequest, ordinary_prefix: Callable[[], tuple[str, ...]]) -> Iterator[dict[str, Any]]:
    """What scenario `life` saw. `bare` = as on a machine without namespaces."""
    who, interposition, namespaces = request.param
    python = (sys.executable,) if who == "me" else ordinary_prefix()
    with TemporaryDirectory(prefix="chaoskit") as where:
        process = run(python, "life", interposition, folder_for(python, where), CHAOSKIT_NAMESPACES=namespaces)
        out, err = process.communicate(timeout=280)
        assert process.returncode == 0, err
        assert err == ""
        yield {**json.loads(out.splitlines()[-1]), "interposition": interposition, "namespaces": namespaces != "off"}


def test_serves_through_its_links(life: dict[str, Any]) -> None:
    seen = life["served"]["seen"]
    assert seen["/db"] == "app@shop"
    assert seen["/cache"] == "+PONG"
    assert seen["/env"]["cwd"].endswith("code of the app")
    assert "refused" in life["served"]["cut"]
    assert set(life["served"]["states"].values()) == {"running"}
    assert life["ended"] == []


def test_is_up_and_down_soon_enough(life: dict[str, Any]) -> None:
    """The promise is 10 s up and a couple down on an idle machine; this one may be busy."""
    assert life["up_seconds"] < 30
    assert life["down_seconds"] < 15
    assert set(life["ready"]) == {"db", "cache", "api"}
    assert life["ready"]["api"] > max(life["ready"]["db"], life["ready"]["cache"])


def test_names_lead_to_the_link_and_only_inside(life: dict[str, Any]) -> None:
    links = {link["name"]: link["listen"] for link in life["stack"]["proxies"]}
    served = life["served"]
    assert served["outside"] == []
    assert served["seen"]["db"] == "gaierror"  # no link leads there from the client
    entry = links["client->api:8000"]
    assert served["seen"]["address"] == entry.split(":")[0]
    url = served["seen"]["/env"]["DATABASE_URL"]
    if life["interposition"] == "hosts":
        assert life["stack"]["entries"] == {"client": "api:8000"}
        assert url == "postgresql://app@db:5432/shop"
    else:
        assert life["stack"]["entries"] == {"client": entry}
        assert url == f"postgresql://app@{links['api->db:5432']}/shop"


def test_listens_where_the_plan_says_and_nowhere_else(life: dict[str, Any]) -> None:
    listening = [f"{host}:{port}" for host, port in life["served"]["listening"]]
    stack = life["stack"]
    for endpoint in [*(p["listen"] for p in stack["proxies"]), *(p["upstream"] for p in stack["proxies"])]:
        assert listening.count(endpoint) == 1, endpoint
    assert stack["control"] in listening


def test_kill_hits_every_process_of_postgresql(life: dict[str, Any]) -> None:
    killed = life["killed"]
    assert killed["backend"] in {found["pid"] for found in killed["before"]}
    assert len(killed["before"]) >= 5  # postmaster, checkpointer, writers, the session's backend
    assert killed["alive"] == []
    assert (killed["state"], killed["answered"]) == ("killed", False)
    assert killed["refused"] != 0


def test_run_again_keeps_what_was_acknowledged(life: dict[str, Any]) -> None:
    assert life["killed"]["kept"] == [[7]]
    assert life["killed"]["state_after"] == "running"


def test_pause_silences_an_open_session_and_run_lets_it_answer(life: dict[str, Any]) -> None:
    paused = life["paused"]
    assert set(paused["states"]) == {"T"}
    assert len(paused["states"]) >= 5
    assert (paused["state"], paused["silent"], paused["answered"]) == ("paused", True, True)
    assert (paused["killed"], paused["state_after"]) == ("killed", "running")


def test_nothing_is_left_but_the_logs(life: dict[str, Any]) -> None:
    assert life["left"] == []
    assert life["data_left"] == []
    assert {"db.log", "cache.log", "api.log", "proxy.log"} <= set(life["logs"])
    assert "ready to accept connections" in life["logs"]["db.log"]


def test_pids_are_private_where_that_is_to_be_had(life: dict[str, Any]) -> None:
    pids = {found["pid"] for found in life["served"]["pids"]["db"]}
    outer = {found["outer"] for found in life["served"]["pids"]["db"]}
    assert (pids == outer) == (not life["namespaces"])


@pytest.mark.needs("ordinary-user")
@pytest.mark.parametrize("namespaces", [pytest.param("", marks=pytest.mark.needs("namespaces")), "off"])
def test_kill_9_of_whoever_drives_leaves_nothing(
    python: tuple[str, ...], namespaces: str, eventually: Callable[[Callable[[], bool]], bool]
) -> None:
    with TemporaryDirectory(prefix="chaoskit") as where:
        process = run(python, "hold", "auto", folder_for(python, where), CHAOSKIT_NAMESPACES=namespaces)
        assert process.stdout is not None
        found = [linux.ProcessId(*who) for who in json.loads(process.stdout.readline())]
        assert len([who for who in found if linux.alive(who)]) > 12
        driver = next(parent for parent in _line(process.pid) if linux.command(parent).endswith(f"auto {where}/a run"))
        os.kill(driver, signal.SIGKILL)
        assert eventually(lambda: not any(linux.alive(who) for who in found))
        process.communicate(timeout=60)


def _line(pid: int) -> list[int]:
    """The process and what is below it: a prefix command may stand between."""
    return [*(found.pid for found in reversed(linux.descendants(pid))), pid]
