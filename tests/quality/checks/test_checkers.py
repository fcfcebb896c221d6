"""Every model beside brute force on 100,000 histories, and every rule removed once: the comparison must notice."""

from __future__ import annotations

import os
import random

import pytest
from histories.catalogue import mutants, subjects
from histories.comparing import compare
from histories.mutation import killed

COUNT = int(os.environ.get("CHAOSKIT_HISTORIES", "100000"))
SEED = int(os.environ.get("CHAOSKIT_HISTORIES_SEED") or random.SystemRandom().getrandbits(32))


@pytest.mark.parametrize("subject", subjects(), ids=lambda subject: subject.name)
def test_no_disagreement_with_brute_force(subject) -> None:
    print(f"{subject.name}, seed {SEED}: {compare(subject, COUNT, SEED)}")


@pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: f"{mutant.subject.partition(':')[2]}-{mutant.rule}")
def test_every_rule_is_needed(mutant) -> None:
    assert killed(mutant), f"nothing notices that the rule is gone: {mutant.rule}"
