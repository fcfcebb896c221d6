"""From a target and a plan of addresses to what the supervisor starts: one LaunchSpec per node, one proxy per link."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from chaoskit.errors import TargetError
from chaoskit.registry import load
from chaoskit.runtimes.addresses import Addresses, Endpoint, is_client
from chaoskit.runtimes.apps import build_once, interpreter
from chaoskit.runtimes.real_toxiproxy import server_argv as real_argv
from chaoskit.runtimes.rewriting import Rewriter, substitute
from chaoskit.runtimes.servers import Place, Recipe
from chaoskit.runtimes.surroundings import app_environment, base_environment, own_python_environment
from chaoskit.stack.launch import LaunchSpec, ProxySpec, ReadySpec, StackSpec
from chaoskit.stack.topology import CLIENT, Node, Service, Target
from chaoskit.toxiproxy.links import server_argv

__all__ = ["assemble"]

PROXY = "proxy"
_LOCAL = ("localhost", "127.0.0.1")
_COMMAND_INTERVAL = 0.25  # a readiness command costs a process, a probe does not


class _Site(NamedTuple):
    """Everything that all nodes of a stack have in common."""

    target: Target
    addresses: Addresses
    folder: Path
    own_pids: bool
    toxiproxy: Literal["embedded", "real"]


class _Start(NamedTuple):
    """What differs between an embedded server and an app."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    ready: ReadySpec | None
    prepare: tuple[tuple[str, ...], ...] = ()
    user: tuple[int, int] | None = None
    reach: tuple[str, ...] = ()


def assemble(
    target: Target,
    env: Mapping[str, Mapping[str, str]],
    folder: Path,
    addresses: Addresses,
    *,
    own_pids: bool,
    toxiproxy: Literal["embedded", "real"] = "embedded",
) -> StackSpec:
    """The whole stack. Environments of apps are made and builds are run here, before anything is started.

    Raises:
        TargetError: a service has nothing to start, or its build or requirements fail. EnvironmentFault: no embedded
            server is installed, no real Toxiproxy is there, or an app's environment cannot be made.
    """
    site = _Site(target, addresses, folder, own_pids, toxiproxy)
    links = {link.id: link for link in target.topology.links}
    return StackSpec(
        interposition="rewrite" if addresses.hosts is None else "hosts",
        nodes=tuple(
            _node(site, node, {**target.service(node.service).environment, **env.get(node.service, {})})
            for node in target.topology.nodes
            if not is_client(node.name)
        ),
        proxies=tuple(
            ProxySpec(
                name=name,
                listen=_joined(addresses.links[name]),
                upstream=_joined(addresses.real[link.destination, link.port]),
            )
            for name, link in links.items()
        ),
        proxy_process=_proxy(site),
        control=_joined(addresses.control),
        clients={client: _client(site, client) for client in target.clients},
        entries={client: _entry(site, client) for client in target.clients},
        canaries={
            name: (*addresses.links[name], link.protocol, target.service_of(link.destination).health_path)
            for name, link in links.items()
        },
        real={f"{node}:{port}": _joined(endpoint) for (node, port), endpoint in addresses.real.items()},
        toxiproxy=toxiproxy,
        actions=target.actions,
        roles=target.roles,
        caller=_caller(site) if target.actions or target.roles else None,
    )


def _client(site: _Site, client: str) -> LaunchSpec:
    return LaunchSpec(
        name=client,
        argv=(sys.executable,),
        env=own_python_environment(str(site.folder)),
        cwd=str(site.folder),
        hosts=_hosts(site, client),
        log=_log(site, client),
    )


def _caller(site: _Site) -> LaunchSpec:
    """Where the functions of the target run: outside of every node, with the machine's own names."""
    return LaunchSpec(
        name="actions",
        # -P: the working folder is the user's, and nothing in it may stand before the standard library.
        argv=(sys.executable, "-P", "-m", "chaoskit.runtimes.actions_runner"),
        env=own_python_environment(str(site.folder)),
        cwd=site.target.folder,
        own_pids=site.own_pids,
        log=_log(site, "actions"),
    )


def _node(site: _Site, node: Node, environment: Mapping[str, str]) -> LaunchSpec:
    service = site.target.service(node.service)
    values = _variables(site, node, service)
    rewrite = _rewriter(site, node)
    given = {name: rewrite(substitute(value, values)) for name, value in environment.items()} | values
    binds = tuple(site.addresses.real[node.name, port] for port in service.ports)
    if service.server is not None:
        start = _server(service, node, values["NODE_DATA"], binds, given)
    elif service.process_command:
        start = _app(site, service, values, rewrite, binds, given)
    else:
        raise TargetError(
            f"{service.name} has nothing to start as a local process",
            hint=f"add x-chaoskit: process: {service.name}: with `server` or `command` to {site.target.compose_file}",
        )
    return LaunchSpec(
        name=node.name,
        argv=start.argv,
        prepare=start.prepare,
        env=start.env,
        cwd=start.cwd,
        hosts=_hosts(site, node.name),
        user=start.user,
        own_pids=site.own_pids,
        binds=binds,
        log=_log(site, node.name),
        ready=start.ready,
        after=tuple(other.name for other in site.target.topology.nodes if other.service in service.depends_on),
        data=values["NODE_DATA"],
        reach=start.reach,
    )


