"""JSON lines of our own: nothing is lost, and every line that is not understood is an error with its place."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import numpy as np
import pytest
from histories.files import again, any_history, read, told
from hypothesis import given, settings
from hypothesis import strategies as st

from chaoskit.errors import HistoryError
from chaoskit.history.interchange import lines_reading
from chaoskit.history.interchange.lines import FORMAT
from chaoskit.history.operation import NONE, Outcome
from chaoskit.history.operations import NEVER, Mark, Operations
from chaoskit.history.values import Map

EVERYTHING = ("index", "session", "began_ns", "ended_ns", "line", "final")
ONE = {"process": 0, "f": "write", "value": 1, "outcome": "ok", "began_ns": 10, "ended_ns": 20}


def text(*objects: dict[str, Any]) -> str:
    return "".join(f"{json.dumps(one)}\n" for one in objects)


@settings(max_examples=100, deadline=None)
@given(any_history(), st.booleans())
def test_round_trip(history: Operations, more: bool) -> None:
    if more:
        count = np.arange(len(history))
        history = history.altered(
            index=count * 3, node=(count % 2).astype(np.int16), nodes=("n1", "n2"), session=count % 3,
            final=count % 4 == 1, key=history.value, source="file", notes=("left out: 3",),
        )  # fmt: skip
    back = again(FORMAT, history)
    assert told(back, *EVERYTHING) == told(history.where(np.argsort(history.invoked)), *EVERYTHING)
    assert back.notes == history.notes
    assert [mark.label for mark in back.marks] == [mark.label for mark in history.marks]
    assert again(FORMAT, back).marks == back.marks


def test_what_a_line_may_leave_out() -> None:
    found = read(FORMAT, text(ONE, ONE | {"process": 1, "outcome": "info", "f": "read"}))
    assert found.index.tolist() == [0, 1]
    assert found.session.tolist() == found.process.tolist() == [0, 1]
    assert found.line.tolist() == [1, 2]
    assert found.key.tolist() == found.result.tolist() == found.node.tolist() == [NONE, NONE]
    assert found.outcome.tolist() == [Outcome.OK, Outcome.INFO]
    assert found.completed[1] == NEVER
    assert not found.final.any()


def test_equal_times_are_concurrent_and_a_process_goes_on_in_the_same_nanosecond() -> None:
    found = read(FORMAT, text(ONE, ONE | {"process": 1, "began_ns": 20, "ended_ns": 30}, ONE | {"began_ns": 20}))
    first, second, third = (np.flatnonzero(found.index == n)[0] for n in range(3))
    assert found.invoked[second] < found.completed[first]
    assert found.invoked[third] < found.completed[first]


def test_the_order_of_lines_does_not_matter_where_there_are_times() -> None:
    later = ONE | {"process": 1, "began_ns": 1, "ended_ns": 2}
    assert read(FORMAT, text(ONE, later)).began_ns.tolist() == [1, 10]


def test_times_may_lie_before_the_beginning() -> None:
    early = read(FORMAT, text(ONE | {"began_ns": -5, "ended_ns": -1}))
    assert early.began_ns.tolist() == [-5]
    assert early.ended_ns.tolist() == [0]  # -1 stands for a time that is not known, which this one is


def test_what_is_wrong_is_told_in_few_words() -> None:
    for line, what in (
        (text(ONE)[:-10], "no JSON: unterminated string in column "),
        (text(ONE).replace('"f"', f'"{"f" * 5000}"'), f"the unknown key '{'f' * 40}'; known are index, "),
        (text(ONE).replace('"f"', '"process"'), "the key 'process' twice in one object"),
    ):
        with pytest.raises(HistoryError, match=re.escape(what)) as raised:
            read(FORMAT, line)
        assert len(raised.value.message) < 300


def test_ranks_are_written_where_times_would_tell_another_order() -> None:
    """Completed and begun in one nanosecond, in this order; a clock that stands still does not make them concurrent."""
    history = Operations.make(
        process=[0, 1], f=[0, 0], outcome=[1, 1], invoked=[0, 2], completed=[1, 3], began_ns=[5, 6], ended_ns=[6, 7],
        functions=("read",),
    )  # fmt: skip
    out = io.BytesIO()
    FORMAT.write(history, out)
    assert '"invoked": 2, "completed": 3' in out.getvalue().decode()
    back = again(FORMAT, history)
    assert (back.invoked.tolist(), back.completed.tolist()) == ([0, 2], [1, 3])
    assert back.ended_ns.tolist() == [6, 7]
    assert '"invoked"' not in _written(history.altered(began_ns=np.array([5, 7]), ended_ns=np.array([6, 8])))


def _written(history: Operations) -> str:
    out = io.BytesIO()
    FORMAT.write(history, out)
    return out.getvalue().decode()


def test_values_that_json_has_not() -> None:
    values = [
        frozenset({1, (2, 3)}),
        Map({1: "a", "b": None}),
        Map({"$set": (1,)}),
        Map({"plain": frozenset()}),
        1 << 80,
    ]
    history = Operations.make(
        process=range(5), f=[0] * 5, outcome=[1] * 5, invoked=range(5), completed=range(5, 10), value=range(5),
        functions=("x",), values=values,
    )  # fmt: skip
    assert list(again(FORMAT, history).values) == values


def test_a_process_that_cannot_be_gets_another_number_and_its_session_stays() -> None:
    history = Operations.make(
        process=[0, 0], f=[0, 0], outcome=[Outcome.INFO, Outcome.OK], invoked=[0, 1], completed=[NEVER, 2],
        functions=("read",),
    )  # fmt: skip
    out = io.BytesIO()
    assert "1 operations have another process" in FORMAT.write(history, out)[0]
    back = read(FORMAT, out.getvalue())
    assert back.process.tolist() == [0, 1]
    assert back.session.tolist() == [0, 0]


def test_faults_come_with_the_header() -> None:
    history = read(FORMAT, text(ONE, ONE | {"process": 1})).altered(marks=(Mark("kill n1", 2, 15), Mark("heal", 9)))
    assert again(FORMAT, history).marks == (Mark("kill n1", 2, 15), Mark("heal", 4))


MALFORMED = {
    "a torn line": (text(ONE) + '{"process": 1, "f": "re', 2, "no JSON"),
    "two objects in a line": (text(ONE).strip() * 2, 1, "something after the object"),
    "no object": (text(ONE) + "[1]", 2, "instead of an object"),
    "words": ("hello", 1, "no JSON"),
    "one key twice": ('{"f": "a", "f": "b"}', 1, "'f' twice"),
    "not UTF-8": (text(ONE).encode() + b'{"f": "\xff"}', 2, "not UTF-8"),
    "half a character": (text(ONE | {"value": "\ud800"}), 1, "not UTF-8"),
    "deep nesting": (text(ONE)[:-2] + ', "result": ' + "[" * 100_000, 1, "nested deeper"),
    "nesting that JSON can": (text(ONE | {"result": json.loads("[" * 300 + "]" * 300)}), 1, "nested deeper"),
    "a number without end": (text(ONE).replace('"value": 1', '"value": ' + "7" * 5000), 1, "no JSON"),
    "an unknown key": (text(ONE | {"proces": 1}), 1, "'proces'; did you mean 'process'?"),
    "an unknown key like no other": (text(ONE | {"colour": 1}), 1, "'colour'; known are index"),
    "no process": (text({"f": "read", "outcome": "ok", "began_ns": 1}), 1, "no 'process'"),
    "no outcome": (text({"process": 1, "f": "read", "began_ns": 1}), 1, "no 'outcome'"),
    "no beginning": (text({"process": 1, "f": "read", "outcome": "ok"}), 1, "neither 'began_ns' nor 'invoked'"),
    "no end": (text(ONE, ONE | {"process": 1, "ended_ns": None}), 2, "no 'ended_ns'"),
    "ended before it began": (text(ONE, ONE | {"process": 1, "ended_ns": 9}), 2, "ended_ns before began_ns"),
    "ranks here and there": (text(ONE | {"invoked": 0, "completed": 1}, ONE | {"process": 1}), 2, "no 'invoked'"),
    "an unknown outcome that completed": (
        text({"process": 1, "f": "x", "outcome": "info", "invoked": 0, "completed": 1}), 1, "'completed', which nobody"
    ),
    "an answer of a failure": (text(ONE | {"outcome": "fail", "result": 1}), 1, "a result, which only"),
    "another outcome": (text(ONE | {"outcome": "okay"}), 1, "outcome 'okay'"),
    "an outcome that is a list": (text(ONE | {"outcome": []}), 1, "outcome []"),
    "process as text": (text(ONE, ONE | {"process": "1"}), 2, 'process "1", which must be an integer'),
    "process true": (text(ONE, ONE | {"process": True}), 2, "process true, which must be an integer"),
    "process null": (text(ONE | {"process": None}), 1, "process null, which must be an integer"),
    "time 1.5": (text(ONE | {"began_ns": 1.5}), 1, "began_ns 1.5, which must be an integer"),
    "time beyond 64 bits": (text(ONE | {"ended_ns": 1 << 64}), 1, "ended_ns 18446744073709551616, beyond 64 bits"),
    "f null": (text(ONE | {"f": None}), 1, "f null, which must be text"),
    "final 1": (text(ONE | {"final": 1}), 1, "final 1, which must be true or false"),
    "node 1": (text(ONE | {"node": 1}), 1, "node 1, which must be text"),
    "too many nodes": (
        text(*(ONE | {"process": n, "node": f"n{n}"} for n in range(33_000))), 33_000, "33000 different names in 'node'"
    ),
    "an index twice": (text(ONE | {"index": 3}, ONE | {"index": 3, "process": 1}), 2, "index 3 of an earlier line"),
    "an index here and there": (text(ONE | {"index": 3}, ONE | {"process": 1}), 2, "no 'index'"),
    "two operations open": (text(ONE, ONE | {"began_ns": 15, "ended_ns": 30}), 2, "process 0 has two operations open"),
    "after info": (text(ONE | {"outcome": "info"}, ONE | {"began_ns": 30, "ended_ns": 40}), 2, "process 0 goes on"),
    "no set": (text(ONE | {"value": {"$set": 5}}), 1, "$set"),
    "a set with equals": (text(ONE | {"value": {"$set": [1, 1]}}), 1, "different elements"),
    "another $": (text(ONE | {"value": {"$bag": [1]}}), 1, "'$bag'"),
    "a map of no pairs": (text(ONE | {"value": {"$map": [[1]]}}), 1, "pairs"),
    "a newer version": (text({"schema_version": 99}, ONE), 1, "schema_version 99"),
    "a header later": (text(ONE, {"schema_version": 1}), 2, "not the first line"),
    "an unknown key in the header": (text({"schema_version": 1, "mark": []}, ONE), 1, "did you mean 'marks'?"),
    "marks that are none": (text({"schema_version": 1, "marks": [5]}, ONE), 1, "marks must be"),
    "nothing": ("\n\n", 0, "no operations"),
    "a header alone": (text({"schema_version": 1}), 0, "no operations"),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_no_history_says_where_and_why(case: str) -> None:
    content, line, what = MALFORMED[case]
    with pytest.raises(HistoryError) as caught:
        read(FORMAT, content)
    assert caught.value.line == line
    assert what in caught.value.what


def test_a_place_is_right_in_a_later_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_reading, "PIECE", 7)
    good = [ONE | {"process": n} for n in range(50)]
    assert len(read(FORMAT, text(*good))) == 50
    with pytest.raises(HistoryError, match="file:52: found final 3, which must be"):
        read(FORMAT, "\n" + text(*good, ONE | {"process": 99, "final": 3}))
