"""The page of `chaoskit check --html`: verdicts on histories, each anomaly with its witness as a picture.

One file that asks the network for nothing and has no script at all. Whatever stands in a history goes through the
models below, which make control and direction characters visible, and through templates that escape.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

from markupsafe import Markup

from chaoskit import __version__
from chaoskit.checks.checking import POWER_UP_TO, Checked
from chaoskit.checks.diagram import answered, asked
from chaoskit.checks.files import FileCheck
from chaoskit.checks.power import Power
from chaoskit.checks.result import Anomaly, Result
from chaoskit.checks.suggesting import contents
from chaoskit.checks.words import witness_operations
from chaoskit.data import Frozen
from chaoskit.history.operation import NONE, Outcome
from chaoskit.history.operations import Operations
from chaoskit.report.model import Fact, Moment, OpView, WitnessView
from chaoskit.report.pages import both, digest, environment, source
from chaoskit.report.svg import intervals
from chaoskit.report.text import ICONS, MISSING, RANK, Text, joined, number, plural, slug
from chaoskit.spec.model import Verdict
from chaoskit.units import format_duration, format_figure, format_share

__all__ = ["page"]

_MOST = 10  # operations in one picture
_OUTCOMES: dict[int, tuple[Literal["ok", "fail", "info"], str]] = {
    Outcome.OK: ("ok", "ok"),
    Outcome.FAIL: ("fail", "failed"),
}


class _AnomalyView(Frozen):
    """One kind of anomaly: how often, what it refutes, and why."""

    kind: Text
    count: Text
    refutes: Text
    sentence: Text
    witness: WitnessView
    lines: Text = ""


class _PowerRow(Frozen):
    """One kind of bug that was planted."""

    kind: Text
    struck: Text
    found: Text
    legal: Text
    share: Text


class _FileView(Frozen):
    """One file, in the reader's order. `asked`: model and level; `why`: reasons; `timed`: whether times are known."""

    name: Text
    anchor: str
    verdict: Verdict
    word: Text
    headline: Text
    asked: Text = ""
    why: tuple[Text, ...] = ()
    expected: Text = ""
    counts: tuple[Fact, ...] = ()
    anomalies: tuple[_AnomalyView, ...] = ()
    levels: tuple[Text, ...] = ()
    power: tuple[_PowerRow, ...] = ()
    power_notes: tuple[Text, ...] = ()
    numbers: tuple[Fact, ...] = ()
    suggestions: tuple[Fact, ...] = ()
    notes: tuple[Text, ...] = ()
    timed: bool = True


class _Page(Frozen):
    verdict: Verdict
    word: Text
    title: Text
    headline: Text
    files: tuple[_FileView, ...]
    command: Text
    version: Text


def page(found: Sequence[FileCheck], command: str) -> str:
    """One HTML page about some files, as `chaoskit check` judged them.

    Args:
        command: what to type to get the same again.
    """
    files = tuple(_file(i, one) for i, one in enumerate(found, 1))
    worst = min(files, key=lambda one: RANK[one.verdict])
    counts = {verdict: sum(one.verdict == verdict for one in files) for verdict in RANK}
    told = joined(f"{number(count)} {verdict}" for verdict, count in counts.items() if count)
    model = _Page(
        verdict=worst.verdict,
        word=worst.word,
        title=worst.name if len(files) == 1 else plural(len(files), "history", "histories"),
        headline=worst.headline if len(files) == 1 else f"Of {number(len(files))} files: {told}.",
        files=files,
        command=command,
        version=__version__,
    )
    style = source("page.css")
    return environment().get_template("check.html.j2").render(
        m=model,
        style=Markup(style),
        policy=f"default-src 'none'; style-src {digest(style)}; img-src data:; base-uri 'none'; form-action 'none'",
        icons=ICONS,
        draw=_draw,
        squeezed=intervals.squeezed,
    )  # fmt: skip


def _draw(witness: WitnessView, timed: bool) -> Markup:
    picture = partial(intervals.render, witness, timed=timed)
    return both(picture(), picture(narrow=True))


