"""The shipped experiments on etcd give their known answers in every seed, and over the original Toxiproxy as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

EXPERIMENTS = sorted((Path(__file__).resolve().parents[3] / "experiments" / "etcd").glob("*.yaml"))


@pytest.mark.needs("namespaces")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda file: file.stem)
def test_every_seed_comes_out_as_expected(run, file: Path, seed: int) -> None:
    check(*run(str(file), "--seed", str(seed)))


@pytest.mark.needs("namespaces", "toxiproxy")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda file: file.stem)
def test_the_original_gives_the_same_answers(run, file: Path) -> None:
    check(*run(str(file), "--toxiproxy", "real"))


def check(code: int, summary: dict[str, Any], _: object) -> None:
    told = [f"{claim['verdict']}: {claim['sentence']}" for claim in summary["claims"]]
    assert code == 0, "\n".join([str(summary["error"]), *told])
    assert summary["as_expected"] is True
