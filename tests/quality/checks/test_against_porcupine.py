"""Registers beside Porcupine, on histories too long for brute force: one verdict, and witnesses that stand alone."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from histories.register import ASKS, CAS, REGISTER, System
from histories.simulate import Call, operations, simulate

from chaoskit.checks.result import Options
from chaoskit.registry import load

ROOT = Path(__file__).resolve().parents[3]
NEVER = 1 << 62  # as benchmarks/checks/porcupine knows it
COUNT = 400


@pytest.fixture(scope="module")
def rival() -> ModuleType:
    spec = importlib.util.spec_from_file_location("chaoskit_rival", ROOT / "benchmarks" / "checks" / "rival.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    try:
        module.built()
    except RuntimeError as error:
        pytest.skip(str(error))
    return module


class Seldom(System):
    """A system whose bug strikes in a few operations of many."""

    def __call__(self, call: Call, random: random.Random) -> object:
        bug = self.bug
        self.bug = bug if random.random() < 0.05 else "none"
        try:
            return super().__call__(call, random)
        finally:
            self.bug = bug


def rows(calls: list[Call], initial: object) -> np.ndarray:
    """What `benchmarks/checks/porcupine/main.go` reads; the initial value is -1."""

    def number(value: object) -> object:
        return -1 if value is None or value == initial else value

    found = []
    for call in calls:
        if call.outcome == "fail" or (call.outcome == "info" and call.f == "read"):
            continue
        value = call.result if call.f == "read" else call.value
        old, new = value if call.f == "cas" else (value, None)
        end = NEVER if call.outcome == "info" else 2 * call.completed + 1
        what = ("read", "write", "cas").index(call.f)
        found.append((call.process, what, call.key or 0, number(old), number(new), 2 * call.invoked, end))
    return np.array(found, dtype="<i8")


@pytest.mark.parametrize("subject", [REGISTER, CAS], ids=lambda subject: subject.name)
def test_the_verdict_is_that_of_porcupine(subject, rival: ModuleType, tmp_path: Path) -> None:
    seed = random.SystemRandom().getrandbits(32)
    chance = random.Random(seed)
    model, initial = load("model", subject.name), subject.options.initial
    refuted = 0
    for number in range(COUNT):
        system = Seldom(chance.choice(System.BUGS), initial)
        count, processes = chance.randint(20, 120), chance.randint(3, 6)
        ask = chance.choice(ASKS[subject.name])
        calls = simulate(ask, system, count=count, processes=processes, random=chance, info=0.04)
        there = operations(calls)
        result = model.check(there, Options(initial=initial))
        rows(calls, initial).tofile(tmp_path / "history")
        answer = rival.asked(tmp_path / "history", 60.0)
        assert (answer.verdict, result.verdict) in (("Ok", "held"), ("Illegal", "refuted")), (seed, number, result)
        refuted += result.verdict == "refuted"
        for anomaly in result.anomalies:
            alone = model.check(there.where(list(anomaly.witness)), Options(initial=initial))
            assert anomaly.left_out or anomaly.kind in {one.kind for one in alone.anomalies}, (seed, number, anomaly)
    assert 0.05 * COUNT < refuted < 0.95 * COUNT, f"too few of one kind to mean anything: {refuted} of {COUNT}"
