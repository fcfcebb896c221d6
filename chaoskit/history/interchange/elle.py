"""elle-cli's histories: a JSON array of the maps that Jepsen writes as EDN.

Source: the documentation of elle-cli. Texts stand for keywords. Keys of JSON objects can only be texts, so those that
are integers (`{"0": 97}`, an account) are read as integers. Objects are read one by one, so large files cost what is in
them, not their text.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import Any, BinaryIO

import numpy as np

from chaoskit.errors import HistoryError
from chaoskit.history.interchange.edn import MAX_DEPTH, Unreadable
from chaoskit.history.interchange.jepsen_columns import Columns
from chaoskit.history.interchange.json_text import decoder, fault
from chaoskit.history.interchange.open import LONGEST
from chaoskit.history.interchange.writing import (
    Texts,
    Times,
    completed_value,
    in_order,
    single_threaded,
    untold_order,
)
from chaoskit.history.operation import NONE, Outcome
from chaoskit.history.operations import Operations
from chaoskit.history.values import Map

__all__ = ["FORMAT", "Elle", "frozen_json"]

_PIECE = 1 << 22
_LINES = 10_000  # written at once
_KINDS = {0: "invoke", int(Outcome.OK): "ok", int(Outcome.FAIL): "fail", int(Outcome.INFO): "info"}
_BLANK = re.compile(r"[ \t\r\n]*")
_BETWEEN = re.compile(r"[ \t\r\n]*(,?)[ \t\r\n]*")
_ENTRY = re.compile(r'\s*\[\s*\{\s*"')
_TYPE = re.compile(r'"type"\s*:')
_INTEGER = re.compile(r"-?[1-9][0-9]{0,17}|0")


class Elle:
    """The format `elle`."""

    name = "elle"
    extension = ".json"
    cannot_carry = (
        "sessions that span several processes",
        "keys beside values: they become `[key value]`, which looks like any list",
        "numbers of operations: events are numbered from 0",
        "what a write was answered: a completion repeats what was asked, or shows the answer",
        "times before 0: all are counted from the first",
        "that nothing is known of the order between sessions",
        "sets: they become lists",
        "keys of maps other than texts and integers; an integer and its text are one key",
    )

    def matches(self, head: bytes, name: str) -> bool:
        """Whether it is an array whose first element has a key "type"."""
        text = head.decode("utf-8", "replace")
        return _ENTRY.match(text) is not None and _TYPE.search(text) is not None

    def read(self, stream: BinaryIO, source: str) -> Operations:
        """The history in an array of events.

        Raises:
            HistoryError: no JSON, an element that is no event, or events that no clients could have produced.
        """
        return _Reading(stream, source).operations()

    def write(self, operations: Operations, out: BinaryIO) -> tuple[str, ...]:
        """One array, one event per line."""
        return _write(operations, out)


FORMAT = Elle()


def frozen_json(value: Any, depth: int = 0) -> Any:
    """JSON as frozen data, with integers for the keys of objects that are integers.

    Raises:
        ValueError: nested too deeply, or a text with half a surrogate pair.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, list):
        return tuple(frozen_json(one, depth + 1) for one in value)
    if isinstance(value, dict):
        return Map(
            (int(key) if _INTEGER.fullmatch(key) else _sound(key), frozen_json(inner, depth + 1))
            for key, inner in value.items()
        )
    return _sound(value) if isinstance(value, str) else value


