"""Which kind of evidence is looked for by whom. A new kind is a Sight and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from chaoskit.faults.evidence.carrying import Bandwidth, Cut, Limited, Open
from chaoskit.faults.evidence.failing import Back, Flaky, Flap, Refused, Reset, Silent, Timeout
from chaoskit.faults.evidence.load import Done, Stressed
from chaoskit.faults.evidence.processes import Down, Frozen, Restarted
from chaoskit.faults.evidence.scene import Scene
from chaoskit.faults.evidence.sight import Sight, Unknown
from chaoskit.faults.evidence.slicing import Sliced
from chaoskit.faults.evidence.timing import Latency, SlowClose
from chaoskit.stack.effects import Evidence
from chaoskit.stack.topology import Protocol

__all__ = ["KINDS", "blind", "sight_of"]

KINDS: Mapping[str, type[Sight]] = {
    "back": Back,
    "bandwidth": Bandwidth,
    "cut": Cut,
    "done": Done,
    "down": Down,
    "flaky": Flaky,
    "flap": Flap,
    "frozen": Frozen,
    "latency": Latency,
    "limited": Limited,
    "open": Open,
    "refused": Refused,
    "reset": Reset,
    "restarted": Restarted,
    "silent": Silent,
    "sliced": Sliced,
    "slow_close": SlowClose,
    "stress": Stressed,
    "timeout": Timeout,
}


def sight_of(item: Evidence, scene: Scene) -> Sight:
    """What looks for this piece of evidence."""
    return KINDS.get(item.kind, Unknown)(item, scene)


def blind(item: Evidence, protocol: Protocol, *, counted: bool = True) -> str | None:
    """Why this piece of evidence can never be seen, as a sentence without a full stop; None where it can. For warnings
    while planning.

    Args:
        protocol: of the link. counted: the server counts what its links carry; the real Toxiproxy does not.
    """
    kind = KINDS.get(item.kind)
    reason = kind.blind(item, protocol, counted) if kind is not None and item.link is not None else None
    return None if reason is None else f"{item.link}: {reason}"
