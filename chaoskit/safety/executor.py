"""Brings links and nodes into the state that the active effects ask for; the only code that bends anything.

Nothing is ever "undone". The desired state of a link or node is the fold of the effects that are active now; `begin`
and `end` change which are active and then settle what they touch, each link and node under a lock of its own, so that
overlapping injections may begin and end in any order and a node that takes long to start holds nobody up. (Actions of
the target are no states; `deeds.py` sees to them.)
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import defaultdict
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import NamedTuple

from chaoskit import linux
from chaoskit.contracts import ActionControl, LinkControl, NodeControl
from chaoskit.errors import ChaosKitError, HealError, LinkError
from chaoskit.safety.deeds import Deeds
from chaoskit.safety.readback import same, short
from chaoskit.stack.effects import (
    CLEAN,
    ActionEffect,
    Effect,
    LinkEffect,
    LinkState,
    NodeEffect,
    NodeState,
    StressEffect,
    fold_links,
    fold_nodes,
    fold_stress,
    place_of,
)

__all__ = ["Confirmed", "Executor", "links_by_destination"]

_log = logging.getLogger(__name__)


class Confirmed(NamedTuple):
    """`at_ns`: monotonic instant at which all was read back. `state`: place (`effects.place_of`) -> what was read back;
    of stress the processors that are burnt, of an action the text that it returned."""

    at_ns: int
    state: dict[str, LinkState | NodeState | float | str]


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
            a proxy accepts on behalf of a dead node and clients could not tell whether their write arrived. Those that
            are silent stay so: through a cut nobody learns that the node behind it died.
        actions: the driver's control of what the target declares; None where it declares nothing.
    """

    def __init__(
        self,
        links: LinkControl,
        nodes: NodeControl,
        links_to: Mapping[str, Sequence[str]],
        actions: ActionControl | None = None,
    ) -> None:
        self._links, self._nodes = links, nodes
        self._deeds = Deeds(actions)
        self._links_to = links_to
        self._node_of = {link: node for node, ids in links_to.items() for link in ids}
        self._active: dict[str, Effect] = {}  # by id, in the order of their begin
        self._until: dict[str, int] = {}  # effect -> monotonic ns at which it ends by itself
        # What was last read back; None while a change is under way or after it failed; absent = never touched.
        self._seen_links: dict[str, LinkState | None] = {}
        self._seen_nodes: dict[str, NodeState | None] = {}
        self._seen_stress: dict[str, tuple[float, int | None] | None] = {}  # processors, until when
        self._wiped: set[str] = set()  # nodes that are dead and whose data has been thrown away
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def active(self) -> tuple[Effect, ...]:
        """Effects that are active, in the order of their begin."""
        return tuple(self._active.values())

    @property
    def unsettled(self) -> bool:
        """Whether something may be otherwise than it shall be: a change failed or is under way."""
        seen: list[Mapping[str, object]] = [self._seen_links, self._seen_nodes, self._seen_stress]
        return any(None in found.values() for found in seen) or bool(self._deeds.unsettled)

    async def begin(self, effects: Sequence[Effect], deadline_ns: int | None = None) -> Confirmed:
        """Make effects active; those that are active already change nothing (but for their deadline).

        Args:
            deadline_ns: what ends by itself does so at this monotonic instant (whoever calls ends the rest).

        Raises:
            LinkError, TargetError ...: the first thing that went wrong; these effects are taken back.
            HealError: and they could not be.
        """
        fresh = [effect for effect in effects if effect.id not in self._active]
        self._active.update((effect.id, effect) for effect in fresh)
        if deadline_ns is not None:
            self._until.update(dict.fromkeys((effect.id for effect in effects), deadline_ns))
        try:
            return await self._settle(effects)
        except ChaosKitError as error:
            self._forget(fresh)
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
        self._forget(ended)
        linux.halt("healing")
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
        burnt = [node for node, state in self._seen_stress.items() if state is None]
        await self._all([self._settle_node(node) for node in nodes])
        await self._all(
            [
                *(self._settle_link(link) for link in links),
                *(self._settle_stress(node) for node in burnt),
                *(self._settle_action(effect) for effect in self._deeds.unsettled),
            ]
        )

    async def heal_all(self, *, nodes: bool = True) -> None:
        """Take everything back, newest first, going on past errors, and read every touched link back.

        Args:
            nodes: False where the nodes are about to be stopped anyway: then only links are healed, and what was done
                to the nodes ends with them.

        Raises:
            HealError: what is left, with the first reason.
        """
        self._active.clear()
        self._until.clear()
        problems: list[str] = []
        if nodes:
            problems += await self._past_errors(
                [
                    *((f"stress of {node}", self._settle_stress(node)) for node in reversed(list(self._seen_stress))),
                    *((node, self._settle_node(node)) for node in reversed(list(self._seen_nodes))),
                ]
            )
            problems += await self._past_errors(
                [(f"action {deed.action}", self._settle_action(deed)) for deed in reversed(self._deeds.known)]
            )
        else:
            await self._deeds.drop()
            self._seen_stress.clear()
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
        if node is None or state.silent:
            return state
        dead = "killed" in (self.desired_node(node), self._seen_nodes.get(node, "running"))
        return state.model_copy(update={"enabled": False}) if dead else state

    def desired_node(self, node: str) -> NodeState:
        """What a node shall be doing now."""
        return fold_nodes(self._active.values()).get(node, "running")

    def _forget(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            self._active.pop(effect.id, None)
            self._until.pop(effect.id, None)

    async def _settle(self, effects: Sequence[Effect]) -> Confirmed:
        """Settle what the effects touch: nodes and the links to them, other links, burners and actions beside them."""
        links = {effect.link: None for effect in effects if isinstance(effect, LinkEffect)}
        nodes = {effect.node: None for effect in effects if isinstance(effect, NodeEffect)}
        burnt = {effect.node: place_of(effect) for effect in effects if isinstance(effect, StressEffect)}
        deeds = [effect for effect in effects if isinstance(effect, ActionEffect)]
        await self._all(
            [
                *(self._settle_node(node) for node in nodes),
                *(self._settle_link(link) for link in links),
                *(self._settle_stress(node) for node in burnt),
                *(self._settle_action(effect) for effect in deeds),
            ]
        )
        state: dict[str, LinkState | NodeState | float | str] = {}
        for node in nodes:
            links.update(dict.fromkeys(self._links_to.get(node, ())))
            state[node] = self._seen_nodes.get(node) or "running"
        state.update({link: self._seen_links.get(link) or CLEAN for link in links})
        state.update({place: (self._seen_stress.get(node) or (0.0, None))[0] for node, place in burnt.items()})
        state.update({place_of(effect): self._deeds.result(effect.id) for effect in deeds})
        return Confirmed(time.monotonic_ns(), state)

    async def _settle_node(self, node: str) -> None:
        async with self._locks[node]:
            wanted = self.desired_node(node)
            known = self._seen_nodes.get(node, "running")
            wipe = wanted == "killed" and self._wipes(node) and node not in self._wiped
            if known != wanted or wipe:
                # A killed node that is about to start counts as killed until it runs: its links go on refusing.
                self._seen_nodes[node] = "killed" if known == "killed" else None
                try:
                    if wanted == "killed":
                        await self._nodes.kill(node, wipe=wipe)
                        self._wiped |= {node} if wipe else set()
                    elif known != "running":
                        self._wiped.discard(node)
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

    def _wipes(self, node: str) -> bool:
        return any(
            isinstance(effect, NodeEffect) and effect.node == node and effect.wipe for effect in self._active.values()
        )

    async def _settle_stress(self, node: str) -> None:
        async with self._locks[f"stress:{node}"]:
            active = [e for e in self._active.values() if isinstance(e, StressEffect) and e.node == node]
            cpu = fold_stress(active).get(node, 0.0)
            ends = [self._until.get(effect.id, 0) for effect in active]
            until = max(ends) if ends and all(ends) else None
            if self._seen_stress.get(node, (0.0, None)) == (cpu, until):
                return
            self._seen_stress[node] = None
            found = await self._nodes.stress(node, cpu, until)
            if not math.isclose(found, cpu, abs_tol=1e-6):
                raise LinkError(f"{found:g} processors are burnt beside {node} after it was to be {cpu:g}")
            self._seen_stress[node] = (cpu, until)

    async def _settle_action(self, effect: ActionEffect) -> None:
        await self._deeds.settle(effect, wanted=effect.id in self._active)

    async def _settle_link(self, link: str, *, look: bool = False) -> None:
        """Apply the difference; with `look` trust only what is read back now."""
        async with self._locks[link]:
            wanted = self.desired_link(link)
            if not look and same(self._seen_links.get(link, CLEAN), wanted):
                return
            self._seen_links[link] = None
            found = await self._links.read(link) if look else None
            if not same(found, wanted):
                found = await self._links.apply(link, wanted)
            if not same(found, wanted):
                raise LinkError(
                    f"link {link} reads back {short(found)} after it was to be {short(wanted)}",
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


def _mapped(error: BaseException) -> BaseException:
    """A control's bug must not escape as a foreign exception: rollback catches our own only."""
    if isinstance(error, ChaosKitError) or not isinstance(error, Exception):
        return error
    found = LinkError(f"{type(error).__name__}: {error}")
    found.__cause__ = error
    return found
