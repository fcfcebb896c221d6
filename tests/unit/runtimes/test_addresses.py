"""Address plans: nothing is shared, nothing is missing, and each source reaches each destination its own way."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.errors import PlanError
from chaoskit.runtimes.addresses import endpoints, hosts_addresses, is_client, rewrite_addresses
from chaoskit.stack.topology import CLIENT, Link, Node, Service, Target, Topology


@st.composite
def targets(draw: st.DrawFn) -> Target:
    """Any stack: services with replicas and several ports, links between any two nodes."""
    services, nodes = [], []
    for s in range(draw(st.integers(1, 4))):
        ports = tuple(draw(st.lists(st.integers(1024, 9999), min_size=1, max_size=3, unique=True)))
        services.append(Service(name=f"s{s}", ports=ports))
        for n in range(draw(st.integers(1, 3))):
            nodes.append(Node(name=f"s{s}-{n}", service=f"s{s}", number=len(nodes) + 1))
    nodes.append(Node(name=CLIENT, service=CLIENT, number=len(nodes) + 1))
    pairs = [(a, b) for a in nodes for b in nodes[:-1] if a != b]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    ports_of = {service.name: service.ports for service in services}
    links = [Link(source=a.name, destination=b.name, port=port) for a, b in chosen for port in ports_of[b.service]]
    return Target(
        name="any",
        folder="/",
        compose_file="/compose.yaml",
        services=tuple(services),
        topology=Topology(nodes=tuple(nodes), links=tuple(links)),
        entry="s0",
    )


@given(targets(), st.integers(2, 254))
def test_hosts_give_every_endpoint_and_pair_its_own_address(target: Target, lease: int) -> None:
    plan = hosts_addresses(target, lease)
    everything = list(plan.all())
    assert len(set(everything)) == len(everything)
    assert all(ipaddress.ip_address(host) in ipaddress.ip_network(f"127.{lease}.0.0/16") for host, _ in everything)
    for link in target.topology.links:
        assert plan.links[link.id][1] == link.port  # no port is changed
        assert plan.real[link.destination, link.port][1] == link.port


@given(targets(), st.integers(2, 254))
def test_names_lead_each_source_to_its_own_link(target: Target, lease: int) -> None:
    plan = hosts_addresses(target, lease)
    assert plan.hosts is not None
    for node in target.topology.nodes:
        names = {(name, address) for address, name in plan.hosts[node.name]}
        dialled = {link.destination for link in target.topology.links_from(node.name)}
        own = set() if is_client(node.name) else {node.name}
        services = {target.topology.node(name).service for name in dialled}
        assert {name for name, _ in names} == dialled | own | services  # and no other name: no way past a link
        for link in target.topology.links_from(node.name):
            assert (link.destination, plan.links[link.id][0]) in names


@given(targets(), targets(), st.lists(st.integers(2, 254), min_size=2, max_size=2, unique=True))
def test_two_leases_never_meet(one: Target, other: Target, leases: list[int]) -> None:
    assert not set(hosts_addresses(one, leases[0]).all()) & set(hosts_addresses(other, leases[1]).all())


@given(targets())
def test_rewriting_takes_exactly_the_ports_it_needs(target: Target) -> None:
    needed = len(endpoints(target)) + len(target.topology.links) + 1
    plan = rewrite_addresses(target, range(20000, 20000 + needed))
    assert sorted(port for _, port in plan.all()) == list(range(20000, 20000 + needed))
    assert {host for host, _ in plan.all()} == {"127.0.0.1"}
    assert plan.hosts is None


def test_too_many_nodes(target: Callable[..., Target]) -> None:
    many = target(Service(name="api", ports=(8000,)), replicas={"api": [f"api-{n}" for n in range(251)]})
    with pytest.raises(PlanError, match="252 nodes"):
        hosts_addresses(many, 2)
