from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.units import (
    format_duration,
    format_figure,
    format_share,
    format_size,
    parse_byte_rate,
    parse_duration,
    parse_rate,
    parse_share,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("150ms", 0.15),
        ("2s", 2.0),
        ("1m30s", 90.0),
        ("1.5s", 1.5),
        ("250us", 250e-6),
        ("1h", 3600.0),
        ("0s", 0.0),
        (" 2 s ", 2.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "5 parsecs", "-1s", "1s and more", "1e3s", "8d", "200h", "ms5"])
def test_not_durations(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|week"):
        parse_duration(text)


@given(st.text(max_size=20))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        assert 0 <= parse_duration(text) < math.inf
    except ValueError:
        pass


def test_rates_shares_and_sizes() -> None:
    assert parse_rate("200/s") == 200
    assert parse_rate("30/m") == pytest.approx(0.5)
    assert parse_share("99.9%") == pytest.approx(0.999)
    assert parse_share("0.5") == 0.5
    assert parse_size("64KB") == 64_000
    assert parse_size("64KiB") == 65_536
    for wrong in ("200", "200/fortnight", "/s"):
        with pytest.raises(ValueError, match="rate"):
            parse_rate(wrong)
    for wrong in ("101%", "1.1", "-3%", "half"):
        with pytest.raises(ValueError, match="share"):
            parse_share(wrong)
    with pytest.raises(ValueError, match="size"):
        parse_size("64")
    with pytest.raises(ValueError, match="whole number of bytes"):
        parse_size("1.5B")
    for wrong in ("100KB", "100/s", "100KB/m", "KB/s", "/s", "1.5B/s"):
        with pytest.raises(ValueError, match=r"bandwidth|size|whole"):
            parse_byte_rate(wrong)
    assert parse_byte_rate("1.5 MB / s") == 1.5e6


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (212, "212 B"), (999.6, "1 KB"), (98_304, "98.3 KB"), (1.5e6, "1.5 MB"), (2e10, "20 GB")],
)
def test_sizes_for_people(size: float, text: str) -> None:
    assert format_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.00021, "0.21 ms"), (0.2034, "203 ms"), (4.1, "4.1 s"), (95, "1 min 35 s"), (3600, "1 h"), (0, "0 s"),
     (math.inf, "∞"), (math.nan, "n/a"), (0.99996, "1 s"), (59.99, "60 s"), (-0.2, "-200 ms")],
)  # fmt: skip
def test_durations_for_people(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.floats(0, 1))
def test_a_share_is_never_rounded_to_all_or_nothing(share: float) -> None:
    text = format_share(share)
    assert (text == "100 %") == (share == 1.0)
    assert (text == "0 %") == (share == 0.0)
    assert float(text.removesuffix(" %").removeprefix("< ")) == pytest.approx(share * 100, abs=0.06)


@pytest.mark.parametrize(
    ("share", "text"), [(0.99987, "99.98 %"), (0.99996, "99.99 %"), (0.5, "50.0 %"), (0.0004, "0.04 %")]
)
def test_shares_near_the_ends(share: float, text: str) -> None:
    assert format_share(share) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1e6, "1,000,000"), (-3.0, "-3"), (0.25, "0.25"), (4625.907742, "4625.91"), (float("inf"), "inf")],
)
def test_figures_are_counts_where_they_are_whole(value: float, text: str) -> None:
    assert format_figure(value) == text
