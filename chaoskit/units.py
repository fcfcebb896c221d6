"""Quantities as people write them: "150ms", "200/s", "99.9%", "64KB". Pure; used by the spec, the CLI and reports.

Durations are seconds as float (or integer nanoseconds where a name ends in `_ns`), rates operations per second, shares
0..1, sizes bytes.
"""

from __future__ import annotations

import math
import re

__all__ = [
    "NS",
    "format_count",
    "format_duration",
    "format_figure",
    "format_rate",
    "format_share",
    "format_size",
    "parse_byte_rate",
    "parse_duration",
    "parse_rate",
    "parse_share",
    "parse_size",
]

NS = 1_000_000_000

_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
_DURATION = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_SIZE = {"B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_DURATION_RE = re.compile(rf"(?:{_NUMBER}\s*(ns|us|µs|ms|s|min|m|h))")
_LONGEST = 7 * 24 * 3600.0


def parse_duration(text: str) -> float:
    """Seconds of "150ms", "2s", "1m30s", "1h". A bare number is refused: a unit missing is a factor of 1,000 wrong.

    Raises:
        ValueError: not a duration, or longer than a week; the message says what was expected.
    """
    text = text.strip()
    total, end = 0.0, 0
    for match in _DURATION_RE.finditer(text):
        if match.start() != end:
            break
        total += float(match[1]) * _DURATION[match[2]]
        end = match.end()
    if not text or end != len(text):
        raise ValueError(f"{text!r} is not a duration; write a number with a unit, such as 150ms, 2s or 1m30s")
    if not math.isfinite(total) or total > _LONGEST:
        raise ValueError(f"{text!r} is longer than a week")
    return total


def parse_rate(text: str) -> float:
    """Operations per second of "200/s", "30/m".

    Raises:
        ValueError: not a rate; the message says what was expected.
    """
    match = re.fullmatch(rf"{_NUMBER}\s*/\s*(s|m|min|h)", text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a rate; write operations per time, such as 200/s or 30/m")
    return float(match[1]) / _DURATION[match[2]]


def parse_share(text: str) -> float:
    """0..1 of "99.9%" or "0.999".

    Raises:
        ValueError: not a share, or outside 0..1.
    """
    text = text.strip()
    match = re.fullmatch(rf"{_NUMBER}\s*(%?)", text)
    value = float(match[1]) / (100.0 if match[2] else 1.0) if match else -1.0
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{text!r} is not a share; write a percentage between 0% and 100%, such as 99.9%")
    return value


def parse_size(text: str) -> int:
    """Bytes of "64KB" (1,000) or "64KiB" (1,024).

    Raises:
        ValueError: not a size, or not a whole number of bytes.
    """
    match = re.fullmatch(rf"{_NUMBER}\s*(B|KB|MB|GB|KiB|MiB|GiB)", text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size; write bytes with a unit, such as 512B, 64KB or 1MiB")
    value = float(match[1]) * _SIZE[match[2]]
    if abs(value - round(value)) > 1e-6:
        raise ValueError(f"{text!r} is not a whole number of bytes")
    return round(value)


def parse_byte_rate(text: str) -> float:
    """Bytes per second of "100KB/s".

    Raises:
        ValueError: not a size per second; the message says what was expected.
    """
    size, slash, unit = text.strip().rpartition("/")
    if not slash or unit.strip() != "s":
        raise ValueError(f"{text!r} is not a bandwidth; write bytes per second, such as 100KB/s or 2MB/s")
    return float(parse_size(size))


def format_duration(seconds: float) -> str:
    """Short text of a duration: 0.00021 -> "0.21 ms", 0.2034 -> "203 ms", 4.1 -> "4.1 s", 95 -> "1 min 35 s"."""
    if math.isnan(seconds):
        return "n/a"
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    if seconds == 0:
        return "0 s"
    if math.isinf(seconds):
        return sign + "∞"
    if seconds < 0.9995:
        return f"{sign}{_significant(seconds * 1e3)} ms"
    if seconds < 60:
        return f"{sign}{_significant(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] * (hours > 0) + [f"{minutes} min"] * (minutes > 0) + [f"{rest} s"] * (rest > 0)
    return sign + " ".join(parts)


def format_rate(per_second: float) -> str:
    """Short text of a rate: 200.0 -> "200/s"."""
    return f"{_significant(per_second)}/s"


def format_share(share: float) -> str:
    """Short text of a share that never rounds up to 100 % or down to 0 %: 0.99987 -> "99.98 %"."""
    if math.isnan(share):
        return "n/a"
    if share in (0.0, 1.0):
        return f"{share * 100:.0f} %"
    percent = share * 100.0
    if percent < 1.0:
        return f"{percent:.2f} %" if percent >= 0.01 else "< 0.01 %"
    if percent <= 99.0:
        return f"{percent:.1f} %"
    # Near the top it is cut, not rounded: 99.996 must not read as a better figure than was seen.
    return f"{min(math.floor(percent * 100 + 1e-6) / 100, 99.99):.2f} %"


def format_count(number: int) -> str:
    """Digits in groups of three: 3120 -> "3,120"."""
    return f"{number:,}"


def format_figure(value: float) -> str:
    """A number that may be a count or not: whole ones in full, others in six digits: 1000000.0 -> "1,000,000"."""
    return format_count(int(value)) if float(value).is_integer() else f"{value:g}"


def format_size(size: float) -> str:
    """Short text of a size: 212 -> "212 B", 98_304 -> "98.3 KB"."""
    for unit in ("GB", "MB", "KB"):
        if size >= _SIZE[unit] * 0.9995:
            return f"{_significant(size / _SIZE[unit])} {unit}"
    return f"{_significant(size)} B"


def _significant(value: float) -> str:
    """Three significant digits, no exponent, no trailing zeros."""
    if value >= 100:
        return f"{value:.0f}"
    digits = 1 if value >= 10 else 2
    return f"{value:.{digits}f}".rstrip("0").rstrip(".") or "0"
