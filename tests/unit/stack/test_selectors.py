"""Selectors: what they match, and what is said when they match nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.stack.selectors import SelectorError, select_links, select_nodes
from chaoskit.stack.topology import Link, Node, Topology

SERVICES = {"db": ["db"], "cache": ["cache"], "api": ["api-1", "api-2"], "worker": ["worker"], "client": ["client"]}
TOPOLOGY = Topology(
    nodes=tuple(
        Node(name=name, service=service, number=number)
        for number, (service, name) in enumerate(((s, n) for s, names in SERVICES.items() for n in names), 1)
    ),
    links=tuple(
        Link(source=source, destination=destination, port=port)
        for source, destination, port in [
            ("api-1", "db", 5432),
            ("api-2", "db", 5432),
            ("api-1", "cache", 6379),
            ("api-2", "cache", 6379),
            ("worker", "db", 5432),
            ("worker", "db", 8008),
            ("api-1", "worker", 9000),
            ("worker", "api-1", 8000),
            ("client", "api-1", 8000),
            ("client", "api-2", 8000),
        ]
    ),
)
ALL = [link.id for link in TOPOLOGY.links]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("api -> db", ["api-1->db:5432", "api-2->db:5432"]),
        ("api->db", ["api-1->db:5432", "api-2->db:5432"]),
        ("api-2 -> db", ["api-2->db:5432"]),
        ("api-* -> cache", ["api-1->cache:6379", "api-2->cache:6379"]),
        ("* -> db", ["api-1->db:5432", "api-2->db:5432", "worker->db:5432", "worker->db:8008"]),
        ("worker -> db:8008", ["worker->db:8008"]),
        ("* -> *:8000", ["worker->api-1:8000", "client->api-1:8000", "client->api-2:8000"]),
        (
            "[api-2, worker] -> [db, cache]",
            ["api-2->db:5432", "api-2->cache:6379", "worker->db:5432", "worker->db:8008"],
        ),
        ("api <-> worker", ["api-1->worker:9000", "worker->api-1:8000"]),
        ("client -> api", ["client->api-1:8000", "client->api-2:8000"]),
        ("* -> *", ALL),
    ],
)
def test_links(text: str, found: list[str]) -> None:
    assert [link.id for link in select_links(text, TOPOLOGY)] == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("db", ("db",)),
        ("api", ("api-1", "api-2")),
        (" api-1 ", ("api-1",)),
        ("[cache, api-2]", ("cache", "api-2")),
        ("*", ("db", "cache", "api-1", "api-2", "worker")),
        ("*-1", ("api-1",)),
    ],
)
def test_nodes(text: str, found: tuple[str, ...]) -> None:
    assert select_nodes(text, TOPOLOGY) == found


@pytest.mark.parametrize(
    ("text", "offset", "what", "hint"),
    [
        ("db", 0, "selects nodes, but the fault is on links", "* -> db"),
        ("", 0, "selects nodes", "SOURCE -> DESTINATION"),
        ("api -> dbb", 7, "'dbb' is no service or node", "did you mean 'db'?"),
        ("apy -> db", 0, "'apy' is no service or node", "did you mean 'api'"),
        ("[api, wrker] -> db", 6, "'wrker' is no service or node", "did you mean 'worker'?"),
        ("x-* -> db", 0, "no service or node matches 'x-*'", ""),
        (" -> db", 1, "the source is missing", ""),
        ("api ->", 6, "the destination is missing", ""),
        ("api -> db -> cache", 10, "has two arrows", "one selector per pair"),
        ("[api -> db", 0, "the list is not closed", ""),
        ("api, worker -> db", 0, "is not a name", "[api, worker]"),
        ("[api,] -> db", 5, "'' is not a name", ""),
        ("a b -> db", 0, "'a b' is not a name", ""),
        ("db -> api", 0, "matches no link", "did you mean 'api -> db'?"),
        ("cache -> db", 0, "matches no link", ""),
        ("api -> db:1", 0, "matches no link", ""),
        ("cache <-> db", 0, "matches no link", ""),
    ],
)
def test_links_that_are_wrong(text: str, offset: int, what: str, hint: str) -> None:
    with pytest.raises(SelectorError) as caught:
        select_links(text, TOPOLOGY)
    assert (caught.value.offset, what in caught.value.what, hint in caught.value.hint) == (offset, True, True)
    if what == "matches no link":
        assert "api-1->db:5432" in caught.value.why


@pytest.mark.parametrize(
    ("text", "what"),
    [("api -> db", "selects links, but"), ("bd", "no service or node"), ("client", "no node"), ("", "is missing")],
)
def test_nodes_that_are_wrong(text: str, what: str) -> None:
    with pytest.raises(SelectorError, match=what):
        select_nodes(text, TOPOLOGY)


SIDE = st.sampled_from(["db", "api", "api-1", "*", "a*", "[db, api]", "[worker]", "client", "nobody", "", "]", "x y"])


@given(SIDE, st.sampled_from(["->", "<->", " -> ", ":", ""]), SIDE, st.sampled_from(["", ":5432", ":x", ":999999"]))
def test_whatever_is_written_selects_links_of_the_topology_or_says_why(a: str, arrow: str, b: str, port: str) -> None:
    text = a + arrow + b + port
    for select, known in ((select_links, set(TOPOLOGY.links)), (select_nodes, {n.name for n in TOPOLOGY.nodes})):
        failed: SelectorError | None = None
        found: tuple[object, ...] = ()
        try:
            found = select(text, TOPOLOGY)
        except SelectorError as error:
            failed = error
        if failed is None:
            assert found and set(found) <= known and len(set(found)) == len(found)
        else:
            assert failed.what and 0 <= failed.offset <= len(text)
