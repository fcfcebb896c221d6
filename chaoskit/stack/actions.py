"""Actions and roles as `x-chaoskit` declares them: what a target can be told and asked, without running its code."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from chaoskit.errors import Problem
from chaoskit.spec.nodes import Node
from chaoskit.spec.shapes import good
from chaoskit.spec.suggest import did_you_mean
from chaoskit.stack.sources import Function, defined, function_of, parsed
from chaoskit.stack.topology import ActionSpec, RoleSpec

__all__ = ["read_actions", "read_roles"]

_USUAL = "actions.py"


def read_actions(
    root: Node, extension: Mapping[str, Any], folder: Path, shown: Callable[[Path], str], problems: list[Problem]
) -> tuple[ActionSpec, ...]:
    """All actions; their files parse and define the functions, with the arguments that are declared.

    Args:
        extension: values of `x-chaoskit`. folder: of the Compose file. shown: how a path is called in problems.
    """
    declared, node = _declared(root, extension, "actions")
    made: dict[str, ActionSpec] = {}
    for name, values in declared.items():
        entry = node.walk((name,))
        arguments = tuple(values.get("arguments", ()))
        file, function = _function(name, values, arguments, entry, folder, shown, problems)
        settings = {key: values[key] for key in ("undo", "timeout") if key in values}
        made[name] = ActionSpec(name=name, file=file, function=function, arguments=arguments, **settings)
    for name, action in made.items():
        if action.undo is not None:
            _undo(action, made, (node.walk((name,)).get("undo") or node), problems)
    return tuple(made.values())


def read_roles(
    root: Node,
    extension: Mapping[str, Any],
    folder: Path,
    nodes: Collection[str],
    shown: Callable[[Path], str],
    problems: list[Problem],
) -> tuple[RoleSpec, ...]:
    """All roles; as `read_actions`. `nodes`: names of the nodes that there are."""
    declared, node = _declared(root, extension, "roles")
    made = []
    for name, values in declared.items():
        entry = node.walk((name,))
        for i, holder in enumerate(values["nodes"]):
            if holder not in nodes:
                place = entry.walk(("nodes", i)).place
                problems.append(place.problem(f"{holder!r} is no node", "", did_you_mean(holder, list(nodes))))
        file, function = _function(name, values, (), entry, folder, shown, problems)
        settings = {key: values[key] for key in ("timeout",) if key in values}
        made.append(RoleSpec(name=name, file=file, function=function, nodes=values["nodes"], **settings))
    return tuple(made)


def _declared(root: Node, extension: Mapping[str, Any], key: str) -> tuple[dict[str, dict[str, Any]], Node]:
    """What is declared under a key, without what is wrong and on record already; and its node."""
    found = extension.get(key, {})
    entries = found if good(found) else {}
    whole = {name: values for name, values in entries.items() if good(values) and good(*values.values())}
    return whole, root.walk(("x-chaoskit", key))


def _undo(action: ActionSpec, made: Mapping[str, ActionSpec], node: Node, problems: list[Problem]) -> None:
    other = made.get(action.undo or "")
    if other is None:
        what = f"{action.undo!r}, which is to undo {action.name}, is no action of this target"
        problems.append(node.place.problem(what, "", did_you_mean(action.undo or "", list(made))))
    elif unknown := set(other.arguments) - set(action.arguments):
        what = f"{other.name} takes {', '.join(sorted(unknown))}, which {action.name} does not"
        problems.append(node.place.problem(what, "an undo gets the arguments of its action, those that it takes"))


def _function(
    name: str,
    values: Mapping[str, Any],
    arguments: tuple[str, ...],
    entry: Node,
    folder: Path,
    shown: Callable[[Path], str],
    problems: list[Problem],
) -> tuple[str, str]:
    """File and function of a declaration. It is there, it is Python, and it can be called so. It is not run."""
    file = (folder / values.get("file", _USUAL)).resolve()
    function = values.get("function", name.replace("-", "_").replace(".", "_"))
    tree = parsed(file, f"the file of {name}", (entry.get("file") or entry).place, shown, problems)
    if tree is not None:
        place = (entry.get("function") or entry).place
        names = defined(tree)
        found = function_of(tree, function)
        if function not in names:
            hint = did_you_mean(function, sorted(n for n in names if not n.startswith("_"))) if names else ""
            problems.append(place.problem(f"{file.name} has no function {function}", f"{name} calls it", hint))
        elif found is not None and (why := _uncallable(found, arguments)):
            problems.append(place.problem(f"{function}() of {file.name} {why}", f"{name} calls it"))
    return str(file), function


def _uncallable(function: Function, arguments: tuple[str, ...]) -> str:
    """What keeps a function from being called with a Place and these arguments by name; "" where nothing does."""
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    if not positional and given.vararg is None:
        return "takes no argument: the first one is the place (real addresses, nodes, data)"
    by_name = {one.arg for one in (*given.args[0 if given.posonlyargs else 1 :], *given.kwonlyargs)}
    if given.kwarg is None and (missing := [name for name in arguments if name not in by_name]):
        return f"takes no argument {missing[0]!r}, which is declared"
    needed = {one.arg for one in positional[1 : len(positional) - len(given.defaults)]}
    needed |= {one.arg for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True) if default is None}
    if undeclared := sorted(needed - set(arguments)):
        return f"needs {undeclared[0]!r}, which is not declared under `arguments`"
    return ""
