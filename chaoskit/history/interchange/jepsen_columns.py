"""Events of a Jepsen history on their way into columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.errors import HistoryError
from chaoskit.history.interchange.edn import Unreadable
from chaoskit.history.interchange.jepsen_values import ValueIds
from chaoskit.history.operation import NONE
from chaoskit.history.operations import NEVER, Mark, Operations
from chaoskit.history.pairing import FAIL, INFO, INVOKE, OK, Events, pair
from chaoskit.history.values import Values, shown

__all__ = ["FIELDS", "Columns"]

FIELDS = ("type", "f", "value", "process", "time", "index", "node", "final?")
_TYPES = {b"invoke": INVOKE, b"ok": OK, b"fail": FAIL, b"info": INFO}
_LABEL = 200
_DTYPES = {
    "type": np.uint8,
    "f": np.int32,  # and 16 bits when they are known to be enough
    "value": np.int64,
    "process": np.int64,
    "time": np.int64,
    "index": np.int64,
    "node": np.int32,
    "final?": np.bool_,
    "line": np.int64,
}


class Columns:
    """Collects events piece by piece; texts as bytes, or ready numbers where the whole reader read them.

    Attributes:
        ids: text of a value -> its id, for whoever has texts.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._values = Values()
        self.ids = ValueIds(self._values)
        self._functions = _Names()
        self._nodes = _Names()
        self._fresh: dict[str, list[Any]] = {field: [] for field in FIELDS}
        self._starts: list[int] = []
        self._done: dict[str, list[NDArray[Any]]] = {field: [] for field in _DTYPES}
        self._count = 0
        self._marks: list[Mark] = []

    def extend(self, rows: Sequence[tuple[bytes, ...]], ids: Sequence[int], starts: Sequence[int]) -> None:
        """Events as texts of all fields but the value (empty where there is none), value ids, offsets in the text."""
        others = zip(*rows, strict=True)
        for field in FIELDS:
            self._fresh[field].extend(ids if field == "value" else next(others))
        self._starts.extend(starts)

    def record(self, event: Any, start: int) -> None:
        """One event as the whole reader read it, from `start` in the text.

        Raises:
            Unreadable: it is no map, lacks something, or a field is not what it should be.
        """
        if not isinstance(event, Mapping):
            raise Unreadable(start, f"expected a map of an event, found {_short(event)}")
        kind, process, f = event.get("type"), event.get("process"), event.get("f")
        if not isinstance(kind, str) or kind.encode() not in _TYPES:
            raise _wrong(start, "type", "one of :invoke, :ok, :fail, :info", event)
        if type(process) is not int:
            if not isinstance(process, str):
                raise _wrong(start, "process", "an integer, or a name such as :nemesis", event)
            if kind != "info" and process != "nemesis":
                raise _wrong(
                    start, "process", "an integer for a client (a name is that of faults, which are :info)", event
                )
            value = event.get("value")
            label = " ".join(shown(one) for one in (f, value) if one is not None) or process
            label = label if len(label) <= _LABEL else f"{label[: _LABEL - 1]}…"
            time = _integer(event, "time", start)
            self._marks.append(Mark(label, self._count + len(self._starts), time))
            return
        if not isinstance(f, str) or not f:
            raise _wrong(start, "f", "a keyword that says what was done", event)
        node = event.get("node")
        index = _integer(event, "index", start)
        if index < NONE:
            raise _wrong(start, "index", "a number from 0", event)
        row = (
            kind.encode(),
            f.encode(),
            self._values.number(event.get("value")),
            _integer(event, "process", start),
            _integer(event, "time", start),
            index,
            node.encode() if isinstance(node, str) else b"",
            b"true" if event.get("final?") is True else b"",
        )
        for column, one in zip(self._fresh.values(), row, strict=True):
            column.append(one)
        self._starts.append(start)

    def flush(self, text: bytes, line: int) -> None:
        """Turn what was collected from one piece of text, which begins at a line, into arrays."""
        count = len(self._starts)
        if not count:
            return
        fresh = self._fresh
        newlines = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n"))
        found: dict[str, Any] = {
            "type": map(_TYPES.__getitem__, fresh["type"]),
            "f": map(self._functions.__getitem__, fresh["f"]),
            "value": fresh["value"],
            "process": map(int, fresh["process"]),
            "time": _integers(fresh["time"]),
            "index": _integers(fresh["index"]),
            "node": map(self._nodes.__getitem__, fresh["node"]) if any(fresh["node"]) else None,
            "final?": [one == b"true" for one in fresh["final?"]] if any(fresh["final?"]) else None,
            "line": np.searchsorted(newlines, self._starts) + line,
        }
        for field, dtype in _DTYPES.items():
            column = found[field]
            self._done[field].append(
                np.full(count, NONE if field == "node" else 0, dtype)
                if column is None
                else np.fromiter(column, dtype, count)
            )
        for values in fresh.values():
            values.clear()
        self._starts.clear()
        self._count += count

    def operations(self) -> Operations:
        """All that was flushed, paired.

        Raises:
            HistoryError: there is nothing, or no clients could have produced it.
        """
        if not self._count and not self._marks:
            raise HistoryError(self._source, 0, "holds no events: an empty history")
        columns = {
            field: np.concatenate(arrays) if arrays else np.empty(0, _DTYPES[field])
            for field, arrays in self._done.items()
        }
        self._done.clear()
        index = columns["index"]
        notes: tuple[str, ...] = ()
        if (index == NONE).any():
            places = np.array([mark.rank for mark in self._marks], dtype=np.int64)
            numbers = np.arange(self._count)
            missing = int((index == NONE).sum())
            index = numbers + np.searchsorted(places, numbers, side="right")
            if missing < self._count:
                notes = (f"{missing} of {self._count} events have no :index: all are numbered by their place",)
        events = Events(
            type=columns["type"],
            process=columns["process"],
            f=columns["f"].astype(np.int16),
            key=np.full(self._count, NONE, np.int64),
            value=columns["value"],
            time_ns=columns["time"],
            index=index,
            line=columns["line"],
            functions=self._functions.texts(self._source),
            values=self._values.all,
            marks=tuple(self._marks),
            notes=notes,
        )
        operations = pair(events, self._source)
        # Ranks are places of events here. Either event may say where it was and whether it was a last look.
        node, final = columns["node"][operations.invoked], columns["final?"][operations.invoked]
        answered = operations.completed != NEVER
        returned = operations.completed[answered]
        node[answered] = np.where(node[answered] == NONE, columns["node"][returned], node[answered])
        final[answered] |= columns["final?"][returned]
        return operations.altered(node=node.astype(np.int16), final=final, nodes=self._nodes.texts(self._source))


