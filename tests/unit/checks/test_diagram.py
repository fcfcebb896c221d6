"""A witness on a terminal: the order of events is right, nothing of the history steers the terminal, it always fits."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest
from histories.simulate import Call, operations

from chaoskit.checks.diagram import MOST, draw, fitted, harmless

STALE = [
    Call(0, "write", value=4, key="x", invoked=1, completed=10),
    Call(1, "write", value=5, key="x", invoked=20, completed=30),
    Call(2, "write", value=6, key="x", invoked=25, outcome="info"),
    Call(3, "read", result=4, key="x", invoked=40, completed=50),
    Call(4, "cas", value=(4, 7), key="x", invoked=45, completed=60, outcome="fail"),
]


def columns(line: str) -> tuple[int, int]:
    """Where a bar begins and ends."""
    at = [number for number, one in enumerate(line) if one in "├┤▶|>"]
    return at[0], at[-1]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 300])
@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_order_of_events_is_order_of_columns(seed: int, plain: bool, width: int) -> None:
    generator = random.Random(seed)
    calls = []
    for process in range(MOST):
        begin = generator.randrange(1000)
        outcome = generator.choice(["ok", "ok", "fail", "info"])
        calls.append(Call(process, "w", value=1, invoked=begin, completed=begin + 1 + generator.randrange(400)))
        calls[-1].outcome = outcome
    of = operations(calls)
    lines = draw(of, generator.sample(range(MOST), MOST), width, plain=plain)
    assert len(lines) == MOST
    events = [(rank, *columns(line)) for rank, line in enumerate(lines)]
    place = {}
    for rank, begin, end in events:
        place[int(of.invoked[rank])] = begin
        if lines[rank][end] not in "▶>":
            place[int(of.completed[rank])] = end
    in_time = [place[rank] for rank in sorted(place)]
    assert in_time == sorted(in_time)
    # Instants of different ranks never share a column.
    assert len(set(in_time)) == len(in_time)
    assert width < 80 or all(len(line) <= width for line in lines)


def test_what_was_asked_and_answered() -> None:
    text = "\n".join(draw(operations(STALE), range(5), 90))
    for said in ("write x 4 ok", "write x 6 ?", "read x → 4", "cas x [4 7] failed", "process 3", "0.040 s + 10 ms"):
        assert said in text
    read = draw(operations([Call(0, "read", invoked=1, completed=2)]), [0])
    assert "read → nil" in read[0]
    filled = Call(0, "txn", value=(("r", 1, None),), result=(("r", 1, (2,)),), invoked=1, completed=2)
    assert "txn → [[r 1 [2]]]" in draw(operations([filled]), [0])[0]


def test_positions_of_invocation_not_of_asking() -> None:
    assert [line[0] for line in draw(operations(STALE), [3, 0, 3], 80)] == ["0", "3"]


def test_calls_too_long_for_their_column_are_written_in_full_below() -> None:
    of = operations([Call(0, "add", value=tuple(range(30)), invoked=1, completed=2)])
    short, full = draw(of, [0], 80)
    assert "..." in short
    assert len(short) <= 80
    assert full == f"0 in full: add [{' '.join(map(str, range(30)))}] ok"


def test_more_than_ten_are_counted() -> None:
    of = operations([Call(at, "w", value=at, invoked=at, completed=at + 1) for at in range(MOST + 3)])
    assert draw(of, range(MOST + 3))[-1] == "and 3 more"


def test_nothing_and_one() -> None:
    assert draw(operations(STALE), []) == []
    assert len(draw(operations(STALE), [2])) == 1


def test_a_history_without_times() -> None:
    of = operations(STALE)
    line = draw(of.altered(began_ns=np.full(5, -1), ended_ns=np.full(5, -1)), [0], 80)[0]
    assert line.endswith("┤")


def test_hostile_values_do_not_steer_the_terminal() -> None:
    nasty = "a\x1b[31m\x07\r\n\u202eb\x9b"
    of = operations([Call(0, nasty, value=nasty, key=nasty, invoked=1, completed=2)])
    for plain in (False, True):
        for line in draw(of, [0], 80, plain=plain):
            assert line.isprintable()
            assert not plain or line.isascii()
    assert harmless("plain → text") == "plain → text"
    assert harmless("a\nb\x1b") == "a\\nb\\x1b"


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        ("abc", 5, "abc  "),
        ("abcdef", 4, "a..."),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日… "),
        ("e\u0301e", 2, "e\u0301e"),
        ("", 3, "   "),
    ],
)  # fmt: skip
def test_exactly_so_many_columns(text: str, columns: int, expected: str) -> None:
    assert fitted(text, columns) == expected


def test_a_value_of_a_megabyte_costs_nothing() -> None:
    """Cutting it letter by letter took minutes."""
    for letter in ("k", "ü", "漢"):
        began = time.process_time()
        assert len(fitted(letter * 1_000_000, 30)) <= 30
        assert time.process_time() - began < 5
    cut = {"abcdef": "ab...", "äbcdef": "äbcd…", "漢漢漢": "漢漢…", "e\u0301" * 6: "e\u0301" * 4 + "…"}
    assert {text: fitted(text, 5) for text in cut} == cut
