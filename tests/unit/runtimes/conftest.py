"""Targets made by hand: small ones, and any ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chaoskit.linux import Capabilities
from chaoskit.runtimes import process
from chaoskit.stack.topology import CLIENT, Link, Node, Service, Target, Topology


def make_target(*services: Service, replicas: dict[str, list[str]] | None = None, **more: Any) -> Target:
    """Services in the order of their dependencies; links by `depends_on` and from the client to the last one."""
    nodes: list[Node] = []
    for service in services:
        for name in (replicas or {}).get(service.name, [service.name]):
            nodes.append(Node(name=name, service=service.name, number=len(nodes) + 1))
    nodes.append(Node(name=CLIENT, service=CLIENT, number=len(nodes) + 1))
    ports = {service.name: service.ports for service in services}
    links = [
        Link(source=source.name, destination=other.name, port=port)
        for service in services
        for source in nodes
        if source.service == service.name
        for other in nodes
        if other.service in service.depends_on and other.name != source.name
        for port in ports[other.service]
    ]
    entry = services[-1]
    links += [
        Link(source=CLIENT, destination=node.name, port=entry.ports[0], protocol=entry.protocol)
        for node in nodes
        if node.service == entry.name
    ]
    return Target(
        **{
            "name": "made",
            "folder": "/made",
            "compose_file": "/made/compose.yaml",
            "services": services,
            "topology": Topology(nodes=tuple(nodes), links=tuple(links)),
            "entry": entry.name,
            **more,
        }
    )


@pytest.fixture
def target() -> Callable[..., Target]:
    return make_target


@pytest.fixture
def shop(tmp_path: Path) -> Target:
    """api -> db, api -> cache; nothing needs a package."""
    db = Service(name="db", server="postgres", ports=(5432,), protocol="postgres", image="postgres:16-alpine")
    cache = Service(name="cache", server="valkey", ports=(6379,), protocol="resp")
    api = Service(
        name="api",
        context=str(tmp_path),
        process_command=("python", "-m", "app", "--host", "${NODE_HOST}", "--port", "${NODE_PORT}"),
        environment={"DATABASE_URL": "postgresql://app@db:5432/app", "CACHE": "redis://cache:6379", "SELF": "api:8000"},
        ports=(8000,),
        protocol="http",
        health_path="/health",
        depends_on=("db", "cache"),
    )
    return make_target(db, cache, api)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Make believe that namespaces are, or are not, to be had."""

    def pretend(namespaces: bool) -> None:
        found = Capabilities(True, True, "", "") if namespaces else Capabilities(False, False, "denied", "allow it")
        monkeypatch.setattr(process.linux, "probe", lambda: found)

    return pretend
