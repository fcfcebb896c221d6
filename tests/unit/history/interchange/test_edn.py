"""EDN: everything that histories contain, every way to be wrong, and every place to be cut in two."""

from __future__ import annotations

import math

import pytest
from histories.files import VALUES
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.history.interchange.edn import MAX_DEPTH, NOTHING, Incomplete, Reader, Unreadable, skipped, written
from chaoskit.history.values import Keyword, Map, Values


def one(text: str | bytes) -> object:
    data = text.encode() if isinstance(text, str) else text
    value, end = Reader().read(data)
    assert skipped(data, end) == len(data)
    return value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("nil", None),
        ("true", True),
        ("false", False),
        ("0", 0),
        ("-17", -17),
        ("+5", 5),
        ("3N", 3),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("-9223372036854775809N", -9223372036854775809),
        ("0x1aF", 0x1AF),
        ("1.5", 1.5),
        ("-1.", -1.0),
        ("1e3", 1000.0),
        ("2.5E-3", 0.0025),
        ("1.50M", 1.5),
        ("3M", 3.0),
        ("0.1000000000000000000000000001M", "0.1000000000000000000000000001M"),
        ("1/3", "1/3"),
        ("##Inf", math.inf),
        ("##-Inf", -math.inf),
        ('"a\\tb\\n\\"\\\\"', 'a\tb\n"\\'),
        ('"\\u00e9 \\ud83d\\ude00 \\101"', "é 😀 A"),
        ('"two\nlines"', "two\nlines"),
        ("\\a", "a"),
        ("\\newline", "\n"),
        ("\\space", " "),
        ("\\u0041", "A"),
        ("\\o101", "A"),
        ("\\é", "é"),
        (":kw", Keyword("kw")),
        (":ns/kw?", Keyword("ns/kw?")),
        ("java.net.SocketException", "java.net.SocketException"),
        ("-", "-"),
        ("[1 [2 nil] ()]", (1, (2, None), ())),
        ("(1, 2,,3)", (1, 2, 3)),
        ("#{1 2}", frozenset({1, 2})),
        ("{:a 1, 2 [3]}", Map({"a": 1, 2: (3,)})),
        ('#inst "2026-01-01"', "2026-01-01"),
        ('#uuid "x"', "x"),
        ("#jepsen.history.Op{:a 1}", Map({"a": 1})),
        ('#a #b [#c 1]', (1,)),
        ("#:ns{:a 1 :b/c 2 :_/d 3}", Map({"ns/a": 1, "b/c": 2, "d": 3})),
        ('#object[x.Y$z 0x1f "text"]', ("x.Y$z", 31, "text")),
        ("[1 #_ 2 3]", (1, 3)),
        ("[#_ #_ 1 2 3]", (3,)),
        ("#_ #foo {:a 1} 5", 5),
        ("[1 ; two\n 3]", (1, 3)),
        (" ,\n; nothing\n 5 ; more", 5),
    ],
)  # fmt: skip
def test_what_there_is(text: str, value: object) -> None:
    found = one(text)
    assert found == value
    assert type(found) is type(value)


def test_not_a_number_is_one_value() -> None:
    values = Values()
    assert values.number(one("##NaN")) == values.number(one("##NaN"))


