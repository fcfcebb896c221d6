"""Effects as data, and the fold: what state every link and node shall have, given what is active now.

Healing is idempotent and overlaps are safe because nobody "undoes" anything: the desired state is computed anew from
the effects that are still active, and the executor applies the difference.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from chaoskit.data import Frozen

__all__ = [
    "CLEAN",
    "Effect",
    "Evidence",
    "LinkEffect",
    "LinkState",
    "NodeEffect",
    "NodeState",
    "Toxic",
    "fold_links",
    "fold_nodes",
]

NodeState = Literal["running", "paused", "killed"]


class Toxic(Frozen):
    """One toxic of Toxiproxy: `attributes` in Toxiproxy's own units (ms, bytes, KB/s)."""

    name: str
    type: str
    stream: Literal["upstream", "downstream"] = "downstream"
    toxicity: float = 1.0
    attributes: dict[str, int] = {}


class LinkState(Frozen):
    """What a link is like: `enabled` False = refuses and cuts; toxics in chain order."""

    enabled: bool = True
    toxics: tuple[Toxic, ...] = ()


CLEAN = LinkState()


class LinkEffect(Frozen):
    """`link` shall be refused (enabled=False) and/or carry these toxics while the effect is active."""

    kind: Literal["link"] = "link"
    id: str  # unique in a cell: "<injection>/<n>"; toxic names begin with it
    injection: str
    link: str
    enabled: bool = True
    toxics: tuple[Toxic, ...] = ()


class NodeEffect(Frozen):
    """`node` shall be paused or killed while the effect is active; healed = running again, its data kept."""

    kind: Literal["node"] = "node"
    id: str
    injection: str
    node: str
    state: Literal["paused", "killed"]


Effect = Annotated[LinkEffect | NodeEffect, Field(discriminator="kind")]


class Evidence(Frozen):
    """What a canary must see on one link (or node) for an injection to count.

    kind: latency (added `expected` seconds round trip), refused (connect refused), silent (no answer within
    `expected` seconds), reset (connection reset on use), timeout (no answer, closed after `expected` seconds),
    down / frozen / restarted (node: no process, none running, none of the former ones).
    """

    kind: str
    link: str | None = None
    node: str | None = None
    expected: float = 0.0
    tolerance: float = 0.0


def fold_links(active: Iterable[Effect]) -> dict[str, LinkState]:
    """Desired state of every link that an active effect touches; links not named are CLEAN. Order = begin order."""
    found: dict[str, LinkState] = {}
    for effect in active:
        if isinstance(effect, LinkEffect):
            now = found.get(effect.link, CLEAN)
            found[effect.link] = LinkState(enabled=now.enabled and effect.enabled, toxics=now.toxics + effect.toxics)
    return found


def fold_nodes(active: Iterable[Effect]) -> dict[str, NodeState]:
    """Desired state of every node that an active effect touches; killed beats paused."""
    found: dict[str, NodeState] = {}
    for effect in active:
        if isinstance(effect, NodeEffect):
            found[effect.node] = "killed" if "killed" in (effect.state, found.get(effect.node)) else effect.state
    return found
