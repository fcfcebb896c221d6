"""The JSON Schema: valid draft-07, and of one mind with the loader, by an independent validator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from ruamel.yaml import YAML

from chaoskit.spec.schema import schema

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = sorted((ROOT / "experiments").glob("**/*.yaml"))


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    made = schema()
    Draft7Validator.check_schema(made)
    return Draft7Validator(json.loads(json.dumps(made)))


def data(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def test_it_is_draft_07_with_an_id_and_a_description_on_every_key(validator: Draft7Validator) -> None:
    made = schema()
    assert made["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert made["$id"]
    assert "$defs" not in json.dumps(made) and "prefixItems" not in json.dumps(made)

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            for name, value in node.get("properties", {}).items() if isinstance(node.get("properties"), dict) else ():
                if isinstance(value, dict) and "const" not in value and "if" not in node:
                    assert value.get("description"), name
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    for key in ("properties",):
        walk({key: made[key]})


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_shipped_experiments_are_valid(validator: Draft7Validator, path: Path) -> None:
    assert [error.message for error in validator.iter_errors(data(path.read_text()))] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ("poisson: 200/s", "ramp: {from: 1/s, to: 5/s, at: 0, over: 3s, random: false, id: rise}"),
        ("poisson: 200/s", "spike: {base: 40/s, peak: 400/s, at: 5s, for: 10s}"),
        ("timeout: 2s", "timeout: 1m30s, mix: {create: 1, resolve: 80%}, workers: 2"),
        ('["yield < 20% for 5s"]', "yield < 20% for 5s"),
        ("fault: latency, on: api -> db, latency: 200ms, jitter: 20ms", "fault: kill, on: [db, cache]"),
        ("for: 8s, id: slow-db, fault: latency, on: api -> db, latency: 200ms, jitter: 20ms",
         "id: slow-db, fault: restart, on: db"),
        ("expect:", "trials: 3\nseed: 0\nfresh: trial\nduration: 30s\nwarm_up: 0\nsettle: 0\nexpect:"),
        (", during: slow-db", ", before: slow-db"),
        ('99%", during', '99% for 3s", during'),
        ("invariant: immutable", "model: register, consistency: linearizable, of: a, at: b, during: slow-db"),
        ("invariant: immutable", "model: unique-ids, of: [a, b]"),
    ],
)  # fmt: skip
def test_both_accept(validator: Draft7Validator, read: Any, good: str, old: str, new: str) -> None:
    text = good.replace(old, new, 1)
    assert read(text)[1] == []
    assert [error.message for error in validator.iter_errors(data(text))] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("chaoskit/v1", "chaoskit/v2"),
        ("question:", "queston:"),
        ("question: What breaks when the database is slow?", "question: 5"),
        ("question: What breaks when the database is slow?", "question: ' '"),
        ("target: target\n", ""),
        ("  patient:", "  pa tient:"),
        ("{env: {api: {DB_TIMEOUT: 5s}}}", "{env: {api: [A]}}"),
        ("DB_TIMEOUT: 5s", "DB-TIMEOUT: 5s"),
        ("poisson: 200/s", "poisson: 200"),
        ("poisson: 200/s", "poisson: 0/s"),
        ("poisson: 200/s", "poisson: 2/s, constant: 1/s"),
        ("poisson: 200/s", "ramp: {from: 1/s, to: 2/s, at: 0}"),
        ("timeout: 2s", "timeout: 2"),
        ("timeout: 2s", "timeout: 0s"),
        ("timeout: 2s", "timeout: 2s, mix: {a: lots}"),
        ("timeout: 2s", "timeout: 2s, workers: '3'"),
        ('"p99 <= 100ms"', '"p99 <= 100"'),
        ('"p99 <= 100ms"', '"p98 <= 100ms"'),
        ('"p99 <= 100ms"', '"p99 <= 100ms for 5s"'),
        ("at: 5s", "at: 5"),
        ("at: 5s, ", ""),
        ("for: 8s, ", ""),
        ("for: 8s", "for: 0s"),
        ("fault: latency", "fault: latncy"),
        ("fault: latency", "fault: restart"),
        ("latency: 200ms", "latency: 200"),
        ("latency: 200ms", "latncy: 200ms"),
        ("latency: 200ms, ", ""),
        ("jitter: 20ms", "stream: dwn"),
        ("on: api -> db", "on: []"),
        ("{id: survives, that", "{that"),
        ("during: slow-db", "durng: slow-db"),
        ("during: slow-db", "during: slow-db, after: slow-db"),
        ("invariant: immutable", "invariant: imutable"),
        ("invariant: immutable", "invariant: immutable, that: yield > 1%"),
        ("invariant: immutable", "invariant: immutable, after: slow-db"),
        (", invariant: immutable", ""),
        ("invariant: immutable", "model: registr"),
        ("invariant: immutable", "consistency: linearizable"),
        ("invariant: immutable", "model: register, consistency: linearisable"),
        ("invariant: immutable", "invariant: immutable, model: register"),
        ("invariant: immutable", "invariant: immutable, of: a"),
        (", during: slow-db", ", at: minority, during: slow-db"),
        ("refuted", "refute"),
        ("expect:", "trials: 0\nexpect:"),
        ("expect:", "trials: yes\nexpect:"),
        ("expect:", "runtime: lambda\nexpect:"),
        ("expect:", "extra: 1\nexpect:"),
    ],
)
def test_both_refuse(validator: Draft7Validator, read: Any, good: str, old: str, new: str) -> None:
    assert old in good
    text = good.replace(old, new, 1)
    assert read(text)[1] != []
    assert list(validator.iter_errors(data(text)))
