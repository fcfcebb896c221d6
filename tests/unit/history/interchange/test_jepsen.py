"""Jepsen's histories: what their maps mean, in every way in which they are printed, and what is no history."""

from __future__ import annotations

import io
import random
from typing import Any

import numpy as np
import pytest
from histories.files import again, any_history, read, told
from hypothesis import given, settings
from hypothesis import strategies as st

from chaoskit.errors import HistoryError
from chaoskit.history.interchange import jepsen
from chaoskit.history.interchange.jepsen import FORMAT
from chaoskit.history.interchange.jepsen_shapes import Shapes
from chaoskit.history.operation import NONE, Outcome
from chaoskit.history.operations import NEVER, Mark, Operations
from chaoskit.history.values import Map
from chaoskit.registry import load

REGISTER = """\
{:type :invoke, :f :write, :value 1, :process 0, :time 10, :index 0}
{:type :invoke, :f :read, :value nil, :process 1, :time 20, :index 1}
{:type :info, :f :start, :value [:n1 :n2], :process :nemesis, :time 25, :index 2}
{:type :ok, :f :read, :value 1, :process 1, :time 30, :index 3}
{:type :info, :f :write, :value 1, :process 0, :time 40, :index 4, :error :timeout}
{:type :invoke, :f :cas, :value [1 2], :process 1, :time 50, :index 5}
{:type :fail, :f :cas, :value [1 2], :process 1, :time 60, :index 6}
{:type :invoke, :f :read, :value nil, :process 2, :time 70, :index 7}
"""


def columns(operations: Operations) -> dict[str, Any]:
    """Everything, as plain data."""
    names = ("index", "process", "outcome", "invoked", "completed", "began_ns", "ended_ns", "line", "final")
    return {"told": told(operations, *names), "marks": operations.marks, "notes": operations.notes}


def test_what_the_maps_mean() -> None:
    found = read(FORMAT, REGISTER)
    assert [found.functions[f] for f in found.f] == ["write", "read", "cas", "read"]
    assert found.index.tolist() == [0, 1, 5, 7]
    assert found.line.tolist() == [1, 2, 6, 8]
    assert found.outcome.tolist() == [Outcome.INFO, Outcome.OK, Outcome.FAIL, Outcome.INFO]
    assert [found.of_value(n) for n in found.value] == [1, None, (1, 2), None]
    assert [found.of_value(n) for n in found.result] == [None, 1, None, None]
    assert found.began_ns.tolist() == [10, 20, 50, 70]
    assert found.ended_ns.tolist() == [40, 30, 60, NONE]
    assert (found.completed == NEVER).tolist() == [True, False, False, True]
    assert found.invoked[0] < found.invoked[1] < found.completed[1] < found.invoked[2] < found.completed[2]
    assert found.marks == (Mark("start [n1 n2]", 2, 25),)


