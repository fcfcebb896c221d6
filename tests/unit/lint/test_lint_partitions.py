"""Partitions in a plan: written, checked against a target, placed, printed; and what claims may say of their sides."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from chaoskit.errors import AbilityError, SpecError
from chaoskit.lint import load_both
from chaoskit.plan import Plan, make_plan
from chaoskit.plan_text import describe
from chaoskit.spec.schema import schema
from chaoskit.stack.effects import Evidence
from chaoskit.stack.topology import RoleSpec, Target

TARGET = """\
  failover_bound: 2s
  workloads:
    keys: {file: workload.py, classes: {write: write, read: read}, invariants: [immutable]}
"""
EXPERIMENT = """\
apiVersion: chaoskit/v1
kind: Experiment
question: Who goes on?
target: shop
traffic: {workload: keys, arrivals: {poisson: 600/s}, timeout: 1s}
timeline:
  - {at: 5s, for: 12s, id: cut, fault: partition, isolate: n1}
claims:
  - {id: stops, that: yield of write at isolated <= 5%, steady: cut}
  - {id: goes-on, that: yield of write at majority >= 95%, steady: cut}
"""
ABLE = frozenset({"kill", "pause", "restart", "links:per-pair", "stress:cpu"})
LEADER = RoleSpec(name="leader", file="/t/actions.py", function="leader", nodes=("n1", "n2", "n3"))


def plan(files: Path, *overrides: str, roles: tuple[RoleSpec, ...] = (), **more: Any) -> Plan:
    loaded, target = load_both(Path("exp.yaml"), overrides=overrides, environ={})
    given: Target = target.model_copy(update={"roles": roles}) if roles else target
    return make_plan(loaded, given, **{"abilities": ABLE, **more})


def leader_plan(files: Path, *overrides: str, **more: Any) -> Plan:
    """A plan with roles, which only the target knows: `load_both` would miss them here."""
    from chaoskit.spec.load import load_experiment
    from chaoskit.stack.compose import load_target

    loaded = load_experiment(Path("exp.yaml"), overrides=overrides, environ={})
    target = load_target(Path("shop"), {}).model_copy(update={"roles": (LEADER,)})
    return make_plan(loaded, target, **{"abilities": ABLE, **more})


def test_a_partition_is_planned_with_matrix_and_sides(files: Path) -> None:
    (cut,) = plan(files).injections
    assert cut.links == ("n1->n2:2380", "n1->n3:2380", "n2->n1:2380", "n3->n1:2380")
    assert cut.sides["isolated"] == ("n1", "client@n1") and len(cut.matrix) == 9
    assert (cut.role, cut.choices) == (None, {})
    made = plan(files)
    assert made.injections[0].notes and Plan.model_validate_json(made.model_dump_json()) == made
    assert made.experiment.timeline[0].parameters == {"isolate": ["n1"], "mode": "silent"}
    assert made.experiment.timeline[0].on == ()


def test_how_a_matrix_reads(files: Path) -> None:
    text = describe(plan(files))
    assert max(map(len, text.splitlines())) <= 100
    rows = [line.split() for line in text.splitlines()]
    for row in (["n1", "n2", "n3"], ["n1", "\\", "x", "x"], ["n2", "x", "\\", "+"], ["n3", "x", "+", "\\"]):
        assert row in rows, text
    assert "side isolated or minority: n1, client@n1" in text
    assert "what a row sends to a column: + passes, x is lost" in text
    assert "among n1, n2 and n3, who dial each other" in text
    way = "timeline.cut={at: 5s, for: 12s, id: cut, fault: partition, one-way: {from: n1, to: n2}}"
    half = describe(plan(files, way, "claims=[{id: a, that: yield >= 1%}]"))
    assert ["n1", "\\", "x", "+"] in [line.split() for line in half.splitlines()]


def test_a_large_matrix_stays_within_the_page(files: Path) -> None:
    names = [f"member-{i:02d}" for i in range(1, 31)]
    for count, numbered in ((20, True), (30, False)):
        peers = ",".join(f"http://{name}:2380" for name in names[:count])
        member = f"{{image: etcd, environment: {{PEERS: '{peers}'}}, expose: ['2379', '2380']}}"
        process = ", ".join(f"{name}: {{command: [x], protocol: http}}" for name in names[:count])
        text = "services:\n" + "".join(f"  {name}: {member}\n" for name in names[:count])
        text += f"x-chaoskit:\n  entry: [{names[0]}]\n  clients: beside\n  process: {{{process}}}\n"
        text += "  workloads:\n    keys: {file: workload.py, classes: {write: write}}\n"
        (files / "shop/compose.yaml").write_text(text)
        lines = describe(
            plan(files, "timeline.cut.isolate=member-01", "claims=[{id: a, that: yield >= 1%}]")
        ).splitlines()
        assert max(map(len, lines)) <= 100
        assert any(line.split()[:3] == ["1", "2", "3"] for line in lines) == numbered
        assert any("too many for a table" in line for line in lines) != numbered


def test_placed_by_a_role_there_is_a_choice_for_everybody_who_can_hold_it(files: Path) -> None:
    (cut,) = leader_plan(files, "timeline.cut.isolate=leader").injections
    assert (cut.role, list(cut.choices)) == ("leader", ["n1", "n2", "n3"])
    assert [choice.sides["isolated"][0] for choice in cut.choices.values()] == ["n1", "n2", "n3"]
    assert cut.sentence == cut.choices["n1"].sentence and cut.choices["n2"].links[0] == "n1->n2:2380"
    text = describe(leader_plan(files, "timeline.cut.isolate=leader"))
    for piece in ("relative to the leader, who is asked for when it begins", "leader n2", "n3 (the leader) is cut off"):
        assert piece in text
    assert text.count("silent: data, ends and resets") == 1 and text.count("what a row sends") == 3
    (files / "exp.yaml").write_text(EXPERIMENT.replace("isolate: n1", "isolate: leader"))
    with pytest.raises(SpecError, match=r"exp\.yaml:7:\d+: the target shop does not say who its leader is") as caught:
        plan(files)
    assert "x-chaoskit: roles: {leader:" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ("isolate: n1", "isolate: n4", "7:60", "'n4' is no service or node"),
        ("isolate: n1", "isolate: [n1, m2]", "7:65", "use one of: n1, n2, n3, client"),
        ("isolate: n1", "groups: [[n1], [n2, nn3]]", "7:71", "'nn3' is no service or node; did you mean 'n3'?"),
        ("isolate: n1", "groups: [[n1, n2], n2]", "7:70", "n2 stands in two groups"),
        ("isolate: n1", "groups: n1", "7:59", "groups are a list of lists"),
        ("isolate: n1", "one-way: {from: n1, too: n2}", "7:71", "unknown key 'too' in timeline[0].one-way"),
        ("isolate: n1", "one-way: {from: n1, to: [n2, n7]}", "7:80", "'n7' is no service or node"),
        ("isolate: n1", "oneway: {from: n1}", "7:51", "did you mean 'one-way'?"),
        ("isolate: n1", "isolate: n1, ring: majority", "7:70", "ring is a second shape beside isolate"),
        ("isolate: n1", "ring: majority", "7:57", "with 3 nodes everybody is everybody's neighbour"),
        ("isolate: n1", "ring: maority", "7:57", "did you mean 'majority'?"),
        ("isolate: n1", "mode: refuse", "7:5", "a partition needs a shape, one of: groups"),
        ("isolate: n1", "one-way: {from: n1}, mode: refuse", "7:78", "mode refuse cannot go with one-way"),
        ("isolate: n1", "isolate: n1, on: n1", "7:64", "on cannot go with partition"),
        ("isolate: n1", "isolate: {n1: n2}", "7:60", "is not a name of a node"),
        ("isolate: n1", "isolate: null", "7:60", "isolate is nothing"),
        ("isolate: n1", "isolate: n1, among: [n2, n3]", "7:60", "n1 is not among the members"),
        ("for: 12s, ", "", "7:5", "timeline[0].for is missing"),
        ("at isolated", "at islated", "9:41", "there is no side 'islated'; did you mean 'isolated'?"),
        ("steady: cut}", "before: cut}", "", ""),
        ("at isolated <= 5%, steady: cut", "at isolated <= 5%", "9:41", "let the claim's window be during: cut"),
    ],
)
def test_a_mistake_is_shown_where_it_is(files: Path, old: str, new: str, where: str, what: str) -> None:
    text = EXPERIMENT.replace(old, new, 1)
    (files / "exp.yaml").write_text(text)
    if not what:
        plan(files)
        return
    with pytest.raises(SpecError) as caught:
        plan(files)
    texts = [str(problem) for problem in caught.value.problems]
    assert any(one.startswith(f"exp.yaml:{where}: ") and what in one for one in texts), texts


def test_sides_need_clients_on_them(files: Path) -> None:
    shop = files / "shop/compose.yaml"
    text = shop.read_text()
    shop.write_text(text.replace("  clients: beside\n", ""))
    with pytest.raises(SpecError, match="no client stands on the side 'isolated'") as caught:
        plan(files)
    assert "x-chaoskit: clients: beside" in str(caught.value)
    shop.write_text(text.replace("clients: beside", "clients: [n2, n3]"))
    rest = "claims=[{id: a, that: yield at rest >= 1%, steady: cut}]"
    assert not plan(files, rest).warnings
    with pytest.raises(SpecError, match="no client stands on the side 'isolated'"):
        plan(files)
    warned = leader_plan(
        files, "timeline.cut.isolate=leader", "claims=[{id: a, that: yield at isolated >= 1%, during: cut}]"
    )
    assert "at isolated: no client stands there when n1 is the leader" in warned.warnings


def test_a_client_is_a_side_of_its_own_everywhere(files: Path) -> None:
    claims = "claims=[{id: a, that: yield at n1 >= 1%}, {id: b, that: yield at client@n2 >= 1%, after: cut}]"
    assert plan(files, claims, "abort=yield at n3 < 1% for 5s").experiment.claims[0].condition is not None
    with pytest.raises(SpecError, match=r"there is no side 'majority' .*the whole load is judged here"):
        plan(files, claims, "abort=yield at majority < 1%")


def test_what_a_side_can_count_is_its_clients_share(files: Path) -> None:
    few = plan(files, "traffic.arrivals={poisson: 60/s}").warnings
    assert [text for text in few if "claim stops: about 80" in text]  # 8 s x 60/s x a half (writes) x a third
    assert not [text for text in few if "claim goes-on" in text]


def overlapping(*second: str) -> tuple[str, ...]:
    first = "{at: 5s, for: 12s, id: cut, fault: partition, isolate: n1}"
    return (f"timeline=[{first}, {{at: 8s, id: other, {', '.join(second)}}}]", "claims=[{id: a, that: yield >= 1%}]")


def test_silence_on_silence_is_silence(files: Path) -> None:
    made = plan(files, *overlapping("for: 15s", "fault: partition", "isolate: n2"))
    cut, other = made.injections
    assert [text for text in made.warnings if "cut and other overlap on n1->n2:2380 and 1 more: silent" in text]
    asked = {one.link for one in cut.evidence}
    assert not asked & {"n1->n2:2380", "n2->n1:2380"}  # `other` ends last: only it can be seen to be gone there
    assert {"n1->n2:2380", "n2->n3:2380"} <= {one.link for one in other.evidence if one.kind == "cut"}
    assert not [one for one in cut.evidence if one.kind == "open" and one.link == "n2->n3:2380"]
    with pytest.raises(SpecError, match="other lies within cut, which cuts all that it cuts"):
        plan(files, *overlapping("for: 3s", "fault: partition", "dial-cut: {from: n1, to: n2}"))
    with pytest.raises(SpecError, match="other overlaps cut on n1->n2:2380"):
        plan(files, *overlapping("for: 15s", "fault: partition", "isolate: n2", "mode: refuse"))


def test_what_hides_a_cut_and_what_does_not(files: Path) -> None:
    with pytest.raises(SpecError, match="other overlaps cut on n1->n2:2380"):
        plan(files, *overlapping("for: 3s", "fault: latency", "on: n1 -> n2", "latency: 9ms"))
    cut, _ = plan(files, *overlapping("for: 3s", "fault: latency", "on: n2 -> n3:2380", "latency: 9ms")).injections
    assert not [one for one in cut.evidence if one.link == "n2->n3:2380"]


def by_link(evidence: Iterable[Evidence]) -> set[tuple[str, str, str]]:
    return {(one.kind, one.link or one.node or "", one.ends_with) for one in evidence}


def test_a_node_may_be_stopped_inside_a_cut(files: Path) -> None:
    """It is seen by its processes, and over the links that are not cut."""
    before, *_ = plan(
        files, *overlapping("for: 3s", "fault: latency", "on: client@n2 -> n2", "latency: 9ms")
    ).injections
    made = plan(files, *overlapping("for: 3s", "fault: kill", "on: n1"))
    cut, other = made.injections
    assert by_link(other.evidence) == {("down", "n1", ""), ("refused", "client@n1->n1:2379", "")}
    gone = {("open", "client@n1->n1:2379", "")}  # nobody sends there while n1 is dead
    assert by_link(cut.evidence) == by_link(before.evidence) - gone | {("open", "client@n2->n2:2379", "")}
    assert [text for text in made.warnings if "other lies in cut: over n2->n1:2380, which is cut, it cannot" in text]
    assert [text for text in made.warnings if "other ends before cut: n1 must be able to start while cut off" in text]
    _, other = plan(files, *overlapping("fault: restart", "on: n1")).injections
    assert by_link(other.evidence) == {("restarted", "n1", "")}
    made = plan(files, *overlapping("for: 3s", "fault: pause", "on: n1"))
    assert {one.kind for one in made.injections[1].evidence} == {"frozen", "silent"}
    assert not [text for text in made.warnings if "must be able to start" in text]


@pytest.mark.parametrize("mode", ["silent", "refuse"])
def test_a_node_that_stays_dead_beyond_the_cut_shows_the_end_of_both(files: Path, mode: str) -> None:
    overrides = [text.replace("isolate: n1", f"isolate: n1, mode: {mode}") for text in overlapping("for: 9s")]
    made = plan(files, overrides[0].replace("for: 9s", "for: 9s, fault: kill, on: n1"), *overrides[1:])
    cut, other = made.injections
    into, out = {"n2->n1:2380", "n3->n1:2380"}, {"n1->n2:2380", "n1->n3:2380"}
    assert {one.link for one in cut.evidence if one.ends_with == "other"} == into
    assert {one.link for one in cut.evidence if one.kind == "cut"} == into | out
    assert {one.link for one in other.evidence if one.kind == "back"} == into
    assert not [text for text in made.warnings if "must be able to start" in text]


def test_over_plain_tcp_both_ends_must_run_to_see_a_link_healed(files: Path) -> None:
    shop = files / "shop/compose.yaml"
    shop.write_text(shop.read_text().replace("protocol: http", "protocol: tcp").replace("http:", "tcp:"))
    cut, other = plan(files, *overlapping("for: 9s", "fault: kill", "on: n1")).injections
    assert {one.link for one in cut.evidence if one.ends_with == "other"} == set(cut.links)
    assert {one.link for one in other.evidence if one.kind == "back"} == set(cut.links)


def test_a_cut_of_a_node_that_is_dead_already_cannot_be_seen(files: Path) -> None:
    for at in ("4s", "6s"):
        overrides = [text.replace("at: 8s", f"at: {at}") for text in overlapping("for: 3s", "fault: kill", "on: n1")]
        with pytest.raises(SpecError, match="overlaps cut on n2->n1:2380") as caught:
            plan(files, *overrides)
        assert "let cut begin 2 s or more before other" in str(caught.value)
    slow = "{at: 5s, for: 12s, id: cut, fault: latency, on: n2 -> n1, latency: 9ms}"
    kill = "{at: 8s, for: 3s, id: other, fault: kill, on: n1}"
    with pytest.raises(SpecError, match="one would hide the other"):
        plan(files, f"timeline=[{slow}, {kill}]", "claims=[{id: a, that: yield >= 1%}]")


def test_what_may_not_be_cut(files: Path) -> None:
    shop = files / "shop/compose.yaml"
    shop.write_text(shop.read_text().replace("  entry:", "  safe_to_break: {n3: [kill]}\n  entry:"))
    with pytest.raises(SpecError, match="partition would hurt n3"):
        plan(files)
    plan(files, "timeline.cut={at: 5s, for: 12s, id: cut, fault: partition, dial-cut: {from: n1, to: n2}}",
         "claims=[{id: a, that: yield >= 1%}]")  # fmt: skip


def test_links_of_pairs_are_needed(files: Path) -> None:
    with pytest.raises(AbilityError, match="cannot links:per-pair, which partition"):
        plan(files, abilities={"kill"})


def test_the_real_toxiproxy_is_noted(files: Path) -> None:
    assert any("closes leak" in note for note in plan(files, toxiproxy="real").injections[0].notes)
    assert "closes leak" in describe(plan(files, toxiproxy="real"))


def test_editors_know_the_shapes() -> None:
    from jsonschema import Draft7Validator

    validator = Draft7Validator(schema())

    def valid(*shape: str) -> bool:
        from ruamel.yaml import YAML

        text = EXPERIMENT.replace("isolate: n1", ", ".join(shape))
        return not list(validator.iter_errors(YAML(typ="safe", pure=True).load(text)))

    for good in (
        "isolate: n1",
        "groups: [[n1], n2]",
        "one-way: {from: n1, to: [n2, n3]}",
        "bridge: n1",
        "ring: majority",
        "dial-cut: {to: n1}",
        "split: majority-minority, leader: minority",
        "isolate: [n1], mode: refuse",
    ):
        assert valid(good), good
    for bad in (
        "isolate: 1",
        "groups: []",
        "groups: [[]]",
        "one-way: {}",
        "one-way: {too: n1}",
        "ring: 5",
        "mode: refuse",
        "isolate: n1, ring: majority",
        "isolate: n1, leader: minority",
        "isolate: n1, on: n1",
        "among: n1",
    ):
        assert not valid(bad), bad


def test_the_example_of_the_documentation_is_right(files: Path) -> None:
    page = (Path(__file__).resolve().parents[3] / "docs/partitions.md").read_text()
    first, *_, last = (rest.split("```", 1)[0] for rest in page.split("```yaml\n")[1:])
    (files / "exp.yaml").write_text(EXPERIMENT[: EXPERIMENT.index("timeline:")] + first)
    assert list(leader_plan(files).injections[0].choices) == ["n1", "n2", "n3"]
    (files / "exp.yaml").write_text(
        EXPERIMENT[: EXPERIMENT.index("timeline:")] + last + EXPERIMENT[EXPERIMENT.index("claims:") :]
    )
    assert [one.fault for one in plan(files).injections] == ["partition", "kill"]
    printed = page.split("```text\n", 1)[1].split("```", 1)[0]
    (files / "exp.yaml").write_text(EXPERIMENT)
    text = [line.split() for line in describe(plan(files)).splitlines()]
    assert all(line.split() in text for line in printed.splitlines()[2:])
