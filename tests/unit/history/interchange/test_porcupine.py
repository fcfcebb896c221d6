"""Porcupine's two logs: lines of its own tests, round trips, and everything that is neither."""

from __future__ import annotations

import io

import numpy as np
import pytest
from histories.files import again, any_history, read, told
from hypothesis import given, settings
from hypothesis import strategies as st

from chaoskit.errors import HistoryError
from chaoskit.history.interchange.open import detect
from chaoskit.history.interchange.porcupine import FORMAT
from chaoskit.history.operation import NONE, Outcome
from chaoskit.history.operations import NEVER, Operations

ETCD = """\
INFO  jepsen.util - 0\t:invoke\t:read\tnil
INFO  jepsen.util - 1\t:invoke\t:write\t4
INFO  jepsen.util - 2\t:invoke\t:cas\t[4 1]
INFO  jepsen.util - 0\t:ok\t:read\tnil
INFO  jepsen.util - 1\t:ok\t:write\t4
INFO  jepsen.util - 2   :fail   :cas    [4 1]
INFO  jepsen.util - 1\t:invoke\t:write\t3
INFO  jepsen.util - 1\t:info\t:write\t:timed-out
INFO  jepsen.util - 0\t:invoke\t:read\tnil
INFO  jepsen.util - 0\t:fail\t:read\t:timed-out
"""
KV = """\
{:process 0, :type :invoke, :f :put, :key "4", :value "x 0 "0" y"}

{:process 1, :type :invoke, :f :get, :key "4", :value nil}
{:process 0, :type :ok, :f :put, :key "4", :value "x 0 "0" y"}
{:process 1, :type :ok, :f :get, :key "4", :value ""}
{:process 1, :type :invoke, :f :append, :key "4", :value "z"}
"""


def test_the_log_of_etcd() -> None:
    assert detect(ETCD.encode(), "", "x").name == "porcupine"
    found = read(FORMAT, ETCD)
    assert [found.function(n) for n in range(5)] == ["read", "write", "cas", "write", "read"]
    assert found.outcome.tolist() == [Outcome.OK, Outcome.OK, Outcome.FAIL, Outcome.INFO, Outcome.FAIL]
    assert found.of_value(found.value[2]) == (4, 1)
    assert found.result[[0, 2, 3, 4]].tolist() == [NONE] * 4
    assert found.completed[3] == NEVER
    assert found.line.tolist() == [1, 2, 3, 7, 9]


def test_the_log_of_a_key_value_store() -> None:
    """It begins like EDN, whose reader would trip over the quotes inside the text."""
    assert detect(KV.encode(), "", "x").name == "porcupine"
    found = read(FORMAT, "\n" + KV)
    assert [found.of_value(one) for one in found.value] == ['x 0 "0" y', None, "z"]
    assert found.of_value(found.result[1]) == ""
    assert [found.of_value(one) for one in found.key] == ["4"] * 3
    assert found.outcome.tolist() == [Outcome.OK, Outcome.OK, Outcome.INFO]
    assert found.line.tolist() == [2, 4, 7]


@pytest.mark.parametrize("text", [ETCD, KV])
def test_what_was_read_is_written_alike(text: str) -> None:
    found = read(FORMAT, text)
    kept = found.where(~found.failed)
    assert told(again(FORMAT, found)) == told(kept)
    out = io.BytesIO()
    said = FORMAT.write(found, out)
    assert any("operations that failed" in one for one in said) == bool(found.failed.any())
    if text is KV:
        assert out.getvalue().decode() == text.replace("\n\n", "\n")


def fitting(history: Operations, kv: bool) -> Operations:
    """Asked and answered as these logs know it."""
    read = history.f == 0
    ok = history.outcome == Outcome.OK
    answer = np.where(history.result == NONE, history.value, history.result)
    result = np.where(ok, np.where(read, answer, history.value), NONE)
    key = history.value if kv else np.full(len(history), NONE)
    names = ("get", "append") if kv else ("read", "write")
    return history.altered(value=np.where(read, NONE, history.value), result=result, key=key, functions=names)


@settings(max_examples=50, deadline=None)
@given(any_history(st.integers(0, 1 << 70)))
def test_round_trip_of_numbers(history: Operations) -> None:
    history = fitting(history, kv=False)
    kept = history.where(np.argsort(history.invoked)).where(~history.failed[np.argsort(history.invoked)])
    if len(kept):
        assert told(again(FORMAT, history)) == told(kept)


@settings(max_examples=50, deadline=None)
@given(any_history(st.text(st.characters(exclude_categories=["Cs", "Zl", "Zp", "Cc"]), max_size=6)))
def test_round_trip_of_texts(history: Operations) -> None:
    history = fitting(history, kv=True)
    kept = history.where(np.argsort(history.invoked)).where(~history.failed[np.argsort(history.invoked)])
    if len(kept):
        assert told(again(FORMAT, history)) == told(kept)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (ETCD + "INFO  jepsen.util - 0\t:invoke\t:add\t3\n", 11, ":add"),
        (ETCD + "INFO  jepsen.core - Run complete\n", 11, "jepsen.core"),
        ("INFO  jepsen.util - 0\t:invoke\t:read\t3\n", 1, "found"),
        ("INFO  jepsen.util - 0\t:invoke\t:write\tnil\n", 1, "found"),
        ("INFO  jepsen.util - 0\t:invoke\t:write\t" + "9" * 5000, 1, "found"),
        ("INFO  jepsen.util - 0\t:invoke\t:cas\t[1 2", 1, "found"),
        ("INFO  jepsen.util - 99999999999999999999\t:invoke\t:read\tnil", 1, "64 bits"),
        (ETCD + "INFO  jepsen.util - 1\t:invoke\t:read\tnil\n", 11, "went on after"),
        (ETCD + "INFO  jepsen.util - 7\t:ok\t:read\tnil\n", 11, "never invoked"),
        (KV + KV, 9, "process still has an operation open"),
        (KV + ETCD, 7, "found 'INFO"),
        (KV[:60], 1, "found"),
        ('{:process 0, :type :invoke, :f :put, :key "4", :value nil}', 1, "found"),
        (b'{:process 0, :type :invoke, :f :put, :key "4", :value "\xff"}', 1, "not UTF-8"),
        ("", 0, "empty history"),
    ],
)  # fmt: skip
def test_what_is_no_log(text: str | bytes, line: int, what: str) -> None:
    with pytest.raises(HistoryError, match=what) as raised:
        read(FORMAT, text)
    assert raised.value.line == line


@pytest.mark.parametrize(
    ("f", "value", "key"),
    [
        ("add", 1, None),
        ("write", -1, None),
        ("write", "x", None),
        ("write", 1, "k"),
        ("cas", (1, 2, 3), None),
        ("put", 5, "k"),
        ("put", "a\nb", "k"),
        ("put", 'a", :value "b', "k"),
        ("put", "a", 3),
    ],
)
def test_what_cannot_be_written(f: str, value: object, key: object) -> None:
    history = Operations.make(
        process=[0], f=[0], outcome=[1], invoked=[0], completed=[1], key=[NONE if key is None else 1], value=[0],
        functions=(f,), values=[value, key],
    )  # fmt: skip
    with pytest.raises(HistoryError, match="carry"):
        FORMAT.write(history, io.BytesIO())


def test_a_last_line_without_an_end_is_noted() -> None:
    """`3` may have been `34`; nothing in the file says so."""
    line = "INFO  jepsen.util - 0\t:invoke\t:write\t3"
    assert read(FORMAT, f"{line}\n").notes == ()
    assert "cut short" in read(FORMAT, line).notes[0]
