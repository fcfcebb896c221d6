"""Run directories: the history of a cell, with its faults as marks.

A cell's folder is `RUN/cells/<variant>/<trial>`; the run itself can be named where it has one cell only. Of a cell that
was cut short the spool is read, as long as there is no `history.parquet`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import BinaryIO

import numpy as np

from chaoskit.errors import HistoryError, StoreError
from chaoskit.history.interchange.parquet import of_run
from chaoskit.history.operations import NEVER, Mark, Operations
from chaoskit.history.storage import load_history

__all__ = ["FORMAT", "Run"]

_FAULTS = ("begin", "end")
_NAMED = 8  # cells that an error lists


class Run:
    """The format `run`: folders that `chaoskit run` wrote. It is read only."""

    name = "run"
    extension = ""
    cannot_carry = ("anything: only `chaoskit run` writes one; use parquet or jsonl",)

    def matches(self, head: bytes, name: str) -> bool:
        """Never: a run is a folder."""
        return False

    def read(self, stream: BinaryIO, source: str) -> Operations:
        """Nothing: a run is a folder.

        Raises:
            HistoryError: always.
        """
        raise HistoryError(
            source, 0, "is a file, and a run is a folder", hint="name the run's folder, or read a file of it as parquet"
        )

    def read_folder(self, folder: Path, source: str) -> Operations | None:
        """The history of a cell, or of a run's only cell.

        Raises:
            HistoryError: a run with no cell or with several, or a history that cannot be read.
        """
        if _is_cell(folder):
            return _read(folder, source)
        if not (folder / "cells").is_dir():
            return None
        cells = sorted(cell for cell in folder.glob("cells/*/*") if _is_cell(cell))
        if not cells:
            raise HistoryError(source, 0, "is a run without any history: was any traffic sent?")
        if len(cells) > 1:
            shown = ", ".join(map(str, cells[:_NAMED])) + (" …" if len(cells) > _NAMED else "")
            what = f"is a run of {len(cells)} cells, and each has a history of its own"
            raise HistoryError(source, 0, what, hint=f"name one: {shown}")
        return _read(cells[0], str(cells[0]))

    def write(self, operations: Operations, out: BinaryIO) -> tuple[str, ...]:
        """Nothing: a run has more in it than a history.

        Raises:
            HistoryError: always.
        """
        raise HistoryError(
            operations.source or "the history", 0, "cannot be written as a run", hint="write it as parquet or jsonl"
        )


FORMAT = Run()


def _is_cell(folder: Path) -> bool:
    return (folder / "history.parquet").is_file() or (folder / "spool").is_dir()


def _read(cell: Path, source: str) -> Operations:
    try:
        history = load_history(cell)
    except StoreError as error:
        raise HistoryError(source, 0, error.message, hint=error.hint) from error
    operations = of_run(history, source)
    if not len(operations):
        raise HistoryError(source, 0, "holds no operations: an empty history")
    faults, broken = _faults(cell / "events.jsonl")
    notes = (f"events.jsonl: {broken} lines that are no event; faults may be missing in diagrams",) if broken else ()
    ended = operations.ended_ns[operations.completed != NEVER]
    times = np.sort(np.concatenate([operations.began_ns, ended]))
    return operations.altered(
        marks=tuple(
            Mark(label, int(np.searchsorted(times, at - history.origin_ns)), at - history.origin_ns)
            for at, label in faults
        ),
        notes=(*operations.notes, *notes),
    )


def _faults(path: Path) -> tuple[list[tuple[int, str]], int]:
    """When which fault was seen to begin and to end, and how many lines were no event (a crash cuts the last one)."""
    found, broken = [], 0
    if not path.is_file():
        return [], 0
    with open(path, "rb") as lines:
        for line in lines:
            try:
                event = json.loads(line)
                if event["kind"] in _FAULTS:
                    found.append((int(event.get("confirmed_ns") or event["t"]), f"{event['kind']} {event['id']}"))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                broken += 1
    return sorted(found), broken
