"""A stored run made by hand: plan, events, Parquet. Times in seconds from t=0."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from chaoskit.history.frame import History
from chaoskit.history.storage import write_parquet
from chaoskit.plan import CellPlan, Plan, PlannedInjection
from chaoskit.spec.model import Arrivals, Claim, Condition, Experiment, Injection, Traffic, Variant, Window
from chaoskit.stack.topology import ClassSpec, Link, Node, Target, Topology, WorkloadSpec
from chaoskit.store import RunDir, write_atomic

DURATION = 20.0


def _unit() -> ModuleType:
    path = Path(__file__).resolve().parents[1] / "checks" / "conftest.py"
    spec = importlib.util.spec_from_file_location("chaoskit_test_book", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BOOKS = _unit()
ORIGIN: int = BOOKS.ORIGIN
YIELD = Condition(
    text="yield of resolve >= 99%", quantity="yield", cls="resolve", comparison=">=", value=0.99, unit="share"
)
SURVIVES = Claim(id="survives", condition=YIELD, window=Window(kind="during", of="slow"))
IMMUTABLE = Claim(id="codes", invariant="immutable")
LINKS = Claim(id="links", invariant="acknowledged-survive")


class Bench:
    """Makes one run directory. What a test does not say is as in a run in which all went well."""

    def __init__(self, folder: Path) -> None:
        self.run = RunDir(folder / "20250101T101112Z-abc123")
        self.claims: tuple[Claim, ...] = (SURVIVES,)
        self.variants = ("patient",)
        self.trials = 1
        self.expect: dict[str, dict[str, Any]] | None = None
        self.arrivals = Arrivals(shape="constant", rate=50.0)
        self.fault: str | None = "latency"
        self.invariants: tuple[str, ...] = ("immutable",)
        self.fresh = "variant"
        self.mix = {"resolve": 1.0}

    def plan(self) -> Plan:
        link = Link(source="api", destination="db", port=5432, protocol="postgres")
        topology = Topology(
            nodes=tuple(Node(name=n, service=n, number=k) for k, n in enumerate(("api", "db"), 1)), links=(link,)
        )
        classes = (ClassSpec(name="create", kind="write"), ClassSpec(name="resolve", kind="read"))
        workload = WorkloadSpec(name="w", file="/w.py", classes=classes, invariants=self.invariants)
        timeline = (
            () if self.fault is None else (Injection(id="slow", fault=self.fault, on=("a",), at=5.0, until=13.0),)
        )
        experiment = Experiment(
            file="/x.yaml",
            name="x",
            question="What breaks?",
            target="/t",
            variants=tuple(Variant(name=name) for name in self.variants),
            traffic=Traffic(workload="w", arrivals=self.arrivals, mix=self.mix),
            steady_state=(),
            timeline=timeline,
            claims=self.claims,
            expect=self.expect,
            trials=self.trials,
            seed=7,
            fresh=self.fresh,  # type: ignore[arg-type]
            duration=DURATION,
        )
        injections = tuple(
            PlannedInjection(
                id=one.id,
                fault=one.fault,
                at=one.at,
                until=one.until,
                links=("api->db:5432",),
                effects=(),
                evidence=(),
                sentence="api->db:5432 answers 200 ms late",
            )
            for one in timeline
        )
        return Plan(
            chaoskit_version="0.1.0",
            experiment=experiment,
            target=Target(
                name="t",
                folder="/t",
                compose_file="/t/compose.yaml",
                services=(),
                topology=topology,
                entry="api",
                workloads=(workload,),
            ),
            injections=injections,
            cells=tuple(
                CellPlan(variant=name, trial=trial, seed=trial, restart=False, key_prefix=f"{name}{trial}")
                for name in self.variants
                for trial in range(1, self.trials + 1)
            ),
            interposition="hosts",
            estimated_seconds=30.0,
        )

    def events(self) -> list[dict[str, Any]]:
        """Of a cell in which everything went as planned."""
        fault: list[dict[str, Any]] = []
        if self.fault is not None:
            fault = [
                event(5.1, "begin", id="slow", effects=["slow/0"], confirmed_ns=at(5.05)),
                event(6.0, "seen", id="slow", evidence=["api->db:5432: asked 200 ms, saw 203 ± 4 ms"], samples=[5]),
                event(13.1, "end", id="slow", confirmed_ns=at(13.02)),
                event(14.0, "gone", id="slow", evidence=["api->db:5432: back to 0.3 ms"], samples=[5]),
            ]
        return [
            event(-3.0, "anchor", wall_ns=1_700_000_000_000_000_000, boot_id="b"),
            counters(-2.3, "warm-up", {"api->db:5432": 0}),
            event(-2.2, "load", start_ns=at(-2.0), end_ns=at(DURATION)),
            event(-2.2, "phase", name="warm-up", planned_s=2.0),
            event(0.0, "origin"),
            event(0.0, "phase", name="baseline", planned_s=5.0),
            counters(4.0, "baseline", {"api->db:5432": 1000}),
            *fault,
            event(20.1, "phase", name="settle", planned_s=2.0),
            event(22.2, "phase", name="final", planned_s=None),
            event(23.0, "phase", name="done", planned_s=None),
        ]

    def store(self) -> None:
        write_atomic(self.run.file("plan.json"), self.plan().model_dump_json())

    def cell(
        self,
        history: History | None,
        events: list[dict[str, Any]] | None = None,
        variant: str = "patient",
        trial: int = 1,
        proxy_lag: float | None = 0.001,
    ) -> None:
        folder = self.run.cell(variant, trial)
        lines = [json.dumps(one) for one in (self.events() if events is None else events)]
        write_atomic(folder / "events.jsonl", "\n".join(lines) + "\n")
        if history is not None:
            write_parquet(history, folder / "history.parquet")
        if proxy_lag is not None:
            samples = [{"t": at(n / 10), "lag_ns": round(proxy_lag * 1e9), "cpu": 0.1} for n in range(200)]
            block = self.run.block(variant, trial if self.fresh == "trial" else None)
            write_atomic(block / "lag.jsonl", "\n".join(map(json.dumps, samples)))


def at(seconds: float) -> int:
    return ORIGIN + round(seconds * 1e9)


def event(seconds: float, kind: str, **fields: Any) -> dict[str, Any]:
    return {"t": at(seconds), "kind": kind, **fields}


def counters(seconds: float, when: str, carried: dict[str, int]) -> dict[str, Any]:
    """Bytes that each link has carried so far."""
    links = {
        name: {"upstream": {"received": n, "sent": n}, "downstream": {"received": 0, "sent": 0}}
        for name, n in carried.items()
    }
    return event(seconds, "counters", when=when, links=links)


def load(book: Any, rate: float = 50.0, hurt: tuple[float, float] | None = None, end: float = DURATION) -> Any:
    """Reads at an even rate; within `hurt` nothing is answered."""
    for n in range(round((end + 2.0) * rate)):
        due = -2.0 + n / rate
        phase = 0 if due < 0 else 1
        if hurt is not None and hurt[0] <= due < hurt[1]:
            book.silent(due, phase=phase, key="k")
        else:
            book.read(due, "k", None, phase=phase)
    return book


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def new_book() -> Any:
    return BOOKS.Book


@pytest.fixture
def tools() -> Any:
    """The helpers of this file, for tests that need more than one of them."""
    import types

    return types.SimpleNamespace(
        at=at,
        event=event,
        counters=counters,
        load=load,
        ORIGIN=ORIGIN,
        YIELD=YIELD,
        SURVIVES=SURVIVES,
        IMMUTABLE=IMMUTABLE,
        LINKS=LINKS,
        DURATION=DURATION,
    )
