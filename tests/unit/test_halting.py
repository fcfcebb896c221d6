"""A point costs nothing unless a drill armed it, and then holds one process exactly there."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from chaoskit.linux.halting import HALT_AT, POINTS, halt

ROOT = Path(__file__).resolve().parents[2]


def test_nothing_happens_without_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HALT_AT, raising=False)
    halt("recorded")


def test_a_point_that_is_not_armed_is_passed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(HALT_AT, str(tmp_path))
    (tmp_path / "applied").touch()
    halt("recorded")
    assert [path.name for path in tmp_path.iterdir()] == ["applied"]


def test_an_armed_point_holds_one_until_it_is_let_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(HALT_AT, str(tmp_path))
    (tmp_path / "recorded").touch()
    first = threading.Thread(target=halt, args=("recorded",), daemon=True)
    first.start()
    until = time.monotonic() + 30
    while not (tmp_path / "recorded.here").exists():
        assert time.monotonic() < until
        time.sleep(0.002)
    halt("recorded")  # the second one passes
    assert first.is_alive()
    (tmp_path / "recorded.go").touch()
    first.join(30)
    assert not first.is_alive()


@pytest.mark.parametrize("point", POINTS)
def test_every_point_is_somewhere_in_the_code_once(point: str) -> None:
    found = [path for path in (ROOT / "chaoskit").rglob("*.py") if f'halt("{point}")' in path.read_text()]
    assert len(found) == 1
