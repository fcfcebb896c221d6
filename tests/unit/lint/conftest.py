"""A cluster of three that talk to each other, and an experiment on it."""

from __future__ import annotations

from pathlib import Path

import pytest

PEERS = "PEERS: 'n1=http://n1:2380,n2=http://n2:2380,n3=http://n3:2380'"
MEMBER = f"{{image: etcd, environment: {{{PEERS}}}, expose: ['2379', '2380']}}"
CLUSTER = f"""\
services:
  n1: {MEMBER}
  n2: {MEMBER}
  n3: {MEMBER}
x-chaoskit:
  entry: [n1, n2, n3]
  clients: beside
  process: {{n1: &p {{command: [x], protocol: http}}, n2: *p, n3: *p}}
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """The folder that it is in: the module's EXPERIMENT on the cluster, which its TARGET goes on to describe."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/compose.yaml").write_text(CLUSTER + request.module.TARGET)
    (tmp_path / "shop/workload.py").write_text("workload = print\n")
    (tmp_path / "exp.yaml").write_text(request.module.EXPERIMENT)
    return tmp_path
