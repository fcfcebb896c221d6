"""Histories on disk: the spools of all workers become one History, and one Parquet file for everybody else's tools.

Parquet is written after the cell: its footer comes last, so a file cut short cannot be read, which is what the spool is
for. Columns and metadata are described in docs/outputs.md.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from chaoskit.errors import StoreError
from chaoskit.files import SCHEMA_VERSION, replacing
from chaoskit.history.arrow import integers, texts
from chaoskit.history.frame import History, Seen
from chaoskit.history.operation import ERROR_NAMES, NONE, ROW, Answer, ErrorCode, Outcome
from chaoskit.history.reading import SpoolPart, read_spool

if TYPE_CHECKING:
    import pyarrow

__all__ = ["PHASES", "load_history", "merge", "read_parquet", "read_seen", "write_parquet"]

PHASES = ("warm-up", "load", "final")  # names of the numbers in the column `phase`

_METADATA = b"chaoskit"
_TIMES = ("t_due", "t_sent", "t_first", "t_end")
_TEXTS = {"key": "key", "value_id": "value", "result_id": "result"}  # row column -> Parquet column
_NULLABLE = ("session", "parent", "status")
_ABSENT = np.iinfo(np.int64).min  # no time of any file: they are counted from t=0
# What checkers look at.
_SEEN = (
    *("index", "worker", "process", "node", "f", "key", "value_id", "result_id"),
    *("t_due", "t_sent", "t_end", "outcome", "answer", "phase"),
)
_PLAIN = ("index", "worker", "clock_domain", "process", "bytes_out", "bytes_in", "attempt")


def load_history(cell_folder: Path) -> History:
    """The history of a cell, from `history.parquet` if it is there, else from the spool of a cell that was cut short.

    Raises:
        StoreError: neither can be read, or a newer chaoskit wrote it.
    """
    path = cell_folder / "history.parquet"
    if path.exists():
        return read_parquet(path)
    spool = cell_folder / "spool"
    if not spool.is_dir():
        raise StoreError(
            f"{cell_folder} holds no history: neither history.parquet nor spool/", hint="was any traffic sent?"
        )
    return merge(read_spool(spool))


def merge(parts: Sequence[SpoolPart]) -> History:
    """One history of all workers: ordered by due time, `index` and `parent` are ranks in this order, equal texts have
    one value id, tables are united by name, and no two workers share a process id.
    """
    rows = np.concatenate([part.rows for part in parts]) if parts else np.empty(0, ROW)
    nodes: dict[str, int] = {}
    classes: dict[str, int] = {}
    functions: dict[str, int] = {}
    texts = dict.fromkeys(chain.from_iterable(part.values for part in parts))
    texts.pop(None, None)
    values = cast("tuple[str, ...]", tuple(texts))
    ids_of: dict[str | None, int] = dict(zip(texts, range(len(texts)), strict=True))
    ids_of[None] = NONE  # a text that cannot be read; the rows that named it are left out
    at = processes = 0
    for part in parts:
        own = rows[at : at + len(part.rows)]
        at += len(part.rows)
        for columns, names, table in (
            (("source", "node"), part.nodes, nodes),
            (("cls",), part.classes, classes),
            (("f",), part.functions, functions),
        ):
            ids = np.array([table.setdefault(name, len(table)) for name in names] + [NONE], "<i8")
            for column in columns:
                own[column] = ids[own[column]]  # NONE (-1) reads the last entry, which is NONE
        value_ids = np.fromiter(map(ids_of.__getitem__, chain(part.values, (None,))), "<i8", len(part.values) + 1)
        for column in _TEXTS:
            own[column] = value_ids[own[column]]
        if len(own):
            own["process"] += processes
            processes = int(own["process"].max()) + 1
    rows = _ranked(rows, [(part.rows["index"], len(part.rows)) for part in parts])
    known = [part.origin_ns for part in parts if part.origin_ns is not None]
    origin = known[0] if known else int(rows["t_due"][0]) if len(rows) else 0
    damaged = [note for part in parts for note in part.damaged]
    if len(set(known)) > 1:
        damaged.append(f"the workers do not agree on t=0: {sorted(set(known))}")
    return History(rows, tuple(nodes), tuple(classes), tuple(functions), values, origin, tuple(damaged))


def _ranked(rows: NDArray[np.void], slots: Sequence[tuple[NDArray[Any], int]]) -> NDArray[np.void]:
    """Rows in order of due time (then worker, then slot), with `index` and `parent` turned into ranks."""
    order = np.lexsort((rows["index"], rows["worker"], rows["t_due"]))
    rank = np.empty(len(rows), "<i8")
    rank[order] = np.arange(len(rows))
    at = 0
    for index, count in slots:
        own = rows[at : at + count]
        if (own["parent"] != NONE).any():
            # Slot -> rank; a parent that was left out as damaged is no parent any more.
            table = np.full(int(max(index.max(), own["parent"].max())) + 2, NONE, "<i8")
            table[index] = rank[at : at + count]
            table[-1] = NONE
            own["parent"] = table[own["parent"]]
        at += count
    rows = rows[order]
    rows["index"] = np.arange(len(rows))
    return rows


def write_parquet(history: History, path: Path) -> None:
    """Write `history` as Parquet (zstd), whole or not at all. Times are nanoseconds from t=0, absent values null.

    Raises:
        StoreError: the disk is full, no permission.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = history.rows
    columns: dict[str, Any] = {name: pa.array(np.ascontiguousarray(rows[name])) for name in _PLAIN}
    columns["phase"] = _named(rows["phase"], PHASES)
    for column, table in (
        ("source", history.nodes),
        ("node", history.nodes),
        ("cls", history.classes),
        ("f", history.functions),
    ):
        columns[column] = _named(rows[column], table)
    values = pa.array(history.values, pa.string())
    for column, name in _TEXTS.items():
        columns[name] = values.take(_nullable(rows[column]))
    for column in _TIMES:
        columns[column] = _nullable(rows[column], history.origin_ns)
    for column in _NULLABLE:
        columns[column] = _nullable(rows[column])
    columns["error"] = _named(rows["error"], [ERROR_NAMES[code] for code in ErrorCode])
    columns["outcome"] = _named(rows["outcome"], [outcome.name.lower() for outcome in Outcome])
    columns["answer"] = _named(rows["answer"], [answer.name.lower() for answer in Answer])
    head = {
        "schema_version": SCHEMA_VERSION,
        "origin_ns": history.origin_ns,
        "nodes": history.nodes,
        "classes": history.classes,
        "functions": history.functions,
        "damaged": history.damaged,
    }
    order = [_TEXTS.get(str(name), str(name)) for name in ROW.names or () if name != "state"]
    table = pa.table({name: columns[name] for name in order}).replace_schema_metadata(
        {_METADATA: json.dumps(head).encode()}
    )
    deltas = ["index", "process", *_TIMES]
    with replacing(path, "free space; the spool still holds every row") as temporary:
        pq.write_table(
            table,
            temporary,
            compression="zstd",
            use_dictionary=[name for name in order if name not in deltas],
            column_encoding=dict.fromkeys(deltas, "DELTA_BINARY_PACKED"),
        )


