from __future__ import annotations

import pytest

from chaoskit.toxiproxy.dangers import ATTRIBUTES, refusal
from chaoskit.toxiproxy.server.toxics import TOXICS


@pytest.mark.parametrize(
    ("kind", "toxicity", "attributes", "reason"),
    [
        ("latency", 1.0, {"latency": -1}, "negative"),
        ("latency", 1.0, {"jitter": -1}, "negative"),
        ("latency", 1.0, {"latency": 10**12}, "longer than a week"),
        ("latency", 1.0, {"latency": 1.5}, "whole numbers"),
        ("latency", 1.0, {"latency": True}, "whole numbers"),
        ("latency", 1.0, {"delay": 1}, "no attribute 'delay'"),
        ("latency", 1.01, {}, "between 0 and 1"),
        ("latency", -0.1, {}, "between 0 and 1"),
        ("latency", float("nan"), {}, "between 0 and 1"),
        ("bandwidth", 1.0, {"rate": -5}, "negative"),
        ("bandwidth", 1.0, {}, "nothing would ever pass"),
        ("slicer", 1.0, {}, "never ends"),
        ("slicer", 1.0, {"average_size": 10, "size_variation": 10}, "below average_size"),
        ("slicer", 1.0, {"average_size": 10, "size_variation": 11}, "below average_size"),
        ("reset_peer", 0.0, {}, "spares nobody"),
        ("down", 1.0, {}, "no type of toxic"),
        ("blackhole", 1.0, {"timeout": 0}, "no attribute"),
    ],
)
def test_refused_with_the_reason(kind, toxicity, attributes, reason):
    assert reason in (refusal("t", kind, toxicity, attributes) or "")


@pytest.mark.parametrize("name", ["", "a/b", "/"])
def test_names_that_cannot_be_addressed(name):
    assert "name" in (refusal(name, "latency", 1.0, {}) or "")


@pytest.mark.parametrize(
    ("kind", "toxicity", "attributes"),
    [
        ("latency", 0.0, {}),
        ("latency", 1.0, {"latency": 100, "jitter": 200}),
        ("timeout", 0.5, {"timeout": 0}),
        ("reset_peer", 1e-6, {"timeout": 0}),
        ("slicer", 1.0, {"average_size": 2, "size_variation": 1, "delay": 5}),
        ("bandwidth", 1.0, {"rate": 1}),
        ("limit_data", 1.0, {"bytes": 0}),
        ("slow_close", 1.0, {"delay": 1}),
        ("blackhole", 1.0, {}),
        ("noop", 0.0, {}),
    ],
)
def test_what_may_be_sent(kind, toxicity, attributes):
    assert refusal("t", kind, toxicity, attributes) is None


def test_the_server_and_the_list_of_attributes_agree():
    assert {kind: stage.attributes for kind, stage in TOXICS.items()} == {kind: ATTRIBUTES[kind] for kind in TOXICS}
