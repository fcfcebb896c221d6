"""Porcupine's log of etcd: reads, writes and compare-and-sets of one register, as Jepsen's logger printed them.

`INFO  jepsen.util - 0 :invoke :cas [1 2]`, with tabs. An outcome of `:info` is one that nobody knows; Porcupine leaves
such an operation open until the end, which says the same. A compare-and-set that failed did nothing here; Porcupine
also takes it for an observation (the value was another one), so it may refute what is held here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, BinaryIO

from chaoskit.errors import HistoryError
from chaoskit.history.interchange.porcupine_log import Parsed, not_carried, read_log, write_log
from chaoskit.history.operation import NONE, Outcome
from chaoskit.history.operations import Operations

__all__ = ["FUNCTIONS", "begins", "read", "write"]

FUNCTIONS = ("read", "write", "cas")
_LINE = re.compile(
    rb"INFO\s+jepsen\.util\s+-\s+(\d+)\s+:(invoke|ok|fail|info)\s+:(read|write|cas)\s+"
    rb"(?:(nil)|(-?\d+)|\[(-?\d+)\s+(-?\d+)\]|:[\w-]+)"
)
_BEGIN = re.compile(rb"INFO\s+jepsen\.util\s+-\s+\d+\s+:invoke\s")
_WORDS = {0: "invoke", int(Outcome.OK): "ok", int(Outcome.FAIL): "fail", int(Outcome.INFO): "info"}
_EXPECTED = "`INFO  jepsen.util - PROCESS :invoke|:ok|:fail|:info :read nil | :write N | :cas [N N]`"
_DIGITS = 4000  # Python refuses to convert more than 4,300


def begins(line: bytes) -> bool:
    """Whether a log of etcd begins with this line."""
    return _BEGIN.match(line) is not None


def read(lines: Iterable[tuple[int, bytes]], source: str) -> Operations:
    """The history of a log.

    Args:
        lines: with their numbers.

    Raises:
        HistoryError: a line is no event of it, or no clients could have produced them.
    """
    return read_log(lines, source, _parsed, _EXPECTED)


def _parsed(line: bytes) -> Parsed | None:
    found = _LINE.fullmatch(line) if len(line) <= _DIGITS else None
    if found is None:
        return None
    process, kind, f, nil, one, before, after = found.groups()
    value: Any = None
    if one is not None:
        value = int(one)
    elif before is not None:
        value = (int(before), int(after))
    if kind in (b"invoke", b"ok") and not (
        (f == b"cas" and before is not None)
        or (f == b"write" and one is not None)
        or (f == b"read" and (nil is not None or (one is not None and kind == b"ok")))
    ):
        return None
    return kind, process, f, value, None


def write(operations: Operations, out: BinaryIO) -> tuple[str, ...]:
    """The log of a history of one register with values of natural numbers.

    Raises:
        HistoryError: other operations, keys, or values that Porcupine's expressions do not read.
    """
    values = operations.values

    def line(outcome: int, process: int, f: int, key: int, value: int) -> str:
        name = operations.functions[f]
        given = None if value == NONE else values[value]
        if outcome == Outcome.INFO:
            text = ":timed-out"
        elif name == "read" and (given is None or (outcome and _natural(given))):
            text = "nil" if given is None else str(given)
        elif name == "write" and _natural(given):
            text = str(given)
        elif name == "cas" and isinstance(given, tuple) and len(given) == 2 and all(map(_natural, given)):
            text = f"[{given[0]} {given[1]}]"
        else:
            raise _not_carried(operations, f"{name} {given!r}")
        return f"INFO  jepsen.util - {process}\t:{_WORDS[outcome]}\t:{name}\t{text}\n"

    if (operations.key != NONE).any():
        raise _not_carried(operations, "keys")
    if (operations.process < 0).any():
        raise _not_carried(operations, "processes below 0")
    return write_log(operations, out, line)


def _natural(value: Any) -> bool:
    return type(value) is int and value >= 0


def _not_carried(operations: Operations, what: str) -> HistoryError:
    return not_carried(operations, what, "etcd", "read, write n and cas [n n] of natural numbers, on one register")
