"""What traffic is sent to: who can be talked to."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.errors import SpecError
from chaoskit.lint import load_both

COMPOSE = """\
services:
  db: {image: postgres}
  api: {image: api, depends_on: [db]}
x-chaoskit:
  entry: ENTRY
  process:
    db: {server: postgres, port: 5432}
    api: {command: [app], port: 8000, protocol: PROTOCOL}
  workloads: {use: {file: workload.py, classes: {write: write, read: read}}}
"""
EXPERIMENT = """\
apiVersion: chaoskit/v1
kind: Experiment
question: Does it answer?
target: shop
traffic: {arrivals: {poisson: 20/s}}
claims: [{id: answers, that: yield >= 99%}]
"""


@pytest.mark.parametrize(
    ("entry", "protocol", "who"),
    [
        ("api", "http", ""),
        ("api", "tcp", ""),  # nobody says that it is not HTTP
        ("api", "https", "api, which speaks https"),
        ("api", "resp+tls", "api, which speaks resp+tls"),
        ("db", "http", "db, which speaks postgres"),
        ("[db, api]", "http", "db, which speaks postgres"),
    ],
)
def test_clients_must_be_able_to_talk_to_the_entry(tmp_path: Path, entry: str, protocol: str, who: str) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/compose.yaml").write_text(COMPOSE.replace("ENTRY", entry).replace("PROTOCOL", protocol))
    (tmp_path / "shop/workload.py").write_text("workload = print\n")
    (tmp_path / "exp.yaml").write_text(EXPERIMENT)
    if not who:
        load_both(tmp_path / "exp.yaml", environ={})
        return
    with pytest.raises(SpecError) as caught:
        load_both(tmp_path / "exp.yaml", environ={})
    (problem,) = caught.value.problems
    assert (problem.line, problem.what) == (5, f"clients cannot talk to {who}")
    assert problem.why == "traffic is sent as plain HTTP" and "x-chaoskit.entry" in (problem.hint or "")
