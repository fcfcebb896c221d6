"""One cell: history and events -> windows, figures and findings. Pure, given what was read from disk.

Where nothing more can be said than "inconclusive", the reasons say why:

    the cell        ended early, its history is missing or malformed, the harness was at its limit
    a claim         its fault was not seen to bite, or not seen to be gone, or traffic went past it; too few operations;
                    a checker gave up

One thing survives all of that: a history that was refuted has a witness, and a witness stands by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from chaoskit import registry
from chaoskit.analysis.bypass import examine as examine_bypass
from chaoskit.analysis.facts import Facts, disturbances, fault_records
from chaoskit.analysis.figures import EVERY, series, step_of, window_stats
from chaoskit.analysis.health import Lag, examine
from chaoskit.analysis.model import CellAnalysis, FaultRecord, Series, WindowStats
from chaoskit.checks.conditions import Evidence, expectation, judge, window_span
from chaoskit.checks.consistency import Consistent, judge_consistency
from chaoskit.checks.context import CheckContext, Judgement, check_form, nobody
from chaoskit.checks.model import Finding
from chaoskit.checks.sample import Load
from chaoskit.errors import ChaosKitError, CheckerError
from chaoskit.history.frame import History
from chaoskit.history.windows import Disturbance, Span, windows
from chaoskit.plan import CellPlan, Plan
from chaoskit.spec.claims import consistency_text
from chaoskit.spec.model import Claim

__all__ = ["Material", "analyse_cell"]


@dataclass(frozen=True)
class Material:
    """What is on disk of one cell.

    Attributes:
        history: None when there is none that can be read; `why` says why.
        proxy, worker: lag of the harness's loops; None = not recorded.
    """

    facts: Facts
    history: History | None
    why: str = ""
    proxy: Lag | None = None
    worker: Lag | None = None


def analyse_cell(plan: Plan, cell: CellPlan, material: Material) -> CellAnalysis:
    """Everything that can be said about one cell; never raises for what the run or a checker got wrong."""
    facts, history = material.facts, material.history
    bypass = examine_bypass(plan, facts)
    faults = fault_records(plan, facts, bypass.doubts)
    reasons = list(facts.reasons)
    if history is None:
        reasons.append(material.why)
    else:
        try:
            check_form(history)
        except CheckerError as error:
            reasons.append(error.message)
            history = None
    if facts.origin_ns is None and facts.last_ns is not None:
        reasons.append("the cell never reached its t=0")
    if history is None or facts.origin_ns is None:
        return _nothing(plan, cell, material, faults, tuple(reasons), history)

    plain = Load.of(history)
    health = examine(plain, material.proxy, material.worker)
    reasons += health.reasons
    known = disturbances(plan, facts)
    spans = _spans(plan, facts, plain, known)
    context = CheckContext(known, {fault.id: fault.sides for fault in faults if fault.sides})
    judgements = _judgements(plan, history, context)
    evidence = Evidence(history, plain, spans, sides=context.sides, disturbances=known)
    consistent = _consistent(plan, cell, evidence)
    accused = [found.accused for found in judgements.values() if isinstance(found, Judgement)]
    checked = bool(accused) or any(_all_of_it(claim) for claim in plan.experiment.claims)
    accused += [found.accused for found in consistent.values()]
    load = Load.of(history, np.unique(np.concatenate([nobody(), *accused])))
    evidence = replace(evidence, load=load, checked=checked)
    findings = []
    for claim in plan.experiment.claims:
        found = consistent[claim.id].finding if claim.id in consistent else _finding(claim, evidence, judgements)
        findings.append(_doubted(found, claim, (*reasons, *_doubts(claim, faults))))
    stats, lines = _figures(evidence, facts.origin_ns)
    return CellAnalysis(
        variant=cell.variant,
        trial=cell.trial,
        seed=cell.seed,
        windows=tuple(window_span(span, facts.origin_ns) for span in spans.values()),
        stats=stats,
        faults=faults,
        findings=tuple(findings),
        series=lines,
        complete=facts.complete,
        reasons=tuple(reasons),
        operations=len(load),
        send_error_p50=health.send_p50,
        send_error_p99=health.send_p99,
        unsent=health.unsent,
        proxy_lag_max=material.proxy.maximum if material.proxy else None,
        worker_lag_max=material.worker.maximum if material.worker else None,
        overhead=_overhead(plan, facts),
        observations=(*facts.observations, *bypass.observations, *_unrecorded(material)),
    )


def _spans(plan: Plan, facts: Facts, load: Load, known: tuple[Disturbance, ...]) -> dict[tuple[str, str | None], Span]:
    """Windows of a cell; of one that ended early, up to the last operation that is on record."""
    experiment = plan.experiment
    origin = facts.origin_ns or 0
    planned = origin + round(experiment.duration * 1e9)
    end = planned if facts.load_end_ns is None else facts.load_end_ns
    if not facts.complete:
        last = int(load.due[-1]) if len(load) else origin
        end = min(end, max(origin, last))
    timeout, failover = round(experiment.traffic.timeout * 1e9), round(plan.target.failover_bound * 1e9)
    return windows(origin, end, timeout, failover, known)


def _judgements(plan: Plan, history: History, context: CheckContext) -> dict[str, Judgement | CheckerError]:
    """Every invariant that is claimed or that the workload declares; one that raises gives up, it does not pass."""
    experiment = plan.experiment
    wanted = [claim.invariant for claim in experiment.claims if claim.invariant]
    for workload in plan.target.workloads:
        if workload.name == experiment.traffic.workload:
            wanted += workload.invariants
    found: dict[str, Judgement | CheckerError] = {}
    for name in dict.fromkeys(wanted):
        try:
            found[name] = registry.load("invariant", name)(history, context)
        except ChaosKitError as error:
            found[name] = CheckerError(error.message, hint=error.hint)
        except Exception as error:  # whatever a checker gets wrong is inconclusive, and no other claim's affair
            found[name] = CheckerError(f"the checker {name} crashed: {type(error).__name__}: {error}")
    return found


def _consistent(plan: Plan, cell: CellPlan, evidence: Evidence) -> dict[str, Consistent]:
    """Every claim about consistency."""
    experiment = plan.experiment
    sent = {name for name, weight in experiment.traffic.mix.items() if weight > 0}
    classes = {
        one.name: one.kind
        for workload in plan.target.workloads
        if workload.name == experiment.traffic.workload
        for one in workload.classes
    }
    claims = [claim for claim in experiment.claims if claim.consistency is not None]
    return {claim.id: judge_consistency(claim, evidence, classes, sent, cell.seed) for claim in claims}


def _all_of_it(claim: Claim) -> bool:
    """Whether a claim has every answer of the history judged, so that what is not accused counts as correct."""
    asked = claim.consistency
    return asked is not None and claim.window.kind == "whole" and not asked.classes and asked.side is None


def _finding(claim: Claim, evidence: Evidence, judgements: Mapping[str, Judgement | CheckerError]) -> Finding:
    if claim.invariant is None:
        return judge(claim, evidence)
    found = judgements[claim.invariant]
    if isinstance(found, Judgement):
        return found.finding(claim.id)
    return Finding(
        claim=claim.id,
        verdict="inconclusive",
        expected=claim.invariant,
        observed="nothing: the check gave up",
        reasons=(found.message,),
    )


def _doubts(claim: Claim, faults: tuple[FaultRecord, ...]) -> tuple[str, ...]:
    """What is not known about the faults that a claim speaks of."""
    of, kind = claim.window.of, claim.window.kind
    if kind == "before":
        return ()
    everything = kind == "whole"
    found = []
    for fault in faults:
        if not everything and fault.id != of:
            continue
        found += [f"{fault.id}: {doubt}" for doubt in fault.doubts]
        if fault.start is None:
            found.append(f"{fault.id} was not injected")
        elif not fault.seen:
            found.append(f"{fault.id} was not seen to bite{_because(fault.unseen)}")
        elif not fault.gone and (everything or kind == "after"):
            found.append(f"{fault.id} was not seen to be gone{_because(fault.stayed)}")
    return tuple(found)


def _because(missing: str) -> str:
    return f": {missing}" if missing else ""


def _doubted(finding: Finding, claim: Claim, reasons: tuple[str, ...]) -> Finding:
    """A finding in the light of what is not known; the refutation of a history stands on its witness."""
    if not reasons:
        return finding
    if claim.condition is None and finding.verdict == "refuted":
        notes = (*finding.notes, *(f"stands on its witness, although {reason}" for reason in reasons))
        return finding.model_copy(update={"notes": notes})
    # Why the whole cell is in doubt comes first: it usually explains why there are too few operations.
    found = tuple(dict.fromkeys((*reasons, *finding.reasons)))
    return finding.model_copy(update={"verdict": "inconclusive", "witness": None, "reasons": found})


def _figures(evidence: Evidence, origin_ns: int) -> tuple[tuple[WindowStats, ...], tuple[Series, ...]]:
    history, load, spans = evidence.history, evidence.load, evidence.spans
    classes = [(EVERY, load)] + [(name, load.of_class(n)) for n, name in enumerate(history.classes)]
    classes = [(name, own) for name, own in classes if name == EVERY or len(own)]
    stats = [window_stats(own.within(span), name, origin_ns) for span in spans.values() for name, own in classes]
    whole, before = spans[("whole", None)], spans[("before", None)]
    # Along the time an answer is in time by the same budget as in the windows of the faults.
    along = Span("whole", None, whole.start_ns, whole.end_ns, before.budget_ns)
    seconds = (whole.end_ns - whole.start_ns) / 1e9
    step = step_of(seconds, len(load))
    return tuple(stats), tuple(series(own, name, along, step) for name, own in classes)


def _unrecorded(material: Material) -> tuple[str, ...]:
    """What is missing from the record without making it worthless."""
    found = []
    if material.history is not None and material.history.damaged:
        found.append(f"parts of the history are damaged and left out: {material.history.damaged[0]}")
    if material.proxy is None:
        found.append("how late the proxy ran was not recorded, so it may have been at its limit")
    return tuple(found)


def _overhead(plan: Plan, facts: Facts) -> float | None:
    stated = plan.experiment.warm_up + plan.experiment.duration + plan.experiment.settle
    return None if facts.wall_s is None else facts.wall_s - stated


def _expected(claim: Claim) -> str:
    if claim.condition is not None:
        return expectation(claim.condition)
    return str(claim.invariant) if claim.consistency is None else consistency_text(claim.consistency)


def _nothing(
    plan: Plan,
    cell: CellPlan,
    material: Material,
    faults: tuple[FaultRecord, ...],
    reasons: tuple[str, ...],
    history: History | None,
) -> CellAnalysis:
    """A cell of which nothing can be judged: all its claims are inconclusive, and say why."""
    findings = tuple(
        Finding(
            claim=claim.id,
            verdict="inconclusive",
            expected=_expected(claim),
            observed="nothing",
            limit=None if claim.condition is None else claim.condition.value,
            unit="" if claim.condition is None else claim.condition.unit,
            reasons=reasons,
        )
        for claim in plan.experiment.claims
    )
    return CellAnalysis(
        variant=cell.variant,
        trial=cell.trial,
        seed=cell.seed,
        windows=(),
        stats=(),
        faults=faults,
        findings=findings,
        series=(),
        complete=False,
        reasons=reasons,
        operations=0 if history is None else len(history),
        send_error_p50=None,
        send_error_p99=None,
        unsent=0,
        proxy_lag_max=material.proxy.maximum if material.proxy else None,
        worker_lag_max=material.worker.maximum if material.worker else None,
        overhead=_overhead(plan, material.facts),
        observations=material.facts.observations,
    )
