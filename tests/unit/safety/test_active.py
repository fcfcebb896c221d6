"""The state folder: private to the user, and the stop file that blocks all runs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chaoskit.errors import EnvironmentFault, ExitCode
from chaoskit.linux import boot_id
from chaoskit.safety import active
from chaoskit.safety.active import ActiveRun, blocked, pid_namespace, register, running, state_dir, unregister
from chaoskit.safety.recover import preflight, recover, stop_all, unblock


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHAOSKIT_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def dead(tmp_path: Path, state: Path) -> Callable[..., ActiveRun]:
    """A run on record whose supervisor is dead."""

    def make(run: str = "run-1") -> ActiveRun:
        folder = tmp_path / "runs" / "x" / run
        folder.mkdir(parents=True)
        gone = (2**22 + 7, 1)  # beyond the largest pid
        return register(
            ActiveRun(
                run=run,
                directory=str(folder),
                supervisor=gone,
                engine=gone,
                boot_id=boot_id(),
                namespace=pid_namespace(),
            )
        )

    return make


def mode(path: Path) -> int:
    return path.lstat().st_mode & 0o777


def test_the_folder_and_its_files_are_private(dead: Callable[..., ActiveRun], state: Path) -> None:
    entry = dead()
    state_dir()
    assert (mode(state), mode(state / "active"), mode(Path(entry.file))) == (0o700, 0o700, 0o600)


def test_what_was_open_is_closed(dead: Callable[..., ActiveRun], state: Path) -> None:
    entry = dead()
    entry.stop_file.touch()
    for path in (state, state / "active"):
        path.chmod(0o777)
    for path in (Path(entry.file), entry.stop_file):
        path.chmod(0o666)
    state_dir()
    assert (mode(state), mode(state / "active")) == (0o700, 0o700)
    assert (mode(Path(entry.file)), mode(entry.stop_file)) == (0o600, 0o600)


def test_a_folder_that_holds_other_things_is_not_closed_to_others(state: Path) -> None:
    state.mkdir(mode=0o755)
    (state / "letters").touch()
    with pytest.raises(EnvironmentFault, match=r"holds other things \(letters\)") as caught:
        state_dir()
    assert mode(state) == 0o755 and caught.value.hint is not None and "CHAOSKIT_STATE" in caught.value.hint


@pytest.mark.needs("root")
def test_a_folder_of_somebody_else_is_refused(state: Path) -> None:
    state.mkdir(mode=0o777)
    os.chown(state, 65534, 65534)
    with pytest.raises(EnvironmentFault, match="belongs to somebody else"):
        state_dir()
    with pytest.raises(EnvironmentFault, match="belongs to somebody else"):
        preflight()


def test_stop_all_blocks_until_released(dead: Callable[..., ActiveRun], state: Path) -> None:
    entry = dead()
    assert not entry.stop_asked and blocked() is None
    lines = list(stop_all())
    assert "no new run may begin" in lines[0] and entry.stop_asked and mode(state / "stop") == 0o600
    with pytest.raises(EnvironmentFault, match="nothing may run since") as caught:
        preflight()
    assert caught.value.exit_code == ExitCode.ENVIRONMENT
    assert caught.value.hint is not None and caught.value.hint.startswith("chaoskit stop --release")
    assert list(stop_all())  # twice is once
    assert list(unblock()) == ["runs may begin again"] and blocked() is None
    assert list(unblock()) == ["nothing was stopped by `chaoskit stop --all`"]
    assert recover().left == []
    preflight()


def test_recover_removes_data_and_torn_files_and_keeps_logs(
    dead: Callable[..., ActiveRun], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = dead()
    block = Path(entry.directory) / "blocks" / "v"
    for name in ("data/db/pages", "logs/db.log"):
        (block / name).parent.mkdir(parents=True)
        (block / name).write_text("x")
    torn, young = state / "active" / ".run-0.json.1234", state / "active" / ".run-9.json.5678"
    torn.touch()
    os.utime(torn, (time.time() - 60, time.time() - 60))
    young.touch()
    entry.socket.touch()
    assert recover().left == []
    assert not (block / "data").exists() and (block / "logs" / "db.log").exists()
    assert [path.name for path in (state / "active").iterdir()] == [young.name]


def test_a_stack_by_hand_is_known_by_its_socket(dead: Callable[..., ActiveRun]) -> None:
    entry = dead()
    assert entry.name == "x" and not entry.socket.exists() and running() == []
    entry.socket.touch()
    unregister(entry)
    assert not entry.socket.exists() and not Path(entry.file).exists()


def test_only_one_decides_at_a_time(state: Path) -> None:
    with active.exclusive():
        fd = os.open(state / "active", os.O_RDONLY)
        try:
            import fcntl

            with pytest.raises(BlockingIOError):
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(fd)
    with active.exclusive():
        pass
