"""elle-cli's JSON: the maps of Jepsen in one array."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from histories.files import again, any_history, read, told
from hypothesis import given, settings
from hypothesis import strategies as st

from chaoskit.errors import HistoryError
from chaoskit.history.interchange import elle
from chaoskit.history.interchange.elle import FORMAT
from chaoskit.history.interchange.open import detect
from chaoskit.history.operation import NONE, Outcome
from chaoskit.history.operations import Mark, Operations
from chaoskit.history.values import Map

KEYS = st.one_of(st.integers(-9, 9), st.sampled_from(["a", "01", "-0", ""]))
LEAVES = (st.none(), st.booleans(), st.integers(-(1 << 80), 1 << 80), st.floats(allow_nan=False), st.text(max_size=6))
VALUES = st.recursive(
    st.one_of(LEAVES),
    lambda inner: st.one_of(st.lists(inner, max_size=3).map(tuple), st.dictionaries(KEYS, inner, max_size=2).map(Map)),
    max_leaves=6,
)
ONE: dict[str, Any] = {"type": "invoke", "f": "txn", "value": [["append", 1, 2], ["r", 1, None]], "process": 0}
TWO = ONE | {"type": "ok", "value": [["append", 1, 2], ["r", 1, [2]]]}


@settings(max_examples=60, deadline=None)
@given(any_history(VALUES.filter(lambda value: value is not None)))
def test_round_trip(history: Operations) -> None:
    back = again(FORMAT, history)
    expected = history.where(np.argsort(history.invoked))
    answered = (expected.result == NONE) & (expected.outcome == Outcome.OK)
    expected = expected.altered(result=np.where(answered, expected.value, expected.result))
    assert told(back, "began_ns") == told(expected, "began_ns")
    assert [mark.label for mark in back.marks] == [
        mark.label for mark in sorted(history.marks, key=lambda mark: mark.rank)
    ]


def test_read_in_pieces_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps([ONE, TWO | {"node": "nö"}, ONE | {"process": 1}], indent=1, ensure_ascii=False)
    whole = read(FORMAT, text)
    assert whole.line.tolist() == [2, text[: text.rindex("{")].count("\n") + 1]
    for size in (1, 7, 50):
        monkeypatch.setattr(elle, "_PIECE", size)
        assert told(read(FORMAT, text), "line") == told(whole, "line")


def test_what_is_read() -> None:
    text = json.dumps(
        [
            {"type": "info", "f": "start", "value": "n1", "process": "nemesis", "time": 5},
            {"type": "invoke", "f": "read", "process": 3, "value": None, "extra": {"a": []}},
            {"type": "ok", "f": "read", "process": 3, "value": {"0": 97, "01": 3}, "final?": True},
        ]
    )
    assert detect(text.encode(), "", "x").name == "elle"
    found = read(FORMAT, text)
    assert found.of_value(found.result[0]) == Map({0: 97, "01": 3})
    assert found.marks == (Mark("start n1", 0, 5),)
    assert found.final.tolist() == [True]


def test_what_cannot_be_carried_is_told() -> None:
    history = Operations.make(
        process=[0], f=[0], outcome=[1], invoked=[0], completed=[1], key=[0], value=[1], result=[2], session=[9],
        index=[5], functions=("read",), values=["x", frozenset({1}), Map({True: 1})],
    )  # fmt: skip
    told_so = FORMAT.write(history, io.BytesIO())
    for words in ("[key value]", "numbered by their place", "sessions are left out", "1 sets", "1 maps"):
        assert any(words in one for one in told_so), words
    assert not FORMAT.write(read(FORMAT, json.dumps([ONE, TWO])), io.BytesIO())


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (json.dumps([ONE]) + "]", 1, "after the end"),
        (json.dumps([ONE, TWO])[:-1], 1, "never closed"),
        (json.dumps([ONE, TWO])[:-4], 1, "no JSON"),
        (json.dumps([ONE])[:-1] + "\n" + json.dumps([TWO])[1:], 2, "without a comma"),
        (json.dumps([ONE])[:-1] + ",\n,]", 2, "a comma too many"),
        ('[{"type": "ok", "type": "ok"}]', 1, "twice"),
        (json.dumps([ONE, [1]]), 1, "instead of an event"),
        (json.dumps({"a": 1}), 1, "instead of an array"),
        (json.dumps([ONE, TWO | {"process": 1}]), 1, "never invoked"),
        (json.dumps([ONE | {"type": "begin"}]), 1, "type must be one of invoke, ok"),
        (json.dumps([ONE | {"process": 1 << 70}]), 1, "64 bits"),
        ('[{"type": "ok", "value": ' + "[" * 100_000, 1, "nested deeper"),
        ('[{"type": "ok", "value": ' + "[" * 300 + "]" * 300 + "}]", 1, "nested deeper"),
        ('[{"type": "ok", "value": "\\ud800"}]', 1, "surrogate"),
        (b'[\n{"type": "ok\xff"}]', 1, "not UTF-8"),
        ("[]", 0, "empty history"),
    ],
)
def test_what_is_no_history(text: str | bytes, line: int, what: str) -> None:
    with pytest.raises(HistoryError, match=what) as raised:
        read(FORMAT, text)
    assert raised.value.line == line
