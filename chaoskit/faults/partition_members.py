"""Who takes part in a partition: names resolved, roles placed, clients set beside their nodes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from chaoskit.faults.model import Ground, ParameterError, Where
from chaoskit.faults.partition_parameters import PartitionParameters
from chaoskit.faults.partition_shapes import Shape
from chaoskit.faults.places import undeclared
from chaoskit.spec.suggest import did_you_mean, listed
from chaoskit.stack.selectors import SelectorError, select_members
from chaoskit.stack.topology import CLIENT, Link, Target, Topology

__all__ = ["Members", "words_of"]

Path = tuple[str | int, ...]


def words_of(values: PartitionParameters) -> Iterator[tuple[Path, str]]:
    """Every word that stands for nodes, with the path to it. A split relative to the leader means `leader`."""
    if values.leader is not None:
        yield ("leader",), "leader"
    for number, group in enumerate(values.groups or ()):
        yield from ((("groups", number, i), word) for i, word in enumerate(group))
    yield from ((("isolate", i), word) for i, word in enumerate(values.isolate or ()))
    if values.bridge is not None:
        yield ("bridge",), values.bridge
    for name, ends in (("one-way", values.one_way), ("dial-cut", values.dial_cut)):
        if ends is not None:
            yield from (((name, "from", i), word) for i, word in enumerate(ends.source or ()))
            yield from (((name, "to", i), word) for i, word in enumerate(ends.to or ()))


@dataclass(frozen=True)
class Members:
    """Those among whom a network splits.

    Attributes:
        nodes: of the stack, in its order. all: with the clients that are named.
        stands: node -> the member that it stands with; clients beside a member among them.
        words: path of a word -> what it stands for.
        holder: who holds the role that a word names. role: its name.
        notes: who takes part, as sentences without a full stop.
    """

    nodes: tuple[str, ...]
    all: tuple[str, ...]
    stands: Mapping[str, str]
    words: Mapping[Path, tuple[str, ...]]
    holder: str | None
    role: str | None
    notes: tuple[str, ...]

    @classmethod
    def of(cls, values: PartitionParameters, ground: Ground) -> Members:
        """Resolve every name.

        Raises:
            ParameterError: a name is none, or no member; the members cannot be told.
        """
        topology = ground.target.topology
        words: dict[Path, tuple[str, ...]] = {}
        role: str | None = None
        for path, word in words_of(values):
            if word in ground.roles and not _is_node(word, topology):
                role, words[path] = word, (ground.roles[word],)
            else:
                words[path] = _select(path, word, ground.target)
        named = dict.fromkeys(name for found in words.values() for name in found)
        clients = {node.name for node in topology.nodes if node.service == CLIENT}
        nodes, note = _among(values, [name for name in named if name not in clients], ground)
        for path, found in words.items():
            for name in found:
                if name not in clients and name not in nodes:
                    raise ParameterError(
                        path, f"{name} is not among the members {listed(nodes)}", hint="add it to among"
                    )
        everybody = tuple(n.name for n in topology.nodes if n.name in nodes or (n.name in clients and n.name in named))
        stands = {name: name for name in everybody} | {
            client: beside for client in sorted(clients - set(named)) if (beside := client.partition("@")[2]) in nodes
        }
        outside = sorted({link.source for link in topology.links if link.destination in nodes} & clients - set(stands))
        notes = [note] + [f"{name} stands outside and reaches every side" for name in outside]
        return cls(nodes, everybody, stands, words, ground.roles.get(role or ""), role, tuple(notes))

    def named(self, *path: str | int) -> tuple[str, ...]:
        """What the words below a path stand for, in the order of the stack."""
        found = {name for at, names in self.words.items() if at[: len(path)] == path for name in names}
        return tuple(name for name in self.all if name in found)

    def ends(self, shape: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """`from` and `to`; one that is not written is everybody else.

        Raises:
            ParameterError: nobody is left at one end.
        """
        source, to = self.named(shape, "from"), self.named(shape, "to")
        source = source or tuple(name for name in self.all if name not in to)
        to = to or tuple(name for name in self.all if name not in source)
        if not source or not to or source == to == source[:1]:
            raise ParameterError((shape,), "both ends are the same", hint="name two nodes, as from and to")
        return source, to

    def by_size(self, groups: Sequence[Sequence[str]]) -> dict[str, tuple[str, ...]]:
        """`majority` and `minority`, where one group has more than half of the nodes. Clients do not count."""
        for group in groups:
            if 2 * len([name for name in group if name in self.nodes]) > len(self.nodes):
                others = tuple(name for other in groups if other is not group for name in other)
                return {"majority": tuple(group), "minority": others}
        return {}

    def sides(self, shape: Shape) -> dict[str, tuple[str, ...]]:
        """Every side with the clients that stand on it: those of the shape, and every member by itself."""
        alone = {name: (name,) for name in self.nodes}
        return {
            side: tuple(name for name, beside in self.stands.items() if beside in members)
            for side, members in (alone | dict(shape.sides)).items()
        }

    def label(self, name: str) -> str:
        """A node, with the role that it was named by."""
        return f"{name} (the {self.role})" if name == self.holder else name

    def listed(self, names: Sequence[str]) -> str:
        """Nodes in a sentence."""
        return Where.of([self.label(name) for name in names]).names

    def said(self, names: Sequence[str]) -> str:
        """Nodes as the subject of a sentence."""
        return f"{self.listed(names)} {Where.of(names).be}"


def _is_node(word: str, topology: Topology) -> bool:
    return any(word in (node.name, node.service) for node in topology.nodes)


def _select(path: Path, word: str, target: Target) -> tuple[str, ...]:
    try:
        return select_members(word, target.topology)
    except SelectorError as error:
        if word == "leader":
            what, hint = undeclared(word, target)
            raise ParameterError(path, what, hint=hint) from None
        known = [name for node in target.topology.nodes for name in (node.service, node.name)]
        hint = did_you_mean(word, [*known, *(role.name for role in target.roles)])
        raise ParameterError(path, error.what, hint=hint if "no service" in error.what else error.hint) from None


def _among(values: PartitionParameters, named: Sequence[str], ground: Ground) -> tuple[tuple[str, ...], str]:
    """The members, and how they were found."""
    topology = ground.target.topology
    ours = [node.name for node in topology.nodes if node.service != CLIENT]
    if values.among is not None:
        found = {name for i, word in enumerate(values.among) for name in _select(("among", i), word, ground.target)}
        chosen, why = found, ""
    else:
        clusters = _clusters(ours, topology.links)
        if not named:
            several = [cluster for cluster in clusters if len(cluster) > 1]
            if len(several) > 1:
                what = f"there are several clusters: {'; '.join(', '.join(sorted(one)) for one in several)}"
                raise ParameterError((values.shape,), what, hint="say which one: among: [n1, n2, n3]")
            chosen = several[0] if several else set()
        else:
            chosen = {name for cluster in clusters if cluster & set(named) for name in cluster}
        why = ", who dial each other" if len(chosen) > len(named) else ""
        if not any(link.source in chosen and link.destination in chosen for link in topology.links):
            chosen, why = set(ours), ", the nodes of the stack"
    nodes = tuple(name for name in ours if name in chosen)
    return nodes, f"among {Where.of(nodes).names}{why}"


def _clusters(names: Sequence[str], links: Sequence[Link]) -> list[set[str]]:
    """Nodes joined by links in both directions, as far as these lead: members of one cluster dial each other."""
    pairs = {(link.source, link.destination) for link in links}
    found: list[set[str]] = []
    for name in names:
        near = [one for one in found if any({(name, other), (other, name)} <= pairs for other in one)]
        found = [one for one in found if one not in near] + [{name}.union(*near)]
    return found