def _file(index: int, found: FileCheck) -> _FileView:
    name = "standard input" if found.file == "-" else found.file
    view = partial(_FileView, name=name, anchor=slug("file", index))
    if found.error is not None:
        why = (found.error.message, *([f"next: {found.error.hint}"] if found.error.hint else []))
        return view(verdict="inconclusive", word="not judged", headline="This file could not be judged.", why=why)
    operations = found.operations
    assert operations is not None
    if found.checked is None:
        return view(
            verdict="inconclusive",
            word="nothing was checked",
            headline=f"No model was given. {contents(operations)}.",
            suggestions=tuple(
                Fact(name=one.model, value="; ".join(one.against) or one.summary or one.why)
                for one in found.suggestions
            ),
            notes=operations.notes,
        )
    checked, result = found.checked, found.checked.result
    power, power_notes = _power(checked.power)
    if checked.power is None and result.verdict == "held" and len(checked.operations) > POWER_UP_TO:
        power_notes = (f"not looked for above {number(POWER_UP_TO)} operations; --power does",)
    return view(
        verdict=result.verdict,
        word=result.verdict,
        headline=_headline(result),
        asked=f"{result.model}, {result.level}" if result.level else result.model,
        why=result.reasons,
        expected=result.expected,
        counts=(
            Fact(name="operations", value=number(result.operations)),
            Fact(name="could have shown an anomaly", value=number(result.exposed)),
            Fact(name="from the file to the verdict", value=format_duration(found.seconds)),
            Fact(name="format", value=found.format),
        ),
        anomalies=tuple(_anomaly(index, i, checked, one) for i, one in enumerate(result.anomalies, 1)),
        levels=_levels(result),
        power=power,
        power_notes=power_notes,
        numbers=tuple(Fact(name=name, value=format_figure(value)) for name, value in result.numbers.items()),
        notes=(*operations.notes, *result.notes),
        timed=checked.operations.timed,
    )


def _headline(result: Result) -> str:
    operations = plural(result.operations, "operation")
    if result.verdict == "refuted":
        return f"{joined(f'{number(one.count)} {one.kind}' for one in result.anomalies)} in {operations}."
    if result.verdict == "inconclusive":
        return f"Nobody can say, because {result.reasons[0] if result.reasons else 'no reason was recorded'}."
    if result.exact:
        return f"Legal: some order of its {operations} explains every answer."
    return f"None of the conditions that were looked at is broken in {operations}; the notes say which they are."


def _levels(result: Result) -> tuple[str, ...]:
    said = [f"Weakest level refuted: {result.refuted}."] if result.refuted else []
    return (*said, *([f"Strongest level not refuted: {result.not_refuted}."] if result.not_refuted else []))


def _power(power: Power | None) -> tuple[tuple[_PowerRow, ...], tuple[str, ...]]:
    if power is None:
        return (), ()
    rows = [
        _PowerRow(
            kind=one.kind,
            struck=number(one.struck),
            found=number(one.found),
            legal=number(one.legal),
            share=MISSING if one.share is None else format_share(one.share),
        )
        for one in power.strikes
    ]
    return tuple(rows), power.notes


def _anomaly(file: int, index: int, checked: Checked, one: Anomaly) -> _AnomalyView:
    operations = checked.operations
    lines = sorted({int(operations.line[position]) for position in one.witness} - {NONE, 0})
    return _AnomalyView(
        kind=one.kind,
        count=f"{number(one.count)} time{'' if one.count == 1 else 's'}",
        refutes=one.level,
        sentence=one.sentence,
        witness=_witness(file, index, operations, one),
        lines=f"line{'s' * (len(lines) != 1)} {', '.join(map(str, lines))}" if lines else "",
    )


def _witness(file: int, index: int, operations: Operations, one: Anomaly) -> WitnessView:
    order = sorted(set(one.witness), key=lambda position: int(operations.invoked[position]))
    few = order[:_MOST]
    views = tuple(_operation(operations, position) for position in few)
    return WitnessView(
        label=f"W{index}",
        anchor=slug("witness", file, index),
        claim="",
        variant="",
        trial=0,
        kind=one.kind,
        sentence=one.sentence,
        operations=views,
        moments=_moments(operations, views),
        left_out=len(order) - len(few) + one.left_out,
    )


def _operation(operations: Operations, position: int) -> OpView:
    """Numbered as the file numbers it, as sentences do."""
    (op,) = witness_operations(operations, [position])
    outcome, word = _OUTCOMES.get(int(operations.outcome[position]), ("info", "nobody knows"))
    answer = answered(operations, position)
    return OpView(
        number=op.index,
        who=f"process {op.process}" + (f" → {op.node}" if op.node else ""),
        call=asked(operations, position),
        answer=word if answer is None else answer,
        outcome=outcome,
        due=op.due,
        sent=op.sent,
        end=op.end,
    )


def _moments(operations: Operations, views: Sequence[OpView]) -> tuple[Moment, ...]:
    """Faults that began or ended about the time of a witness."""
    first = min(op.due for op in views)
    last = max(op.due if op.end is None else op.end for op in views)
    margin = 0.25 * (last - first)
    known = [(mark, mark.time_ns / 1e9 if operations.timed else float(mark.rank)) for mark in operations.marks]
    near = [
        Moment(label=mark.label, at=at)
        for mark, at in known
        if first - margin <= at <= last + margin and not (operations.timed and mark.time_ns == NONE)
    ]
    return tuple(near[:_MOST])
