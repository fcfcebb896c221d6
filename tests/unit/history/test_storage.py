from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaoskit.errors import StoreError
from chaoskit.history.frame import History
from chaoskit.history.operation import NONE, ROW, Answer, Outcome
from chaoskit.history.reading import read_spool
from chaoskit.history.storage import load_history, merge, read_parquet, write_parquet

texts = st.none() | st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(["k1", "k2"])
operations = st.lists(
    st.fixed_dictionaries(
        {
            "key": texts,
            "value": texts,
            "result": texts,
            "f": st.sampled_from([None, "read", "write", "ünder"]),
            "due": st.integers(-(10**12), 10**15),
            "sent": st.integers(-1, 10**15),
            "cls": st.integers(0, 1),
            "process": st.integers(0, 5),
            "closed": st.booleans(),
            "outcome": st.integers(1, 3),
            "answer": st.integers(0, 3),
            "status": st.sampled_from([-1, 200, 404]),
            "error": st.integers(0, 11),
            "phase": st.integers(0, 2),
            "attempt": st.integers(0, 3),
        }
    ),
    max_size=25,
)


def described(history: History) -> list[tuple[object, ...]]:
    """Rows as what they mean, in order; ids of texts do not count, texts do."""
    return [
        (
            *(history.text(row[column]) for column in ("key", "value_id", "result_id")),
            history.nodes[row["source"]],
            history.nodes[row["node"]],
            history.classes[row["cls"]],
            None if row["f"] == NONE else history.functions[row["f"]],
            *(int(row[str(name)]) for name in ROW.names or () if name not in ("key", "value_id", "result_id", "f")),
        )
        for row in history.rows
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(st.lists(operations, min_size=1, max_size=3))
def test_what_was_written_is_what_is_read(
    write_spool: Callable[..., None], workers: list[list[dict[str, object]]]
) -> None:
    with TemporaryDirectory() as name:
        cell = Path(name)
        for number, ops in enumerate(workers):
            write_spool(cell / "spool", ops, number)
        history = load_history(cell)
        assert history.damaged == ()
        assert history.origin_ns == 1000
        assert len(history.values) == len(set(history.values))
        flat = [
            (int(str(op["due"])), worker, slot, op) for worker, ops in enumerate(workers) for slot, op in enumerate(ops)
        ]
        flat.sort(key=lambda item: item[:3])
        for rank, (row, (due, worker, _, op)) in enumerate(zip(history.rows, flat, strict=True)):
            assert (row["index"], row["t_due"], row["worker"]) == (rank, due, worker)
            assert (history.text(row["key"]), history.text(row["value_id"])) == (op["key"], op["value"])
            assert history.text(row["result_id"]) == (op["result"] if op["closed"] else None)
            assert row["outcome"] == (op["outcome"] if op["closed"] else Outcome.OPEN)
            assert row["answer"] == (op["answer"] if op["closed"] else Answer.NONE)
            assert (None if row["f"] == NONE else history.functions[row["f"]]) == op["f"]

        write_parquet(history, cell / "history.parquet")
        again = load_history(cell)
        assert described(again) == described(history)
        assert (again.nodes, again.classes, again.functions, again.origin_ns) == (
            history.nodes, history.classes, history.functions, history.origin_ns,
        )  # fmt: skip
        assert sorted(path.name for path in cell.iterdir()) == ["history.parquet", "spool"]


def test_workers_become_one_history(tmp_path: Path, write_spool: Callable[..., None]) -> None:
    spool = tmp_path / "spool"
    write_spool(
        spool,
        [
            {"due": 30, "process": 0, "key": "same", "f": "read", "outcome": 2},
            {"due": 50, "process": 1, "key": "same", "f": "read", "attempt": 1, "parent": 0},
        ],
        worker=0,
    )
    write_spool(
        spool,
        [
            {"due": 10, "process": 0, "key": "other", "f": "write", "cls": 0},
            {"due": 40, "process": 0, "key": "same", "f": "read", "attempt": 1, "parent": 0},
        ],
        worker=1,
        classes=("b", "c"),
    )
    history = load_history(tmp_path)
    assert history.rows["t_due"].tolist() == [10, 30, 40, 50]
    assert history.rows["parent"].tolist() == [-1, -1, 0, 1]
    assert history.rows["process"].tolist() == [2, 0, 2, 1]
    assert history.classes == ("a", "b", "c")
    assert [history.classes[number] for number in history.rows["cls"]] == ["b", "a", "b", "a"]
    assert len(set(history.rows["key"][1:].tolist())) == 1
    assert [history.functions[number] for number in history.rows["f"]] == ["write", "read", "read", "read"]


def test_a_parent_that_was_damaged_is_no_parent(tmp_path: Path, write_spool: Callable[..., None]) -> None:
    write_spool(tmp_path, [{"due": n, "key": f"k{n}", "f": "r", "parent": n - 1} for n in range(3)])
    raw = bytearray((tmp_path / "w0.rows").read_bytes())
    raw[0] = 77  # the index of row 0
    (tmp_path / "w0.rows").write_bytes(raw)
    history = merge(read_spool(tmp_path))
    assert history.rows["t_due"].tolist() == [1, 2]
    assert history.rows["parent"].tolist() == [-1, 0]


def test_no_rows_at_all(tmp_path: Path, write_spool: Callable[..., None]) -> None:
    write_spool(tmp_path / "spool", [])
    history = load_history(tmp_path)
    assert len(history) == 0
    write_parquet(history, tmp_path / "history.parquet")
    assert len(load_history(tmp_path)) == 0
    assert merge([]).origin_ns == 0


def test_without_a_start_the_first_due_time_is_zero(tmp_path: Path, write_spool: Callable[..., None]) -> None:
    write_spool(tmp_path, [{"due": 500, "f": "r"}])
    head = tmp_path / "w0.json"
    head.write_text(head.read_text().replace('"origin_ns": 1000', '"origin_ns": null'))
    assert merge(read_spool(tmp_path)).origin_ns == 500


def test_workers_that_disagree_on_zero_are_told(tmp_path: Path, write_spool: Callable[..., None]) -> None:
    write_spool(tmp_path, [], worker=0, origin=1)
    write_spool(tmp_path, [], worker=1, origin=2)
    assert "do not agree on t=0" in merge(read_spool(tmp_path)).damaged[0]


def test_parquet_reads_well_in_other_tools(tmp_path: Path, write_spool: Callable[..., None]) -> None:
    write_spool(tmp_path / "spool", [{"due": 1500, "sent": -1, "f": "read", "key": "k", "status": -1, "outcome": 3}])
    write_parquet(load_history(tmp_path), tmp_path / "h.parquet")
    (row,) = pq.read_table(tmp_path / "h.parquet").to_pylist()
    assert (row["t_due"], row["t_sent"], row["status"], row["outcome"]) == (500, None, None, "info")
    assert (row["key"], row["value"], row["cls"], row["f"], row["phase"]) == ("k", None, "a", "read", "load")
    assert (row["source"], row["node"], row["error"]) == ("client", "api", "no-error")


def test_files_that_are_no_history(tmp_path: Path, write_spool: Callable[..., None]) -> None:
    with pytest.raises(StoreError, match="holds no history"):
        load_history(tmp_path)
    path = tmp_path / "history.parquet"
    write_spool(tmp_path / "spool", [{"due": 1, "f": "r"}])
    write_parquet(load_history(tmp_path), path)
    whole = path.read_bytes()
    for broken in (b"", b"PAR1", whole[: len(whole) // 2]):
        path.write_bytes(broken)
        with pytest.raises(StoreError, match="remove the file to read the spool"):
            load_history(tmp_path)
    table = pq.read_table(write(path, whole))
    pq.write_table(table.replace_schema_metadata({}), path)
    with pytest.raises(StoreError, match="not a history"):
        read_parquet(path)
    pq.write_table(table.replace_schema_metadata({b"chaoskit": b'{"schema_version": 99}'}), path)
    with pytest.raises(StoreError, match="schema_version 99"):
        read_parquet(path)
    pq.write_table(table.drop_columns(["key"]), path)
    with pytest.raises(StoreError, match="columns of a history"):
        read_parquet(path)


def write(path: Path, raw: bytes) -> Path:
    path.write_bytes(raw)
    return path


def test_a_parquet_file_that_cannot_be_written_leaves_nothing(tmp_path: Path, write_spool: Callable[..., None]) -> None:
    write_spool(tmp_path / "spool", [{"due": 1, "f": "r"}])
    history = load_history(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="the spool still holds every row"):
        write_parquet(history, tmp_path / "file" / "history.parquet")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").write_text("")
    with pytest.raises(StoreError):
        write_parquet(history, tmp_path / "taken")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "spool", "taken"]
