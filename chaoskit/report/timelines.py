"""One timeline per variant: which trial, which class, which limits, and the figure in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from chaoskit.analysis.model import Analysis, CellAnalysis, Series
from chaoskit.plan import Plan
from chaoskit.report.model import Band, Bracket, LimitLine, Mark, Timeline, WitnessView, YieldLine
from chaoskit.report.series import LONGEST, coarser, group
from chaoskit.report.text import LATENCIES, RANK, duration, finite, joined, number, share, slug
from chaoskit.spec.model import Arrivals, Claim, Condition
from chaoskit.units import format_rate

__all__ = ["comparison", "shown_cell", "timelines"]

_SIGNS = {">=": "≥", "<=": "≤", "==": "=", ">": ">", "<": "<"}


def comparison(condition: Condition) -> str:
    """`p99 ≤ 100 ms`, or `p99 at majority ≤ 100 ms`, without the class."""
    texts = {"share": _percent, "seconds": duration, "per-second": format_rate, "count": _count}
    side = f" at {condition.side}" if condition.side else ""
    return f"{condition.quantity}{side} {_SIGNS[condition.comparison]} {texts[condition.unit](condition.value)}"


def _percent(value: float) -> str:
    return f"{value * 100:g} %"


def _count(value: float) -> str:
    return number(round(value))


def shown_cell(analysis: Analysis, variant: str) -> CellAnalysis | None:
    """The trial of a variant that is drawn: the first with the worst verdict."""
    cells = sorted((cell for cell in analysis.cells if cell.variant == variant), key=lambda cell: cell.trial)
    return min(cells, key=lambda cell: min((RANK[f.verdict] for f in cell.findings), default=3), default=None)


def timelines(analysis: Analysis, plan: Plan, witnesses: Iterable[WitnessView]) -> tuple[Timeline, ...]:
    """All timelines, in the order of the experiment's variants."""
    claims = {claim.id: claim for claim in plan.experiment.claims}
    found = []
    for variant in plan.experiment.variants:
        cell = shown_cell(analysis, variant.name)
        if cell is None or not cell.series or not cell.series[0].intended:
            continue
        trials = sum(other.variant == variant.name for other in analysis.cells)
        own = [w for w in witnesses if w.variant == variant.name and w.trial == cell.trial]
        found.append(_timeline(analysis, cell, claims, own, trials, _surge(plan.experiment.traffic.arrivals)))
    return tuple(found)


def _timeline(
    analysis: Analysis,
    cell: CellAnalysis,
    claims: Mapping[str, Claim],
    witnesses: Sequence[WitnessView],
    trials: int,
    surge: tuple[Band, ...],
) -> Timeline:
    size = group(len(cell.series[0].intended), LONGEST)
    series = {one.cls: coarser(one, size) for one in cell.series}
    every = series.get("*") or _together(list(series.values()))
    cls = _latency_class(cell, claims, series)
    shown = series.get(cls, every)
    verdicts = [claim.verdict for claim in analysis.claims if claim.variant == cell.variant]
    note = "" if trials == 1 else f"trial {cell.trial} of {trials}: the first with the worst verdict"
    end = every.start + every.step * len(every.intended)
    return Timeline(
        variant=cell.variant,
        anchor=slug("timeline", cell.variant),
        verdict=min(verdicts, key=lambda verdict: RANK[verdict], default="inconclusive"),
        note=note,
        description=_words(cell),
        start=every.start,
        step=every.step,
        ok=_rates(every.yes, every.step),
        late=_rates(
            [
                max(0, n - y - f - i)
                for n, y, f, i in zip(every.intended, every.yes, every.fail, every.info, strict=True)
            ],
            every.step,
        ),
        fail=_rates(every.fail, every.step),
        info=_rates(every.info, every.step),
        latency_class=cls,
        p50=tuple(finite(value) for value in shown.p50),
        p95=tuple(finite(value) for value in shown.p95),
        p99=tuple(finite(value) for value in shown.p99),
        yields=_yields(cell, claims, series, every, end),
        limits=tuple(
            line
            for claim in claims.values()
            if claim.condition and claim.condition.quantity in LATENCIES and (claim.condition.cls or "*") == cls
            for line in _limit(cell, claim, end)
        ),
        bands=(*_bands(cell), *surge),
        marks=tuple(
            Mark(label=w.label, anchor=w.anchor, times=tuple(sorted(op.due for op in w.operations))) for w in witnesses
        ),
        brackets=_brackets(cell, claims),
        worst=size > 1,
    )


def _rates(counts: Iterable[int], step: float) -> tuple[float, ...]:
    return tuple(round(count / step, 3) for count in counts)


