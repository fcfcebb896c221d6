"""Verdicts on conditions (`yield of resolve >= 99%`), each with the operations that stand against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from chaoskit.checks import acknowledged, recovery
from chaoskit.checks.limits import BASELINE_OPERATIONS, MINIMUM_OPERATIONS, WITNESS_SIZE
from chaoskit.checks.model import Finding, WindowSpan, Witness, WitnessOp
from chaoskit.checks.quantities import LATENCIES, compare, measure, said, worst
from chaoskit.checks.sample import Load, Sample
from chaoskit.checks.sides import Sides
from chaoskit.checks.witness import at, many, operation, operations, told
from chaoskit.history.frame import History
from chaoskit.history.windows import Disturbance, Span
from chaoskit.spec.model import Claim, Condition, Verdict, Window
from chaoskit.units import format_count, format_duration

__all__ = ["Evidence", "expectation", "judge", "window_span"]


@dataclass(frozen=True)
class Evidence:
    """All that a condition may be judged by.

    Attributes:
        load: the whole load; accusations are marked in it.
        spans: windows by (kind, id), see `chaoskit.history.windows`.
        checked: whether any invariant was checked: without one nothing is known to be correct.
        sides: injection -> side -> nodes that stood on it, clients included: where a partition was observed to be.
        disturbances: everything that the windows belong to.
    """

    history: History
    load: Load
    spans: Mapping[tuple[str, str | None], Span]
    checked: bool = False
    sides: Sides = field(default_factory=dict)
    disturbances: tuple[Disturbance, ...] = ()

    def standing(self, side: str, window: Window) -> tuple[str, ...]:
        """Sources of operations that stood on a side of the window's partition, or the client of that name."""
        nodes = self.sides.get(window.of or "", {}).get(side, (side, f"client@{side}"))
        return tuple(name for name in self.history.nodes if name in nodes)

    def span(self, window: Window) -> Span | None:
        """The observed window; None when what it belongs to was never observed."""
        return self.spans.get((window.kind, None if window.kind in ("before", "whole") else window.of))


def window_span(span: Span, origin_ns: int) -> WindowSpan:
    """A window as data, seconds from t=0."""
    return WindowSpan(name=span.name, start=(span.start_ns - origin_ns) / 1e9, end=(span.end_ns - origin_ns) / 1e9)


def expectation(condition: Condition) -> str:
    """A condition as people read it: "yield of resolve >= 99 %"."""
    words = [condition.quantity, *(["of", condition.cls] if condition.cls else [])]
    words += ["at", condition.side] if condition.side else []
    # A limit is a round number: "99 %", where a figure that was measured would be "99.0 %".
    words += [condition.comparison, said(condition.value, condition.unit).replace(".0 %", " %")]
    return " ".join(words + (["for", format_duration(condition.sustain)] if condition.sustain else []))


def judge(claim: Claim, evidence: Evidence) -> Finding:
    """Held, refuted or inconclusive, from the operations of the claim's window. Pure.

    Raises:
        ValueError: the claim has no condition (our bug).
    """
    condition = claim.condition
    if condition is None:
        raise ValueError(f"claim {claim.id} has no condition")
    span = evidence.span(claim.window)
    expected = expectation(condition)
    unit = condition.unit
    if span is None:
        why = f"there is no window “{claim.window.kind} {claim.window.of}”: its beginning was not observed"
        return Finding(claim=claim.id, verdict="inconclusive", expected=expected, observed="nothing", reasons=(why,))
    window = window_span(span, evidence.history.origin_ns)
    draft = Finding(
        claim=claim.id,
        verdict="inconclusive",
        expected=expected,
        observed="nothing",
        limit=condition.value,
        unit=unit,
        window=window,
    )
    load, why = _chosen(condition, claim.window, evidence)
    if why:
        return draft.model_copy(update={"reasons": (why,)})
    if condition.quantity in ("recovery", "detection"):
        return _timed(draft, condition, evidence, load, span)
    if condition.quantity == "loss":
        return _loss(draft, condition, evidence, load, span)
    if condition.quantity == "correct" and not evidence.checked:
        why = "no invariant was checked, so nobody knows which answers were wrong"
        return draft.model_copy(update={"reasons": (why,)})
    if condition.sustain:
        return _sustained(draft, condition, evidence, load, span)
    return _plain(draft, condition, evidence, load.within(span))


