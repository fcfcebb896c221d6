"""The shipped experiments on etcd give their known answers in every seed."""

from __future__ import annotations

from pathlib import Path

import pytest

EXPERIMENTS = sorted((Path(__file__).resolve().parents[3] / "experiments" / "etcd").glob("*.yaml"))


@pytest.mark.needs("namespaces")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda file: file.stem)
def test_every_seed_comes_out_as_expected(run, file: Path, seed: int) -> None:
    code, summary, _ = run(str(file), "--seed", str(seed))
    told = [f"{claim['verdict']}: {claim['sentence']}" for claim in summary["claims"]]
    assert code == 0, "\n".join([str(summary["error"]), *told])
    assert summary["as_expected"] is True
