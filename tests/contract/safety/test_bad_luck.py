"""A clock that jumps, a disk that is full while the engine is frozen, two who clean up at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Started = Callable[..., tuple[Any, bool]]

JUMPING = """
import itertools, time
_real, _count = time.time, itertools.count()
time.time = lambda: _real() + (86400.0 if next(_count) % 2 else -86400.0)
"""


def until(true: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + 60.0
    while not true():
        assert time.monotonic() < end, f"not within a minute: {what}"
        time.sleep(0.02)


def test_a_wall_clock_that_jumps_changes_nothing(folder: Path, started_twice: Started) -> None:
    (folder / "plugin").mkdir()
    (folder / "plugin" / "sitecustomize.py").write_text(JUMPING)
    engine, _ = started_twice(hold_s=3.0, silence_s=60.0)
    assert len(engine.bent()) == 2, "a deadline of three seconds is not over because the clock says tomorrow"
    assert abs(float(engine.python("import time; print(time.time())")) - time.time()) > 80_000  # it does jump
    os.kill(engine.process.pid, signal.SIGSTOP)
    began = time.monotonic()
    try:
        until(lambda: not engine.bent(), "healed at the deadline")
        assert engine.marked()
    finally:
        os.kill(engine.process.pid, signal.SIGCONT)
    assert time.monotonic() - began < 30.0
    assert engine.wait_for(event="expired")
    assert engine.ask("bye")["answer"] == "bye"


def fill(place: Path) -> None:
    with open(place / "filler", "wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                pass


@pytest.mark.needs("root")
def test_a_full_disk_and_a_frozen_engine_are_healed_for(small_disk: Path, started_twice: Started) -> None:
    engine, _ = started_twice(hold_s=3.0)
    fill(small_disk)
    os.kill(engine.process.pid, signal.SIGSTOP)
    try:
        until(lambda: not engine.bent(), "healed at the deadline although nothing can be written")
    finally:
        os.kill(engine.process.pid, signal.SIGCONT)
    engine.process.kill()
    until(lambda: not engine.marked() and not engine.active(), "ended with a full disk")


@pytest.mark.needs("root")
def test_recover_on_a_full_disk(small_disk: Path, started_twice: Started) -> None:
    engine, _ = started_twice()
    os.kill(engine.process.pid, signal.SIGKILL)
    os.kill(engine.ready["supervisor"], signal.SIGKILL)
    fill(small_disk)
    report = engine.recover()
    assert report["left"] == [] and engine.marked() == [] and engine.active() == []
    assert engine.recover() == {"found": [], "done": [], "left": []}


def test_two_who_recover_at_once(started_twice: Started) -> None:
    engine, _ = started_twice()
    data = engine.folder / "blocks" / "v" / "data"
    code = (
        "import pathlib, sys; p = pathlib.Path(%r); p.mkdir(parents=True); [(p / str(n)).touch() for n in range(200)]"
    )
    engine.python(code % str(data / "db"))
    os.kill(engine.process.pid, signal.SIGKILL)
    os.kill(engine.ready["supervisor"], signal.SIGKILL)
    reports: list[dict[str, list[str]]] = []
    both = [threading.Thread(target=lambda: reports.append(engine.recover())) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(120)
    assert len(reports) == 2 and all(report["left"] == [] for report in reports)
    assert engine.marked() == [] and engine.active() == []
    assert not data.exists()