def _together(series: Sequence[Series]) -> Series:
    """All classes added up; their quantiles cannot be, so there are none."""
    nothing = (None,) * len(series[0].intended)
    counts = {
        name: tuple(map(sum, zip(*(getattr(one, name) for one in series), strict=True)))
        for name in ("intended", "yes", "fail", "info")
    }
    return series[0].model_copy(update={"cls": "*", **counts, "p50": nothing, "p95": nothing, "p99": nothing})


def _latency_class(cell: CellAnalysis, claims: Mapping[str, Claim], series: Mapping[str, Series]) -> str:
    """The one class that latency claims are about; else all together; else the busiest."""
    named = {
        claim.condition.cls or "*"
        for claim in claims.values()
        if claim.condition and claim.condition.quantity in LATENCIES
    }
    if len(named) == 1 and (only := next(iter(named))) in series:
        return only
    return "*" if "*" in series else max(series, key=lambda cls: sum(series[cls].intended))


def _limit(cell: CellAnalysis, claim: Claim, end: float) -> Iterable[LimitLine]:
    finding = next((finding for finding in cell.findings if finding.claim == claim.id), None)
    if claim.condition is None or finding is None or finite(claim.condition.value) is None:
        return
    window = finding.window
    yield LimitLine(
        label=comparison(claim.condition),
        value=claim.condition.value,
        start=window.start if window else 0.0,
        end=min(window.end, end) if window else end,
        verdict=finding.verdict,
    )


def _yields(
    cell: CellAnalysis, claims: Mapping[str, Claim], series: Mapping[str, Series], every: Series, end: float
) -> tuple[YieldLine, ...]:
    """A line for every class that a claim about yield names."""
    about: dict[str, list[LimitLine]] = {}
    for claim in claims.values():
        if claim.condition is not None and claim.condition.quantity in ("yield", "correct"):
            about.setdefault(claim.condition.cls or "*", []).extend(_limit(cell, claim, end))
    return tuple(
        YieldLine(
            cls=cls,
            values=tuple(
                round(yes / due, 5) if due else None for yes, due in zip(found.yes, found.intended, strict=True)
            ),
            limits=tuple(limits),
        )
        for cls, limits in about.items()
        if (found := every if cls == "*" else series.get(cls)) is not None
    )


def _bands(cell: CellAnalysis) -> tuple[Band, ...]:
    return tuple(
        Band(
            label=f"{fault.id} ({fault.fault})" if fault.start is not None else f"{fault.id} (never began)",
            start=fault.start if fault.start is not None else fault.planned_start,
            end=fault.end if fault.start is not None else fault.planned_end,
            planned_start=fault.planned_start,
            planned_end=fault.planned_end,
            began=fault.start is not None,
            instant=fault.planned_end is None,
        )
        for fault in cell.faults
    )


def _surge(arrivals: Arrivals) -> tuple[Band, ...]:
    """A spike or a ramp of the load, which comes when it is planned."""
    if arrivals.shape == "constant" or arrivals.at is None or arrivals.peak is None:
        return ()
    end = None if arrivals.over is None or arrivals.shape == "ramp" else arrivals.at + arrivals.over
    label = f"{arrivals.id or arrivals.shape} (load to {format_rate(arrivals.peak)})"
    return (Band(label=label, start=arrivals.at, end=end, planned_start=arrivals.at, planned_end=end, began=True),)


def _brackets(cell: CellAnalysis, claims: Mapping[str, Claim]) -> tuple[Bracket, ...]:
    """How long recovery or detection took, from the beginning of its window."""
    found = []
    for finding in cell.findings:
        claim = claims.get(finding.claim)
        if claim is None or claim.condition is None or finding.value is None or finding.window is None:
            continue
        quantity = claim.condition.quantity
        if quantity in ("recovery", "detection") and 0 < finding.value < 1e6:
            start = finding.window.start
            label = f"{quantity} {duration(finding.value)}"
            found.append(Bracket(label=label, start=start, end=start + finding.value))
    return tuple(found)


def _words(cell: CellAnalysis) -> str:
    """The timeline in words, window by window."""
    parts = [
        f"{stats.window.name} ({stats.window.start:.1f} to {stats.window.end:.1f} s): {number(stats.intended)}"
        f" operations, {share(stats.yield_)} answered yes, p99 {duration(stats.response.p99)}"
        for stats in cell.stats
        if stats.cls == "*" and not stats.window.name.startswith("steady")
    ]
    faults = joined(fault.id for fault in cell.faults if fault.start is not None)
    head = f"{cell.variant}, {number(cell.operations)} operations" + (f", faults: {faults}" if faults else "")
    return head + ". " + "; ".join(parts) + ("." if parts else "")
