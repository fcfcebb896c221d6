from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from chaoskit.spec.model import Arrivals
from chaoskit.stack.topology import ClassSpec
from chaoskit.traffic.config import WorkerConfig

BASE: dict[str, Any] = {
    "seed": 1,
    "host": "api",
    "port": 80,
    "arrivals": Arrivals(shape="spike", rate=40, peak=400, at=1, over=2),
    "mix": {"create": 1.0, "resolve": 3.0},
    "classes": (ClassSpec(name="create", kind="write"), ClassSpec(name="resolve", kind="read")),
    "warm_up": 1,
    "duration": 5,
    "workload": "/w.py",
    "key_prefix": "k",
    "spool": "/s",
    "counters": "/c",
    "lag": "/l",
    "node": "api",
}


def test_the_in_flight_bound_holds_all_that_can_be_silent_at_the_peak() -> None:
    config = WorkerConfig(**BASE, timeout=2.0)
    assert config.bound("create") >= 1.5 * 400 * 0.25 * 2.0
    assert config.bound("resolve") >= 1.5 * 400 * 0.75 * 2.0
    assert WorkerConfig(**BASE, timeout=2.0, workers=4).bound("create") < config.bound("create")
    assert config.bound("only-in-final") >= 8
    assert WorkerConfig(**BASE, in_flight=3).bound("create") == 3


def test_it_survives_its_file() -> None:
    config = WorkerConfig(**BASE)
    assert WorkerConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize("change", [{"port": 0}, {"timeout": 0}, {"classes": ()}, {"worker": -1}, {"unknown": 1}])
def test_nonsense_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WorkerConfig(**{**BASE, **change})
