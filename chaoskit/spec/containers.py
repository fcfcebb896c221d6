"""Shapes of lists and maps (see shapes.py)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from chaoskit.errors import Problem
from chaoskit.spec.nodes import Node
from chaoskit.spec.shapes import BAD, NAME, Raw, Shape, good, text_of, written
from chaoskit.spec.suggest import did_you_mean, listed

__all__ = ["Key", "Lines", "ListOf", "Map", "Named", "OneOf"]


class ListOf(NamedTuple):
    """A list; with `lone`, a single value stands for a list of one; with `partial`, BAD items stay in it."""

    of: Shape
    lone: bool = False
    least: int = 0
    most: int = 1000
    partial: bool = False

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """The values as a tuple; BAD when any of them is."""
        if node.kind != "list":
            if self.lone and not node.is_null:
                value = self.of.read(node, label, problems)
                return (value,) if good(value) else BAD
            problems.append(node.place.problem(f"{label} is {written(node)}", "a list is expected"))
            return BAD
        if not self.least <= len(node.items) <= self.most:
            bound = f"at least {self.least}" if len(node.items) < self.least else f"at most {self.most}"
            problems.append(node.place.problem(f"{label} has {len(node.items)} entries", f"{bound} expected"))
            return BAD
        values = [self.of.read(item, f"{label}[{i}]", problems) for i, item in enumerate(node.items)]
        return tuple(values) if self.partial or good(*values) else BAD

    def schema(self) -> dict[str, Any]:
        """An array, or one of its items."""
        array = {"type": "array", "items": self.of.schema(), "minItems": self.least, "maxItems": self.most}
        return {"anyOf": [array, self.of.schema()]} if self.lone else array


class Lines:
    """A command: a list of arguments, or one text that is split like a shell would."""

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """The arguments."""
        import shlex

        if node.kind == "list":
            return ListOf(Raw(), least=1).read(node, label, problems)
        text = text_of(node, label, "a command", problems, "such as [python, -m, app]")
        if text is None:
            return BAD
        try:
            words = tuple(shlex.split(text))
        except ValueError as error:
            problems.append(node.place.problem(f"{label} cannot be split: {error}", "", "write a list of arguments"))
            return BAD
        if not words:
            problems.append(node.place.problem(f"{label} is empty", "a command is expected"))
            return BAD
        return words

    def schema(self) -> dict[str, Any]:
        """A string or an array of strings."""
        return {"anyOf": [{"type": "string"}, {"type": "array", "items": Raw().schema(), "minItems": 1}]}


class Key(NamedTuple):
    """One key of a map. Without a shape it is known but not supported, and `refuse` says why and what to do."""

    shape: Shape | None
    doc: str = ""
    required: bool = False
    refuse: str = ""


class Map(NamedTuple):
    """A map with fixed keys; `x-…` keys pass where `extensions` says so."""

    keys: Mapping[str, Key]
    extensions: bool = False

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """The values by key (those that were written), BAD where one is."""
        if node.kind != "map":
            keys = f"with the keys {listed(self.keys)}"
            problems.append(node.place.problem(f"{label} is {written(node)}", f"a map {keys} is expected"))
            return BAD
        found: dict[str, Any] = {}
        for key, value in node.entries:
            known = self.keys.get(key.text)
            if known is None:
                if not (self.extensions and key.text.startswith("x-")):
                    self._unknown(key, label, problems)
            elif known.shape is None:
                problems.append(key.place.problem(f"{key.text!r} is not supported", known.refuse))
            else:
                found[key.text] = known.shape.read(value, _below(label, key.text), problems)
        for name, known in self.keys.items():
            if known.required and name not in found:
                problems.append(node.place.problem(f"{_below(label, name)} is missing", known.doc))
                found[name] = BAD
        return found

    def _unknown(self, key: Node, label: str, problems: list[Problem]) -> None:
        where = f" in {label}" if label else ""
        known = [name for name, key in self.keys.items() if key.shape is not None]
        problems.append(key.place.problem(f"unknown key {key.text!r}{where}", "", did_you_mean(key.text, known)))

    def schema(self) -> dict[str, Any]:
        """An object with no other properties."""
        found: dict[str, Any] = {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                name: {**key.shape.schema(), "description": key.doc}
                for name, key in self.keys.items()
                if key.shape is not None
            },
        }
        required = [name for name, key in self.keys.items() if key.required]
        return found | ({"required": required} if required else {})


class Named(NamedTuple):
    """A map from names to values of one shape."""

    of: Shape
    noun: str
    least: int = 0
    matching: str = NAME.matching or ""

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """The values by name, BAD where one is."""
        if node.kind != "map":
            problems.append(node.place.problem(f"{label} is {written(node)}", f"a map of {self.noun} is expected"))
            return BAD
        if len(node.entries) < self.least:
            problems.append(node.place.problem(f"{label} is empty", f"at least {self.least} expected"))
            return BAD
        found: dict[str, Any] = {}
        for key, value in node.entries:
            if not re.fullmatch(self.matching, key.text):
                problems.append(
                    key.place.problem(f"{key.text!r} cannot name {self.noun}", f"names look like {self.matching}")
                )
            found[key.text] = self.of.read(value, _below(label, key.text), problems)
        return found

    def schema(self) -> dict[str, Any]:
        """An object whose property names match."""
        return {
            "type": "object",
            "propertyNames": {"pattern": f"^(?:{self.matching})$"},
            "additionalProperties": self.of.schema(),
            "minProperties": self.least,
        }


class OneOf(NamedTuple):
    """A map with exactly one of some keys: the value says what it is by its key."""

    keys: Mapping[str, Key]

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """(key, value)."""
        found = Map(self.keys).read(node, label, problems)
        if found is BAD:
            return BAD
        if len(node.entries) != 1:
            place = node.entries[1][0].place if len(node.entries) > 1 else node.place
            problems.append(
                place.problem(f"{label} has {len(node.entries)} keys", f"exactly one of {listed(self.keys)}")
            )
            return BAD
        if not found:
            return BAD
        name, value = next(iter(found.items()))
        return (name, value) if good(value) else BAD

    def schema(self) -> dict[str, Any]:
        """An object with one property."""
        return {**Map(self.keys).schema(), "minProperties": 1, "maxProperties": 1}


def _below(label: str, key: str) -> str:
    return f"{label}.{key}" if label else key
