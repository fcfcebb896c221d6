"""Claims and conditions of an experiment file as shapes: what they may say, how they are read, how editors are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from chaoskit import registry
from chaoskit.errors import Problem
from chaoskit.spec.claims import LIVE, ClaimSyntaxError, parse, pattern
from chaoskit.spec.containers import Key, ListOf, Map
from chaoskit.spec.model import Condition, Consistency
from chaoskit.spec.nodes import Node, Place
from chaoskit.spec.shapes import BAD, NAME, Registered, Text, good, text_of
from chaoskit.spec.suggest import did_you_mean

__all__ = ["CLAIM", "WINDOWS", "ConditionShape"]

WINDOWS: tuple[Literal["during", "steady", "after", "before"], ...] = ("during", "steady", "after", "before")


class ConditionShape(NamedTuple):
    """QUANTITY [of CLASS] [at SIDE] COMPARISON VALUE [for DURATION].

    `live` = judged while the run goes on; `sustained` = `for` is allowed.
    """

    live: bool
    sustained: bool = True

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """The condition."""
        text = text_of(node, label, "a condition", problems, "such as yield >= 99%")
        if text is None:
            return BAD
        try:
            found = parse(text)
        except ClaimSyntaxError as error:
            problems.append(node.at(error.offset).problem(f"{label}: {error.what}", "", error.hint))
            return BAD
        if self.live and found.quantity not in LIVE:
            why = f"{found.quantity} is known only when the run is over"
            problems.append(node.place.problem(f"{label}: {text!r} cannot be judged live", why, "make it a claim"))
            return BAD
        if found.sustain is not None and not self.sustained:
            why = "the steady state is judged over the whole baseline"
            problems.append(node.at(text.rindex("for")).problem(f"{label}: there is no 'for' here", why, "remove it"))
            return BAD
        return found

    def schema(self) -> dict[str, Any]:
        """A string that matches the grammar."""
        return {
            "type": "string",
            "pattern": pattern(self.sustained),
            "examples": ["yield of resolve >= 99%", "p99 <= 300ms"],
        }


class LevelShape:
    """The name of a level of consistency; whether a model judges it is asked where the model is known."""

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """The name."""
        text = text_of(node, label, "a level of consistency", problems, "such as linearizable")
        return BAD if text is None else text

    def schema(self) -> dict[str, Any]:
        """All levels that any model judges."""
        levels = (level for name in registry.names("model") for level in registry.load("model", name).levels)
        return {"type": "string", "enum": list(dict.fromkeys(levels))}


_CLAIM_KEYS: Mapping[str, Key] = {
    "id": Key(NAME, "Its name in the report and under expect.", required=True),
    "that": Key(ConditionShape(live=False), "What shall hold, such as: yield of resolve >= 99%."),
    "invariant": Key(
        Registered("invariant", "an invariant"),
        "What must never be seen in the whole history; the workload must declare it.",
    ),
    "consistency": Key(
        LevelShape(), "The level at which the whole history shall fit the model, such as linearizable; with model."
    ),
    "model": Key(
        Registered("model", "a model"),
        "What the operations are about, such as register. Without consistency: the strongest level that it judges.",
    ),
    "of": Key(
        ListOf(NAME, lone=True, least=1),
        "With model: the classes of reads whose answers are judged, beside all writes. Default: all of them.",
    ),
    "at": Key(
        Text("a side", example="minority", longest=200),
        "With model: only answers to clients that stood on this side of the window's partition are judged.",
    ),
    "during": Key(NAME, "From the observed start of that fault or spike to its end (less the timeout)."),
    "steady": Key(NAME, "Like during, beginning the target's failover bound later."),
    "after": Key(NAME, "From the observed heal of that fault to the end of the load."),
    "before": Key(NAME, "From t=0 to the observed start of that fault, which is the first one."),
}


class ClaimShape:
    """One claim: `that` or `model`, each with at most one window, or `invariant`."""

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """The values by key."""
        found = Map(_CLAIM_KEYS).read(node, label, problems)
        if found is BAD:
            return BAD
        keys = {key.text: key.place for key, _ in node.entries}
        kinds = [name for name in ("that", "invariant", "model") if name in keys]
        if "consistency" in keys and "model" not in keys:
            why = "a level says nothing without what is read and written"
            problems.append(keys["consistency"].problem(f"{label} has no model", why, "add model: register, say"))
            return BAD
        if len(kinds) != 1:
            what = f"both {' and '.join(kinds)}" if kinds else "neither that nor invariant nor model"
            place = keys[kinds[1]] if kinds else node.place
            problems.append(place.problem(f"{label} has {what}", "a claim is one of them"))
            return BAD
        windows = [name for name in keys if name in WINDOWS]
        for name in windows[1:]:
            problems.append(keys[name].problem(f"{label} has two windows, {windows[0]} and {name}", "", "keep one"))
        if "invariant" in keys and windows:
            why = "an invariant is checked over the whole history"
            problems.append(
                keys[windows[0]].problem(f"{label}: {windows[0]} cannot go with invariant", why, "remove it")
            )
        if "model" in keys:
            return self._consistent(found, keys, label, problems)
        for key in ("of", "at"):
            if key in keys:
                hint = f"write it into that, as: yield {key} NAME >= 99%" if "that" in keys else f"remove {key}"
                problems.append(keys[key].problem(f"{label}: {key} goes with model only", "", hint))
        that = found.get("that")
        if isinstance(that, Condition) and not windows:
            needed = {"recovery": "after", "detection": "during"}.get(that.quantity)
            if needed:
                problems.append(node.place.problem(f"{label}: {that.quantity} needs a fault", "", f"add {needed}: ID"))
        elif isinstance(that, Condition):
            self._fitting(that, windows[0], keys[windows[0]], label, problems)
        return found

    def _consistent(self, found: dict[str, Any], keys: dict[str, Place], label: str, problems: list[Problem]) -> Any:
        """What shall hold of the history as one value; the level is one that the model judges."""
        name, level = found.pop("model"), found.get("consistency", "")
        classes, side = found.pop("of", ()), found.pop("at", None)
        if not good(name, level, classes, side):
            return found | {"consistency": BAD}
        levels = registry.load("model", name).levels
        if level and level not in levels:
            hint = did_you_mean(level, levels) if levels else "remove consistency"
            why = "" if levels else "it has one rule of its own and no levels"
            what = f"{label}: the model {name} does not judge {level!r}"
            problems.append(keys["consistency"].problem(what, why, hint))
            return found | {"consistency": BAD}
        level = level or next(iter(levels), "")
        return found | {"consistency": Consistency(model=name, level=level, classes=classes, side=side)}

    def _fitting(self, that: Condition, window: str, place: Place, label: str, problems: list[Problem]) -> None:
        """Quantities that are counted from one end of a fault go with one kind of window."""
        fits = {"recovery": "after", "detection": "during"}.get(that.quantity)
        if fits is not None and window != fits:
            problems.append(place.problem(f"{label}: {that.quantity} cannot go with {window}", "", f"use {fits}"))

    def schema(self) -> dict[str, Any]:
        """One of that, invariant and model; at most one window."""
        windows: list[dict[str, Any]] = [{"required": [name]} for name in WINDOWS]
        chosen: list[dict[str, Any]] = [{"required": [name]} for name in ("consistency", "of", "at")]
        return Map(_CLAIM_KEYS).schema() | {
            "oneOf": [
                {"required": ["that"], "not": {"anyOf": chosen}},
                {"required": ["invariant"], "not": {"anyOf": [*chosen, *windows]}},
                {"required": ["model"]},
            ],
            "allOf": [{"not": {"required": [a, b]}} for i, a in enumerate(WINDOWS) for b in WINDOWS[i + 1 :]],
        }


CLAIM = ClaimShape()