def _chosen(condition: Condition, window: Window, evidence: Evidence) -> tuple[Load, str]:
    """The operations that the condition speaks of, and why there are none."""
    load, history = evidence.load, evidence.history
    if condition.side is not None:
        sources = [history.nodes.index(name) for name in evidence.standing(condition.side, window)]
        load = load.where(np.isin(load.source, sources))
        if not len(load):
            return load, f"no client of the run stood at “{condition.side}”"
    if condition.cls is not None:
        load = load.of_class(history.class_id(condition.cls))
    return load, ""


def _plain(draft: Finding, condition: Condition, evidence: Evidence, sample: Sample) -> Finding:
    found = measure(condition.quantity, sample)
    infinite = bool(np.isinf(found.value))
    # What was never answered took at least its budget: a number that a figure can be drawn from.
    value = sample.span.budget_ns / 1e9 if infinite else found.value
    observed = f"more than {said(value, draft.unit)}" if infinite else said(value, draft.unit)
    counted = many(found.operations, "operation")
    observed += f" of {counted}" if draft.unit == "share" else f" over {counted}"
    observed += f" ({found.beside})" if found.beside else ""
    update = {"observed": observed, "operations": found.operations}
    if found.operations < found.needed:
        return draft.model_copy(update={**update, "reasons": (_too_few(condition, found.operations, found.needed),)})
    verdict: Verdict = "held" if compare(found.value, condition.comparison, condition.value) else "refuted"
    witness = _witness(condition, evidence, sample) if verdict == "refuted" else None
    return draft.model_copy(
        update={**update, "value": value, "censored": infinite, "verdict": verdict, "witness": witness}
    )


def _too_few(condition: Condition, operations: int, needed: int) -> str:
    of = f" of {condition.cls}" if condition.cls else ""
    kind = "answered or awaited operations" if condition.quantity in LATENCIES else "operations"
    return (
        f"only {format_count(operations)} {kind}{of} lie in this window with their whole budget: "
        f"{condition.quantity} needs at least {format_count(needed)} (raise the rate, the weight of the class or the "
        f"length of the window)"
    )


def _witness(condition: Condition, evidence: Evidence, sample: Sample) -> Witness | None:
    """The worst operations that stand against the condition; None where no operation does (a rate)."""
    against = worst(condition, sample)
    if not len(against):
        return None
    ops = operations(evidence.history, sample.load.position[against[:WITNESS_SIZE]])
    first = operation(evidence.history, int(sample.load.position[against[0]]))
    more = len(against) - 1
    sentence = told(first)
    if more:
        sentence += f"; {format_count(more)} more of {format_count(sample.intended)} like it"
    if sample.silent[against[0]]:
        kind = "unanswered"
    else:
        kind = "slow" if condition.quantity in LATENCIES or sample.late[against[0]] else "refused"
        kind = kind if sample.refused[against[0]] or kind == "slow" else "answered"
    return Witness(kind=kind, sentence=sentence, operations=ops)


def _timed(draft: Finding, condition: Condition, evidence: Evidence, load: Load, span: Span) -> Finding:
    before = evidence.spans[("before", None)]
    calm = load.within(before).intended
    if calm < BASELINE_OPERATIONS:
        why = f"only {many(calm, 'operation')} before the fault: at least {BASELINE_OPERATIONS} are needed"
        return draft.model_copy(update={"reasons": (why,)})
    timing = (recovery.recovery if condition.quantity == "recovery" else recovery.detection)(load, before, span)
    count = load.within(span).intended
    update: dict[str, object] = {"operations": count}
    if timing.seconds is None:
        return draft.model_copy(update={**update, "observed": "not measured", "reasons": (timing.why,)})
    text = said(timing.seconds, "seconds")
    update |= {"value": timing.seconds, "censored": timing.censored}
    update["observed"] = f"at least {text}: not back by the end of the window" if timing.censored else text
    met = compare(timing.seconds, condition.comparison, condition.value)
    # A censored time can only grow: it refutes an upper limit that it has passed, and nothing else is known.
    upper = condition.comparison in ("<=", "<")
    if timing.censored and (met if upper else not met):
        why = f"it was watched for {text} only, and the limit is {said(condition.value, 'seconds')}"
        return draft.model_copy(update={**update, "reasons": (why,)})
    witness = None
    if not met and timing.culprit is not None:
        op = operation(evidence.history, int(load.position[timing.culprit]))
        witness = Witness(kind=_kind(op), sentence=told(op), operations=(op,))
    return draft.model_copy(update={**update, "verdict": "held" if met else "refuted", "witness": witness})


