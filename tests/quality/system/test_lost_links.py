"""A planted bug in a real stack is found in every one of ten seeds, and the sound variant is never accused."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


@pytest.mark.timeout(1600)
def test_write_back_is_caught_and_cache_aside_is_not_accused(run) -> None:
    code, summary, analysis = run(str(HERE / "lost-links.yaml"), "--trials", "10")
    verdicts = {
        (claim["variant"], claim["claim"]): [finding["verdict"] for finding in claim["findings"]]
        for claim in analysis["claims"]
    }
    assert verdicts["write-back", "links-survive"] == ["refuted"] * 10
    assert verdicts["cache-aside", "links-survive"] == ["held"] * 10
    assert verdicts["cache-aside", "codes-never-change"] == ["held"] * 10
    assert "refuted" not in verdicts["write-back", "codes-never-change"]
    for claim in analysis["claims"]:
        for finding in claim["findings"]:
            if finding["verdict"] == "refuted":
                assert {op["f"] for op in finding["witness"]["operations"]} == {"write", "read"}
    assert code == 0, summary["headline"]
