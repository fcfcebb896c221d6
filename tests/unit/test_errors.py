from __future__ import annotations

import pytest

from chaoskit import errors
from chaoskit.errors import ChaosKitError, ExitCode, Problem, SpecError, worst


def test_the_worst_code_wins() -> None:
    order = [5, 70, 130, 1, 4, 6, 3, 0]
    for i, code in enumerate(order):
        assert worst(ExitCode(c) for c in order[i:]) == code
    assert worst([]) == ExitCode.OK
    assert worst([ExitCode.TERMINATED, ExitCode.REFUTED]) == 143
    assert worst([ExitCode.USAGE, ExitCode.UNHEALED]) == 2


def test_every_error_has_a_code_and_says_the_next_step() -> None:
    kinds = [getattr(errors, name) for name in errors.__all__]
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, ChaosKitError):
            assert isinstance(kind.exit_code, ExitCode)
            assert kind.__doc__
    assert str(ChaosKitError("it broke", hint="mend it")) == "it broke\n  next: mend it"


def test_problems_are_sorted_by_place() -> None:
    error = SpecError([Problem("b.yaml", 1, 1, "later"), Problem("a.yaml", 9, 2, "first", "because", "do this")])
    assert str(error).splitlines() == ["a.yaml:9:2: first (because); do this", "b.yaml:1:1: later"]
    assert str(Problem("a.yaml", 0, 0, "empty")) == "a.yaml: empty"


def test_a_problem_is_data() -> None:
    with pytest.raises(AttributeError):
        Problem("a", 1, 1, "x").line = 2  # type: ignore[misc]
