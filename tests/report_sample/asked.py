"""What was asked for: the experiment, its target, and the plan."""

from __future__ import annotations

from typing import Any

from chaoskit.plan import CellPlan, Plan, PlannedInjection
from chaoskit.spec.model import Arrivals, Claim, Condition, Experiment, Injection, Traffic, Variant, Window
from chaoskit.stack.topology import ClassSpec, Link, Node, Service, Target, Topology, WorkloadSpec

STEP = 0.25
END = 18.0
SLOW = (5.03, 11.04)
DOWN = (8.02, 9.51)
RATES = {"resolve": 160.0, "create": 40.0}

ENVIRONMENT: dict[str, Any] = {
    "schema_version": 1,
    "chaoskit": "0.1.0",
    "python": "3.11.2",
    "platform": "Linux-6.18.5-x86_64-with-glibc2.36",
    "processors": 2,
    "memory_bytes": 25276510208,
    "packages": {"numpy": "2.4.6", "plotly": "7.1.0", "uvloop": "0.23.0"},
    "command": ["chaoskit", "run", "experiments/url-shortener/database-slow.yaml", "--set", "trials=1"],
    "experiment_sha256": "9f3c" * 16,
    "services": {"api": {"DATABASE_URL": "postgresql://app:[redacted]@db:5432/app"}},
}

EXPERIMENT_TEXT = """apiVersion: chaoskit/v1
kind: Experiment
question: What breaks when the database is slow?
"""


def condition(text: str, quantity: Any, sign: Any, value: float, unit: Any, cls: str | None = None) -> Condition:
    return Condition(text=text, quantity=quantity, cls=cls, comparison=sign, value=value, unit=unit)


CLAIMS = (
    Claim(
        id="redirects-survive",
        condition=condition("yield of resolve >= 99%", "yield", ">=", 0.99, "share", "resolve"),
        window=Window(kind="during", of="slow-db"),
    ),
    Claim(
        id="redirects-are-fast",
        condition=condition("p99 of resolve <= 100ms", "p99", "<=", 0.1, "seconds", "resolve"),
        window=Window(kind="during", of="slow-db"),
    ),
    Claim(
        id="recovers",
        condition=condition("recovery <= 5s", "recovery", "<=", 5.0, "seconds"),
        window=Window(kind="after", of="slow-db"),
    ),
    Claim(id="links-survive", invariant="acknowledged-survive"),
    Claim(id="codes-never-change", invariant="immutable"),
)


def experiment() -> Experiment:
    return Experiment(
        file="/home/somebody/chaoskit/experiments/url-shortener/database-slow.yaml",
        name="database-slow",
        question="What breaks when the database is slow?",
        target="/home/somebody/chaoskit/targets/url-shortener",
        variants=(
            Variant(name="patient", env={"api": {"DB_TIMEOUT": "5s"}}),
            Variant(name="impatient", env={"api": {"DB_TIMEOUT": "250ms", "API_TOKEN": "hunter2"}}),
        ),
        traffic=Traffic(
            workload="shorten-and-resolve",
            arrivals=Arrivals(shape="constant", rate=200.0),
            timeout=2.0,
            mix={"resolve": 0.8, "create": 0.2},
        ),
        steady_state=(condition("yield >= 99.9%", "yield", ">=", 0.999, "share"),),
        timeline=(
            Injection(id="slow-db", fault="latency", on=("api -> db",), at=5.0, until=11.0),
            Injection(id="cache-dies", fault="kill", on=("cache",), at=8.0, until=9.5),
        ),
        claims=CLAIMS,
        expect={"impatient": {"redirects-survive": "refuted"}},
        seed=42,
        duration=END,
    )


def target() -> Target:
    links = (
        Link(source="client", destination="api", port=8000, protocol="http"),
        Link(source="api", destination="cache", port=6379, protocol="resp"),
        Link(source="api", destination="db", port=5432, protocol="postgres"),
    )
    nodes = tuple(
        Node(name=name, service=name, number=number) for number, name in enumerate(("db", "cache", "api", "client"), 1)
    )
    return Target(
        name="url-shortener",
        folder="/home/somebody/chaoskit/targets/url-shortener",
        compose_file="/home/somebody/chaoskit/targets/url-shortener/compose.yaml",
        services=(
            Service(name="db", server="postgres"),
            Service(name="cache", server="valkey"),
            Service(name="api", context="/home/somebody/chaoskit/targets/url-shortener"),
        ),
        topology=Topology(nodes=nodes, links=links),
        entry="api",
        workloads=(
            WorkloadSpec(
                name="shorten-and-resolve",
                file="workload.py",
                classes=(ClassSpec(name="create", kind="write"), ClassSpec(name="resolve", kind="read")),
            ),
        ),
    )


def plan() -> Plan:
    return Plan(
        chaoskit_version="0.1.0",
        experiment=experiment(),
        target=target(),
        injections=(
            PlannedInjection(
                id="slow-db",
                fault="latency",
                at=5.0,
                until=11.0,
                links=("api->db:5432",),
                effects=(),
                evidence=(),
                sentence="api->db:5432 answers 200 ms ± 20 ms late",
            ),
            PlannedInjection(
                id="cache-dies",
                fault="kill",
                at=8.0,
                until=9.5,
                nodes=("cache",),
                effects=(),
                evidence=(),
                sentence="cache is killed, its data kept",
            ),
        ),
        cells=(
            CellPlan(variant="patient", trial=1, seed=42, restart=True, key_prefix="p1-"),
            CellPlan(variant="impatient", trial=1, seed=43, restart=True, key_prefix="i1-"),
        ),
        interposition="hosts",
        estimated_seconds=52.0,
        warnings=("the embedded proxy and the system share two processors",),
    )
