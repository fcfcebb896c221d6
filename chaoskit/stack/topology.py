"""Nodes and links: who there is, and who dials whom on which port. Frozen data; built by `compose.py`."""

from __future__ import annotations

from typing import Literal

from chaoskit.data import Frozen

__all__ = [
    "CLIENT",
    "ActionSpec",
    "ClassSpec",
    "Healthcheck",
    "Link",
    "Node",
    "Protocol",
    "RoleSpec",
    "Service",
    "Target",
    "Topology",
    "WorkloadSpec",
]

CLIENT = "client"  # the node that traffic comes from; `client@n1` stands beside n1

Protocol = Literal["http", "https", "resp", "resp+tls", "postgres", "tcp"]


class Link(Frozen):
    """One cut point: `source` dials `destination` on `port`. One TCP connection over it carries both directions."""

    source: str
    destination: str
    port: int
    protocol: Protocol = "tcp"

    @property
    def id(self) -> str:
        """`api->db:5432`."""
        return f"{self.source}->{self.destination}:{self.port}"


class Node(Frozen):
    """One instance of a service (`db`, `api-2`). `number` counts from 1 and is unique: it makes addresses."""

    name: str
    service: str
    number: int


class Topology(Frozen):
    """All nodes, clients included, and all links. Order is the order of the Compose file."""

    nodes: tuple[Node, ...]
    links: tuple[Link, ...]

    def node(self, name: str) -> Node:
        """The node of that name.

        Raises:
            KeyError: there is none.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def links_to(self, destination: str) -> tuple[Link, ...]:
        """Links that end at a node."""
        return tuple(link for link in self.links if link.destination == destination)

    def links_from(self, source: str) -> tuple[Link, ...]:
        """Links that begin at a node."""
        return tuple(link for link in self.links if link.source == source)


class Healthcheck(Frozen):
    """Compose's `healthcheck`, durations in seconds. `test` is an argument list (`CMD`) or one shell string."""

    test: tuple[str, ...] | str
    interval: float = 1.0
    timeout: float = 5.0
    retries: int = 3
    start_period: float = 0.0


class Service(Frozen):
    """A service of the Compose file with what `x-chaoskit` adds for it.

    Attributes:
        server: name of an embedded server recipe (`postgres`, `valkey`), or None when `command` is given.
        process_command: argument list for the process runtime; may use ${NODE_HOST}, ${NODE_PORT}, ${NODE_DATA}.
        command: Compose's `command`, split; an embedded server takes its flags from it.
        build: argument list run once before the first start (other languages), or None.
        context: absolute folder of the app's code (Compose `build`), or None.
        requirements: absolute path of the app's requirements.txt, or None.
        environment: as in the Compose file, ${VAR:-default} already resolved.
        ports: ports that the service listens on, the first one is ${NODE_PORT}.
        protocol: what a canary or a readiness probe speaks.
        health_path: path for HTTP probes.
    """

    name: str
    image: str | None = None
    context: str | None = None
    requirements: str | None = None
    server: str | None = None
    process_command: tuple[str, ...] | None = None
    command: tuple[str, ...] = ()
    build: tuple[str, ...] | None = None
    environment: dict[str, str] = {}
    ports: tuple[int, ...] = ()
    protocol: Protocol = "tcp"
    health_path: str = "/"
    healthcheck: Healthcheck | None = None
    depends_on: tuple[str, ...] = ()
    safe_to_break: tuple[str, ...] = ("links", "kill", "pause")
    start_timeout: float = 30.0


class ClassSpec(Frozen):
    """An operation class that a workload declares. `kind` decides what a timeout means (write: info, read: fail)."""

    name: str
    kind: Literal["read", "write"]
    weight: float = 1.0


class WorkloadSpec(Frozen):
    """A workload as declared in `x-chaoskit`, so that `validate` knows it without importing user code.

    Attributes:
        file: absolute path of the Python file; `factory` names the callable in it.
        invariants: names of invariants that its histories can be checked for.
    """

    name: str
    file: str
    factory: str = "workload"
    classes: tuple[ClassSpec, ...]
    invariants: tuple[str, ...] = ()


class ActionSpec(Frozen):
    """An action that a target declares: a function in its `actions.py`, called with a Place and texts by name.

    Attributes:
        function: its name in `file` (absolute path).
        arguments: names that it takes; an experiment gives some or all of them.
        undo: name of the action that takes it back when the injection ends; None where nothing has to be.
        timeout: seconds that it may take.
    """

    name: str
    file: str
    function: str
    arguments: tuple[str, ...] = ()
    undo: str | None = None
    timeout: float = 10.0


class RoleSpec(Frozen):
    """A role that one node holds at a time (`leader`): `function` of `file` says which one, within `timeout` seconds.

    `nodes` are those that can hold it.
    """

    name: str
    file: str
    function: str
    nodes: tuple[str, ...]
    timeout: float = 5.0


class Target(Frozen):
    """A folder `targets/<name>/`, read: one description that serves all runtimes.

    Attributes:
        folder: absolute path. `compose_file`: absolute path.
        entry: service that clients talk to. failover_bound: D in seconds (0: no failover is claimed).
        gossips: members tell each other their addresses; the `rewrite` interposition must refuse.
        notes: what the Compose file says and chaoskit does not do, as sentences; `plan` prints them.
        clients: client nodes that traffic comes from: `client`, or `client@n1` … that stand beside nodes of the entry
            and dial only these.
        actions, roles: what the target can be told to do, and asked.
    """

    name: str
    folder: str
    compose_file: str
    services: tuple[Service, ...]
    topology: Topology
    entry: str
    workloads: tuple[WorkloadSpec, ...] = ()
    failover_bound: float = 0.0
    gossips: bool = False
    notes: tuple[str, ...] = ()
    clients: tuple[str, ...] = (CLIENT,)
    actions: tuple[ActionSpec, ...] = ()
    roles: tuple[RoleSpec, ...] = ()

    def service(self, name: str) -> Service:
        """The service of that name.

        Raises:
            KeyError: there is none.
        """
        for service in self.services:
            if service.name == name:
                return service
        raise KeyError(name)

    def service_of(self, node: str) -> Service:
        """The service that a node is an instance of.

        Raises:
            KeyError: no such node, or a client.
        """
        return self.service(self.topology.node(node).service)
