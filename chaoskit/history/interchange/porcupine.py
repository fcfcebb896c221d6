"""Porcupine's logs: that of its etcd tests (a register with compare-and-set) and that of its key-value tests.

Source: the expressions by which Porcupine's own tests read these files. The order of lines is the only clock. What an
expression of theirs would pass over is an error here, or has the meaning that its words have (`:info`, `:timed-out`).
"""

from __future__ import annotations

from itertools import chain
from types import ModuleType
from typing import BinaryIO

from chaoskit.errors import HistoryError
from chaoskit.history.interchange import porcupine_etcd, porcupine_kv
from chaoskit.history.interchange.open import LONGEST
from chaoskit.history.operations import Operations

__all__ = ["FORMAT", "Porcupine"]

_LOGS: tuple[ModuleType, ...] = (porcupine_etcd, porcupine_kv)


class Porcupine:
    """The format `porcupine`: which log it is, the first line tells; which one is written, the operations do."""

    name = "porcupine"
    extension = ".log"
    cannot_carry = (
        "times, nodes, sessions, faults and which reads were the last look",
        "operations that failed",
        "numbers of operations: events are numbered from 0",
        "operations other than read, write and cas of numbers on one register, or get, put and append of texts by key",
    )

    def matches(self, head: bytes, name: str) -> bool:
        """Whether the first line is an event of one of the logs."""
        return _log_of(head) is not None

    def read(self, stream: BinaryIO, source: str) -> Operations:
        """The history of a log.

        Raises:
            HistoryError: a line is no event, or no clients could have produced them.
        """
        first = stream.readline(LONGEST)
        blank = 0
        while first and not first.strip():
            first, blank = stream.readline(LONGEST), blank + 1
        log = _log_of(first) or porcupine_etcd
        lines = chain([first], iter(lambda: stream.readline(LONGEST), b""))
        found: Operations = log.read(enumerate(lines, blank + 1), source)
        return found

    def write(self, operations: Operations, out: BinaryIO) -> tuple[str, ...]:
        """The log for get, put and append where there are such, else the one of etcd.

        Raises:
            HistoryError: other operations, or values that this log cannot carry.
        """
        used = {operations.functions[number] for number in set(operations.f.tolist())}
        for log in _LOGS:
            if used <= set(log.FUNCTIONS):
                lost: tuple[str, ...] = log.write(operations, out)
                if not (operations.index == operations.invoked).all():
                    lost = (*lost, "operations are numbered by their place in the file")
                return lost
        raise HistoryError(
            operations.source or "the history",
            0,
            f"has operations ({', '.join(sorted(used))}) that no log of Porcupine's can carry",
            hint="they know read, write and cas, or get, put and append",
        )


FORMAT = Porcupine()


def _log_of(head: bytes) -> ModuleType | None:
    line = head.removeprefix(b"\xef\xbb\xbf").lstrip().split(b"\n", 1)[0].strip()
    return next((log for log in _LOGS if log.begins(line)), None)
