"""kill -9 and SIGSTOP of everything that can die, in the middle of a fault: nothing may be left behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Started = Callable[..., tuple[Any, bool]]


def until(true: Callable[[], Any], what: str, patience: float = 60.0) -> Any:
    end = time.monotonic() + patience
    while not (found := true()):
        assert time.monotonic() < end, f"not within {patience:g} s: {what}"
        time.sleep(0.02)
    return found


def test_an_orderly_end_leaves_nothing(started_twice: Started) -> None:
    engine, _ = started_twice()
    assert len(engine.bent()) == 2
    assert engine.ask("end")["answer"] > 0
    assert engine.bent() == []
    engine.ask("begin 100")
    assert len(engine.bent()) == 2
    engine.ask("bye")
    assert engine.wait_for(event="over")
    assert engine.process.wait(60) == 0
    assert engine.marked() == [] and engine.active() == [] and engine.bent() == []
    kinds = engine.ledger()
    assert kinds[0] == "header" and kinds[-1] == "clean"
    assert kinds.index("undo") < kinds.index("confirmed") < kinds.index("ended")
    assert engine.recover() == {"found": [], "done": [], "left": []}


def test_killed_engine(started: Started) -> None:
    engine, _ = started()
    engine.process.kill()
    until(lambda: not engine.marked(), "everything stopped")
    until(lambda: not engine.active(), "taken off the record")
    assert engine.bent() == [] and engine.ledger()[-1] == "clean"


def test_killed_engine_in_the_middle_of_a_start(started_twice: Started, engines: Any) -> None:
    engine, _ = started_twice()
    other = engines(engine.prefix, pid_namespace="auto", run="early")
    until(lambda: (other.folder / "ledger.jsonl").exists(), "the second one is starting")
    other.process.kill()
    until(lambda: not other.marked(), "everything of the second stopped")
    until(lambda: len(engine.active()) == 1, "only the first on record")
    assert len(engine.marked()) >= 9  # which goes on


def test_hanging_engine_is_healed_at_the_deadline_and_told_later(started: Started) -> None:
    engine, _ = started(hold_s=3.0)
    os.kill(engine.process.pid, signal.SIGSTOP)
    try:
        until(lambda: not engine.bent(), "healed at the deadline although the engine is frozen")
        assert engine.marked()  # the run itself goes on
    finally:
        os.kill(engine.process.pid, signal.SIGCONT)
    found = engine.wait_for(event="expired")
    assert sorted(found["ids"]) == ["cut/1", "freeze/1", "slow/1"]
    assert engine.ask("bye")["answer"] == "bye"


def test_frozen_engine_loses_its_run(started_twice: Started) -> None:
    engine, _ = started_twice(silence_s=3.0)
    os.kill(engine.process.pid, signal.SIGSTOP)
    until(lambda: not engine.marked(), "everything stopped after the heartbeat was missing")
    assert engine.bent() == [] and engine.active() == []
    os.kill(engine.process.pid, signal.SIGCONT)
    assert engine.wait_for(event="dead")


def test_deadline_of_the_run(started_twice: Started) -> None:
    engine, _ = started_twice(deadline_s=8.0)
    until(lambda: not engine.marked(), "everything stopped at the deadline")
    assert engine.bent() == [] and engine.active() == []
    assert engine.wait_for(event="dead")


def killed_supervisor(engine: Any, victim: int, private: bool) -> None:
    os.kill(victim, signal.SIGKILL)
    assert engine.wait_for(event="dead")
    if private:
        until(lambda: not engine.marked(), "the namespace died with its first process")
    engine.process.kill()  # before it could clean up by itself
    engine.process.wait()
    found = engine.recover()
    assert found["left"] == [] and found["found"]
    assert engine.marked() == [] and engine.active() == []
    assert engine.ledger()[-1] == "recovered"
    assert engine.recover() == {"found": [], "done": [], "left": []}


def test_killed_supervisor(started: Started) -> None:
    engine, private = started()
    killed_supervisor(engine, engine.ready["supervisor"], private)


def test_killed_inner_supervisor(started_privately: Started) -> None:
    engine, private = started_privately()
    outer = engine.ready["supervisor"]
    (inner,) = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()
    killed_supervisor(engine, int(inner), private)


def test_engine_cleans_up_after_its_killed_supervisor(started_twice: Started) -> None:
    engine, _ = started_twice()
    os.kill(engine.ready["supervisor"], signal.SIGKILL)
    assert engine.wait_for(event="dead")
    answer = engine.ask("end")
    assert answer["type"] == "EnvironmentFault" and "supervisor" in answer["message"]
    engine.ask("bye")
    assert engine.wait_for(event="over")
    assert engine.marked() == [] and engine.active() == []


def test_killed_engine_and_supervisor(started: Started) -> None:
    engine, _ = started()
    os.kill(engine.ready["supervisor"], signal.SIGKILL)
    engine.process.kill()
    engine.process.wait()
    assert engine.recover()["left"] == []
    assert engine.marked() == [] and engine.active() == []


@pytest.mark.parametrize("name", ["proxy", "worker", "api"])
def test_killed_process_of_the_stack_is_reported_and_the_rest_ends_well(started_twice: Started, name: str) -> None:
    engine, private = started_twice()
    pids = {record["name"]: record for record in engine.records() if record["kind"] == "process"}
    victim = pids[name]["outer"]
    if private:  # seen from inside: look for the one whose innermost pid it is
        victim = next(pid for pid in engine.marked() if inner_pid(pid) == victim)
    os.kill(victim, signal.SIGKILL)
    found = engine.wait_for(event="exit", name=name)
    assert (found["code"], found["signal"], found["log"]) == (-9, 9, ["its last words"])
    engine.ask("bye")
    assert engine.wait_for(event="over")
    assert engine.marked() == [] and engine.bent() == []


def inner_pid(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("NSpid:"):
            return int(line.split()[-1])
    return -1


def test_broken_links_do_not_keep_the_run_from_ending(started_twice: Started) -> None:
    engine, _ = started_twice()
    (engine.links / "broken").touch()
    answer = engine.ask("end")
    assert answer["type"] == "HealError" and "does not answer" in answer["message"]
    engine.process.kill()
    until(lambda: not engine.marked(), "everything stopped")
    assert "unhealed" in engine.ledger()


def test_what_could_not_be_healed_is_tried_again(started_twice: Started) -> None:
    engine, _ = started_twice()
    (engine.links / "broken").touch()
    assert engine.ask("end")["type"] == "HealError"
    assert len(engine.bent()) == 2
    (engine.links / "broken").unlink()
    until(lambda: not engine.bent(), "healed by itself once the links answer again")
    told = engine.wait_for(event="healed")
    assert sorted(told["ids"]) == ["cut/1", "freeze/1", "slow/1"]
    kinds = [(record["kind"], sorted(record.get("ids", ()))) for record in engine.records()]
    assert kinds.index(("unhealed", told["ids"])) < kinds.index(("ended", told["ids"]))
    engine.ask("bye")


NODE_EFFECTS = [
    {"kind": "stress", "id": "busy/1", "injection": "busy", "node": "db", "cpu": 0.5},
    {"kind": "action", "id": "act/1", "injection": "act", "action": "mark", "undo": "unmark", "timeout": 5.0},
]


def test_stress_and_actions_are_taken_back_although_the_engine_is_frozen(started_twice: Started) -> None:
    engine, _ = started_twice(effects=NODE_EFFECTS, hold_s=3.0)
    assert (engine.target / "mark").exists()
    assert len(engine.ask("pids db/stress")["answer"]) == 1
    os.kill(engine.process.pid, signal.SIGSTOP)
    try:
        # The deadline of an action is later by what it may take.
        until(lambda: not (engine.target / "mark").exists(), "the action is taken back at its deadline")
        assert ["busy/1"] in [record.get("ids") for record in engine.records() if record["kind"] == "ended"]
    finally:
        os.kill(engine.process.pid, signal.SIGCONT)
    assert engine.ask("pids db/stress")["answer"] == []
    undo = next(record for record in engine.records() if record["kind"] == "undo")
    assert undo["undo"] == {"stress:db": 0.0, "action:mark": "unmark"}
    engine.ask("bye")
    assert engine.wait_for(event="over")


def test_an_undo_that_fails_is_tried_until_it_works(started_twice: Started) -> None:
    engine, _ = started_twice(effects=NODE_EFFECTS[1:])
    (engine.target / "unwilling").touch()
    answer = engine.ask("end")
    assert answer["type"] == "HealError" and "RuntimeError: not now (actions.py:11)" in answer["message"]
    (engine.target / "unwilling").unlink()
    assert engine.wait_for(event="healed")["ids"] == ["act/1"]
    assert not (engine.target / "mark").exists()
    assert any(record["kind"] == "ended" and record["ids"] == ["act/1"] for record in engine.records())


def test_where_the_stack_ends_an_action_is_moot_and_on_record_as_such(started_twice: Started) -> None:
    engine, _ = started_twice(effects=NODE_EFFECTS)
    engine.process.kill()
    until(lambda: not engine.marked() and not engine.active(), "everything stopped")
    down = next(record for record in engine.records() if record["kind"] == "down")
    assert down["moot"] == ["act/1"] and engine.ledger()[-1] == "clean"


def test_terminated_supervisor_heals_first(started_twice: Started) -> None:
    engine, _ = started_twice()
    os.kill(engine.ready["supervisor"], signal.SIGTERM)
    assert engine.wait_for(event="dead")
    assert engine.bent() == [] and engine.ledger()[-1] == "clean"
    until(lambda: not engine.marked(), "everything stopped")


def test_a_busy_engine_is_not_a_dead_one(started_twice: Started) -> None:
    engine, _ = started_twice(silence_s=2.0)
    engine.ask("hang 5")
    assert len(engine.bent()) == 2
    assert engine.ask("end")["answer"] > 0


def test_requests_that_make_no_sense_end_the_run_cleanly(started_twice: Started) -> None:
    engine, _ = started_twice()
    engine.ask("garbage")
    assert engine.wait_for(event="dead")
    until(lambda: not engine.marked() and not engine.active(), "healed and ended")
    assert engine.bent() == []


def test_down_in_the_middle_of_a_start_leaves_nothing_running(started_twice: Started) -> None:
    engine, private = started_twice(slow_start=0.5)
    engine.ask("down")
    supervisors = 2 if private else 1
    until(lambda: len([pid for pid in engine.marked() if not hidden(pid)]) == supervisors, "the stack is down")
    assert engine.ask("restart-the-stack 0.7") == {"answer": "cut short", "type": "Interrupted"}
    time.sleep(1.5)  # a start that went on would have reached the second node by now
    assert len([pid for pid in engine.marked() if not hidden(pid)]) == supervisors
    assert engine.ask("pids db")["answer"] == []
    engine.ask("bye")
    assert engine.wait_for(event="over")
    assert engine.marked() == []


def hidden(pid: int) -> bool:
    """The children that this driver's nodes hide in sessions of their own, which only the end of the run finds."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sleep")
    except OSError:
        return True
