"""Where a fault may be put: what it would hurt that its target does not allow, and whom its target cannot name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from chaoskit.faults.model import Fault
from chaoskit.spec.suggest import did_you_mean, listed
from chaoskit.stack.topology import Link, Target

__all__ = ["ALLOW", "ends", "forbidden", "undeclared"]

ALLOW = "aim elsewhere, or allow it in the Compose file"  # the next step after `forbidden`


def ends(links: Sequence[Link], nodes: Sequence[str], target: Target) -> tuple[Link, ...]:
    """The links of a fault's ground: those it is on or, for a fault on nodes, those that end at them."""
    return tuple(links or (link for link in target.topology.links if link.destination in nodes))


def forbidden(fault: Fault[Any], names: Iterable[str], target: Target) -> Iterator[tuple[str, str]]:
    """Of the nodes that a fault hits, those that the target does not allow to be hurt so: what is wrong, and why."""
    kind = "links" if fault.targets != "nodes" else "kill" if fault.abilities & {"kill", "restart"} else "pause"
    for name in dict.fromkeys(names):
        service = target.service_of(name)
        if kind not in service.safe_to_break:
            allowed = listed(service.safe_to_break) or "nothing"
            why = f"x-chaoskit.safe_to_break allows {allowed} for {service.name}"
            yield f"{fault.name} would hurt {name}", why


def undeclared(role: str, target: Target) -> tuple[str, str]:
    """Of a role that a fault is placed relative to, and the target does not declare: what is wrong, and what to do."""
    others = [one.name for one in target.roles]
    near = f"; {did_you_mean(role, others)}" if others else ""
    declare = f"x-chaoskit: roles: {{{role}: {{function: {role}, nodes: [...]}}}}"
    return (
        f"the target {target.name} does not say who its {role} is",
        f"name a node, or declare the role in {target.compose_file}: {declare}{near}",
    )