@pytest.mark.parametrize(
    ("text", "at", "what"),
    [
        ("[1 2", 0, "never closed"),
        ("{:a {:b 1}", 0, "never closed"),
        ("[1 {2 3", 3, "never closed"),
        ("{:a 1 :", 0, "never closed"),
        ("{:a 1 :b 7e", 0, "never closed"),
        ('[1 "ab', 3, "never ends"),
        ("[1 2}", 4, "} where the [ before it wants ]"),
        ("{:a}", 0, "no value"),
        ("[{:a 1 :a 2}]", 1, "one key twice"),
        ("#{1 1}", 0, "two equal elements"),
        ("007", 0, "no number"),
        ("5x", 0, "no number"),
        ("1.2.3", 0, "no number"),
        ("٣", 0, "is no number"),
        ("'a", 0, "is nothing that EDN has"),
        ("@a", 0, "is nothing that EDN has"),
        (":", 0, "no keyword"),
        ("::a", 0, "no keyword"),
        ('"\\q"', 0, "unknown escape \\q"),
        ('"\\ud83d"', 0, "surrogate"),
        ("\\nothing", 0, "no character"),
        ("##Foo", 0, "begins nothing"),
        ('#"regex"', 0, "begins nothing"),
        ("#5 1", 0, "begins nothing"),
        ("[#foo]", 5, "followed by nothing"),
        ("#_", 0, "never closed"),
        ("#:a 5", 0, "followed by a map"),
        (b"\xff", 0, "not UTF-8"),
        (b'"ab\xff"', 3, "not UTF-8"),
        (b":\xff", 0, "not UTF-8"),
        ("1" * 5000, 0, "5000 digits"),
    ],
)
def test_what_is_wrong_has_a_place_and_a_reason(text: str | bytes, at: int, what: str) -> None:
    with pytest.raises(Unreadable) as caught:
        one(text)
    assert caught.value.at == at
    assert what in caught.value.what


@pytest.mark.parametrize("opening", ["[", "(", "#{", "{1 ", "#a ", "#_ "])
def test_deep_nesting_is_an_error_and_no_crash(opening: str) -> None:
    with pytest.raises(Unreadable, match=f"deeper than {MAX_DEPTH}"):
        one(opening * 100_000)
    assert one("[" * MAX_DEPTH + "]" * MAX_DEPTH) is not None


def test_nothing_more_is_told_apart_from_something_broken() -> None:
    reader = Reader()
    for text, end in ((b"", 0), (b"  ; end", 7), (b" #_ 5 ", 6), (b" ] 5", 1)):
        assert reader.read(text) == (NOTHING, end)


def test_one_reader_reads_form_after_form() -> None:
    text, at, found = b"{:a 1}{:b 2}\n[3]4 :five", 0, []
    while (form := Reader().read(text, at))[0] is not NOTHING:
        found.append(form[0])
        at = form[1]
    assert found == [Map({"a": 1}), Map({"b": 2}), (3,), 4, Keyword("five")]


def test_an_outermost_map_as_a_record_keeps_the_order_of_its_keys() -> None:
    record, _ = Reader(records=True).read(b"{:b 1 :a {:c 2}}")
    assert list(record) == ["b", "a"]
    assert type(record) is dict
    assert type(record["a"]) is Map


def test_a_text_cut_anywhere_is_incomplete_and_never_something_else() -> None:
    text = b'#foo {:a [1.5 "x\\n\\"y" \\newline #{:k} ##Inf] ; c\n :b #_ 7 #inst "z" nil true}'
    whole, _ = Reader().read(text)
    for cut in range(len(text)):
        with pytest.raises(Incomplete):
            Reader().read(text[:cut], final=False)
    assert Reader().read(text + b"\n", final=False)[0] == whole


@given(VALUES)
def test_what_is_written_is_read_again(value: object) -> None:
    values = Values()
    assert values.number(one(written(value))) == values.number(value)


def test_what_edn_says_in_its_own_way() -> None:
    value = (None, True, 1 << 70, -math.inf, Keyword("a"), "a", Keyword("b c"), frozenset({2, 1}), Map({"k": ()}))
    assert written(value) == '[nil true 1180591620717411303424N ##-Inf :a "a" "b c" #{1 2} {"k" []}]'


def _read_or_refused(data: bytes) -> None:
    for final in (True, False):
        try:
            _, at = Reader().read(data, final=final)
        except (Unreadable, Incomplete) as error:
            at = error.at
        assert 0 <= at <= len(data)


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    _read_or_refused(data)


@given(st.text(alphabet='[](){}#_:;"\\ \n,a1-/.', max_size=30))
def test_any_punctuation_is_read_or_refused(text: str) -> None:
    _read_or_refused(text.encode())
