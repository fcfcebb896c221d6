"""What both logs of Porcupine have in common: one event a line, and the order of lines as the only clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np

from chaoskit.errors import HistoryError
from chaoskit.history.interchange.open import LONGEST
from chaoskit.history.interchange.writing import in_order, single_threaded
from chaoskit.history.operation import NONE, Outcome
from chaoskit.history.operations import Operations
from chaoskit.history.pairing import FAIL, INFO, INVOKE, OK, Events, pair
from chaoskit.history.values import Values

__all__ = ["Parsed", "not_carried", "read_log", "write_log"]

Parsed = tuple[bytes, bytes, bytes, Any, Any]  # kind, process, f, value, key
_TYPES = {b"invoke": INVOKE, b"ok": OK, b"fail": FAIL, b"info": INFO}
_LINES = 10_000  # written at once


def read_log(
    lines: Iterable[tuple[int, bytes]], source: str, parse: Callable[[bytes], Parsed | None], expected: str
) -> Operations:
    """The history of a log.

    Args:
        lines: with their numbers.
        parse: what a line says; None where it is no event. It may raise UnicodeDecodeError. expected: an event, in
            words.

    Raises:
        HistoryError: a line is no event of it, or no clients could have produced them.
    """
    log = _Log(source)
    for number, line in log.lines(lines):
        try:
            found = parse(line)
        except UnicodeDecodeError:
            raise HistoryError(source, number, "text that is not UTF-8") from None
        if found is None:
            shown = line[:60].decode(errors="backslashreplace")
            raise HistoryError(source, number, f"found {shown!r}", hint=f"expected {expected}")
        log.event(number, *found)
    operations = log.operations()
    if log.whole:
        return operations
    note = "the last line has no end: if the file was cut short there, it may have said more"
    return operations.altered(notes=(*operations.notes, note))


class _Log:
    """Collects the events of a log.

    Attributes:
        whole: whether the last line has an end.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.values = Values()
        self.whole = True
        self._functions: dict[bytes, int] = {}
        self._rows: list[tuple[int, int, int, int, int, int]] = []

    def lines(self, numbered: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        """The lines that are not blank, without blanks around them.

        Raises:
            HistoryError: one is longer than any event.
        """
        for number, line in numbered:
            if len(line) == LONGEST:
                raise HistoryError(self.source, number, f"a line of more than {LONGEST >> 20} MB")
            self.whole = line.endswith(b"\n")
            if text := (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).strip():
                yield number, text

    def event(self, line: int, kind: bytes, process: bytes, f: bytes, value: Any, key: Any) -> None:
        """One event.

        Raises:
            HistoryError: the process is beyond 64 bits.
        """
        if len(process) > 18:
            raise HistoryError(self.source, line, f"process {process[:40].decode()}…, beyond 64 bits")
        number = self.values.number
        function = self._functions.setdefault(f, len(self._functions))
        self._rows.append((_TYPES[kind], int(process), function, number(key), number(value), line))

    def operations(self) -> Operations:
        """All of them, paired.

        Raises:
            HistoryError: there is nothing, or no clients could have produced it.
        """
        if not self._rows:
            raise HistoryError(self.source, 0, "holds no events: an empty history")
        kind, process, f, key, value, line = np.array(self._rows, dtype=np.int64).T
        count = len(kind)
        events = Events(
            type=kind.astype(np.uint8),
            process=process,
            f=f.astype(np.int16),
            key=key,
            value=value,
            time_ns=np.full(count, NONE, np.int64),
            index=np.arange(count),
            line=line,
            functions=tuple(name.decode() for name in self._functions),
            values=self.values.all,
        )
        return pair(events, self.source)


def not_carried(operations: Operations, what: str, log: str, knows: str) -> HistoryError:
    """The error that a log (`etcd`) cannot carry something of a history, and what it knows instead."""
    return HistoryError(
        operations.source or "the history",
        0,
        f"has {what[:80]}, which Porcupine's log of {log} cannot carry",
        hint=f"it knows {knows}",
    )


def write_log(operations: Operations, out: BinaryIO, line: Callable[[int, int, int, int, int], str]) -> tuple[str, ...]:
    """Write one line per event, and say what every log of Porcupine leaves out.

    What failed is left out: it did not happen. Porcupine would leave a failed write open, and take a failed
    compare-and-set for an observation, which one that never reached the server is not.

    Args:
        line: (outcome or 0 for an invocation, process, f, key id, value id) -> a line; "" where this format has none
            for it. The value is what a read answered, and of all else what was asked.
    """
    failed = int(operations.failed.sum())
    operations = operations.where(~operations.failed)
    process, renamed = single_threaded(operations)
    position, returns = in_order(operations)
    kind = np.where(returns, operations.outcome[position], np.uint8(0))
    looks = operations.named("read", "get")
    value = np.where(looks & (operations.outcome == Outcome.OK), operations.result, operations.value)[position]
    value = np.where(looks[position] & ~returns, operations.value[position], value)
    columns = (kind, process[position], operations.f[position], operations.key[position], value)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    lines: list[str] = []
    for row in rows:
        if text := line(*row):
            lines.append(text)
        if len(lines) >= _LINES:
            out.write("".join(lines).encode())
            lines.clear()
    out.write("".join(lines).encode())
    unlike = ~looks & (operations.result != NONE) & (operations.result != operations.value)
    told = (
        (renamed, f"{renamed} operations have another process: theirs did two things at once, or went on after "
                  "an outcome that nobody knows"),
        (failed, f"{failed} operations that failed, and so did nothing, are left out"),
        (int(unlike.sum()), f"{int(unlike.sum())} answers to what was no read are left out"),
        (operations.timed, "times are left out"),
        (len(operations.marks), f"{len(operations.marks)} faults are left out"),
        ((operations.node != NONE).any(), "nodes are left out"),
        ((operations.session != operations.process).any(), "sessions are left out"),
        (operations.final.any(), "which reads were the last look is left out"),
    )  # fmt: skip
    return tuple(sentence for lost, sentence in told if lost)
