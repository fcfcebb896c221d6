"""Run directories: a cell, a run of one cell, and what is said about all others."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from chaoskit.errors import HistoryError
from chaoskit.history.interchange.open import open_history
from chaoskit.history.interchange.run import FORMAT
from chaoskit.history.reading import read_spool
from chaoskit.history.storage import merge, write_parquet

ONE = {"f": "write", "key": "k", "value": "5", "due": 2000, "sent": 2010, "end": 2500}


def events(cell: Path, *more: str) -> None:
    lines = [
        {"t": 2600, "kind": "end", "id": "cut"},
        {"t": 1000, "kind": "origin"},
        {"t": 2300, "kind": "begin", "id": "cut", "confirmed_ns": 2200},
    ]
    (cell / "events.jsonl").write_text("\n".join([*map(json.dumps, lines), *more]))


@pytest.mark.parametrize("whole", [False, True])
def test_a_cell_and_the_run_of_one_cell(whole: bool, write_spool: Callable[..., None], tmp_path: Path) -> None:
    cell = tmp_path / "cells" / "default" / "1"
    write_spool(cell / "spool", [ONE])
    if whole:
        write_parquet(merge(read_spool(cell / "spool")), cell / "history.parquet")
    events(cell, '{"t": 27')
    for folder in (cell, tmp_path):
        found, format = open_history(folder)
        assert format == "run"
        assert found.source == str(cell)
        assert found.of_value(found.value[0]) == 5
        assert [(mark.label, mark.rank, mark.time_ns) for mark in found.marks] == [
            ("begin cut", 1, 1200),
            ("end cut", 2, 1600),
        ]
        assert found.notes == ("events.jsonl: 1 lines that are no event; faults may be missing in diagrams",)


def test_a_run_of_several_cells_says_which_to_name(write_spool: Callable[..., None], tmp_path: Path) -> None:
    for trial in ("1", "2"):
        write_spool(tmp_path / "cells" / "default" / trial / "spool", [ONE])
    with pytest.raises(HistoryError, match="a run of 2 cells") as raised:
        open_history(tmp_path)
    assert f"{tmp_path}/cells/default/2" in (raised.value.hint or "")


def test_folders_without_a_history(write_spool: Callable[..., None], tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="holds no run history"):
        open_history(tmp_path, "run")
    (tmp_path / "cells" / "default" / "1").mkdir(parents=True)
    with pytest.raises(HistoryError, match="without any history"):
        open_history(tmp_path)
    write_spool(tmp_path / "cells" / "default" / "1" / "spool", [])
    with pytest.raises(HistoryError, match="an empty history"):
        open_history(tmp_path)
    (tmp_path / "cells" / "default" / "1" / "history.parquet").write_bytes(b"PAR1")
    with pytest.raises(HistoryError, match="not a history written by chaoskit"):
        open_history(tmp_path)


def test_a_file_is_no_run(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    path.write_text('{"process": 0, "f": "read", "outcome": "info", "began_ns": 1}\n')
    with pytest.raises(HistoryError, match="a run is a folder"):
        open_history(path, "run")
    with pytest.raises(HistoryError, match="cannot be written as a run"):
        FORMAT.write(open_history(path)[0], io.BytesIO())