class _Reading:
    """One stream on its way into columns, piece by piece."""

    def __init__(self, stream: BinaryIO, source: str) -> None:
        self._stream, self._source = stream, source
        self._columns = Columns(source)
        self._decode = decoder().raw_decode
        self._line = 1  # of the piece's beginning
        self._opened = self._closed = False
        self._comma = True  # an element may follow

    def operations(self) -> Operations:
        decoding = codecs.getincrementaldecoder("utf-8-sig")()
        text, final = "", False
        while not final:
            # What is left over is the beginning of an object: the longer, the more is read before it is tried again.
            more = self._stream.read(max(_PIECE, len(text)))
            final = not more
            try:
                text += decoding.decode(more, final)
            except UnicodeDecodeError:
                raise self._wrong(text, len(text), "text that is not UTF-8") from None
            taken = self._take(text, final)
            # One byte for one character, whatever it is: offsets stay what they are.
            self._columns.flush(text.encode("ascii", "replace"), self._line)
            self._line += text.count("\n", 0, taken)
            text = text[taken:]
            if len(text) > LONGEST:
                raise HistoryError(self._source, self._line, f"an event of more than {LONGEST >> 20} MB")
        if not self._closed:
            raise HistoryError(self._source, self._line, "the array is never closed: the file ends too early")
        return self._columns.operations()

    def _take(self, text: str, final: bool) -> int:
        """Take all objects of a piece that are whole; where they end."""
        at = _end(_BLANK, text, 0)
        if not self._opened and at < len(text):
            if text[at] != "[":
                raise self._wrong(text, at, f"{text[at : at + 20]!r} instead of an array of events")
            self._opened, at = True, _end(_BLANK, text, at + 1)
        while at < len(text):
            if self._closed:
                raise self._wrong(text, at, "something after the end of the array")
            if text[at] == "]":
                self._closed, at = True, _end(_BLANK, text, at + 1)
                continue
            if text[at] == ",":  # what stood before it is in another piece
                raise self._wrong(text, at, "a comma too many")
            if not self._comma:
                raise self._wrong(text, at, "two elements without a comma between them")
            if text[at] != "{":
                raise self._wrong(text, at, f"{text[at : at + 20]!r} instead of an event, which is an object")
            try:
                event, end = self._decode(text, at)
            except RecursionError:
                raise self._wrong(text, at, f"nested deeper than {MAX_DEPTH} levels") from None
            except json.JSONDecodeError as error:
                if not final:
                    return at
                raise self._wrong(text, error.pos, f"no JSON: {fault(error)}") from None
            except ValueError as error:
                raise self._wrong(text, at, str(error)) from None
            between = _BETWEEN.match(text, end)
            assert between is not None  # it matches nothing, too
            if between.end() == len(text) and not final:
                return at  # the comma after it may be in the next piece
            self._record(event, text, at)
            self._comma, at = bool(between[1]), between.end()
        return at

    def _record(self, event: dict[str, Any], text: str, at: int) -> None:
        try:
            self._columns.record({key: frozen_json(value) for key, value in event.items()}, at)
        except Unreadable as error:
            raise self._wrong(text, at, error.what.replace(":", "", 1).replace(" :", " ")) from None
        except ValueError as error:
            raise self._wrong(text, at, str(error)) from None

    def _wrong(self, text: str, at: int, what: str) -> HistoryError:
        return HistoryError(
            self._source,
            self._line + text.count("\n", 0, at),
            what,
            hint="expected a JSON array, one object with type, process and f per event",
        )


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _sound(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("a text with half a surrogate pair") from None
    return text


def _write(operations: Operations, out: BinaryIO) -> tuple[str, ...]:
    process, renamed = single_threaded(operations)
    position, returns = in_order(operations)
    changed = _Changed()
    texts = Texts(operations.values, lambda value: json.dumps(changed.plain(value), ensure_ascii=False))
    names = [json.dumps(name, ensure_ascii=False) for name in operations.functions]
    nodes = [f', "node": {json.dumps(name, ensure_ascii=False)}' for name in operations.nodes] + [""]
    times = Times(operations)
    time = np.where(returns, times.ended[position], times.began[position])
    kind = np.where(returns, operations.outcome[position], np.uint8(0))
    answered = returns & (kind == Outcome.OK)
    value = np.where(answered, completed_value(operations)[position], operations.value[position])
    rank = np.where(returns, operations.completed[position], operations.invoked[position])
    marks = sorted(times.marks, key=lambda mark: mark.rank)[::-1]
    numbers = np.empty(len(operations), dtype=np.int64)
    index, lines = 0, list[str]()
    separator = "[\n"

    def put(line: str) -> None:
        nonlocal index, separator
        lines.append(f'{separator}{{{line}, "index": {index}}}')
        separator, index = ",\n", index + 1
        if len(lines) >= _LINES:
            out.write("".join(lines).encode())
            lines.clear()

    def put_mark() -> None:
        mark = marks.pop()
        name, _, rest = mark.label.partition(" ")
        put(
            f'"type": "info", "f": {json.dumps(name)}, "value": {json.dumps(rest or None)}, "process": "nemesis", '
            f'"time": {mark.time_ns}'
        )

    for event, place in enumerate(position.tolist()):
        while marks and marks[-1].rank <= rank[event] and not (returns[event] and kind[event] == Outcome.INFO):
            put_mark()
        text = texts[int(value[event])]
        if operations.key[place] != NONE:
            text = f"[{texts[int(operations.key[place])]}, {text}]"
        if not returns[event]:
            numbers[place] = index
        final = ', "final?": true' if operations.final[place] else ""
        put(
            f'"type": "{_KINDS[int(kind[event])]}", "f": {names[operations.f[place]]}, "value": {text}, '
            f'"process": {process[place]}, "time": {time[event]}{nodes[operations.node[place]]}{final}'
        )
    while marks:
        put_mark()
    out.write(("".join(lines) + ("\n]\n" if index else "[]\n")).encode())
    keyed = int((operations.key != NONE).sum())
    return tuple(
        sentence
        for lost, sentence in (
            (keyed, f"{keyed} operations have keys, written as [key value]: read them with --keyed"),
            (
                renamed,
                f"{renamed} operations have another process: theirs did two things at once, or went on after "
                "an outcome that nobody knows",
            ),
            ((numbers != operations.index).any(), "operations are numbered by their place in the file"),
            ((operations.session != operations.process).any(), "sessions are left out"),
            *times.told(),
            *untold_order(operations),
            (changed.sets, f"{changed.sets} sets are written as lists"),
            (changed.keys, f"{changed.keys} maps have keys that are neither texts nor integers, written as texts"),
        )
        if lost
    )


class _Changed:
    """Values as JSON that elle-cli knows, and how many could not stay what they were."""

    def __init__(self) -> None:
        self.sets = self.keys = 0

    def plain(self, value: Any) -> Any:
        """A value as JSON."""
        if isinstance(value, tuple):
            return [self.plain(one) for one in value]
        if isinstance(value, frozenset):
            self.sets += 1
            return sorted(map(self.plain, value), key=json.dumps)
        if isinstance(value, Map):
            self.keys += any(not isinstance(key, str) and type(key) is not int for key in value)
            return {
                key if isinstance(key, str) else json.dumps(self.plain(key)): self.plain(inner)
                for key, inner in value.items()
            }
        return value
