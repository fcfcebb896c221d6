"""How `chaoskit check` reads on a terminal: verdict first, then one sentence and one picture for each anomaly."""

from __future__ import annotations

import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from chaoskit.checks.checking import POWER_UP_TO, Checked
from chaoskit.checks.diagram import draw, harmless
from chaoskit.checks.files import FileCheck
from chaoskit.checks.levels import OBJECTS, TRANSACTIONS, implied
from chaoskit.checks.result import Anomaly, Result
from chaoskit.checks.suggesting import contents
from chaoskit.cli.output import MARKS, paint
from chaoskit.units import format_count, format_duration, format_figure

__all__ = ["can_draw", "file_text", "plain_text"]

_ASCII = str.maketrans({"→": "->", "…": "...", "✓": "+", "✕": "x", "×": "x", "µ": "u", "“": '"', "”": '"', "≤": "<="})
_WIDTHS = (80, 100)


def can_draw(stream: Any = None) -> bool:
    """Whether a stream takes the characters that verdicts and diagrams are made of."""
    stream = sys.stdout if stream is None else stream
    try:
        "├─┤▶╌→✓✕…µ".encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def plain_text(text: str) -> str:
    """The same in ASCII."""
    return text.translate(_ASCII).encode("ascii", "backslashreplace").decode()


def file_text(found: FileCheck, *, plain: bool = False, columns: int | None = None) -> str:
    """All that is said of one file that could be read. No character of the history controls the terminal.

    Args:
        columns: of the terminal, for sentences that are longer; None = one line each, as for `grep`.
    """
    lines = _verdict(found, found.checked, plain) if found.checked is not None else _suggestions(found)
    text = "\n".join(lines if columns is None else (_wrapped(line, columns) for line in lines))
    return plain_text(text) if plain else text


def _wrapped(line: str, columns: int) -> str:
    if len(line) <= columns or "\x1b" in line:  # painted lines are short
        return line
    indent = " " * (len(line) - len(line.lstrip()))
    return textwrap.fill(
        line.strip(), max(columns, 40), initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )


def _verdict(found: FileCheck, checked: Checked, plain: bool) -> Iterable[str]:
    result = checked.result
    asked = f"{result.model}, {result.level}" if result.level else result.model
    mark = paint(f"{MARKS[result.verdict]} {result.verdict}", result.verdict)
    yield f"{mark}  {paint(_name(found), 'bold')}  {asked}"
    for reason in result.reasons:
        yield f"  why: {harmless(reason)}"
    if result.expected:
        yield f"  expected: {harmless(result.expected)}"
    yield (
        f"  {format_count(result.operations)} operation{'' if result.operations == 1 else 's'}, of which "
        f"{format_count(result.exposed)} could have shown an anomaly; read as {found.format}; "
        f"{format_duration(found.seconds)}"
    )
    against, beyond = _sides(result)
    for anomaly in against:
        yield from ("", *_anomaly(checked, anomaly, plain))
    if beyond:
        yield from ("", f"what {result.level} allows, and stronger levels do not:")
    for anomaly in beyond:
        yield from ("", *_anomaly(checked, anomaly, plain))
    yield from _section("levels", _levels(checked))
    yield from _section("what this history would have shown", _power(checked))
    yield from _section("numbers", [f"{name}: {format_figure(value)}" for name, value in result.numbers.items()])
    assert found.operations is not None
    yield from _section("notes", [*found.operations.notes, *result.notes])
    yield ""
    yield f"next: {_next(found, checked)}"


def _sides(result: Result) -> tuple[list[Anomaly], list[Anomaly]]:
    """Anomalies that stand against the level that was asked for, and those that stand against stronger ones only."""
    if result.level not in (*OBJECTS, *TRANSACTIONS):
        return list(result.anomalies), []
    asked = implied(result.level)
    against = [one for one in result.anomalies if one.level in asked]
    return against, [one for one in result.anomalies if one.level not in asked]


