"""Markdown for decision records, pull requests and job summaries: verdict, claims, witnesses, what was tested, limits.

Far below the 1,024 KB at which GitHub drops a job summary: no window tables, no logs, no pictures.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from chaoskit.report.model import ClaimRow, Fact, PartitionView, RawTable, ReportModel, WitnessView
from chaoskit.report.text import ICONS

__all__ = ["render"]

_SPECIAL = re.compile(r"([\\`*_{}\[\]#+!|~$])")
_MOST_CHARACTERS = 600  # of one foreign text


def render(model: ReportModel) -> str:
    """The whole document."""
    return "\n".join(_lines(model)).rstrip() + "\n"


def _text(text: str) -> str:
    """A foreign text as Markdown shows it letter by letter: no markup, no HTML, no line of its own."""
    if len(text) > _MOST_CHARACTERS:
        text = text[:_MOST_CHARACTERS] + " …"
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # A bare address would become a link.
    return _SPECIAL.sub(r"\\\1", text).replace("://", ":&#47;&#47;").replace("www.", "www&#46;")


def _lines(model: ReportModel) -> Iterator[str]:
    yield f"# {ICONS[model.verdict]} {model.verdict.capitalize()}: {_text(model.name)}"
    yield ""
    if model.question:
        yield f"*{_text(model.question)}*"
        yield ""
    yield f"**{_text(model.headline)}**"
    yield ""
    yield " · ".join(f"{fact.value} {fact.name}" for fact in model.counts) + (
        f" · {_text(model.expectation)}" if model.expectation else ""
    )
    yield ""
    if model.interrupted:
        yield f"> {_text(model.interrupted)}"
        yield ""
    for sentence in model.sentences:
        note = f", {_text(sentence.note)}" if sentence.note else ""
        yield (
            f"- {ICONS[sentence.verdict]} **{_text(sentence.claim)}** in {_text(sentence.variant)}, "
            f"{sentence.verdict}{note}: {_text(sentence.text)}"
        )
    yield ""
    yield "## Claims"
    yield ""
    yield from _claims(model.claims, model.variants)
    if model.summaries:
        yield "## Variants side by side"
        yield ""
        yield from _summaries(model)
    if model.differences is not None:
        yield from _titled(model.differences)
    for table in model.staleness:
        yield from _titled(table)
    yield "## Witnesses"
    yield ""
    if model.witness_note:
        yield _text(model.witness_note)
        yield ""
    for witness in model.witnesses:
        yield from _witness(witness)
    yield from _tested(model)
    yield "## Limits of this run"
    yield ""
    yield "A run can show that a claim is wrong; it cannot prove that one is right."
    yield ""
    yield from (f"- {_text(limit)}" for limit in model.limits)
    yield from (f"- Kept from saying more: {_text(problem)}" for problem in model.harness_problems)
    yield ""
    yield from _details("How well the harness did", _table(model.harness))
    yield from _reproduce(model)


def _claims(claims: Iterable[ClaimRow], variants: Iterable[str]) -> Iterator[str]:
    names = [_text(name) for name in variants]
    yield "| claim | expected | " + " | ".join(f"{name}: observed | {name}: verdict" for name in names) + " |"
    yield "|---|---|" + "--:|---|" * len(names)
    for row in claims:
        cells = [
            f"{_text(cell.observed)}{f' ({_text(cell.margin)})' if cell.margin else ''} | "
            f"{ICONS[cell.verdict]} {cell.verdict}{f' ({_text(cell.note)})' if cell.note else ''}: {_text(cell.detail)}"
            for cell in row.cells
        ]
        yield f"| {_text(row.id)} | {_text(row.expected)}, {_text(row.window)} | {' | '.join(cells)} |"
    yield ""


def _summaries(model: ReportModel) -> Iterator[str]:
    phases = [_text(phase) for phase in model.phases]
    head = [f"yield {phase}" for phase in phases] + [f"p99 {phase}" for phase in phases]
    yield "| variant | " + " | ".join(head) + " | acknowledged work lost |"
    yield "|---|" + "--:|" * (len(head) + 1)
    for one in model.summaries:
        values = [phase.yield_text for phase in one.phases] + [phase.p99_text for phase in one.phases]
        yield f"| {_text(one.variant)} | {' | '.join(values)} | {one.loss} |"
    yield ""
    yield _text(model.summary_note)
    yield ""


def _witness(witness: WitnessView) -> Iterator[str]:
    yield f"**{witness.label}, {_text(witness.claim)} in {_text(witness.variant)}**: {_text(witness.sentence)}"
    yield ""
    yield "| # | who | asked | answer | sent | answered |"
    yield "|--:|---|---|---|--:|--:|"
    for op in witness.operations:
        sent = f"{op.sent:.4f} s" if op.sent is not None else "never"
        end = f"{op.end:.4f} s" if op.end is not None else "never"
        yield f"| {op.number} | {_text(op.who)} | {_text(op.call)} | {_text(op.answer)} | {sent} | {end} |"
    yield ""


def _tested(model: ReportModel) -> Iterator[str]:
    yield "## What was tested"
    yield ""
    yield _text(model.topology.description)
    yield ""
    if model.faults:
        yield "| fault | variant | intended | observed | evidence |"
        yield "|---|---|--:|--:|---|"
    for fault in model.faults:
        evidence = _text("; ".join((fault.seen_text, *fault.evidence, *fault.notes)))
        what = f"{fault.number}. {_text(fault.id)}: {_text(fault.what)}"
        yield f"| {what} | {_text(fault.variant)} | {fault.planned} | {fault.observed} | {evidence} |"
    yield ""
    for one in model.partitions:
        yield from _partition(one)
    yield from _facts(model.workload)
    yield from _facts(Fact(name=f"variant {fact.name}", value=fact.value) for fact in model.variant_env)
    yield ""


def _partition(one: PartitionView) -> Iterator[str]:
    """Who was heard by whom: a row per sender, a column per hearer."""
    variants = _text(", ".join(one.variants))
    yield f"**{one.number}. {_text(one.id)} ({variants})**: {_text(one.what)}. What each row sent to each column:"
    yield ""
    yield "| | " + " | ".join(_text(name) for name in one.nodes) + " |"
    yield "|---|" + ":-:|" * len(one.nodes)
    for name, cells in zip(one.nodes, one.cells, strict=True):
        yield f"| {_text(name)} | " + " | ".join(cell or "–" for cell in cells) + " |"
    yield ""
    yield from _facts(Fact(name=f"side {fact.name}", value=fact.value) for fact in one.sides)
    yield ""


def _reproduce(model: ReportModel) -> Iterator[str]:
    again = model.reproduce
    yield "## Reproduce"
    yield ""
    # Indented code cannot be ended by anything in it, as a fence could.
    yield "    " + " ".join(again.command.split("\n"))
    yield ""
    yield from _facts(
        (
            Fact(name="seed", value=str(again.seed)),
            Fact(name="experiment", value=again.experiment_file),
            Fact(name="its SHA-256", value=again.experiment_sha256),
            Fact(name="run", value=f"{model.run}, started {model.started}, chaoskit {model.chaoskit_version}"),
        )
    )
    yield ""
    if model.environment:
        yield from _details("The environment", _facts(model.environment))


def _facts(facts: Iterable[Fact]) -> Iterator[str]:
    return (f"- {_text(fact.name)}: {_text(fact.value)}" for fact in facts)


def _table(table: RawTable) -> Iterator[str]:
    yield "| " + " | ".join(_text(name) for name in table.columns) + " |"
    yield "|" + "|".join("--:" if numeric else "---" for numeric in table.numeric) + "|"
    for row in table.rows:
        yield "| " + " | ".join(_text(value) for value in row) + " |"


def _titled(table: RawTable) -> Iterator[str]:
    yield f"### {_text(table.title)}"
    yield ""
    yield from _table(table)
    yield ""
    if table.note:
        yield _text(table.note)
        yield ""


def _details(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield f"<details><summary>{title}</summary>"
    yield ""
    yield from lines
    yield ""
    yield "</details>"
    yield ""
