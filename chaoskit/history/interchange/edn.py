"""EDN, read and written: the notation of Clojure's data, as far as histories can contain it.

Source: the EDN specification, and what Clojure's printer makes beside it (`#object[… 0x1a "…"]`, `#:ns{…}`, octal
escapes). Reading is a loop with a stack of its own, so that hostile nesting costs neither stack nor patience, and works
on a piece of a file: what is not there yet is `Incomplete`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from chaoskit.history.values import Keyword, Map

__all__ = ["MAX_DEPTH", "NOTHING", "Incomplete", "Reader", "Unreadable", "skipped", "written"]

NOTHING = object()  # no form: the text ends, or what is around it does

MAX_DEPTH = 200  # of nesting; histories have five levels, and what walks over values is recursive

_BLANK = rb"(?:[\s,]++|;[^\n]*+)*+"
_SKIP = re.compile(_BLANK)
# Groups: 1 number, name or keyword; 2 opening; 3 closing; 4 string; 5 character; 6 what begins with #. Repeats are
# possessive: nothing here may try the same bytes twice.
_TOKEN = re.compile(
    _BLANK + rb"""(?:([^\s,()\[\]{}"\\;#]++[^\s,()\[\]{}"\\;]*+)|([\[({])|([\])}])|("(?:[^"\\]++|\\.)*+")"""
    rb"""|(\\(?:[A-Za-z0-9]++|[\x80-\xff]++|.))|(\#(?:[{_]|[^\s,()\[\]{}"\\;]++)))""",
    re.DOTALL,
)
_INTEGER = re.compile(r"([+-]?(?:0|[1-9][0-9]*))N?")
_FLOAT = re.compile(r"([+-]?(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?)(M?)")
_RATIO = re.compile(r"[+-]?[0-9]+/[0-9]+")
_HEX = re.compile(r"[+-]?0[xX][0-9a-fA-F]+")
_NAME = re.compile(r"[^\W\d][^\s@^`~]*|[.*+!?$%&=<>|/_-][^\s@^`~]*")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|[0-7]{1,3}|.)", re.DOTALL)
_ESCAPES = {"t": "\t", "r": "\r", "n": "\n", "b": "\b", "f": "\f", "\\": "\\", '"': '"'}
_CHARACTERS = {"newline": "\n", "return": "\r", "space": " ", "tab": "\t", "formfeed": "\f", "backspace": "\b"}
_CONSTANTS: dict[bytes, Any] = {b"nil": None, b"true": True, b"false": False}
_SYMBOLIC = {b"##Inf": math.inf, b"##-Inf": -math.inf, b"##NaN": math.nan}
_KEYWORD = re.compile(r"[A-Za-z*!_?$%&=<>+.-][\w*!?$%&=<>+.:#'/-]*")
_CLOSES = {b"[": b"]", b"(": b")", b"{": b"}", b"#{": b"}"}
_CACHED = 1 << 20
_DIGITS = 4000  # Python refuses to convert more than 4,300


class Unreadable(Exception):
    """This is no EDN. `at`: offset in the text of what is wrong; `what`: what it is."""

    def __init__(self, at: int, what: str) -> None:
        super().__init__(what)
        self.at, self.what = at, what


class Incomplete(Exception):
    """The text ends before the form does, and more text may follow. `at`: offset of what is still open."""

    def __init__(self, at: int = 0) -> None:
        super().__init__("the text ends before the form does")
        self.at = at


def skipped(text: bytes, at: int) -> int:
    """Where the next form begins: past white space, commas and comments."""
    found = _SKIP.match(text, at)
    assert found is not None  # it matches nothing, too
    return found.end()


