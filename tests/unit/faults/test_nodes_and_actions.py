"""kill and restart that lose data, stress, actions: what they compile to, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from chaoskit import registry
from chaoskit.errors import PlanError
from chaoskit.faults.model import Ground, ParameterError
from chaoskit.stack.effects import ActionEffect, NodeEffect, StressEffect
from chaoskit.stack.topology import ActionSpec, Target, Topology

TARGET = Target(
    name="shop",
    folder="/t",
    compose_file="/t",
    services=(),
    topology=Topology(nodes=(), links=()),
    entry="api",
    actions=(
        ActionSpec(name="move-leader", file="/t/actions.py", function="move", arguments=("to", "term"), timeout=3.0),
        ActionSpec(name="drain", file="/t/actions.py", function="drain", undo="refill"),
        ActionSpec(name="refill", file="/t/actions.py", function="refill"),
    ),
)


def compiled(name: str, raw: dict[str, Any], *nodes: str, duration: float | None = 5.0, target: Any = TARGET) -> Any:
    fault = registry.load("fault", name)
    stored = fault.Parameters.model_validate(raw).model_dump(mode="json", by_alias=True, exclude_none=True)
    return fault.compile("one", stored, Ground(target, (), nodes, duration=duration))


@pytest.mark.parametrize("name", ["kill", "restart"])
def test_data_is_kept_unless_it_is_to_be_wiped(name: str) -> None:
    assert [effect.wipe for effect in compiled(name, {}, "db", "cache").effects] == [False, False]
    kept, lost = compiled(name, {"data": "keep"}, "db"), compiled(name, {"data": "wipe"}, "db")
    assert isinstance(lost.effects[0], NodeEffect) and lost.effects[0].wipe and not kept.effects[0].wipe
    assert lost.sentence != kept.sentence
    with pytest.raises(ValidationError, match="data"):
        compiled(name, {"data": "lose"}, "db")


@pytest.mark.parametrize(("written", "cpu"), [(1, 1.0), (0.5, 0.5), ("50%", 0.5), ("150 %", 1.5), (2.5, 2.5)])
def test_stress_in_processors_or_a_share_of_one(written: Any, cpu: float) -> None:
    found = compiled("stress", {"cpu": written}, "db", "cache")
    assert [(e.node, e.cpu, e.id) for e in found.effects] == [("db", cpu, "one/1"), ("cache", cpu, "one/2")]
    assert all(isinstance(effect, StressEffect) for effect in found.effects)
    assert [(e.kind, e.node, e.expected) for e in found.evidence] == [("stress", "db", cpu), ("stress", "cache", cpu)]


@pytest.mark.parametrize("wrong", [0, -1, "0%", "1", "half", "1e3%", True, None, 5000, "nan%", float("nan"), [1]])
def test_stress_that_is_none(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        compiled("stress", {"cpu": wrong}, "db")


def test_stress_of_nothing_names_what_is_missing() -> None:
    with pytest.raises(ValidationError, match="cpu is missing"):
        compiled("stress", {}, "db")


def test_memory_is_an_ability_that_processes_do_not_have() -> None:
    fault = registry.load("fault", "stress")
    stored = fault.Parameters.model_validate({"memory": "64MiB"}).model_dump(exclude_none=True)
    assert fault.needs(stored) == {"stress:memory"}
    assert fault.needs({"cpu": 1.0}) == {"stress:cpu"}
    assert fault.needs({"cpu": 1.0, "memory": 1}) == {"stress:cpu", "stress:memory"}
    abilities = registry.load("runtime", "process")().abilities()
    assert "stress:cpu" in abilities and "stress:memory" not in abilities and "actions" in abilities
    assert compiled("stress", {"memory": "64MiB"}, "db").effects == ()  # and nobody pretends


def test_an_action_is_an_instant_that_nothing_takes_back() -> None:
    found = compiled("action", {"action": "move-leader", "with": {"to": "n2", "term": 7}}, duration=None)
    (effect,) = found.effects
    assert isinstance(effect, ActionEffect)
    assert (effect.action, effect.arguments, effect.undo) == ("move-leader", {"to": "n2", "term": "7"}, None)
    assert effect.timeout == 3.0
    assert [evidence.kind for evidence in found.evidence] == ["done"]
    assert found.sentence == "move-leader (to=n2, term=7) is done to the target"
    assert compiled("action", {"action": "drain"}, duration=None).effects[0].undo is None


def test_an_action_that_lasts_is_taken_back_by_another() -> None:
    found = compiled("action", {"action": "drain"}, duration=5.0)
    assert found.effects[0].undo == "refill" and found.sentence.endswith("and taken back by refill")
    with pytest.raises(ParameterError, match="cannot be taken back after a while") as caught:
        compiled("action", {"action": "move-leader"}, duration=5.0)
    assert caught.value.path == ("for",)


@pytest.mark.parametrize(
    ("raw", "path", "message"),
    [
        ({"action": "move-leder"}, ("action",), "has no action 'move-leder'"),
        ({"action": "move-leader", "with": {"two": "n2"}}, ("with", "two"), "takes no argument 'two'"),
        ({"action": "refill", "with": {"to": "n2"}}, ("with", "to"), "it takes nothing"),
    ],
)
def test_an_action_that_the_target_does_not_declare(raw: Any, path: tuple[str, ...], message: str) -> None:
    with pytest.raises(ParameterError, match=message) as caught:
        compiled("action", raw, duration=None)
    assert caught.value.path == path and caught.value.hint


def test_a_target_without_actions_says_how_to_declare_one() -> None:
    with pytest.raises(PlanError) as caught:
        compiled("action", {"action": "x"}, duration=None, target=TARGET.model_copy(update={"actions": ()}))
    assert caught.value.hint == "declare it under x-chaoskit: actions"


@pytest.mark.parametrize(
    "raw", [{}, {"action": 3}, {"action": "drain", "with": {"a": ["b"]}}, {"action": "drain", "with": "b"}]
)
def test_an_action_that_is_not_well_formed(raw: Any) -> None:
    with pytest.raises(ValidationError):
        compiled("action", raw, duration=None)
