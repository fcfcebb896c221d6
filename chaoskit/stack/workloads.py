"""Workloads as `x-chaoskit` declares them, so that classes and invariants are known without running anybody's code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from chaoskit.errors import Problem
from chaoskit.spec.nodes import Node
from chaoskit.spec.shapes import BAD, good
from chaoskit.spec.suggest import did_you_mean
from chaoskit.stack.sources import defined, parsed
from chaoskit.stack.topology import ClassSpec, WorkloadSpec

__all__ = ["read_workloads"]


def read_workloads(
    root: Node,
    extension: Mapping[str, Any],
    folder: Path,
    shown: Callable[[Path], str],
    problems: list[Problem],
) -> tuple[WorkloadSpec, ...]:
    """All workloads, of the long or the short form; their files parse and have the factory.

    Args:
        extension: values of `x-chaoskit`. folder: of the Compose file. shown: how a path is called in problems.
    """
    node = root.walk(("x-chaoskit",))
    keys = {key.text: key.place for key, _ in node.entries}
    short = [key for key in ("workload", "classes", "invariants") if key in keys]
    if "workloads" in keys:
        for key in short:
            why = (
                f"workloads is the long form, with {key} in each workload" if key != "workload" else "it is one of them"
            )
            problems.append(keys[key].problem(f"both workloads and {key}", why, f"move {key} into workloads"))
        declared = extension["workloads"] if good(extension["workloads"]) else {}
        found = [(name, values, node.walk(("workloads", name))) for name, values in declared.items()]
    elif short:
        for key in ("workload", "classes"):
            if key not in keys:
                problems.append(node.place.problem(f"x-chaoskit.{key} is missing", f"{short[0]} belongs to it"))
        file = extension.get("workload", BAD)
        values: dict[str, Any] = {key: extension.get(key, BAD) for key in short if key != "workload"} | {"file": file}
        found = [(Path(file).stem if good(file) else "", values, node)]
    else:
        return ()
    made = []
    for name, values, place in found:
        if not good(values) or not good(*values.values()) or not {"file", "classes"} <= set(values):
            continue
        classes = {cls: value for cls, value in values["classes"].items() if good(value)}
        file = folder / values["file"]
        factory = values.get("factory", "workload")
        _check_file(file, factory, place, shown, problems)
        if classes and not any(weight > 0 for _, weight in classes.values()):
            at = (place.get("classes") or place).place
            problems.append(at.problem(f"all weights of {name} are 0", "nothing would be sent"))
        made.append(
            WorkloadSpec(
                name=name,
                file=str(file.resolve()),
                factory=factory,
                classes=tuple(ClassSpec(name=cls, kind=kind, weight=weight) for cls, (kind, weight) in classes.items()),
                invariants=values.get("invariants", ()),
            )
        )
    return tuple(made)


def _check_file(file: Path, factory: str, node: Node, shown: Callable[[Path], str], problems: list[Problem]) -> None:
    """It is there, it is Python, and it has the factory. It is not run."""
    place = (node.get("file") or node.get("workload") or node).place
    tree = parsed(file, "the workload's file", place, shown, problems)
    if tree is None:
        return
    names = set(defined(tree))
    if factory not in names:
        at = (node.get("factory") or node.get("file") or node.get("workload") or node).place
        hint = did_you_mean(factory, sorted(n for n in names if not n.startswith("_"))) if names else ""
        problems.append(at.problem(f"{file.name} has no {factory}", "it makes the workload, once per worker", hint))
