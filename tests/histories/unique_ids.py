"""Generators of identifiers: right ones, and ones that repeat themselves or answer nothing."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from chaoskit.checks.models.unique_ids import UniqueIds
from histories.comparing import Subject
from histories.mutation import Mutant
from histories.simulate import Call, simulate

FILE = "chaoskit/checks/models/unique_ids.py"


def history(generator: random.Random) -> list[Call]:
    given = [0, 0]
    bug = generator.choice((None, "again", "nil"))
    keyed = generator.random() < 0.5

    def ask(_: int, generator: random.Random) -> Call:
        return Call(0, "generate", key=generator.choice(("a", "b")) if keyed else None)

    def system(call: Call, generator: random.Random) -> Any:
        strikes = bug is not None and generator.random() < 0.3
        if strikes and bug == "nil":
            return None
        given[call.key == "b"] += 0 if strikes else 1
        return given[call.key == "b"]

    return simulate(ask, system, count=8, processes=3, random=generator, info=0.2, is_read=lambda _: False)


def unique(calls: list[Call]) -> bool:
    answers = Counter((call.key, call.result) for call in calls if call.outcome == "ok")
    return all(count == 1 and answer is not None for (_, answer), count in answers.items())


UNIQUE = Subject("unique-ids", UniqueIds, history, unique)
SUBJECTS = [UNIQUE]


def _mutant(rule: str, old: str, new: str) -> Mutant:
    return Mutant("histories.unique_ids:UNIQUE", rule, FILE, old, new)


MUTANTS = [
    _mutant("no identifier twice", "if len(again):", "if False:"),
    _mutant("keys are apart", "(key[order][1:] == key[order][:-1]) & ", ""),
    _mutant("an answer is an identifier", "if len(nothing):", "if False:"),
    _mutant("what nobody saw is no identifier", "np.flatnonzero(operations.ok)", "np.flatnonzero(~operations.failed)"),
]
