"""Parquet: the history of a cell as runs store it, or one row per operation, with the columns of our JSON lines.

Source: Apache Parquet, through pyarrow. Its footer comes last and tells where the columns are, so the file is read
whole; packed as it is, a million operations are some tens of megabytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from chaoskit.errors import HistoryError, StoreError
from chaoskit.history.arrow import flags, integers, present, texts
from chaoskit.history.frame import History, Seen
from chaoskit.history.interchange.lines import plain
from chaoskit.history.interchange.lines_reading import ABSENT, KEYS, OUTCOMES, SCHEMA_VERSION, Reading
from chaoskit.history.interchange.writing import single_threaded
from chaoskit.history.operation import NONE
from chaoskit.history.operations import NEVER, Operations, ranks
from chaoskit.history.storage import read_seen
from chaoskit.history.values import frozen, identity

if TYPE_CHECKING:
    import pyarrow

__all__ = ["FORMAT", "Parquet", "of_run"]

_METADATA = b"chaoskit-operations"
_WHOLE = ("index", "process", "session", "began_ns", "ended_ns", "line", "invoked", "completed")
_NEEDED = ("process", "f", "outcome")
_VALUES = ("key", "value", "result")
_INTEGERS = re.compile(r"(?:(?:-?[1-9][0-9]{0,17}|0)\n)*+")
_JSON = frozenset('-0123456789"[{tfn \t\r\n')  # what JSON can begin with


class Parquet:
    """The format `parquet`."""

    name = "parquet"
    extension = ".parquet"
    cannot_carry: tuple[str, ...] = ()

    def matches(self, head: bytes, name: str) -> bool:
        """Whether it begins with Parquet's magic number."""
        return head.startswith(b"PAR1")

    def read(self, stream: BinaryIO, source: str) -> Operations:
        """The `history.parquet` of a cell, or a table of operations.

        Raises:
            HistoryError: cut short, no Parquet, without the columns of a history, or no clients could have produced it.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        content = pa.py_buffer(stream.read())
        try:
            with pq.ParquetFile(pa.BufferReader(content)) as file:
                if b"chaoskit" not in (file.schema_arrow.metadata or {}):
                    return _Table(source).read(file.read())
            return of_run(read_seen(pa.BufferReader(content)), source)
        except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
            raise HistoryError(
                source,
                0,
                f"is no Parquet file that can be read: {str(error).strip().partition(chr(10))[0]}",
                hint="its end tells where all is: was it cut short? The spool of a run, beside it, has every row",
            ) from error
        except StoreError as error:
            raise HistoryError(source, 0, error.message, hint=error.hint) from error

    def write(self, operations: Operations, out: BinaryIO) -> tuple[str, ...]:
        """One row per operation; keys, values and results as JSON."""
        return _write(operations, out)


FORMAT = Parquet()


def of_run(history: History | Seen, source: str) -> Operations:
    """The operations of a run. Its values are texts: those that are JSON are read as what they say.

    They stay texts where two different ones would become one value, and in histories of `get` and `put`, where texts
    are put together. Operations that never left the harness, and have no function, are left out and counted.
    """
    operations = Operations.of(history, source)
    strange = operations.f == NONE
    if strange.any():
        note = f"{int(strange.sum())} operations that never left the harness are left out: they asked for nothing"
        operations = operations.where(~strange).altered(notes=(*operations.notes, note))
    if {"get", "put"} & set(operations.functions):
        return operations
    return _meant(operations)


def _meant(operations: Operations) -> Operations:
    """Texts that are JSON as values. They get new ids; keys, and what is no JSON, keep the old ones."""
    seen = np.zeros(len(operations.values) + 1, dtype=np.bool_)
    seen[operations.value] = seen[operations.result] = True
    used = np.flatnonzero(seen[:-1])
    texts: list[str] = list(map(operations.values.__getitem__, used.tolist()))
    if _INTEGERS.fullmatch("\n".join([*texts, ""])):  # no two of them are one number: they have no needless zeros
        found, kept = list(map(int, texts)), np.ones(len(texts), dtype=np.bool_)
    else:
        found, kept = _parsed(texts)
        rest = {texts[at] for at in np.flatnonzero(~kept)}
        if len(rest.union(map(identity, found))) != len(texts):
            note = "values are texts, as they were recorded: read as JSON, two different ones would become equal"
            return operations.altered(notes=(*operations.notes, note))
    number = np.arange(len(operations.values) + 1, dtype=np.int64)
    number[-1] = NONE
    number[used[kept]] = len(operations.values) + np.arange(len(found))
    return operations.altered(
        value=number[operations.value],
        result=number[operations.result],
        values=[*operations.values, *found],
    )


def _parsed(texts: Sequence[str]) -> tuple[list[Any], NDArray[np.bool_]]:
    """The values of the texts that are JSON, and the mask of these texts."""
    kept = np.zeros(len(texts), dtype=np.bool_)
    found = []
    for at, text in enumerate(texts):
        if text[:1] not in _JSON:
            continue
        try:
            value = frozen(json.loads(text))
        except (ValueError, RecursionError):
            continue
        if value is not None:  # null is nil, which has no number; as a text it is something that was written
            found.append(value)
            kept[at] = True
    return found, kept


class _Table(Reading):
    """A table of operations on its way into columns, with the rules of JSON lines; `line` is the row."""

    def read(self, table: pyarrow.Table) -> Operations:
        """All of it.

        Raises:
            HistoryError: a column is missing, or holds something else, or no clients could have produced it.
        """
        names = table.column_names
        for needed in _NEEDED:
            if needed not in names:
                raise self._wrong(0, f"no column {needed!r}")
        if "began_ns" not in names and "invoked" not in names:
            raise self._wrong(0, "neither a column 'began_ns' nor 'invoked': nobody knows when operations began")
        self._only(tuple(names), KEYS, 0)
        if len(names) > len(set(names)):
            raise self._wrong(0, f"the column {max(names, key=names.count)!r} twice")
        if not table.num_rows:
            raise HistoryError(self._source, 0, "holds no operations: an empty history")
        head = (table.schema.metadata or {}).get(_METADATA)
        if head is not None:
            self._head(self._metadata(head), 0, first=True)
        count = table.num_rows
        columns: dict[str, NDArray[Any]] = {name: self._whole(table, name) for name in _WHOLE}
        columns["line"] = np.where(columns["line"] == ABSENT, np.arange(1, count + 1), columns["line"])
        columns["f"] = self._named(table, "f", self._functions)
        columns["node"] = self._named(table, "node", self._nodes)
        outcomes: dict[str, int] = {}
        outcome = self._named(table, "outcome", outcomes)
        for one in outcomes:
            if one not in OUTCOMES:
                row = int(np.argmax(outcome == outcomes[one])) + 1
                raise self._wrong(row, f"the outcome {one!r}; known are ok, fail, info")
        columns["outcome"] = np.array([OUTCOMES[one] for one in outcomes], np.uint8)[outcome]
        columns["final"] = self._flags(table)
        columns |= self._values_of(table)
        for name in _NEEDED:
            missing = columns[name] == (ABSENT if name == "process" else NONE)
            if missing.any():
                raise self._wrong(int(np.argmax(missing)) + 1, f"nothing in the column {name!r}")
        return self._made(columns)

    def _metadata(self, text: bytes) -> dict[str, Any]:
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._wrong(0, f"metadata {_METADATA.decode()!r} that is no JSON: {error}") from None
        if not isinstance(found, dict) or "schema_version" not in found:
            raise self._wrong(0, f"metadata {_METADATA.decode()!r} without a schema_version")
        return found

    def _whole(self, table: pyarrow.Table, name: str) -> NDArray[np.int64]:
        import pyarrow as pa

        if name not in table.column_names:
            return np.full(table.num_rows, ABSENT, np.int64)
        column = table[name]
        if not pa.types.is_integer(column.type) and column.null_count < len(column):
            raise self._wrong(0, f"a column {name!r} of {column.type}: it must hold integers")
        found: NDArray[np.int64] = integers(column.cast(pa.int64()), ABSENT)
        return found

    def _named(self, table: pyarrow.Table, name: str, known: dict[str, int]) -> NDArray[np.int16]:

        if name not in table.column_names:
            return np.full(table.num_rows, NONE, np.int16)
        coded = self._texts(table, name).dictionary_encode()
        if name == "outcome" and coded.null_count:
            raise self._wrong(int(np.argmin(present(coded))) + 1, "nothing in the column 'outcome'")
        names = texts(coded.dictionary)
        if len(names) > np.iinfo(np.int16).max:
            raise self._wrong(0, f"{len(names)} different names in {name!r}: no history has so many")
        known.update((text, number) for number, text in enumerate(names))
        return integers(coded.indices, NONE).astype(np.int16)

    def _texts(self, table: pyarrow.Table, name: str) -> pyarrow.Array:
        import pyarrow as pa

        column = table[name]
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if column.null_count < len(column) and not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise self._wrong(0, f"a column {name!r} of {column.type}: it must hold text")
        return pa.concat_arrays([*column.cast(pa.large_string()).chunks, pa.nulls(0, pa.large_string())])

    def _flags(self, table: pyarrow.Table) -> NDArray[np.bool_]:
        import pyarrow as pa

        if "final" not in table.column_names:
            return np.zeros(table.num_rows, np.bool_)
        column = table["final"]
        if column.null_count < len(column) and not pa.types.is_boolean(column.type):
            raise self._wrong(0, f"a column 'final' of {column.type}: it must hold true or false")
        return flags(column.cast(pa.bool_()))

    def _values_of(self, table: pyarrow.Table) -> dict[str, NDArray[Any]]:
        """Ids of keys, values and results: integers as they are, texts as the JSON that they are."""
        import pyarrow as pa

        made: dict[str, NDArray[Any]] = {}
        for name in _VALUES:
            if name not in table.column_names:
                made[name] = np.full(table.num_rows, NONE, np.int64)
                continue
            column = table[name]
            if pa.types.is_integer(column.type):
                coded = pa.concat_arrays([*column.chunks, pa.nulls(0, column.type)]).dictionary_encode()
                ids = self._values.integers(integers(coded.dictionary, NONE).tolist())
            else:
                coded = self._texts(table, name).dictionary_encode()
                ids = self._read_all(texts(coded.dictionary), name, coded)
            made[name] = np.array([*ids, NONE], np.int64)[integers(coded.indices, NONE)]
        return made

    def _read_all(self, texts: list[str], name: str, coded: pyarrow.Array) -> list[int]:
        if _INTEGERS.fullmatch("\n".join([*texts, ""])):
            return self._values.integers(list(map(int, texts)))
        found = []
        for number, text in enumerate(texts):
            try:
                value, end = self._decode(text, 0)
                json.dumps(value, ensure_ascii=False).encode()  # fails for half a surrogate pair
                if end != len(text):
                    raise ValueError("something after it")
            except (ValueError, RecursionError) as error:
                row = int(np.argmax(integers(coded.indices, NONE) == number)) + 1
                raise self._wrong(
                    row, f"{text[:40]!r} in the column {name!r}, which is no JSON ({error}); a text is in quotes there"
                ) from None
            found.append(self._values.number(self._value(value, 0, 0)))
        return found

    def _wrong(self, number: int, what: str) -> HistoryError:
        return HistoryError(
            self._source,
            number,
            f"found {what}",
            hint="expected one row per operation, with the columns of JSON lines (docs/histories.md)",
        )


def _write(operations: Operations, out: BinaryIO) -> tuple[str, ...]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    process, renamed = single_threaded(operations)
    invoked, completed = ranks(operations.invoked, operations.completed)
    every = np.sort(np.concatenate([operations.invoked, operations.completed[operations.completed != NEVER]]))
    marks = [
        {
            "label": mark.label,
            "rank": int(np.searchsorted(every, mark.rank)),
            "time_ns": None if mark.time_ns == NONE else mark.time_ns,
        }
        for mark in operations.marks
    ]
    head = {
        "schema_version": SCHEMA_VERSION,
        "source": operations.source,
        "marks": marks,
        "notes": list(operations.notes),
        "real_time": operations.real_time,
    }
    names = [name for name, number in sorted(OUTCOMES.items(), key=lambda one: one[1])]
    columns: dict[str, Any] = {
        "index": pa.array(operations.index),
        "process": pa.array(process),
        "session": pa.array(operations.session),
        "node": _named(operations.node, operations.nodes),
        "f": _named(operations.f, operations.functions),
    }
    texts = pa.array([json.dumps(plain(value), ensure_ascii=False) for value in operations.values], pa.large_string())
    for name in _VALUES:
        columns[name] = texts.take(_nullable(getattr(operations, name)))
    for name in ("began_ns", "ended_ns"):
        columns[name] = _nullable(getattr(operations, name))
    columns["outcome"] = _named(operations.outcome.astype(np.int16) - 1, names)
    columns["line"] = _nullable(operations.line)
    columns["final"] = pa.array(operations.final)
    columns["invoked"] = pa.array(invoked)
    columns["completed"] = _nullable(np.where(completed == NEVER, NONE, completed))
    table = pa.table(columns).replace_schema_metadata({_METADATA: json.dumps(head)})
    pq.write_table(table, out, compression="zstd")
    if renamed:
        return (
            f"{renamed} operations have another process: theirs did two things at once, or went on after an outcome "
            "that nobody knows; `session` is as it was",
        )
    return ()


def _nullable(column: NDArray[Any]) -> pyarrow.Array:
    import pyarrow as pa

    return pa.array(column, mask=column == NONE)


def _named(column: NDArray[Any], names: Sequence[str]) -> pyarrow.Array:
    import pyarrow as pa

    codes = pa.array(column.astype(np.int32), mask=column == NONE)
    return pa.DictionaryArray.from_arrays(codes, pa.array(list(names), pa.string()))
