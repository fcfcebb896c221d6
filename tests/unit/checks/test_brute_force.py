"""Every model beside brute force, on as many small histories as the gate has time for."""

from __future__ import annotations

import pytest
from histories.catalogue import subjects
from histories.comparing import compare


@pytest.mark.parametrize("subject", subjects(), ids=lambda subject: subject.name)
def test_no_disagreement_with_brute_force(subject) -> None:
    print(compare(subject, subject.gate, 1))
