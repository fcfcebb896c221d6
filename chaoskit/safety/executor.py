"""Brings links and nodes into the state that the active effects ask for; the only code that bends anything.

Nothing is ever "undone". The desired state of a link or node is the fold of the effects that are active now; `begin`
and `end` change which are active and then settle what they touch, each link and node under a lock of its own, so that
overlapping injections may begin and end in any order and a node that takes long to start holds nobody up.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import defaultdict
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import NamedTuple

from chaoskit.contracts import LinkControl, NodeControl
from chaoskit.errors import ChaosKitError, HealError, LinkError
from chaoskit.stack.effects import (
    CLEAN,
    Effect,
    LinkEffect,
    LinkState,
    NodeEffect,
    NodeState,
    Toxic,
    fold_links,
    fold_nodes,
)

__all__ = ["Confirmed", "Executor", "links_by_destination"]

_log = logging.getLogger(__name__)


class Confirmed(NamedTuple):
    """`at_ns`: monotonic instant at which all was read back. `state`: link or node -> what was read back."""

    at_ns: int
    state: dict[str, LinkState | NodeState]


def links_by_destination(links: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Node -> ids of the links that end at it (`api->db:5432` ends at `db`)."""
    found: dict[str, list[str]] = defaultdict(list)
    for link in links:
        found[link.partition("->")[2].rpartition(":")[0]].append(link)
    return {node: tuple(ids) for node, ids in found.items()}


class Executor:
    """Of one stack that is up.

    Args:
        links, nodes: the driver's controls.
        links_to: node -> links that end at it; they refuse while the node is killed, until it is ready again, because
            a proxy accepts on behalf of a dead node and clients could not tell whether their write arrived.
    """

    def __init__(self, links: LinkControl, nodes: NodeControl, links_to: Mapping[str, Sequence[str]]) -> None:
        self._links, self._nodes = links, nodes
        self._links_to = links_to
        self._node_of = {link: node for node, ids in links_to.items() for link in ids}
        self._active: dict[str, Effect] = {}  # by id, in the order of their begin
        # What was last read back; None while a change is under way or after it failed; absent = never touched.
        self._seen_links: dict[str, LinkState | None] = {}
        self._seen_nodes: dict[str, NodeState | None] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def active(self) -> tuple[Effect, ...]:
        """Effects that are active, in the order of their begin."""
        return tuple(self._active.values())

    @property
    def unsettled(self) -> bool:
        """Whether something may be otherwise than it shall be: a change failed or is under way."""
        return None in self._seen_links.values() or None in self._seen_nodes.values()

    async def begin(self, effects: Sequence[Effect]) -> Confirmed:
        """Make effects active; those that are active already change nothing.

        Raises:
            LinkError, TargetError ...: the first thing that went wrong; these effects are taken back.
            HealError: and they could not be.
        """
        fresh = [effect for effect in effects if effect.id not in self._active]
        self._active.update((effect.id, effect) for effect in fresh)
        try:
            return await self._settle(effects)
        except ChaosKitError as error:
            for effect in fresh:
                self._active.pop(effect.id, None)
            try:
                await self._settle(list(reversed(fresh)))
            except ChaosKitError as second:
                raise HealError(
                    f"{error.message}; and it could not be taken back: {second.message}",
                    hint="the supervisor goes on trying, and stops the stack at the end of the run",
                ) from error
            raise

    async def end(self, ids: Iterable[str]) -> Confirmed:
        """Take effects back; unknown and ended ones are nothing to do.

        Raises:
            HealError: something could not be taken back; the effects are no longer active and `retry` tries again.
        """
        ended = [effect for effect in map(self._active.get, ids) if effect is not None]
        for effect in ended:
            self._active.pop(effect.id, None)
        try:
            return await self._settle(list(reversed(ended)))
        except ChaosKitError as error:
            raise HealError(f"could not heal: {error.message}", hint=error.hint) from error

    async def retry(self) -> None:
        """Settle once more what is unsettled.

        Raises:
            ChaosKitError: it still does not work.
        """
        nodes = [node for node, state in self._seen_nodes.items() if state is None]
        links = [link for link, state in self._seen_links.items() if state is None]
        await self._all([self._settle_node(node) for node in nodes])
        await self._all([self._settle_link(link) for link in links])

    async def heal_all(self, *, nodes: bool = True) -> None:
        """Take everything back, newest first, going on past errors, and read every touched link back.

        Args:
            nodes: False where the nodes are about to be stopped anyway: then only links are healed.

        Raises:
            HealError: what is left, with the first reason.
        """
        self._active.clear()
        problems: list[str] = []
        if nodes:
            problems += await self._past_errors(
                [(node, self._settle_node(node)) for node in reversed(list(self._seen_nodes))]
            )
        self._seen_nodes.clear()  # from here on no link refuses on behalf of a node
        problems += await self._past_errors(
            [(link, self._settle_link(link, look=True)) for link in reversed(list(self._seen_links))]
        )
        if problems:
            raise HealError(
                f"could not heal {len(problems)} of the links and nodes that were bent: " + "; ".join(problems),
                hint="stop the run; `chaoskit recover` cleans up what it leaves",
            )

    def desired_link(self, link: str) -> LinkState:
        """What a link shall be like now."""
        state = fold_links(self._active.values()).get(link, CLEAN)
        node = self._node_of.get(link)
        if node is None:
            return state
        dead = "killed" in (self.desired_node(node), self._seen_nodes.get(node, "running"))
        return state.model_copy(update={"enabled": False}) if dead else state

    def desired_node(self, node: str) -> NodeState:
        """What a node shall be doing now."""
        return fold_nodes(self._active.values()).get(node, "running")

    async def _settle(self, effects: Sequence[Effect]) -> Confirmed:
        """Settle what the effects touch: nodes and the links to them, other links beside them."""
        links = {effect.link: None for effect in effects if isinstance(effect, LinkEffect)}
        nodes = {effect.node: None for effect in effects if isinstance(effect, NodeEffect)}
        await self._all([*(self._settle_node(node) for node in nodes), *(self._settle_link(link) for link in links)])
        state: dict[str, LinkState | NodeState] = {}
        for node in nodes:
            links.update(dict.fromkeys(self._links_to.get(node, ())))
            state[node] = self._seen_nodes.get(node) or "running"
        state.update({link: self._seen_links.get(link) or CLEAN for link in links})
        return Confirmed(time.monotonic_ns(), state)

    async def _settle_node(self, node: str) -> None:
        async with self._locks[node]:
            wanted = self.desired_node(node)
            known = self._seen_nodes.get(node, "running")
            if known != wanted:
                # A killed node that is about to start counts as killed until it runs: its links go on refusing.
                self._seen_nodes[node] = "killed" if known == "killed" else None
                try:
                    if wanted == "killed":
                        await self._nodes.kill(node)
                    elif known != "running":
                        await self._nodes.run(node)
                    if wanted == "paused":
                        await self._nodes.pause(node)
                    found = await self._nodes.state(node)
                except BaseException:
                    self._seen_nodes[node] = None
                    raise
                if found != wanted:
                    self._seen_nodes[node] = None
                    raise LinkError(f"node {node} is {found} after it was to be {wanted}")
                self._seen_nodes[node] = wanted
        await self._all([self._settle_link(link) for link in self._links_to.get(node, ())])

    async def _settle_link(self, link: str, *, look: bool = False) -> None:
        """Apply the difference; with `look` trust only what is read back now."""
        async with self._locks[link]:
            wanted = self.desired_link(link)
            if not look and _same(self._seen_links.get(link, CLEAN), wanted):
                return
            self._seen_links[link] = None
            found = await self._links.read(link) if look else None
            if not _same(found, wanted):
                found = await self._links.apply(link, wanted)
            if not _same(found, wanted):
                raise LinkError(
                    f"link {link} reads back {_short(found)} after it was to be {_short(wanted)}",
                    hint="something else changes the same Toxiproxy, or it does not know this toxic",
                )
            self._seen_links[link] = found

    async def _all(self, work: Sequence[Awaitable[None]]) -> None:
        """Do all of it side by side, all to its end, then raise the first error (foreign ones mapped)."""
        errors = [r for r in await asyncio.gather(*work, return_exceptions=True) if isinstance(r, BaseException)]
        for error in errors[1:]:
            _log.warning("another error: %s", error)
        if errors:
            raise _mapped(errors[0])

    async def _past_errors(self, work: Sequence[tuple[str, Awaitable[None]]]) -> list[str]:
        results = await asyncio.gather(*(job for _, job in work), return_exceptions=True)
        return [
            f"{name}: {_mapped(result)}"
            for (name, _), result in zip(work, results, strict=True)
            if isinstance(result, BaseException)
        ]


