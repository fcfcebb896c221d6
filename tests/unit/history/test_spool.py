from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chaoskit.errors import StoreError
from chaoskit.history.operation import ROW, Outcome
from chaoskit.history.reading import read_spool
from chaoskit.history.spool import MAX_FUNCTIONS, MAX_TEXT, SpoolWriter
from chaoskit.history.storage import merge

WRITER = """
import sys
from pathlib import Path
from chaoskit.history.spool import SpoolWriter

spool = SpoolWriter(Path(sys.argv[1]), 0, nodes=["client", "api"], classes=["a"], rows=int(sys.argv[2]))
spool.set_origin(0)
out = sys.stdout
number = 0
while True:
    key, value = spool.intern(f"key-{number}"), spool.intern("v" * (number % 300) + str(number))
    common = dict(key=key, value_id=value, t_due=number, t_sent=number + 1, phase=1, bytes_out=1)
    row = spool.open(process=0, source=0, node=1, cls=0, f=spool.function(f"f{number % 20}"), **common)
    out.write(f"opened {number}\\n"); out.flush()
    if number % 3:
        result = spool.intern(f"result-{number}")
        spool.close_row(row, result_id=result, t_first=number + 2, t_end=number + 3, bytes_in=1, status=200, error=0,
                        outcome=1, answer=1, **common)
        out.write(f"closed {number}\\n"); out.flush()
    number += 1
"""


@pytest.mark.parametrize("rows", [0, 100_000])
def test_everything_written_before_a_kill_is_read_back(tmp_path: Path, rows: int) -> None:
    folder = tmp_path / "spool"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(rows)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(8_000)]
        child.send_signal(signal.SIGKILL)
        said += child.stdout.readlines()
    opened = {int(line.split()[1]) for line in said if line.startswith("opened") and line.endswith("\n")}
    closed = {int(line.split()[1]) for line in said if line.startswith("closed") and line.endswith("\n")}

    (part,) = read_spool(folder)
    history = merge([part])
    assert part.damaged == ()
    assert len(history) >= len(opened)
    for number in sorted(opened):
        row = history.rows[number]
        assert history.text(row["key"]) == f"key-{number}"
        assert history.text(row["value_id"]) == "v" * (number % 300) + str(number)
        assert history.functions[row["f"]] == f"f{number % 20}"
        if number in closed:
            assert (row["outcome"], history.text(row["result_id"])) == (Outcome.OK, f"result-{number}")
        elif number % 3 == 0:
            assert (row["outcome"], row["t_end"], row["result_id"], row["status"]) == (Outcome.OPEN, -1, -1, -1)


def test_a_full_disk_is_an_error_when_the_file_grows_and_keeps_what_was_measured(tmp_path: Path) -> None:
    """A limit on file size stands for the full disk: the kernel refuses to allocate in the same place."""
    code = WRITER.replace("spool = Spool", "import resource\nspool = Spool", 1).replace(
        "out = sys.stdout",
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, 4_000_000))\nout = open('/dev/null', 'w')",
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), "0"], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "StoreError: cannot write" in done.stderr
    assert "what was measured is kept" in done.stderr
    (part,) = read_spool(tmp_path)
    assert part.damaged == ()
    assert len(part.rows) >= 10_000
    assert part.rows["t_due"].tolist() == list(range(len(part.rows)))


