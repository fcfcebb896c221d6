"""The url-shortener's workload: one request an operation, stamped, and each answer settled as what it means."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chaoskit.contracts import Workload

FILE = Path(__file__).resolve().parents[3] / "targets" / "url-shortener" / "workload.py"


class Intent:
    """Remembers what the workload said."""

    def __init__(self, cls: str, stamp: str = "s1", key: str | None = None) -> None:
        self.cls, self.stamp, self.key, self.index = cls, stamp, key, 0
        self.random = random.Random(7)
        self.said: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        if name not in ("asks", "ok", "absent", "failed"):
            raise AttributeError(name)
        return lambda **what: self.said.append((name, what))


class Http:
    """Answers as told, and remembers the requests."""

    def __init__(self, status: int, body: object) -> None:
        self.status, self.body = status, body
        self.requests: list[tuple[str, str, object]] = []

    async def request(self, method: str, path: str, *, json: object = None) -> Any:
        self.requests.append((method, path, json))
        return SimpleNamespace(status=self.status, json=lambda: self.body)


@pytest.fixture
def workload() -> Any:
    spec = importlib.util.spec_from_file_location("url_shortener_workload", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.workload()


def perform(workload: Any, intent: Intent, status: int, body: object) -> Http:
    http = Http(status, body)
    asyncio.run(workload.perform(intent, http))
    assert len(http.requests) == 1, "one request an operation"
    assert intent.said[0][0] == "asks", "on record before the request leaves"
    return http


def test_it_is_a_workload(workload: Any) -> None:
    assert isinstance(workload, Workload)


def test_a_create_carries_its_stamp_and_learns_its_key(workload: Any) -> None:
    intent = Intent("create", "r1-7")
    http = perform(workload, intent, 201, {"code": "abc"})
    method, path, body = http.requests[0]
    assert (method, path) == ("POST", "/links")
    assert "r1-7" in json.dumps(body)
    assert intent.said == [("asks", {"f": "write", "value": "https://example.org/r1-7"}), ("ok", {"key": "abc"})]
    assert list(workload.final()) == [("resolve", "abc")]


def test_a_create_that_was_turned_away_certainly_failed(workload: Any) -> None:
    intent = Intent("create")
    perform(workload, intent, 503, {"error": "overloaded"})
    assert intent.said[-1] == ("failed", {})


@pytest.mark.parametrize(("status", "body"), [(503, {"error": "database: gone"}), (500, {}), (400, {})])
def test_any_other_error_of_a_create_is_left_to_the_worker(workload: Any, status: int, body: object) -> None:
    intent = Intent("create")
    perform(workload, intent, status, body)
    assert [name for name, _ in intent.said] == ["asks"]
    assert list(workload.final()) == []


def test_a_resolve_asks_for_what_was_acknowledged(workload: Any) -> None:
    for code in ("a1", "b2", "c3"):
        perform(workload, Intent("create", code), 201, {"code": code})
    asked = set()
    intent = Intent("resolve")
    for _ in range(60):
        intent.said.clear()
        http = perform(workload, intent, 200, {"url": "https://example.org/x"})
        asked.add(http.requests[0][1])
        assert intent.said[-1] == ("ok", {"result": "https://example.org/x"})
    assert asked == {"/links/a1", "/links/b2", "/links/c3"}


def test_a_final_read_asks_for_its_key(workload: Any) -> None:
    intent = Intent("resolve", key="zz9")
    http = perform(workload, intent, 404, {})
    assert http.requests[0][1] == "/links/zz9"
    assert intent.said == [("asks", {"f": "read", "key": "zz9"}), ("absent", {})]


def test_before_anything_exists_a_resolve_asks_for_what_was_never_given_out(workload: Any) -> None:
    intent = Intent("resolve")
    perform(workload, intent, 404, {})
    assert intent.said[-1] == ("absent", {})


def test_an_error_is_never_taken_for_absence(workload: Any) -> None:
    intent = Intent("resolve", key="zz9")
    perform(workload, intent, 503, {"error": "database: gone"})
    assert [name for name, _ in intent.said] == ["asks"]
