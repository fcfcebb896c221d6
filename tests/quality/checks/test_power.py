"""Bugs planted in small legal histories of every model: each can strike, is found somewhere, and crashes nothing."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pytest
from histories.catalogue import subjects
from histories.comparing import Subject
from histories.simulate import operations

from chaoskit.checks.power import power

SUBJECTS = [one for one in subjects() if one.model().alterations]


@dataclass(frozen=True)
class Whole:
    """A model that is not asked key by key."""

    model: Any
    per_key: bool = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda one: one.name)
def test_every_bug_can_strike_and_be_found(subject: Subject) -> None:
    generator, model = random.Random(1), subject.model()
    struck, found = dict.fromkeys((one.kind for one in model.alterations), 0), dict[str, int]()
    held = 0
    for seed in range(400):
        calls = subject.history(generator)
        of = operations(calls)
        if model.check(of, subject.options).verdict != "held":
            continue
        held += 1
        here = power(model, of, subject.options, random.Random(seed), tries=3)
        assert not here.notes, here.notes
        for one in here.strikes:
            struck[one.kind] += one.struck
            found[one.kind] = found.get(one.kind, 0) + one.found
        if getattr(model, "per_key", False):
            # What is judged key by key is what is judged as a whole.
            assert power(Whole(model), of, subject.options, random.Random(seed), tries=3) == here
    assert held >= 80
    assert min(struck.values()) > 0, struck
    assert min(found.values()) > 0, found
