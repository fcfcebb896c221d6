"""Field types with units: text on the way in, SI inside, no bare numbers from users."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from chaoskit.spec.types import SI, ByteRate, Duration, Share, Size


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Duration, "150ms", 0.15),
        (Duration, "1m30s", 90.0),
        (Duration, 0, 0.0),
        (Share, "25%", 0.25),
        (Size, "1.5KB", 1500),
        (Size, 0, 0),
        (ByteRate, "2MB/s", 2e6),
    ],
)
def test_text_is_read(kind: Any, text: object, value: float) -> None:
    adapter = TypeAdapter(kind)
    assert adapter.validate_python(text) == pytest.approx(value)
    assert adapter.validate_python(value, context=SI) == value  # as stored


@pytest.mark.parametrize("kind", [ByteRate, Duration, Share, Size])
@pytest.mark.parametrize("bad", [200, 0.5, "200", True, None, [], "-1s", "nan", float("nan"), float("inf")])
def test_what_has_no_unit_or_no_sense_is_refused(kind: Any, bad: object) -> None:
    if kind is Share and bad in ("200", 0.5):
        bad = "200%"
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(bad)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0, True])
def test_stored_numbers_are_checked_too(bad: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Duration).validate_python(bad, context=SI)


def test_sizes_stay_whole_numbers() -> None:
    found = TypeAdapter(Size).validate_python("64KB")
    assert (found, type(found)) == (64_000, int)
    assert type(TypeAdapter(Size).validate_python(64_000.0, context=SI)) is int
