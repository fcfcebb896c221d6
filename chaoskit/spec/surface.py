"""The experiment file as tables: every key, its shape, its description. `load.py` reads by them, `schema.py` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from chaoskit import registry
from chaoskit.errors import Problem
from chaoskit.spec.claim_shapes import CLAIM, ConditionShape
from chaoskit.spec.containers import Key, ListOf, Map, Named, OneOf
from chaoskit.spec.model import Verdict
from chaoskit.spec.nodes import Node
from chaoskit.spec.parameters import fault_schema, read_parameters
from chaoskit.spec.shapes import (
    BAD,
    DURATION,
    FLAG,
    NAME,
    RATE,
    TEXT,
    Choice,
    Constant,
    Raw,
    Registered,
    Text,
    Whole,
    good,
)
from chaoskit.units import parse_share

__all__ = ["ENTRY", "EXPERIMENT", "EntryShape", "WeightShape", "default_id"]

SELECTOR = Text("a selector", example="api -> db", longest=1000)


class WeightShape:
    """A share of the mix: a number or a percentage."""

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """The weight, not negative."""
        value = node.scalar if node.kind == "scalar" else None
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1e6:
            return float(value)
        if isinstance(value, str) and value.strip().endswith("%"):
            try:
                return parse_share(value)
            except ValueError:
                pass
        problems.append(
            node.place.problem(f"{label} is not a weight", "a number from 0 or a percentage is expected", "such as 80%")
        )
        return BAD

    def schema(self) -> dict[str, Any]:
        """A number or a percentage."""
        text = {"type": "string", "pattern": r"^\s*[0-9]+(?:\.[0-9]+)?\s*%\s*$"}
        return {"anyOf": [{"type": "number", "minimum": 0, "maximum": 1e6}, text]}


_ENTRY_KEYS: Mapping[str, Key] = {
    "at": Key(DURATION, "When it begins, from t=0 (the end of the warm-up).", required=True),
    "for": Key(DURATION.above_zero(), "How long it lasts. Not for faults that are an instant (restart)."),
    "id": Key(NAME, "Its name in claims and in the report. Default: the fault's name."),
    "fault": Key(Registered("fault", "a fault"), "What goes wrong.", required=True),
    "on": Key(
        ListOf(SELECTOR, lone=True, least=1),
        "Links (api -> db) or nodes (db) that it hurts; several in a list. Not for faults such as partition.",
    ),
}


class EntryShape:
    """One entry of the timeline: its own keys, and the parameters of its fault beside them."""

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """The values by key, `parameters` among them; `id` is left out when it was not written."""
        if node.kind != "map":
            return Map(_ENTRY_KEYS).read(node, label, problems)
        own = _only(node, lambda key: key in _ENTRY_KEYS)
        found: dict[str, Any] = Map(_ENTRY_KEYS).read(own, label, problems)
        if not good(found["fault"]):
            return found  # which keys are parameters is not known
        fault = registry.load("fault", found["fault"])
        rest = _only(node, lambda key: key not in _ENTRY_KEYS)
        found["parameters"] = read_parameters(fault, node, rest, tuple(_ENTRY_KEYS), label, problems)
        self._places(fault, node, found, label, problems)
        if fault.instant and not fault.may_last and "for" in found:
            key = next(key for key, _ in node.entries if key.text == "for")
            problems.append(
                key.place.problem(f"{label}: {fault.name} is an instant", "it has no duration", "remove for")
            )
        if not fault.instant and "for" not in found:
            hint = "add for: 8s, say"
            problems.append(node.place.problem(f"{label}.for is missing", f"how long {fault.name} lasts", hint))
            found["for"] = BAD
        return found

    def _places(self, fault: Any, node: Node, found: dict[str, Any], label: str, problems: list[Problem]) -> None:
        """`on` is written for faults that are on links or nodes, and for no others."""
        if fault.targets == "nothing" and "on" in found:
            key = next(key for key, _ in node.entries if key.text == "on")
            why = f"{fault.name} says by its parameters where it is"
            problems.append(key.place.problem(f"{label}.on cannot go with {fault.name}", why, "remove on"))
            found["on"] = BAD
        elif fault.targets != "nothing" and "on" not in found:
            example = "api -> db" if fault.targets == "links" else "db"
            why = f"which {fault.targets} {fault.name} hurts"
            problems.append(node.place.problem(f"{label}.on is missing", why, f"add on: {example}, say"))
            found["on"] = BAD

    def schema(self) -> dict[str, Any]:
        """if fault = X then its parameters; `propertyNames` refuses what no fault has."""
        base = Map(_ENTRY_KEYS).schema()
        branches: list[dict[str, Any]] = []
        for name in registry.names("fault"):
            fault = registry.load("fault", name)
            parameters, rules, definition = fault_schema(fault)
            properties = dict.fromkeys(_ENTRY_KEYS, True) | parameters
            required = [*rules.pop("required", ()), *([] if fault.instant else ["for"])]
            required += [] if fault.targets == "nothing" else ["on"]
            properties |= {"for": False} if fault.instant and not fault.may_last else {}
            properties |= {"on": False} if fault.targets == "nothing" else {}
            then = {"description": definition, "properties": properties, "required": required}
            branches.append(
                {
                    "if": {"properties": {"fault": {"const": name}}, "required": ["fault"]},
                    "then": {**then, **rules, "additionalProperties": False},
                }
            )
        return {key: value for key, value in base.items() if key != "additionalProperties"} | {"allOf": branches}


def _only(node: Node, keep: Any) -> Node:
    entries = [(key, value) for key, value in node.entries if keep(key.text)]
    return Node("map", node.place, entries=entries)


ENTRY = EntryShape()

_RANDOM = Key(FLAG, "Random gaps (as many users make them) or even ones. Default: true.")
_AT = Key(DURATION, "When it begins, from t=0.", required=True)
_ARRIVALS = OneOf(
    {
        "poisson": Key(RATE, "Random gaps at this rate."),
        "constant": Key(RATE, "Even gaps at this rate."),
        "ramp": Key(
            Map(
                {
                    "from": Key(RATE, "Rate at the beginning.", required=True),
                    "to": Key(RATE, "Rate at the end; stays.", required=True),
                    "at": _AT,
                    "over": Key(DURATION.above_zero(), "How long the rise takes.", required=True),
                    "random": _RANDOM,
                    "id": Key(NAME, "Its name in claims. Default: ramp."),
                }
            ),
            "The rate rises (or falls) evenly, then stays.",
        ),
        "spike": Key(
            Map(
                {
                    "base": Key(RATE, "Rate outside the spike.", required=True),
                    "peak": Key(RATE, "Rate in the spike.", required=True),
                    "at": _AT,
                    "for": Key(DURATION.above_zero(), "How long the spike lasts.", required=True),
                    "random": _RANDOM,
                    "id": Key(NAME, "Its name in claims. Default: spike."),
                }
            ),
            "A second rate for a while.",
        ),
    }
)
_TRAFFIC = Map(
    {
        "workload": Key(NAME, "A workload that the target declares. Default: the only one."),
        "arrivals": Key(_ARRIVALS, "When operations are due; open loop. Default: {poisson: 50/s}."),
        "timeout": Key(
            DURATION.above_zero(), "How long a client waits for one operation, from its due time. Default: 2s."
        ),
        "mix": Key(
            Named(WeightShape(), "operation classes", least=1),
            "Weight per operation class; classes left out are not sent. Default: the workload's weights.",
        ),
        "workers": Key(Whole(1, 64), "Processes that send. Default: 1."),
    }
)
_STEADY = ListOf(ConditionShape(live=True, sustained=False), lone=True)
_ABORT = ListOf(ConditionShape(live=True), lone=True)
_VERDICT = Choice(get_args(Verdict), "a verdict")
_ENV = Named(Named(Raw(), "variables", matching=r"[A-Za-z_][A-Za-z0-9_]*"), "services")

EXPERIMENT = Map(
    {
        "apiVersion": Key(
            Constant("chaoskit/v1", "this version reads chaoskit/v1"), "Version of this format.", required=True
        ),
        "kind": Key(Constant("Experiment"), "What this file is.", required=True),
        "question": Key(TEXT, "The question that this experiment answers, one sentence.", required=True),
        "target": Key(TEXT, "Folder of the target, or its Compose file, relative to this file.", required=True),
        "name": Key(NAME, "Names the runs. Default: the file's name."),
        "runtime": Key(Choice(("process",), "a runtime"), "Where the stack runs. Default: process."),
        "variants": Key(
            Named(
                Map({"env": Key(_ENV, "Environment variables per service that differ from the Compose file.")}),
                "variants",
                least=1,
            ),
            "The design decisions to compare. Default: one, called default, that changes nothing.",
        ),
        "traffic": Key(_TRAFFIC, "Who uses the system."),
        "steady_state": Key(_STEADY, 'Must hold before any fault. Default: ["yield >= 99%"].'),
        "abort": Key(_ABORT, "Ends a cell early: heal, verdict inconclusive. Default: none."),
        "timeline": Key(ListOf(ENTRY, partial=True), "The faults. Default: none."),
        "claims": Key(ListOf(CLAIM, least=1, partial=True), "What shall hold.", required=True),
        "expect": Key(
            Named(Named(_VERDICT, "claims"), "variants"),
            "Verdicts that this experiment is known to give; what is not listed is expected to hold.",
        ),
        "trials": Key(Whole(1, 1000), "How often each variant is run. Default: 1."),
        "seed": Key(Whole(0, 2**63 - 1), "From which all randomness comes. Default: 1."),
        "fresh": Key(
            Choice(("variant", "trial"), "what the stack starts anew for"),
            "Start the stack once per variant or per trial. Default: trial where a fault kills a node.",
        ),
        "duration": Key(DURATION.above_zero(), "Load from t=0. Default: the end of the last fault and a tail."),
        "warm_up": Key(DURATION, "Load before t=0 that counts for nothing. Default: 2s."),
        "settle": Key(DURATION, "Time to converge before the final reads. Default: 2s."),
    }
)


def default_id(fault: str, taken: Any) -> str:
    """The fault's name, with -2, -3 … when it is taken."""
    number = 1
    while (name := fault if number == 1 else f"{fault}-{number}") in taken:
        number += 1
    return name
