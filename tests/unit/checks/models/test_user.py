"""Models of one's own: what they may be, what they are asked, and whose fault it is when they fail."""

from __future__ import annotations

import random
from typing import Any

import pytest
from histories.simulate import Call, operations

from chaoskit.checks.models.user import wrap
from chaoskit.checks.power import power
from chaoskit.checks.result import Options, Result
from chaoskit.errors import CheckerError, UsageError
from chaoskit.history.operations import Operations


class Counter:
    """A number that is added to and read.

    Adds may come in any order.
    """

    initial = 0
    functions = frozenset({"add", "read"})

    def step(self, state: int, op: Any) -> int | None:
        if op.f == "add":
            return state + int(op.value)
        return state if op.result in (None, state) else None


def history(*rows: tuple[Any, ...]) -> Operations:
    """(f, value, result, invoked, completed[, outcome[, key]])"""
    calls = []
    for process, (f, value, result, invoked, completed, *more) in enumerate(rows):
        outcome, key = (*more, *("ok", None)[len(more) :])
        calls.append(Call(process, f, value, key, result, outcome=outcome, invoked=invoked, completed=completed))
    return operations(calls)


def check(own: Any, *rows: tuple[Any, ...], **options: Any) -> Result:
    return wrap(own).check(history(*rows), Options(**options))


def test_a_class_with_a_step_is_a_model() -> None:
    model = wrap(Counter)
    assert (model.name, model.functions) == ("Counter", {"add", "read"})
    assert model.summary == "A number that is added to and read."
    adds = (("add", 1, None, 1, 9), ("add", 2, None, 2, 8))
    assert check(Counter, *adds, ("read", None, 2, 3, 4), ("read", None, 3, 10, 11)).verdict == "held"
    found = check(Counter, *adds, ("read", None, 2, 3, 4), ("read", None, 1, 5, 6))
    assert (found.verdict, found.exact) == ("refuted", True)
    assert check(Counter(), *adds, ("read", None, 7, 10, 11), initial=4).verdict == "held"


def test_an_answer_that_nothing_explains_and_answers_that_contradict_each_other() -> None:
    found = check(Counter, ("add", 1, None, 1, 2), ("read", None, 5, 3, 4))
    assert [(one.kind, one.witness) for one in found.anomalies] == [("thin-air", (1,))]
    found = check(Counter, ("add", 1, None, 1, 2), ("add", 2, None, 3, 4), ("read", None, 1, 5, 6))
    assert [one.kind for one in found.anomalies] == ["not-linearizable"]
    assert set(found.anomalies[0].witness) == {0, 1, 2}
    assert "cannot all be right" in found.anomalies[0].sentence


def test_what_failed_did_not_happen_and_unknown_outcomes_may_have() -> None:
    assert check(Counter, ("add", 1, None, 1, 2, "fail"), ("read", None, 0, 3, 4)).verdict == "held"
    assert check(Counter, ("add", 1, None, 1, 2, "fail"), ("read", None, 1, 3, 4)).verdict == "refuted"
    for answer in (0, 1):
        assert check(Counter, ("add", 1, None, 1, 2, "info"), ("read", None, answer, 3, 4)).verdict == "held"


def test_keys_share_nothing_unless_the_model_says_how_to_partition() -> None:
    rows = (("add", 1, None, 1, 2, "ok", "x"), ("read", None, 1, 3, 4, "ok", "x"), ("read", None, 0, 5, 6, "ok", "y"))

    class Together(Counter):
        def partition(self, op: Any) -> None:
            return None

    assert check(Counter, *rows).verdict == "held"
    assert check(Together, *rows).verdict == "refuted"


def test_step_runs_once_for_what_it_cannot_tell_apart() -> None:
    asked = []

    class Counting(Counter):
        def step(self, state: int, op: Any) -> int | None:
            asked.append((state, op.f, op.value, op.result))
            return super().step(state, op)

    rows = [("add", 0, None, 2 * at, 2 * at + 1) for at in range(200)]
    rows += [("read", None, 0, 500 + 2 * at, 501 + 2 * at) for at in range(200)]
    assert check(Counting, *rows).verdict == "held"
    assert len(asked) == 2


def test_models_may_ask_who_it_was() -> None:
    class Own:
        """Whoever added last reads."""

        initial = -1

        def step(self, state: int, op: Any) -> int | None:
            if op.f == "add":
                return int(op.process)
            return state if state == op.process - 1 else None

    rows = (("add", 1, None, 1, 2), ("read", None, None, 3, 4), ("add", 1, None, 5, 6), ("read", None, None, 7, 8))
    assert check(Own, *rows).verdict == "held"
    assert check(Own, *rows[:2], ("read", None, None, 5, 6)).verdict == "refuted"


def test_one_and_true_are_two_states() -> None:
    class Exact:
        initial = 0

        def step(self, state: Any, op: Any) -> Any:
            if op.f == "write":
                return op.value
            return state if state is op.result or (type(state) is type(op.result) and state == op.result) else None

    rows = (("write", 1, None, 1, 2), ("write", True, None, 3, 4))
    assert check(Exact, *rows, ("read", None, True, 5, 6)).verdict == "held"
    assert check(Exact, *rows, ("read", None, 1, 5, 6)).verdict == "refuted"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"initial": [], "step": lambda self, state, op: state}, "`initial` .* cannot be hashed"),
        ({"step": lambda self, state, op: [1]}, "returned for operation 0 .* cannot be hashed"),
        ({"step": lambda self, state: state}, "cannot be called with 2 arguments"),
        ({"step": lambda self, state, op: 1, "partition": lambda self: 1}, "cannot be called with 1 arguments"),
        ({"step": lambda self, state, op: 1, "functions": "read"}, "no set of names"),
        ({"step": lambda self, state, op: 1, "__init__": lambda self, x: None}, "cannot be made"),
    ],
)
def test_what_is_wrong_with_a_model_is_said(body: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check(type("Own", (), body), ("read", None, 1, 1, 2))


def test_an_error_in_a_step_names_operation_state_and_line() -> None:
    class Broken:
        initial = 7

        def step(self, state: Any, op: Any) -> Any:
            return state[op.value]

    with pytest.raises(CheckerError, match=r"operation 0 .* after the state 7: TypeError.*test_user\.py:\d+"):
        check(Broken, ("read", None, 1, 1, 2))

    class Unsure(Counter):
        def partition(self, op: Any) -> Any:
            return op.value["x"]

    with pytest.raises(CheckerError, match=r"`partition` of the model .*Unsure failed for operation 0"):
        check(Unsure, ("read", None, 1, 1, 2))


def test_states_without_end_are_inconclusive() -> None:
    class Endless:
        initial = ()

        def step(self, state: Any, op: Any) -> Any:
            return (*state, op.value) if op.f == "add" else None if op.result else state

    rows = [("add", at, None, at, 100 + at) for at in range(40)]
    found = check(Endless, *rows, ("read", None, 1, 200, 201), budget=0.3)
    assert found.verdict == "inconclusive"
    assert "budget of 0.3 s" in found.reasons[0]


def test_planted_bugs_are_found() -> None:
    rows: list[tuple[Any, ...]] = []
    for number in range(10):
        rows += [
            ("add", 1, None, 4 * number, 4 * number + 1),
            ("read", None, number + 1, 4 * number + 2, 4 * number + 3),
        ]
    found = power(wrap(Counter), history(*rows), Options(), random.Random(1), tries=10)
    assert [(one.kind, one.struck, one.share) for one in found.strikes] == [("other-answer", 10, 1.0)]
