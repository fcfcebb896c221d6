"""Anybody's histories: judged, and written in other formats. Needs no target and starts nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chaoskit.checks.files import FileCheck

__all__ = ["check", "check_help", "check_page", "export_history"]


def check(
    file: Path | str,
    model: str | None = None,
    *,
    format: str = "auto",
    keyed: bool | None = None,
    ignore: Sequence[str] = (),
    power: bool | None = None,
    min_power: float | None = None,
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
    **options: Any,
) -> FileCheck:
    """Judge anybody's history; with no model, say what could be checked. `.checked.result` has verdict and anomalies.

    Args:
        model: a name of `check_help`, or `module.Class` of your own.
        keyed, ignore, power, min_power, seed: as `chaoskit check --help` says.
        options: fields of `chaoskit.checks.result.Options`: consistency, initial, total, budget (seconds) …

    Raises:
        UsageError: no such model, format or level. HistoryError: the file cannot be read, is impossible, or is not
        about this model.
    """
    from chaoskit.checks.files import check_file
    from chaoskit.checks.result import Options

    return check_file(
        str(file),
        model,
        Options(**options),
        format=format,
        keyed=keyed,
        ignore=ignore,
        with_power=power,
        min_power=min_power,
        seed=seed,
        progress=progress,
    )


def check_help() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Names of models and of formats, each with a line about it."""
    from chaoskit.checks.files import formats, models

    return models(), formats()


def check_page(found: Sequence[FileCheck], output: Path, command: str) -> None:
    """Write what came of some files as one HTML page that needs neither network nor script.

    Args:
        command: what to type to get the same again.

    Raises:
        StoreError: it cannot be written.
    """
    from chaoskit.files import writing
    from chaoskit.report.check_page import page

    text = page(found, command)
    with writing(output, "free space, or name another file") as place:
        place.write_text(text, encoding="utf-8", errors="backslashreplace")


def export_history(
    file: Path | str,
    to: str,
    output: Path | None = None,
    *,
    format: str = "auto",
    keyed: bool | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[str, ...]:
    """Write a history in another format, to a file or to standard output; returns what that format cannot carry.

    Raises:
        UsageError: no such format. HistoryError: the file cannot be read. StoreError: the other cannot be written.
    """
    from chaoskit.checks.files import export_file

    return export_file(str(file), to, output, format=format, keyed=keyed, progress=progress)