def _kind(op: WitnessOp) -> str:
    if op.end is None or op.error in ("timeout", "connect-timeout"):
        return "unanswered"
    return "refused" if op.error else "slow"


def _loss(draft: Finding, condition: Condition, evidence: Evidence, load: Load, span: Span) -> Finding:
    """Share of acknowledged writes of the window that the final reads do not find, between what is known to be gone
    and what may be. The writes are those of `load`; the final reads are everybody's.
    """
    history = evidence.history
    fate = acknowledged.fates(history)
    inside = (fate.end >= span.start_ns) & (fate.end <= span.end_ns)
    if condition.cls is not None or condition.side is not None:
        inside &= np.isin(fate.write, load.position)
    total = int(np.count_nonzero(inside))
    gone, unknown = np.count_nonzero(fate.gone & inside), np.count_nonzero(fate.unknown & inside)
    if total < MINIMUM_OPERATIONS:
        why = f"only {many(total, 'acknowledged write')} in this window: at least {MINIMUM_OPERATIONS} are needed"
        return draft.model_copy(update={"operations": total, "reasons": (why,)})
    least, most = float(gone) / total, float(gone + unknown) / total
    observed = f"{said(least, 'share')} of {many(total, 'acknowledged write')}"
    update: dict[str, object] = {"operations": total, "value": least, "observed": observed, "censored": bool(unknown)}
    verdicts = {compare(share, condition.comparison, condition.value) for share in (least, most)}
    if len(verdicts) > 1:
        why = f"nobody knows what became of {format_count(int(unknown))} of them: their final reads were not answered"
        return draft.model_copy(update={**update, "reasons": (why,)})
    held = verdicts.pop()
    witness = None
    if not held and gone:
        place = int(np.flatnonzero(fate.gone & inside)[0])
        ops = operations(history, (int(fate.write[place]), int(fate.read[place])))
        sentence = f"{ops[0].key} was acknowledged at {at(ops[0].end)} and was gone at {at(ops[-1].end)}"
        witness = Witness(kind="lost", sentence=sentence, operations=ops)
    return draft.model_copy(update={**update, "verdict": "held" if held else "refuted", "witness": witness})


def _sustained(draft: Finding, condition: Condition, evidence: Evidence, load: Load, span: Span) -> Finding:
    """`for DURATION`: the longest stretch of consecutive bins in each of which the condition is met."""
    sample = load.within(span)
    whole = measure(condition.quantity, sample)
    update: dict[str, object] = {"operations": whole.operations, "limit": condition.sustain, "unit": "seconds"}
    if whole.operations < whole.needed:
        why = _too_few(condition, whole.operations, whole.needed)
        return draft.model_copy(update={**update, "reasons": (why,)})
    width = recovery.bin_width(load, span)
    longest = run = 0
    for one in recovery.bins(load, span, width):
        found = measure(condition.quantity, one.sample)
        run = run + 1 if found.operations and compare(found.value, condition.comparison, condition.value) else 0
        longest = max(longest, run)
    stretch = longest * width
    held = stretch >= (condition.sustain or 0.0)
    observed = f"so for {said(stretch, 'seconds')} at a stretch, {said(whole.value, condition.unit)} over the window"
    witness = None if held else _witness(condition, evidence, sample)
    update |= {"value": stretch, "observed": observed, "verdict": "held" if held else "refuted", "witness": witness}
    return draft.model_copy(update=update)