class Reader:
    """Reads forms one by one. Values are frozen data: tuples (vectors and lists), frozensets, `Map`, `Keyword`.

    Names (symbols) and characters become text; tags are dropped and the value kept; a decimal (`1.5M`) becomes a float
    where that holds it, else, like a ratio, its text, so that two that differ stay different.

    Args:
        records: an outermost map is returned as a plain dict.
    """

    def __init__(self, *, records: bool = False) -> None:
        self._records = records
        self._atoms = _Atoms()

    def read(self, text: bytes, at: int = 0, *, final: bool = True) -> tuple[Any, int]:
        """One form and where it ends; NOTHING where the text ends (when `final`) or a closing bracket comes first.

        Args:
            final: nothing follows `text`. Otherwise a form that touches its end may go on.

        Raises:
            Unreadable: no EDN. Incomplete: more text is needed (never when `final`).
        """
        step: Callable[[], re.Match[bytes] | None] = _TOKEN.scanner(text, at).match  # type: ignore[attr-defined]
        atoms = self._atoms
        stack: list[tuple[bytes, list[Any], int]] = []
        items: list[Any] = []
        kind, opened = b"", at  # what opened the form around: b"" outermost; a tag and #_ are forms of one value
        token: re.Match[bytes] | None = None
        while True:
            before, token = token, step()
            if token is None:
                last = before.end() if before else at
                if final and not kind and skipped(text, last) == len(text):
                    return NOTHING, len(text)
                raise _torn(text, last, kind, opened, final)
            group = token.lastindex
            if group == 1:
                try:
                    value = atoms[token[1]]
                except ValueError as error:
                    if token.end() == len(text) and (kind or not final):  # not wrong, but cut in two
                        raise _torn(text, len(text), kind, opened, final) from None
                    raise Unreadable(token.start(1), str(error)) from None
                if kind in _CLOSES:  # as nearly always
                    items.append(value)
                    continue
            elif group == 2 or (group == 6 and token[6] == b"#{"):
                if len(stack) >= MAX_DEPTH:
                    raise Unreadable(token.start(group), f"nested deeper than {MAX_DEPTH} levels")
                stack.append((kind, items, opened))
                kind, items, opened = token[group], [], token.start(group)
                continue
            elif group == 3:
                if not kind:
                    return NOTHING, token.start(3)
                if _CLOSES.get(kind) != token[3]:
                    raise Unreadable(token.start(3), _misplaced(token[3], kind))
                plain = self._records and len(stack) == 1
                value = _closed(kind, items, opened, plain)
                kind, items, opened = stack.pop()
            elif group == 4:
                value = _string(token[4], token.start(4))
            elif token.end() == len(text) and not final:  # what follows may belong to it
                raise Incomplete(token.start())
            elif group == 5:
                value = _character(token[5], token.start(5))
            elif token[6] in _SYMBOLIC:
                value = _SYMBOLIC[token[6]]
            else:
                if not re.match(rb"#(_|:?[A-Za-z])", token[6]):
                    raise Unreadable(token.start(6), f"{_quoted(token[6])} begins nothing that EDN has")
                if len(stack) >= MAX_DEPTH:
                    raise Unreadable(token.start(6), f"nested deeper than {MAX_DEPTH} levels")
                stack.append((kind, items, opened))
                kind, items, opened = token[6], [], token.start(6)
                continue
            while kind and kind not in _CLOSES:
                prefix, start = kind, opened
                kind, items, opened = stack.pop()
                if prefix == b"#_":
                    break
                if prefix[1:2] == b":":
                    value = _spaced(prefix[2:].decode(errors="replace"), value, start)
            else:
                if not kind:
                    if group == 1 and token.end() == len(text) and not final:
                        raise Incomplete(token.start(1))
                    return value, token.end()
                items.append(value)


class _Atoms(dict[bytes, Any]):
    """Numbers, names and keywords by their text: most of them come again and again."""

    def __missing__(self, text: bytes) -> Any:
        if len(self) >= _CACHED:
            self.clear()
        value = self[text] = _atom(text)
        return value


def _atom(text: bytes) -> Any:
    if text.isdigit() and len(text) < 19 and (text[0] != ord("0") or len(text) == 1):
        return int(text)
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    try:
        name = text.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{_quoted(text)} is not UTF-8") from None
    if name[0] == ":":
        if len(name) == 1 or name[1] == ":":
            raise ValueError(f"{_quoted(text)} is no keyword")
        return Keyword(name[1:])
    if name[0].isdigit() or (name[0] in "+-" and name[1:2].isdigit()):
        return _number(name)
    if not _NAME.fullmatch(name):
        raise ValueError(f"{_quoted(text)} is nothing that EDN has")
    return name


def _number(text: str) -> Any:
    if len(text) > _DIGITS:
        raise ValueError(f"a number of {len(text)} digits, which is more than {_DIGITS}")
    if found := _INTEGER.fullmatch(text):
        return int(found[1])
    if found := _FLOAT.fullmatch(text):
        value = float(found[1])
        return text if found[2] and not _exact(found[1], value) else value
    if _RATIO.fullmatch(text):
        return text
    if _HEX.fullmatch(text):
        return int(text, 16)
    raise ValueError(f"{_quoted(text.encode())} is no number")


def _exact(text: str, value: float) -> bool:
    try:
        return Decimal(text) == Decimal(repr(value))
    except ArithmeticError:
        return False


