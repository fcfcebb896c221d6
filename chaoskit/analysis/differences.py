"""Variants compared trial by trial: how much each claim's figure differs from that of the first variant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chaoskit.analysis.model import CellAnalysis, ClaimDifference
from chaoskit.analysis.statistics import FEWEST_TRIALS, holm, paired
from chaoskit.checks.model import Finding
from chaoskit.checks.witness import many
from chaoskit.plan import Plan
from chaoskit.spec.model import Claim

__all__ = ["differences"]


@dataclass(frozen=True)
class _Pairs:
    """One claim in two variants: the findings of trials that have the same seed."""

    claim: str
    variant: str
    reference: str
    findings: tuple[tuple[Finding, Finding], ...]


def differences(plan: Plan, cells: Sequence[CellAnalysis]) -> tuple[ClaimDifference, ...]:
    """Every claim about a figure, in every variant but the first; nothing below five trials.

    Trial n of every variant has the same operations at the same times, so pairs of them differ by the variant and by
    chance. p-values are adjusted over all comparisons of the run. A pair without two known figures cannot be left out:
    what is not known is seldom the best.
    """
    experiment = plan.experiment
    if experiment.trials < FEWEST_TRIALS:
        return ()
    found = [_difference(pairs, experiment.seed) for claim in experiment.claims for pairs in _pairs(claim, plan, cells)]
    adjusted = iter(holm([one.p for one in found if one.p is not None]))
    return tuple(one if one.p is None else one.model_copy(update={"p": next(adjusted)}) for one in found)


def _pairs(claim: Claim, plan: Plan, cells: Sequence[CellAnalysis]) -> Iterator[_Pairs]:
    if claim.condition is None:
        return
    known = {(cell.variant, cell.trial): one for cell in cells for one in cell.findings if one.claim == claim.id}
    reference, *others = (variant.name for variant in plan.experiment.variants)
    trials = range(1, plan.experiment.trials + 1)
    for name in others:
        pairs = [(known.get((name, trial)), known.get((reference, trial))) for trial in trials]
        yield _Pairs(claim.id, name, reference, tuple((a, b) for a, b in pairs if a is not None and b is not None))


def _difference(pairs: _Pairs, seed: int) -> ClaimDifference:
    unit = next((one.unit for pair in pairs.findings for one in pair if one.unit), "")
    draft = ClaimDifference(
        claim=pairs.claim, variant=pairs.variant, reference=pairs.reference, unit=unit, pairs=len(pairs.findings)
    )
    unknown = sum(any(one.value is None or one.censored for one in pair) for pair in pairs.findings)
    if unknown:
        why = f"{many(unknown, 'pair')} without two figures that are known"
        return draft.model_copy(update={"why": why})
    values = [[one.value or 0.0 for one in column] for column in zip(*pairs.findings, strict=True)] or [[], []]
    found = paired(values[0], values[1], seed)
    if found is None:
        return draft.model_copy(update={"why": "no trial of both was measured"})
    return draft.model_copy(update={"mean": found.mean, "low": found.low, "high": found.high, "p": found.p})
