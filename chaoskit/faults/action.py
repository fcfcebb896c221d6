"""`action`: something that the target itself declares is done to it: promote, move-leader, set-clock-offset …"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from chaoskit.faults.model import Compiled, Fault, FaultParameters, Ground, ParameterError, Where
from chaoskit.spec.suggest import did_you_mean, listed
from chaoskit.stack.effects import ActionEffect, Evidence
from chaoskit.stack.topology import ActionSpec, Target

__all__ = ["FAULT", "Action", "ActionParameters"]


def _text(value: Any) -> Any:
    """As it was written: actions take texts. Numbers need no quotes."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


class ActionParameters(FaultParameters):
    """`action` is one of the target's (x-chaoskit: actions); `with` its arguments, texts by name."""

    action: str
    arguments: dict[str, Annotated[str, BeforeValidator(_text)]] = Field(default={}, alias="with")


class Action(Fault[ActionParameters]):
    """An instant, or with `for` an action that another one takes back. Its place is its own affair."""

    name = "action"
    summary = "an action of the target is done, and with `for` taken back by the action that undoes it"
    Parameters = ActionParameters
    targets = "nothing"
    instant = True
    may_last = True
    abilities = frozenset({"actions"})

    def describe(self, parameters: ActionParameters, where: Where) -> str:
        """What is done."""
        named = ", ".join(f"{name}={value}" for name, value in parameters.arguments.items())
        return f"{parameters.action}{f' ({named})' if named else ''} is done to the target"

    def compile(self, injection: str, parameters: Mapping[str, Any], ground: Ground) -> Compiled:
        """One effect. What it did to clients only the claims can say: the evidence is that it returned."""
        values = self.stored(parameters)
        spec = _declared(values, ground.target)
        if ground.duration is not None and spec.undo is None:
            raise ParameterError(
                ("for",),
                f"{spec.name} cannot be taken back after a while: no action is declared to undo it",
                hint=f"remove `for`, or declare x-chaoskit: actions: {spec.name}: undo",
            )
        sentence = self.describe(values, Where.of(()))
        if ground.duration is not None:
            sentence += f", and taken back by {spec.undo}"
        effect = ActionEffect(
            id=f"{injection}/1",
            injection=injection,
            action=spec.name,
            arguments=values.arguments,
            undo=spec.undo if ground.duration is not None else None,
            timeout=spec.timeout,
        )
        return Compiled(effects=(effect,), evidence=(Evidence(kind="done"),), sentence=sentence)


def _declared(values: ActionParameters, target: Target) -> ActionSpec:
    """The action that the target declares under this name, with these arguments.

    Raises:
        ParameterError: there is none, or it takes others.
    """
    known = {action.name: action for action in target.actions}
    spec = known.get(values.action)
    if spec is None:
        raise ParameterError(
            ("action",),
            f"the target {target.name} has no action {values.action!r}",
            hint=did_you_mean(values.action, list(known)) if known else "declare it under x-chaoskit: actions",
        )
    for name in values.arguments:
        if name not in spec.arguments:
            takes = listed(spec.arguments) if spec.arguments else "nothing"
            raise ParameterError(
                ("with", name),
                f"{spec.name} takes no argument {name!r}: it takes {takes}",
                hint=did_you_mean(name, spec.arguments) if spec.arguments else "remove it",
            )
    return spec


FAULT = Action()
