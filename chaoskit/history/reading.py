"""Reads what a worker left in its spool, also when it was killed in the middle of a store."""

from __future__ import annotations

import json
from binascii import crc32
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.errors import StoreError
from chaoskit.files import SCHEMA_VERSION
from chaoskit.history.operation import NONE, ROW, Answer, ErrorCode, Outcome
from chaoskit.history.spool import VALUE_HEADER, VALUE_SEED, columns

__all__ = ["SpoolPart", "read_spool"]


@dataclass(frozen=True)
class SpoolPart:
    """What one worker left: rows in the order of their slots, ids as this worker gave them.

    Attributes:
        values: text by id; None where its checksum is wrong (no row names it any more).
        origin_ns: the cell's t=0, None when the worker never learned it.
        damaged: what had to be left out, as sentences.
    """

    worker: int
    rows: NDArray[np.void]
    nodes: tuple[str, ...]
    classes: tuple[str, ...]
    functions: tuple[str, ...]
    values: list[str | None]
    origin_ns: int | None
    damaged: tuple[str, ...]


def read_spool(folder: Path) -> list[SpoolPart]:
    """Everything that workers wrote below `folder`, one part a worker, ordered by worker.

    A row that was opened and never completed keeps outcome OPEN. A torn row, or one that names a text or a table entry
    that cannot be read, is left out and counted in `damaged`.

    Raises:
        StoreError: no permission, or written by a newer chaoskit.
    """
    try:
        heads = sorted(folder.glob("w*.json"))
        orphans = [path for path in sorted(folder.glob("w*.rows")) if not path.with_suffix(".json").exists()]
        parts = [_read_part(path) for path in heads]
    except OSError as error:
        raise StoreError(f"cannot read the spool {folder}: {error.strerror or error}") from error
    for path in orphans:
        name = path.stem[1:]
        worker = int(name) if name.isdecimal() else NONE
        note = f"{path.name}: its names {path.stem}.json are missing, the rows cannot be understood"
        parts.append(SpoolPart(worker, np.empty(0, ROW), (), (), (), [], None, (note,)))
    return sorted(parts, key=lambda part: part.worker)


def _read_part(path: Path) -> SpoolPart:
    head = _read_head(path)
    worker = int(head["worker"])
    nodes, classes, functions = (tuple(map(str, head[name])) for name in ("nodes", "classes", "functions"))
    rows_file, values_file = path.with_suffix(".rows"), path.with_suffix(".values")
    raw = rows_file.read_bytes() if rows_file.exists() else b""
    values = _read_values(values_file.read_bytes() if values_file.exists() else b"")
    rows, damaged = _read_rows(raw, path.stem, worker, (len(nodes), len(classes), len(functions)), values)
    origin = head.get("origin_ns")
    return SpoolPart(worker, rows, nodes, classes, functions, values, None if origin is None else int(origin), damaged)


def _read_head(path: Path) -> dict[str, Any]:
    try:
        head = json.loads(path.read_text())
        version = int(head["schema_version"])
        worker, found = int(head["worker"]), head["columns"]
        tables = [head[name] for name in ("nodes", "classes", "functions")]
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path} does not name the columns and tables of a spool: {error!r}",
            hint="the file was changed by hand, or the disk is bad",
        ) from error
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} has schema_version {version}; this chaoskit reads up to {SCHEMA_VERSION}",
            hint="use the chaoskit that wrote it, or a newer one",
        )
    if found != columns() or worker < 0 or not all(isinstance(table, list) for table in tables):
        raise StoreError(f"{path} describes rows of another shape", hint="use the chaoskit that wrote it")
    return {**head, "worker": worker}


def _read_values(raw: bytes) -> list[str | None]:
    """Texts by id. Zeros end the table; a wrong checksum makes one text None as long as the next record is sound."""
    found: list[str | None] = []
    unpack, header = VALUE_HEADER.unpack_from, VALUE_HEADER.size
    at, size = 0, len(raw)
    append = found.append
    while at + header <= size:
        length, checksum = unpack(raw, at)
        if not checksum and not length:
            break
        end = at + header + length
        if end > size:
            break
        text = raw[at + header : end]
        if crc32(text, length ^ VALUE_SEED) != checksum:
            if not _sound(raw, end):
                break  # the writer was killed in the middle of this one: no row names it
            append(None)
        else:
            append(text.decode("utf-8", "replace"))
        at = end
    return found


def _sound(raw: bytes, at: int) -> bool:
    header = VALUE_HEADER.size
    if at + header > len(raw):
        return False
    length, checksum = VALUE_HEADER.unpack_from(raw, at)
    text = raw[at + header : at + header + length]
    return len(text) == length and crc32(text, length ^ VALUE_SEED) == int(checksum)


def _read_rows(
    raw: bytes, name: str, worker: int, tables: tuple[int, int, int], values: list[str | None]
) -> tuple[NDArray[np.void], tuple[str, ...]]:
    # Slots behind the last written byte are allocated, not used. `state` is the last byte of a slot and never 0.
    used = min(-(-len(raw.rstrip(b"\0")) // ROW.itemsize), len(raw) // ROW.itemsize)
    rows = np.frombuffer(raw, dtype=ROW, count=used).copy()
    notes: list[str] = []

    torn = (rows["state"] != 1) & (rows["state"] != 2)
    torn |= (rows["index"] != np.arange(used)) | (rows["worker"] != worker)
    if used and torn[-1] and not torn[:-1].any():
        rows, torn, used = rows[:-1], torn[:-1], used - 1  # killed while writing the last row: its request never left
    _note(notes, name, torn, "torn")

    nodes, classes, functions = tables
    strange = np.zeros(used, bool)
    for column, low, size in (
        ("source", 0, nodes),
        ("node", 0, nodes),
        ("cls", 0, classes),
        ("f", NONE, functions),
        ("outcome", 0, len(Outcome)),
        ("answer", 0, len(Answer)),
        ("error", 0, len(ErrorCode)),
        ("parent", NONE, used),
    ):
        strange |= (rows[column] < low) | (rows[column] >= size)
    strange &= ~torn
    _note(notes, name, strange, "name something that is in no table")

    lost = [number for number, text in enumerate(values) if text is None] if None in values else []
    mute = np.zeros(used, bool)
    for column in ("key", "value_id", "result_id"):
        ids = rows[column]
        mute |= (ids < NONE) | (ids >= len(values))
        if lost:
            mute |= np.isin(ids, lost)
    mute &= ~torn & ~strange
    _note(notes, name, mute, "name a text that cannot be read")

    _reopen(rows)
    return rows[~(torn | strange | mute)], tuple(notes)


def _note(notes: list[str], name: str, bad: NDArray[np.bool_], what: str) -> None:
    if count := int(bad.sum()):
        first = int(bad.nonzero()[0][0])
        notes.append(f"{name}.rows: {count} row{'s' * (count > 1)} left out: {what} (first: row {first})")


def _reopen(rows: NDArray[np.void]) -> None:
    """A row that was killed while being completed says nothing about its outcome: bring it back to OPEN."""
    still = rows["state"] == 1
    for column, value in (
        ("outcome", Outcome.OPEN),
        ("answer", Answer.NONE),
        ("error", ErrorCode.NO_ERROR),
        ("status", NONE),
        ("result_id", NONE),
        ("t_first", NONE),
        ("t_end", NONE),
        ("bytes_in", 0),
    ):
        rows[column][still] = value
