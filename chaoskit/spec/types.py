"""Quantities as field types: text with a unit on the way in ("200ms", "99.9%"), SI numbers inside and on the way out.

A bare number is refused where the user writes (a missing unit is a factor of 1,000 wrong), save 0, which needs none.
Stored data holds SI numbers; it is read back with the validation context `SI`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationInfo, WithJsonSchema

from chaoskit.units import parse_byte_rate, parse_duration, parse_share, parse_size

__all__ = ["SI", "ByteRate", "Duration", "Share", "Size"]

SI = {"si": True}  # validation context: numbers are seconds, bytes, per second and 0..1 already


def _reader(parse: Callable[[str], float], noun: str, example: str) -> BeforeValidator:
    """A validator that reads text with `parse` and takes bare numbers only from our own files."""

    def read(value: Any, info: ValidationInfo) -> float:
        if isinstance(value, str):
            return parse(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{value!r} is not a {noun}; write it like {example}")
        if value != 0 and not (info.context or {}).get("si"):
            raise ValueError(f"{value!r} has no unit; write a {noun} like {example}")
        if not math.isfinite(value) or value < 0:
            raise ValueError(f"{value!r} is not a {noun}")
        return float(value)

    return BeforeValidator(read)


def _schema(pattern: str, description: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "description": description})


Duration = Annotated[
    float,
    _reader(parse_duration, "duration", "150ms, 2s or 1m30s"),
    _schema(r"^(0|([0-9]+(\.[0-9]+)?\s*(ns|us|µs|ms|s|min|m|h))+)$", "duration with a unit: 150ms, 2s, 1m30s"),
]
Share = Annotated[
    float,
    _reader(parse_share, "share", "99.9%"),
    _schema(r"^[0-9]+(\.[0-9]+)?\s*%?$", "share between 0% and 100%: 99.9%"),
]
Size = Annotated[
    int,
    _reader(parse_size, "size", "512B or 64KB"),
    _schema(r"^(0|[0-9]+(\.[0-9]+)?\s*(B|KB|MB|GB|KiB|MiB|GiB))$", "size with a unit: 512B, 64KB, 1MiB"),
]
ByteRate = Annotated[
    float,
    _reader(parse_byte_rate, "bandwidth", "100KB/s"),
    _schema(r"^[0-9]+(\.[0-9]+)?\s*(B|KB|MB|GB|KiB|MiB|GiB)\s*/\s*s$", "bytes per second: 100KB/s, 2MB/s"),
]
