"""Figures that people quote, as tables: how stale answers were, and how variants differ trial by trial."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from chaoskit.analysis.model import Analysis, ClaimDifference
from chaoskit.analysis.statistics import FEWEST_PAIRS, wilson
from chaoskit.checks.model import Finding, StaleAnswers
from chaoskit.checks.stale_answers import VISIBLE_MS
from chaoskit.plan import Plan
from chaoskit.report.model import RawTable
from chaoskit.report.text import MISSING, RANK, duration, number, plural, share
from chaoskit.units import format_duration, format_rate

__all__ = ["difference_table", "stale_tables"]

_SHOWN = " · ".join(format_duration(one / 1e3) for one in VISIBLE_MS)
_STALE_COLUMNS = ("variant", "window", "where", "answers", "stale", "age", "versions", f"{_SHOWN} before")
_STALE_NOTE = (
    "What can be proven: ages count from when something newer was known to be there (its write had returned, or "
    "somebody had been shown it), so they are at least so long, and versions at least so many: p50 · p99 · maximum "
    "over all answers, nearest rank. Last, the shares of answers that show what was known so long before they began, "
    "at most. The interval beside the share of stale ones is Wilson's, of 95 %, and a hint only: operations of one "
    "trial share its luck."
)


def stale_tables(analysis: Analysis, plan: Plan) -> tuple[RawTable, ...]:
    """One table per claim about registers; of each variant the first trial with the worst verdict."""
    found: list[RawTable] = []
    for claim in plan.experiment.claims:
        summaries = [one for one in analysis.claims if one.claim == claim.id]
        rows, trials = [], 0
        for summary in summaries:
            worst = min(summary.findings, key=lambda finding: RANK[finding.verdict], default=None)
            trials = max(trials, len(summary.findings))
            rows += [(summary.variant, *row) for row in _stale_rows(worst)] if worst is not None else []
        if rows:
            which = " Of each variant the first trial with the worst verdict." if trials > 1 else ""
            found.append(
                RawTable(
                    title=f"{claim.id}: how stale answers were, at least",
                    columns=_STALE_COLUMNS,
                    rows=tuple(rows),
                    numeric=(False, False, False, *(True,) * 5),
                    note="" if found else _STALE_NOTE + which,  # once is enough
                )
            )
    return tuple(found)


def _stale_rows(finding: Finding) -> Iterator[tuple[str, ...]]:
    """Where nothing was stale anywhere, one row says so."""
    rows = finding.stale
    if rows and not any(one.stale for one in rows):
        rows = rows[:1]
    for one in rows:
        yield (
            one.window,
            _where(one),
            number(one.answers),
            _stale(one),
            _joined(map(duration, one.age)),
            _joined(MISSING if value is None else number(value) for value in one.versions),
            _joined(map(share, one.visible)),
        )


def _where(one: StaleAnswers) -> str:
    if one.side is not None:
        return f"at {one.side}"
    return "everywhere" if one.node is None else f"asked {one.node}"


def _stale(one: StaleAnswers) -> str:
    """ "81 = 30.8 % (25.5 % to 36.6 %)"."""
    if not one.answers:
        return MISSING
    low, high = wilson(one.stale, one.answers)
    found = f"{number(one.stale)} = {share(one.stale / one.answers)}" if one.stale else "0"
    return f"{found} ({share(low)} to {share(high)})"


def _joined(values: Iterable[str]) -> str:
    found = list(values)
    return " · ".join(found) if set(found) - {MISSING} else MISSING


def difference_table(analysis: Analysis) -> RawTable | None:
    """Variants compared trial by trial; None where there are too few trials, or nothing to compare."""
    if not analysis.differences:
        return None
    rows = tuple(
        (
            one.claim,
            f"{one.variant} less {one.reference}",
            number(one.pairs),
            MISSING if one.mean is None else _signed(one.mean, one.unit),
            _interval(one),
            MISSING if one.p is None else "< 0.001" if one.p < 0.001 else f"{one.p:.3f}",
        )
        for one in analysis.differences
    )
    return RawTable(
        title="Variants compared trial by trial",
        columns=("claim", "difference", "pairs", "mean", "95 % interval", "p"),
        rows=rows,
        numeric=(False, False, True, True, True, True),
        note="Trial n of every variant has the same operations at the same times. Interval: bootstrap over the pairs. "
        "p: how often signs drawn at random give a mean as far from zero, after Holm for all comparisons of this run; "
        f"from {plural(FEWEST_PAIRS, 'pair')} on.",
    )


def _interval(one: ClaimDifference) -> str:
    if one.low is None or one.high is None:
        return one.why or MISSING
    return f"{_signed(one.low, one.unit)} to {_signed(one.high, one.unit)}"


def _signed(value: float, unit: str) -> str:
    """A difference with its sign; of shares in percentage points."""
    sign, size = "+" if value > 0 else "−" if value < 0 else "±", abs(value)
    if unit == "share":
        return f"{sign}{size * 100:.2f} points"
    if unit == "per-second":
        return f"{sign}{format_rate(size)}"
    return f"{sign}{format_duration(size) if unit == 'seconds' else f'{size:g}'}"
