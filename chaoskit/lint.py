"""Semantic checks: an experiment against its target. Problems stop a run, warnings are printed by the plan. Pure.

What can be told from the experiment's text alone `spec.load` has told already; here are the mistakes that need both
files: unknown services, classes and invariants, selectors that match nothing, faults that contradict each other,
windows in which nothing could be counted. All of them at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Literal

from chaoskit import registry
from chaoskit.checks.limits import MINIMUM_OPERATIONS
from chaoskit.errors import PlanError, Problem, SpecError
from chaoskit.faults.model import Compiled, Ground
from chaoskit.spec.load import Loaded, read_experiment
from chaoskit.spec.model import Arrivals, Claim, Condition, Injection, Window
from chaoskit.spec.nodes import Node, Place
from chaoskit.spec.suggest import did_you_mean, listed
from chaoskit.stack.compose import read_target
from chaoskit.stack.references import references
from chaoskit.stack.selectors import SelectorError, select_links, select_nodes
from chaoskit.stack.topology import Link, Target, WorkloadSpec
from chaoskit.units import format_duration, format_rate

__all__ = ["Checked", "Expanded", "Stretch", "check", "derive_seed", "load_both", "stretches"]

_MOST_IN_FLIGHT = 20_000  # connections of one run; file descriptors and ports are finite
_SHORT_BASELINE = 2.0
_LONG_RUN = 4 * 3600.0
_NEEDED = {"p99.9": 10 * MINIMUM_OPERATIONS}


@dataclass(frozen=True)
class Expanded:
    """What the selectors of an injection matched, and what its fault made of it."""

    links: tuple[Link, ...]
    nodes: tuple[str, ...]
    compiled: Compiled


@dataclass(frozen=True)
class Stretch:
    """A fault, spike or ramp as planned; `until` None = an instant. Seconds from t=0."""

    id: str
    at: float
    until: float | None

    @property
    def end(self) -> float:
        """Where it is over."""
        return self.at if self.until is None else self.until


@dataclass
class Checked:
    """What the checks found. `expanded` has an entry per injection that could be compiled."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    expanded: dict[str, Expanded] = field(default_factory=dict)
    workload: WorkloadSpec | None = None
    mix: dict[str, float] = field(default_factory=dict)


def load_both(path: Path, *, overrides: Sequence[str] = (), environ: Mapping[str, str]) -> tuple[Loaded, Target]:
    """An experiment and its target, or everything that is wrong with both of them at once.

    Raises:
        SpecError: the user's to mend.
    """
    loaded, problems = read_experiment(path, overrides=overrides, environ=environ)
    target: Target | None = None
    if loaded is not None and loaded.experiment.target and Path(loaded.experiment.target).exists():
        target, found = read_target(Path(loaded.experiment.target), environ)
        problems = problems + found
        if target is not None:
            problems += check(loaded, target).problems
    if problems or loaded is None or target is None:
        raise SpecError(problems)
    return loaded, target


