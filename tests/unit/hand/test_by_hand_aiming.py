"""Words of a command line become what an entry of a timeline would become, or the same sentences about mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.cli.hand import _parameters
from chaoskit.errors import AbilityError, UsageError
from chaoskit.hand.aiming import aim, read_order
from chaoskit.hand.doing import fault_help
from chaoskit.hand.injecting import visible
from chaoskit.hand.talk import how_to_talk
from chaoskit.stack.compose import load_target
from chaoskit.stack.topology import Service, Target

ROOT = Path(__file__).resolve().parents[3]
ABILITIES = frozenset({"kill", "pause", "restart", "links:per-pair", "stress:cpu"})


@pytest.fixture(scope="module")
def tiny() -> Target:
    return load_target(ROOT / "tests/e2e/tiny", {})


@pytest.fixture(scope="module")
def etcd() -> Target:
    return load_target(ROOT / "targets/etcd", {})


def test_a_fault_on_a_link(tiny: Target) -> None:
    order = read_order("latency", ["api -> cache"], "30s", {"latency": "200ms", "jitter": "20ms"})
    assert (order.fault, order.on, order.duration) == ("latency", ("api -> cache",), 30.0)
    assert order.parameters == {"latency": 0.2, "jitter": 0.02, "stream": "down"}
    compiled = aim(order, "latency-1", tiny, abilities=ABILITIES)
    (effect,) = compiled.effects
    assert (effect.id, effect.kind) == ("latency-1/1", "link") and compiled.evidence[0].expected == 0.2
    assert type(order).model_validate_json(order.model_dump_json()) == order


def test_a_fault_on_a_node_and_an_instant(tiny: Target) -> None:
    pause = aim(read_order("pause", ["cache"], "5s", {}), "p", tiny, abilities=ABILITIES)
    assert [effect.kind for effect in pause.effects] == ["node"]
    assert read_order("restart", ["cache"], None, {}).duration is None


def test_lists_and_maps_are_written_as_in_yaml(etcd: Target) -> None:
    order = read_order("partition", [], "10s", {"groups": "[[n1], [n2, n3]]", "mode": "refuse"})
    compiled = aim(order, "split", etcd, abilities=ABILITIES)
    cut = {passage.link for passage in compiled.matrix if not passage.up and not passage.down}
    assert any(link.startswith("n1->n2") for link in cut) and not any(link.startswith("n2->n3") for link in cut)
    one_way = read_order("partition", [], "10s", {"one-way": "{from: n1, to: [n2]}"})
    assert aim(one_way, "half", etcd, abilities=ABILITIES).effects


@pytest.mark.parametrize(
    ("fault", "on", "duration", "words", "sentence"),
    [
        ("latncy", ["a -> b"], "1s", {}, "there is no fault 'latncy'"),
        ("latency", ["api -> cache"], "1s", {}, "latency.latency is missing"),
        ("latency", ["api -> cache"], "1s", {"latency": "200"}, "200 has no unit"),
        ("latency", ["api -> cache"], "1s", {"latency": "2s", "jiter": "1s"}, "'jiter'"),
        ("latency", ["api -> cache"], "1s", {"latency": "2s", "jitter": "3s"}, "jitter is larger than latency"),
        ("latency", ["api -> cache"], "soon", {"latency": "2s"}, "soon"),
        ("latency", ["api -> cache"], None, {"latency": "2s"}, "latency.for is missing"),
        ("latency", [], "1s", {"latency": "2s"}, "latency.on is missing"),
        ("latency", ["api -> cache"], "1s", {"latency": "2s", "at": "3s"}, "--at is no parameter of latency"),
        ("latency", ["api -> cache"], "1s", {"latency": "[2s"}, "YAML"),
        ("latency", ["api -> cache"], "1s", {"latency": "2s\nfault: kill"}, "duration"),
        ("restart", ["cache"], "1s", {}, "restart is an instant"),
        ("pause", ["cache"], "1s", {"x: y\nz": "1"}, "is no parameter of pause"),
    ],
)
def test_mistakes(fault: str, on: list[str], duration: str | None, words: dict[str, str], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_order(fault, on, duration, words)
    assert sentence in str(caught.value)


def test_what_may_not_be_broken_or_cannot_be(tiny: Target) -> None:
    kept = tiny.services[0].model_copy(update={"safe_to_break": ("links",)})
    careful = tiny.model_copy(update={"services": (kept, *tiny.services[1:])})
    kill = read_order("kill", [kept.name], "1s", {})
    with pytest.raises(UsageError, match=f"kill would hurt {kept.name}"):
        aim(kill, "k", careful, abilities=ABILITIES)
    with pytest.raises(AbilityError, match="kill"):
        aim(kill, "k", tiny, abilities=frozenset())
    with pytest.raises(UsageError, match="'cash' is no service or node") as caught:
        aim(read_order("outage", ["api -> cash"], "1s", {}), "o", tiny, abilities=ABILITIES)
    assert caught.value.hint == "did you mean 'cache'?"


def test_how_to_talk() -> None:
    web, sql = Service(name="web"), Service(name="db", environment={"POSTGRES_USER": "app", "POSTGRES_DB": "shop"})
    assert how_to_talk("127.2.3.4", 80, "http", "/a b", web) == "curl -i 'http://127.2.3.4:80/a b'"
    assert how_to_talk("127.2.3.4", 5432, "postgres", "/", sql) == "psql postgresql://app@127.2.3.4:5432/shop"
    assert how_to_talk("127.2.3.4", 6379, "resp", "/", web) == "valkey-cli -h 127.2.3.4 -p 6379"
    assert how_to_talk("127.2.3.4", 7, "tcp", "/", web) == "nc 127.2.3.4 7"
    etcd = Service(name="n1", server="etcd")
    assert how_to_talk("127.2.3.4", 2379, "http", "/", etcd).startswith("etcdctl --endpoints=http://127.2.3.4:2379")
    assert how_to_talk("127.2.3.4", 2380, "http", "/v", etcd, for_clients=False) == "curl -i http://127.2.3.4:2380/v"


def test_options_that_are_no_options_are_parameters() -> None:
    words, places = _parameters(["api -> cache", "--latency", "200ms", "b -> c", "--jitter=1ms", "--stream", "up"])
    assert words == {"latency": "200ms", "jitter": "1ms", "stream": "up"} and places == ["api -> cache", "b -> c"]
    for wrong in (["--latency"], ["--latency", "--jitter"], ["--a", "1", "--a=2"]):
        with pytest.raises(UsageError):
            _parameters(wrong)


def test_every_fault_and_its_parameters_are_in_the_help() -> None:
    found = {name: dict(rows) for name, _, rows in fault_help()}
    assert {"latency", "partition", "kill"} <= set(found)
    assert found["latency"]["latency"].endswith("required") and "else down" in found["latency"]["stream"]


def test_over_a_link_that_is_cut_nobody_looks_for_a_dead_node(tiny: Target) -> None:
    dead, cut, slow = (
        aim(read_order(fault, [on], "9s", words), fault, tiny, abilities=ABILITIES)
        for fault, on, words in (
            ("kill", "cache", {}),
            ("outage", "api -> cache", {}),
            ("latency", "api -> cache", {"latency": "9ms"}),
        )
    )
    assert (
        {one.kind for one in visible(dead, ())}
        == {one.kind for one in visible(dead, slow.effects)}
        == {"down", "refused"}
    )
    assert [one.kind for one in visible(dead, cut.effects)] == ["down"]
    assert visible(slow, cut.effects) == slow.evidence
