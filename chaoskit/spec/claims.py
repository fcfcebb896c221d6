"""The one grammar of what shall hold: `QUANTITY [of CLASS] [at SIDE] COMPARISON VALUE [for DURATION]`. Pure.

yield of resolve >= 99%      p99 <= 300ms      goodput >= 40/s      yield < 20% for 5s
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

from chaoskit.spec.model import Comparison, Condition, Consistency, Quantity
from chaoskit.spec.suggest import did_you_mean
from chaoskit.units import parse_duration, parse_rate, parse_share

__all__ = ["LIVE", "QUANTITIES", "ClaimSyntaxError", "consistency_text", "parse", "pattern"]

Unit = Literal["share", "seconds", "per-second"]

QUANTITIES: dict[Quantity, Unit] = {
    "yield": "share",
    "correct": "share",
    "goodput": "per-second",
    "rate": "per-second",
    "p50": "seconds",
    "p90": "seconds",
    "p95": "seconds",
    "p99": "seconds",
    "p99.9": "seconds",
    "max": "seconds",
    "service p50": "seconds",
    "service p90": "seconds",
    "service p95": "seconds",
    "service p99": "seconds",
    "refused": "share",
    "silent": "share",
    "detection": "seconds",
    "recovery": "seconds",
    "loss": "share",
}
LIVE: frozenset[Quantity] = frozenset(QUANTITIES) - {"correct", "detection", "recovery", "loss"}  # known in mid-run

_COMPARISONS: tuple[Comparison, ...] = (">=", "<=", "==", ">", "<")
_PARSERS: dict[Unit, tuple[Callable[[str], float], str, str]] = {
    "share": (parse_share, "a share", "99%"),
    "seconds": (parse_duration, "a duration", "300ms"),
    "per-second": (parse_rate, "a rate", "40/s"),
}
_TOKEN = re.compile(r"\s*(>=|<=|==|=>|=<|!=|>|<|=|[^\s<>=!]+)")
_COMPARISON_LIKE = frozenset({*_COMPARISONS, "=>", "=<", "!=", "="})
_MENDED = {"=>": ">=", "=<": "<=", "=": "=="}
_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
_SIDE = r"[A-Za-z0-9][A-Za-z0-9_.@-]*"  # client@n1


class ClaimSyntaxError(ValueError):
    """A condition that is not one. `offset` is the index of the faulty character in the text."""

    def __init__(self, offset: int, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.offset, self.what, self.hint = offset, what, hint


class _Token(NamedTuple):
    text: str
    start: int


def parse(text: str) -> Condition:
    """The condition that `text` says.

    Raises:
        ClaimSyntaxError: what is wrong, and at which character.
    """
    tokens = _tokens(text)
    quantity, at = _quantity(tokens, text)
    cls, at = _after("of", "an operation class", _NAME, tokens, at, text)
    side, at = _after("at", "a side", _SIDE, tokens, at, text)
    comparison, at = _comparison(tokens, at, text)
    value, sustain = _value(QUANTITIES[quantity], quantity, comparison, tokens[at:], text)
    return Condition(
        text=text,
        quantity=quantity,
        cls=cls,
        side=side,
        comparison=comparison,
        value=value,
        unit=QUANTITIES[quantity],
        sustain=sustain,
    )


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    while match := _TOKEN.match(text, at):
        found.append(_Token(match[1], match.start(1)))
        at = match.end()
    rest = text[at:]
    if rest.strip():
        raise ClaimSyntaxError(at + len(rest) - len(rest.lstrip()), f"{rest.strip()[0]!r} is not expected here")
    return found


def _quantity(tokens: list[_Token], text: str) -> tuple[Quantity, int]:
    if not tokens:
        raise ClaimSyntaxError(0, "nothing is claimed", "write for example: yield >= 99%")
    word = tokens[0].text
    if word == "service":
        following = tokens[1].text if len(tokens) > 1 else ""
        both = f"service {following}"
        for known in QUANTITIES:
            if known == both:
                return known, 2
        offset = tokens[1].start if len(tokens) > 1 else len(text)
        choices = [name for name in QUANTITIES if name.startswith("service ")]
        raise ClaimSyntaxError(offset, f"{both.strip()!r} is not a quantity", did_you_mean(both, choices))
    for known in QUANTITIES:
        if known == word:
            return known, 1
    raise ClaimSyntaxError(tokens[0].start, f"{word!r} is not a quantity", did_you_mean(word, QUANTITIES))


def _after(word: str, noun: str, matching: str, tokens: list[_Token], at: int, text: str) -> tuple[str | None, int]:
    """The name after `of` or `at`, if there is one."""
    if at >= len(tokens) or tokens[at].text != word:
        return None, at
    if at + 1 >= len(tokens) or tokens[at + 1].text in _COMPARISON_LIKE:
        offset = tokens[at + 1].start if at + 1 < len(tokens) else len(text)
        raise ClaimSyntaxError(offset, f"{noun} is missing after {word!r}")
    name = tokens[at + 1]
    if not re.fullmatch(matching, name.text):
        raise ClaimSyntaxError(name.start, f"{name.text!r} is not the name of {noun}")
    return name.text, at + 2


def _comparison(tokens: list[_Token], at: int, text: str) -> tuple[Comparison, int]:
    if at >= len(tokens):
        raise ClaimSyntaxError(len(text), "a comparison is missing", f"write one of: {' '.join(_COMPARISONS)}")
    token = tokens[at]
    for known in _COMPARISONS:
        if known == token.text:
            return known, at + 1
    if token.text in _MENDED:
        raise ClaimSyntaxError(
            token.start, f"{token.text!r} is not a comparison", f"did you mean {_MENDED[token.text]!r}?"
        )
    if token.text in ("of", "at"):
        raise ClaimSyntaxError(token.start, f"{token.text!r} is not expected here", "the order is: of CLASS at SIDE")
    raise ClaimSyntaxError(
        token.start, f"a comparison is expected, not {token.text!r}", f"write one of: {' '.join(_COMPARISONS)}"
    )


def _value(unit: Unit, quantity: str, comparison: str, tokens: list[_Token], text: str) -> tuple[float, float | None]:
    """The limit, and the seconds after `for`."""
    read, noun, example = _PARSERS[unit]
    split = next((i for i, token in enumerate(tokens) if token.text == "for"), len(tokens))
    value = tokens[:split]
    if not value:
        offset = tokens[0].start if tokens else len(text)
        raise ClaimSyntaxError(offset, f"a value is missing after {comparison!r}", f"write {noun}, such as {example}")
    written = text[value[0].start : value[-1].start + len(value[-1].text)]
    try:
        number = 0.0 if written == "0" else read(written)
    except ValueError as error:
        raise ClaimSyntaxError(
            value[0].start,
            f"{quantity} is compared with {noun}: {error}",
            "" if example in str(error) else f"such as {example}",
        ) from None
    if split == len(tokens):
        return number, None
    duration = tokens[split + 1 :]
    if not duration:
        raise ClaimSyntaxError(len(text), "a duration is missing after 'for'", "write for example: for 5s")
    written = text[duration[0].start : duration[-1].start + len(duration[-1].text)]
    try:
        sustain = parse_duration(written)
    except ValueError as error:
        raise ClaimSyntaxError(duration[0].start, str(error)) from None
    if sustain <= 0:
        raise ClaimSyntaxError(duration[0].start, "'for' needs a duration longer than 0")
    return number, sustain


def consistency_text(asked: Consistency) -> str:
    """As people read it: "linearizable register of local-read at minority"."""
    words = [asked.level, asked.model] if asked.level else ["model", asked.model]
    words += [f"of {', '.join(asked.classes)}"] if asked.classes else []
    words += [f"at {asked.side}"] if asked.side else []
    return " ".join(words)


def pattern(sustained: bool = True) -> str:
    """A regular expression (ECMA dialect) for editors: what `parse` accepts, ranges of values aside.

    Without `sustained` there is no `for`.
    """
    number = r"[0-9]+(\.[0-9]+)?"
    duration = rf"({number}\s*(ns|us|µs|ms|s|min|m|h))+"
    values = {"share": rf"{number}\s*%?", "seconds": duration, "per-second": rf"{number}\s*/\s*(s|m|min|h)"}
    by_unit = []
    for unit, value in values.items():
        names = "|".join(re.escape(name).replace(r"\ ", r"\s+") for name, own in QUANTITIES.items() if own == unit)
        by_unit.append(rf"({names})(\s+of\s+{_NAME})?(\s+at\s+{_SIDE})?\s*(>=|<=|==|>|<)\s*({value}|0)")
    tail = rf"(\s+for\s+{duration})?" if sustained else ""
    return rf"^\s*({'|'.join(by_unit)}){tail}\s*$"