def derive_seed(*parts: object) -> int:
    """A seed from other seeds and names: the first 63 bits of SHA-256 of them, joined by a zero byte."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def stretches(loaded: Loaded) -> list[Stretch]:
    """Everything that claims can name, in order of its beginning."""
    found = [Stretch(one.id, one.at, one.until) for one in loaded.experiment.timeline]
    arrivals = loaded.experiment.traffic.arrivals
    if arrivals.id is not None and arrivals.at is not None and arrivals.over is not None:
        found.append(Stretch(arrivals.id, arrivals.at, arrivals.at + arrivals.over))
    return sorted(found, key=lambda one: one.at)


def check(loaded: Loaded, target: Target, toxiproxy: Literal["embedded", "real"] = "embedded") -> Checked:
    """Everything that is wrong, and what is only strange, about an experiment on a target."""
    checks = _Checks(loaded, target, toxiproxy)
    checks.traffic()
    checks.variants()
    checks.conditions()
    checks.timeline()
    checks.overlaps()
    checks.windows()
    return checks.found


class _Checks:
    def __init__(self, loaded: Loaded, target: Target, toxiproxy: Literal["embedded", "real"]) -> None:
        self._loaded, self._target, self._toxiproxy = loaded, target, toxiproxy
        self._experiment = loaded.experiment
        self._stretches = stretches(loaded)
        self.found = Checked()

    def _problem(self, place: Place, what: str, why: str = "", hint: str = "") -> None:
        self.found.problems.append(place.problem(what, why, hint))

    def _warn(self, text: str) -> None:
        self.found.warnings.append(text)

    def traffic(self) -> None:
        """The workload, the classes of the mix, and how much can be in flight."""
        traffic = self._experiment.traffic
        workloads = {workload.name: workload for workload in self._target.workloads}
        place = self._loaded.place("traffic", "workload")
        if not workloads:
            hint = f"add workloads under x-chaoskit in {self._target.compose_file}"
            self._problem(place, f"the target {self._target.name} declares no workload", "", hint)
        elif not traffic.workload and len(workloads) > 1:
            place = self._loaded.place("traffic")
            self._problem(
                place, "traffic.workload is missing", "the target has several", f"one of: {listed(workloads)}"
            )
        elif traffic.workload and traffic.workload not in workloads:
            what = f"the target {self._target.name} has no workload {traffic.workload!r}"
            self._problem(place, what, "", did_you_mean(traffic.workload, workloads))
        else:
            self.found.workload = workloads[traffic.workload or next(iter(workloads))]
            self._mix(self.found.workload)
        arrivals = traffic.arrivals
        most = max(arrivals.rate, arrivals.peak or 0.0) * traffic.timeout * 1.5
        if most > _MOST_IN_FLIGHT:
            what = f"up to {most:,.0f} operations could be in flight"
            why = f"1.5 x rate x timeout; at most {_MOST_IN_FLIGHT:,} can be"
            self._problem(self._loaded.place("traffic", "arrivals"), what, why, "lower the rate or the timeout")

    def _mix(self, workload: WorkloadSpec) -> None:
        classes = {one.name: one.weight for one in workload.classes}
        for key, _ in (
            self._loaded.root.walk(("traffic", "mix")).entries if self._loaded.given("traffic", "mix") else ()
        ):
            if key.text not in classes:
                what = f"the workload {workload.name} has no operation class {key.text!r}"
                self._problem(key.place, what, "", did_you_mean(key.text, classes))
        mix = self._experiment.traffic.mix or classes
        total = sum(mix.values()) or 1.0
        self.found.mix = {name: weight / total for name, weight in mix.items() if weight > 0}

    def variants(self) -> None:
        """Services of `env` exist; addresses in it lead over links that there are."""
        services = {service.name: service for service in self._target.services}
        names = [node.name for node in self._target.topology.nodes]
        for variant in self._experiment.variants:
            if not self._loaded.given("variants", variant.name, "env"):
                continue
            node = self._loaded.root.walk(("variants", variant.name, "env"))
            for key, _ in node.entries:
                if key.text not in services:
                    what = f"the target {self._target.name} has no service {key.text!r}"
                    self._problem(key.place, what, "", did_you_mean(key.text, services))
            for service, variables in variant.env.items():
                own = services.get(service)
                for name, value in variables.items() if own is not None else ():
                    if own is not None and name not in own.environment:
                        near = did_you_mean(name, own.environment)
                        self._warn(
                            f"variant {variant.name} sets {name} for {service}, which the Compose file does not"
                            + (f": {near}" if near.startswith("did") else "")
                        )
                    for address in references(value, names):
                        self._linked(service, address.name, address.port, node.walk((service, name)).place)

    def _linked(self, service: str, name: str, port: int, place: Place) -> None:
        links = [
            link for link in self._target.topology.links if self._target.topology.node(link.source).service == service
        ]
        owner = self._target.topology.node(name).service
        if owner != service and not any(link.destination == name and link.port == port for link in links):
            what = f"{service} has no link to {name}:{port}"
            why = "links are made from the Compose file, and a variant would dial past them"
            self._problem(
                place, what, why, f"add {owner} to depends_on of {service}, or the address to its environment"
            )

    def conditions(self) -> None:
        """Classes, sides and invariants of everything that is claimed."""
        experiment = self._experiment
        for section, conditions in (("steady_state", experiment.steady_state), ("abort", experiment.abort)):
            for i, condition in enumerate(conditions):
                self._condition(condition, self._loaded.root.walk((section, i)))
        for claim in experiment.claims:
            entry = self._loaded.entry("claims", claim.id)
            if claim.condition is not None:
                self._condition(claim.condition, entry.get("that") or entry)
            elif claim.invariant is not None and self.found.workload is not None:
                known = self.found.workload.invariants
                if claim.invariant not in known:
                    what = f"the workload {self.found.workload.name} does not declare the invariant {claim.invariant!r}"
                    why = f"it declares {listed(known) or 'none'}"
                    self._problem(
                        (entry.get("invariant") or entry).place, what, why, "claim one of these, or declare it"
                    )

    def _condition(self, condition: Condition, node: Node) -> None:
        def at(word: str) -> Place:
            return node.at(max(condition.text.find(f" {word}") + 1, 0))

        if condition.side is not None:
            what = f"there is no side {condition.side!r}"
            self._problem(
                at(condition.side), what, "sides come with partitions, and no fault here is one", "remove `at`"
            )
        if condition.cls is not None and self.found.workload is not None:
            classes = [one.name for one in self.found.workload.classes]
            if condition.cls not in classes:
                what = f"the workload {self.found.workload.name} has no operation class {condition.cls!r}"
                self._problem(at(condition.cls), what, "", did_you_mean(condition.cls, classes))
            elif condition.cls not in self.found.mix:
                what = f"no operations of class {condition.cls!r} are sent"
                self._problem(at(condition.cls), what, "its weight in traffic.mix is 0")
        arrivals = self._experiment.traffic.arrivals
        most = max(arrivals.rate, arrivals.peak or 0.0) * self.found.mix.get(condition.cls or "", 1.0)
        if condition.unit == "per-second" and condition.comparison in (">=", ">") and condition.value > most:
            self._warn(f"{condition.text!r} can never hold: {format_rate(most)} are sent at most")

    def timeline(self) -> None:
        """Selectors match, what they match may be broken, and the fault compiles."""
        for injection in self._experiment.timeline:
            entry = self._loaded.entry("timeline", injection.id)
            expanded = self._expand(injection, entry)
            if expanded is not None:
                self.found.expanded[injection.id] = expanded
            end = injection.at if injection.until is None else injection.until
            if end > self._experiment.duration or injection.at >= self._experiment.duration:
                place = (entry.get("for") or entry.get("at") or entry).place
                what = f"{injection.id} lasts until {format_duration(end)}"
                why = f"the load ends at {format_duration(self._experiment.duration)}"
                self._problem(place, what, why, "shorten it or raise duration")
        for one in self._stretches:
            if one.id == self._experiment.traffic.arrivals.id and one.end > self._experiment.duration:
                what = f"{one.id} lasts until {format_duration(one.end)}"
                why = f"the load ends at {format_duration(self._experiment.duration)}"
                self._problem(self._loaded.place("traffic", "arrivals"), what, why, "shorten it or raise duration")

    def _expand(self, injection: Injection, entry: Node) -> Expanded | None:
        fault = registry.load("fault", injection.fault)
        topology = self._target.topology
        links: dict[str, Link] = {}
        nodes: dict[str, None] = {}
        written = entry.get("on") or entry
        before = len(self.found.problems)
        for i, selector in enumerate(injection.on):
            node = written.items[i] if i < len(written.items) else written
            try:
                if fault.targets == "links":
                    links |= {link.id: link for link in select_links(selector, topology)}
                else:
                    nodes |= dict.fromkeys(select_nodes(selector, topology))
            except SelectorError as error:
                self._problem(node.at(error.offset), error.what, error.why, error.hint)
        kind = "links" if fault.targets == "links" else "pause" if "pause" in fault.abilities else "kill"
        for name in dict.fromkeys([*(link.destination for link in links.values()), *nodes]):
            service = self._target.service_of(name)
            if kind not in service.safe_to_break:
                what = f"{injection.fault} would hurt {name}"
                why = f"x-chaoskit.safe_to_break allows {listed(service.safe_to_break) or 'nothing'} for {service.name}"
                self._problem(written.place, what, why, "aim elsewhere, or allow it in the Compose file")
        if len(self.found.problems) > before:
            return None
        ends = links.values() if links else (link for link in topology.links if link.destination in nodes)
        if any(entry.get(name) and name not in injection.parameters for name in fault.Parameters.model_fields):
            return None  # written, but not to be read: that has been said
        try:
            seed = derive_seed(self._experiment.seed, "fault", injection.id)
            length = None if injection.until is None else injection.until - injection.at
            ground = Ground(self._target, tuple(ends), tuple(nodes), seed, length, self._toxiproxy)
            compiled = fault.compile(injection.id, injection.parameters, ground)
        except PlanError as error:
            self._problem(entry.place, error.message, "", error.hint or "")
            return None
        protocols = {link.id: link.protocol for link in topology.links}
        for item in compiled.evidence:
            if item.kind in ("latency", "timeout", "reset") and protocols.get(item.link or "") == "tcp":
                self._warn(f"{item.link} speaks plain TCP: no canary can see {item.kind}; declare its `protocol`")
        return Expanded(tuple(links.values()), tuple(nodes), compiled)

    def overlaps(self) -> None:
        """Faults at the same time on the same link or node, of which one would hide the other."""
        for first, second in combinations(self._experiment.timeline, 2):
            if not _meet(first, second) or not {first.id, second.id} <= set(self.found.expanded):
                continue
            place = self._loaded.entry("timeline", second.id).place
            a, b = self.found.expanded[first.id], self.found.expanded[second.id]
            shared = _shared(a, b)
            if shared and all(one.kind == "latency" for one in (*a.compiled.evidence, *b.compiled.evidence)):
                self._warn(f"{first.id} and {second.id} overlap on {shared}: their delays add up")
            elif shared:
                what = f"{second.id} overlaps {first.id} on {shared}"
                self._problem(place, what, "one would hide the other, and neither could be seen", "move one of them")

    def windows(self) -> None:
        """Each claim's window has something in it to count."""
        known = {one.id: one for one in self._stretches}
        for claim in self._experiment.claims:
            window = claim.window
            one = known.get(window.of or "")
            if window.kind != "whole" and one is not None:
                self._window(claim, window, one)
        first = self._stretches[0] if self._stretches else None
        if first is not None and first.at < _SHORT_BASELINE:
            self._warn(f"{first.id} begins {format_duration(first.at)} after t=0: hardly any baseline to compare with")
        if self._experiment.duration * self._experiment.trials * len(self._experiment.variants) > _LONG_RUN:
            total = self._experiment.duration * self._experiment.trials * len(self._experiment.variants)
            self._warn(f"the load alone lasts {format_duration(total)}")

    def _window(self, claim: Claim, window: Window, one: Stretch) -> None:
        experiment, bound = self._experiment, self._target.failover_bound
        entry = self._loaded.entry("claims", claim.id)
        place = (entry.get(window.kind) or entry).place
        name = f"{window.kind} {one.id}"
        budget = _budget(experiment.traffic.timeout, one)
        if window.kind in ("during", "steady") and one.until is None:
            self._problem(place, f"{one.id} is an instant", f"there is no {window.kind} of it", f"use after: {one.id}")
            return
        if window.kind == "before":
            first = self._stretches[0]
            if one.id != first.id:
                why = f"{first.id} comes first, and before ends there"
                self._problem(place, f"{name} is not a baseline", why, f"use before: {first.id}")
                return
            start, end = 0.0, one.at
        elif window.kind == "after":
            later = [
                other.at for other in self._stretches if other.at > one.end or (other.at == one.end and other != one)
            ]
            start, end = one.end, min([experiment.duration, *later])
        else:
            start, end = one.at, one.end - budget
        if window.kind == "steady":
            start += bound
            if one.end - one.at < bound + 3 * budget:
                what = f"{one.id} lasts {format_duration(one.end - one.at)}, too short for {name}"
                why = (
                    f"the failover bound D = {format_duration(bound)} and 3 T = {format_duration(3 * budget)} "
                    "leave nothing to count"
                )
                self._problem(place, what, why, f"let it last {format_duration(bound * 4 if bound else 4.0)} or more")
                return
        counted = end - budget - start
        condition = claim.condition
        if condition is not None and condition.quantity == "recovery":
            self._recovery(claim, condition, end - start, place, name)
        elif counted <= 0:
            self._problem(place, f"{name} is empty", "no operation could begin and be answered in it", "lengthen it")
        elif condition is not None:
            self._enough(claim, condition, start, start + counted, name)
            self._tight(one, budget)

    def _recovery(self, claim: Claim, condition: Condition, length: float, place: Place, name: str) -> None:
        if length < condition.value + 2.0:
            what = f"{name} is {format_duration(max(length, 0.0))} long"
            why = f"{condition.text!r} cannot be judged in that time"
            hint = f"leave {format_duration(condition.value + 3.0 + self._experiment.traffic.timeout)} after it"
            self._problem(place, what, why, hint)

    def _enough(self, claim: Claim, condition: Condition, start: float, end: float, name: str) -> None:
        share = self.found.mix.get(condition.cls, 1.0) if condition.cls else 1.0
        expected = share * _operations(self._experiment.traffic.arrivals, start, end)
        needed = _NEEDED.get(condition.quantity, MINIMUM_OPERATIONS)
        if condition.quantity not in ("goodput", "rate", "detection") and expected < needed:
            self._warn(
                f"claim {claim.id}: about {expected:.0f} operations fall into {name}, {needed} are needed: "
                "it would be inconclusive; raise the rate or lengthen the fault"
            )

    def _tight(self, one: Stretch, budget: float) -> None:
        timeout = self._experiment.traffic.timeout
        text = (
            f"{one.id} lasts {format_duration(one.end - one.at)}: for its windows an answer is in time within "
            f"{format_duration(budget)}, a quarter of it, not {format_duration(timeout)}"
        )
        if one.until is not None and budget < timeout and text not in self.found.warnings:
            self._warn(text)