def read_parquet(path: Path | pyarrow.NativeFile) -> History:
    """The history that `write_parquet` wrote; value ids may differ, texts do not.

    Args:
        path: the file, or what is in it.

    Raises:
        StoreError: missing, cut short, not ours, or from a newer chaoskit.
    """
    columns = (str(name) for name in ROW.names or () if name != "state")
    found = _read(path, tuple(columns))
    rows = np.zeros(len(found.rows["index"]), ROW)
    for name, column in found.rows.items():
        rows[name] = column
    rows["state"] = np.where(rows["outcome"] == Outcome.OPEN, 1, 2)
    rest = {field.name: getattr(found, field.name) for field in fields(found)}
    return History(**(rest | {"rows": rows}))


def read_seen(path: Path | pyarrow.NativeFile) -> Seen:
    """The same as far as checkers look at it, which is much quicker."""
    return _read(path, _SEEN)


def _read(path: Path | pyarrow.NativeFile, columns: tuple[str, ...]) -> Seen:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:  # read_table loads half of pyarrow first
            table = file.read([_TEXTS.get(name, name) for name in columns])
        head = json.loads((table.schema.metadata or {}).get(_METADATA, b"{}"))
        version = int(head["schema_version"])
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError) as error:
        raise StoreError(
            f"{path} is not a history written by chaoskit: {error!r}",
            hint="remove the file to read the spool beside it instead",
        ) from error
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} has schema_version {version}; this chaoskit reads up to {SCHEMA_VERSION}",
            hint="use the chaoskit that wrote it, or a newer one",
        )
    try:
        return _from_table(table, head, columns)
    except (pa.ArrowException, KeyError, ValueError, TypeError) as error:
        raise StoreError(f"{path} does not have the columns of a history: {error!r}") from error


