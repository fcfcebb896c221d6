"""Where every endpoint and every link of a stack is on this machine. Pure: a lease and a topology give a plan.

`hosts`: the address says who dials whom (node n is 127.L.0.n, the link s -> d is 127.L.s.d), the port is the
dependency's own, and each source resolves names by a private /etc/hosts. `rewrite`: everything is 127.0.0.1, the port
says who dials whom, and addresses in environment and command are rewritten.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from chaoskit.errors import PlanError
from chaoskit.stack.topology import CLIENT, Target

__all__ = ["Addresses", "Endpoint", "endpoints", "hosts_addresses", "is_client", "rewrite_addresses"]

Endpoint = tuple[str, int]
CONTROL_PORT = 8474  # Toxiproxy's usual one
_MOST_NODES = 250


class Addresses(NamedTuple):
    """A plan of addresses.

    Attributes:
        real: (node, port as the Compose file says) -> where that endpoint really listens.
        links: link id -> where its source dials. control: of the proxy's REST API.
        hosts: node -> (address, name) pairs of its private hosts file; None when addresses are rewritten.
    """

    real: dict[tuple[str, int], Endpoint]
    links: dict[str, Endpoint]
    control: Endpoint
    hosts: dict[str, tuple[tuple[str, str], ...]] | None

    def all(self) -> Iterator[Endpoint]:
        """Every endpoint that something of ours will listen on."""
        yield from self.real.values()
        yield from self.links.values()
        yield self.control


def is_client(node: str) -> bool:
    """Whether a node is where traffic comes from: it has no process in the stack."""
    return node == CLIENT or node.startswith(f"{CLIENT}@")


def endpoints(target: Target) -> list[tuple[str, int]]:
    """(node, port) of everything that listens: the service's ports, and those that links lead to."""
    found = [
        (node.name, port)
        for node in target.topology.nodes
        if not is_client(node.name)
        for port in target.service(node.service).ports
    ]
    found += [(link.destination, link.port) for link in target.topology.links]
    return list(dict.fromkeys(found))


def hosts_addresses(target: Target, lease: int) -> Addresses:
    """One address per endpoint and per directed pair below 127.`lease`.

    Raises:
        PlanError: more nodes than addresses.
    """
    topology = target.topology
    number = {node.name: node.number for node in topology.nodes}
    if max(number.values()) > _MOST_NODES:
        raise PlanError(
            f"{target.name} has {len(number)} nodes; the process runtime has addresses for {_MOST_NODES}",
            hint="run fewer replicas",
        )
    own = {name: f"127.{lease}.0.{n}" for name, n in number.items()}
    pair = {link.id: f"127.{lease}.{number[link.source]}.{number[link.destination]}" for link in topology.links}
    hosts: dict[str, tuple[tuple[str, str], ...]] = {}
    for node in topology.nodes:
        # By its own name a node reaches itself, directly; others only through a link.
        names = [] if is_client(node.name) else [(own[node.name], node.name)]
        for link in topology.links_from(node.name):
            service = topology.node(link.destination).service
            names += [(pair[link.id], link.destination), (pair[link.id], service)]
        hosts[node.name] = tuple(dict.fromkeys(names))
    return Addresses(
        real={(name, port): (own[name], port) for name, port in endpoints(target)},
        links={link.id: (pair[link.id], link.port) for link in topology.links},
        control=(f"127.{lease}.255.1", CONTROL_PORT),
        hosts=hosts,
    )


def rewrite_addresses(target: Target, ports: Sequence[int]) -> Addresses:
    """One port of 127.0.0.1 per endpoint, per link and for the control; `ports` holds as many as needed."""
    left = iter(ports)
    return Addresses(
        real={endpoint: ("127.0.0.1", next(left)) for endpoint in endpoints(target)},
        links={link.id: ("127.0.0.1", next(left)) for link in target.topology.links},
        control=("127.0.0.1", next(left)),
        hosts=None,
    )
