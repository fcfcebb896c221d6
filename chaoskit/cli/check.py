"""The command `check`: anybody's history, judged. Parse, call `chaoskit.api`, print, exit code."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from chaoskit.errors import ChaosKitError, ExitCode, UsageError, worst

if TYPE_CHECKING:
    from chaoskit.checks.files import FileCheck

__all__ = ["add_check"]

_LONG = 1.0  # seconds of work before progress is shown
_OFTEN = 0.2  # seconds between two lines of it


class _Check(TyperCommand):
    """Lists models and formats under `--help`: only then are they loaded."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        from chaoskit import api

        models, formats = api.check_help()
        with formatter.section("Models"):
            formatter.write_dl(models)
        with formatter.section("Formats"):
            formatter.write_dl(formats)


def add_check(app: typer.Typer) -> None:
    """Add it to the command line."""
    app.command(short_help="judge histories of any system: held, refuted with a witness, or inconclusive", cls=_Check)(
        check
    )


def check(
    files: Annotated[
        list[str],
        typer.Argument(metavar="HISTORY...", help="Files, gzipped or not; - is standard input.", show_default=False),
    ],
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What shall hold: a model below, or your own as module.Class."),
    ] = None,
    format: Annotated[str, typer.Option(metavar="NAME", help="How the files are written; a format below.")] = "auto",
    consistency: Annotated[
        str | None, typer.Option(metavar="LEVEL", help="Level asked for; the model's strongest if left out.")
    ] = None,
    initial: Annotated[
        str | None, typer.Option(metavar="VALUE", help="What was there before anything was written (JSON or text).")
    ] = None,
    total: Annotated[int | None, typer.Option(metavar="N", help="Sum of all accounts (bank).")] = None,
    allow_negative: Annotated[bool, typer.Option("--allow-negative", help="Accounts may be overdrawn (bank).")] = False,
    group_size: Annotated[int | None, typer.Option(metavar="N", min=1, help="Keys in a group (long-fork).")] = None,
    keyed: Annotated[
        bool | None,
        typer.Option("--keyed/--no-keyed", help="Every value is [key value] / none is.", show_default=False),
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(metavar="F[,F]", help="Leave out operations called so. Repeatable.")
    ] = None,
    budget: Annotated[str, typer.Option(metavar="DURATION", help="For searches, per file.")] = "60s",
    power: Annotated[
        bool | None,
        typer.Option(
            "--power/--no-power",
            help="Plant bugs in what is held, to see what it would have shown; up to 100,000 operations if left out.",
            show_default=False,
        ),
    ] = None,
    min_power: Annotated[
        str | None,
        typer.Option(metavar="SHARE", help="Held only if this share of each kind of planted bug is found: 0.9, 90%."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the places where bugs are planted.")] = 0,
    export: Annotated[
        str | None, typer.Option(metavar="FORMAT", help="Write the history in another format, to stdout or --output.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where --export goes.")] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page with all of it, witnesses as pictures; needs no network."),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object (with schema_version) on stdout.")
    ] = False,
) -> int:
    """Judge histories of any system against a consistency model; with no model, say what could be checked.

    Nothing is started and nothing but the files is needed.

    Exit code 0: held. 1: refuted; the smallest witness is shown. 3: inconclusive, or no model given. 2: a file cannot
    be read or is impossible, as file:line. Of several files the worst counts: 2 > 1 > 3 > 0.
    """
    from chaoskit import api
    from chaoskit.checks.files import FileCheck
    from chaoskit.cli.output import as_json, complain, data, say

    if export is not None or output is not None:
        return _export(files, format, keyed, model, export, output, json or html is not None)
    if html is not None and str(html) == "-":
        raise UsageError("--html writes a file, not standard output", hint="name one: --html page.html")
    if files.count("-") > 1:
        raise UsageError("standard input can be read once only")
    told: list[dict[str, Any]] = []
    shown: list[FileCheck] = []  # whole histories: kept for a page only
    codes: list[ExitCode] = []
    for file in files:
        try:
            with _progress(file) as progress:
                found = api.check(
                    file,
                    model,
                    format=format,
                    keyed=keyed,
                    consistency=consistency,
                    initial=None if initial is None else _value(initial),
                    total=total,
                    allow_negative=allow_negative,
                    group_size=group_size,
                    ignore=[name for text in ignore or () for name in text.split(",") if name],
                    budget=_seconds(budget),
                    power=power,
                    min_power=None if min_power is None else _share(min_power),
                    seed=seed,
                    progress=progress,
                )
        except UsageError:  # the command line is wrong: with the next file it would be, too
            raise
        except ChaosKitError as error:
            found = FileCheck(file, error=error)
            if not json:
                complain(error)
        if not json and found.error is None:
            _show(found, apart=bool(codes))
        codes.append(found.exit_code)
        told.append(found.summary())
        shown += [found] if html is not None else []
    if html is not None:
        api.check_page(shown, html, shlex.join(["chaoskit", *sys.argv[1:]]))
        say(f"page: {html}")
    if json:
        data(as_json({"files": told, "exit_code": int(worst(codes))}))
    return worst(codes)


