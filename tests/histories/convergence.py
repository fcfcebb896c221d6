"""Replicas that are read in the end: some lose what they acknowledged, some never agree."""

from __future__ import annotations

import random as randomness
from typing import Any

import numpy as np

from chaoskit.checks.result import Options, Result
from chaoskit.history.operations import Operations
from histories.comparing import Subject
from histories.mutation import Mutant
from histories.simulate import FAILED, Call, simulate


def history(random: randomness.Random) -> list[Call]:
    """Writes to two replicas, each key once, or elements of sets; then every node is asked about every key."""
    sets = random.random() < 0.5
    bug = random.choice(["none", "none", "drops", "forgets", "zombie", "invents"])
    replicas: list[dict[Any, Any]] = [{}, {}]

    def ask(number: int, random: randomness.Random) -> Call:
        if sets:
            return Call(0, random.choice(["add", "append"]), number, key=1)
        return Call(0, "write", number + 100, key=number % 3 if random.random() < 0.2 else number)

    def system(call: Call, random: randomness.Random) -> Any:
        strikes = random.random() < 0.3
        targets = replicas[:1] if strikes and bug == "drops" else replicas
        for replica in [] if strikes and bug == "forgets" else targets:
            if sets:
                replica[call.key] = (*replica.get(call.key, ()), call.value)
            else:
                replica[call.key] = call.value
        return FAILED if strikes and bug == "zombie" else None

    calls = simulate(ask, system, count=random.randint(4, 6), processes=3, random=random, info=0.35, fails=0.1)
    clock = max((call.completed for call in calls), default=0)
    clock = max(clock, max((call.invoked for call in calls), default=0)) + 1
    keys = sorted({call.key for call in calls})[:2]
    for node, replica in enumerate(replicas):
        for key in keys:
            held = replica.get(key)
            if bug == "invents" and random.random() < 0.3:
                held = (*(held or ()), 77) if sets else 77
            clock += 2
            calls.append(Call(900 + node, "read", key=key, result=held, invoked=clock, completed=clock + 1, final=True))
    asked = set(keys)
    return [call for call in calls if call.key in asked]


def legal(calls: list[Call]) -> bool:
    """Sets of what each answer holds, compared one by one."""
    reads = [one for one in calls if one.f == "read"]
    for key in {one.key for one in calls}:
        writes = [one for one in calls if one.key == key and one.f != "read"]
        mine = [one.result for one in reads if one.key == key]
        if any(one != mine[0] for one in mine):
            return False
        happened = [one for one in writes if one.outcome != "fail"]
        for answer in mine:
            held = set(answer or ()) if not isinstance(answer, int) else {answer}
            if not held <= {one.value for one in happened}:
                return False
            alone = len(happened) == 1 or any(one.f != "write" for one in happened)
            if alone and any(one.outcome == "ok" and one.value not in held for one in happened):
                return False
    return True


class _Told:
    """The model, with each final reader as a node of its own, as simulated calls know of none."""

    def __init__(self) -> None:
        from chaoskit.registry import load

        self.model = load("model", "convergence")

    def __getattr__(self, name: str) -> Any:  # what else a model says of itself
        return getattr(self.model, name)

    def check(self, operations: Operations, options: Options) -> Result:
        node = np.where(operations.process >= 900, operations.process - 900, -1).astype(np.int16)
        found: Result = self.model.check(operations.altered(node=node, nodes=("n1", "n2")), options)
        return found


CONVERGENCE = Subject("convergence", _Told, history, legal)  # type: ignore[arg-type,return-value]
SUBJECTS = [CONVERGENCE]
_MODEL, _LOSS = "chaoskit/checks/models/convergence.py", "chaoskit/checks/loss.py"
_NAME = "histories.convergence:CONVERGENCE"
MUTANTS = [
    Mutant(_NAME, "nodes agree", _MODEL, "_lost(finals), _divergence(finals)]", "_lost(finals)]"),
    Mutant(
        _NAME,
        "what was acknowledged is there",
        _MODEL,
        "_resurrected(finals), _lost(finals), ",
        "_resurrected(finals), ",
    ),
    Mutant(
        _NAME,
        "failures stay failures",
        _MODEL,
        "_thin_air(finals, options), _resurrected(finals), ",
        "_thin_air(finals, options), ",
    ),
    Mutant(_NAME, "what is there was written", _MODEL, "if identity(one) not in asked.get(key, ())]", "if key < 0]"),
    Mutant(_NAME, "what was overwritten is not lost", _LOSS, "names[count > 1]", "names[count > 9]"),
    Mutant(
        _NAME, "unknown outcomes are not lost", _LOSS, "self.judged[self.operations.ok[self.judged]]", "self.judged"
    ),
]
