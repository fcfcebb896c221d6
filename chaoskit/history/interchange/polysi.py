"""PolySI's text, which Plume reads, too: one step per line, `w(key,value,session,transaction)` or `r(…)`.

Source: the readers of PolySI and Plume. All are numbers; 0 is what a key holds before it is written; only what was
committed is there; lines of one session are in its order. Nothing is known of time.
"""

from __future__ import annotations

import re
from typing import BinaryIO

from chaoskit.errors import HistoryError
from chaoskit.history.interchange.open import LONGEST
from chaoskit.history.interchange.sessions import Sessions, Step, Transaction, to_sessions
from chaoskit.history.operations import Operations

__all__ = ["FORMAT", "PolySI"]

_LINE = re.compile(rb"([rw])\((\d{1,19}),(\d{1,19}),(\d{1,18}),(\d{1,18})\)")
_PIECE = 10_000  # lines written at once


class PolySI:
    """The format `polysi`."""

    name = "polysi"
    extension = ".txt"
    cannot_carry = (
        "times, and any order between sessions",
        "transactions that failed or whose outcome nobody knows (committed, where their writes were read)",
        "keys and values that are no numbers: they are numbered",
        "nodes, faults, numbers of operations and which reads were the last look",
        "operations other than transactions of reads and writes of registers",
    )

    def matches(self, head: bytes, name: str) -> bool:
        """Whether the first line is a step."""
        return _LINE.fullmatch(head.lstrip().split(b"\n", 1)[0].strip()) is not None

    def read(self, stream: BinaryIO, source: str) -> Operations:
        """The history in a text; `line` is that of a transaction's first step.

        Raises:
            HistoryError: a line is no step, or transactions of one session are mixed up.
        """
        open_: dict[int, tuple[int, int, list[Step]]] = {}  # session -> its last transaction, its line, its steps
        places: dict[int, int] = {}  # transaction -> its place in `done`
        done: list[tuple[int, int, list[Step]]] = []
        for number, line in enumerate(iter(lambda: stream.readline(LONGEST), b""), 1):
            text = (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).strip()
            if not text:
                continue
            found = _LINE.fullmatch(text)
            if found is None:
                shown = text[:60].decode(errors="backslashreplace")
                what = f"found {shown!r} instead of r(key,value,session,transaction) or w(…), all of them numbers"
                raise HistoryError(source, number, what)
            f = "r" if found[1] == b"r" else "w"
            key, value, session, transaction = map(int, found.groups()[1:])
            if f == "w" and not value:
                raise HistoryError(source, number, "writes 0, which stands for a key that was never written")
            last = open_.get(session)
            if last is None or last[0] != transaction:
                if transaction in places:
                    what = (
                        f"transaction {transaction} goes on in another session, or after the next one of its own began"
                    )
                    raise HistoryError(source, number, what)
                places[transaction] = len(done)
                last = open_[session] = (transaction, number, [])
                done.append((session, number, last[2]))
            last[2].append((f, key, value or None))
        sessions = Sessions(source)
        for session, number, steps in done:
            sessions.add(Transaction(session, tuple(steps), line=number))
        return sessions.operations()

    def write(self, operations: Operations, out: BinaryIO) -> tuple[str, ...]:
        """All sessions, one after the other.

        Raises:
            HistoryError: an operation is no transaction of reads and writes.
        """
        sessions, told = to_sessions(operations, "PolySI's text")
        lines, transaction, failed = list[str](), 0, 0
        for number, session in enumerate(sessions):
            for one in session:
                failed += not one.committed
                if not one.committed:
                    continue
                transaction += 1
                lines += (f"{f}({key},{value or 0},{number},{transaction})\n" for f, key, value in one.steps)
                if len(lines) >= _PIECE:
                    out.write("".join(lines).encode())
                    lines.clear()
        out.write("".join(lines).encode())
        return (*told, f"{failed} transactions that failed are left out") if failed else told


FORMAT = PolySI()