def _string(text: bytes, at: int) -> str:
    try:
        inner = text[1:-1].decode()
    except UnicodeDecodeError as error:
        raise Unreadable(at + 1 + error.start, "a string that is not UTF-8") from None
    if "\\" not in inner:
        return inner
    try:
        # Two escapes can make one character (surrogates), and half of one is none.
        return _ESCAPE.sub(_escaped, inner).encode("utf-16", "surrogatepass").decode("utf-16")
    except KeyError as error:
        raise Unreadable(at, f"a string with the unknown escape \\{error.args[0]}") from None
    except UnicodeDecodeError:
        raise Unreadable(at, "a string with half a surrogate pair") from None


def _escaped(found: re.Match[str]) -> str:
    escape = found[1]
    if len(escape) == 5:
        return chr(int(escape[1:], 16))
    return chr(int(escape, 8)) if escape[0] in "01234567" else _ESCAPES[escape]


def _character(text: bytes, at: int) -> str:
    name = text[1:].decode(errors="replace")
    if len(name) == 1 and name != "\N{REPLACEMENT CHARACTER}":
        return name
    if name in _CHARACTERS:
        return _CHARACTERS[name]
    if re.fullmatch(r"u[0-9a-fA-F]{4}", name) and not 0xD800 <= int(name[1:], 16) < 0xE000:
        return chr(int(name[1:], 16))
    if re.fullmatch(r"o[0-7]{1,3}", name):
        return chr(int(name[1:], 8))
    raise Unreadable(at, f"{_quoted(text)} is no character")


def _closed(kind: bytes, items: list[Any], opened: int, plain: bool) -> Any:
    if kind in (b"[", b"("):
        return tuple(items)
    if kind == b"#{":
        elements = frozenset(items)
        if len(elements) != len(items):
            raise Unreadable(opened, "a set with two equal elements (1, 1.0 and true count as equal here)")
        return elements
    if len(items) % 2:
        raise Unreadable(opened, "a map whose last key has no value")
    entries = dict(zip(items[::2], items[1::2], strict=True))
    if 2 * len(entries) != len(items):
        raise Unreadable(opened, "a map with one key twice (1, 1.0 and true count as equal here)")
    return entries if plain else Map(entries)


def _spaced(space: str, value: Any, at: int) -> Any:
    if not isinstance(value, Map):
        raise Unreadable(at, f"#:{space} must be followed by a map")

    def full(key: Any) -> Any:
        if not isinstance(key, Keyword):
            return key
        return Keyword(key.removeprefix("_/") if "/" in key else f"{space}/{key}")

    return Map((full(key), inner) for key, inner in value.items())


def _torn(text: bytes, last: int, kind: bytes, opened: int, final: bool) -> Exception:
    at = skipped(text, last)
    if not final and (text[at : at + 1] == b'"' or at + 1 >= len(text)):
        return Incomplete(at)
    if at == len(text):
        return Unreadable(opened, f"{_quoted(kind)} is never closed: the text ends too early")
    if text[at : at + 1] == b'"':
        return Unreadable(at, "a string that never ends")
    return Unreadable(at, f"{_quoted(text[at : at + 1])} begins nothing that EDN has")


def _misplaced(closing: bytes, kind: bytes) -> str:
    if kind in _CLOSES:
        return f"{_quoted(closing)} where the {_quoted(kind)} before it wants {_quoted(_CLOSES[kind])}"
    return f"{_quoted(kind)} is followed by nothing"


def _quoted(text: bytes) -> str:
    short = text[:40].decode(errors="backslashreplace")
    return f"{short}…" if len(text) > 40 else short


def written(value: Any) -> str:
    """A value as EDN, on one line. Text that is a `Keyword` is written as one; sets and maps in one fixed order."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if -(1 << 63) <= value < 1 << 63 else f"{value}N"
    if isinstance(value, float):
        if math.isfinite(value):
            return repr(value)
        return "##NaN" if math.isnan(value) else "##Inf" if value > 0 else "##-Inf"
    if isinstance(value, Keyword) and _KEYWORD.fullmatch(value):
        return f":{value}"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, tuple):
        return f"[{' '.join(map(written, value))}]"
    if isinstance(value, frozenset):
        return f"#{{{' '.join(sorted(map(written, value)))}}}"
    if isinstance(value, Map):
        return f"{{{', '.join(sorted(f'{written(key)} {written(inner)}' for key, inner in value.items()))}}}"
    raise TypeError(f"{type(value).__name__} is no value of a history")
