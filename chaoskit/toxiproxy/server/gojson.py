"""JSON as Go's encoding/json reads and writes it, as far as a client of Toxiproxy can tell the difference.

Reading: keys match whatever their letter case, null leaves the default, the first value counts and what follows it is
ignored, integers must be written as integers, errors say the field. Writing: no spaces, `<`, `>` and `&` escaped, whole
floats without a point.
"""

from __future__ import annotations

import json
import re
import struct
from typing import Any

__all__ = ["BadJson", "boolean", "decode", "encode", "integer", "kind_of", "members", "number", "text"]

_SURROGATES = re.compile("[\ud800-\udfff]")
_FLOAT32_MAX = 3.4028234663852886e38


class BadJson(ValueError):
    """The body is not JSON, or not of the shape that is wanted; the text is close to what Go's decoder says."""


class _Float(float):
    """A number that was not written as an integer; remembers how it was written."""

    text: str


def _float(text: str) -> float:
    number = _Float(text)
    number.text = text
    return number


def _constant(text: str) -> float:
    raise BadJson(f"invalid character '{text.lstrip('-')[:1]}' looking for beginning of value")


_DECODER = json.JSONDecoder(parse_float=_float, parse_constant=_constant)


def decode(body: bytes) -> Any:
    """The first JSON value of a body.

    Raises:
        BadJson: empty, cut short or malformed.
    """
    text = body.decode("utf-8", "replace").lstrip(" \t\r\n")
    if not text:
        raise BadJson("EOF")
    try:
        return _DECODER.raw_decode(text)[0]
    except json.JSONDecodeError as error:
        at = min(error.pos, len(text))
        rest = text[at:].lstrip(" \t\r\n")
        if not rest or "Unterminated" in error.msg or any(word.startswith(rest) for word in ("true", "false", "null")):
            raise BadJson("unexpected EOF") from None
        wanted = "object key string" if "property name" in error.msg or "trailing comma" in error.msg else "value"
        raise BadJson(f"invalid character '{rest[0]}' looking for beginning of {wanted}") from None
    except BadJson:
        raise
    except (ValueError, RecursionError) as error:  # thousands of digits, or of brackets
        raise BadJson(str(error)) from None


def encode(value: object) -> bytes:
    """Compact JSON, safe inside HTML as Go makes it."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode("utf-8", "replace")


def text(found: dict[str, Any], name: str, default: str, where: str) -> str:
    """The string field `name` of an object, whatever its letter case; the default when it is missing or null.

    Args:
        where: the struct's name, as Go would say it in an error: "Proxy", "ToxicWrapper".

    Raises:
        BadJson: it is of another type.
    """
    value = _pick(found, name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise _wrong(value, f"{where}.{name}", "string")
    return _SURROGATES.sub("\ufffd", value)


def boolean(found: dict[str, Any], name: str, default: bool, where: str) -> bool:
    """As `text`, for true and false.

    Raises:
        BadJson: it is of another type.
    """
    value = _pick(found, name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise _wrong(value, f"{where}.{name}", "bool")
    return value


def members(found: dict[str, Any], name: str, where: str, go_type: str) -> dict[str, Any]:
    """As `text`, for an object; empty when it is missing or null.

    Raises:
        BadJson: it is of another type.
    """
    value = _pick(found, name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong(value, f"{where}.{name}", go_type)
    return value


def integer(found: dict[str, Any], name: str, default: int, where: str) -> int:
    """A field that must be written as a 64-bit integer.

    Raises:
        BadJson: it is something else.
    """
    value = _pick(found, name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise _wrong(value, f"{where}.{name}", "int64", literal=True)
    return value


def number(found: dict[str, Any], name: str, default: float, where: str) -> float:
    """A field that is a 32-bit float: rounded to one, in the shortest digits that name it.

    Raises:
        BadJson: it is something else, or too large.
    """
    value = _pick(found, name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(value, f"{where}.{name}", "float32")
    if abs(value) > _FLOAT32_MAX:
        raise _wrong(value, f"{where}.{name}", "float32", literal=True)
    rounded = _float32(float(value))
    shortest = next(
        float(f"{value:.{digits}g}") for digits in range(1, 18) if _float32(f"{value:.{digits}g}") == rounded
    )
    return int(shortest) if shortest.is_integer() and abs(shortest) < 1e21 else shortest


def kind_of(value: object) -> str:
    """What Go calls the kind of a JSON value."""
    if isinstance(value, bool):
        return "bool"
    names: dict[type, str] = {str: "string", list: "array", dict: "object"}
    return names.get(type(value), "number")


def _float32(value: float | str) -> float:
    return float(struct.unpack("f", struct.pack("f", float(value)))[0])


def _pick(found: dict[str, Any], name: str) -> Any:
    picked = None
    for key, value in found.items():
        if key == name or key.lower() == name:
            picked = value if value is not None else picked
    return picked


def _wrong(value: object, where: str, wanted: str, *, literal: bool = False) -> BadJson:
    kind = kind_of(value)
    if literal and kind == "number":
        kind += f" {value.text if isinstance(value, _Float) else value}"
    return BadJson(f"json: cannot unmarshal {kind} into Go struct field {where} of type {wanted}")
