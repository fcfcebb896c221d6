"""What a fault is: a pure compiler from parameters and a place to effects, and to what a canary must see of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from chaoskit.data import Frozen
from chaoskit.errors import PlanError
from chaoskit.spec.types import SI
from chaoskit.stack.effects import Effect, Evidence, LinkEffect, LinkState, NodeEffect, Passage, Toxic
from chaoskit.stack.topology import Link, Target

__all__ = [
    "WAYS",
    "Compiled",
    "DataParameters",
    "Fault",
    "FaultParameters",
    "Ground",
    "LinkFault",
    "NoParameters",
    "NodeFault",
    "ParameterError",
    "Stream",
    "Where",
    "check_whole",
    "silence",
    "toxic",
]

Stream = Literal["up", "down", "both"]  # up = from the one who dials, down = what it is answered

Way = Literal["upstream", "downstream"]
WAYS: dict[Stream, tuple[Way, ...]] = {
    "up": ("upstream",),
    "down": ("downstream",),
    "both": ("upstream", "downstream"),
}


class FaultParameters(BaseModel):
    """Base of every fault's parameters: as the user wrote them on the way in, SI numbers inside."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ParameterError(PlanError):
    """A parameter does not fit the ground. `path` leads to it below the injection: `("groups", 0, 1)`."""

    def __init__(self, path: tuple[str | int, ...], message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.path = path


class NoParameters(FaultParameters):
    """Of a fault that has nothing to choose."""


class DataParameters(FaultParameters):
    """`data: keep` leaves the node what it has on disk; `data: wipe` throws it away, and the node starts as new."""

    data: Literal["keep", "wipe"] = "keep"


class Where(NamedTuple):
    """The subject of a sentence: `names` joined, with the ending of its verb ("s" or "") and its form of to be."""

    names: str
    s: str
    be: str

    @classmethod
    def of(cls, names: Sequence[str]) -> Where:
        """One name, or several."""
        if len(names) == 1:
            return cls(names[0], "s", "is")
        return cls(f"{', '.join(names[:-1])} and {names[-1]}" if names else "nothing", "", "are")


class Ground(NamedTuple):
    """What an injection stands on.

    Attributes:
        links: what `on:` matched; for a fault on nodes, the links that end at them.
        nodes: names of the nodes that `on:` matched; empty for a fault on links.
        seed: of the plan, for faults that choose at random.
        duration: seconds from its begin to its end; None for an instant.
        toxiproxy: which server bends the links; the real one has no `blackhole`.
        roles: role -> the node that holds it, for a fault that is placed relative to one (`Fault.role`).
    """

    target: Target
    links: tuple[Link, ...] = ()
    nodes: tuple[str, ...] = ()
    seed: int = 0
    duration: float | None = None
    toxiproxy: Literal["embedded", "real"] = "embedded"
    roles: Mapping[str, str] = MappingProxyType({})


class Compiled(Frozen):
    """What an injection will do.

    Attributes:
        sentence: what a client sees while it lasts.
        matrix: what passes over every link among those it separates; empty for a fault that separates nobody.
        sides: name of a side -> its nodes, clients included, for claims `at SIDE`.
        notes: what the reader must know about how it was done, as sentences without a full stop.
    """

    effects: tuple[Effect, ...]
    evidence: tuple[Evidence, ...]
    sentence: str
    matrix: tuple[Passage, ...] = ()
    sides: dict[str, tuple[str, ...]] = {}
    notes: tuple[str, ...] = ()

    @property
    def links(self) -> tuple[str, ...]:
        """Ids of the links that its effects bend."""
        return tuple(dict.fromkeys(effect.link for effect in self.effects if isinstance(effect, LinkEffect)))


P = TypeVar("P", bound=FaultParameters)


class Fault(ABC, Generic[P]):
    """One kind of fault. Stateless: the module's `FAULT` is the only instance.

    Attributes:
        name: as in an experiment's `fault:`. summary: one line for `chaoskit list` and the schema.
        Parameters: the model that validates what the user wrote.
        targets: what `on:` selects; `nothing` when it names its places in other ways, and `on:` is not written.
        instant: it has no duration; the engine begins it and ends it at once.
        may_last: it is an instant unless `for` is written.
        abilities: what the runtime must be able to do (a fault on links needs links, of course).
        destroys_data: data may be lost, so that each trial wants a fresh stack.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    Parameters: type[P]
    targets: ClassVar[Literal["links", "nodes", "nothing"]]
    instant: ClassVar[bool] = False
    may_last: ClassVar[bool] = False
    abilities: ClassVar[frozenset[str]] = frozenset()
    destroys_data: ClassVar[bool] = False

    @abstractmethod
    def describe(self, parameters: P, where: Where) -> str:
        """What a client sees, as a sentence without a full stop."""

    @abstractmethod
    def compile(self, injection: str, parameters: Mapping[str, Any], ground: Ground) -> Compiled:
        """Effects and evidence of one injection. Pure.

        Args:
            injection: its id; effects are called `<id>/<n>`.
            parameters: as stored in `Injection.parameters`, SI numbers.

        Raises:
            PlanError: the parameters are not valid, or do not fit the ground (ParameterError: which one). The user's
            to mend.
        """

    def role(self, parameters: Mapping[str, Any], target: Target) -> str | None:
        """The role (`leader`) relative to which it is placed: asked anew when it begins; None for most faults."""
        return None

    def needs(self, parameters: Mapping[str, Any]) -> frozenset[str]:
        """What the runtime must be able to do for these parameters."""
        return self.abilities

    def stored(self, parameters: Mapping[str, Any]) -> P:
        """Parameters as they are stored, validated again.

        Raises:
            PlanError: they are not valid.
        """
        try:
            return self.Parameters.model_validate(dict(parameters), context=SI)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise PlanError(f"fault {self.name}: {place + ': ' if place else ''}{first['msg']}") from error


class LinkFault(Fault[P]):
    """A fault that puts every link it is on into one and the same state."""

    targets = "links"

    @abstractmethod
    def state(self, parameters: P, effect: str, ground: Ground) -> LinkState:
        """What the link shall be like; toxics are named after `effect`."""

    @abstractmethod
    def evidence(self, parameters: P, link: str, state: LinkState) -> Evidence:
        """What must be seen on `link` while it is in `state`."""

    def notes(self, parameters: P, ground: Ground) -> tuple[str, ...]:
        """What the reader must know about how it was done."""
        return ()

    def compile(self, injection: str, parameters: Mapping[str, Any], ground: Ground) -> Compiled:
        """One effect and one piece of evidence per link."""
        values = self.stored(parameters)
        effects: list[Effect] = []
        evidence: list[Evidence] = []
        for number, link in enumerate(ground.links, 1):
            identity = f"{injection}/{number}"
            state = self.state(values, identity, ground)
            effects.append(
                LinkEffect(id=identity, injection=injection, link=link.id, enabled=state.enabled, toxics=state.toxics)
            )
            evidence.append(self.evidence(values, link.id, state))
        return Compiled(
            effects=tuple(effects),
            evidence=tuple(evidence),
            sentence=self.describe(values, Where.of([link.id for link in ground.links])),
            notes=self.notes(values, ground),
        )


class NodeFault(Fault[P]):
    """A fault that pauses or kills nodes. `node_kind` and `link_kind` are the evidence asked of node and links."""

    targets = "nodes"
    node_state: ClassVar[Literal["paused", "killed"]]
    node_kind: ClassVar[str]
    link_kind: ClassVar[str | None] = None
    link_expected: ClassVar[float] = 0.0

    def wipes(self, parameters: P) -> bool:
        """Whether the nodes lose their data."""
        return False

    def compile(self, injection: str, parameters: Mapping[str, Any], ground: Ground) -> Compiled:
        """One effect per node; evidence from its processes and from every link that ends at it."""
        values = self.stored(parameters)
        nodes, links = ground.nodes, ground.links
        evidence = [Evidence(kind=self.node_kind, node=node) for node in nodes]
        if self.link_kind is not None:
            # A plain TCP connect succeeds while the node is frozen: it cannot show silence.
            evidence += [
                Evidence(kind=self.link_kind, link=link.id, node=link.destination, expected=self.link_expected)
                for link in links
                if link.destination in nodes and not (self.link_kind == "silent" and link.protocol == "tcp")
            ]
        return Compiled(
            effects=tuple(
                NodeEffect(
                    id=f"{injection}/{number}",
                    injection=injection,
                    node=node,
                    state=self.node_state,
                    wipe=self.wipes(values),
                )
                for number, node in enumerate(nodes, 1)
            ),
            evidence=tuple(evidence),
            sentence=self.describe(values, Where.of(list(nodes))),
        )


def toxic(effect: str, kind: str, way: Way, toxicity: float = 1.0, **attributes: int) -> Toxic:
    """A toxic named after its effect. Toxiproxy cannot address a name with a slash in it."""
    name = f"{effect.replace('/', '.')}.{kind}.{way}"
    return Toxic(name=name, type=kind, stream=way, toxicity=toxicity, attributes=attributes)


def silence(effect: str, way: Way, ground: Ground, toxicity: float = 1.0) -> Toxic:
    """The toxic that withholds everything in one direction, as far as the server can: the real Toxiproxy's `timeout: 0`
    drops data for ever but lets a close through.
    """
    if ground.toxiproxy == "real":
        return toxic(effect, "timeout", way, toxicity, timeout=0)
    return toxic(effect, "blackhole", way, toxicity)


def check_whole(name: str, value: float, unit: float, noun: str) -> None:
    """See that a parameter is a whole number of the `unit` that Toxiproxy counts in.

    Raises:
        ValueError: it is not; the message begins with the parameter's name.
    """
    if abs(value / unit - round(value / unit)) > 1e-6 * max(1.0, value / unit):
        raise ValueError(f"{name} is not a whole number of {noun}, which is all that Toxiproxy can do")
