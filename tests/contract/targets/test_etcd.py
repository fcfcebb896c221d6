"""The shipped etcd clusters for real, over their own links: up quickly, cut, elected anew, healed, agreed; leadership
moved by the target's own action. As whoever runs the tests, and as an ordinary user."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chaoskit.errors import AbilityError
from chaoskit.runtimes.process import ProcessRuntime
from chaoskit.stack.compose import load_target

SCRIPT = Path(__file__).parent / "etcd_cluster.py"
TARGET = Path(__file__).resolve().parents[3] / "targets" / "etcd"
UP_S = 20.0  # what a start may take on a machine that is busy with other tests; alone it is one to three

pytestmark = [pytest.mark.needs("namespaces"), pytest.mark.timeout(240)]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where others may go: not in pytest's own folder, which is closed to them."""
    made = Path(tempfile.mkdtemp(prefix="chaoskit-etcd-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def tell(folder: Path, compose: str, *story: str, python: tuple[str, ...] = (sys.executable,)) -> Any:
    if python[0] == "setpriv":
        os.chown(folder, 65534, 65534)
    state = ["env", f"CHAOSKIT_STATE={folder}/state", f"XDG_CACHE_HOME={folder}/cache"]
    command = [*state, *python, str(SCRIPT), str(folder / "runs"), str(TARGET / compose), *story]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=220)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("who", ["own", pytest.param("ordinary", marks=pytest.mark.needs("ordinary-user"))])
def test_the_majority_goes_on_and_all_agree_when_it_is_over(
    folder: Path, who: str, request: pytest.FixtureRequest
) -> None:
    python = request.getfixturevalue("ordinary") if who == "ordinary" else (sys.executable,)
    seen = tell(folder, "compose.yaml", "isolated", python=python)
    assert max(seen["ready"].values()) < UP_S
    assert seen["before"] == [True, True, True]
    assert seen["failover"] >= 0 and seen["written"] >= 0
    assert seen["majority_reads"] == [["new"], ["new"]]
    assert seen["isolated_writes"] is False and seen["isolated_reads"] is None
    assert seen["isolated_local"] == [] and seen["isolated_local_before"] == ["1"]  # answers, from what it has
    assert seen["apart"] > 1 and seen["agreed"] >= 0
    assert seen["after"] == seen["local_after"] == [["new"]] * 3


def test_leadership_moves_among_five(folder: Path) -> None:
    seen = tell(folder, "compose.five.yaml", "moved")
    assert max(seen["ready"].values()) < UP_S
    assert seen["leaders"] == ["n1", "n3", "n5"]


def test_an_etcd_of_ones_own_needs_no_peers(folder: Path) -> None:
    """The shortest Compose file that anybody could write for it; where addresses are rewritten, ports are scarce."""
    compose = "services: {kv: {image: etcd}}\nx-chaoskit: {process: {kv: {server: etcd, health_path: /version}}}\n"
    (folder / "compose.yaml").write_text(compose)
    seen = tell(folder, str(folder / "compose.yaml"), "alone", "rewrite")
    assert (seen["written"], seen["dead"], seen["again"]) == (True, None, ["1"])


@pytest.mark.parametrize("file", ["compose.yaml", "compose.five.yaml"])
def test_addresses_that_members_tell_each_other_are_not_rewritten(file: str) -> None:
    with pytest.raises(AbilityError, match="tell each other their addresses"):
        ProcessRuntime().check(load_target(TARGET / file, {}), "rewrite")
