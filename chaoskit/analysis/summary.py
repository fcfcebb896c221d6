"""Over the trials: one verdict and one plain sentence per claim and variant, and the sentence above them all."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from chaoskit.analysis.model import CellAnalysis, ClaimSummary, FaultRecord
from chaoskit.analysis.statistics import FEWEST_TRIALS, bootstrap, most_per_operation, most_per_trial
from chaoskit.analysis.survival import median
from chaoskit.checks.conditions import expectation
from chaoskit.checks.model import Finding
from chaoskit.checks.quantities import said
from chaoskit.checks.witness import many
from chaoskit.plan import Plan
from chaoskit.spec.model import Claim, Verdict
from chaoskit.units import format_count, format_duration, format_rate

__all__ = ["as_expected", "headline", "overall", "summarise"]

_RANK: dict[Verdict, int] = {"refuted": 0, "inconclusive": 1, "held": 2}


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """Refuted once is refuted; of nothing nothing is known."""
    return min(verdicts, key=_RANK.__getitem__, default="inconclusive")


def summarise(plan: Plan, cells: Sequence[CellAnalysis]) -> tuple[ClaimSummary, ...]:
    """Every claim of every variant, in the order of the experiment."""
    found = []
    for variant in plan.experiment.variants:
        own = sorted((cell for cell in cells if cell.variant == variant.name), key=lambda cell: cell.trial)
        for claim in plan.experiment.claims:
            pairs = [(cell, finding) for cell in own for finding in cell.findings if finding.claim == claim.id]
            if pairs:
                found.append(_summary(plan, variant.name, claim, pairs))
    return tuple(found)


def as_expected(claims: Sequence[ClaimSummary]) -> bool | None:
    """Whether everything came out as `expect:` says; None where the experiment expects nothing."""
    if all(claim.expected_verdict is None for claim in claims):
        return None
    return all(claim.expected_verdict == claim.verdict for claim in claims)


def headline(claims: Sequence[ClaimSummary], operations: int) -> str:
    """The one sentence for the top of the report."""
    total = len(claims)
    if not total:
        return "Nothing was claimed, so there is nothing to judge."
    of = {verdict: [claim for claim in claims if claim.verdict == verdict] for verdict in _RANK}
    if refuted := of["refuted"]:
        first = refuted[0]
        return f"{len(refuted)} of {many(total, 'claim')} refuted. {first.variant}: {_briefly(first)}."
    if doubted := of["inconclusive"]:
        first = doubted[0]
        reasons = next((finding.reasons for finding in first.findings if finding.reasons), ("no reason was recorded",))
        return (
            f"No claim was refuted, but {len(doubted)} of {total} are inconclusive: {first.variant}: {first.claim}, "
            f"because {reasons[0]}."
        )
    which = "The claim was" if total == 1 else f"All {total} claims were"
    return f"{which} not refuted in {many(operations, 'operation')}."


def _briefly(summary: ClaimSummary) -> str:
    """ "461 ms over 330 operations during slow-db, where p99 <= 300 ms was claimed"."""
    worst = min(summary.findings, key=lambda finding: _RANK[finding.verdict])
    if worst.limit is None:
        return f"{summary.claim}: {worst.observed}"
    window = f" {worst.window.name}" if worst.window is not None else ""
    return f"{worst.observed}{window}, where {worst.expected} was claimed"


def _summary(plan: Plan, variant: str, claim: Claim, pairs: Sequence[tuple[CellAnalysis, Finding]]) -> ClaimSummary:
    findings = tuple(finding for _, finding in pairs)
    verdict = overall([finding.verdict for finding in findings])
    cell, worst = min(pairs, key=lambda pair: _RANK[pair[1].verdict])
    expected: Verdict | None = None
    if plan.experiment.expect is not None:
        expected = plan.experiment.expect.get(variant, {}).get(claim.id, "held")
    exposed = sum(finding.exposed or 0 for finding in findings) if verdict == "held" else 0
    return ClaimSummary(
        variant=variant,
        claim=claim.id,
        verdict=verdict,
        expected_verdict=expected,
        sentence=_sentence(claim, cell, worst, findings),
        expected=worst.expected,
        observed=_observed(findings, worst, plan.experiment.seed),
        margin=_margin(worst),
        findings=findings,
        most_per_operation=most_per_operation(exposed) if exposed else None,
        most_per_trial=most_per_trial(len(findings)) if exposed else None,
    )


def _sentence(claim: Claim, cell: CellAnalysis, worst: Finding, findings: Sequence[Finding]) -> str:
    """What was found, in words that can be read aloud: quantity, number, window, fault, limit."""
    where = _where(claim, cell.faults, worst)
    if claim.condition is None:
        subject = f"{worst.expected}{where}: {worst.observed}"
    else:
        subject = f"{_subject(claim)} was {worst.observed}{where}"
    limit = "" if claim.condition is None else f"; claimed was {_limit(claim)}"
    if worst.verdict == "inconclusive":
        others = len(worst.reasons) - 1
        more = f" (and {many(others, 'more reason')})" if others > 0 else ""
        because = worst.reasons[0] if worst.reasons else "no reason was recorded"
        text = (
            f"{_subject(claim) if claim.condition else worst.expected}{where}: nobody can say, because {because}{more}"
        )
    elif worst.verdict == "held":
        count = worst.operations if worst.exposed is None else worst.exposed
        # Most figures name the operations they were counted from; where one does not, the verdict does.
        counted = "" if format_count(count) in worst.observed else f" in {many(count, 'operation')}"
        text = f"{subject}{limit}: not refuted{counted}"
    else:
        witness = f"; for instance {worst.witness.sentence}" if worst.witness else ""
        text = f"{subject}{limit}{witness}"
    trials = [finding.verdict for finding in findings]
    if len(trials) > 1:
        text += f" ({worst.verdict} in {trials.count(worst.verdict)} of {len(trials)} trials)"
    return text + "."


def _subject(claim: Claim) -> str:
    condition = claim.condition
    if condition is None:
        return claim.invariant or claim.id
    of = f" of {condition.cls}" if condition.cls else ""
    return f"{condition.quantity}{of}" + (f" at {condition.side}" if condition.side else "")


def _limit(claim: Claim) -> str:
    condition = claim.condition
    if condition is None:
        return ""
    return expectation(condition).removeprefix(_subject(claim)).strip()


def _where(claim: Claim, faults: Sequence[FaultRecord], finding: Finding) -> str:
    """ " during slow-db (5.03 s to 11.04 s: api->db:5432 answers 200 ms late)"."""
    if claim.window.kind == "whole":
        return ""
    if claim.window.kind == "before" or claim.window.of is None:
        name = " before any fault"
    else:
        name = f" {'in the steady part of' if claim.window.kind == 'steady' else claim.window.kind} {claim.window.of}"
    parts = []
    if finding.window is not None:
        parts.append(f"{finding.window.start:.2f} s to {finding.window.end:.2f} s")
    fault = next((one for one in faults if one.id == claim.window.of), None)
    if fault is not None and claim.window.kind in ("during", "steady"):
        parts.append(fault.sentence)
    return f"{name} ({': '.join(parts)})" if parts else name


def _observed(findings: Sequence[Finding], worst: Finding, seed: int) -> str:
    """One trial: what it showed. A few: their values. From five trials on: the mean with its interval."""
    if len(findings) == 1:
        return worst.observed
    values = [finding.value for finding in findings if finding.value is not None]
    if not values:
        return worst.observed
    unit = worst.unit
    if len(values) == len(findings) and not any(finding.censored for finding in findings):
        interval = bootstrap(values, seed)
        if interval is not None:
            mean, low, high = (said(value, unit) for value in (interval.mean, interval.low, interval.high))
            return f"{mean} (95 % interval {low} to {high}, {interval.trials} trials)"
    if len(values) == len(findings) >= FEWEST_TRIALS and unit == "seconds":
        return _median(values, [finding.censored for finding in findings], seed)
    texts = [f"≥ {said(f.value, unit)}" if f.censored else said(f.value, unit) for f in findings if f.value is not None]
    missing = len(findings) - len(values)
    note = f", {missing} without a value" if missing else ""
    return f"{', '.join(texts)} ({len(findings)} trials{note})"


def _median(seconds: Sequence[float], censored: Sequence[bool], seed: int) -> str:
    """Of times of which some are known as "at least" only, the mean is not known; the median mostly is."""
    found = median(seconds, censored, seed)
    if found.seconds is None or found.low is None or found.high is None:
        text = f"median beyond what was watched ({format_duration(max(seconds))})"
    else:
        high = format_duration(found.high) if isfinite(found.high) else "beyond what was watched"
        text = f"median {format_duration(found.seconds)} (95 % interval {format_duration(found.low)} to {high})"
    return f"{text}, {found.trials} trials, {found.censored} of them not seen to end"


def _margin(finding: Finding) -> str:
    """How far from the limit: "57.8 points below the limit"."""
    if finding.value is None or finding.limit is None or finding.verdict == "inconclusive":
        return ""
    distance = finding.value - finding.limit
    size = abs(distance)
    if finding.unit == "share":
        points = f"{size * 100:.2g}" if size < 0.1 else f"{size * 100:.1f}"
        text = f"{points} point{'' if points == '1' else 's'}"
    elif finding.unit == "per-second":
        text = format_rate(size)
    else:
        text = format_duration(size) if finding.unit == "seconds" else f"{size:g}"
    if distance == 0:
        return "on the limit"
    least = "at least " if finding.censored and distance > 0 else ""
    return f"{least}{text} {'above' if distance > 0 else 'below'} the limit"
