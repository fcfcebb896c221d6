"""Real nodes killed, paused, stressed and wiped in any order, and actions that misbehave: as root and as nobody."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("wear.py")
NOBODY = 65534
Run = Callable[..., dict[str, Any]]

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(
    params=[
        pytest.param(("me", "hosts", ""), id="me-hosts", marks=pytest.mark.needs("namespaces")),
        pytest.param(
            ("ordinary", "rewrite", "off"), id="ordinary-rewrite-bare", marks=pytest.mark.needs("ordinary-user")
        ),
    ]
)
def run(request: pytest.FixtureRequest, ordinary_prefix: Callable[[], tuple[str, ...]]) -> Run:
    """Runs a scenario: the most isolated way, and the least."""
    who, interposition, namespaces = request.param
    python = (sys.executable,) if who == "me" else ordinary_prefix()

    def start(name: str, *arguments: str) -> dict[str, Any]:
        with TemporaryDirectory(prefix="chaoskit") as where:
            folder = Path(where) / "a run"
            folder.mkdir()
            Path(where).chmod(0o755)
            if len(python) > 1 and os.geteuid() == 0:
                os.chown(folder, NOBODY, NOBODY)
            done = subprocess.run(
                [*python, str(PROGRAM), name, interposition, str(folder), *arguments],
                capture_output=True,
                text=True,
                cwd="/",
                env={**os.environ, "CHAOSKIT_NAMESPACES": namespaces},
                timeout=280,
            )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    return start


def test_whatever_overlaps_in_whatever_order_nodes_links_and_burners_follow(run: Run) -> None:
    seed = random.randrange(10**6)
    found = run("overlaps", str(seed))
    assert found["wrong"] == [], f"seed {seed}"
    assert found["kept"] and found["lost"], f"seed {seed}: {found}"
    assert found["answers"] == {"db": True, "cache": True}


def test_a_wiped_postgresql_starts_as_new_and_what_is_kept_stays(run: Run) -> None:
    found = run("wiped")
    assert found == {"gone": True, "new": True, "mine": False, "kept": True, "answers": True}


def test_burners_are_beside_the_node_bounded_and_missed_when_killed(run: Run) -> None:
    found = run("burnt")
    assert "10000 processors cannot be burnt beside cache" in found["too_much"]
    assert 0.05 < found["share"] < 0.5  # asked 0.4; a busy machine gives less, none gives more
    assert found["burners"] == found["alone"] == 2  # one that waits, one that burns; the node's death is not theirs
    assert found["members"] >= 1
    assert found["told"] == [["cache/stress", 1]] and found["rest"] == []
    assert found["ended"] == 1  # the end at the deadline is nothing to tell


def test_actions_that_misbehave_harm_nobody(run: Run) -> None:
    found = run("actions")
    done = found["done"]
    assert done["works"]["answer"] == "moved to n2; nodes db,cache; in a run"
    assert done["asks"]["answer"] == "+PONG"  # although every link is cut
    assert done["data"]["answer"] == "True"
    assert done["shouts"]["answer"] == "" and done["litters"]["answer"] == "left a process behind"
    said = {name: answer.get("message", "") for name, answer in done.items()}
    assert said["raises"] == "action raises failed: RuntimeError: no quorum (actions.py:19)"
    assert said["hangs"] == "action hangs: hangs() took longer than 2 s and was killed"
    assert done["hangs"]["seconds"] < 60
    assert said["ends"] == "action ends: ends() ended its process (exit code 3) before it returned"
    assert said["shot"] == "action shot: shot() ended its process (signal 9) before it returned"
    assert said["leaves"].startswith("action leaves failed: SystemExit: had enough")
    assert "returned dict: text or None is expected" in said["returns"]
    assert said["unknown"] == "the target has no action 'unknown'"
    assert all(answer["error"] == "LinkError" for answer in done.values() if "error" in answer)
    assert "some text for the log" in found["log"] and "-- works(to='n2')" in found["log"]
    roles = found["roles"]
    assert roles["leader"]["answer"] == "db" and roles["nobody"]["answer"] is None
    assert roles["stranger"]["message"] == "role stranger: stranger() says 'n9', which is none of db, cache"
    assert "actions.py has no function missing()" in roles["missing"]["message"]
    holders = {name: answer["answer"][-1][2:] for name, answer in found["follows"].items()}
    assert holders["leader"] == ["db", ""] and holders["nobody"] == [None, ""]
    assert holders["stranger"] == [None, "'n9' is none of db, cache"]
    assert holders["missing"][0] is None and "actions.py has no function missing()" in holders["missing"][1]
    asked, answered = found["follows"]["leader"]["answer"][0][:2]
    assert 0 < asked <= answered
    assert found["asked_again"] and found["ended"] == [[]] * 4
    assert "the process that asks who holds it ended with code 0" in found["short"]["message"]
    assert found["under_way"] >= 2 and found["left"] == []  # whoever gives up takes all of it along
    assert found["at_the_end"]["error"] == "LinkError" and found["left_at_the_end"] == []