def _anomaly(checked: Checked, anomaly: Anomaly, plain: bool) -> Iterable[str]:
    width = min(max(shutil.get_terminal_size((90, 24)).columns, _WIDTHS[0]), _WIDTHS[1])
    refutes = f" (refutes {anomaly.level})" if anomaly.level else ""
    count = f"{format_count(anomaly.count)}{'' if anomaly.count == 1 else ' times'}"
    yield f"{paint(anomaly.kind, 'bold')}: {count}{refutes}"
    yield f"  {harmless(anomaly.sentence)}"
    for line in draw(checked.operations, anomaly.witness, width - 4, plain=plain):
        yield f"    {line}"
    lines = sorted({int(checked.operations.line[one]) for one in anomaly.witness} - {-1, 0})
    if lines:
        yield paint(f"    at line{'s' * (len(lines) != 1)} {', '.join(map(str, lines))}", "dim")


def _levels(checked: Checked) -> Sequence[str]:
    result = checked.result
    said = [f"weakest level refuted: {result.refuted}"] if result.refuted else []
    if result.not_refuted:
        said.append(f"strongest level not refuted: {result.not_refuted}")
    if not result.exact and result.verdict == "held":
        said.append("held means here: none of the conditions that were looked at is broken; the notes say which")
    return said


def _power(checked: Checked) -> Sequence[str]:
    if checked.power is not None:
        return [*(one.sentence() for one in checked.power.strikes), *checked.power.notes]
    if checked.result.verdict == "held" and len(checked.operations) > POWER_UP_TO:
        return [f"not looked for above {format_count(POWER_UP_TO)} operations; --power does"]
    return []


def _next(found: FileCheck, checked: Checked) -> str:
    result = checked.result
    if result.verdict == "refuted":
        where = "the lines above" if any(checked.operations.line > 0) else "the operations above"
        return f"look at {where} in the system's own logs; --json has all of it for programs"
    if checked.crash:
        return "report the crash; another model may do meanwhile (leave out --model to see which fit)"
    if result.verdict == "inconclusive":
        return "inconclusive is not held: mend what stands at `why`, and check again"
    if not result.exposed:
        return (
            "look for more: this history is legal, but nothing in it could have shown an anomaly (is all read again?)"
        )
    least = checked.power.least if checked.power is not None else None
    if checked.power is not None and (least is None or (least.share or 0.0) < 0.5):
        return (
            "the history is legal, and would have been with most bugs in it: use more operations on fewer keys, with "
            "clients that overlap"
        )
    return "nothing: this history is legal" if result.exact else "nothing: no condition looked at was broken"


def _suggestions(found: FileCheck) -> Iterable[str]:
    assert found.operations is not None
    yield f"{paint('? nothing was checked', 'inconclusive')}  {paint(_name(found), 'bold')}  no --model was given"
    yield f"  {harmless(contents(found.operations))}; read as {found.format}"
    fitting = [one for one in found.suggestions if not one.against]
    others = [one for one in found.suggestions if one.against]
    for title, group in (("what could be checked", fitting), ("what speaks against others", others)):
        said = []
        for one in group:
            said.append(f"--model {one.model}: {one.summary or one.why}")
            said += [f"  levels: {', '.join(one.levels)}"] if one.levels and not one.against else []
            said += [f"  {reason}" for reason in one.against]
        yield from _section(title, said)
    yield from _section("notes", found.operations.notes)
    yield ""
    first = next(iter(found.suggestions), None)
    yield (
        f"next: chaoskit check {harmless(shlex.quote(found.file))} --model {first.model}"
        if fitting and first is not None
        else "next: write a model of your own (docs/check.md), or leave operations out with --ignore"
    )


def _section(title: str, said: Sequence[str]) -> Iterable[str]:
    if said:
        yield from ("", f"{paint(title, 'bold')}", *(f"  {harmless(one)}" for one in said))


def _name(found: FileCheck) -> str:
    return "standard input" if found.file == "-" else harmless(found.file)
