"""Shapes of values: one table says what a file may contain, how it is read and how editors are told (JSON Schema).

Reading never stops at the first mistake: a shape adds what it finds to `problems` and returns BAD, so that everything
wrong with a file is shown at once. Whoever gets BAD knows that the problem is on record.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

from chaoskit import registry
from chaoskit.errors import Problem
from chaoskit.spec.nodes import Node
from chaoskit.spec.suggest import did_you_mean, listed
from chaoskit.units import parse_duration, parse_rate

__all__ = [
    "BAD",
    "DURATION",
    "FLAG",
    "NAME",
    "RATE",
    "TEXT",
    "Choice",
    "Constant",
    "Quantity",
    "Raw",
    "Registered",
    "Shape",
    "Text",
    "Whole",
    "good",
    "text_of",
    "written",
]


class _Bad:
    """Type of BAD."""

    def __repr__(self) -> str:
        return "BAD"


BAD: Final = _Bad()


def good(*values: object) -> bool:
    """None of them is BAD."""
    return not any(value is BAD for value in values)


def written(node: Node) -> str:
    """How a value is named in a message."""
    if node.kind != "scalar":
        return f"a {node.kind}"
    if node.is_null:
        return "nothing"
    return repr(node.text if len(node.text) <= 60 else node.text[:57] + "…")


class Shape(Protocol):
    """What a value may be."""

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """The value, or BAD. `label` names the value in messages."""
        ...

    def schema(self) -> dict[str, Any]:
        """JSON Schema draft-07 of the same."""
        ...


def text_of(node: Node, label: str, noun: str, problems: list[Problem], hint: str = "") -> str | None:
    """The text of a scalar as written (numbers included); None, on record, when it is a list, a map or nothing."""
    if node.kind == "scalar" and not node.is_null:
        return node.text
    problems.append(node.place.problem(f"{label} is {written(node)}", f"{noun} is expected", hint))
    return None


class Text(NamedTuple):
    """Text. `matching` must match the whole of it; `noun` says what it is."""

    noun: str = "text"
    matching: str | None = None
    example: str = ""
    longest: int = 10_000

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """The text; numbers and true/false need quotes to be text."""
        text = text_of(node, label, self.noun, problems)
        if text is None:
            return BAD
        if not isinstance(node.scalar, str):
            kind = "a truth value" if isinstance(node.scalar, bool) else "a number"
            problems.append(node.place.problem(f"{label} is {kind}", "text is expected", f'write "{text}"'))
            return BAD
        hint = f"such as {self.example}" if self.example else ""
        if len(text) > self.longest:
            problems.append(node.place.problem(f"{label} is longer than {self.longest} characters"))
            return BAD
        if not text.strip():
            problems.append(node.place.problem(f"{label} is empty", f"{self.noun} is expected", hint))
            return BAD
        if self.matching is not None and not re.fullmatch(self.matching, text):
            problems.append(node.place.problem(f"{label} is {written(node)}", f"{self.noun} is expected", hint))
            return BAD
        return text

    def schema(self) -> dict[str, Any]:
        """A string."""
        found: dict[str, Any] = {"type": "string", "pattern": f"^(?:{self.matching})$" if self.matching else r"\S"}
        return found | ({"maxLength": self.longest} if self.longest < 10_000 else {})


TEXT = Text()
NAME = Text("a name of letters, digits, '_', '-' and '.'", r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class Raw:
    """Any single value, taken as it was written: environment variables."""

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """The text as written; nothing is the empty text."""
        if node.kind != "scalar":
            problems.append(node.place.problem(f"{label} is {written(node)}", "a single value is expected"))
            return BAD
        return "" if node.is_null else node.text

    def schema(self) -> dict[str, Any]:
        """A scalar."""
        return {"type": ["string", "number", "boolean", "null"]}


class Constant(NamedTuple):
    """One text and no other."""

    value: str
    why: str = ""

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """The constant."""
        if node.kind == "scalar" and node.text == self.value:
            return self.value
        problems.append(node.place.problem(f"{label} is {written(node)}", self.why, f"write {self.value}"))
        return BAD

    def schema(self) -> dict[str, Any]:
        """A constant."""
        return {"const": self.value}


class Choice(NamedTuple):
    """One of a few words."""

    options: Sequence[str]
    noun: str

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """The word."""
        text = text_of(node, label, self.noun, problems, f"use one of: {listed(self.options)}")
        if text is None or text in self.options:
            return BAD if text is None else text
        problems.append(node.place.problem(f"{text!r} is not {self.noun}", "", did_you_mean(text, self.options)))
        return BAD

    def schema(self) -> dict[str, Any]:
        """An enumeration."""
        return {"type": "string", "enum": list(self.options)}


class Registered(NamedTuple):
    """The name of something registered. What there is is asked only when the name is not one of ours."""

    kind: str
    noun: str

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """The name."""
        text = text_of(node, label, self.noun, problems)
        if text is None or registry.known(self.kind, text):
            return BAD if text is None else text
        hint = did_you_mean(text, registry.names(self.kind))
        problems.append(node.place.problem(f"{text!r} is not {self.noun}", "", hint))
        return BAD

    def schema(self) -> dict[str, Any]:
        """An enumeration."""
        return {"type": "string", "enum": list(registry.names(self.kind))}


class Whole(NamedTuple):
    """A whole number within bounds."""

    least: int
    most: int

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """The number."""
        value = node.scalar if node.kind == "scalar" else BAD
        bounds = f"a whole number from {self.least:,} to {self.most:,} is expected"
        if isinstance(value, int) and not isinstance(value, bool) and self.least <= value <= self.most:
            return value
        hint = "remove the quotes" if isinstance(value, str) and re.fullmatch(r"[0-9]+", value) else ""
        problems.append(node.place.problem(f"{label} is {written(node)}", bounds, hint))
        return BAD

    def schema(self) -> dict[str, Any]:
        """An integer."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