def _budget(timeout: float, one: Stretch) -> float:
    """T, as in history.windows."""
    return timeout if one.until is None else min(timeout, (one.until - one.at) / 4)


def _operations(arrivals: Arrivals, start: float, end: float) -> float:
    """How many operations are due between two instants, on average."""
    if arrivals.peak is None or arrivals.at is None or arrivals.over is None:
        return arrivals.rate * (end - start)
    more, stop = arrivals.peak - arrivals.rate, arrivals.at + arrivals.over

    def since_zero(until: float) -> float:
        inside = min(max(until - arrivals_at, 0.0), over)
        if arrivals.shape == "spike":
            return arrivals.rate * until + more * inside
        return arrivals.rate * until + more * (inside * inside / (2 * over) + max(until - stop, 0.0))

    arrivals_at, over = arrivals.at, arrivals.over
    return since_zero(end) - since_zero(start)


def _meet(first: Injection, second: Injection) -> bool:
    """Whether two injections are active at one time; an instant meets what is active then."""
    ends = [one.at if one.until is None else one.until for one in (first, second)]
    if first.until is None or second.until is None:
        return first.at <= ends[1] and second.at <= ends[0]
    return first.at < ends[1] and second.at < ends[0]


def _shared(a: Expanded, b: Expanded) -> str:
    """A link or node that both are on; a fault on a node is on all links that end at it as well."""
    for node in _common(a.nodes, b.nodes):
        return node
    for link in _common((link.id for link in a.links), (link.id for link in b.links)):
        return link
    for links, nodes in ((a.links, b.nodes), (b.links, a.nodes)):
        for one in links:
            if one.destination in nodes:
                return one.id
    return ""


def _common(a: Iterable[str], b: Iterable[str]) -> Iterator[str]:
    known = set(b)
    return (one for one in a if one in known)
