from __future__ import annotations

import asyncio
import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from chaoskit.clock import VirtualClock
from chaoskit.engine.record import Control, Recorder
from chaoskit.engine.run import _blocks
from chaoskit.plan import CellPlan
from chaoskit.store import EventLog


class Watcher:
    def __init__(self, *, fails: bool = False) -> None:
        self.seen: list[dict[str, Any]] = []
        self.fails = fails

    def event(self, event: Any) -> None:
        if self.fails:
            raise RuntimeError("no paper left")
        self.seen.append(dict(event))


def test_events_go_to_the_file_first_and_an_observer_cannot_fail_a_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = Watcher(), Watcher(fails=True)
    recorder = Recorder(VirtualClock(5), [bad, good])
    with caplog.at_level(logging.WARNING):
        recorder.open("a/1", EventLog(tmp_path / "events.jsonl"))
        recorder.event("phase", name="baseline")
        recorder.event("origin", t=7)
        recorder.tell({"kind": "live"})
        recorder.open(None, None)
    written = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert written == [{"t": 5, "kind": "phase", "name": "baseline"}, {"t": 7, "kind": "origin"}]
    assert [event["kind"] for event in good.seen] == ["phase", "origin", "live"]
    assert good.seen[0]["cell"] == "a/1"
    assert caplog.text.count("is dropped") == 1


def test_a_stop_may_be_asked_for_from_any_thread_and_before_anybody_listens() -> None:
    async def wait(control: Control) -> None:
        await asyncio.wait_for(control.attach().wait(), 30)

    early = Control()
    assert early.interrupt("SIGTERM")
    asyncio.run(wait(early))
    assert not early.interrupt("SIGINT")
    assert early.reason == "SIGTERM"
    late = Control()
    timer = threading.Timer(0.05, late.interrupt, ["SIGINT"])
    timer.start()
    asyncio.run(wait(late))
    timer.join()
    assert not late.interrupt("again")  # the loop is closed by now: no harm


def test_cells_share_a_stack_until_one_wants_a_fresh_one() -> None:
    cells = [
        CellPlan(variant=variant, trial=trial, seed=1, restart=restart, key_prefix="k")
        for variant, trial, restart in (("a", 1, True), ("a", 2, False), ("b", 1, True), ("b", 2, True))
    ]
    assert [[cell.id for cell in block] for block in _blocks(cells)] == [["a/1", "a/2"], ["b/1"], ["b/2"]]