class Flag:
    """true or false."""

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """The truth value."""
        value = node.scalar if node.kind == "scalar" else BAD
        if isinstance(value, bool):
            return value
        why, hint = "true or false is expected", ""
        if isinstance(value, str) and value.lower() in ("yes", "on", "y", "no", "off", "n", "true", "false"):
            meant = "true" if value.lower() in ("yes", "on", "y", "true") else "false"
            why, hint = f"{value!r} is text in YAML 1.2", f"write {meant}"
        problems.append(node.place.problem(f"{label} is {written(node)}", why, hint))
        return BAD

    def schema(self) -> dict[str, Any]:
        """A boolean."""
        return {"type": "boolean"}


FLAG = Flag()


class Quantity(NamedTuple):
    """A number with a unit."""

    parse: Callable[[str], float]
    noun: str
    example: str
    regex: str
    zero: bool = True  # 0 is allowed

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """The quantity in SI units."""
        text = text_of(node, label, self.noun, problems, f"such as {self.example}")
        if text is None:
            return BAD
        try:
            value = 0.0 if text == "0" else self.parse(text)
        except ValueError as error:
            problems.append(node.place.problem(f"{label}: {error}"))
            return BAD
        if value == 0 and not self.zero:
            problems.append(node.place.problem(f"{label} is {written(node)}", f"{self.noun} above 0 is expected"))
            return BAD
        return value

    def above_zero(self) -> Quantity:
        """The same, 0 excluded."""
        return Quantity(self.parse, self.noun, self.example, self.regex, zero=False)

    def schema(self) -> dict[str, Any]:
        """A string with a unit, or 0."""
        text: dict[str, Any] = {"type": "string", "pattern": rf"^\s*(?:{self.regex})\s*$", "examples": [self.example]}
        if not self.zero:
            return {**text, "allOf": [{"pattern": "[1-9]"}]}
        return {"anyOf": [{**text, "pattern": rf"^\s*(?:0|{self.regex})\s*$"}, {"const": 0}]}


_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
DURATION = Quantity(parse_duration, "a duration", "150ms", rf"(?:{_NUMBER}\s*(?:ns|us|µs|ms|s|min|m|h))+")
RATE = Quantity(parse_rate, "a rate", "200/s", rf"{_NUMBER}\s*/\s*(?:s|m|min|h)", zero=False)
