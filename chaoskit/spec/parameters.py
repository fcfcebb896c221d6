"""A fault's parameters: read by the fault's own model from the nodes beside `fault:`, and told to editors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from chaoskit.errors import Problem
from chaoskit.spec.nodes import Node
from chaoskit.spec.shapes import written
from chaoskit.spec.suggest import did_you_mean, listed

__all__ = ["draft07", "fault_schema", "read_parameters"]


def read_parameters(
    fault: Any, entry: Node, rest: Node, own: Sequence[str], label: str, problems: list[Problem]
) -> dict[str, float | int | str | bool]:
    """Parameters in SI units, defaults filled in; what is missing or wrong is on record and left out.

    Args:
        fault: of the registry. entry: the whole entry. rest: its keys that are not the timeline's `own`.
    """
    from pydantic import ValidationError

    fields = fault.Parameters.model_fields
    values: dict[str, Any] = {}
    known = len(problems)
    for key, value in rest.entries:
        if key.text not in fields:
            names = [*fields, *own]
            what = f"unknown key {key.text!r} in {label}"
            why = f"{fault.name} has the parameters {listed(fields)}" if fields else f"{fault.name} has no parameters"
            problems.append(key.place.problem(what, why, did_you_mean(key.text, names)))
        elif value.kind != "scalar" or value.is_null:
            problems.append(
                value.place.problem(f"{label}.{key.text} is {written(value)}", "a single value is expected")
            )
        else:
            values[key.text] = value.scalar
    try:
        model = fault.Parameters.model_validate(values)
    except ValidationError as error:
        for found in error.errors():
            problem = _problem(found, fault, entry, rest, label)
            if problem is not None and not (found["type"] == "missing" and len(problems) > known):
                problems.append(problem)
        return {}
    return {name: value for name, value in model.model_dump().items() if value is not None}


def _problem(found: Any, fault: Any, entry: Node, rest: Node, label: str) -> Problem | None:
    """One of pydantic's errors, in our words and at the place of the parameter it is about."""
    message = str(found["msg"]).removeprefix("Value error, ")
    field = str(found["loc"][0]) if found["loc"] else ""
    if found["type"] == "missing":
        return entry.place.problem(f"{label}.{field} is missing", f"{fault.name} needs it")
    if not field and (first := re.match(r"[a-z_]+", message)) and first[0] in fault.Parameters.model_fields:
        field = first[0]  # a rule over several parameters names the one it is about first
    node = rest.get(field) or entry
    hint = ""
    if found["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", str(found.get("ctx", {}).get("expected", "")))
        message, hint = f"{written(node)} is not one of its values", did_you_mean(node.text, choices)
    where = f"{label}.{field}" if field else label
    return node.place.problem(message if message.startswith(field + " ") and field else f"{where}: {message}", "", hint)


def fault_schema(fault: Any) -> tuple[dict[str, Any], list[str], str]:
    """JSON Schema of a fault's parameters: properties, required names and one line about the fault."""
    made = draft07(fault.Parameters.model_json_schema())
    about = " ".join((fault.Parameters.__doc__ or fault.summary).split())
    properties: dict[str, Any] = {}
    for name, found in made.get("properties", {}).items():
        own = {key: value for key, value in found.items() if key != "title"}
        if own.get("type") == "string" and not isinstance(own.get("default", ""), str):
            del own["default"]  # a number in SI units, which is not how it is written
        described = f"{about} ({own.pop('description')})" if "description" in own else about
        own = {"anyOf": [own, {"const": 0}]} if "enum" not in own and own.get("type") == "string" else own
        properties[name] = own | {"description": described}
    return properties, list(made.get("required", [])), fault.summary


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