def _server(
    service: Service, node: Node, data: str, binds: tuple[Endpoint, ...], environment: Mapping[str, str]
) -> _Start:
    recipe: Recipe = load("server", service.server or "")
    if not binds:
        raise TargetError(
            f"{service.name} is a server without a port", hint=f"name its port; {service.server} uses {recipe.port}"
        )
    setup = recipe.setup(
        Place(
            node.name,
            *binds[0],
            data=data,
            environment=environment,
            image=service.image,
            command=service.command,
            others=[port for _, port in binds[1:]],
        )
    )
    return _Start(
        argv=setup.argv,
        env={**base_environment(data), **setup.env, **environment},
        cwd=data,
        ready=_probe_spec(service, binds),
        prepare=setup.prepare,
        user=setup.user,
        reach=() if setup.user is None else (*setup.reach, data),
    )


def _app(
    site: _Site,
    service: Service,
    values: Mapping[str, str],
    rewrite: Rewriter,
    binds: tuple[Endpoint, ...],
    environment: Mapping[str, str],
) -> _Start:
    context = Path(service.context or site.target.folder)
    python = interpreter(Path(service.requirements) if service.requirements else None, service.name)
    env = {**app_environment(values["NODE_DATA"], python, same=python == sys.executable), **environment}

    def words(text: Sequence[str]) -> tuple[str, ...]:
        """Variables and addresses replaced; `python` is the app's own interpreter."""
        found = [rewrite(substitute(word, values)) for word in text]
        return (python, *found[1:]) if found[:1] in (["python"], ["python3"]) else tuple(found)

    if service.build:
        build_once(words(service.build), context, service.name, Path(_log(site, f"{service.name}.build")))
    return _Start(
        argv=words(service.process_command or ()),
        env=env,
        cwd=str(context),
        ready=_check_spec(service, words, binds, env) or _probe_spec(service, binds),
    )


def _check_spec(
    service: Service,
    words: Callable[[Sequence[str]], tuple[str, ...]],
    binds: tuple[Endpoint, ...],
    env: Mapping[str, str],
) -> ReadySpec | None:
    """The Compose file's health check, if there is one and this machine has its command (an image may, and we not).

    In a container `localhost` is the service itself; here that is the node's own address.
    """
    check = service.healthcheck
    if check is None:
        return None
    local = Rewriter({(name, port): bind for port, bind in zip(service.ports, binds, strict=True) for name in _LOCAL})
    text = ["/bin/sh", "-c", check.test] if isinstance(check.test, str) else check.test
    argv = words([local(word) for word in text])
    if not argv or shutil.which(argv[0], path=env["PATH"]) is None:
        return None
    return ReadySpec(command=argv, interval=_COMMAND_INTERVAL, timeout=service.start_timeout)


def _probe_spec(service: Service, binds: tuple[Endpoint, ...]) -> ReadySpec | None:
    """A probe of the first port; a service that listens nowhere is ready as soon as it runs."""
    if not binds:
        return None
    host, port = binds[0]
    return ReadySpec(
        protocol=service.protocol, host=host, port=port, path=service.health_path, timeout=service.start_timeout
    )


def _variables(site: _Site, node: Node, service: Service) -> dict[str, str]:
    """${NODE_NAME}, ${NODE_DATA}, ${NODE_HOST}, ${NODE_PORT} (the first port), ${NODE_PORT_<port as in Compose>}."""
    values = {"NODE_NAME": node.name, "NODE_DATA": str(site.folder / "data" / node.name)}
    for port in service.ports:
        host, real = site.addresses.real[node.name, port]
        values |= {"NODE_HOST": host, f"NODE_PORT_{port}": str(real)}
        values.setdefault("NODE_PORT", str(real))
    return values


def _rewriter(site: _Site, node: Node) -> Rewriter:
    """Addresses as this node writes them -> where they are; nothing to do where names resolve."""
    addresses, topology = site.addresses, site.target.topology
    if addresses.hosts is not None:
        return Rewriter({})
    known: dict[tuple[str, int], Endpoint] = {}
    for link in topology.links_from(node.name):
        known[link.destination, link.port] = addresses.links[link.id]
        known.setdefault((topology.node(link.destination).service, link.port), addresses.links[link.id])
    for (name, port), endpoint in addresses.real.items():
        if name == node.name:
            known[name, port] = endpoint
    return Rewriter(known)


def _proxy(site: _Site) -> LaunchSpec:
    host, port = site.addresses.control
    if site.toxiproxy == "real":
        argv = real_argv(host, port)
        env = {**base_environment(str(site.folder)), "LOG_LEVEL": "info"}  # else it logs every request
    else:
        argv = server_argv(host, port, str(site.folder / "lag.jsonl"), None)
        env = own_python_environment(str(site.folder))
    return LaunchSpec(
        name=PROXY,
        argv=argv,
        env=env,
        cwd=str(site.folder),
        log=_log(site, PROXY),
        ready=ReadySpec(protocol="http", host=host, port=port, path="/version", interval=0.05),
    )


def _entry(site: _Site, client: str) -> str:
    """Where a client dials, as it sees it: a node when it stands beside one, else the entry, whose nodes share its
    name; without names the first of them is it.
    """
    topology, entry = site.target.topology, site.target.entry
    for link in topology.links_from(client):
        named = (entry if client == CLIENT else link.destination, link.port)
        return _joined(site.addresses.links[link.id] if site.addresses.hosts is None else named)
    raise TargetError(
        f"no link leads from {client} to the entry {entry}", hint="give the entry a port (x-chaoskit: process: port)"
    )


def _hosts(site: _Site, node: str) -> tuple[tuple[str, str], ...] | None:
    return None if site.addresses.hosts is None else site.addresses.hosts.get(node, ())


def _log(site: _Site, name: str) -> str:
    return str(site.folder / "logs" / f"{name}.log")


def _joined(endpoint: Endpoint) -> str:
    return f"{endpoint[0]}:{endpoint[1]}"
