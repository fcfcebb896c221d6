"""The smallest sets of operations behind the verdicts, in words and as data of an interval diagram."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from chaoskit.analysis.model import Analysis, CellAnalysis
from chaoskit.checks.model import Finding, WitnessOp
from chaoskit.plan import Plan
from chaoskit.report.model import Moment, OpView, WitnessView
from chaoskit.report.text import LATENCIES, slug
from chaoskit.spec.model import Claim

__all__ = ["witnesses"]

_MOST = 12  # witnesses in one report
_MOST_OPERATIONS = 10  # operations in one diagram


def witnesses(analysis: Analysis, plan: Plan) -> tuple[tuple[WitnessView, ...], int]:
    """One witness per claim and variant, refuted claims first; and how many there was no room for."""
    found: dict[tuple[str, str], tuple[CellAnalysis, Finding]] = {}
    for cell in sorted(analysis.cells, key=lambda cell: cell.trial):
        for finding in cell.findings:
            if finding.witness is not None and finding.witness.operations:
                found.setdefault((finding.claim, cell.variant), (cell, finding))
    claims = {claim.id: claim for claim in plan.experiment.claims}
    ordered = sorted(found.values(), key=lambda pair: pair[1].verdict != "refuted")
    views = tuple(
        _view(i, cell, finding, claims.get(finding.claim)) for i, (cell, finding) in enumerate(ordered[:_MOST], 1)
    )
    return views, len(ordered) - len(views)


def _view(index: int, cell: CellAnalysis, finding: Finding, claim: Claim | None) -> WitnessView:
    witness = finding.witness
    assert witness is not None
    operations = sorted(witness.operations, key=lambda op: op.due)[:_MOST_OPERATIONS]
    # Only a limit of the latency itself can be drawn at an operation; a recovery time is no operation's.
    condition = claim.condition if claim else None
    limit = condition.value if condition is not None and condition.quantity in LATENCIES else None
    # A model's sentences name operations as the history does; others do not name them.
    by_index = claim is not None and claim.consistency is not None
    return WitnessView(
        label=f"W{index}",
        anchor=slug("witness", index),
        claim=finding.claim,
        variant=cell.variant,
        trial=cell.trial,
        kind=witness.kind,
        sentence=witness.sentence,
        operations=tuple(_operation(op.index if by_index else i, op) for i, op in enumerate(operations, 1)),
        moments=tuple(_moments(cell, operations)),
        limit=limit,
        left_out=len(witness.operations) - len(operations),
    )


def _operation(index: int, op: WitnessOp) -> OpView:
    known: dict[str, Literal["ok", "fail"]] = {"ok": "ok", "fail": "fail"}
    outcome: Literal["ok", "fail", "info"] = known.get(op.outcome, "info")
    call = " ".join(filter(None, (op.f or op.cls, op.key)))
    if op.value is not None:
        call += f" := {op.value}"
    who = f"client {op.process}" if op.source in ("", "client") else f"{op.source} {op.process}"
    return OpView(
        number=index,
        who=f"{who} → {op.node}" if op.node else who,
        call=call,
        answer=_answer(op, outcome),
        outcome=outcome,
        due=op.due,
        sent=op.sent,
        end=op.end,
        error=op.error or "",
    )


def _answer(op: WitnessOp, outcome: str) -> str:
    status = f" {op.status}" if op.status is not None and op.status >= 0 else ""
    why = f" ({op.error})" if op.error else ""
    if outcome == "fail":
        return f"fail{status}{why}"
    if outcome == "info":
        return f"outcome unknown{status}{why}"
    if op.result is not None:
        return f"ok{status}, read {op.result}"
    return f"ok{status}" if op.value is not None else f"ok{status}, nothing there"


def _moments(cell: CellAnalysis, operations: list[WitnessOp]) -> Iterator[Moment]:
    """Begins and heals of faults between the first and the last operation of the witness."""
    if not operations:
        return
    first = min(op.due for op in operations)
    last = max(op.end if op.end is not None else op.due for op in operations)
    margin = 0.25 * (last - first) + 1.0
    for fault in cell.faults:
        for what, at in (("begins", fault.start), ("healed", fault.end)):
            if at is not None and first - margin <= at <= last + margin:
                yield Moment(label=f"{fault.id} {what}", at=at)
