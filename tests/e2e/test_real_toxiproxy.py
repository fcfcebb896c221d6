"""`--toxiproxy real`: the demo over the original has the verdicts of the embedded one; without an original, a word."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaoskit.errors import ExitCode

pytestmark = pytest.mark.paired
ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "experiments" / "url-shortener" / "demo.yaml"


@pytest.mark.needs("toxiproxy")
@pytest.mark.timeout(400)
def test_the_demo_has_the_same_verdicts(user, left) -> None:
    done = user.judged(str(DEMO), "--toxiproxy", "real")
    assert done.code == ExitCode.OK, done.err + done.out
    (run,) = done.json["runs"]
    assert run["error"] is None
    assert run["as_expected"] is True
    refuted = {(claim["variant"], claim["claim"]) for claim in run["claims"] if claim["verdict"] == "refuted"}
    assert refuted == {("patient", "answers-stay-quick"), ("impatient", "creates-survive")}
    assert "inconclusive" not in {claim["verdict"] for claim in run["claims"]}
    folder = Path(run["directory"])
    assert json.loads((folder / "plan.json").read_text())["toxiproxy"] == "real"
    log = next(folder.glob("blocks/*/logs/proxy.log")).read_text()
    assert '"message":"Starting Toxiproxy"' in log  # of the original, and nobody else's
    limits = (folder / "report.md").read_text()
    assert "are not seeded" in limits
    assert "was not measured" in limits
    assert left(run["run"]) == []


def test_without_one_it_is_said_before_anything_starts(user, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("TOXIPROXY_SERVER", str(tmp_path / "gone"))
    for command in ("plan", "run"):
        done = user(command, str(DEMO), "--toxiproxy", "real")
        assert done.code == ExitCode.ENVIRONMENT
        assert "TOXIPROXY_SERVER" in done.err
        assert "next:" in done.err
    monkeypatch.delenv("TOXIPROXY_SERVER")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    done = user("plan", str(DEMO), "--toxiproxy", "real")
    assert done.code == ExitCode.ENVIRONMENT
    assert "python3 tools/toxiproxy.py" in done.err
    assert user("plan", str(DEMO), "--toxiproxy", "embedded").code == ExitCode.OK
