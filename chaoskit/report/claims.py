"""Every claim in every variant: what was found, what stands behind it, and where the evidence is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from chaoskit.analysis.model import Analysis, ClaimSummary
from chaoskit.checks.conditions import expectation
from chaoskit.checks.model import Finding
from chaoskit.checks.power import Strike
from chaoskit.checks.quantities import said
from chaoskit.plan import Plan
from chaoskit.report.model import Cell, ClaimRow, Sentence, Timeline, WitnessView
from chaoskit.report.text import MISSING, RANK, number, plural, slug, typeset
from chaoskit.spec.claims import consistency_text
from chaoskit.spec.model import Claim
from chaoskit.units import format_figure, format_share

__all__ = ["claim_rows", "sentences"]

_NOT_JUDGED = "the run ended before this could be judged"
_VAGUE = 0.1  # a bound above one in ten says nothing that the count beside it does not say


def claim_rows(
    analysis: Analysis, plan: Plan, proofs: Sequence[WitnessView], lines: Sequence[Timeline]
) -> tuple[ClaimRow, ...]:
    """A row per claim in the order of the experiment; what the analysis has no verdict for is inconclusive.

    Args:
        proofs, lines: what the evidence links point to.
    """
    judged = {(summary.claim, summary.variant): summary for summary in analysis.claims}
    planned = {claim.id: claim for claim in plan.experiment.claims}
    names = list(planned) + [s.claim for s in analysis.claims if s.claim not in planned]
    rows = []
    for name in dict.fromkeys(names):
        found = [judged.get((name, variant.name)) for variant in plan.experiment.variants]
        expected = next((summary.expected for summary in found if summary), "")
        rows.append(
            ClaimRow(
                id=name,
                anchor=slug("claim", name),
                expected=typeset(expected) or _claim_text(planned.get(name)),
                window=_window_text(planned.get(name)),
                cells=tuple(
                    _cell(summary, name, variant.name, proofs, lines)
                    for variant, summary in zip(plan.experiment.variants, found, strict=True)
                ),
            )
        )
    return tuple(rows)


def _claim_text(claim: Claim | None) -> str:
    if claim is None:
        return ""
    if claim.consistency is not None:
        return consistency_text(claim.consistency)
    if claim.condition is None:
        return f"invariant {claim.invariant}"
    return typeset(expectation(claim.condition))


def _window_text(claim: Claim | None) -> str:
    if claim is None or claim.window.kind == "whole":
        return "whole run"
    return " ".join(filter(None, (claim.window.kind, claim.window.of)))


def _cell(
    summary: ClaimSummary | None,
    claim: str,
    variant: str,
    proofs: Sequence[WitnessView],
    lines: Sequence[Timeline],
) -> Cell:
    if summary is None:
        return Cell(
            variant=variant,
            verdict="inconclusive",
            observed=MISSING,
            margin="",
            detail=_NOT_JUDGED,
            anchor="limits",
            evidence="limits",
        )
    operations = sum(finding.operations for finding in summary.findings)
    first = min(summary.findings, key=lambda finding: RANK[finding.verdict], default=None)
    proof = next((w for w in proofs if w.claim == claim and w.variant == variant), None)
    line = next((t for t in lines if t.variant == variant), None)
    anchor, evidence = (
        (proof.anchor, f"witness {proof.label}") if proof else (line.anchor, "timeline") if line else ("raw", "numbers")
    )
    return Cell(
        variant=variant,
        verdict=summary.verdict,
        observed=_observed(summary),
        margin=summary.margin,
        detail=_detail(summary, operations),
        note=_surprise(summary),
        remarks=tuple(dict.fromkeys(_remarks(summary))),
        anchor=anchor,
        evidence=evidence,
        value=first.value if first else None,
        limit=first.limit if first else None,
        unit=first.unit if first else "",
        operations=operations,
    )


def _observed(summary: ClaimSummary) -> str:
    """The value alone, so that values stand under each other; what belongs to it is in the detail."""
    if len(summary.findings) != 1:
        return summary.observed or MISSING
    finding = summary.findings[0]
    if finding.value is not None:
        # A censored value is a bound: nobody waited long enough to see the end.
        return f"{'≥ ' if finding.censored else ''}{said(finding.value, finding.unit)}"
    if finding.verdict == "inconclusive":
        return MISSING
    if finding.verdict == "held" and finding.exposed is not None:
        return f"0 of {number(finding.exposed)}"
    return _anomalies(summary) or summary.observed or MISSING


def _anomalies(summary: ClaimSummary) -> str:
    found = _total(finding.anomalies for finding in summary.findings)
    return ", ".join(f"{number(count)} {kind}" for kind, count in found.items() if count)


def _detail(summary: ClaimSummary, operations: int) -> str:
    """What stands behind a verdict: how many operations, or why nobody knows."""
    if summary.verdict == "inconclusive":
        reasons = dict.fromkeys(reason for finding in summary.findings for reason in finding.reasons)
        return "; ".join(reasons) or "no reason was recorded"
    if summary.verdict == "refuted":
        return typeset(summary.observed) if len(summary.findings) == 1 else plural(operations, "operation")
    counted = f"not refuted in {plural(operations, 'operation')}"
    per_operation, per_trial = summary.most_per_operation, summary.most_per_trial
    if per_operation is None or per_trial is None or per_operation > _VAGUE:
        return counted
    trials = "this one" if len(summary.findings) == 1 else "these"
    return (
        f"{counted}; at most 1 in {number(int(1 / per_operation + 1e-6))} exposed (95 %, if independent); in at most "
        f"{format_share(per_trial)} of trials like {trials}"
    )


def _remarks(summary: ClaimSummary) -> Iterator[str]:
    """What was seen beside the verdict. Counts of all trials together; figures that cannot be added up, of one."""
    findings = summary.findings
    split = _total(finding.split for finding in findings)
    if told := [f"{number(count)} {when}" for when, count in split.items() if count]:
        yield f"lost: {', '.join(told)}"
    for kind in dict.fromkeys(one.kind for finding in findings for one in finding.planted):
        own = [one for finding in findings for one in finding.planted if one.kind == kind]
        yield Strike(kind, sum(o.struck for o in own), sum(o.found for o in own), sum(o.legal for o in own)).sentence()
    worst = min(findings, key=lambda finding: RANK[finding.verdict], default=None)
    if worst is not None and (figures := _figures(worst)):
        yield f"{'worst trial: ' if len(findings) > 1 else ''}{figures}"
    for finding in findings:
        yield from finding.notes


def _total(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in counts:
        for name, count in one.items():
            found[name] = found.get(name, 0) + count
    return found


def _figures(finding: Finding) -> str:
    """The model's figures in one line; nothing where all are nought. How stale answers were has a table of its own."""
    named = {n: v for n, v in finding.numbers.items() if not finding.stale or (n != "answers" and "stale" not in n)}
    if not any(named.values()):
        return ""
    return "; ".join(f"{n}: {format_figure(v)}" for n, v in named.items())


def _surprise(summary: ClaimSummary) -> str:
    if summary.expected_verdict is None:
        return ""
    if summary.expected_verdict != summary.verdict:
        return f"expected: {summary.expected_verdict}"
    return "as expected" if summary.verdict != "held" else ""


def sentences(analysis: Analysis, claims: Sequence[ClaimRow]) -> tuple[Sentence, ...]:
    """One sentence per claim and variant, refuted ones first, in the order of the claims."""
    written = {(summary.claim, summary.variant): summary.sentence for summary in analysis.claims}
    found = [
        Sentence(
            variant=cell.variant,
            claim=row.id,
            verdict=cell.verdict,
            text=typeset(written.get((row.id, cell.variant), "")) or f"{row.expected} ({row.window}): {cell.detail}.",
            note=cell.note,
            anchor=cell.anchor,
        )
        for row in claims
        for cell in row.cells
    ]
    return tuple(sorted(found, key=lambda sentence: RANK[sentence.verdict]))
