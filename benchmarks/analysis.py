"""Judging a stored run of 10^6 operations: time and memory of the whole path, and of the series beside pandas.

python benchmarks/analysis.py [operations]      (a child process, so that its peak memory is its own)
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
OPERATIONS = 1_000_000
ORIGIN = 10**13
TIMEOUT = 2.0
SECONDS = 600.0
FAULT = (200.0, 400.0)


def history(operations: int):  # type: ignore[no-untyped-def]
    """One fifth creates, the rest resolve what was created; a slow and lossy fault; every link read at the end."""
    from chaoskit.history.frame import History
    from chaoskit.history.operation import NONE, ROW, Answer, Outcome

    rng = np.random.default_rng(1)
    final = operations // 6
    count = operations - final
    due = np.sort(rng.uniform(0.0, SECONDS, count))
    create = rng.random(count) < 0.2
    create[:10] = True
    hurt = (due >= FAULT[0]) & (due < FAULT[1])
    latency = rng.lognormal(-5.5, 0.6, count) + np.where(hurt, rng.exponential(0.6, count), 0.0)
    silent = latency > TIMEOUT
    links = np.flatnonzero(create & ~silent)
    read = np.zeros(operations, dtype=ROW)
    load, end = read[:count], read[count:]
    order = np.cumsum(create & ~silent) - 1
    target = links[(rng.random(count) * np.maximum(order, 1)).astype(np.int64)]
    load["f"], load["cls"], load["phase"] = ~create, ~create, 1
    load["t_due"] = ORIGIN + due * 1e9
    load["t_sent"] = load["t_due"] + rng.exponential(3e5, count)
    load["t_end"] = load["t_due"] + np.where(silent, TIMEOUT, latency + 0.003) * 1e9
    load["outcome"] = np.where(silent, np.where(create, Outcome.INFO, Outcome.FAIL), Outcome.OK)
    load["answer"] = np.where(silent, Answer.SILENT, Answer.YES)
    # Texts 0 … count-1 are keys, the rest values; link i has key i and value count + i.
    owner = np.where(create, np.arange(count), target)
    load["key"] = np.where(create & silent, NONE, owner)
    load["value_id"] = np.where(create, count + owner, NONE)
    known = load["t_end"][owner] < load["t_sent"]
    load["result_id"] = np.where(~create & ~silent & known, count + owner, NONE)
    at_end = links[:final]
    end["f"], end["cls"], end["phase"] = 1, 1, 2
    end["key"] = np.resize(at_end, final)
    end["value_id"], end["result_id"] = NONE, count + np.resize(at_end, final)
    end["t_due"] = ORIGIN + (SECONDS + 5.0 + np.arange(final) / 5000.0) * 1e9
    end["t_sent"], end["t_end"] = end["t_due"] + 100_000, end["t_due"] + 2_000_000
    end["outcome"], end["answer"] = Outcome.OK, Answer.YES
    read["index"] = read["process"] = np.arange(operations)
    read["session"] = read["parent"] = read["status"] = read["t_first"] = NONE
    read["state"] = 2
    texts = tuple(f"k{n:07d}" for n in range(count)) + tuple(f"https://example.org/{n:07d}" for n in range(count))
    return History(read, ("client", "api"), ("create", "resolve"), ("write", "read"), texts, ORIGIN)


def run_folder(folder: Path):  # type: ignore[no-untyped-def]
    """Plan and events of the run whose history that is."""
    from chaoskit.data import SCHEMA_VERSION
    from chaoskit.plan import CellPlan, Plan, PlannedInjection
    from chaoskit.spec.model import Arrivals, Claim, Condition, Experiment, Traffic, Variant, Window
    from chaoskit.stack.topology import Target, Topology
    from chaoskit.store import RunDir, write_atomic

    during = Window(kind="during", of="slow")

    def condition(quantity: str, comparison: str, value: float, unit: str) -> Condition:
        words = {"text": quantity, "quantity": quantity, "comparison": comparison, "value": value, "unit": unit}
        return Condition.model_validate(words)

    claims = (
        Claim(id="answered", condition=condition("yield", ">=", 0.99, "share"), window=during),
        Claim(id="fast", condition=condition("p99", "<=", 0.3, "seconds"), window=during),
        Claim(
            id="recovers",
            condition=condition("recovery", "<=", 5.0, "seconds"),
            window=Window(kind="after", of="slow"),
        ),
        Claim(id="codes", invariant="immutable"),
        Claim(id="links", invariant="acknowledged-survive"),
    )
    plan = Plan(
        chaoskit_version="0",
        experiment=Experiment(
            file="/x",
            name="bench",
            question="?",
            target="/t",
            variants=(Variant(name="only"),),
            traffic=Traffic(workload="w", arrivals=Arrivals(shape="constant", rate=1.0), timeout=TIMEOUT, mix={}),
            steady_state=(),
            claims=claims,
            seed=1,
            duration=SECONDS,
        ),
        target=Target(
            name="t", folder="/t", compose_file="/t", services=(), topology=Topology(nodes=(), links=()), entry="api"
        ),
        injections=(
            PlannedInjection(
                id="slow", fault="latency", at=FAULT[0], until=FAULT[1], effects=(), evidence=(), sentence="slow"
            ),
        ),
        cells=(CellPlan(variant="only", trial=1, seed=1, restart=False, key_prefix="p"),),
        interposition="hosts",
        estimated_seconds=1.0,
    )

    def at(seconds: float) -> int:
        return ORIGIN + round(seconds * 1e9)

    events: list[dict[str, object]] = [
        {"t": at(0), "kind": "origin"},
        {"t": at(0), "kind": "load", "start_ns": at(0), "end_ns": at(SECONDS)},
        {"t": at(FAULT[0]), "kind": "begin", "id": "slow", "confirmed_ns": at(FAULT[0])},
        {"t": at(FAULT[0] + 1), "kind": "seen", "id": "slow", "evidence": []},
        {"t": at(FAULT[1]), "kind": "end", "id": "slow", "confirmed_ns": at(FAULT[1])},
        {"t": at(FAULT[1] + 1), "kind": "gone", "id": "slow", "evidence": []},
        {"t": at(SECONDS + 60), "kind": "phase", "name": "done"},
    ]
    run = RunDir(folder / "run")
    write_atomic(run.file("plan.json"), plan.model_dump_json())
    write_atomic(run.file("environment.json"), json.dumps({"schema_version": SCHEMA_VERSION}))
    write_atomic(run.cell("only", 1) / "events.jsonl", "".join(json.dumps(event) + "\n" for event in events))
    return run


def peak() -> float:
    """MB of this process at its largest."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def judge(folder: Path) -> None:
    """In a process of its own: read the history, judge the run, print the figures as JSON."""
    from chaoskit.analysis import analyse
    from chaoskit.history.storage import load_history
    from chaoskit.store import RunDir

    run = RunDir(folder / "run")
    begin = time.perf_counter()
    found = load_history(run.cell("only", 1))
    read, before = time.perf_counter() - begin, peak()
    begin = time.perf_counter()
    analysis = analyse(run, load=lambda _: found)
    judged = time.perf_counter() - begin
    verdicts = {claim.claim: claim.verdict for claim in analysis.claims}
    print(json.dumps({"read": read, "read_mb": before, "judged": judged, "mb": peak(), "verdicts": verdicts}))


