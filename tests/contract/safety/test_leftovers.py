"""What a run leaves on disk, in every state that a crash can leave it in; full disks; stopping from elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chaoskit.errors import HealError, LeftoverError, UsageError
from chaoskit.linux import boot_id
from chaoskit.safety import recover as recovering
from chaoskit.safety.active import ActiveRun, leftovers, pid_namespace, register, running, unregister
from chaoskit.safety.recover import preflight, recover, stop

Started = Callable[..., tuple[Any, bool]]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHAOSKIT_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def dead(tmp_path: Path, state: Path) -> Callable[..., ActiveRun]:
    """A run on record whose supervisor is dead."""

    def make(name: str = "run-1", **fields: Any) -> ActiveRun:
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        gone = (2**22 + 7, 1)  # beyond the largest pid
        entry = ActiveRun(
            run=name, directory=str(folder), supervisor=gone, engine=gone, boot_id=boot_id(), namespace=pid_namespace()
        )
        return register(entry.model_copy(update=fields))

    return make


def test_leftovers_block_new_runs_until_recovered(dead: Callable[..., ActiveRun]) -> None:
    preflight()
    entry = dead()
    assert [found.run for found in leftovers()] == ["run-1"] and running() == []
    with pytest.raises(LeftoverError, match="run-1") as caught:
        preflight()
    assert caught.value.exit_code == 5 and caught.value.hint == "chaoskit recover"
    report = recover()
    assert report.left == [] and report.exit_code == 0 and any("run-1" in line for line in report.lines())
    preflight()
    assert recover().lines() == ["nothing to recover: no run left anything behind"]
    assert not Path(entry.file).exists()
    unregister(entry)


LEDGERS: dict[str, bytes | None] = {
    "missing": None,
    "empty": b"",
    "torn": b'{"kind":"header","run":"run-1","boot_id":"x","pid_namespace":false,"supervisor":{"pid":1,"sta',
    "binary": bytes(range(256)) * 40,
    "nonsense": b'{"kind":"undo"}\n{"kind":"process","outer":"many"}\n[1]\n"x"\n{}\n{"kind":7}\n{"kind":"ended"}\n',
    "half": (
        b'{"t":1,"kind":"header","run":"run-1","boot_id":"x","pid_namespace":false,"supervisor":{"pid":4194311,'
        b'"start_ticks":1}}\n{"t":2,"kind":"undo","effects":[{"id":"a/1"}],"undo":{},"deadline_ns":1}\n{"t":3,"kind":"conf'
    ),
}


@pytest.mark.parametrize("name", LEDGERS)
def test_any_ledger_can_be_recovered_twice(dead: Callable[..., ActiveRun], name: str) -> None:
    entry = dead()
    path = Path(entry.directory) / "ledger.jsonl"
    content = LEDGERS[name]
    if content is not None:
        path.write_bytes(content)
    report = recover()
    assert report.left == []
    assert ("1 fault(s) active" in " ".join(report.found)) is (name == "half")
    last = path.read_bytes().splitlines()[-1]
    assert json.loads(last)["kind"] == "recovered"
    assert recover().summary() == {"found": [], "done": [], "left": []}


def test_a_vanished_run_directory_is_no_obstacle(dead: Callable[..., ActiveRun]) -> None:
    entry = dead()
    shutil.rmtree(entry.directory)
    assert recover().left == []
    assert leftovers() == []


def test_after_a_reboot_only_files_are_touched(dead: Callable[..., ActiveRun], tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "1000"], env={"CHAOSKIT_RUN": "run-1", "PATH": os.environ["PATH"]}) as process:
        try:
            lease = tmp_path / "lease"
            lease.touch()
            me = (os.getpid(), Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
            entry = dead(boot_id="another", supervisor=(me[0], int(me[1])), namespace="another")
            (Path(entry.directory) / "ledger.jsonl").write_text(json.dumps({"kind": "file", "path": str(lease)}) + "\n")
            report = recover()
            assert report.left == [] and "restarted" in report.found[0]
            assert process.poll() is None and not lease.exists()
        finally:
            process.kill()


def test_processes_are_found_by_mark_by_log_and_by_identity(dead: Callable[..., ActiveRun]) -> None:
    entry = dead()
    log = Path(entry.directory) / "blocks" / "v" / "logs" / "db.log"
    log.parent.mkdir(parents=True)
    path = {"PATH": os.environ["PATH"]}
    with open(log, "wb") as out:
        by_mark = subprocess.Popen(["sleep", "1000"], env={**path, "CHAOSKIT_RUN": "run-1"})
        by_log = subprocess.Popen(["sh", "-c", "sleep 1000 & wait"], env=path, stdout=out, stderr=out)
        by_identity = subprocess.Popen(["sleep", "1000"], env=path)
        reader = subprocess.Popen(["tail", "-f", str(log)], env=path, cwd=log.parent, stdout=subprocess.DEVNULL)
        longer = subprocess.Popen(["sleep", "1000"], env={**path, "CHAOSKIT_RUN": "run-12"})
    everybody = [by_mark, by_log, by_identity, reader, longer]
    try:
        ticks = int(Path(f"/proc/{by_identity.pid}/stat").read_text().rpartition(")")[2].split()[19])
        reused = {"kind": "process", "name": "x", "pid": reader.pid, "outer": reader.pid, "start_ticks": 1}
        known = {"kind": "process", "name": "x", "pid": 2, "outer": by_identity.pid, "start_ticks": ticks}
        (Path(entry.directory) / "ledger.jsonl").write_text(json.dumps(reused) + "\n" + json.dumps(known) + "\n")
        report = recover()
        assert report.left == [] and "killed 4 processes" in " ".join(report.done)
        assert [process.wait(30) for process in everybody[:3]] == [-9, -9, -9]
        assert reader.poll() is None, "somebody who reads a log is not part of the run, nor is a pid used again"
        assert longer.poll() is None, "another run whose name begins alike"
    finally:
        for process in everybody:
            process.kill()
            process.wait()


def test_runs_of_another_pid_namespace_and_unreadable_entries_are_left_alone(
    dead: Callable[..., ActiveRun], state: Path
) -> None:
    entry = dead(namespace="pid:[1]")
    (state / "active" / "broken.json").write_text("{")
    assert leftovers() == []
    assert recover().lines() == ["nothing to recover: no run left anything behind"]
    assert Path(entry.file).exists()


def test_state_that_cannot_be_had_is_an_environment_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from chaoskit.errors import EnvironmentFault
    from chaoskit.safety.active import state_dir

    (tmp_path / "file").touch()
    monkeypatch.setenv("CHAOSKIT_STATE", str(tmp_path / "file" / "state"))
    with pytest.raises(EnvironmentFault, match="no folder for the state"):
        state_dir()
    monkeypatch.delenv("CHAOSKIT_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_dir() == tmp_path / ".local/state/chaoskit"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert state_dir() == tmp_path / "xdg/chaoskit" and state_dir().stat().st_mode & 0o777 == 0o700


def test_a_run_that_goes_on_is_in_use_and_no_leftover(started_twice: Started) -> None:
    engine, _ = started_twice()
    going_on = "from chaoskit.safety.active import running; print(*(entry.run for entry in running()))"
    engine.python("from chaoskit.safety.recover import preflight; preflight()")
    assert engine.python(going_on).split() == [engine.run]
    report = engine.recover()
    assert "left alone" in report["found"][0] and report["done"] == report["left"] == []
    assert len(engine.bent()) == 2
    engine.ask("bye")
    engine.wait_for(event="over")
    assert engine.python(going_on).split() == []


def test_stop_from_another_terminal(started: Started) -> None:
    engine, _ = started()
    code = "from chaoskit.safety.recover import stop\nfor line in stop(): print(line)"
    found: list[str] = []
    other = threading.Thread(target=lambda: found.append(engine.python(code)))
    other.start()
    assert engine.wait_for(event="stopped")
    assert engine.bent() == []
    answer = engine.ask("begin 100")
    assert answer["type"] == "Interrupted" and "chaoskit stop" in answer["message"]
    engine.ask("bye")
    other.join(60)
    assert "healed and ended" in found[0]
    assert engine.marked() == [] and engine.active() == []


def test_stop_of_a_run_whose_engine_does_not_listen(started_twice: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, _ = started_twice()
    monkeypatch.setenv("CHAOSKIT_STATE", str(engine.root / "state"))
    lines = list(stop(engine.run))
    assert lines[-1] == f"{engine.run}: healed and ended"
    assert engine.marked() == [] and engine.bent() == [] and engine.active() == []
    assert engine.wait_for(event="dead")


def test_stop_of_a_run_whose_supervisor_does_not_answer(
    started_twice: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, _ = started_twice()
    monkeypatch.setenv("CHAOSKIT_STATE", str(engine.root / "state"))
    monkeypatch.setattr(recovering, "_PATIENCE", (1.0, 30.0))
    os.kill(engine.ready["supervisor"], signal.SIGSTOP)
    lines = list(stop())
    assert lines[-1] == f"{engine.run}: healed and ended"
    assert engine.marked() == [] and engine.bent() == []


def test_nothing_to_stop(state: Path) -> None:
    with pytest.raises(UsageError, match="no run is going on"):
        list(stop())
    with pytest.raises(UsageError, match="no run called x"):
        list(stop("x"))


def test_stop_where_the_request_cannot_be_written(started_twice: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, _ = started_twice()
    monkeypatch.setenv("CHAOSKIT_STATE", str(engine.root / "state"))
    monkeypatch.setattr(Path, "touch", lambda *a, **k: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(HealError, match="No space left"):
        list(stop())


@pytest.mark.needs("root")
def test_full_disk_refuses_to_inject_and_still_heals(small_disk: Path, started_twice: Started) -> None:
    engine, _ = started_twice()
    fill(small_disk)
    assert engine.ask("end")["answer"] > 0
    assert engine.bent() == []
    answer: dict[str, Any] = {"answer": 1}
    while answer["answer"] != "error":  # the last page of the ledger has room for a few records
        answer = engine.ask("begin 100")
        if answer["answer"] != "error":
            engine.ask("end")
    assert answer["type"] == "StoreError" and "ledger.jsonl" in answer["message"] and answer["hint"]
    assert engine.bent() == []
    (small_disk / "filler").unlink()
    assert engine.ask("begin 100")["answer"] > 0
    fill(small_disk)
    engine.process.kill()
    until(lambda: not engine.marked() and not engine.active(), "healed and ended with a full disk")
    assert engine.bent() == []


def fill(place: Path) -> None:
    with open(place / "filler", "wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                pass


def until(true: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + 60.0
    while not true():
        assert time.monotonic() < end, f"not within a minute: {what}"
        time.sleep(0.02)
