"""A fault's parameters: read by the fault's own model from the nodes beside `fault:`, and told to editors.

A parameter is a single value, a list or a map; what is wrong below one is shown at its own place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from pydantic import JsonValue

from chaoskit.errors import Problem
from chaoskit.spec.nodes import Node
from chaoskit.spec.shapes import written
from chaoskit.spec.suggest import did_you_mean, listed

__all__ = ["draft07", "fault_schema", "inlined", "parameter_names", "read_parameters"]


def parameter_names(fault: Any) -> tuple[str, ...]:
    """How a fault's parameters are written: `one-way`, where Python can only say `one_way`."""
    return tuple(field.alias or name for name, field in fault.Parameters.model_fields.items())


def read_parameters(
    fault: Any, entry: Node, rest: Node, own: Sequence[str], label: str, problems: list[Problem]
) -> dict[str, JsonValue]:
    """Parameters in SI units, defaults filled in; what is missing or wrong is on record and left out.

    Args:
        fault: of the registry. entry: the whole entry. rest: its keys that are not the timeline's `own`.
    """
    from pydantic import ValidationError

    fields = parameter_names(fault)
    values: dict[str, Any] = {}
    known = len(problems)
    for key, value in rest.entries:
        if key.text not in fields:
            names = [*fields, *own]
            what = f"unknown key {key.text!r} in {label}"
            why = f"{fault.name} has the parameters {listed(fields)}" if fields else f"{fault.name} has no parameters"
            problems.append(key.place.problem(what, why, did_you_mean(key.text, names)))
        elif value.is_null or (value.kind != "scalar" and _single(fault, key.text)):
            problems.append(
                value.place.problem(f"{label}.{key.text} is {written(value)}", "a single value is expected")
            )
        else:
            values[key.text] = _data(value)
    try:
        model = fault.Parameters.model_validate(values)
    except ValidationError as error:
        for found in error.errors():
            problem = _problem(found, fault, entry, rest, label)
            # What is wrong with one parameter may be why another, or a rule over all, is not satisfied.
            follows = found["type"] == "missing" or not found["loc"]
            if problem is not None and not (follows and len(problems) > known):
                problems.append(problem)
        return {}
    dumped: dict[str, JsonValue] = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return dumped


def _data(node: Node) -> Any:
    """A value as plain data, by the rules of YAML 1.2."""
    if node.kind == "list":
        return [_data(item) for item in node.items]
    if node.kind == "map":
        return {key.text: _data(value) for key, value in node.entries}
    return node.scalar


def _single(fault: Any, name: str) -> bool:
    """Whether a parameter is neither a list nor a map."""
    text = json.dumps(fault.Parameters.model_json_schema()["properties"][name])
    return not any(word in text for word in ('"array"', '"object"', '"$ref"'))


def _problem(found: Any, fault: Any, entry: Node, rest: Node, label: str) -> Problem | None:
    """One of pydantic's errors, in our words and at the place of the parameter it is about."""
    message = str(found["msg"]).removeprefix("Value error, ")
    path = tuple(found["loc"])
    field = _dotted(path)
    if found["type"] == "missing":
        place = (rest.walk(path[:-1]) if path[1:] else entry).place
        return place.problem(f"{label}.{field} is missing", f"{fault.name} needs it")
    if not path and (first := re.match(r"[a-z_-]+", message)) and first[0] in parameter_names(fault):
        field, path = first[0], (first[0],)  # a rule over several parameters names the one it is about first
    node = rest.walk(path) if path else entry
    hint = ""
    if found["type"] == "extra_forbidden":  # of a map below: the place of its key, not of its value
        above = rest.walk(path[:-1])
        key = next((key for key, _ in above.entries if key.text == path[-1]), above)
        known = _keys_below(fault, path[:-1])
        return key.place.problem(
            f"unknown key {path[-1]!r} in {label}.{_dotted(path[:-1])}",
            f"it has {listed(known)}" if known else "",
            did_you_mean(str(path[-1]), known) if known else "",
        )
    if found["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", str(found.get("ctx", {}).get("expected", "")))
        message, hint = f"{written(node)} is not one of its values", did_you_mean(node.text, choices)
    where = f"{label}.{field}" if field else label
    return node.place.problem(message if message.startswith(field + " ") and field else f"{where}: {message}", "", hint)


def _dotted(path: tuple[Any, ...]) -> str:
    """`groups[0][1]`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def _keys_below(fault: Any, path: tuple[Any, ...]) -> tuple[str, ...]:
    """The keys of a map that is a parameter."""
    found = inlined(fault.Parameters.model_json_schema())
    for step in path:
        found = found.get("properties", {}).get(step, {}) if isinstance(step, str) else found.get("items", {})
    return tuple(found.get("properties", {}))


def fault_schema(fault: Any) -> tuple[dict[str, Any], dict[str, Any], str]:
    """JSON Schema of a fault's parameters: properties, rules over them (`required`, `oneOf` …), one line about it."""
    made = inlined(fault.Parameters.model_json_schema())
    about = " ".join((fault.Parameters.__doc__ or fault.summary).split())
    properties: dict[str, Any] = {}
    for name, found in made.pop("properties", {}).items():
        own = {key: value for key, value in found.items() if key != "title"}
        if own.get("type") == "string" and not isinstance(own.get("default", ""), str):
            del own["default"]  # a number in SI units, which is not how it is written
        described = f"{about} ({own.pop('description')})" if "description" in own else about
        quantity = own.get("type") == "string" and "[0-9]" in own.get("pattern", "")
        own = {"anyOf": [own, {"const": 0}]} if quantity else own
        properties[name] = own | {"description": described}
    rules = {
        key: value for key, value in made.items() if key in ("required", "oneOf", "anyOf", "allOf", "dependencies")
    }
    return properties, rules, fault.summary


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """What pydantic prints, with definitions put where they are used and without the alternative null, which nobody
    can write: a parameter is there or it is not.
    """
    definitions = schema.get("$defs", {})

    def inline(node: Any) -> Any:
        if isinstance(node, list):
            return [inline(item) for item in node]
        if not isinstance(node, dict):
            return node
        made = {key: value for key, value in node.items() if key not in ("$ref", "$defs")}
        if "$ref" in node:
            made = definitions[node["$ref"].removeprefix("#/$defs/")] | made
        if {"type": "null"} in made.get("anyOf", ()):
            rest = [one for one in made.pop("anyOf") if one != {"type": "null"}]
            made.pop("default", None)
            made = (rest[0] if len(rest) == 1 else {"anyOf": rest}) | made
            return inline(made)
        return {key: inline(value) for key, value in made.items()}

    found: dict[str, Any] = draft07(inline(schema))
    return found


def draft07(schema: Any) -> Any:
    """What pydantic prints (2020-12), reduced to draft-07: `prefixItems` becomes `items`, `discriminator` goes."""
    if isinstance(schema, list):
        return [draft07(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    renamed = {"prefixItems": "items", "$defs": "definitions"}
    found = {renamed.get(key, key): draft07(value) for key, value in schema.items() if key != "discriminator"}
    if isinstance(found.get("$ref"), str):
        found["$ref"] = found["$ref"].replace("#/$defs/", "#/definitions/")
    return found
