"""What it came to: findings with witnesses, cells, and the analysis over them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chaoskit.analysis.model import Analysis, CellAnalysis, ClaimSummary, FaultRecord
from chaoskit.checks.model import Finding, Witness, WitnessOp
from chaoskit.store import RunDir
from report_sample.asked import DOWN, EXPERIMENT_TEXT, SLOW
from report_sample.measured import WINDOWS, series, stats


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
