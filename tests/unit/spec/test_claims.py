"""The grammar of conditions: what parses, what does not and where, and that the canonical form reads back."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.spec.claims import LIVE, QUANTITIES, ClaimSyntaxError, parse, pattern
from chaoskit.spec.model import Condition, Quantity
from chaoskit.units import parse_duration, parse_share


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yield >= 99%", ("yield", None, None, ">=", 0.99, "share", None)),
        ("yield>=0.5", ("yield", None, None, ">=", 0.5, "share", None)),
        ("  yield  of resolve >= 99.9 % ", ("yield", "resolve", None, ">=", 0.999, "share", None)),
        ("p99 <= 300ms", ("p99", None, None, "<=", 0.3, "seconds", None)),
        ("p99.9 of create < 1m30s", ("p99.9", "create", None, "<", 90.0, "seconds", None)),
        (
            "service  p95 of a-b.c_d at majority > 1 s",
            ("service p95", "a-b.c_d", "majority", ">", 1.0, "seconds", None),
        ),
        ("rate >= 40/s", ("rate", None, None, ">=", 40.0, "per-second", None)),
        ("goodput >= 60 / m", ("goodput", None, None, ">=", 1.0, "per-second", None)),
        ("yield < 20% for 5s", ("yield", None, None, "<", 0.2, "share", 5.0)),
        ("recovery <= 5s", ("recovery", None, None, "<=", 5.0, "seconds", None)),
        ("loss == 0", ("loss", None, None, "==", 0.0, "share", None)),
        ("detection <= 0", ("detection", None, None, "<=", 0.0, "seconds", None)),
    ],
)
def test_reads(text: str, expected: tuple[object, ...]) -> None:
    found = parse(text)
    assert found.text == text
    assert (
        found.quantity,
        found.cls,
        found.side,
        found.comparison,
        pytest.approx(found.value),
        found.unit,
        found.sustain,
    ) == expected
    assert re.search(pattern(), text)


@pytest.mark.parametrize(
    ("text", "offset", "what", "hint"),
    [
        ("", 0, "nothing is claimed", "yield >= 99%"),
        ("   ", 0, "nothing is claimed", "yield"),
        ("yeild >= 99%", 0, "'yeild' is not a quantity", "did you mean 'yield'?"),
        ("p98 <= 1s", 0, "'p98' is not a quantity", "did you mean"),
        ("Yield >= 99%", 0, "'Yield' is not a quantity", "did you mean 'yield'?"),
        ("service >= 1s", 8, "'service >=' is not a quantity", "service p9"),
        ("service", 7, "'service' is not a quantity", "service p9"),
        ("yield", 5, "a comparison is missing", ">="),
        ("yield of >= 99%", 9, "an operation class is missing after 'of'", ""),
        ("yield of", 8, "an operation class is missing", ""),
        ("yield of a/b >= 99%", 9, "'a/b' is not the name of", ""),
        ("yield at left of read >= 1%", 14, "'of' is not expected here", "of CLASS at SIDE"),
        ("yield => 99%", 6, "'=>' is not a comparison", "did you mean '>='?"),
        ("yield != 99%", 6, "a comparison is expected", ">="),
        ("yield is 99%", 6, "a comparison is expected, not 'is'", ">="),
        ("yield >=", 8, "a value is missing after '>='", "99%"),
        ("yield >= for 5s", 9, "a value is missing", "99%"),
        ("yield >= 101%", 9, "'101%' is not a share", ""),
        ("yield >= 99ms", 9, "'99ms' is not a share", ""),
        ("p99 <= 300", 7, "'300' is not a duration", ""),
        ("p99 <= 99%", 7, "p99 is compared with a duration", ""),
        ("rate >= 40", 8, "'40' is not a rate", ""),
        ("rate >= 40/s please", 8, "'40/s please' is not a rate", ""),
        ("yield < 20% for", 15, "a duration is missing after 'for'", "for 5s"),
        ("yield < 20% for 5", 16, "'5' is not a duration", ""),
        ("yield < 20% for 0s", 16, "longer than 0", ""),
        ("yield >= 99% !", 13, "'!' is not expected here", ""),
    ],
)
def test_refuses_with_the_column(text: str, offset: int, what: str, hint: str) -> None:
    with pytest.raises(ClaimSyntaxError) as caught:
        parse(text)
    assert caught.value.offset == offset
    assert what in caught.value.what
    assert hint in caught.value.hint
    if "longer" not in what and "101" not in what:  # ranges are beyond a pattern
        assert not re.search(pattern(), text)


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,8}", fullmatch=True)
VALUES = {
    "share": st.floats(0, 1),
    "seconds": st.floats(0, 600_000),
    "per-second": st.floats(0, 1e9),
}


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    quantity = draw(st.sampled_from(sorted(QUANTITIES)))
    unit = QUANTITIES[quantity]
    return Condition(
        text="",
        quantity=quantity,
        cls=draw(st.none() | names),
        side=draw(st.none() | names),
        comparison=draw(st.sampled_from([">=", "<=", ">", "<", "=="])),
        value=draw(VALUES[unit]),
        unit=unit,
        sustain=draw(st.none() | st.floats(1e-6, 600_000)),
    )


def canonical(condition: Condition) -> str:
    """The condition in one spelling; parses back to the same condition (its `text` aside)."""
    parts: list[str] = [condition.quantity]
    parts += [f"of {condition.cls}"] if condition.cls else []
    parts += [f"at {condition.side}"] if condition.side else []
    parts += [condition.comparison, _written(condition.value, condition.unit)]
    parts += [f"for {_written(condition.sustain, 'seconds')}"] if condition.sustain is not None else []
    return " ".join(parts)


def _written(value: float, unit: str) -> str:
    """A value that reads back as exactly the same number."""
    if unit == "share":
        percent = f"{_plain(float(f'{value * 100:.12g}'))}%"
        return percent if parse_share(percent) == value else _plain(value)
    if unit == "per-second":
        return f"{_plain(value)}/s"
    milliseconds = f"{_plain(float(f'{value * 1000:.12g}'))}ms"
    return milliseconds if value < 1 and parse_duration(milliseconds) == value else f"{_plain(value)}s"


def _plain(value: float) -> str:
    """Digits without an exponent."""
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


@given(conditions())
def test_the_canonical_form_reads_back(condition: Condition) -> None:
    text = canonical(condition)
    found = parse(text)
    assert found.model_copy(update={"text": ""}) == condition
    assert canonical(found) == text
    assert re.search(pattern(), text)


@given(st.text(alphabet="yield p9.of at<>=!%/s m0123 for", max_size=40) | st.text(max_size=40))
def test_anything_parses_or_says_where(text: str) -> None:
    found: Condition | ClaimSyntaxError
    try:
        found = parse(text)
    except ClaimSyntaxError as error:
        found = error
    if isinstance(found, ClaimSyntaxError):
        assert found.what and 0 <= found.offset <= len(text)
    else:
        assert re.search(pattern(), text)
        assert parse(canonical(found)).value == found.value


def test_every_quantity_of_the_model_has_a_unit() -> None:
    assert set(QUANTITIES) == set(get_args(Quantity))
    assert set(QUANTITIES) >= LIVE