def whole(folder: Path) -> None:
    """In a process of its own: what `chaoskit analyse` and `chaoskit report` do, from the file to the HTML page."""
    from chaoskit import stored
    from chaoskit.store import RunDir

    run = RunDir(folder / "run")
    begin = time.perf_counter()
    stored.analyse(run)
    judged = time.perf_counter() - begin
    stored.report(run)
    seconds = time.perf_counter() - begin
    size = run.file("report.html").stat().st_size / 1e6
    print(json.dumps({"seconds": seconds, "analyse": judged, "mb": peak(), "page_mb": size}))


def by_pandas(folder: Path) -> None:
    """In a process of its own: count, p50, p95 and p99 per second and class, once with pandas and once as we do."""
    import pandas as pd

    from chaoskit.analysis.figures import series
    from chaoskit.checks.sample import Load
    from chaoskit.history.storage import load_history
    from chaoskit.history.windows import Span

    found = load_history(folder / "run" / "cells" / "only" / "1")
    load = Load.of(found)
    span = Span("whole", None, ORIGIN, ORIGIN + round(SECONDS * 1e9), round(TIMEOUT * 1e9))
    begin = time.perf_counter()
    for cls in range(len(found.classes)):
        series(load.of_class(cls), "x", span, 1.0)
    ours = time.perf_counter() - begin
    begin = time.perf_counter()
    frame = pd.DataFrame(
        {
            "second": (load.due - ORIGIN) // 1_000_000_000,
            "cls": load.cls,
            "latency": load.end - load.due,
            "outcome": load.outcome,
        }
    )
    groups = frame.groupby(["cls", "second"])
    groups["latency"].quantile([0.5, 0.95, 0.99])
    groups["outcome"].value_counts()
    print(json.dumps({"ours": ours, "pandas": time.perf_counter() - begin}))


TASKS = {"--judge": judge, "--whole": whole, "--pandas": by_pandas}


def rows(operations: int = OPERATIONS) -> list[tuple[str, str, str, str]]:
    """(what, measured, against, promise)."""
    from chaoskit.history.storage import write_parquet

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = run_folder(folder)
        write_parquet(history(operations), run.cell("only", 1) / "history.parquet")
        judged, complete, rival = (
            json.loads(
                subprocess.run(
                    [sys.executable, __file__, task, name], cwd=ROOT, check=True, capture_output=True, timeout=300
                ).stdout
            )
            for task in TASKS
        )
    expected = {"answered": "refuted", "fast": "refuted", "recovers": "held", "codes": "held", "links": "held"}
    assert judged["verdicts"] == expected, judged["verdicts"]
    size = f"{operations:,} operations"
    return [
        (
            f"judge {size}",
            f"{judged['judged']:.2f} s",
            f"{judged['judged'] / judged['read']:.1f} x reading it",
            "< 5 s",
        ),
        ("its peak memory", f"{judged['mb']:.0f} MB", f"{judged['mb'] / judged['read_mb']:.1f} x reading it", "< 1 GB"),
        (
            f"analyse and report {size}",
            f"{complete['seconds']:.2f} s",
            f"{complete['seconds'] / judged['read']:.1f} x reading it",
            "< 10 s",
        ),
        ("its peak memory", f"{complete['mb']:.0f} MB", f"page {complete['page_mb']:.1f} MB", "< 1500 MB"),
        ("series per second", f"{rival['ours']:.2f} s", f"{rival['ours'] / rival['pandas']:.2f} x pandas", "-"),
    ]


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    if len(sys.argv) == 3:
        TASKS[sys.argv[1]](Path(sys.argv[2]))
    else:
        for row in rows(int(sys.argv[1]) if len(sys.argv) == 2 else OPERATIONS):
            print("  ".join(row))
