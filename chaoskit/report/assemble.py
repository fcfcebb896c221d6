"""Analysis + plan + environment + run directory -> ReportModel. Reads experiment.yaml and the logs; changes nothing."""

from __future__ import annotations

import hashlib
import shlex
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chaoskit.analysis.model import Analysis, WindowStats
from chaoskit.checks.loss import ACKNOWLEDGED, LOST
from chaoskit.plan import Plan
from chaoskit.report import quotable, raw, tested
from chaoskit.report.claims import claim_rows, sentences
from chaoskit.report.model import (
    ClaimRow,
    Fact,
    PhaseValue,
    QuantileLine,
    ReportModel,
    Reproduce,
    Summary,
    WitnessView,
)
from chaoskit.report.text import MISSING, RANK, duration, finite, number, plural, share, typeset
from chaoskit.report.timelines import shown_cell, timelines
from chaoskit.report.witnesses import witnesses
from chaoskit.store import RunDir

__all__ = ["build"]

_MOST_PHASES = 5  # beyond, only the last "after" is shown side by side


def build(analysis: Analysis, plan: Plan, environment: Mapping[str, Any], run: RunDir) -> ReportModel:
    """Decide everything a reader will see.

    A claim that the analysis has no verdict for (the run ended early) is shown as inconclusive, never left out.
    """
    proofs, no_room = witnesses(analysis, plan)
    lines = timelines(analysis, plan, proofs)
    variants = tuple(variant.name for variant in plan.experiment.variants)
    claims = claim_rows(analysis, plan, proofs, lines)
    phases, summaries = _summaries(analysis, plan)
    return ReportModel(
        chaoskit_version=analysis.chaoskit_version,
        run=analysis.run,
        name=analysis.name,
        question=analysis.question,
        started=analysis.started,
        variants=variants,
        verdict=analysis.verdict,
        headline=typeset(analysis.headline),
        expectation=_expectation(analysis.as_expected),
        interrupted=_interrupted(analysis, plan),
        counts=_counts(analysis, claims),
        sentences=sentences(analysis, claims),
        claims=claims,
        phases=phases,
        summaries=summaries,
        summary_note=_summary_note(analysis),
        differences=quotable.difference_table(analysis),
        staleness=quotable.stale_tables(analysis, plan),
        timelines=lines,
        witnesses=proofs,
        witness_note=_witness_note(proofs, no_room),
        topology=tested.topology(plan, analysis),
        faults=tested.fault_rows(analysis, plan),
        partitions=tested.partitions(analysis, plan),
        workload=tested.workload(plan, environment),
        variant_env=tested.variant_env(plan),
        limits=_limits(analysis, plan),
        harness_problems=raw.harness_problems(analysis),
        harness=raw.harness(analysis),
        reproduce=_reproduce(plan, environment, run),
        environment=tuple(raw.facts({k: v for k, v in environment.items() if k not in ("command", "schema_version")})),
        quantiles=_quantiles(analysis, plan, phases),
        tables=raw.window_tables(analysis),
        logs=raw.log_tails(run),
    )


def _expectation(as_expected: bool | None) -> str:
    if as_expected is None:
        return ""
    if as_expected:
        return "Every verdict came out as the experiment expects."
    return "Not every verdict came out as the experiment expects."


def _interrupted(analysis: Analysis, plan: Plan) -> str:
    done = sum(cell.complete for cell in analysis.cells)
    if not analysis.interrupted and done >= len(plan.cells):
        return ""
    how = "was interrupted" if analysis.interrupted else "did not complete"
    return f"The run {how}: {done} of {plural(len(plan.cells), 'cell')} ran to the end. What was measured is shown."


def _counts(analysis: Analysis, claims: Sequence[ClaimRow]) -> tuple[Fact, ...]:
    cells = [cell.verdict for row in claims for cell in row.cells]
    operations = sum(cell.operations for cell in analysis.cells)
    return (
        *(Fact(name=verdict, value=number(cells.count(verdict))) for verdict in RANK),
        Fact(name="operations", value=number(operations)),
    )


def _summaries(analysis: Analysis, plan: Plan) -> tuple[tuple[str, ...], tuple[Summary, ...]]:
    """Yield and p99 per variant, phase by phase in the order of time; medians over the trials."""
    starts: dict[str, float] = {}
    stats: dict[tuple[str, str], list[WindowStats]] = {}
    for cell in analysis.cells:
        for one in cell.stats:
            name = one.window.name
            if one.cls == "*" and name.split(" ")[0] in ("before", "during", "after"):
                starts.setdefault(name, one.window.start)
                stats.setdefault((cell.variant, name), []).append(one)
    phases = tuple(sorted(starts, key=lambda name: (starts[name], not name.startswith("before"))))
    if len(phases) > _MOST_PHASES:
        phases = tuple(name for name in phases if not name.startswith("after") or name == phases[-1])
    about_loss = _about_loss(analysis, plan)
    summaries = [
        Summary(
            variant=variant.name,
            phases=tuple(_phase(name, stats.get((variant.name, name), ())) for name in phases),
            loss=_loss(analysis, variant.name, about_loss),
        )
        for variant in plan.experiment.variants
    ]
    return phases, tuple(summaries) if phases else ()


