from __future__ import annotations

import io
import json

import pytest

from chaoskit.cli.live import EventFile, LiveView, PlainLines, observers, sentence

EVENTS = [
    {"kind": "run", "name": "demo", "question": "What breaks?", "cells": 2, "estimated_s": 45.0},
    {"kind": "phase", "cell": "a/1", "name": "baseline", "planned_s": 2.0},
    {"kind": "up", "cell": "a/1", "ready": {"db": 1.5}, "interposition": "hosts"},
    {"kind": "begin", "cell": "a/1", "id": "slow", "sentence": "db answers late"},
    {"kind": "seen", "cell": "a/1", "id": "slow", "evidence": ["asked 200 ms, saw 203 ± 4 ms"]},
    {"kind": "live", "cell": "a/1", "phase": "fault", "left_s": 3.0, "rate": 60.0, "ok": 10, "fail": 1, "info": 2,
     "yield": 0.5, "p50": 0.01, "p99": None, "active": ["db answers late"],
     "claims": [{"id": "c", "state": "broken", "text": "yield >= 99%: 50.0 % so far"}]},
    {"kind": "unseen", "cell": "a/1", "id": "slow", "evidence": ["no answer"]},
    {"kind": "exit", "cell": "a/1", "name": "api", "code": 1},
    {"kind": "error", "cell": "a/1", "reason": "it broke"},
]  # fmt: skip


def test_plain_lines_say_what_happened_once(capsys: pytest.CaptureFixture[str]) -> None:
    plain = PlainLines()
    for event in EVENTS:
        plain.event(event)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "demo: What breaks? (2 cells, about 45 s)",
        "[a/1] baseline, 2 s",
        "[a/1] stack is up (hosts): db 1.5 s",
        "[a/1] fault begins: db answers late",
        "[a/1] slow seen to bite: asked 200 ms, saw 203 ± 4 ms",
        "[a/1] slow NOT seen to bite: no answer",
        "[a/1] api ended by itself (code 1)",
        "[a/1] error: it broke",
    ]
    assert sentence({"kind": "origin"}) is None


def test_events_are_json_lines() -> None:
    file = io.StringIO()
    writer = EventFile(file)
    for event in EVENTS:
        writer.event(event)
    assert [json.loads(line)["kind"] for line in file.getvalue().splitlines()] == [event["kind"] for event in EVENTS]


def test_the_live_view_shows_the_newest_figures() -> None:
    from rich.console import Console

    view = LiveView()
    for event in EVENTS:
        if event["kind"] in ("phase", "live"):
            view.event(event)
    console = Console(file=io.StringIO(), width=120)
    console.print(view._draw())
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for part in ("a/1", "fault", "3 s left", "60/s", "ok 10", "fail 1", "info 2", "yield 50.0 %", "p99 n/a", "broken"):
        assert part in shown, shown


def test_a_pipe_gets_plain_lines_and_quiet_gets_none() -> None:
    with observers(events=None, quiet=False) as found:
        assert [type(one) for one in found] == [PlainLines]
    with observers(events=None, quiet=True) as found:
        assert found == []