def _show(found: FileCheck, apart: bool) -> None:
    """One file on the terminal; the traceback of a checker that crashed goes to a file."""
    from chaoskit.cli.check_text import can_draw, file_text
    from chaoskit.cli.output import data, keep

    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    data(("\n" if apart else "") + file_text(found, plain=not can_draw(), columns=columns))
    if found.checked is not None and found.checked.crash:
        keep(found.checked.crash)


def _export(
    files: list[str],
    format: str,
    keyed: bool | None,
    model: str | None,
    to: str | None,
    output: Path | None,
    judged: bool,
) -> int:
    """Write one history in another format; say on stderr what the format cannot carry."""
    from chaoskit import api
    from chaoskit.cli.output import say, unread

    if to is None:
        raise UsageError("--output says where --export goes", hint="add --export FORMAT")
    if model is not None or judged or len(files) != 1:
        hint = "leave out --model, --json, --html, other files"
        raise UsageError("--export writes one history and judges none", hint=hint)
    if output is None and sys.stdout.isatty() and to == "parquet":
        raise UsageError("Parquet is not for a terminal", hint="add --output FILE")
    with unread(), _progress(files[0]) as progress:
        for loss in api.export_history(files[0], to, output, format=format, keyed=keyed, progress=progress):
            say(f"{to}: {loss}")
    return ExitCode.OK


@contextlib.contextmanager
def _progress(file: str) -> Iterator[Callable[[str, int, int], None] | None]:
    """One line on stderr while work takes long, on a terminal only."""
    if not sys.stderr.isatty():
        yield None
        return
    from chaoskit.checks.diagram import harmless

    name = harmless(file)
    began = shown = time.monotonic()

    def tell(what: str, done: int, of_all: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if now >= began + _LONG and now >= shown + _OFTEN:
            shown = now
            share = f" {min(100, 100 * done // of_all)} %" if of_all > 0 else ""
            sys.stderr.write(f"\r\x1b[K{what} {name}{share}")
            sys.stderr.flush()

    try:
        yield tell
    finally:
        if shown > began:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _value(text: str) -> Any:
    """A value from the command line: JSON where it is, an EDN keyword, else the text itself."""
    import json

    from chaoskit.history.values import Keyword, frozen

    if text.startswith(":") and len(text) > 1:
        return Keyword(text[1:])
    try:
        return frozen(json.loads(text))
    except ValueError:
        return text


def _seconds(text: str) -> float:
    from chaoskit.units import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--budget: {error}") from error


def _share(text: str) -> float:
    from chaoskit.units import parse_share

    try:
        return parse_share(text)
    except ValueError as error:
        raise UsageError(f"--min-power: {error}") from error