def _phase(name: str, found: Sequence[WindowStats]) -> PhaseValue:
    yields = [value for one in found if (value := finite(one.yield_)) is not None]
    p99s = [value for one in found if (value := finite(one.response.p99)) is not None]
    yield_ = statistics.median_low(yields) if yields else None
    p99 = statistics.median_high(p99s) if p99s else None
    return PhaseValue(
        phase=name,
        yield_=yield_,
        p99=p99,
        operations=sum(one.intended for one in found),
        yield_text=share(yield_),
        p99_text=duration(p99),
    )


def _quantiles(analysis: Analysis, plan: Plan, phases: Sequence[str]) -> tuple[QuantileLine, ...]:
    """Latency by quantile, of the trial whose timeline is shown."""
    found = []
    for variant in plan.experiment.variants:
        cell = shown_cell(analysis, variant.name)
        for stats in cell.stats if cell else ():
            if stats.cls == "*" and stats.window.name in phases:
                of = stats.response
                values = (of.p50, of.p90, of.p95, of.p99, of.p999, of.maximum)
                found.append(
                    QuantileLine(
                        variant=variant.name, phase=stats.window.name, values=tuple(finite(value) for value in values)
                    )
                )
    return tuple(found)


def _about_loss(analysis: Analysis, plan: Plan) -> set[str]:
    """Claims that say what became of acknowledged work: of the invariant, else the first that counted it by the way."""
    declared = {claim.id for claim in plan.experiment.claims if claim.invariant == "acknowledged-survive"}
    counted = (one.claim for one in analysis.claims for finding in one.findings if LOST in finding.numbers)
    return declared or set(list(counted)[:1])


def _loss(analysis: Analysis, variant: str, claims: set[str]) -> str:
    """Acknowledged work that was gone at the end, over all trials; a dash where nothing looked for it."""
    found = [
        finding
        for cell in analysis.cells
        if cell.variant == variant
        for finding in cell.findings
        if finding.claim in claims and (finding.verdict != "inconclusive" or LOST in finding.numbers)
    ]
    if not found:
        return MISSING
    counted = [one.numbers for one in found if LOST in one.numbers]
    if counted:
        return f"{number(_sum(counted, LOST))} of {number(_sum(counted, ACKNOWLEDGED))}"
    gone = sum(finding.anomalies.get(kind, 0) for finding in found for kind in ("lost", "replaced"))
    return f"{number(gone)} of {number(sum(finding.operations for finding in found))}"


def _sum(numbers: Sequence[Mapping[str, float]], name: str) -> int:
    return round(sum(one[name] for one in numbers))


def _summary_note(analysis: Analysis) -> str:
    trials = max((cell.trial for cell in analysis.cells), default=0)
    note = "All operation classes together; p99 counts answered operations, from the due time."
    return note + (f" Medians of {trials} trials." if trials > 1 else " One trial each: values without an interval.")


def _witness_note(proofs: Sequence[WitnessView], no_room: int) -> str:
    if not proofs:
        return "No claim was refuted by particular operations, so there is no witness to show."
    return f"{plural(no_room, 'more witness', 'more witnesses')} in analysis.json." if no_room else ""


def _limits(analysis: Analysis, plan: Plan) -> tuple[str, ...]:
    """Without what is said about whole cells: that stands by itself, apart from the system's failures."""
    reasons = {reason for cell in analysis.cells for reason in cell.reasons}
    return (*(limit for limit in analysis.limits if not any(reason in limit for reason in reasons)), *plan.warnings)


def _reproduce(plan: Plan, environment: Mapping[str, Any], run: RunDir) -> Reproduce:
    experiment = plan.experiment
    file = _short_path(experiment.file)
    text = raw.read_start(run.file("experiment.yaml"), 64_000)
    digest = environment.get("experiment_sha256") or (hashlib.sha256(text).hexdigest() if text else MISSING)
    words = [str(word) for word in environment.get("command") or ()]
    again = ["chaoskit", "run", file]
    if words[:2] == ["chaoskit", "run"]:
        again = words
    if not any(word.startswith("--seed") for word in again):
        again = [*again, "--seed", str(experiment.seed)]
    if plan.toxiproxy == "real" and not any(word.startswith("--toxiproxy") for word in again):
        again = [*again, "--toxiproxy", "real"]
    return Reproduce(
        command=shlex.join(again),
        original=shlex.join(words),
        seed=experiment.seed,
        experiment_file=file,
        experiment_sha256=str(digest),
        experiment_text=text.decode("utf-8", "replace"),
    )


def _short_path(file: str) -> str:
    """The path as seen from the clone, so that the command works on another machine."""
    parts = Path(file).parts
    return str(Path(*parts[parts.index("experiments") :])) if "experiments" in parts else file
