"""Words: strings from histories and logs made safe to show, and the wording that all renderers share.

`Text` is the type of every string in the report's model. What a server wrote into a log or a client into a value goes
through it by being put into the model, so that no renderer can forget it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from chaoskit.spec.model import Verdict
from chaoskit.units import format_count, format_duration, format_share

__all__ = [
    "ICONS",
    "LATENCIES",
    "MISSING",
    "RANK",
    "Lines",
    "Text",
    "duration",
    "finite",
    "joined",
    "number",
    "plain",
    "plural",
    "seconds",
    "share",
    "slug",
    "times_between",
    "typeset",
]

MISSING = "–"  # shown where there is no value; never 0
RANK: dict[Verdict, int] = {"refuted": 0, "inconclusive": 1, "held": 2}  # failures first
LATENCIES = frozenset({"p50", "p90", "p95", "p99", "p99.9", "max"})  # quantities counted from the due time
ICONS: dict[Verdict, str] = {"held": "✓", "refuted": "✕", "inconclusive": "?"}

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_LONGEST = 4000
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def plain(text: str, *, lines: bool = False, longest: int = _LONGEST) -> str:
    """Text that shows what it is: no terminal colours, and control, direction and surrogate characters as escapes.

    Direction marks would let a value in a log reorder the words around it; lone surrogates cannot be written as UTF-8.

    Args:
        lines: keep newlines and tabs (logs, YAML).
        longest: cut in the middle beyond this many characters.
    """
    text = _ANSI.sub("", text)
    if len(text) > longest:
        half = longest // 2
        text = f"{text[:half]} … [{len(text) - 2 * half:,} characters left out] … {text[-half:]}"
    if text.isascii() and text.isprintable():
        return text
    keep = "\n\t" if lines else ""
    return "".join(c if c in keep or unicodedata.category(c) not in _UNSEEN else _escape(c) for c in text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def _plain_lines(text: str) -> str:
    return plain(text, lines=True, longest=64_000)


def _string(value: object) -> object:
    # pydantic's own check refuses lone surrogates before an AfterValidator sees them.
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_string), AfterValidator(plain)]
Lines = Annotated[str, BeforeValidator(_string), AfterValidator(_plain_lines)]


def slug(*parts: object) -> str:
    """An anchor: lower-case letters, digits and dashes only."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(str(part) for part in parts).lower()).strip("-") or "part"


def number(value: int) -> str:
    """3120 -> "3,120"."""
    return format_count(value)


def finite(value: float | None, least: float = 0.0, most: float = 1e9) -> float | None:
    """The value where it can be drawn, else None: what was never answered has an infinite latency."""
    return value if value is not None and least <= value <= most else None


def duration(value: float | None) -> str:
    """Seconds as text, a dash where there is none."""
    return MISSING if value is None else format_duration(value)


def share(value: float | None) -> str:
    """A share as text, a dash where there is none."""
    return MISSING if finite(value) is None else format_share(value or 0.0)


def seconds(value: float | None, digits: int = 2) -> str:
    """An instant of the cell's time: 5.0312 -> "5.03 s"."""
    return MISSING if value is None else f"{value:.{digits}f} s"


def times_between(start: float | None, end: float | None) -> str:
    """An interval of the cell's time: "5.03 – 13.02 s"."""
    if start is None:
        return "never"
    return f"{start:.2f} – {f'{end:.2f} s' if end is not None else 'end'}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """`plural(2, "operation")` -> "2 operations"."""
    return f"{format_count(count)} {one if count == 1 else many or one + 's'}"


def joined(words: Iterable[str]) -> str:
    """`a, b and c`."""
    found = list(words)
    return " and ".join(filter(None, [", ".join(found[:-1]), found[-1] if found else ""]))


def typeset(text: str) -> str:
    """Comparison signs as readers write them; YAML has them as two characters."""
    return text.replace(">=", "≥").replace("<=", "≤")
