"""Values of Jepsen's histories by their text: ids at once for texts seen before, short cuts for the usual forms.

Only speed lives here: what the short cuts give, the whole reader of EDN gives too, and what they do not know it reads.
"""

from __future__ import annotations

import re
from typing import Any

from chaoskit.history.interchange.edn import NOTHING, Reader, Unreadable, skipped
from chaoskit.history.operation import NONE
from chaoskit.history.values import Keyword, Values

__all__ = ["NotOneForm", "ValueIds"]

_INT = rb"-?(?:0|[1-9][0-9]{0,17})"
_INTEGER = re.compile(_INT)
_INTEGERS = re.compile(rb"#?[\[{](?:" + _INT + rb"(?: " + _INT + rb")*)?[\]}]")
_MICRO = re.compile(
    rb":([a-z][a-z-]*) (?:(" + _INT + rb')|:([a-z][a-z0-9]*)|"([a-zA-Z0-9_.-]*)")'
    rb" (?:(nil)|(" + _INT + rb")|\[(" + _INT + rb"(?: " + _INT + rb")*)?\])"
)
_CACHED = 1 << 18


class NotOneForm(Exception):
    """The text is no form, or more than one: whoever cut it out cut wrongly."""


class ValueIds(dict[bytes, int]):
    """Text of a value -> its id; no text, no value.

    Raises (where a text is looked up):
        NotOneForm: the text is no single form of EDN.
    """

    def __init__(self, values: Values) -> None:
        super().__init__()
        self._values = values
        self._integers = _Integers()
        self._operations = _MicroOperations(self._integers)
        self._reader = Reader()

    def __missing__(self, text: bytes) -> int:
        if len(self) >= _CACHED:
            self.clear()
        number = self[text] = self._number(text)
        return number

    def _number(self, text: bytes) -> int:
        if not text:
            return NONE
        if _INTEGER.fullmatch(text):
            return self._values.number(int(text))
        if text.startswith(b"[[:") and text.endswith(b"]]"):
            pieces = tuple(map(self._operations.__getitem__, text[2:-2].split(b"] [")))
            if None not in pieces:
                return self._values.number(pieces, plain=True)
        elif _INTEGERS.fullmatch(text):
            if text[:1] == b"[" and text[-1:] == b"]":
                return self._values.number(tuple(map(self._integers.__getitem__, text[1:-1].split())), plain=True)
            elements = list(map(self._integers.__getitem__, text[2:-1].split()))
            if text[:2] == b"#{" and text[-1:] == b"}" and len(unique := frozenset(elements)) == len(elements):
                return self._values.number(unique, plain=True)
        try:
            value, end = self._reader.read(text)
        except Unreadable:
            raise NotOneForm from None
        if value is NOTHING or skipped(text, end) != len(text):
            raise NotOneForm
        return self._values.number(value)


class _Integers(dict[bytes, int]):
    """One object per number, however many lists it is in."""

    def __missing__(self, text: bytes) -> int:
        if len(self) >= _CACHED:
            self.clear()
        number = self[text] = int(text)
        return number


class _MicroOperations(dict[bytes, Any]):
    """`:append 5 1` -> (append, 5, 1); None where it is not as simple as that."""

    def __init__(self, integers: _Integers) -> None:
        super().__init__()
        self._integers = integers

    def __missing__(self, text: bytes) -> Any:
        if len(self) >= _CACHED:
            self.clear()
        found = _MICRO.fullmatch(text)
        value = self[text] = None if found is None else self._read(found)
        return value

    def _read(self, found: re.Match[bytes]) -> tuple[Any, ...]:
        name, number, keyword, string, nil, integer, elements = found.groups()
        key: Any = Keyword(keyword.decode()) if keyword is not None else None
        if number is not None:
            key = self._integers[number]
        elif string is not None:
            key = string.decode()
        value: Any = None
        if integer is not None:
            value = self._integers[integer]
        elif nil is None:
            value = tuple(map(self._integers.__getitem__, elements.split())) if elements else ()
        return (Keyword(name.decode()), key, value)
