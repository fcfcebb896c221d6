"""From the words of a command line to effects: read and checked as an entry of an experiment's timeline is. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from pydantic import JsonValue

from chaoskit import registry
from chaoskit.data import Frozen
from chaoskit.errors import AbilityError, PlanError, Problem, UsageError
from chaoskit.faults.model import Compiled, Fault, Ground
from chaoskit.faults.places import ALLOW, ends, forbidden, undeclared
from chaoskit.spec.nodes import parse_text
from chaoskit.spec.parameters import parameter_names
from chaoskit.spec.shapes import good
from chaoskit.spec.suggest import did_you_mean, listed
from chaoskit.spec.surface import EntryShape
from chaoskit.stack.selectors import SelectorError, select_links, select_nodes
from chaoskit.stack.topology import Link, Target

__all__ = ["Order", "aim", "read_order", "role_of"]

_WHERE = "command line"
_PLAIN = re.compile(r"[A-Za-z0-9.+-][\w.+%/-]*")
_SEED = 1  # of toxicity and jitter: by hand nothing is repeated


class Order(Frozen):
    """A fault as it was asked for.

    Attributes:
        on: selectors. duration: seconds; None for an instant. parameters: SI numbers, defaults filled in.
        name: what the user wants to call it; "" = the keeper chooses.
    """

    fault: str
    on: tuple[str, ...] = ()
    duration: float | None = None
    parameters: dict[str, JsonValue] = {}
    name: str = ""


def read_order(
    fault: str, on: Sequence[str], duration: str | None, words: Mapping[str, str], *, name: str = ""
) -> Order:
    """Check the words of a command line as an entry of a timeline is checked: the same rules, the same sentences.

    Args:
        fault: its name. on: selectors. duration: "30s". words: parameters as typed ("200ms", "[[n1], [n2, n3]]").

    Raises:
        UsageError: everything that is wrong with them.
    """
    if not registry.known("fault", fault):
        names = registry.names("fault")
        raise UsageError(f"there is no fault {fault!r}", hint=did_you_mean(fault, names) or f"one of: {listed(names)}")
    lines = [f"fault: {fault}", "at: 0s"]
    if on:
        lines.append(f"on: {json.dumps(list(on))}")
    if duration is not None:
        lines.append(f"for: {_value(duration)}")
    if name:
        lines.append(f"id: {_value(name)}")
    fields = parameter_names(registry.load("fault", fault))
    for key, text in words.items():
        if not re.fullmatch(r"[A-Za-z][\w-]*", key) or key in ("at", "for", "id", "fault", "on"):
            raise UsageError(f"--{key} is no parameter of {fault}", hint=f"it has {listed(fields) or 'none'}")
        known = key if key in fields or key.replace("-", "_") not in fields else key.replace("-", "_")
        lines.append(f"{known}: {_value(text)}")
    problems: list[Problem] = []
    root = parse_text("\n".join(lines) + "\n", _WHERE, None, problems)
    found: Any = EntryShape().read(root, fault, problems) if root is not None else None
    if problems or found is None or not good(*found.values()):
        raise UsageError("\n".join(_said(problem) for problem in problems), hint="chaoskit inject --help")
    return Order(
        fault=fault,
        on=tuple(found.get("on", ())),
        duration=found.get("for"),
        parameters=found["parameters"],
        name=found.get("id", ""),
    )


def role_of(order: Order, target: Target) -> str | None:
    """The role relative to which it is placed (`leader`), to be asked for just before; None for most faults.

    Raises:
        UsageError: the target does not say who holds it.
    """
    role: str | None = registry.load("fault", order.fault).role(order.parameters, target)
    if role is not None and role not in [one.name for one in target.roles]:
        what, hint = undeclared(role, target)
        raise UsageError(what, hint=hint)
    return role


def aim(
    order: Order,
    identity: str,
    target: Target,
    *,
    abilities: Collection[str],
    toxiproxy: Literal["embedded", "real"] = "embedded",
    roles: Mapping[str, str] | None = None,
) -> Compiled:
    """Expand the selectors and compile the fault.

    Args:
        identity: of the injection. abilities: what the runtime can do. roles: role -> who holds it now.

    Raises:
        UsageError: a selector matches nothing, or what it matches may not be broken. AbilityError: the runtime cannot.
        PlanError: the fault does not fit this target.
    """
    fault: Fault[Any] = registry.load("fault", order.fault)
    missing = sorted(fault.needs(order.parameters) - frozenset(abilities))
    if missing:
        raise AbilityError(
            f"{order.fault} needs {listed(missing)}, which this runtime cannot", hint="use another fault"
        )
    links: dict[str, Link] = {}
    nodes: dict[str, None] = {}
    for selector in order.on:
        try:
            if fault.targets == "links":
                links |= {link.id: link for link in select_links(selector, target.topology)}
            else:
                nodes |= dict.fromkeys(select_nodes(selector, target.topology))
        except SelectorError as error:
            why = f" ({error.why})" if error.why else ""
            raise UsageError(
                f"{error.what}{why}", hint=error.hint or "chaoskit status lists links and nodes"
            ) from error
    near = ends(tuple(links.values()), tuple(nodes), target)
    ground = Ground(target, near, tuple(nodes), _SEED, order.duration, toxiproxy, dict(roles or {}))
    compiled = fault.compile(identity, order.parameters, ground)
    if not compiled.effects:
        raise PlanError(f"{order.fault} would do nothing there", hint="chaoskit status lists links and nodes")
    bent = set(compiled.links)
    struck = [link.destination for link in target.topology.links if link.id in bent and fault.targets != "nodes"]
    for what, why in forbidden(fault, [*struck, *nodes], target):
        raise UsageError(f"{what}: {why}", hint=ALLOW)
    return compiled


def _value(text: str) -> str:
    """As YAML: lists and maps as they are typed, everything else one value."""
    return text if text[:1] in ("[", "{") or _PLAIN.fullmatch(text) else json.dumps(text)


def _said(problem: Problem) -> str:
    why = f" ({problem.why})" if problem.why else ""
    return f"{problem.what}{why}" + (f"; {problem.hint}" if problem.hint else "")
