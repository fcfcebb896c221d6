"""Partitions: whatever is written, what passes is what the shape says, computed here once more from sets of nodes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from chaoskit import registry
from chaoskit.errors import PlanError
from chaoskit.faults.model import Compiled, Ground, ParameterError
from chaoskit.stack.effects import LinkEffect, fold_links
from chaoskit.stack.topology import Link, Node, RoleSpec, Target, Topology

FAULT = registry.load("fault", "partition")
LEADER = RoleSpec(name="leader", file="/t/actions.py", function="leader", nodes=("n1", "n2", "n3"))


def cluster(count: int = 5, clients: str = "beside", ports: tuple[int, ...] = (2380,), **more: Any) -> Target:
    """Nodes n1 … that all dial each other, each with its client beside it (or one client outside)."""
    names = [f"n{i}" for i in range(1, count + 1)]
    sources = [f"client@{name}" for name in names] if clients == "beside" else ["client"]
    links = [Link(source=a, destination=b, port=p) for a, b in itertools.permutations(names, 2) for p in ports]
    links += [
        Link(source=client, destination=name, port=2379, protocol="http")
        for client in sources
        for name in names
        if client in ("client", f"client@{name}")
    ]
    nodes = [Node(name=name, service="n", number=i) for i, name in enumerate(names, 1)]
    nodes += [Node(name=name, service="client", number=count + i) for i, name in enumerate(sources, 1)]
    fields: dict[str, Any] = {"services": (), "entry": "n", "clients": tuple(sources), **more}
    topology = Topology(nodes=tuple(nodes), links=tuple(links))
    return Target(name="t", folder="/t", compose_file="/t/compose.yaml", topology=topology, **fields)


def compiled(raw: dict[str, Any], target: Target | None = None, **ground: Any) -> Compiled:
    stored = FAULT.Parameters.model_validate(raw).model_dump(mode="json", by_alias=True, exclude_none=True)
    assert FAULT.stored(stored) == FAULT.Parameters.model_validate(raw)
    found: Compiled = FAULT.compile("cut", stored, Ground(target or cluster(), duration=10.0, **ground))
    assert Compiled.model_validate_json(found.model_dump_json()) == found
    return found


def heard(found: Compiled) -> dict[tuple[str, str], set[bool]]:
    """(a, b) -> whether what a sends passes to b, over each link that joins them."""
    pairs: dict[tuple[str, str], set[bool]] = {}
    for passage in found.matrix:
        source, _, rest = passage.link.partition("->")
        destination = rest.partition(":")[0]
        pairs.setdefault((source, destination), set()).add(passage.up)
        pairs.setdefault((destination, source), set()).add(passage.down)
    return pairs


def place(name: str) -> str:
    return name.removeprefix("client@")


@st.composite
def shapes(draw: st.DrawFn) -> tuple[int, dict[str, Any], Callable[[str, str], bool], bool]:
    """How many nodes, a shape as it is written, whether a is heard by b in it, and whether it is symmetric."""
    count = draw(st.integers(2, 9))
    names = [f"n{i}" for i in range(1, count + 1)]
    kind = draw(st.sampled_from(["groups", "isolate", "one-way", "bridge", "ring"]))
    if kind == "groups":
        groups = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count).filter(lambda g: len(set(g)) > 1))
        written = [[n for n, g in zip(names, groups, strict=True) if g == number] for number in sorted(set(groups))]
        if draw(st.booleans()):
            written = written[:-1]  # the last group forms by itself
        group_of = dict(zip(names, groups, strict=True))
        return count, {kind: written}, lambda a, b: group_of[a] == group_of[b], True
    if kind == "isolate":
        alone = draw(st.lists(st.sampled_from(names), min_size=1, max_size=count - 1, unique=True))
        raw = alone[0] if len(alone) == 1 and draw(st.booleans()) else alone
        return count, {kind: raw}, lambda a, b: (a in alone) == (b in alone), True
    if kind == "one-way":
        source, to = (draw(st.lists(st.sampled_from(names), min_size=1, unique=True)) for _ in range(2))
        if len(source) == len(to) == 1 and source == to:
            to = [name for name in names if name not in source]
        return count, {kind: {"from": source, "to": to}}, lambda a, b: not (a in source and b in to), False
    if kind == "bridge":
        count = max(count, 3)
        names = [f"n{i}" for i in range(1, count + 1)]
        middle = draw(st.sampled_from(names))
        others = [name for name in names if name != middle]
        first = set(others[: (len(others) + 1) // 2])
        return count, {kind: middle}, lambda a, b: middle in (a, b) or (a in first) == (b in first), True
    count = max(count, 5)
    reach = draw(st.sampled_from(["neighbours", "majority"]))
    names = [f"n{i}" for i in range(1, count + 1)]
    beside = {name: {names[i - 1], names[(i + 1) % count], name} for i, name in enumerate(names)}
    near = dict(beside)
    while reach == "majority" and 2 * len(near["n1"]) <= count:
        near = {name: set().union(*(beside[other] for other in seen)) for name, seen in near.items()}
    return count, {kind: reach}, lambda a, b: b in near[a], True


@settings(max_examples=200, deadline=None)
@given(shapes(), st.sampled_from(["embedded", "real"]), st.sampled_from(["beside", "outside"]), st.booleans())
def test_what_passes_is_what_the_shape_says(shape: Any, server: Any, clients: str, two_ports: bool) -> None:
    count, raw, definition, symmetric = shape
    target = cluster(count, clients, (2380, 2379) if two_ports else (2380,))
    found = compiled(raw, target, toxiproxy=server)
    between = {link.id for link in target.topology.links if link.source != "client"}
    assert {passage.link for passage in found.matrix} == between
    for (a, b), passes in heard(found).items():
        assert passes == {place(a) == place(b) or definition(place(a), place(b))}, (a, b)
    if symmetric:
        assert all(passage.up == passage.down for passage in found.matrix)
    folded = fold_links(found.effects)
    for passage in found.matrix:
        state = folded.pop(passage.link, None)
        silent = {toxic.stream for toxic in state.toxics} if state else set()
        assert silent == {way for way, open_ in (("upstream", passage.up), ("downstream", passage.down)) if not open_}
        kinds = {"blackhole"} if server == "embedded" else {"timeout"}
        assert not state or {toxic.type for toxic in state.toxics} == kinds
    assert not folded and len({effect.id for effect in found.effects}) == len(found.effects)
    asked = {(item.kind, item.link): item for item in found.evidence}
    for passage in found.matrix:
        cut = asked.get(("cut", passage.link))
        assert (cut is None) == (passage.up and passage.down)
        if cut is not None:
            assert (
                cut.stream
                == {(False, False): "both", (False, True): "up", (True, False): "down"}[passage.up, passage.down]
            )
        elif passage.up:
            assert ("open", passage.link) in asked
    for side, nodes in found.sides.items():
        assert len(set(nodes)) == len(nodes) and (
            clients == "outside" or {f"client@{n}" for n in nodes} & set(nodes)
        ), side


@settings(max_examples=60, deadline=None)
@given(st.integers(3, 11), st.integers(0, 2**63), st.sampled_from([None, "majority", "minority"]), st.data())
def test_a_split_has_just_more_than_half_on_one_side(count: int, seed: int, leader: str | None, data: Any) -> None:
    names = tuple(f"n{i}" for i in range(1, count + 1))
    holder = data.draw(st.sampled_from(names))
    raw = {"split": "majority-minority"} | ({"leader": leader} if leader else {})
    found = compiled(raw, cluster(count), seed=seed, roles={"leader": holder})
    majority, minority = ({place(n) for n in found.sides[side]} for side in ("majority", "minority"))
    assert majority | minority == set(names) and not majority & minority
    assert len(majority) == count // 2 + 1
    assert leader is None or (holder in found.sides[leader])
    assert all(
        passes == {(a in majority) == (b in majority)} for (a, b), passes in heard(found).items() if "@" not in a + b
    )


def test_the_seed_draws_who_stands_in_the_minority() -> None:
    drawn = {compiled({"split": "majority-minority"}, seed=seed).sides["minority"] for seed in range(40)}
    assert len(drawn) == 10 and all(len([n for n in side if "@" not in n]) == 2 for side in drawn)


@given(st.integers(5, 15))
def test_in_a_majority_ring_everybody_hears_a_majority_and_no_two_hear_the_same(count: int) -> None:
    found = compiled({"ring": "majority"}, cluster(count))
    hears = {
        b: frozenset(
            {b} | {a for (a, to), passes in heard(found).items() if to == b and passes == {True} and "@" not in a}
        )
        for b in (f"n{i}" for i in range(1, count + 1))
    }
    assert all(2 * len(names) > count for names in hears.values())
    assert len(set(hears.values())) == count


def test_one_tcp_connection_carries_both_directions() -> None:
    found = compiled({"one-way": {"from": "n1", "to": ["n2", "n3"]}}, cluster(3, "outside"))
    states = {e.link: [(t.type, t.stream) for t in e.toxics] for e in found.effects if isinstance(e, LinkEffect)}
    assert states == {
        "n1->n2:2380": [("blackhole", "upstream")],
        "n1->n3:2380": [("blackhole", "upstream")],
        "n2->n1:2380": [("blackhole", "downstream")],
        "n3->n1:2380": [("blackhole", "downstream")],
    }
    assert found.sentence == "what n1 sends does not reach n2 and n3, while the other way is open, in silence"
    assert (found.sides["from"], found.sides["to"]) == (("n1",), ("n2", "n3"))
    open_ = {(item.link, item.stream) for item in found.evidence if item.kind == "open"}
    assert open_ == {("n2->n1:2380", "up"), ("n3->n1:2380", "up"), ("n2->n3:2380", "both"), ("n3->n2:2380", "both")}


def test_a_dial_cut_is_one_link_alone_in_both_directions() -> None:
    for mode in ("silent", "refuse"):
        found = compiled({"dial-cut": {"from": "n1", "to": "n2"}, "mode": mode}, cluster(3))
        (effect,) = found.effects
        assert isinstance(effect, LinkEffect) and effect.link == "n1->n2:2380"
        assert (effect.enabled, len(effect.toxics)) == ((True, 2) if mode == "silent" else (False, 0))
        assert heard(found)["n1", "n2"] == heard(found)["n2", "n1"] == {True, False}
    beside = compiled({"dial-cut": {"from": "client@n1", "to": "n1"}}, cluster(3))
    assert [one.link for one in beside.matrix if not one.up] == ["client@n1->n1:2379"]


def test_links_that_are_refused() -> None:
    found = compiled({"isolate": "n1", "mode": "refuse"}, cluster(3))
    assert {e.link for e in found.effects if isinstance(e, LinkEffect) and not e.enabled} == {
        f"{a}->{b}:2380" for a, b in itertools.permutations(["n1", "n2", "n3"], 2) if "n1" in (a, b)
    }
    assert {item.kind for item in found.evidence} == {"cut", "refused", "open"}
    assert found.sentence == "n1 is cut off from n2 and n3, connections are refused"
    assert "refused" in found.notes[0] and "silent" in compiled({"isolate": "n1"}).notes[0]


def test_the_real_toxiproxy_lets_closes_through_and_that_is_said() -> None:
    assert not [note for note in compiled({"isolate": "n1"}).notes if "leak" in note]
    assert [note for note in compiled({"isolate": "n1"}, toxiproxy="real").notes if "closes leak" in note]
    refused = compiled({"isolate": "n1", "mode": "refuse"}, toxiproxy="real")
    assert not [note for note in refused.notes if "leak" in note or "hang" in note]
    assert [note for note in compiled({"isolate": "n1"}).notes if "new connects over a link that is cut hang" in note]
    # Nor does it count: that a cut is silent is all that it could show, and this one is refused.
    assert {item.kind for item in refused.evidence} == {"refused", "open"}
    half = compiled({"one-way": {"from": "n1"}}, cluster(2), toxiproxy="real")  # it does not count: an answer is needed
    assert {item.kind for item in half.evidence} == {"cut", "open"}
    assert {item.link for item in half.evidence if item.kind == "open"} == {"client@n1->n1:2379", "client@n2->n2:2379"}


def test_clients_stand_beside_their_nodes_or_outside() -> None:
    found = compiled({"isolate": "n1"}, cluster(3))
    assert found.sides["isolated"] == ("n1", "client@n1")
    assert set(found.sides["rest"]) == {"n2", "n3", "client@n2", "client@n3"} == set(found.sides["majority"])
    assert found.sides["minority"] == found.sides["n1"] == ("n1", "client@n1")
    assert heard(found)["client@n1", "n1"] == {True}
    outside = compiled({"isolate": "n1"}, cluster(3, "outside"))
    assert outside.sides["isolated"] == ("n1",) and not [one for one in outside.matrix if "client" in one.link]
    assert "client stands outside and reaches every side" in outside.notes
    named = compiled({"groups": [["n1", "client"], ["n2", "n3"]]}, cluster(3, "outside"))
    assert heard(named)["client", "n1"] == {True} and heard(named)["client", "n2"] == {False}
    assert named.sides["1"] == ("n1", "client") and named.sides["majority"] == ("n2", "n3")
    apart = compiled({"groups": [["client@n1"], ["n1", "n2", "n3"]]}, cluster(3))
    assert [one.link for one in apart.matrix if not one.up] == ["client@n1->n1:2379"]


def test_members_in_no_group_form_one_of_their_own() -> None:
    found = compiled({"groups": [["n1"], ["n2", "n3"]]})
    assert [place(n) for n in found.sides["rest"] if "@" not in n] == ["n4", "n5"]
    assert heard(found)["n4", "n5"] == {True} and heard(found)["n3", "n4"] == {False}
    assert found.sentence == "the network splits into n1 | n2, n3 | n4, n5, in silence"
    assert not {"majority", "minority"} & set(found.sides)
    assert "among n1, n2, n3, n4 and n5, who dial each other" in found.notes


def chain() -> Target:
    """web -> api-1, api-2 -> db, and a cluster of two beside it."""
    names = {"web": "web", "api-1": "api", "api-2": "api", "db": "db", "k1": "k", "k2": "k"}
    pairs = [
        ("web", "api-1"),
        ("web", "api-2"),
        ("api-1", "db"),
        ("api-2", "db"),
        ("k1", "k2"),
        ("k2", "k1"),
        ("client", "web"),
    ]
    nodes = [Node(name=n, service=s, number=i) for i, (n, s) in enumerate({**names, "client": "client"}.items(), 1)]
    links = tuple(Link(source=a, destination=b, port=80) for a, b in pairs)
    return cluster().model_copy(update={"topology": Topology(nodes=tuple(nodes), links=links), "clients": ("client",)})


def test_who_takes_part_unless_it_is_said() -> None:
    def members(raw: dict[str, Any], target: Target) -> set[str]:
        return {n for n in compiled(raw, target).sides if n in {node.name for node in target.topology.nodes}}

    assert members({"isolate": "n1"}, cluster(3)) == {"n1", "n2", "n3"}
    assert members({"isolate": "k1"}, chain()) == {"k1", "k2"}
    assert members({"groups": [["api-1"], ["db"]]}, chain()) == {"api-1", "db"}  # api-2 reaches it as before
    assert members({"one-way": {"from": "api", "to": "db"}}, chain()) == {"api-1", "api-2", "db"}
    assert members({"isolate": "db"}, chain()) == {"web", "api-1", "api-2", "db", "k1", "k2"}
    assert members({"isolate": "db", "among": ["db", "api-2"]}, chain()) == {"db", "api-2"}
    assert members({"dial-cut": {"to": "k2"}}, chain()) == {"k1", "k2"}
    assert "the nodes of the stack" in compiled({"isolate": "db"}, chain()).notes[2]


def test_placed_by_a_role() -> None:
    target = cluster(3, roles=(LEADER,))
    for raw in ({"isolate": "leader"}, {"split": "majority-minority", "leader": "minority"}, {"bridge": "leader"},
                {"one-way": {"to": "leader"}}, {"groups": [["leader"]]}):  # fmt: skip
        stored = FAULT.Parameters.model_validate(raw).model_dump(mode="json", by_alias=True, exclude_none=True)
        assert FAULT.role(stored, target) == "leader"
        texts = {compiled(raw, target, roles={"leader": name}).sentence for name in ("n1", "n2", "n3")}
        assert len(texts) == 3 and all("(the leader)" in text for text in texts)
    assert FAULT.role({"isolate": ["n1"]}, target) is None
    found = compiled({"isolate": "leader"}, target, roles={"leader": "n2"})
    assert found.sides["isolated"] == ("n2", "client@n2")
    named = target.model_copy(update={"roles": (LEADER.model_copy(update={"name": "n1"}),)})
    assert FAULT.role({"isolate": ["n1"]}, named) is None  # a node of that name is meant


@pytest.mark.parametrize(
    ("raw", "path", "what"),
    [
        ({"isolate": "n6"}, ("isolate", 0), "'n6' is no service or node"),
        ({"isolate": ["n1", "m2"]}, ("isolate", 1), "'m2' is no service or node"),
        ({"isolate": "n"}, ("isolate",), "nobody is left"),
        ({"isolate": "n*"}, ("isolate",), "nobody is left"),
        ({"isolate": "n1 -> n2"}, ("isolate", 0), "selects links"),
        ({"isolate": "n1", "among": ["n2", "n3"]}, ("isolate", 0), "n1 is not among the members"),
        ({"isolate": "leader"}, ("isolate", 0), "does not say who its leader is"),
        ({"split": "majority-minority", "leader": "majority"}, ("leader",), "does not say who its leader is"),
        ({"split": "majority-minority", "among": ["n1", "n2"]}, ("split",), "there is no minority beside a majority"),
        ({"groups": [["n1", "n2"], ["n2"]]}, ("groups", 1), "n2 stands in two groups"),
        ({"groups": [["n"]]}, ("groups",), "separates nobody"),
        ({"groups": [["n1"], ["x"]]}, ("groups", 1, 0), "'x' is no service or node"),
        ({"bridge": "n"}, ("bridge",), "is 5 nodes"),
        ({"bridge": "n1", "among": ["n1", "n2"]}, ("bridge",), "a node on each side"),
        ({"ring": "neighbours", "among": ["n1", "n2", "n3", "n4"]}, ("ring",), "with 4 nodes only those who stand"),
        ({"ring": "majority", "among": ["n1", "n2", "n3"]}, ("ring",), "everybody is everybody's neighbour"),
        ({"one-way": {"from": "n1", "to": "n1"}}, ("one-way",), "both ends are the same"),
        ({"one-way": {"from": "n"}}, ("one-way",), "both ends are the same"),
        ({"one-way": {"from": "n1", "to": ["n2", "y"]}}, ("one-way", "to", 1), "'y' is no service or node"),
    ],
)
def test_what_does_not_fit_is_shown_where_it_is(raw: dict[str, Any], path: tuple[Any, ...], what: str) -> None:
    with pytest.raises(ParameterError, match=what) as caught:
        compiled(raw)
    assert caught.value.path == path and caught.value.hint


def test_a_partition_that_cuts_nothing_or_means_several_is_refused() -> None:
    with pytest.raises(PlanError, match="would cut nothing"):
        compiled({"groups": [["web"], ["db"]], "among": ["web", "db"]}, chain())
    two = chain()
    more = (Link(source="api-1", destination="api-2", port=1), Link(source="api-2", destination="api-1", port=1))
    several = two.model_copy(update={"topology": two.topology.model_copy(update={"links": two.topology.links + more})})
    with pytest.raises(ParameterError, match="several clusters") as caught:
        compiled({"split": "majority-minority"}, several)
    assert "among" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        ({}, "a partition needs a shape, one of: groups, isolate"),
        ({"isolate": "n1", "ring": "majority"}, "ring is a second shape beside isolate"),
        ({"isolate": "n1", "leader": "majority"}, "leader belongs to split"),
        ({"one-way": {"from": "n1"}, "mode": "refuse"}, "mode refuse cannot go with one-way"),
        ({"one-way": {}}, "neither from nor to"),
        ({"one-way": "n1"}, "two ends are expected"),
        ({"groups": []}, "groups are a list of lists"),
        ({"groups": "n1"}, "groups are a list of lists"),
        ({"groups": [[]]}, "at least 1"),
        ({"isolate": 1}, "needs quotes"),
        ({"isolate": []}, "at least 1"),
        ({"ring": True}, "'neighbours' or 'majority'"),
        ({"isolate": "n1", "mode": "loud"}, "'silent' or 'refuse'"),
        ({"isolate": "n1", "groupes": []}, "Extra inputs"),
    ],
)
def test_how_it_may_not_be_written(raw: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        FAULT.Parameters.model_validate(raw)
