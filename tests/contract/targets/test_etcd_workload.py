"""The etcd workload: what each answer of the gateway means, and that clients of all members look for the same keys."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chaoskit.contracts import Workload

FILE = Path(__file__).resolve().parents[3] / "targets" / "etcd" / "workload.py"
SAID = ("asks", "ok", "absent", "failed")


def made() -> Any:
    spec = importlib.util.spec_from_file_location("etcd_workload", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.workload()


class Intent:
    """Remembers what the workload said."""

    def __init__(self, cls: str, *, key: str | None = None, worker: int = 0, number: int = 0) -> None:
        self.cls, self.key, self.index, self.stamp = cls, key, number, f"c1-{worker}-{number}"
        self.prefix, self.worker, self.workers = "c1", worker, 3
        self.random = random.Random(number)
        self.said: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        if name not in SAID:
            raise AttributeError(name)
        return lambda **told: self.said.append((name, told))


class Http:
    """Answers always the same."""

    def __init__(self, status: int, body: str) -> None:
        self.reply = SimpleNamespace(status=status, json=lambda: json.loads(body))
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def request(self, method: str, path: str, *, json: Any) -> Any:
        assert method == "POST"
        self.asked.append((path, json))
        return self.reply


def perform(workload: Any, intent: Intent, status: int, body: str = "{}") -> tuple[Any, Http]:
    http = Http(status, body)
    asyncio.run(workload.perform(intent, http))
    return [one for one in intent.said if one[0] != "asks"], http


def decoded(text: str) -> str:
    return base64.b64decode(text).decode()


TIMED_OUT = '{"error": "etcdserver: request timed out", "code": 14}'
NO_LEADER = '{"error": "etcdserver: no leader", "code": 14}'
TOO_MANY = '{"error": "etcdserver: too many requests", "code": 8}'
FULL = '{"error": "etcdserver: mvcc: database space exceeded", "code": 8}'


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, "{}", [("ok", {})]),
        (503, TIMED_OUT, []),  # whether it happened nobody knows: the worker calls it info
        (503, NO_LEADER, []),
        (504, '{"error": "context deadline exceeded", "code": 4}', []),
        (429, TOO_MANY, [("failed", {})]),  # turned away before anything was done
        (429, FULL, [("failed", {})]),
    ],
)
def test_what_a_write_came_to(status: int, body: str, said: list[Any]) -> None:
    workload, intent = made(), Intent("write", worker=2)
    assert isinstance(workload, Workload)
    found, http = perform(workload, intent, status, body)
    assert found == said
    assert intent.said[0] == ("asks", {"f": "write", "key": "c1/2/0", "value": "c1-2-0"})
    ((path, asked),) = http.asked
    assert path == "/v3/kv/put"
    assert (decoded(asked["key"]), decoded(asked["value"])) == ("c1/2/0", "c1-2-0")
    assert list(workload.final()) == ([("read", "c1/2/0")] if status == 200 else [])


@pytest.mark.parametrize("body", ["<html>", "[]", "7"])
def test_an_answer_that_is_not_etcds_is_not_believed(body: str) -> None:
    with pytest.raises(ValueError, match=r"Expecting value|not an answer of etcd"):
        perform(made(), Intent("write"), 502, body)


@pytest.mark.parametrize(("cls", "local"), [("read", False), ("local-read", True)])
def test_what_a_read_came_to(cls: str, local: bool) -> None:
    value = base64.b64encode(b"c1-0-7").decode()
    workload, intent = made(), Intent(cls, key="c1/0/7")
    found, http = perform(workload, intent, 200, json.dumps({"kvs": [{"value": value}], "count": "1"}))
    assert found == [("ok", {"result": "c1-0-7"})]
    assert http.asked[0][1] == {"key": base64.b64encode(b"c1/0/7").decode(), "serializable": local}
    assert perform(workload, Intent(cls, key="c1/0/7"), 200, '{"header": {}}')[0] == [("absent", {})]
    assert perform(workload, Intent(cls, key="c1/0/7"), 503, TIMED_OUT)[0] == []


def test_a_key_is_written_once_and_every_worker_looks_for_those_of_all() -> None:
    workload = made()
    keys = [
        perform(workload, one := Intent("write", number=n), 503, TIMED_OUT) and one.said[0][1]["key"]
        for n in range(300)
    ]
    assert len(set(keys)) == 300  # a write that timed out is not written again
    sought = []
    for number in range(300):
        intent = Intent("local-read", number=number)
        perform(workload, intent, 200)
        sought.append(intent.said[0][1]["key"].split("/"))
    assert {prefix for prefix, _, _ in sought} == {"c1"}
    assert {writer for _, writer, _ in sought} == {"0", "1", "2"}
    assert min(int(number) for _, _, number in sought) >= 199  # recent ones
