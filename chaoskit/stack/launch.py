"""What a runtime asks the supervisor to start: processes, proxies and addresses, as plain data."""

from __future__ import annotations

from typing import Literal

from chaoskit.data import Frozen
from chaoskit.stack.topology import ActionSpec, Protocol, RoleSpec

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
        clients: client node -> launch template (hosts, env, user) for its traffic workers; name and argv are replaced.
        entries: client node -> host:port that it dials, by its own view (name in `hosts`, address in `rewrite`).
        canaries: link id -> (host, port, protocol, path): where a canary dials to go through that link.
        real: "node:port" -> host:port of the endpoint itself, past every link: what actions talk to, and what nobody
            else may be seen to be connected to.
        toxiproxy: which server bends the links.
        actions, roles: what the target can be told to do, and asked. caller: launch template of the processes in which
            its functions run; name and argv are replaced.
    """

    interposition: str
    nodes: tuple[LaunchSpec, ...]
    proxies: tuple[ProxySpec, ...]
    proxy_process: LaunchSpec
    control: str
    clients: dict[str, LaunchSpec]
    entries: dict[str, str]
    canaries: dict[str, tuple[str, int, Protocol, str]]
    real: dict[str, str] = {}
    toxiproxy: Literal["embedded", "real"] = "embedded"
    actions: tuple[ActionSpec, ...] = ()
    roles: tuple[RoleSpec, ...] = ()
    caller: LaunchSpec | None = None
