"""Which kind of evidence is looked for by whom. A new kind is a Sight and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from chaoskit.faults.evidence.failing import Refused, Reset, Silent, Timeout
from chaoskit.faults.evidence.processes import Down, Frozen, Restarted
from chaoskit.faults.evidence.scene import Scene
from chaoskit.faults.evidence.sight import LinkSight, Sight, Unknown
from chaoskit.faults.evidence.timing import Latency
from chaoskit.stack.effects import Evidence
from chaoskit.stack.topology import Protocol

__all__ = ["KINDS", "blind", "sight_of"]

KINDS: Mapping[str, type[Sight]] = {
    "down": Down,
    "frozen": Frozen,
    "latency": Latency,
    "refused": Refused,
    "reset": Reset,
    "restarted": Restarted,
    "silent": Silent,
    "timeout": Timeout,
}


def sight_of(item: Evidence, scene: Scene) -> Sight:
    """What looks for this piece of evidence."""
    return KINDS.get(item.kind, Unknown)(item, scene)


def blind(item: Evidence, protocol: Protocol) -> str | None:
    """Why this can never be seen on a link of that protocol; None where it can. For warnings while planning."""
    kind = KINDS.get(item.kind)
    if kind is not None and issubclass(kind, LinkSight) and kind.speaks and protocol == "tcp":
        return f"{item.link} speaks plain TCP: no canary can see {item.kind}; declare its `protocol`"
    return None
