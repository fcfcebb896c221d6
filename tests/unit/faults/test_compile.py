"""Every fault compiles: effects, names, evidence, sentence; and what would surprise Toxiproxy is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from chaoskit import registry
from chaoskit.errors import PlanError
from chaoskit.faults.model import Ground, ParameterError
from chaoskit.stack.effects import LinkEffect, NodeEffect, fold_links, fold_nodes
from chaoskit.stack.topology import Link, Target, Topology

DB = Link(source="api", destination="db", port=5432, protocol="postgres")
CACHE = Link(source="api", destination="cache", port=6379, protocol="resp")
RAW = Link(source="api", destination="db", port=9999, protocol="tcp")

TARGET = Target(
    name="t", folder="/t", compose_file="/t", services=(), topology=Topology(nodes=(), links=()), entry="api"
)

GOOD: dict[str, dict[str, Any]] = {
    "latency": {"latency": "200ms", "jitter": "20ms"},
    "timeout": {"timeout": "1s"},
    "outage": {},
    "blackhole": {},
    "reset": {},
    "bandwidth": {"rate": "100KB/s"},
    "slow_close": {"delay": "2s"},
    "slicer": {"size": "20B", "variation": "5B", "delay": "1ms"},
    "limit_data": {"bytes": "10KB"},
    "flaky": {"share": "20%"},
    "flap": {"down": "1s", "up": "2s"},
    "kill": {},
    "restart": {},
    "pause": {},
}


def compiled(
    name: str,
    raw: dict[str, Any],
    links: tuple[Link, ...] = (DB, CACHE),
    nodes: tuple[str, ...] = (),
    toxiproxy: Any = "embedded",
    duration: float | None = 10.0,
) -> Any:
    fault = registry.load("fault", name)
    stored = fault.Parameters.model_validate(raw).model_dump()
    assert json.loads(json.dumps(stored)) == stored  # goes into plan.json as it is
    return fault.compile("slow", stored, Ground(TARGET, links, nodes, 7, duration=duration, toxiproxy=toxiproxy))


@pytest.mark.parametrize("name", GOOD)
def test_every_fault_is_registered_and_compiles(name: str) -> None:
    fault = registry.load("fault", name)
    assert fault.name == name and fault.summary
    nodes = ("db",) if fault.targets == "nodes" else ()
    found = compiled(name, GOOD[name], (DB, CACHE, RAW), nodes)
    assert found == compiled(name, GOOD[name], (DB, CACHE, RAW), nodes)  # pure
    assert [e.id for e in found.effects] == [f"slow/{n}" for n in range(1, len(found.effects) + 1)]
    assert found.evidence and found.sentence and not found.sentence.endswith(".")
    for effect in found.effects:
        assert effect.injection == "slow"
        if isinstance(effect, LinkEffect):
            for toxic in effect.toxics:
                assert "/" not in toxic.name and toxic.name.startswith(effect.id.replace("/", "."))
    names = [t.name for e in found.effects if isinstance(e, LinkEffect) for t in e.toxics]
    assert len(names) == len(set(names))
    json.loads(found.model_dump_json())
    with pytest.raises(ValidationError):
        fault.Parameters.model_validate({**GOOD[name], "no_such_parameter": 1})


def test_registry_and_table_agree() -> None:
    assert set(registry.names("fault")) >= set(GOOD)


def test_latency_is_what_was_asked_per_round_trip() -> None:
    for stream, ways in (("down", ["downstream"]), ("up", ["upstream"]), ("both", ["upstream", "downstream"])):
        (effect,) = compiled("latency", {"latency": "201ms", "jitter": "7ms", "stream": stream}, (DB,)).effects
        assert [t.stream for t in effect.toxics] == ways
        assert sum(t.attributes["latency"] for t in effect.toxics) == 201
        assert sum(t.attributes["jitter"] for t in effect.toxics) == 7
    found = compiled("latency", GOOD["latency"])
    assert found.sentence == "api->db:5432 and api->cache:6379 answer 200 ms ± 20 ms late"
    assert [(e.kind, e.link, e.expected, e.tolerance) for e in found.evidence] == [
        ("latency", DB.id, 0.2, 0.02),
        ("latency", CACHE.id, 0.2, 0.02),
    ]


def test_states_of_links_and_nodes() -> None:
    assert not fold_links(compiled("outage", {}, (DB,)).effects)[DB.id].enabled
    assert [t.type for t in fold_links(compiled("blackhole", {}, (DB,)).effects)[DB.id].toxics] == ["blackhole"] * 2
    (toxic,) = fold_links(compiled("reset", {"delay": "5ms"}, (DB,)).effects)[DB.id].toxics
    assert (toxic.type, toxic.stream, toxic.attributes) == ("reset_peer", "upstream", {"timeout": 5})
    assert fold_nodes(compiled("kill", {}, (DB,), ("db",)).effects) == {"db": "killed"}
    assert fold_nodes(compiled("pause", {}, (DB,), ("db",)).effects) == {"db": "paused"}
    restart = compiled("restart", {}, (DB,), ("db",))
    assert [type(e) for e in restart.effects] == [NodeEffect] and registry.load("fault", "restart").instant


def test_node_faults_ask_only_the_links_that_can_show_them() -> None:
    kill = compiled("kill", {}, (DB, CACHE, RAW), ("db",)).evidence
    assert [(e.kind, e.link) for e in kill] == [("down", None), ("refused", DB.id), ("refused", RAW.id)]
    pause = compiled("pause", {}, (DB, CACHE, RAW), ("db",)).evidence
    assert [(e.kind, e.link) for e in pause] == [("frozen", None), ("silent", DB.id)]


@pytest.mark.parametrize(
    ("name", "raw", "why"),
    [
        ("latency", {}, "Field required"),
        ("latency", {"latency": 200}, "no unit"),
        ("latency", {"latency": "0ms"}, "at least"),
        ("latency", {"latency": "0.4ms"}, "at least"),
        ("latency", {"latency": "1ms", "stream": "both"}, "at least"),
        ("latency", {"latency": "1.5ms"}, "whole"),
        ("latency", {"latency": "1h"}, "at most"),
        ("latency", {"latency": "10ms", "jitter": "11ms"}, "jitter"),
        ("latency", {"latency": "-5ms"}, "not a duration"),
        ("latency", {"latency": "10ms", "stream": "sideways"}, "up"),
        ("timeout", {"timeout": "0s"}, "blackhole"),
        ("timeout", {"timeout": "1h"}, "blackhole"),
        ("reset", {"delay": "1m"}, "at most"),
        ("reset", {"delay": "0.5ms"}, "delay is not a whole number of milliseconds"),
        ("bandwidth", {"rate": "500B/s"}, "at least 1KB/s"),
        ("bandwidth", {"rate": "1.5KB/s"}, "rate is not a whole number of KB/s"),
        ("bandwidth", {"rate": "100KiB/s"}, "rate is not a whole number of KB/s"),
        ("bandwidth", {"rate": "11GB/s"}, "at most"),
        ("bandwidth", {"rate": "100KB"}, "not a bandwidth"),
        ("bandwidth", {"rate": "100/s"}, "not a size"),
        ("bandwidth", {"rate": 100}, "no unit"),
        ("slow_close", {"delay": "0s"}, "at least"),
        ("slow_close", {"delay": "1.5ms"}, "whole"),
        ("slow_close", {"delay": "1h"}, "at most"),
        ("slicer", {"size": "0B"}, "size is between"),
        ("slicer", {"size": "10B", "variation": "10B"}, "variation is not smaller than size"),
        ("slicer", {"size": "10B", "delay": "1.5us"}, "whole"),
        ("slicer", {"size": "10B", "delay": "1m"}, "at most"),
        ("slicer", {"size": "2MB"}, "size is between"),
        ("limit_data", {"bytes": "2000GB"}, "at most"),
        ("limit_data", {}, "Field required"),
        ("flaky", {"share": "0%"}, "no connection would fail"),
        ("flaky", {"share": "101%"}, "not a share"),
        ("flaky", {"share": "5%", "how": "rudely"}, "reset"),
        ("flap", {"down": "10ms", "up": "1s"}, "down is at least"),
        ("flap", {"down": "1s", "up": "0s"}, "up is at least"),
        ("kill", {"signal": "TERM"}, "Extra inputs"),
    ],
)
def test_what_would_surprise_is_refused(name: str, raw: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        registry.load("fault", name).Parameters.model_validate(raw)


def test_stored_parameters_that_are_not_valid_are_a_plan_error() -> None:
    with pytest.raises(PlanError, match="fault latency: latency"):
        registry.load("fault", "latency").compile("x", {"latency": -1.0}, Ground(TARGET, (DB,)))


def bent(name: str, raw: dict[str, Any], **kwargs: Any) -> list[tuple[str, str, float, dict[str, int]]]:
    (effect,) = compiled(name, raw, (DB,), **kwargs).effects
    return [(t.type, t.stream, t.toxicity, t.attributes) for t in effect.toxics]


def test_toxics_are_in_the_units_of_toxiproxy() -> None:
    assert bent("bandwidth", {"rate": "2MB/s"}) == [("bandwidth", "downstream", 1.0, {"rate": 2000})]
    both = bent("bandwidth", {"rate": "1KB/s", "stream": "both"})
    assert [(way, values) for _, way, _, values in both] == [("upstream", {"rate": 1}), ("downstream", {"rate": 1})]
    assert bent("slow_close", {"delay": "1.5s", "stream": "up"}) == [("slow_close", "upstream", 1.0, {"delay": 1500})]
    assert bent("slicer", {"size": "64B", "variation": "3B", "delay": "250us"}) == [
        ("slicer", "downstream", 1.0, {"average_size": 64, "size_variation": 3, "delay": 250})
    ]
    assert bent("limit_data", {"bytes": "1KiB"}) == [("limit_data", "downstream", 1.0, {"bytes": 1024})]
    # One toxic, so that there is one roll of the dice.
    assert bent("flaky", {"share": "20%"}) == [("reset_peer", "upstream", 0.2, {"timeout": 0})]
    assert bent("flaky", {"share": "1%", "how": "close"}) == [("limit_data", "upstream", 0.01, {"bytes": 0})]
    assert bent("flaky", {"share": "1%", "how": "silent"}) == [("blackhole", "upstream", 0.01, {})]
    real = bent("flaky", {"share": "1%", "how": "silent"}, toxiproxy="real")
    assert real == [("timeout", "upstream", 0.01, {"timeout": 0})]


def test_no_fault_makes_a_toxic_that_is_dangerous() -> None:
    from chaoskit.toxiproxy.dangers import refusal

    for name, raw in GOOD.items():
        for server in ("embedded", "real"):
            for effect in compiled(name, raw, toxiproxy=server, nodes=("db",)).effects:
                for toxic in effect.toxics if isinstance(effect, LinkEffect) else ():
                    assert refusal(toxic.name, toxic.type, toxic.toxicity, toxic.attributes) is None
                    assert server == "embedded" or toxic.type != "blackhole"


def test_the_close_of_a_canary_meets_a_slow_close_on_every_way() -> None:
    (item,) = compiled("slow_close", {"delay": "2s", "stream": "both"}, (DB,)).evidence
    assert (item.expected, len(item.toxics)) == (4.0, 2)


def test_a_close_that_would_come_after_the_fault_is_refused() -> None:
    with pytest.raises(ParameterError, match="no end of a connection would come") as caught:
        compiled("slow_close", {"delay": "10s"})
    assert caught.value.path == ("delay",)


def test_flap_is_an_outage_that_begins_and_ends_inside() -> None:
    found = compiled("flap", {"down": "1s", "up": "2s"})
    times = [(e.begins, e.ends) for e in found.effects if e.link == DB.id]
    assert times == [(0.0, 1.0), (3.0, 4.0), (6.0, 7.0), (9.0, None)]
    assert times == [(e.begins, e.ends) for e in found.effects if e.link == CACHE.id]
    assert len({e.id for e in found.effects}) == 8 and not any(e.enabled or e.toxics for e in found.effects)
    assert [(e.kind, e.link) for e in found.evidence] == [("flap", DB.id), ("flap", CACHE.id)]
    assert found.sentence.endswith("refuse every connection for 1 s, then serve for 2 s, and so on")


@pytest.mark.parametrize(
    ("raw", "duration", "why"),
    [
        ({"down": "5s", "up": "6s"}, 10.0, "would not be up again"),
        ({"down": "1s", "up": "1s"}, None, "would not be up again"),
        ({"down": "200ms", "up": "200ms"}, 1000.0, "go down 2,500 times"),
    ],
)
def test_a_flap_that_does_not_fit_its_time_is_refused(raw: dict[str, Any], duration: float | None, why: str) -> None:
    with pytest.raises(ParameterError, match=why):
        compiled("flap", raw, duration=duration)


@settings(max_examples=50, deadline=None)
@given(down=st.integers(200, 5000), up=st.integers(200, 5000), more=st.floats(0.0, 60.0, allow_nan=False))
def test_the_outages_of_a_flap_come_in_turns_and_stay_inside(down: int, up: int, more: float) -> None:
    duration = (down + up) / 1000 + more
    found = compiled("flap", {"down": f"{down}ms", "up": f"{up}ms"}, (DB,), duration=duration).effects
    stops = [duration if e.ends is None else e.ends for e in found]
    for effect, stop in zip(found, stops, strict=True):
        assert 0.0 <= effect.begins < stop <= duration + 1e-9 and stop - effect.begins <= down / 1000 + 1e-6
    for stop, following in zip(stops, found[1:], strict=False):
        assert following.begins - stop == pytest.approx(up / 1000, abs=1e-6)


def test_what_the_real_server_does_otherwise_is_said() -> None:
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("latency", {"latency": "5ms", "jitter": "1ms"}, "jitter is not the same"),
        ("flaky", {"share": "5%"}, "cannot be seeded"),
        ("flaky", {"share": "5%"}, "spared end with a reset"),
        ("flaky", {"share": "5%", "how": "silent"}, "every open connection is closed"),
        ("blackhole", {}, "closes leak"),
    ]
    for name, raw, why in cases:
        assert any(why in note for note in compiled(name, raw, toxiproxy="real").notes)
        assert compiled(name, raw).notes == ()
    assert compiled("latency", {"latency": "5ms"}, toxiproxy="real").notes == ()
