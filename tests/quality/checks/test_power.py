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
    kinds = [one.kind for one in model.alterations]
    struck, found, legal = dict.fromkeys(kinds, 0), dict.fromkeys(kinds, 0), dict.fromkeys(kinds, 0)
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
            found[one.kind] += one.found
            legal[one.kind] += one.legal
        if getattr(model, "per_key", False):
            # What is judged key by key is what is judged as a whole, where one key may leave it open for all.
            whole = power(Whole(model), of, subject.options, random.Random(seed), tries=3)
            assert [(one.kind, one.struck, one.found) for one in whole.strikes] == [
                (one.kind, one.struck, one.found) for one in here.strikes
            ]
            assert all(one.legal <= by_key.legal for one, by_key in zip(whole.strikes, here.strikes, strict=True))
    assert held >= 80
    assert min(struck.values()) > 0, struck
    # A weak level allows some bugs, and then all of them; what is asked for by default allows none.
    missed = [
        kind for kind in kinds if not found[kind] and not (legal[kind] == struck[kind] and subject.options.consistency)
    ]
    assert not missed, (missed, struck, legal)
    assert any(found.values()), found
