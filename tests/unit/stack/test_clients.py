"""Who clients talk to, and where they stand."""

from __future__ import annotations

from typing import Any

import pytest

CLUSTER = """\
x-member: &member
  image: etcd
  expose: [2379, 2380]
  environment: {ETCD_INITIAL_CLUSTER: "n1=http://n1:2380,n2=http://n2:2380,n3=http://n3:2380"}
services:
  n1: {<<: *member}
  n2: {<<: *member}
  n3: {<<: *member}
x-chaoskit:
  process: {n1: {server: etcd}, n2: {server: etcd}, n3: {server: etcd}}
  entry: [n1, n2, n3]
"""
PEERS = [f"n{a}->n{b}:2380" for a in (1, 2, 3) for b in (1, 2, 3) if a != b]


def of_clients(target: Any) -> list[str]:
    found = [link.id for link in target.topology.links]
    assert found[:6] == PEERS
    return found[6:]


@pytest.mark.parametrize("more", ["", "  clients: outside\n"])
def test_one_client_dials_every_node_of_every_entry(read: Any, more: str) -> None:
    target, problems = read(CLUSTER + more)
    assert problems == []
    assert (target.entry, target.clients) == ("n1", ("client",))
    assert of_clients(target) == ["client->n1:2379", "client->n2:2379", "client->n3:2379"]


def test_a_client_beside_each_node_dials_that_node_alone(read: Any) -> None:
    target, problems = read(CLUSTER + "  clients: beside\n")
    assert problems == []
    assert target.clients == ("client@n1", "client@n2", "client@n3")
    assert of_clients(target) == ["client@n1->n1:2379", "client@n2->n2:2379", "client@n3->n3:2379"]
    assert [(node.name, node.service, node.number) for node in target.topology.nodes][3:] == [
        ("client@n1", "client", 4),
        ("client@n2", "client", 5),
        ("client@n3", "client", 6),
    ]


def test_clients_beside_some_nodes(read: Any) -> None:
    target, problems = read(CLUSTER + "  clients: [n3, n1]\n")
    assert problems == []
    assert of_clients(target) == ["client@n1->n1:2379", "client@n3->n3:2379"]


def test_replicas_of_one_entry_have_clients_too(read: Any, compose: str) -> None:
    text = compose + "  replicas: {api: 2}\n  clients: beside\n"
    target, problems = read(text)
    assert problems == []
    assert [link.id for link in target.topology.links][-2:] == ["client@api-1->api-1:8000", "client@api-2->api-2:8000"]


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ("[n1, n2, n3]\n", "[n1, n4]\n", "11:15", "the entry 'n4' is no service"),
        ("[n1, n2, n3]\n", "[]\n", "11:10", "has 0 entries"),
        ("[n1, n2, n3]\n", "[n1]\n  clients: [n2]\n", "12:13", "'n2' is no node of the entry"),
        ("[n1, n2, n3]\n", "n1\n  clients: besides\n", "12:12", "did you mean 'beside'?"),
        ("[n1, n2, n3]\n", "n1\n  clients: []\n", "12:12", "has 0 entries"),
        ("[n1, n2, n3]\n", "n1\n  clients: {n1: 1}\n", "12:12", "is a map"),
    ],
)
def test_mistakes_have_a_place(read: Any, old: str, new: str, where: str, what: str) -> None:
    target, problems = read(CLUSTER.replace("  entry: " + old, "  entry: " + new))
    assert target is None
    assert any(f"compose.yaml:{where}" in str(problem) and what in str(problem) for problem in problems), problems
