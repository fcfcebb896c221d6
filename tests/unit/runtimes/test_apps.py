"""Environments and builds are made once, by one at a time, and never taken half made."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from chaoskit.errors import EnvironmentFault, TargetError
from chaoskit.runtimes import apps, cache
from chaoskit.runtimes.apps import build_once, interpreter
from chaoskit.runtimes.cache import cache_folder, locked


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "the cache"))


@pytest.fixture
def asks(tmp_path: Path) -> Path:
    """Requirements that no environment satisfies; what installs them is replaced by the tests."""
    file = tmp_path / "requirements.txt"
    file.write_text("no-such-package-of-ours==1\n")
    return file


def test_this_environment_is_used_when_it_satisfies(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text("pytest>=1\n")
    assert interpreter(file, "api") == sys.executable
    assert interpreter(None, "api") == sys.executable
    assert not (tmp_path / "the cache").exists()


def test_an_environment_is_made_once_and_a_half_made_one_again(asks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []

    def make(folder: Path, *_: object) -> None:
        assert not folder.exists()  # what a killed process left is gone
        made.append(folder)
        folder.mkdir(parents=True)

    monkeypatch.setattr(apps, "_make_environment", make)
    python = interpreter(asks, "api")
    assert python == str(made[0] / "bin" / "python")
    assert interpreter(asks, "api") == python
    assert len(made) == 1
    (made[0] / "complete").unlink()
    assert interpreter(asks, "api") == python
    assert len(made) == 2
    asks.write_text("no-such-package-of-ours==2\n")
    assert interpreter(asks, "api") != python


def test_one_makes_it_and_the_others_wait(asks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(apps, "_make_environment", lambda folder, *_: (made.append(folder), folder.mkdir()))
    threads = [threading.Thread(target=interpreter, args=(asks, "api")) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(made) == 1


def test_what_cannot_be_installed_says_what_was_missing_and_what_to_do(
    asks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apps, "_ways", lambda *_: [[["/bin/sh", "-c", "echo no network; exit 1"]]])
    with pytest.raises(EnvironmentFault) as caught:
        interpreter(asks, "api")
    assert "environment of api" in caught.value.message
    assert "no-such-package-of-ours is not installed" in caught.value.message
    assert "| no network" in caught.value.message
    assert str(asks) in str(caught.value.hint)


def test_unreadable_requirements_are_the_targets_fault(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="requirements of api"):
        interpreter(tmp_path / "none.txt", "api")


def test_build_runs_once_until_a_file_changes(tmp_path: Path) -> None:
    context = tmp_path / "the code"
    context.mkdir()
    (context / "source").write_text("1")
    log = tmp_path / "log"
    command = ("/bin/sh", "-c", "echo building; cp source product; echo x >> ../count")

    def builds() -> int:
        build_once(command, context, "api", log)
        return len((tmp_path / "count").read_text().split())

    assert [builds(), builds()] == [1, 1]
    (context / "source").write_text("changed")
    assert [builds(), builds()] == [2, 2]
    (context / "product").unlink()
    assert builds() == 3
    (context / "__pycache__").mkdir()
    (context / "__pycache__" / "x.pyc").write_text("")
    assert builds() == 3
    assert "building" in log.read_text()


def test_build_that_fails_shows_its_last_lines_and_is_not_remembered(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(TargetError, match=r"(?s)building api .*\n.*\| line 30") as caught:
            build_once(("/bin/sh", "-c", "seq -f 'line %g' 30; exit 2"), tmp_path, "api", tmp_path / "log")
        assert "line 10\n" not in caught.value.message
        assert "exit code 2" in caught.value.message
    with pytest.raises(TargetError, match="cannot be started"):
        build_once(("no-such-compiler",), tmp_path, "api", tmp_path / "log")


def test_cache_without_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/nonexistent/home")
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: str(tmp_path))
    if os.geteuid() == 0:  # root can make /nonexistent: stand in for a home that cannot be written
        monkeypatch.setenv("HOME", "/proc")
    assert cache_folder("venvs") == tmp_path / f"chaoskit-{os.geteuid()}" / "venvs"


def test_cache_that_somebody_else_prepared_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies there is executed: a folder that others may write to is a way in."""
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    monkeypatch.setenv("HOME", "/proc")
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: str(tmp_path))
    trap = tmp_path / f"chaoskit-{os.geteuid()}"
    trap.mkdir()
    trap.chmod(0o777)
    with pytest.raises(EnvironmentFault, match="no folder to keep things in") as caught:
        cache_folder("venvs")
    assert "XDG_CACHE_HOME" in str(caught.value.hint)
    trap.chmod(0o755)
    assert cache_folder("venvs").parent == trap
    trap.rename(tmp_path / "moved")
    trap.symlink_to(tmp_path / "moved")
    with pytest.raises(EnvironmentFault):
        cache_folder("venvs")


def test_a_lock_ends_with_its_holder(tmp_path: Path) -> None:
    code = "import os, sys, pathlib; from chaoskit.runtimes.cache import locked\n" + (
        "with locked(pathlib.Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "lock")], check=False)
    with locked(tmp_path / "lock"):
        pass
