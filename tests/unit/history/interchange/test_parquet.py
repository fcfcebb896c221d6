"""Parquet: what a cell stored, tables of operations, and everything that is neither."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from histories.files import again, any_history, told
from hypothesis import given, settings

from chaoskit.errors import HistoryError
from chaoskit.history.interchange.open import open_history
from chaoskit.history.interchange.parquet import FORMAT
from chaoskit.history.operation import NONE, Outcome
from chaoskit.history.operations import NEVER, Operations
from chaoskit.history.reading import read_spool
from chaoskit.history.storage import merge, write_parquet

ROWS: dict[str, list[Any]] = {
    "process": [0, 1],
    "f": ["write", "read"],
    "value": ["1", None],
    "result": [None, "1"],
    "outcome": ["ok", "ok"],
    "began_ns": [10, 12],
    "ended_ns": [40, 38],
}


def table(**columns: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({name: one for name, one in (ROWS | columns).items() if one is not None}), out)
    return out.getvalue()


def read(content: bytes) -> Operations:
    return FORMAT.read(io.BytesIO(content), "file")


@settings(max_examples=60, deadline=None)
@given(any_history())
def test_round_trip(history: Operations) -> None:
    count = np.arange(len(history))
    history = history.altered(
        index=count * 3, node=(count % 2).astype(np.int16), nodes=("n1", "n2"), session=count % 3,
        final=count % 4 == 1, key=history.value, source="file", notes=("left out: 3",),
    )  # fmt: skip
    back = again(FORMAT, history)
    columns = ("index", "session", "began_ns", "ended_ns", "line", "final")
    assert told(back, *columns) == told(history.where(np.argsort(history.invoked)), *columns)
    assert back.notes == history.notes
    assert [mark.label for mark in back.marks] == [mark.label for mark in history.marks]


def test_anybodys_table() -> None:
    found = read(table())
    assert found.outcome.tolist() == [Outcome.OK, Outcome.OK]
    assert [found.of_value(one) for one in found.result] == [None, 1]
    assert found.line.tolist() == [1, 2]
    numbers = read(table(value=[1, None], final=[None, True], node=[None, "n2"]))
    assert numbers.value.tolist() == found.value.tolist()
    assert numbers.final.tolist() == [False, True]
    assert numbers.node.tolist() == [NONE, 0]


@pytest.mark.parametrize(
    ("columns", "line", "what"),
    [
        ({"process": None}, 0, "no column 'process'"),
        ({"began_ns": None}, 0, "neither a column 'began_ns' nor 'invoked'"),
        ({"vaule": [1, 2]}, 0, "did you mean 'value'"),
        ({"outcome": ["ok", "good"]}, 2, "outcome 'good'"),
        ({"outcome": ["ok", None]}, 2, "nothing in the column 'outcome'"),
        ({"f": [None, "read"]}, 1, "nothing in the column 'f'"),
        ({"process": [0.5, 1.0]}, 0, "it must hold integers"),
        ({"f": [1, 2]}, 0, "it must hold text"),
        ({"final": [1, 2]}, 0, "true or false"),
        ({"value": ["one", None]}, 1, "'one' in the column 'value', which is no JSON"),
        ({"value": ["[" * 5000, None]}, 1, "no JSON"),
        ({"value": ['{"a": 1, "a": 2}', None]}, 1, "twice"),
        ({"value": ["1 2", None]}, 1, "something after it"),
        ({"ended_ns": [5, 38]}, 1, "ended_ns before began_ns"),
        ({"process": [0, 0]}, 2, "two operations open"),
        ({"outcome": ["info", "ok"], "process": [0, 0], "ended_ns": [11, 38]}, 2, "goes on after"),
        ({"result": [None, "1"], "outcome": ["ok", "fail"]}, 2, "only an outcome of ok has"),
        ({"index": [4, 4]}, 2, "index 4 of an earlier"),
        ({"v" * 5000: [1, 2]}, 0, "the unknown key 'v{40}';"),
    ],
)  # fmt: skip
def test_a_table_that_is_no_history(columns: dict[str, Any], line: int, what: str) -> None:
    with pytest.raises(HistoryError, match=what) as raised:
        read(table(**columns))
    assert raised.value.line == line


def test_files_that_are_none(tmp_path: Path) -> None:
    for content in (table()[:-20], b"PAR1", b"PAR1" + b"\0" * 100):
        with pytest.raises(HistoryError, match="cut short") as raised:
            read(content)
        assert raised.value.file == "file"
    with pytest.raises(HistoryError, match="no operations"):
        read(table(**{name: pa.array([], pa.int64()) for name in ("process", "began_ns", "ended_ns")},
                   **{name: pa.array([], pa.string()) for name in ("f", "outcome", "value", "result")}))  # fmt: skip
    whole = pq.read_table(pa.BufferReader(table()))
    for metadata, found, what in (
        ({}, whole.append_column("f", whole["f"]), "the column 'f' twice"),
        ({b"chaoskit-operations": b"{"}, whole, "that is no JSON"),
        ({b"chaoskit-operations": b"[1]"}, whole, "without a schema_version"),
    ):
        pq.write_table(found.replace_schema_metadata(metadata), tmp_path / "x")
        with pytest.raises(HistoryError, match=what):
            open_history(tmp_path / "x")
    strange = pa.table({"a": [1]}).replace_schema_metadata({b"chaoskit": b"{}"})
    pq.write_table(strange, tmp_path / "x")
    with pytest.raises(HistoryError, match="not a history written by chaoskit"):
        open_history(tmp_path / "x")


def stored(write_spool: Callable[..., None], folder: Path, operations: list[dict[str, object]]) -> Operations:
    write_spool(folder / "spool", operations)
    write_parquet(merge(read_spool(folder / "spool")), folder / "history.parquet")
    found, format = open_history(folder / "history.parquet")
    assert format == "parquet"
    return found


def test_the_history_of_a_cell(write_spool: Callable[..., None], tmp_path: Path) -> None:
    found = stored(
        write_spool,
        tmp_path,
        [
            {"f": "write", "key": "5", "value": "5", "due": 2000, "sent": 2010, "end": 2500},
            {"f": "read", "key": "5", "result": "[1, 2]", "due": 2100, "sent": 2110, "end": 2600, "process": 1},
            {
                "f": "write",
                "key": "5",
                "value": "6",
                "due": 2200,
                "sent": 2210,
                "end": 2700,
                "process": 2,
                "outcome": 3,
            },
            {"due": 2300, "outcome": 2, "answer": 0, "process": 3},
        ],
    )
    assert len(found) == 3
    assert "1 operations that never left the harness are left out" in found.notes[0]
    assert [found.of_value(one) for one in found.value] == [5, None, 6]
    assert [found.of_value(one) for one in found.key] == ["5"] * 3
    assert found.of_value(found.result[1]) == (1, 2)
    assert found.completed[2] == NEVER
    assert found.began_ns.tolist() == [1010, 1110, 1210]


def test_texts_stay_texts_where_json_would_make_two_of_them_one(
    write_spool: Callable[..., None], tmp_path: Path
) -> None:
    written = [("write", "1e1", 1), ("write", "10.0", 9)]
    found = stored(write_spool, tmp_path, [{"f": f, "value": one, "due": at, "end": at} for f, one, at in written])
    assert [found.of_value(one) for one in found.value] == ["1e1", "10.0"]
    assert "two different ones would become equal" in found.notes[0]
    put = [("put", "1", 1), ("append", "1", 9)]
    found = stored(write_spool, tmp_path / "kv", [{"f": f, "value": one, "due": at, "end": at} for f, one, at in put])
    assert [found.of_value(one) for one in found.value] == ["1", "1"]
