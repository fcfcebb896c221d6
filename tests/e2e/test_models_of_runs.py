"""A run's history against models: claimed in the experiment, checked again afterwards, exported, shown as a page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaoskit.errors import ExitCode

CLAIMS = (
    "claims=[{id: one-copy, consistency: linearizable, model: register},"
    " {id: answers, consistency: linearizable, model: register, of: get, during: slow}]"
)


@pytest.mark.paired
def test_claimed_checked_again_and_exported(user, tiny: Path) -> None:
    done = user.judged(str(tiny / "cache-slow.yaml"), "--set", CLAIMS, "--set", "traffic.arrivals={constant: 200/s}")
    assert done.code == ExitCode.OK, done.err
    folder = Path(done.json["runs"][0]["directory"])
    whole, during = json.loads((folder / "analysis.json").read_text())["claims"]
    assert (whole["verdict"], during["verdict"]) == ("held", "held")
    (finding,) = whole["findings"]
    assert finding["exposed"] >= 100 and sum(one["found"] for one in finding["planted"]) > 0
    assert finding["operations"] > during["findings"][0]["operations"] >= 100

    again = user("check", str(folder), "--model", "register", "--json", "--html", str(user.folder / "page.html"))
    (judged,) = again.json["files"]
    assert (again.code, judged["verdict"], judged["format"]) == (ExitCode.OK, "held", "run")
    assert judged["operations"] == finding["operations"] and judged["exposed"] == finding["exposed"]
    assert "Legal: some order of its" in (user.folder / "page.html").read_text()

    exported = user.folder / "history.edn"
    assert user("check", str(folder), "--export", "jepsen", "-o", str(exported)).code == ExitCode.OK
    (other,) = user("check", str(exported), "--model", "register", "--keyed", "--no-power", "--json").json["files"]
    assert (other["verdict"], other["exposed"]) == ("held", finding["exposed"])

    assert user("check", str(folder), "--model", "unique-ids").code == ExitCode.USAGE


def test_a_claim_that_no_model_judges_starts_nothing(user, tiny: Path) -> None:
    wrong = "claims=[{id: one-copy, consistency: linearisable, model: register}]"
    done = user.run(str(tiny / "cache-slow.yaml"), "--set", wrong)
    assert done.code == ExitCode.USAGE
    assert done.json["error"]["problems"][0]["hint"] == "did you mean 'linearizable'?"
    assert not Path(user.runs).exists()