def _same(found: LinkState | None, wanted: LinkState) -> bool:
    """Whether a link is as it shall be: how toxics of the two directions are interleaved means nothing (Toxiproxy sorts
    them), and a server may tell attributes that were left out."""
    if found is None or found.enabled != wanted.enabled:
        return False
    pairs = [(_chain(found, stream), _chain(wanted, stream)) for stream in ("upstream", "downstream")]
    return all(len(ours) == len(theirs) and all(map(_same_toxic, ours, theirs)) for ours, theirs in pairs)


def _chain(state: LinkState, stream: str) -> list[Toxic]:
    return [toxic for toxic in state.toxics if toxic.stream == stream]


def _same_toxic(found: Toxic, wanted: Toxic) -> bool:
    return (
        (found.name, found.type) == (wanted.name, wanted.type)
        and math.isclose(found.toxicity, wanted.toxicity, abs_tol=1e-6)  # a 32-bit float in the server
        and wanted.attributes.items() <= found.attributes.items()
    )


def _mapped(error: BaseException) -> BaseException:
    """A control's bug must not escape as a foreign exception: rollback catches our own only."""
    if isinstance(error, ChaosKitError) or not isinstance(error, Exception):
        return error
    found = LinkError(f"{type(error).__name__}: {error}")
    found.__cause__ = error
    return found


def _short(state: LinkState | None) -> str:
    if state is None:
        return "unknown"
    toxics = ", ".join(f"{toxic.type} {toxic.stream} {toxic.attributes}" for toxic in state.toxics)
    return f"{'enabled' if state.enabled else 'disabled'} with {toxics or 'no toxics'}"
