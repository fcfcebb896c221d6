"""Checks of the timeline: selectors match, what they match may be broken, and each fault compiles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from chaoskit import registry
from chaoskit.errors import PlanError
from chaoskit.faults.model import Compiled, Fault, Ground, ParameterError
from chaoskit.faults.places import ALLOW, ends, forbidden, undeclared
from chaoskit.lint.model import Expanded, Scene, derive_seed, stretches
from chaoskit.spec.model import Injection
from chaoskit.spec.nodes import Node
from chaoskit.spec.parameters import parameter_names
from chaoskit.stack.selectors import SelectorError, select_links, select_nodes
from chaoskit.stack.topology import Link
from chaoskit.units import format_duration

__all__ = ["check_timeline"]


def check_timeline(scene: Scene) -> None:
    """Every injection is expanded and compiled, and ends before the load does."""
    experiment = scene.loaded.experiment
    for injection in experiment.timeline:
        entry = scene.loaded.entry("timeline", injection.id)
        expanded = _Expansion(scene, injection, entry).expanded()
        if expanded is not None:
            scene.found.expanded[injection.id] = expanded
        end = injection.at if injection.until is None else injection.until
        if end > experiment.duration or injection.at >= experiment.duration:
            _too_long(scene, injection.id, end, entry.get("for") or entry.get("at") or entry)
    for one in stretches(scene.loaded):
        if one.id == experiment.traffic.arrivals.id and one.end > experiment.duration:
            _too_long(scene, one.id, one.end, scene.loaded.root.walk(("traffic", "arrivals")))


def _too_long(scene: Scene, identity: str, end: float, node: Node) -> None:
    what = f"{identity} lasts until {format_duration(end)}"
    why = f"the load ends at {format_duration(scene.loaded.experiment.duration)}"
    scene.problem(node.place, what, why, "shorten it or raise duration")


class _Expansion:
    """One injection: what it is on, and what its fault makes of it."""

    def __init__(self, scene: Scene, injection: Injection, entry: Node) -> None:
        self._scene, self._injection, self._entry = scene, injection, entry
        self._fault: Fault[Any] = registry.load("fault", injection.fault)
        self._written = entry.get("on") or entry

    def expanded(self) -> Expanded | None:
        """None, on record, when it cannot be carried out."""
        before = len(self._scene.found.problems)
        links, nodes = self._selected()
        self._safe([*(link.destination for link in links), *nodes])
        if len(self._scene.found.problems) > before or not self._readable():
            return None
        try:
            found = self._compiled(links, nodes)
        except ParameterError as error:
            self._scene.problem(self._entry.walk(error.path).place, error.message, "", error.hint or "")
            return None
        except PlanError as error:
            self._scene.problem(self._entry.place, error.message, "", error.hint or "")
            return None
        if found is not None:
            self._safe(self._struck(found))
            self._seen(found)
        return None if len(self._scene.found.problems) > before else found

    def _selected(self) -> tuple[list[Link], list[str]]:
        """What `on:` matches."""
        topology = self._scene.target.topology
        links: dict[str, Link] = {}
        nodes: dict[str, None] = {}
        for i, selector in enumerate(self._injection.on):
            node = self._written.items[i] if i < len(self._written.items) else self._written
            try:
                if self._fault.targets == "links":
                    links |= {link.id: link for link in select_links(selector, topology)}
                else:
                    nodes |= dict.fromkeys(select_nodes(selector, topology))
            except SelectorError as error:
                self._scene.problem(node.at(error.offset), error.what, error.why, error.hint)
        return list(links.values()), list(nodes)

    def _safe(self, names: Iterable[str]) -> None:
        """Whether what is hit may be broken."""
        for what, why in forbidden(self._fault, names, self._scene.target):
            self._scene.problem(self._written.place, what, why, ALLOW)

    def _readable(self) -> bool:
        """Whether the parameters were understood; where they were not, that has been said."""
        given, fault = self._injection.parameters, self._fault
        if any(self._entry.get(name) and name not in given for name in parameter_names(fault)):
            return False
        if not given:
            try:
                fault.stored(given)
            except PlanError:
                return False
        return True

    def _compiled(self, links: list[Link], nodes: list[str]) -> Expanded | None:
        """The fault on its ground: once, or once per node that can hold the role which it is placed by.

        Raises:
            PlanError: the parameters do not fit.
        """
        scene, injection, fault = self._scene, self._injection, self._fault
        near = ends(links, nodes, scene.target)
        length = None if injection.until is None else injection.until - injection.at
        seed = derive_seed(scene.loaded.experiment.seed, "fault", injection.id)

        def compiled(roles: dict[str, str]) -> Compiled:
            ground = Ground(scene.target, near, tuple(nodes), seed, length, scene.toxiproxy, roles)
            return fault.compile(injection.id, injection.parameters, ground)

        role = fault.role(injection.parameters, scene.target)
        if role is None:
            return Expanded(tuple(nodes), compiled({}))
        declared = {one.name: one.nodes for one in scene.target.roles}
        if not declared.get(role):
            what, hint = undeclared(role, scene.target)
            scene.problem(self._entry.place, what, "", hint)
            return None
        choices = {node: compiled({role: node}) for node in declared[role]}
        return Expanded(tuple(nodes), next(iter(choices.values())), role, choices)

    def _struck(self, found: Expanded) -> Iterator[str]:
        """Who is hit by a fault that names its own places."""
        if self._fault.targets == "nothing":
            destinations = {link.id: link.destination for link in self._scene.target.topology.links}
            yield from (destinations[link] for link in found.links)

    def _seen(self, found: Expanded) -> None:
        """Warn where nothing can show what is asked for."""
        protocols = {link.id: link.protocol for link in self._scene.target.topology.links}
        counted = self._scene.toxiproxy == "embedded"
        for item in found.compiled.evidence:
            protocol = protocols.get(item.link or "", "tcp")
            if item.link is None or (counted and protocol != "tcp"):
                continue  # a canary speaks and the link counts: one of them shows it
            from chaoskit.faults.evidence.kinds import blind  # loads what `validate` can mostly do without

            reason = blind(item, protocol, counted=counted)
            if reason is not None:
                self._scene.warn(reason)