VARIANTS = {
    "tagged": lambda line: f"#jepsen.history.Op{line}",
    "tagged, spaced": lambda line: f"#jepsen.history.Op {line}",
    "no commas": lambda line: line.replace(",", ""),
    "more commas": lambda line: line.replace(" ", " ,, "),
    "on several lines": lambda line: line.replace(", :", "\n :"),
    "commented": lambda line: f"; before\n{line} ; after {{:type",
    "with what does not matter": lambda line: line.replace("}", ', :exception [:x "{:type" {:a 1}], :ns/other #{1}}'),
    "names as text": lambda line: line.replace(":f :write", ':f "write"').replace(":f :read", ":f read"),
    "discards": lambda line: f"#_ {{:type :ok}} {line.replace(':time', ':clock #_ #_ 1 2 3 :time')}",
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_same_however_it_is_printed(variant: str) -> None:
    # Enough lines that shapes are learnt and used, with the last ones printed otherwise again.
    text = "".join(f"{VARIANTS[variant](line)}\n" for line in REGISTER.splitlines())
    assert told(read(FORMAT, text)) == told(read(FORMAT, REGISTER))


@pytest.mark.parametrize(
    ("opening", "closing"), [("[", "]"), ("(", ")"), ("; history\n [\n", "\n]\n; end"), ("[", "#_ {:a 1}]")]
)
def test_one_vector_or_list_of_maps(opening: str, closing: str) -> None:
    for text in (REGISTER, REGISTER.replace("\n", " "), REGISTER.replace("}\n", "}")):
        assert told(read(FORMAT, f"{opening}{text}{closing}")) == told(read(FORMAT, REGISTER))


def printed(events: list[dict[str, str]], seed: int) -> str:
    """Events printed in a few styles that alternate: orders of keys, separators, extra keys, tags."""
    rng = random.Random(seed)
    orders = [rng.sample(list(events[0]), len(events[0])) for _ in range(rng.randrange(1, 4))]
    between, opening, after = rng.choice([", ", " ", ",\n "]), rng.choice(["{", "#jepsen.history.Op{", "{ "]), "\n"
    lines = []
    for event in events:
        extra = rng.choice(["", "", "", f"{between}:error [:timeout {rng.randrange(9)}]", f'{between}:node "n1"'])
        entries = between.join(f":{key} {event[key]}" for key in rng.choice(orders) if event[key])
        comment = " ; {:type :ok}" if rng.random() < 0.1 else ""
        lines.append(f"{opening}{entries}{extra}}}{comment}{after}")
    return "".join(lines)


VALUE_TEXTS = st.sampled_from(
    ["nil", "1", "-7", ":a", '"x, :process 5, :time 1"', "[1 2 3]", "[]", "#{1 2}", "{:a {:b 1}}",
     "[[:append 1 2] [:r 1 nil]]",
     '[[:r :x [1 2]] [:w "y" 3]]', "[[:r 1 [[1] [2]]]]", "true", "1.0", "1N", "9999999999999999999",
     "#inst \"2026\"",
     "[1  2]", "{:type :ok, :process 3}", "\\}", '"}"', "[[:append 1 2] [:append 1 true]]", "(1 2)", "[#_ 5 1 2]"]
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(VALUE_TEXTS, VALUE_TEXTS, st.booleans()), min_size=1, max_size=40), st.integers(0, 1 << 30))
def test_what_is_read_quickly_is_what_the_whole_reader_reads(rows: list[tuple[str, str, bool]], seed: int) -> None:
    """The same text three times: as it is, in pieces of a few bytes, and with nothing but the reader of EDN."""
    events = []
    for number, (asked, answered, known) in enumerate(rows):
        both = {"process": str(number), "f": ":txn", "index": "", "time": str(number * 10)}
        events.append({"type": ":invoke", "value": asked, **both})
        if known:
            events.append({"type": ":ok", "value": answered, **both})
    text = printed(events, seed)
    found = [columns(read(FORMAT, text))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jepsen, "_PIECE", 37)
        found.append(columns(read(FORMAT, text)))
        patch.undo()
        patch.setattr(Shapes, "take", lambda self, text, at: at)
        found.append(columns(read(FORMAT, text)))
    assert found[0] == found[1] == found[2]


