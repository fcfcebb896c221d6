from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaoskit.errors import StoreError
from chaoskit.store import EventLog, RunDir, conceal, read_jsonl, write_atomic


def test_a_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "a.json"
    write_atomic(path, "one")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(StoreError, match="No space left"):
        write_atomic(path, "two")
    assert path.read_text() == "one"
    assert list(path.parent.iterdir()) == [path]


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.append({"t": 1}, sync=True)
    log.append({"t": 2})
    log.close()
    log.close()
    with open(log.path, "ab") as file:
        file.write(b'{"t": 3, "ki')
    assert [event["t"] for event in read_jsonl(log.path)] == [1, 2]
    assert list(read_jsonl(tmp_path / "missing")) == []


def test_a_full_disk_is_a_sentence() -> None:
    log = EventLog(Path("/dev/full"))
    with pytest.raises(StoreError, match=r"/dev/full: No space left"):
        log.append({"t": 1})
    log.close()


def test_run_directories(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, "a name/with ../odd parts")
    assert run.path.parent.parent == tmp_path
    assert run.cell("patient", 2) == run.path / "cells" / "patient" / "2"
    run.write_json("run.json", {"status": "done"})
    assert json.loads(run.read_text("run.json")) == {"schema_version": 1, "status": "done"}
    run.file("plan.json").write_text('{"schema_version": 99}')
    with pytest.raises(StoreError, match="schema_version 99"):
        run.read_text("plan.json")
    run.file("plan.json").write_text("[]")
    with pytest.raises(StoreError, match="not a JSON object"):
        run.read_text("plan.json")
    with pytest.raises(StoreError, match="is this a run directory"):
        run.read_text("analysis.json")


def test_a_place_that_cannot_be_written_names_the_option(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot make the run directory") as caught:
        RunDir.create(tmp_path / "file", "x")
    assert "--runs" in str(caught.value)


def test_values_of_secret_variables_become_their_names() -> None:
    environ = {"DB_PASSWORD": 'hunter"22', "API_TOKEN": "abc", "HOME": "/home/someone", "MY_SECRET": 'not-hunter"22'}
    text = "url: postgresql://app:hunter\"22@db home: /home/someone token: abc both: 'not-hunter\"22'"
    assert conceal(text, environ) == (
        "url: postgresql://app:${DB_PASSWORD}@db home: /home/someone token: abc both: '${MY_SECRET}'"
    )
    assert conceal(json.dumps({"a": 'x hunter"22'}), environ) == '{"a": "x ${DB_PASSWORD}"}'
