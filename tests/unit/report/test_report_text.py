"""Foreign strings are shown as what they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.report.model import Fact
from chaoskit.report.text import plain, slug, times_between


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("a\x00b", "a\\x00b"),
        ("abc\u202edef", "abc\\u202edef"),
        ("line\nline", "line\\x0aline"),
        ("\ud800", "\\ud800"),
        ("é ± 4 µs → 日本", "é ± 4 µs → 日本"),
    ],
)
def test_text_shows_what_it_is(raw: str, shown: str) -> None:
    assert plain(raw) == shown
    assert Fact(name=raw, value="").name == shown


def test_long_text_is_cut_in_the_middle_and_says_so() -> None:
    cut = plain("a" * 50_000 + "END")
    assert len(cut) < 5_000 and "characters left out" in cut and cut.endswith("END")


@given(st.text(alphabet=st.characters(), max_size=60))
def test_text_can_always_be_written(raw: str) -> None:
    assert Fact(name=raw, value=raw).model_dump_json().encode()


@given(st.text(max_size=40))
def test_slugs_are_safe_anchors(raw: str) -> None:
    assert set(slug("w", raw)) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_an_interval_says_when_it_never_began_or_never_ended() -> None:
    assert times_between(None, None) == "never"
    assert times_between(1, None) == "1.00 – end"
