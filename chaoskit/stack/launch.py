"""What a runtime asks the supervisor to start: processes, proxies and addresses, as plain data."""

from __future__ import annotations

from chaoskit.data import Frozen
from chaoskit.stack.topology import Protocol

__all__ = ["LaunchSpec", "ProxySpec", "ReadySpec", "StackSpec"]


class ReadySpec(Frozen):
    """How to see that a process is ready: a command that exits 0, or a protocol probe of host:port."""

    command: tuple[str, ...] | None = None  # run in the node's namespaces
    protocol: Protocol | None = None
    host: str = ""
    port: int = 0
    path: str = "/"
    interval: float = 0.1
    timeout: float = 30.0  # seconds until the start counts as failed


class LaunchSpec(Frozen):
    """One process to start.

    Attributes:
        name: node name (`db`, `client`), unique in the stack.
        prepare: argument lists run one after the other before the first start (initdb, build), same user and folder.
        hosts: lines of the private /etc/hosts as (address, name); None = no private hosts file.
        user: (uid, gid) to drop to, or None.
        own_pids: give the node a PID namespace of its own.
        binds: (host, port) pairs that the process must listen on, and nowhere else on these ports.
        log: absolute path; stdout and stderr are appended.
        after: nodes that must be ready first (depends_on).
        data: folder that survives a restart of the node, made before the first start and owned by `user`.
        reach: folders that `user` must be able to enter, although a home above them may be closed to it.
    """

    name: str
    argv: tuple[str, ...]
    prepare: tuple[tuple[str, ...], ...] = ()
    env: dict[str, str] = {}
    cwd: str
    hosts: tuple[tuple[str, str], ...] | None = None
    user: tuple[int, int] | None = None
    own_pids: bool = False
    binds: tuple[tuple[str, int], ...] = ()
    log: str
    ready: ReadySpec | None = None
    after: tuple[str, ...] = ()
    data: str | None = None
    reach: tuple[str, ...] = ()


class ProxySpec(Frozen):
    """One Toxiproxy proxy: the cut point of one link. `name` is the link id."""

    name: str
    listen: str  # host:port that the source dials
    upstream: str  # host:port of the real endpoint


class StackSpec(Frozen):
    """A whole stack, ready to be started by the supervisor.

    Attributes:
        interposition: hosts | rewrite.
        proxies: all links. control: host:port of the Toxiproxy REST API.
        proxy_process: the Toxiproxy server process; it is started first.
        client: launch template (hosts, env, user) for traffic workers; the name and argv are replaced.
        entry: host:port that the client dials, by its own view (name in `hosts`, address in `rewrite`).
        canaries: link id -> (host, port, protocol, path): where a canary dials to go through that link.
    """

    interposition: str
    nodes: tuple[LaunchSpec, ...]
    proxies: tuple[ProxySpec, ...]
    proxy_process: LaunchSpec
    control: str
    client: LaunchSpec
    entry: str
    canaries: dict[str, tuple[str, int, Protocol, str]]
