"""Every claim in every variant: what was found, what stands behind it, and where the evidence is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chaoskit.analysis.model import Analysis, ClaimSummary
from chaoskit.checks.conditions import expectation
from chaoskit.checks.quantities import said
from chaoskit.plan import Plan
from chaoskit.report.model import Cell, ClaimRow, Sentence, Timeline, WitnessView
from chaoskit.report.text import MISSING, RANK, number, plural, slug, typeset
from chaoskit.spec.claims import consistency_text
from chaoskit.spec.model import Claim
from chaoskit.units import format_share

__all__ = ["claim_rows", "sentences"]

_NOT_JUDGED = "the run ended before this could be judged"


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
    found: dict[str, int] = {}
    for finding in summary.findings:
        for kind, count in finding.anomalies.items():
            found[kind] = found.get(kind, 0) + count
    return ", ".join(f"{number(count)} {kind}" for kind, count in found.items() if count)


def _detail(summary: ClaimSummary, operations: int) -> str:
    """What stands behind a verdict: how many operations, or why nobody knows."""
    if summary.verdict == "inconclusive":
        reasons = dict.fromkeys(reason for finding in summary.findings for reason in finding.reasons)
        return "; ".join(reasons) or "no reason was recorded"
    if summary.verdict == "refuted":
        return typeset(summary.observed) if len(summary.findings) == 1 else plural(operations, "operation")
    exposed = sum(finding.exposed or 0 for finding in summary.findings)
    # Rule of three: with none seen in n, at most 3/n at 95 % confidence.
    if exposed < 30:
        return f"not refuted in {plural(operations, 'operation')}"
    bound = f"at most 1 in {number(exposed // 3)} exposed (95 %, if independent)"
    # Of k independent trials none showed anything: with a share of s in truth, (1 - s)^k is at least 5 %.
    trials = len(summary.findings)
    of_trials = f"{format_share(1 - 0.05 ** (1 / trials))} of trials like {'this one' if trials == 1 else 'these'}"
    return f"not refuted in {plural(operations, 'operation')}; {bound}; in at most {of_trials}"


def _remarks(summary: ClaimSummary) -> Iterator[str]:
    for finding in summary.findings:
        split = [f"{number(count)} {when}" for when, count in finding.split.items() if count]
        if split:
            yield ", ".join(split)
        yield from finding.notes


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
