"""What the checks find, and what they share: where a mistake is written, and what a fault came to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, NamedTuple

from chaoskit.errors import Problem
from chaoskit.faults.model import Compiled
from chaoskit.spec.load import Loaded
from chaoskit.spec.nodes import Place
from chaoskit.stack.effects import NodeEffect
from chaoskit.stack.topology import Target, WorkloadSpec

__all__ = ["Checked", "Expanded", "Scene", "Stretch", "derive_seed", "stretches"]


class Expanded(NamedTuple):
    """What the selectors of an injection matched, and what its fault made of it.

    Attributes:
        nodes: what it is on, for a fault on nodes.
        role: relative to which it is placed. choices: node -> what is done when that node holds the role; `compiled` is
            the first of them then.
    """

    nodes: tuple[str, ...]
    compiled: Compiled
    role: str | None = None
    choices: Mapping[str, Compiled] = MappingProxyType({})

    @property
    def all(self) -> tuple[Compiled, ...]:
        """Everything that it may come to."""
        return tuple(self.choices.values()) or (self.compiled,)

    @property
    def links(self) -> tuple[str, ...]:
        """Every link that it may bend."""
        return tuple(dict.fromkeys(link for one in self.all for link in one.links))

    @property
    def stopped(self) -> tuple[str, ...]:
        """Every node that it may kill or pause."""
        effects = (effect for one in self.all for effect in one.effects)
        return tuple(dict.fromkeys(effect.node for effect in effects if isinstance(effect, NodeEffect)))

    @property
    def sides(self) -> dict[str, tuple[str, ...]]:
        """Side -> every node that may stand on it."""
        found: dict[str, dict[str, None]] = {}
        for one in self.all:
            for side, nodes in one.sides.items():
                found.setdefault(side, {}).update(dict.fromkeys(nodes))
        return {side: tuple(nodes) for side, nodes in found.items()}


class Stretch(NamedTuple):
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


class Scene(NamedTuple):
    """What is checked, and what was found so far: each check reads the one and adds to the other."""

    loaded: Loaded
    target: Target
    toxiproxy: Literal["embedded", "real"]
    found: Checked

    def problem(self, place: Place, what: str, why: str = "", hint: str = "") -> None:
        """Put a mistake on record."""
        self.found.problems.append(place.problem(what, why, hint))

    def warn(self, text: str) -> None:
        """Put something strange on record, once."""
        if text not in self.found.warnings:
            self.found.warnings.append(text)


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
