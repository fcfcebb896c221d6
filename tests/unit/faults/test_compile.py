"""Every fault compiles: effects, names, evidence, sentence; and what would surprise Toxiproxy is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from chaoskit import registry
from chaoskit.errors import PlanError
from chaoskit.faults.model import Ground
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
    "kill": {},
    "restart": {},
    "pause": {},
}


def compiled(name: str, raw: dict[str, Any], links: tuple[Link, ...] = (DB, CACHE), nodes: tuple[str, ...] = ()) -> Any:
    fault = registry.load("fault", name)
    stored = fault.Parameters.model_validate(raw).model_dump()
    assert json.loads(json.dumps(stored)) == stored  # goes into plan.json as it is
    return fault.compile("slow", stored, Ground(TARGET, links, nodes, 7, duration=10.0))


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
        ("kill", {"signal": "TERM"}, "Extra inputs"),
    ],
)
def test_what_would_surprise_is_refused(name: str, raw: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        registry.load("fault", name).Parameters.model_validate(raw)


def test_stored_parameters_that_are_not_valid_are_a_plan_error() -> None:
    with pytest.raises(PlanError, match="fault latency: latency"):
        registry.load("fault", "latency").compile("x", {"latency": -1.0}, Ground(TARGET, (DB,)))
