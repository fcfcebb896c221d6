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
    "ActionEffect",
    "Effect",
    "Evidence",
    "LinkEffect",
    "LinkState",
    "NodeEffect",
    "NodeState",
    "Passage",
    "StressEffect",
    "Toxic",
    "burners_of",
    "fold_links",
    "fold_nodes",
    "fold_stress",
    "place_of",
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

    @property
    def silent(self) -> bool:
        """Whether nothing at all comes through, in neither direction: no data, no end, no connect."""
        mute = {toxic.stream for toxic in self.toxics if toxic.type == "blackhole" and toxic.toxicity >= 1}
        return self.enabled and len(mute) == 2


CLEAN = LinkState()


class _Timed(Frozen):
    """What every effect has. `begins` and `ends` are seconds from the begin of its injection; `ends` None = with it."""

    id: str  # unique in a cell: "<injection>/<n>"; toxic names begin with it
    injection: str
    begins: float = 0.0
    ends: float | None = None


class LinkEffect(_Timed):
    """`link` shall be refused (enabled=False) and/or carry these toxics while the effect is active."""

    kind: Literal["link"] = "link"
    link: str
    enabled: bool = True
    toxics: tuple[Toxic, ...] = ()


class NodeEffect(_Timed):
    """`node` shall be paused or killed while the effect is active; healed = running again.

    Its data is kept, or thrown away when it is killed (`wipe`), so that it starts as new.
    """

    kind: Literal["node"] = "node"
    node: str
    state: Literal["paused", "killed"]
    wipe: bool = False


class StressEffect(_Timed):
    """`cpu` processors shall be burnt beside `node`, on the processors it may use, while the effect is active."""

    kind: Literal["stress"] = "stress"
    node: str
    cpu: float


class ActionEffect(_Timed):
    """`action`, a function of the target, shall have been done; `undo` (another one) takes it back, where there is one.

    Attributes:
        arguments: texts by name, as the experiment gives them.
        timeout: seconds that the action, and its undo, may take.
    """

    kind: Literal["action"] = "action"
    action: str
    arguments: dict[str, str] = {}
    undo: str | None = None
    timeout: float = 10.0


Effect = Annotated[LinkEffect | NodeEffect | StressEffect | ActionEffect, Field(discriminator="kind")]


class Passage(Frozen):
    """What may pass over a link while a fault lasts: bytes of the one who dials (`up`), and of the other (`down`)."""

    link: str
    up: bool
    down: bool


class Evidence(Frozen):
    """What must be seen on one link (or node) for an injection to count.

    By a canary, a client of our own through the link:
        latency: the round trip grows by `expected` seconds. refused: connects are refused. silent: no answer within
        `expected` seconds. reset: reset on use. timeout: no answer, closed after `expected` seconds. slow_close: the
        end comes `expected` seconds after the answer. flaky: a share `expected` of new connections fails.
    By what the link itself counts (bytes per direction, hits of `toxics`), for which there must be traffic:
        bandwidth: at most `expected` bytes per second, and something was held back. sliced: pieces of `expected` bytes
        (the segments of a canary's answer bear it out, where it speaks the protocol).
        limited: connections were cut after `expected` bytes. cut: no byte passes in the direction `stream`, and some
        did before. open: bytes go on passing in that direction.
    Of the node: down / frozen / restarted: no process, none running, none of the former ones. stress: `expected`
        processors are burnt. Of the action: done.
    Of a link that another injection hides: back: nothing can be seen of it there but that it answers in the end.
        `ends_with`: the injection that outlasts this one there, whose own end shows the end of both.
    """

    kind: str
    link: str | None = None
    node: str | None = None
    expected: float = 0.0
    tolerance: float = 0.0
    stream: Literal["up", "down", "both"] = "both"
    toxics: tuple[str, ...] = ()
    ends_with: str = ""


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


def fold_stress(active: Iterable[Effect]) -> dict[str, float]:
    """Processors to burn beside every node that an active effect touches: they add up."""
    found: dict[str, float] = {}
    for effect in active:
        if isinstance(effect, StressEffect):
            found[effect.node] = found.get(effect.node, 0.0) + effect.cpu
    return found


def place_of(effect: Effect) -> str:
    """What an effect is on, as it is called in the ledger and in answers: a link, a node, `stress:NODE` or
    `action:NAME`."""
    if isinstance(effect, LinkEffect):
        return effect.link
    if isinstance(effect, NodeEffect):
        return effect.node
    return f"stress:{effect.node}" if isinstance(effect, StressEffect) else f"action:{effect.action}"


def burners_of(node: str) -> str:
    """What the processes that burn processors beside a node are called, where processes are asked for by name."""
    return f"{node}/stress"  # no node has a slash in its name
