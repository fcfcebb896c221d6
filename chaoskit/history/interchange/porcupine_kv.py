"""Porcupine's log of a key-value store: get, put and append of texts, one map per line.

It looks like EDN and is none: quotes inside a text are not escaped, as in Porcupine's own expressions. What never
returned was in flight when the test ended.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import BinaryIO

from chaoskit.errors import HistoryError
from chaoskit.history.interchange.porcupine_log import Parsed, not_carried, read_log, write_log
from chaoskit.history.operation import NONE, Outcome
from chaoskit.history.operations import Operations

__all__ = ["FUNCTIONS", "begins", "read", "write"]

FUNCTIONS = ("get", "put", "append")
_LINE = re.compile(
    rb'\{:process (\d+), :type :(invoke|ok|fail|info), :f :(get|put|append), :key "(.*)", :value (?:nil|"(.*)")\}'
)
_EXPECTED = '`{:process N, :type :invoke|:ok, :f :get|:put|:append, :key "K", :value "V"}`, nil for a get'
_AMBIGUOUS = '", :value '


def begins(line: bytes) -> bool:
    """Whether a log of a key-value store begins with this line."""
    return _LINE.fullmatch(line) is not None


def read(lines: Iterable[tuple[int, bytes]], source: str) -> Operations:
    """The history of a log.

    Args:
        lines: with their numbers.

    Raises:
        HistoryError: a line is no event of it, or no clients could have produced them.
    """
    return read_log(lines, source, _parsed, _EXPECTED)


def _parsed(line: bytes) -> Parsed | None:
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    process, kind, f, key, text = found.groups()
    if kind in (b"invoke", b"ok") and (text is None) != (kind == b"invoke" and f == b"get"):
        return None
    return kind, process, f, None if text is None else text.decode(), key.decode()


def write(operations: Operations, out: BinaryIO) -> tuple[str, ...]:
    """The log of a history of get, put and append. A get that found nothing answers the empty text, as there.

    Raises:
        HistoryError: other operations, or keys or values that are no texts, or texts that this log would mix up.
    """
    texts = _Texts(operations)
    empty = 0

    def line(outcome: int, process: int, f: int, key: int, value: int) -> str:
        nonlocal empty
        name = operations.functions[f]
        if outcome == Outcome.INFO:
            return ""  # an operation that never returns says the same
        if name == "get" and not outcome:
            text = "nil"
        else:
            empty += value == NONE
            text = f'"{texts[value]}"'
        kind = "ok" if outcome else "invoke"
        return f'{{:process {process}, :type :{kind}, :f :{name}, :key "{texts[key]}", :value {text}}}\n'

    if (operations.process < 0).any():
        raise _not_carried(operations, "processes below 0")
    told = write_log(operations, out, line)
    return (*told, f"{empty} values of nil are written as the empty text") if empty else told


class _Texts(dict[int, str]):
    """Texts by id; what is none, or would be read as something else, cannot be written."""

    def __init__(self, operations: Operations) -> None:
        super().__init__({NONE: ""})
        self._operations = operations

    def __missing__(self, number: int) -> str:
        value = self._operations.values[number]
        if not isinstance(value, str):
            raise _not_carried(self._operations, f"{value!r}, which is no text")
        if _AMBIGUOUS in value or value.splitlines() not in ([], [value]):
            raise _not_carried(self._operations, f"the text {value!r}")
        self[number] = str(value)
        return self[number]


def _not_carried(operations: Operations, what: str) -> HistoryError:
    knows = "get, put and append, with keys and values that are texts of one line"
    return not_carried(operations, what, "a key-value store", knows)