def test_regular_lines_are_read_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three maps teach the shapes (one has an error, one a nemesis); no other goes through the whole reader."""
    text = "".join(
        f"{{:type :invoke, :f :write, :value {n}, :process {n}, :time {n}, :index {3 * n}}}\n"
        f"{{:type :info, :f :start, :value nil, :process :nemesis, :time {n}, :index {3 * n + 1}}}\n"
        f"{{:type :info, :f :write, :value {n}, :process {n}, :time {n}, :index {3 * n + 2}, :error :timeout}}\n"
        for n in range(1000)
    )
    seen = []
    whole = jepsen.Reader.read
    monkeypatch.setattr(
        jepsen.Reader, "read", lambda self, *given, **more: seen.append(1) or whole(self, *given, **more)
    )
    found = read(FORMAT, text)
    assert len(found) == 1000
    assert len(found.marks) == 1000
    assert len(seen) < 1010  # every nemesis, and a few


def test_maps_without_a_value_are_regular_too(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    whole = Shapes.take
    monkeypatch.setattr(Shapes, "take", lambda self, text, at: taken.append(whole(self, text, at)) or taken[-1])
    text = "".join(f"{{:type :invoke, :f :acquire, :process {n}}}\n" for n in range(50))
    assert (read(FORMAT, text).value == NONE).all()
    assert len(taken) < 5
    with pytest.raises(HistoryError, match="file:51: a map whose last key has no value"):
        read(FORMAT, text + "{:type :ok, :f :acquire, :value , :process 5}")


MALFORMED = {
    "a torn last line": (REGISTER + "{:type :invoke, :f :re", 9, "never closed"),
    "a torn vector": ("[" + REGISTER, 9, "ends without its ]"),
    "a torn string": (REGISTER + '{:type :invoke, :f "re', 9, "never ends"),
    "wrong nesting": (REGISTER + "{:type :invoke, :f :read, :value [1 2}, :process 9}", 9, "wants ]"),
    "a closing bracket too many": (REGISTER + "]", 9, "closes nothing"),
    "the wrong closing bracket": ("[" + REGISTER + ")", 9, ") closes nothing"),
    "more after the vector": ("[" + REGISTER + "]\n" + REGISTER, 10, "closed in line 9, and yet goes on"),
    "no map": (REGISTER + "[1 2]", 9, "expected a map of an event, found [1 2]"),
    "words": (REGISTER + "Connection refused", 9, "expected a map of an event, found Connection"),
    "JSON among it": (REGISTER + '{"type": "invoke"}', 9, "no keyword"),
    "no type": (REGISTER + "{:f :read, :process 9}", 9, ":type must be one of :invoke, :ok, :fail, :info; found"),
    "another type": (REGISTER + "{:type :oh, :f :read, :process 9}", 9, "found oh"),
    "a named client": (REGISTER + '{:type :ok, :f :read, :process "a"}', 9, ":process must be an integer for a client"),
    "no process": (REGISTER + "{:type :ok, :f :read}", 9, ":process must be an integer"),
    "process nil": (REGISTER + "{:type :ok, :f :read, :process nil}", 9, ":process must be an integer"),
    "process 1.5": (REGISTER + "{:type :ok, :f :read, :process 1.5}", 9, "found 1.5"),
    "no function": (REGISTER + "{:type :ok, :process 9}", 9, ":f must be a keyword"),
    "time as text": (REGISTER + '{:type :ok, :f :read, :process 9, :time "5"}', 9, ":time must be an integer"),
    "time beyond 64 bits": (REGISTER + f"{{:type :ok, :f :read, :process 9, :time {1 << 70}}}", 9, ":time must be"),
    "too many functions": (
        "".join(f"{{:type :invoke, :f :f{n}, :process {n}}}\n" for n in range(33_000)), 0, "33000 different functions"
    ),
    "a negative index": (REGISTER + "{:type :invoke, :f :read, :process 9, :index -3}", 9, ":index must be a number"),
    "one key twice": (REGISTER + "{:type :ok, :type :ok, :f :read, :process 9}", 9, "one key twice"),
    "an index twice": (REGISTER + "{:type :invoke, :f :read, :process 9, :index 5}", 9, "index 5 of an earlier event"),
    "two operations open": (REGISTER + "{:type :invoke, :f :read, :process 2, :index 9}", 9, "has an operation open"),
    "no invocation": (REGISTER + "{:type :ok, :f :read, :process 9, :index 9}", 9, "never invoked"),
    "another function": (REGISTER + "{:type :ok, :f :write, :process 2, :index 9}", 9, "another function"),
    "after info": (REGISTER + "{:type :invoke, :f :read, :process 0, :index 9}", 9, "outcome that nobody knows"),
    "not UTF-8": (REGISTER.encode() + b'{:type :ok, :f :read, :process 2, :value "\xff"}', 9, "not UTF-8"),
    "not UTF-8 in a name": (REGISTER.encode() + b"{:type :ok, :f :\xff, :process 2}", 9, "not UTF-8"),
    "deep nesting": (REGISTER + "{:type :ok, :f :read, :process 2, :value " + "[" * 5000, 9, "deeper than"),
    "a number without end": (REGISTER + f"{{:type :ok, :f :read, :process 2, :value {'7' * 9000}}}", 9, "9000 digits"),
    "nothing": ("", 0, "holds no events"),
    "nothing but comments": ("; one\n; two\n", 0, "holds no events"),
    "an empty vector": ("[]", 0, "holds no events"),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_no_history_says_where_and_why(case: str) -> None:
    text, line, what = MALFORMED[case]
    with pytest.raises(HistoryError) as caught:
        read(FORMAT, text)
    assert (caught.value.file, caught.value.line) == ("file", line)
    assert what in caught.value.what
    assert caught.value.exit_code == 2


def test_a_place_is_right_far_into_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jepsen, "_PIECE", 100)
    text = "".join(
        f"{{:type :{kind}, :f :read, :value {n}, :process {n}}}\n" for n in range(300) for kind in ("invoke", "ok")
    )
    with pytest.raises(HistoryError, match=r"file:601: 7x is no number"):
        read(FORMAT, text + "{:type :invoke, :f :read, :value 7x, :process 0}\n")


def test_clocks_that_go_backwards_do_not_change_the_order_of_the_file() -> None:
    text = """
    {:type :invoke, :f :write, :value 1, :process 0, :time 100}
    {:type :ok, :f :write, :value 1, :process 0, :time 90}
    {:type :invoke, :f :read, :value nil, :process 1, :time 50}
    {:type :ok, :f :read, :value 1, :process 1, :time 40}"""
    found = read(FORMAT, text)
    assert (found.invoked.tolist(), found.completed.tolist()) == ([0, 2], [1, 3])
    assert found.began_ns.tolist() == [100, 50]


def test_without_index_and_time_the_place_counts() -> None:
    found = read(
        FORMAT,
        "[{:type :invoke :f :r :process 0}{:type :info :f :x :process :nemesis}{:type :invoke :f :r :process 1}]",
    )
    assert found.index.tolist() == [0, 2]
    assert found.began_ns.tolist() == [NONE, NONE]
    assert not found.timed
    assert found.notes == ()


def test_an_index_here_and_there_is_not_used_and_said() -> None:
    found = read(FORMAT, "{:type :invoke, :f :r, :process 0, :index 7}\n{:type :invoke, :f :r, :process 1}\n")
    assert found.index.tolist() == [0, 1]
    assert found.notes == ("1 of 2 events have no :index: all are numbered by their place",)


def test_an_index_that_was_never_given_is_minus_one_in_jepsen() -> None:
    found = read(FORMAT, "{:type :invoke, :f :r, :process 0, :index -1}\n{:type :invoke, :f :r, :process 1 :index nil}")
    assert found.index.tolist() == [0, 1]
    assert found.notes == ()


def test_nothing_but_info_is_a_history() -> None:
    lines = [
        f"{{:type {kind}, :f :write, :value {n}, :process {n}}}" for n in range(20) for kind in (":invoke", ":info")
    ]
    found = read(FORMAT, "\n".join(lines))
    assert found.info.all()
    assert len(found) == 20


def test_nothing_but_faults_is_an_empty_history() -> None:
    found = read(FORMAT, "{:type :info, :f :start, :process :nemesis}")
    assert len(found) == 0
    assert found.marks == (Mark("start", 0),)


def test_node_and_final_are_known_from_either_event() -> None:
    text = """
    {:type :invoke, :f :read, :process 0, :node "n1"} {:type :ok, :f :read, :process 0, :value 1}
    {:type :invoke, :f :read, :process 1, :final? true} {:type :ok, :f :read, :process 1, :node "n2"}
    {:type :invoke, :f :read, :process 2, :final? false} {:type :ok, :f :read, :process 2}"""
    found = read(FORMAT, text)
    assert [found.nodes[n] if n >= 0 else None for n in found.node] == ["n1", "n2", None]
    assert found.final.tolist() == [False, True, False]


def test_values_of_transactions_sets_and_banks() -> None:
    values = [
        "[[:append 5 1] [:r :x nil]]",
        "[[:append 5 1] [:r :x [1 2]]]",
        "#{3 1 2}",
        "{:0 97, 1 3}",
        "[]",
        '["k" 1]',
    ]
    lines = [f"{{:type :invoke, :f :x, :value {text}, :process {n}}}" for n, text in enumerate(values * 3)]
    found = read(FORMAT, "\n".join(lines))
    assert [found.of_value(n) for n in found.value[:6]] == [
        (("append", 5, 1), ("r", "x", None)),
        (("append", 5, 1), ("r", "x", (1, 2))),
        frozenset({1, 2, 3}),
        Map({"0": 97, 1: 3}),
        (),
        ("k", 1),
    ]
    assert found.value[:6].tolist() == found.value[6:12].tolist() == found.value[12:].tolist()


@pytest.mark.parametrize(
    "texts", [("1", "1.0", "true"), ("[1]", "[1.0]", "[true]"), ("[[:w 1 1]]", "[[:w 1 1.0]]", "[[:w 1 true]]")]
)
def test_numbers_and_truths_that_python_calls_equal_are_different_values(texts: tuple[str, ...]) -> None:
    lines = [f"{{:type :invoke, :f :x, :value {text}, :process {n}}}" for n, text in enumerate(texts * 2)]
    found = read(FORMAT, "\n".join(lines))
    assert found.value.tolist() == [0, 1, 2, 0, 1, 2]


@settings(max_examples=80, deadline=None)
@given(any_history())
def test_round_trip(history: Operations) -> None:
    back = again(FORMAT, history)
    # A completion shows what was asked where nothing was answered: there is one place for both.
    result = np.where(history.ok & (history.result == NONE), history.value, history.result)
    order = np.argsort(history.invoked)
    assert told(back, "began_ns") == told(history.altered(result=result).where(order), "began_ns")
    assert len(back.marks) == len(history.marks)
    assert told(again(FORMAT, back), "index", "line", "ended_ns") == told(back, "index", "line", "ended_ns")


def test_an_exported_history_is_the_file_it_came_from() -> None:
    history = read(FORMAT, REGISTER)
    out = io.BytesIO()
    assert FORMAT.write(history, out) == ()
    # But for what is ignored, and the last operation, which never completed: nobody knows its outcome.
    kept = REGISTER.replace(", :error :timeout", "").replace("[:n1 :n2]", '"[n1 n2]"').splitlines()
    assert out.getvalue().decode().splitlines() == [
        *kept, "{:type :info, :f :read, :value nil, :process 2, :time -1, :index 8}"
    ]  # fmt: skip


def test_what_jepsen_cannot_carry_is_said() -> None:
    history = Operations.make(
        process=[0, 0, 0], f=[0, 0, 0], outcome=[Outcome.INFO, Outcome.OK, Outcome.OK], invoked=[0, 1, 2],
        completed=[NEVER, 3, 4], key=[0, 0, NONE], value=[1, 1, 1], index=[5, 6, 7], session=[9, 9, 9],
        functions=("write",), values=["x", 1],
    )  # fmt: skip
    out = io.BytesIO()
    notes = FORMAT.write(history, out)
    assert [note.split(":")[0] for note in notes] == [
        "2 operations have keys, written as [key value]",
        "2 operations have another process",
        "operations are numbered by their place in the file",
        "sessions are left out",
    ]
    lines = out.getvalue().decode().splitlines()
    assert lines[0] == '{:type :invoke, :f :write, :value ["x" 1], :process 0, :time -1, :index 0}'
    assert len({line.split(":process ")[1].split(",")[0] for line in lines}) == 3
    assert len(read(FORMAT, out.getvalue())) == 3


@pytest.mark.parametrize("format", ["jepsen", "elle"])
def test_faults_between_the_same_events_keep_their_order(format: str) -> None:
    faults = tuple(Mark(f"start n{number}", 1, 5) for number in range(4))
    given = read(FORMAT, REGISTER).altered(marks=faults)
    assert [mark.label for mark in again(load("format", format), given).marks] == [mark.label for mark in faults]


@pytest.mark.parametrize("format", ["jepsen", "elle"])
def test_times_before_zero_are_counted_from_the_first(format: str) -> None:
    """-1 is a time that is not known there, so none may be negative."""
    given = read(FORMAT, REGISTER)
    early = given.altered(
        began_ns=given.began_ns - 1000,
        ended_ns=np.where(given.ended_ns == NONE, NONE, given.ended_ns - 1000),
        marks=(Mark("kill", 1, -900), Mark("heal", 2)),
    )
    out = io.BytesIO()
    lost = load("format", format).write(early, out)
    first = int(-early.began_ns.min())
    assert f"times are {first} ns later: some were before 0" in lost
    out.seek(0)
    found = load("format", format).read(out, "again")
    assert found.began_ns.tolist() == (early.began_ns + first).tolist()
    assert [mark.time_ns for mark in found.marks] == [first - 900, NONE]
    wide = early.altered(began_ns=np.where(early.invoked == 0, -(1 << 62) - 5, 1 << 62))
    lost = load("format", format).write(wide, io.BytesIO())
    assert "times are left out, for they span more than 64 bits: some were before 0" in lost
