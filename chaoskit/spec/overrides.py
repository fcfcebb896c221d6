"""`--set PATH=VALUE`: one value of the tree replaced or added before anything is checked. Pure."""

from __future__ import annotations

from dataclasses import replace

from chaoskit.errors import Problem
from chaoskit.spec.nodes import MAX_DEPTH, Node, Place, parse_text
from chaoskit.spec.suggest import did_you_mean, listed

__all__ = ["override"]


def override(root: Node, text: str, problems: list[Problem]) -> Node:
    """The tree with `text` (`path=value`) applied; the tree as it was when that cannot be, with the reason on record.

    Entries of lists are named by their `id` (or by their fault's name where that says which), else by index from 0.
    """
    place = Place(f"--set {text}")
    path, equals, value = text.partition("=")
    steps = path.strip().split(".")
    if not equals or not all(steps) or len(steps) > MAX_DEPTH:
        problems.append(
            place.problem("is not an override", "", "write PATH=VALUE, such as timeline.slow-db.latency=400ms")
        )
        return root
    found: list[Problem] = []
    node = parse_text(value, place.file, None, found) if value.strip() else Node("scalar", place)
    if node is None:
        problems += [one._replace(line=0, column=0, what=f"the value: {one.what}") for one in found]
        return root
    return _set(root, steps, _moved(node, place), place, problems) or root


def _moved(node: Node, place: Place) -> Node:
    """The same value, written on the command line."""
    return replace(
        node,
        place=place,
        items=[_moved(item, place) for item in node.items],
        entries=[(_moved(key, place), _moved(value, place)) for key, value in node.entries],
    )


def _set(node: Node, steps: list[str], value: Node, place: Place, problems: list[Problem]) -> Node | None:
    """A copy of `node` with the value at the path; nodes are shared by aliases and never changed."""
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if node.kind == "list":
        at = _entry(node, step)
        if at is None:
            names = [_name(item, i) for i, item in enumerate(node.items)]
            hint = did_you_mean(step, names) if names else "the list is empty"
            problems.append(place.problem(f"no entry {step!r} in the list", f"it has {listed(names) or 'none'}", hint))
            return None
        made = _set(node.items[at], rest, value, place, problems)
        return made and replace(node, items=[*node.items[:at], made, *node.items[at + 1 :]])
    if node.kind == "scalar" and not node.is_null:
        problems.append(place.problem(f"{step!r} cannot be set", f"what is above it is the value {node.text!r}"))
        return None
    for i, (key, old) in enumerate(node.entries):
        if key.text == step:
            made = _set(old, rest, value, place, problems)
            return made and replace(
                node, entries=[*node.entries[:i], (replace(key, place=place), made), *node.entries[i + 1 :]]
            )
    made = _set(Node("map", place), rest, value, place, problems) if rest else value
    return made and Node("map", node.place, entries=[*node.entries, (Node("scalar", place, step), made)])


def _entry(node: Node, step: str) -> int | None:
    """Index of the entry that `step` names: by id, by fault where only one has it, by index."""
    for key in ("id", "fault"):
        matches = [i for i, item in enumerate(node.items) if (own := item.get(key)) is not None and own.text == step]
        if len(matches) == 1:
            return matches[0]
    return int(step) if step.isascii() and step.isdigit() and len(step) < 6 and int(step) < len(node.items) else None


def _name(item: Node, index: int) -> str:
    """What an entry is called by in a message."""
    own = item.get("id") or item.get("fault")
    return own.text if own is not None and own.kind == "scalar" else str(index)
