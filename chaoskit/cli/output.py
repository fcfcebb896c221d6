"""What commands print: data on stdout, talk on stderr, colours only where a person looks."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaoskit.errors import ChaosKitError, HistoryError, SpecError, StoreError

if TYPE_CHECKING:
    from chaoskit.analysis.model import Analysis, ClaimSummary

__all__ = [
    "MARKS",
    "complain",
    "confess",
    "data",
    "keep",
    "mute",
    "paint",
    "say",
    "table",
    "unread",
    "unwritable",
    "verdicts",
]

MARKS = {"held": "✓", "refuted": "✕", "inconclusive": "?"}
_COLOURS = {"held": "34", "refuted": "35", "inconclusive": "33", "bold": "1", "dim": "2", "red": "31"}


def paint(text: str, style: str, stream: Any = None) -> str:
    """Text in a colour, when the stream is a terminal and NO_COLOR is not set."""
    stream = sys.stdout if stream is None else stream
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty():
        return text
    return f"\x1b[{_COLOURS[style]}m{text}\x1b[0m"


def say(text: str = "") -> None:
    """Talk: a line on stderr."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def data(text: str) -> None:
    """Data: a line on stdout. Where the reader has had enough (`| head`) the command still ends with its exit code."""
    with unread():
        try:
            print(text, flush=True)  # noqa: T201
        except BrokenPipeError:
            raise
        except OSError as error:
            raise unwritable(error) from error


def unwritable(error: OSError) -> StoreError:
    """What is said of a stdout that takes no more."""
    return StoreError(f"cannot write to standard output: {error.strerror or error}")


@contextmanager
def unread() -> Iterator[None]:
    """Lets a block end quietly when nobody reads stdout any more; what comes later is written to nowhere."""
    try:
        yield
    except BrokenPipeError:
        mute()


def mute() -> None:
    """Let stdout lead nowhere: what is still in its buffer would fail once more at the end, with exit code 120."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def as_json(content: Mapping[str, Any]) -> str:
    """One JSON object with `schema_version`."""
    from chaoskit.files import SCHEMA_VERSION

    return json.dumps({"schema_version": SCHEMA_VERSION, **content}, indent=1, default=str)


def complain(error: ChaosKitError, *, machine: bool = False) -> None:
    """Print an error of ours: the message, and the next step on a line of its own; one JSON object for a machine."""
    if machine:
        with suppress(StoreError):  # stdout itself may be what is broken: then on stderr, as for people
            data(as_json({"error": error.summary(), "exit_code": int(error.exit_code)}))
            return
    if isinstance(error, SpecError):
        for problem in error.problems:
            say(str(problem))
        count = len(error.problems)
        say(paint(f"{count} problem{'s' * (count != 1)}; nothing was started", "red", sys.stderr))
        return
    message, hint = error.message, error.hint
    if isinstance(error, HistoryError):  # quotes what is in somebody's file
        from chaoskit.checks.diagram import harmless

        message, hint = harmless(message), hint and harmless(hint)
    say(f"{paint('error:', 'red', sys.stderr)} {message}")
    if hint:
        say(f"  next: {hint}")


def confess(error: BaseException) -> None:
    """Print our own bug in one sentence and keep the traceback in a file for the report."""
    say(f"{paint('internal error:', 'red', sys.stderr)} {type(error).__name__}: {error}")
    keep("".join(traceback.format_exception(error)))


def keep(trace: str) -> None:
    """Keep the traceback of a bug of ours in a file, and say where."""
    where = ""
    try:
        with tempfile.NamedTemporaryFile("w", prefix="chaoskit-bug-", suffix=".txt", delete=False) as file:
            file.write(trace)
            where = file.name
    except OSError:
        say(trace)
    say(f"  This is a bug in chaoskit. next: please report it{f' with {where}' if where else ''}")


def table(rows: Sequence[Sequence[str]], header: Sequence[str]) -> str:
    """Left-aligned columns under a header; made for people, `--json` is for programs."""
    widths = [max(len(str(row[i])) for row in [header, *rows]) for i in range(len(header))]
    lines = [
        "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [header, *rows]
    ]
    return "\n".join(line.rstrip() for line in lines)


def verdicts(analysis: Analysis, report: Path | None) -> str:
    """The end of a run: per claim what was claimed and what was seen, then the verdict and where the report is."""
    lines = [f"{paint(analysis.name, 'bold')}  {analysis.question}"]
    variant = None
    for claim in analysis.claims:
        if claim.variant != variant:
            variant = claim.variant
            lines += ["", paint(variant, "bold")]
        mark = paint(f"{MARKS[claim.verdict]} {claim.verdict:<12}", claim.verdict)
        lines.append(f"  {mark} {claim.claim}: {_seen(claim)}")
        if claim.expected_verdict is not None and claim.expected_verdict != claim.verdict:
            lines.append(paint(f"      `expect:` says {claim.expected_verdict}: came out otherwise", "bold"))
    lines += ["", analysis.headline]
    if analysis.as_expected is not None:
        lines.append("As expected." if analysis.as_expected else "NOT as the experiment's `expect:` says.")
    if report is not None:
        lines.append(f"report: {report}")
    return "\n".join(lines)


def _seen(claim: ClaimSummary) -> str:
    """One sentence short enough for a terminal; the report has the long one."""
    worst = next((f for f in claim.findings if f.verdict == claim.verdict), claim.findings[0])
    window = f" {worst.window.name}" if worst.window is not None and worst.limit is not None else ""
    if claim.verdict == "inconclusive":
        return f"{claim.expected}{window}? {'; '.join(worst.reasons) or 'no reason was recorded'}"
    example = f"; for instance {worst.witness.sentence}" if worst.witness is not None else ""
    return f"{claim.expected}{window}: {claim.observed}{example}"
