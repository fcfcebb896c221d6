"""A realistic analysis of two variants, made by hand: what the engine and the checks would have left behind.

`impatient` refuses while the database is slow, loses a link and answers late; `patient` holds, with one claim that
nobody can judge. Loaded by path from the conftest of the unit tests and from the browser test.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from chaoskit.analysis.model import (
    Analysis,
    CellAnalysis,
    ClaimSummary,
    FaultRecord,
    Quantiles,
    Series,
    WindowStats,
)
from chaoskit.checks.model import Finding, WindowSpan, Witness, WitnessOp
from chaoskit.plan import CellPlan, Plan, PlannedInjection
from chaoskit.spec.model import (
    Arrivals,
    Claim,
    Condition,
    Experiment,
    Injection,
    Traffic,
    Variant,
    Window,
)
from chaoskit.stack.topology import ClassSpec, Link, Node, Service, Target, Topology, WorkloadSpec
from chaoskit.store import RunDir

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


def wave(i: int) -> float:
    return math.sin(i * 1.7) + 0.5 * math.sin(i * 0.61 + 1)


def series(variant: str) -> tuple[Series, ...]:
    """Rates wobble a little, as Poisson arrivals do; the slow database shows in latency, the timeout in failures."""
    length = int(END / STEP)
    every: dict[str, list[Any]] = {}
    for cls, rate in RATES.items():
        rows: dict[str, list[Any]] = {name: [] for name in ("intended", "yes", "fail", "info", "p50", "p95", "p99")}
        for i in range(length):
            at = i * STEP
            due = max(1, round(rate * STEP + 1.5 * wave(i + len(cls))))
            slow, down = SLOW[0] <= at < SLOW[1], DOWN[0] <= at < DOWN[1]
            fail = info = 0
            base = 0.004 + 0.0007 * wave(i)
            p50, p95, p99 = base, base * 2.1, base * 3.4
            if slow and variant == "patient":
                p50, p95, p99 = (0.021, 0.212, 0.248) if not down else (0.205, 0.228, 0.261)
            elif slow:
                p50, p95, p99 = (0.006, 0.19, 0.247) if not down else (0.201, 0.246, 0.251)
                bad = round(due * (0.33 if down else 0.12 + 0.02 * wave(i)))
                fail, info = (bad, 0) if cls == "resolve" else (bad // 2, bad - bad // 2)
            late = 1 if variant == "patient" and down else 0
            row = (due, due - fail - info - late, fail, info, p50, p95, p99)
            for name, value in zip(rows, row, strict=True):
                rows[name].append(value)
        every[cls] = [rows]
    together = {
        name: [sum(pair) for pair in zip(every["resolve"][0][name], every["create"][0][name], strict=True)]
        for name in ("intended", "yes", "fail", "info")
    } | {name: every["resolve"][0][name] for name in ("p50", "p95", "p99")}
    return tuple(
        Series(cls=cls, start=0.0, step=STEP, **{name: tuple(values) for name, values in rows.items()})
        for cls, rows in (("*", together), ("resolve", every["resolve"][0]), ("create", every["create"][0]))
    )


WINDOWS = (
    WindowSpan(name="before", start=0.0, end=SLOW[0]),
    WindowSpan(name="during slow-db", start=SLOW[0], end=SLOW[1] - 1.5),
    WindowSpan(name="after slow-db", start=SLOW[1], end=END),
)


def stats(found: tuple[Series, ...]) -> tuple[WindowStats, ...]:
    rows = []
    for window in WINDOWS:
        for one in found:
            bins = [i for i in range(len(one.yes)) if window.start <= i * one.step and (i + 1) * one.step <= window.end]
            due, yes, fail, info = (
                sum(getattr(one, name)[i] for i in bins) for name in ("intended", "yes", "fail", "info")
            )
            peak = max((one.p99[i] or 0.0 for i in bins), default=None)
            middle = sorted(one.p50[i] or 0.0 for i in bins)[len(bins) // 2] if bins else None
            quantiles = Quantiles(
                count=yes,
                p50=middle,
                p90=middle and middle * 1.7,
                p95=peak and peak * 0.8,
                p99=peak,
                maximum=peak and peak * 1.3,
            )
            length = window.end - window.start
            rows.append(
                WindowStats(
                    window=window,
                    cls=one.cls,
                    intended=due,
                    ok=due - fail - info,
                    fail=fail,
                    info=info,
                    yes=yes,
                    refused=fail,
                    late=due - fail - info - yes,
                    silent=info,
                    unsent=0,
                    rate=due / length,
                    goodput=yes / length,
                    yield_=yes / due if due else None,
                    response=quantiles,
                    service=quantiles,
                )
            )
    return tuple(rows)


def op(index: int, f: str, key: str, due: float, took: float | None, **more: Any) -> WitnessOp:
    fields: dict[str, Any] = {
        "index": index,
        "process": index % 7,
        "source": "client",
        "node": "api",
        "cls": "create" if f == "create" else "resolve",
        "f": f,
        "key": key,
        "value": None,
        "result": None,
        "due": due,
        "sent": due + 0.0002,
        "end": None if took is None else due + took,
        "outcome": "ok",
    }
    return WitnessOp(**(fields | more))


SLOW_WITNESS = Witness(
    kind="slow",
    sentence="The answer that is the p99 of resolve took 247 ms from its due time; the limit is 100 ms.",
    operations=(op(1204, "resolve", "i1-x7Kq", 6.412, 0.247, result="https://example.org/i1-0132", status=302),),
)
LOST_WITNESS = Witness(
    kind="lost",
    sentence="The link i1-aZ3 was acknowledged at 8.016 s, and the final read at 19.204 s found nothing there.",
    operations=(
        op(1602, "create", "i1-aZ3", 8.012, 0.0041, value="https://example.org/i1-0401", status=201),
        op(1655, "resolve", "i1-aZ3", 8.214, None, outcome="info", error="timeout"),
        op(3605, "resolve", "i1-aZ3", 19.201, 0.0032, status=404),
    ),
)


def findings(variant: str) -> tuple[Finding, ...]:
    calm = variant == "patient"
    during, after = WINDOWS[1], WINDOWS[2]
    return (
        Finding(
            claim="redirects-survive",
            verdict="held" if calm else "refuted",
            expected="yield of resolve ≥ 99 %",
            observed="99.8 % of 719 operations" if calm else "83.2 % of 719 operations",
            value=0.998 if calm else 0.832,
            limit=0.99,
            unit="share",
            window=during,
            operations=719,
        ),
        Finding(
            claim="redirects-are-fast",
            verdict="refuted",
            expected="p99 of resolve ≤ 100 ms",
            observed="261 ms over 719 operations" if calm else "247 ms over 719 operations (0 unanswered)",
            value=0.261 if calm else 0.247,
            limit=0.1,
            unit="seconds",
            window=during,
            operations=719,
            witness=None if calm else SLOW_WITNESS,
        ),
        Finding(
            claim="recovers",
            verdict="held",
            expected="recovery ≤ 5 s",
            observed="0.4 s" if calm else "1.2 s",
            value=0.4 if calm else 1.2,
            limit=5.0,
            unit="seconds",
            window=after,
            operations=1390,
        ),
        Finding(
            claim="links-survive",
            verdict="inconclusive" if calm else "refuted",
            expected="every acknowledged link still resolves",
            observed="nothing" if calm else "1 of 640 acknowledged writes (0.16 %) gone at the end",
            operations=0 if calm else 640,
            exposed=None if calm else 640,
            anomalies={} if calm else {"lost": 1},
            split={} if calm else {"acknowledged before cache-dies": 0, "acknowledged during cache-dies": 1},
            notes=() if calm else ("3 reads during the run found nothing under a key that had been acknowledged",),
            witness=None if calm else LOST_WITNESS,
            reasons=("the final reads did not finish within 2 s of settling",) if calm else (),
        ),
        Finding(
            claim="codes-never-change",
            verdict="held",
            expected="a code never resolves to another address",
            observed="none changed",
            operations=3600,
            exposed=2880,
            anomalies={"changed": 0, "thin-air": 0},
        ),
    )


def cell(variant: str, trial: int = 1) -> CellAnalysis:
    found = series(variant)
    return CellAnalysis(
        variant=variant,
        trial=trial,
        seed=41 + trial,
        windows=WINDOWS,
        stats=stats(found),
        faults=(
            FaultRecord(
                id="slow-db",
                fault="latency",
                sentence="api->db:5432 answers 200 ms ± 20 ms late",
                links=("api->db:5432",),
                nodes=(),
                planned_start=5.0,
                planned_end=11.0,
                start=SLOW[0],
                end=SLOW[1],
                seen=True,
                gone=True,
                evidence=("api->db:5432: asked 200 ms, saw 203 ± 4 ms", "api->db:5432: healed, saw 0.4 ms"),
            ),
            FaultRecord(
                id="cache-dies",
                fault="kill",
                sentence="cache is killed, its data kept",
                links=(),
                nodes=("cache",),
                planned_start=8.0,
                planned_end=9.5,
                start=DOWN[0],
                end=DOWN[1],
                seen=True,
                gone=True,
                evidence=("cache: no process running",),
            ),
        ),
        findings=findings(variant),
        series=found,
        complete=True,
        reasons=(),
        operations=3612,
        send_error_p50=0.00008,
        send_error_p99=0.0017,
        unsent=0,
        proxy_lag_max=0.0041,
        worker_lag_max=0.0068,
        overhead=2.6,
    )


SENTENCES = {
    "redirects-survive": "yield of resolve was {} during slow-db (5.03 s to 9.54 s); claimed was ≥ 99 %.",
    "redirects-are-fast": "p99 of resolve was {} during slow-db (5.03 s to 9.54 s); claimed was ≤ 100 ms.",
    "recovers": "Yield and p99 were back {} after slow-db was healed; claimed ≤ 5 s.",
    "links-survive": "every acknowledged link still resolves: {}.",
    "codes-never-change": "a code never resolves to another address: {}; not refuted in 2,880 operations.",
}
MARGINS = {
    ("redirects-survive", "patient"): "0.8 points above the limit",
    ("redirects-survive", "impatient"): "15.8 points below the limit",
    ("redirects-are-fast", "patient"): "161 ms above the limit",
    ("redirects-are-fast", "impatient"): "147 ms above the limit",
    ("recovers", "patient"): "4.6 s below the limit",
    ("recovers", "impatient"): "3.8 s below the limit",
}


def summaries(cells: tuple[CellAnalysis, ...]) -> tuple[ClaimSummary, ...]:
    return tuple(
        ClaimSummary(
            variant=one.variant,
            claim=finding.claim,
            verdict=finding.verdict,
            expected_verdict="refuted"
            if (one.variant, finding.claim) == ("impatient", "redirects-survive")
            else "held",
            sentence=f"{finding.expected}: nobody can say, because {finding.reasons[0]}."
            if finding.reasons
            else SENTENCES[finding.claim].format(finding.observed),
            expected=finding.expected,
            observed=finding.observed,
            margin=MARGINS.get((finding.claim, one.variant), ""),
            findings=(finding,),
            most_per_operation=3 / finding.exposed if finding.verdict == "held" and finding.exposed else None,
            most_per_trial=0.95 if finding.verdict == "held" and finding.exposed else None,
        )
        for one in cells
        for finding in one.findings
    )


def analysis(**changes: Any) -> Analysis:
    cells = (cell("patient"), cell("impatient"))
    fields: dict[str, Any] = {
        "chaoskit_version": "0.1.0",
        "run": "20261123T101500Z-a1b2c3",
        "name": "database-slow",
        "question": "What breaks when the database is slow?",
        "started": "2026-11-23T10:15:00Z",
        "verdict": "refuted",
        "as_expected": False,
        "headline": "With the database 200 ms slow for 6 s, patient answered 99.8 % of redirects but took 261 ms; "
        "impatient answered 83.2 % and lost 1 of 640 acknowledged links.",
        "claims": summaries(cells),
        "cells": cells,
        "limits": (
            "One trial per variant: no interval can be given.",
            "SIGKILL is not power loss: what the disk had not written was not tested.",
        ),
    }
    return Analysis(**(fields | changes))


def empty() -> Analysis:
    """What is left of a run that was interrupted while the stack was starting."""
    return analysis(
        verdict="inconclusive",
        as_expected=None,
        headline="Nothing was measured: interrupted before the baseline.",
        claims=(),
        cells=(),
        limits=(),
        interrupted=True,
    )


def stored(path: Path) -> RunDir:
    """A run directory with the two things that a report reads."""
    run = RunDir(path)
    logs = run.block("impatient") / "logs"
    logs.mkdir(parents=True)
    run.file("experiment.yaml").write_text(EXPERIMENT_TEXT)
    (logs / "api.log").write_text("".join(f"INFO request {i} took 3 ms\n" for i in range(500)))
    (logs / "db.log").write_text("LOG: database system is ready to accept connections\n")
    return run