def _from_table(table: pyarrow.Table, head: dict[str, Any], columns: tuple[str, ...]) -> Seen:
    import pyarrow as pa

    nodes, classes, functions = (tuple(head[name]) for name in ("nodes", "classes", "functions"))
    origin = int(head["origin_ns"])
    names: dict[str, Sequence[str]] = {
        "phase": PHASES,
        "source": nodes,
        "node": nodes,
        "cls": classes,
        "f": functions,
        "error": [ERROR_NAMES[code] for code in ErrorCode],
        "outcome": [outcome.name.lower() for outcome in Outcome],
        "answer": [answer.name.lower() for answer in Answer],
    }
    rows: dict[str, NDArray[Any]] = {}
    for name in columns:
        if name in _PLAIN:
            rows[name] = integers(table[name], NONE)
        elif name in names:
            rows[name] = _numbers(table[name], names[name])
        elif name in _TIMES:
            found = integers(table[name], _ABSENT)
            rows[name] = np.where(found == _ABSENT, NONE, found + origin)
        elif name in _NULLABLE:
            rows[name] = integers(table[name], NONE)
    chunks = [chunk for name in _TEXTS.values() for chunk in table[name].cast(pa.string()).chunks]
    # One array, so that the three columns share one dictionary: equal texts, equal ids.
    coded = pa.concat_arrays([*chunks, pa.nulls(0, pa.string())]).dictionary_encode()
    ids = integers(coded.indices, NONE)
    for number, name in enumerate(_TEXTS):
        rows[name] = ids[number * table.num_rows : (number + 1) * table.num_rows]
    values = tuple(texts(coded.dictionary))
    return Seen(rows, nodes, classes, functions, values, origin, tuple(head.get("damaged", ())), distinct=True)


def _nullable(column: NDArray[Any], origin: int = 0) -> pyarrow.Array:
    import pyarrow as pa

    absent = column == NONE
    return pa.array(np.where(absent, 0, column.astype("<i8") - origin), mask=absent)


def _named(column: NDArray[Any], names: Sequence[str]) -> pyarrow.Array:
    """Small integers as a dictionary column of strings; NONE becomes null."""
    import pyarrow as pa

    codes = pa.array(column.astype("<i4"), mask=column.astype("<i4") == NONE)
    return pa.DictionaryArray.from_arrays(codes, pa.array(list(names), pa.string()))


def _numbers(column: pyarrow.ChunkedArray, names: Sequence[str]) -> NDArray[np.int64]:
    """Where each name stands among some; NONE for null."""
    import pyarrow as pa

    known = {name: number for number, name in enumerate(names)}
    found = [np.empty(0, np.int64)]
    for chunk in column.chunks:
        coded = chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
        numbers = [known.get(name) for name in texts(coded.dictionary)]
        places = integers(coded.indices, NONE)
        if None in numbers:
            raise ValueError("a name is in no table")
        found.append(np.array([*numbers, NONE], np.int64)[places])
    return np.concatenate(found)
