"""Claims about consistency in a plan: what they choose is there, has enough in it, and is printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.errors import SpecError
from chaoskit.lint import load_both
from chaoskit.plan import Plan, make_plan
from chaoskit.plan_text import describe

TARGET = """\
  workloads:
    keys: {file: workload.py, classes: {write: write, read: read, peek: {kind: read, weight: 0}}}
    blind: {file: workload.py, classes: {write: write}}
"""
EXPERIMENT = """\
apiVersion: chaoskit/v1
kind: Experiment
question: Who goes on?
target: shop
traffic: {workload: keys, arrivals: {poisson: 600/s}, timeout: 1s}
timeline:
  - {at: 5s, for: 12s, id: cut, fault: partition, isolate: n1}
claims:
  - {id: fits, consistency: linearizable, model: register, of: read, at: isolated, during: cut}
expect: {default: {fits: refuted}}
"""


def plan(*overrides: str) -> Plan:
    loaded, target = load_both(Path("exp.yaml"), overrides=overrides, environ={})
    return make_plan(loaded, target, abilities=frozenset({"kill", "pause", "restart", "links:per-pair"}))


def test_how_a_claim_reads(files: Path) -> None:
    text = describe(plan())
    assert "linearizable register of read at isolated, during cut (expected: default refuted)" in " ".join(text.split())
    whole = describe(plan("claims=[{id: fits, model: unique-ids}]", "expect={}"))
    assert "model unique-ids, over the whole history (expected to hold)" in whole


def test_a_plan_keeps_it(files: Path) -> None:
    made = plan()
    assert Plan.model_validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ("of: read", "of: reed", "9:64", "has no operation class 'reed'; did you mean 'read'?"),
        ("of: read", "of: [read, reed]", "9:71", "has no operation class 'reed'"),
        ("of: read", "of: peek", "9:64", "no operations of class 'peek' are sent"),
        ("of: read", "of: write", "9:64", "'write' is a class of writes"),
        ("at: isolated", "at: islated", "9:74", "there is no side 'islated'; did you mean 'isolated'?"),
        (", during: cut", "", "9:74", "let the claim's window be during: cut"),
        ("workload: keys", "workload: blind", "9:64", "has no operation class 'read'"),
    ],
)
def test_a_mistake_is_shown_where_it_is(files: Path, old: str, new: str, where: str, what: str) -> None:
    (files / "exp.yaml").write_text(EXPERIMENT.replace(old, new, 1))
    with pytest.raises(SpecError) as caught:
        plan()
    texts = [str(problem) for problem in caught.value.problems]
    assert any(one.startswith(f"exp.yaml:{where}: ") and what in one for one in texts), texts


def test_a_window_needs_reads_to_choose_from(files: Path) -> None:
    with pytest.raises(SpecError, match="the workload blind sends no reads to choose from"):
        plan("traffic.workload=blind", "claims=[{id: fits, model: queue, during: cut}]")
    plan("traffic.workload=blind", "claims=[{id: fits, model: queue}]")


def test_what_could_only_be_inconclusive_is_said(files: Path) -> None:
    assert not [text for text in plan().warnings if "claim fits" in text]
    few = plan("traffic.arrivals={poisson: 50/s}").warnings
    assert [text for text in few if "claim fits: about" in text and "of read fall into during cut" in text]
