"""The shipped experiments give their known answers in every seed, with one core kept busy by something else."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
EXPERIMENTS = ROOT / "experiments" / "url-shortener"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("name", ["cache-down", "control", "database-down", "database-slow", "demo", "traffic-x10"])
def test_every_seed_comes_out_as_expected(run, burner, name: str, seed: int) -> None:
    code, summary, _ = run(str(EXPERIMENTS / f"{name}.yaml"), "--seed", str(seed))
    told = [f"{claim['verdict']}: {claim['sentence']}" for claim in summary["claims"]]
    assert code == 0, "\n".join([str(summary["error"]), *told])
    assert summary["as_expected"] is True
