"""An experiment that is right, to be broken in one place at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from chaoskit.errors import Problem
from chaoskit.spec.load import Loaded, read_experiment

GOOD = """\
apiVersion: chaoskit/v1
kind: Experiment
question: What breaks when the database is slow?
target: target
variants:
  patient: {env: {api: {DB_TIMEOUT: 5s}}}
  impatient: {env: {api: {DB_TIMEOUT: 250ms, POOL: 4, DEBUG: true}}}
traffic: {workload: shorten, arrivals: {poisson: 200/s}, timeout: 2s}
steady_state: ["yield >= 99.9%", "p99 <= 100ms"]
abort: ["yield < 20% for 5s"]
timeline:
  - {at: 5s, for: 8s, id: slow-db, fault: latency, on: api -> db, latency: 200ms, jitter: 20ms}
claims:
  - {id: survives, that: "yield of resolve >= 99%", during: slow-db}
  - {id: recovers, that: "recovery <= 5s", after: slow-db}
  - {id: codes-never-change, invariant: immutable}
expect:
  impatient: {survives: refuted}
"""

Read = Callable[..., tuple[Loaded | None, list[Problem]]]


@pytest.fixture
def good() -> str:
    return GOOD


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read text (or bytes) as an experiment file called exp.yaml."""
    (tmp_path / "target").mkdir()

    def read(
        text: str | bytes, overrides: Sequence[str] = (), environ: Mapping[str, str] | None = None
    ) -> tuple[Loaded | None, list[Problem]]:
        path = tmp_path / "exp.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        loaded, problems = read_experiment(path, overrides=overrides, environ=environ or {})
        return loaded, [p._replace(file=p.file.replace(str(path), "exp.yaml")) for p in problems]

    return read