class _Names(dict[bytes, int]):
    """Numbers names in the order of their first appearance; no name is NONE."""

    def __missing__(self, text: bytes) -> int:
        if not text:
            return NONE
        self[text] = len(self)
        return len(self) - 1

    def texts(self, source: str) -> tuple[str, ...]:
        if len(self) > np.iinfo(np.int16).max:
            raise HistoryError(source, 0, f"names {len(self)} different functions or nodes: no history does")
        return tuple(text.decode() for text in self)


def _integer(event: Mapping[Any, Any], field: str, start: int) -> int:
    value = event.get(field)
    if value is None:
        return NONE
    if type(value) is not int or not -(1 << 63) <= value < 1 << 63:
        raise _wrong(start, field, "an integer of 64 bits", event)
    return value


def _wrong(start: int, field: str, expected: str, event: Mapping[Any, Any]) -> Unreadable:
    found = _short(event[field]) if field in event else "nothing"
    return Unreadable(start, f":{field} must be {expected}; found {found}")


def _integers(texts: Sequence[Any]) -> Iterable[int]:
    """Numbers, from their texts or as they are; NONE where there is nothing."""
    return (int(text) if text != b"" else NONE for text in texts) if b"" in texts else map(int, texts)


def _short(value: Any) -> str:
    text = shown(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
