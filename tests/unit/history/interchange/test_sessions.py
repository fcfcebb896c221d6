"""PolySI's text and dbcop's JSON and text: sessions of transactions, and nothing about time."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from histories.files import again, read
from hypothesis import given, settings
from hypothesis import strategies as st

from chaoskit import registry
from chaoskit.checks.checking import check
from chaoskit.checks.result import Options
from chaoskit.errors import HistoryError
from chaoskit.history.interchange import dbcop, polysi
from chaoskit.history.interchange.open import detect
from chaoskit.history.interchange.sessions import Sessions, Transaction
from chaoskit.history.operation import Outcome
from chaoskit.history.operations import NEVER, Operations

POLYSI = "w(5,1,0,100)\nr(5,1,1,7)\nw(6,2,0,100)\n\nr(6,0,1,8)\nr(5,1,0,101)\n"
HIST = "// a comment\n[x:=1 y:=2] [x==1]!\n[z==?]\n---\n[x==0 0:=7]\n"
JSON = {
    "params": {"id": 0},
    "data": [
        [{"events": [{"Write": {"variable": 0, "version": 1}}, ["r", 1, None]], "committed": True}],
        [{"events": [["r", 0, 1]], "committed": False}, {"events": [["w", 0, 0]], "committed": True}],
    ],
}
FORMATS = [polysi.FORMAT, dbcop.FORMAT, dbcop.HIST]


def content(operations: Operations) -> list[list[tuple[Any, int]]]:
    """Session by session: the steps, and what came of them."""
    found: dict[int, list[tuple[Any, int]]] = {}
    for at in range(len(operations)):
        given = operations.result[at] if operations.ok[at] else operations.value[at]
        steps = tuple((f, k, v) for f, k, v in operations.of_value(given) if operations.ok[at] or f == "w")
        found.setdefault(int(operations.session[at]), []).append((steps, int(operations.outcome[at])))
    return list(found.values())


def test_the_text_of_polysi() -> None:
    assert detect(POLYSI.encode(), "", "x").name == "polysi"
    found = read(polysi.FORMAT, POLYSI)
    assert content(found) == [
        [((("w", 5, 1), ("w", 6, 2)), 1), ((("r", 5, 1),), 1)],
        [((("r", 5, 1),), 1), ((("r", 6, None),), 1)],
    ]
    assert found.line.tolist() == [1, 2, 5, 6]
    assert not found.real_time
    assert found.invoked.max() < found.completed.min()


def test_the_text_of_dbcop() -> None:
    assert detect(HIST.encode(), "", "x").name == "dbcop"
    found = read(dbcop.HIST, HIST)
    assert content(found) == [
        [((("w", "x", 1), ("w", "y", 2)), 1), ((), 2), ((("r", "z", None),), 1)],
        [((("r", "x", None), ("w", 0, 7)), 1)],
    ]
    assert found.line.tolist() == [2, 2, 3, 5]


@pytest.mark.parametrize("data", [JSON, JSON["data"]])
def test_the_json_of_dbcop(data: Any) -> None:
    text = json.dumps(data, indent=1)
    assert detect(text.encode(), "", "x").name == "dbcop"
    found = read(dbcop.FORMAT, text)
    assert content(found) == [[((("w", 0, 1), ("r", 1, None)), 1)], [((), 2), ((("w", 0, 0),), 1)]]


STEPS = st.lists(st.tuples(st.sampled_from("rw"), st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=3)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), STEPS), min_size=1, max_size=6), st.sampled_from(FORMATS))
def test_round_trip(rows: list[tuple[int, Any]], format: Any) -> None:
    sessions, fresh = Sessions("x"), iter(range(1, 99))
    for session, steps in rows:
        made = tuple((f, k, next(fresh) if f == "w" else (v or None)) for f, k, v in steps)
        sessions.add(Transaction(session, made))
    history = sessions.operations()
    back = again(format, history)
    assert content(back) == content(history)
    assert not format.write(back, io.BytesIO())


def test_outcomes_that_nobody_knows_and_failures() -> None:
    """Read by somebody: it happened. Read by nobody: it may not have. What failed is told, and dropped or marked."""
    steps = [(("w", "a", "v1"),), (("w", "a", "v2"), ("r", "b", None)), (("w", "a", "v3"),), (("r", "a", "v2"),)]
    outcome = [Outcome.FAIL, Outcome.INFO, Outcome.INFO, Outcome.OK]
    history = Operations.make(
        process=[0, 1, 2, 3], f=[0] * 4, outcome=outcome, invoked=[0, 1, 2, 3], completed=[4, NEVER, NEVER, 5],
        value=np.arange(4), result=[-1, -1, -1, 3], functions=("txn",), values=steps,
    )  # fmt: skip
    for format in FORMATS:
        out = io.BytesIO()
        told = format.write(history, out)
        assert any("1 transactions are left out" in one for one in told)
        assert any("written as committed" in one for one in told)
        assert any("order between sessions" in one for one in told)
        assert any("values are written as numbers" in one for one in told)
    assert out.getvalue() == b"[a:=1]!\n---\n[a:=2]\n---\n[a==2]\n"


@pytest.mark.parametrize(
    "value", [5, (("append", 1, 2),), (("r", 1, (1, 2)),), (("w", 1, None),), (("w", 1),)]
)  # fmt: skip
def test_what_is_no_transaction_of_registers(value: Any) -> None:
    history = Operations.make(
        process=[0], f=[0], outcome=[1], invoked=[0], completed=[1], value=[0], functions=("txn",), values=[value]
    )
    for format in FORMATS:
        with pytest.raises(HistoryError, match="cannot carry"):
            format.write(history, io.BytesIO())


@pytest.mark.parametrize(
    ("format", "text", "line", "what"),
    [
        (0, "w(1,2,3)", 1, "instead of r"),
        (0, POLYSI + "w(1,2,3,-1)", 7, "instead of r"),
        (0, "w(1,0,3,4)", 1, "writes 0"),
        (0, "w(1,2,3,4)\nw(1,3,4,4)", 2, "another session"),
        (0, "w(1,2,3,4)\nw(1,3,3,5)\nw(2,2,3,4)", 3, "the next one of its own began"),
        (0, "w(1,%s,3,4)" % ("9" * 40), 1, "instead of r"),
        (0, "", 0, "empty history"),
        (2, HIST + "[x:=]\n", 6, "instead of transactions"),
        (2, HIST + "[x:=1", 6, "instead of transactions"),
        (2, "[x:=1][y:=2]", 1, "instead of transactions"),
        (2, b"[x:=1]\n[\xff:=1]", 2, "not UTF-8"),
        (2, "---\n", 0, "empty history"),
        (1, '{"data": [[{"events": [', 1, "no JSON"),
        (1, '{"data": [[{"events": [], "events": []}]]}', 0, "twice"),
        (1, '{"data": ' + "[" * 100_000, 0, "nested too deeply"),
        (1, '{"data": 5}', 0, "a list of sessions"),
        (1, '{"data": [[{"events": []}]]}', 0, "transaction 0 of session 0"),
        (1, '{"data": [[{"events": [["x", 1, 2]], "committed": true}]]}', 0, "Read or a Write"),
        (1, '{"data": [[{"events": [["w", 1, null]], "committed": true}]]}', 0, "version must be"),
        (1, '{"data": [[{"events": [["w", null, 1]], "committed": true}]]}', 0, "variable must be"),
        (1, '{"data": [[{"events": [7], "committed": true}]]}', 0, "is none"),
        (1, '{"data": [[7]]}', 0, "is none"),
        (1, '{"data": [[{"events": [["w", 1, 1]], "committed": 1}]]}', 0, "true or false"),
    ],
)  # fmt: skip
def test_what_is_no_history(format: int, text: str | bytes, line: int, what: str) -> None:
    with pytest.raises(HistoryError, match=what) as raised:
        read(FORMATS[format], text)
    assert raised.value.line == line


def test_levels_that_are_about_time_stay_open() -> None:
    """The reader comes before the writer in the file, and no time accuses it."""
    model = registry.load("model", "rw-register")
    found = read(polysi.FORMAT, "r(1,5,0,1)\nw(1,5,1,2)\n")
    weak = check(found, model, Options(consistency="strong-session-serializable"), with_power=False).result
    strict = check(found, model, Options(consistency="strict-serializable"), with_power=False).result
    assert weak.verdict == "held"
    assert weak.not_refuted == strict.not_refuted == "strong-session-serializable"
    assert strict.verdict == "inconclusive"
    assert "knows no order between sessions" in strict.reasons[-1]


def test_our_own_formats_carry_that_nothing_is_known_of_time() -> None:
    """Processes get new names, for theirs do many things at once by rank; sessions stay."""
    found = read(polysi.FORMAT, POLYSI)
    for name in ("jsonl", "parquet"):
        back = again(registry.load("format", name), found)
        assert not back.real_time
        assert content(back) == content(found)


def test_the_order_of_a_session_is_known() -> None:
    """A session reads a value and, later, nil: legal without sessions, not with them."""
    model = registry.load("model", "rw-register")
    found = read(polysi.FORMAT, "w(1,5,1,2)\nr(1,5,0,3)\nr(1,0,0,4)\n")
    for level, verdict in (("serializable", "held"), ("strong-session-serializable", "refuted")):
        assert check(found, model, Options(consistency=level), with_power=False).result.verdict == verdict


def orders(transactions: list[Transaction], state: dict[int, Any], *, sessions: bool) -> bool:
    """Whether some order of transactions explains all reads; with those of a session in theirs."""
    if not transactions:
        return True
    for at, one in enumerate(transactions):
        if sessions and any(before.session == one.session for before in transactions[:at]):
            continue
        after = dict(state)
        for f, key, value in one.steps:
            if f == "w":
                after[key] = value
            elif after.get(key) != value:
                break
        else:
            if orders([*transactions[:at], *transactions[at + 1 :]], after, sessions=sessions):
                return True
    return False


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), STEPS), min_size=2, max_size=5))
def test_nobody_is_accused_who_could_be_innocent(rows: list[tuple[int, Any]]) -> None:
    """Plain search over all orders agrees with every refutation."""
    fresh = iter(range(1, 99))
    made = [
        Transaction(session, tuple((f, k % 2, next(fresh) if f == "w" else (v or None)) for f, k, v in steps))
        for session, steps in rows
    ]
    collected = Sessions("x")
    for one in made:
        collected.add(one)
    model = registry.load("model", "rw-register")
    for level, sessions in (("serializable", False), ("strong-session-serializable", True)):
        options = Options(consistency=level)
        if check(collected.operations(), model, options, with_power=False).result.verdict == "refuted":
            assert not orders(made, {}, sessions=sessions)


def test_numbers_of_64_bits() -> None:
    text = "w(9223372036854775806,9223372036854775807,0,1)\n"
    out = io.BytesIO()
    polysi.FORMAT.write(read(polysi.FORMAT, text), out)
    assert out.getvalue().decode() == text


@pytest.mark.parametrize("name", ["jepsen", "elle"])
def test_that_nothing_is_known_of_time_is_said_where_it_cannot_be_written(name: str) -> None:
    told = registry.load("format", name).write(read(polysi.FORMAT, "w(5,1,0,1)\nr(5,1,1,2)\n"), io.BytesIO())
    assert any("nothing is known here of the order between sessions" in one for one in told)
