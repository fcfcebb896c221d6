"""Each shipped experiment comes out as its `expect:` says, one seed each; the demo under both interpositions."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.errors import ExitCode

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENTS = ROOT / "experiments" / "url-shortener"
QUESTIONS = [
    *(pytest.param(name, marks=pytest.mark.alone) for name in ("cache-down", "database-down", "traffic-x10")),
    pytest.param("database-slow", marks=pytest.mark.paired),
]


def check(done) -> None:
    assert done.code == ExitCode.OK, done.err + done.out
    (run,) = done.json["runs"]
    assert run["error"] is None
    assert "inconclusive" not in {claim["verdict"] for claim in run["claims"]}


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.timeout(900)
def test_the_answer_is_the_one_that_is_known(user, name: str) -> None:
    done = user.judged(str(EXPERIMENTS / f"{name}.yaml"), timeout=280)
    check(done)
    assert done.json["runs"][0]["as_expected"] is True
    assert "refuted" in {claim["verdict"] for claim in done.json["runs"][0]["claims"]}


@pytest.mark.paired
@pytest.mark.timeout(900)
def test_without_a_fault_every_claim_holds(user) -> None:
    done = user.judged(str(EXPERIMENTS / "control.yaml"))
    check(done)
    assert {claim["verdict"] for claim in done.json["runs"][0]["claims"]} == {"held"}


@pytest.mark.paired
@pytest.mark.timeout(900)
@pytest.mark.parametrize("interposition", [pytest.param("hosts", marks=pytest.mark.needs("namespaces")), "rewrite"])
def test_the_demo(user, interposition: str, left) -> None:
    done = user.judged(str(EXPERIMENTS / "demo.yaml"), "--interposition", interposition)
    check(done)
    assert (Path(done.json["runs"][0]["report"])).stat().st_size < 3_000_000
    assert left(done.json["runs"][0]["run"]) == []