def test_once_full_nothing_more_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = SpoolWriter(tmp_path, 0, nodes=["client", "api"], classes=["a"])

    def full(fd: int, offset: int, length: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    texts = ("x" * 50_000 + str(number) for number in range(10**6))
    with pytest.raises(StoreError, match="No space left on device"):
        next(text for text in texts if spool.intern(text) < 0)
    with pytest.raises(StoreError):
        spool.open(process=0, source=0, node=1, cls=0, f=-1, key=-1, value_id=-1, t_due=0, t_sent=0, phase=1)
    assert spool.failed is not None
    spool.close()


def test_a_torn_last_row_never_left_and_a_torn_close_is_still_open(
    tmp_path: Path, write_spool: Callable[..., None]
) -> None:
    write_spool(tmp_path, [{"key": "k", "due": n, "f": "w", "closed": n != 1} for n in range(3)])
    raw = bytearray((tmp_path / "w0.rows").read_bytes())
    state = ROW.fields["state"][1] if ROW.fields else 0
    raw[2 * ROW.itemsize + state] = 0  # row 2: killed before the last byte
    outcome = ROW.fields["outcome"][1] if ROW.fields else 0
    raw[ROW.itemsize + outcome] = Outcome.OK  # row 1: killed while it was being completed
    (tmp_path / "w0.rows").write_bytes(raw)
    (part,) = read_spool(tmp_path)
    assert part.damaged == ()
    assert part.rows["outcome"].tolist() == [Outcome.OK, Outcome.OPEN]


def test_damage_in_the_middle_is_left_out_and_told(tmp_path: Path, write_spool: Callable[..., None]) -> None:
    write_spool(tmp_path, [{"key": f"key {n}", "due": n, "f": "w"} for n in range(6)])
    raw = bytearray((tmp_path / "w0.rows").read_bytes())
    raw[1 * ROW.itemsize : 2 * ROW.itemsize] = bytes(ROW.itemsize)
    cls = ROW.fields["cls"][1] if ROW.fields else 0
    raw[2 * ROW.itemsize + cls] = 99
    (tmp_path / "w0.rows").write_bytes(raw)
    values = bytearray((tmp_path / "w0.values").read_bytes())
    values[values.index(b"key 4")] ^= 1
    (tmp_path / "w0.values").write_bytes(values)
    (part,) = read_spool(tmp_path)
    assert part.rows["t_due"].tolist() == [0, 3, 5]
    assert [note.split(": ", 2)[1:] for note in part.damaged] == [
        ["1 row left out", "torn (first: row 1)"],
        ["1 row left out", "name something that is in no table (first: row 2)"],
        ["1 row left out", "name a text that cannot be read (first: row 4)"],
    ]


def test_values_cut_short_cost_the_rows_that_name_them(tmp_path: Path, write_spool: Callable[..., None]) -> None:
    write_spool(tmp_path, [{"key": f"key {n}", "due": n, "f": "w"} for n in range(5)])
    values = (tmp_path / "w0.values").read_bytes()
    (tmp_path / "w0.values").write_bytes(values[: values.index(b"key 3") + 2])
    (part,) = read_spool(tmp_path)
    assert len(part.rows) == 3
    assert "2 rows left out: name a text that cannot be read" in part.damaged[0]
    (tmp_path / "w0.values").unlink()
    assert len(read_spool(tmp_path)[0].rows) == 0


@pytest.mark.parametrize("junk", [b"", b"\xff" * 5000, b"\0" * 5000, os.urandom(110 * 40)])
def test_junk_is_no_reason_to_crash(tmp_path: Path, write_spool: Callable[..., None], junk: bytes) -> None:
    write_spool(tmp_path, [{"key": "k", "due": 1, "f": "w"}])
    (tmp_path / "w0.rows").write_bytes(junk)
    (tmp_path / "w0.values").write_bytes(junk)
    (part,) = read_spool(tmp_path)
    assert len(part.rows) == 0
    assert bool(part.damaged) == any(junk)


def test_texts_of_every_kind(tmp_path: Path) -> None:
    spool = SpoolWriter(tmp_path, 0, nodes=["client", "api"], classes=["a"])
    texts = ["", "ü€😀", "\ud800 alone", "\0\n", "x" * MAX_TEXT, "x" * (MAX_TEXT + 1), "x" * (MAX_TEXT + 2)]
    ids = [spool.intern(text) for text in texts]
    assert len(set(ids)) == len(ids)
    assert spool.intern("ü€😀") == ids[1]
    spool.close()
    (part,) = read_spool(tmp_path)
    assert part.values[:2] + part.values[3:5] == [*texts[:2], *texts[3:5]]
    assert part.values[2] == "\\ud800 alone"
    assert all(len(str(text)) < 400 and "sha256" in str(text) for text in part.values[5:])
    assert part.values[5] != part.values[6]


def test_two_writers_of_one_number_are_refused(tmp_path: Path) -> None:
    first = SpoolWriter(tmp_path, 3, nodes=["client"], classes=["a"])
    with pytest.raises(StoreError, match="another worker 3"):
        SpoolWriter(tmp_path, 3, nodes=["client"], classes=["a"])
    first.close()
    first.close()


def test_function_names_are_bounded(tmp_path: Path) -> None:
    spool = SpoolWriter(tmp_path, 0, nodes=["client"], classes=["a"])
    assert [spool.function(str(number)) for number in range(MAX_FUNCTIONS)] == list(range(MAX_FUNCTIONS))
    with pytest.raises(ValueError, match="put data into key or value"):
        spool.function("one more")
    spool.close()


def test_a_newer_or_foreign_spool_is_refused(tmp_path: Path, write_spool: Callable[..., None]) -> None:
    write_spool(tmp_path, [])
    head = json.loads((tmp_path / "w0.json").read_text())
    for change, message in (
        ({"schema_version": 99}, "use the chaoskit that wrote it"),
        ({"columns": [["index", "<i8"]]}, "another shape"),
        ({"nodes": 5}, "another shape"),
    ):
        (tmp_path / "w0.json").write_text(json.dumps({**head, **change}))
        with pytest.raises(StoreError, match=message):
            read_spool(tmp_path)
    (tmp_path / "w0.json").write_text("{")
    with pytest.raises(StoreError, match="does not name the columns"):
        read_spool(tmp_path)
    (tmp_path / "w0.json").unlink()
    (part,) = read_spool(tmp_path)
    assert "names w0.json are missing" in part.damaged[0]
