"""Who dials whom: nodes and links, derived from `depends_on` and from the addresses that services are given. Pure.

api: DATABASE_URL: postgresql://app@db:5432/app   ─▶  api->db:5432 (postgres)
x-chaoskit: entry: api                            ─▶  client->api:8000 (http)
x-chaoskit: entry: [n1, n2], clients: beside      ─▶  client@n1->n1:2379 (http), client@n2->n2:2379 (http)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from chaoskit.errors import Problem
from chaoskit.spec.nodes import Place
from chaoskit.spec.suggest import did_you_mean, listed
from chaoskit.stack.references import references
from chaoskit.stack.topology import CLIENT, Link, Node, Protocol, Topology

__all__ = ["Draft", "beside", "derive"]

_MOST_NODES = 250  # a node's number is one byte of its address


@dataclass
class Draft:
    """What is known of a service before its links are; `derive` completes `ports` and `protocol`.

    Attributes:
        declared: the file says which ports it listens on; else addresses of others do.
        texts: everything that may contain addresses, with its place.
    """

    name: str
    place: Place
    nodes: tuple[str, ...]
    ports: list[int] = field(default_factory=list)
    declared: bool = False
    protocol: Protocol | None = None
    depends_on: list[tuple[str, Place]] = field(default_factory=list)
    texts: list[tuple[str, Place]] = field(default_factory=list)


def beside(node: str) -> str:
    """The client that stands beside a node, and dials it alone."""
    return f"{CLIENT}@{node}"


def derive(
    drafts: Sequence[Draft], entries: Sequence[Draft], problems: list[Problem], clients: Sequence[str] = (CLIENT,)
) -> Topology:
    """Nodes and links of the stack, clients included. Mistakes are added to `problems`.

    Args:
        entries: the services that clients talk to, each on its first port.
        clients: names of client nodes: `client` dials every node of the entries, `client@n1` (`beside`) n1 alone.
    """
    derivation = _Derivation({draft.name: draft for draft in drafts}, problems)
    derivation.dependencies()
    for draft in drafts:
        derivation.addresses(draft)
    for entry in entries:
        entry.protocol = entry.protocol or derivation.hinted.get(entry.name, "http")
        if not entry.ports:
            hint = f"add x-chaoskit: process: {entry.name}: port: 8000, say"
            problems.append(entry.place.problem(f"the entry {entry.name} listens on no known port", "", hint))
    for draft in drafts:
        draft.protocol = draft.protocol or derivation.hinted.get(draft.name, "tcp")
    nodes = [Node(name=name, service=draft.name, number=0) for draft in drafts for name in draft.nodes]
    nodes += [Node(name=client, service=CLIENT, number=0) for client in clients]
    if len(nodes) > _MOST_NODES:
        problems.append(drafts[0].place.problem(f"the stack has {len(nodes)} nodes", f"at most {_MOST_NODES} can be"))
    return Topology(
        nodes=tuple(node.model_copy(update={"number": number}) for number, node in enumerate(nodes, 1)),
        links=(*derivation.links(drafts), *derivation.of_clients(clients, entries)),
    )


class _Derivation:
    def __init__(self, drafts: dict[str, Draft], problems: list[Problem]) -> None:
        self._drafts = drafts
        self._problems = problems
        self._owner = {node: draft for draft in drafts.values() for node in draft.nodes}
        self._found: dict[str, dict[tuple[str, int], Protocol | None]] = {name: {} for name in drafts}
        self.hinted: dict[str, Protocol] = {}  # what the scheme of an address says that a service speaks

    def dependencies(self) -> None:
        """Every dependency exists, none is the service itself, and none depends on it in turn."""
        for draft in self._drafts.values():
            for name, place in draft.depends_on:
                if name == draft.name:
                    self._problems.append(place.problem(f"{name} depends on itself", "", "remove it"))
                elif name not in self._drafts:
                    hint = did_you_mean(name, [other for other in self._drafts if other != draft.name])
                    self._problems.append(
                        place.problem(f"{draft.name} depends on {name!r}, which is no service", "", hint)
                    )
        done: set[str] = set()
        for name in self._drafts if len(self._drafts) <= _MOST_NODES else ():
            self._cycle(name, [], done)

    def _cycle(self, name: str, above: list[str], done: set[str]) -> None:
        if name in done or name not in self._drafts:
            return
        for other, place in self._drafts[name].depends_on:
            path = [*above, name]
            if other in path and other != name:
                circle = " -> ".join([*path[path.index(other) :], other])
                self._problems.append(
                    place.problem(f"services wait for each other: {circle}", "none could start first")
                )
            elif other not in path:
                self._cycle(other, path, done)
        done.add(name)

    def addresses(self, draft: Draft) -> None:
        """Note whom the texts of a service name."""
        names = {*self._owner, *self._drafts} - {CLIENT}
        for text, place in draft.texts:
            for found in references(text, names):
                owner = self._owner.get(found.name)
                if owner is None:
                    several = self._drafts[found.name]
                    why = f"{found.name} has the nodes {listed(several.nodes)}"
                    self._problems.append(
                        place.problem(f"the address {found.name}:{found.port} names no node", why, "name one of them")
                    )
                    continue
                if owner is draft and len(draft.nodes) == 1:
                    continue  # its own address, to tell others
                if not 1 <= found.port <= 65535:
                    self._problems.append(place.problem(f"{found.name}:{found.port} is no address", "no such port"))
                    continue
                if found.port not in owner.ports:
                    if owner.declared:
                        why = f"{owner.name} listens on {listed(map(str, owner.ports))}"
                        hint = f"mend the address, or add x-chaoskit: process: {owner.name}: ports"
                        what = f"{draft.name} dials {found.name}:{found.port}, where nothing listens"
                        self._problems.append(place.problem(what, why, hint))
                        continue
                    owner.ports.append(found.port)
                self._found[draft.name].setdefault((found.name, found.port), found.protocol)
                if found.protocol is not None:
                    self.hinted.setdefault(owner.name, found.protocol)

    def links(self, drafts: Sequence[Draft]) -> list[Link]:
        """All links between services, in the order of the file."""
        made: list[Link] = []
        for draft in drafts:
            found = dict(self._found[draft.name])
            for name, place in draft.depends_on:
                other = self._drafts.get(name)
                if other is None or other is draft or any(self._owner[node] is other for node, _ in found):
                    continue
                if not other.ports:
                    hint = f"add x-chaoskit: process: {name}: port: …"
                    what = f"{draft.name} depends on {name}, whose port is not known"
                    self._problems.append(place.problem(what, "no address names it", hint))
                    continue
                found |= {(node, other.ports[0]): None for node in other.nodes}
            for source in draft.nodes:
                made += [
                    self._link(source, node, port, protocol)
                    for (node, port), protocol in found.items()
                    if node != source
                ]
        return made

    def of_clients(self, clients: Sequence[str], entries: Sequence[Draft]) -> list[Link]:
        """The links that traffic comes over."""
        dialled = [(node, entry.ports[0]) for entry in entries if entry.ports for node in entry.nodes]
        return [
            self._link(client, node, port, None)
            for client in clients
            for node, port in dialled
            if client in (CLIENT, beside(node))
        ]

    def _link(self, source: str, destination: str, port: int, protocol: Protocol | None) -> Link:
        return Link(
            source=source,
            destination=destination,
            port=port,
            protocol=protocol or self._owner[destination].protocol or "tcp",
        )
