"""Maps that are printed alike, read by one regular expression each: a program prints all events in a few ways.

A shape is learnt from a map that the whole reader has read: its keys in their order, and what stands between them. An
expression takes whole fields only, and the text of a value counts when it is exactly one form; so what it says is what
the reader would say, and a map that does not fit is left to the reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from chaoskit.history.interchange.jepsen_columns import FIELDS, Columns
from chaoskit.history.interchange.jepsen_values import NotOneForm
from chaoskit.history.values import Keyword

__all__ = ["Shapes"]

_INT = rb"-?(?:0|[1-9][0-9]{0,17})"
_WORD = rb":[A-Za-z][\w.*+!?$%&=<>/-]*"
_PLAIN = rb"(?:nil|true|false|" + _INT + rb"(?:\.[0-9]+)?|" + _WORD + rb'|"[^"\\\n\x80-\xff]*")'
_ANY = rb"(?:" + _PLAIN + rb"|\[(?:" + _PLAIN + rb"(?: " + _PLAIN + rb")*)?\])"
_FIELDS = {
    "type": rb":(invoke|ok|fail|info)",
    "f": rb":([A-Za-z][\w.*+!?$%&=<>/-]*)",
    "value": rb"(nil|" + _INT + rb"|[^;\n]+?)",  # must be checked: what looks like an end may be inside
    "process": rb"(" + _INT + rb")",  # nemeses are rare, and left to the reader
    "time": rb"(" + _INT + rb")",
    "index": rb"(0|[1-9][0-9]{0,17})",
    "node": rb'"([^"\\\n\x80-\xff]*)"',
    "final?": rb"(true|false)",
}
_CLOSING = rb"\}[\s,]*+(?=[{#\])]|\Z)"  # what follows is another map, or the end of all
_ALWAYS = {"type", "f", "value", "process", "time", "index"}  # a shape has these or has not; others may come and go
_MOST = 16  # shapes of one history; one that has more is not printed alike
_TRIES = 64
_FIRST, _LAST = 16, 4096  # maps taken at once: few after a failure, more with every success


@dataclass(frozen=True)
class _Style:
    """What stands between the parts of a map, as expressions."""

    opening: bytes
    space: bytes  # between a key and its value
    between: bytes  # between two entries
    closing: bytes
    lines: bool  # one map is on one line


@dataclass
class _Shape:
    """Maps printed alike. `keys`: in their order; `optional`: those of them that a map may leave out."""

    style: _Style
    keys: tuple[str, ...]
    optional: frozenset[str] = frozenset()
    groups: tuple[int, ...] = ()
    value: int = 0

    def __post_init__(self) -> None:
        style, text = self.style, self.style.opening
        captured = [key for key in self.keys if key in _FIELDS]
        for at, key in enumerate(self.keys):
            entry = (style.between if at else b"") + re.escape(f":{key}".encode()) + style.space
            entry += _FIELDS.get(key, _ANY) if style.lines else _FIELDS.get(key, _ANY).replace(rb";\n", b";")
            text += b"(?:" + entry + b")?" if key in self.optional else entry
        self.pattern = re.compile(text + style.closing + b"()")
        group = {key: number for number, key in enumerate(captured, 1)}
        missing = len(captured) + 1  # the group that is always empty
        self.groups = tuple(group.get(field, missing) for field in FIELDS if field != "value")
        self.value = group.get("value", missing)

    def joined(self, other: _Shape) -> _Shape | None:
        """A shape for the maps of both, where they differ by entries that may come and go."""
        longer, shorter = (self, other) if len(self.keys) >= len(other.keys) else (other, self)
        differing = set(longer.keys) - set(shorter.keys)
        common = tuple(key for key in longer.keys if key not in differing)
        if self.style != other.style or common != shorter.keys or differing & (_ALWAYS | {longer.keys[0]}):
            return None
        return _Shape(self.style, longer.keys, self.optional | other.optional | differing)


class Shapes:
    """The shapes of one history."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._shapes: list[_Shape] = []
        self._tried: set[tuple[bytes, tuple[str, ...]]] = set()

    def learn(self, record: Mapping[Any, Any], text: bytes, start: int, end: int) -> None:
        """Remember how a map is printed that was read from text[start:end]."""
        keys = tuple(record)
        tried = (text[start : start + 1], keys)
        if len(self._tried) >= _TRIES or tried in self._tried:
            return
        self._tried.add(tried)
        if not all(isinstance(key, Keyword) for key in keys):
            return
        tag = re.escape(text[start : text.index(b"{", start)])
        closing = rb"\}\n" if text[end : end + 1] == b"\n" else _CLOSING
        for style in (
            _Style(tag + rb"\{", b" ", b", ", closing, lines=True),
            _Style(tag + rb"\{[\s,]*+", rb"[\s,]++", rb"[\s,]++", rb"[\s,]*+" + _CLOSING, lines=False),
        ):
            shape = _Shape(style, keys)
            if shape.pattern.match(text, start):
                self._add(shape)
                return

    def _add(self, shape: _Shape) -> None:
        for at, other in enumerate(self._shapes):
            if joined := other.joined(shape):
                self._shapes[at] = joined
                return
        if len(self._shapes) < _MOST:
            self._shapes.append(shape)

    def take(self, text: bytes, at: int) -> int:
        """Put the maps from text[at:] on into the columns, as far as they have known shapes; where that ends."""
        before = -1
        while at != before:
            before = at
            for shape in self._shapes:
                at = self._run(shape, text, at)
                if at != before:
                    break
        return at

    def _run(self, shape: _Shape, text: bytes, at: int) -> int:
        """The same for one shape."""
        matches: Iterator[re.Match[bytes]] = iter(shape.pattern.scanner(text, at).match, None)  # type: ignore[attr-defined]
        each = _FIRST
        while found := list(islice(matches, each)):
            ids: list[int] = []
            try:
                ids.extend(map(self._columns.ids.__getitem__, [match[shape.value] for match in found]))
            except NotOneForm:
                pass  # those before it are good, and extend keeps what came until then
            whole = len(ids) == len(found)
            found = found[: len(ids)]
            if found:
                rows = [match.group(*shape.groups) for match in found]
                self._columns.extend(rows, ids, [match.start() for match in found])
                at = found[-1].end()
            if not whole:
                break
            each = min(2 * each, _LAST)
        return at
