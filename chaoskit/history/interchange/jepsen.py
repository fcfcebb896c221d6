"""Jepsen's histories: EDN, one map per event, one after the other or all in one vector or list.

Source: Jepsen's documentation of histories (`jepsen.history`) and what its printers make. Maps that look like others of
the same file go through one regular expression (`jepsen_shapes`), everything else through the whole reader of EDN;
both give the same, and what neither understands is an error.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

import numpy as np

from chaoskit.errors import HistoryError
from chaoskit.history.interchange.edn import NOTHING, Incomplete, Reader, Unreadable, skipped, written
from chaoskit.history.interchange.jepsen_columns import Columns
from chaoskit.history.interchange.jepsen_shapes import Shapes
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
from chaoskit.history.operations import NEVER, Mark, Operations
from chaoskit.history.values import Keyword

__all__ = ["FORMAT", "Jepsen"]

_PIECE = 1 << 22
_LONGEST = LONGEST
_LINES = 10_000  # written at once
_KINDS = {0: "invoke", int(Outcome.OK): "ok", int(Outcome.FAIL): "fail", int(Outcome.INFO): "info"}
_BRACKETS = {b"[": b"]", b"(": b")"}
_MAP = re.compile(rb"(?:#[A-Za-z][\w./-]*\s*)?\{\s*:(?!\s)")


class Jepsen:
    """The format of Jepsen, Knossos and Elle; see docs/histories.md."""

    name = "jepsen"
    extension = ".edn"
    cannot_carry = (
        "sessions that span several processes",
        "keys beside values: they become `[key value]`, which looks like any vector",
        "numbers of operations: events are numbered from 0",
        "what a write was answered: a completion repeats what was asked, or shows the answer",
        "times before 0: all are counted from the first",
        "that nothing is known of the order between sessions",
    )

    def matches(self, head: bytes, name: str) -> bool:
        """Whether the first thing is a map with a keyword as its key, alone or in a vector or list."""
        return begins_with_map(head)

    def read(self, stream: BinaryIO, source: str) -> Operations:
        """The history in a stream of EDN.

        Raises:
            HistoryError: no EDN, a map that is no event, or events that no clients could have produced.
        """
        return _Reading(stream, source).operations()

    def read_folder(self, folder: Path, source: str) -> Operations | None:
        """The history of a Jepsen test (`history.edn`)."""
        path = folder / "history.edn"
        if not path.is_file():
            return None
        with open(path, "rb") as stream:
            return self.read(stream, str(path))

    def write(self, operations: Operations, out: BinaryIO) -> tuple[str, ...]:
        """One map per line: type, f, value, process, time, index, and node and final? where there are any."""
        return _write(operations, out)


FORMAT = Jepsen()


def begins_with_map(head: bytes) -> bool:
    """Whether EDN begins with a map whose first key is a keyword, alone or as the first in a vector or list."""
    reader = Reader()
    at = skipped(head, 0)
    for opening in (b"[", b"("):
        if head[at : at + 1] == opening:
            at = skipped(head, at + 1)
            if head[at : at + 1] == _BRACKETS[opening]:  # a history without events is one, too
                return True
            break
    if head and at == len(head):  # nothing but comments
        return True
    try:
        form, _ = reader.read(head, at, final=False)
    except (Incomplete, Unreadable):  # more than 64 KiB, or broken; but its beginning says what is meant
        return _MAP.match(head, at) is not None
    return hasattr(form, "keys") and isinstance(next(iter(form), None), Keyword)


class _Reading:
    """One stream on its way into columns, piece by piece."""

    def __init__(self, stream: BinaryIO, source: str) -> None:
        self._stream, self._source = stream, source
        self._columns = Columns(source)
        self._shapes = Shapes(self._columns)
        self._reader = Reader(records=True)
        self._line = 1  # of the piece's beginning
        self._around: bytes | None = None  # bracket that closes the history; b"" = there is none; None = not known yet
        self._closed = 0  # line in which it did

    def operations(self) -> Operations:
        text, final = b"", False
        while not final:
            # What is left over is the beginning of a form: the longer it is, the more is read before it is tried again.
            more = self._stream.read(max(_PIECE, len(text)))
            final = not more
            text = text + more if self._around is not None else (text + more).removeprefix(b"\xef\xbb\xbf")
            taken = self._take(text, final)
            self._columns.flush(text, self._line)
            self._line += text.count(b"\n", 0, taken)
            text = text[taken:]
            if len(text) > _LONGEST:
                raise HistoryError(self._source, self._line, f"an event of more than {_LONGEST >> 20} MB")
        if self._around and not self._closed:
            raise HistoryError(self._source, self._line, f"the history ends without its {self._around.decode()}")
        return self._columns.operations()

    def _take(self, text: bytes, final: bool) -> int:
        """Take all forms of a piece that are whole; where they end."""
        at = 0
        while True:
            start, at = at, skipped(text, at)
            if at == len(text):
                # A comment may go on in the next piece, and would be taken for data there.
                return at if final else max(text.rfind(b"\n", start) + 1, start)
            if self._around is None:
                self._around = _BRACKETS.get(text[at : at + 1], b"")
                at += len(self._around)
                continue
            if self._closed:
                raise self._wrong(text, at, f"the history was closed in line {self._closed}, and yet goes on")
            taken = self._shapes.take(text, at)
            if taken > at:
                at = taken
                continue
            try:
                event, end = self._reader.read(text, at, final=final)
                if event is not NOTHING:
                    self._columns.record(event, at)
            except Incomplete:
                return at
            except Unreadable as error:
                raise self._wrong(text, error.at, error.what) from None
            if event is NOTHING:
                at = end
                if text[at : at + 1]:
                    if text[at : at + 1] != self._around:
                        raise self._wrong(text, at, f"{text[at : at + 1].decode()} closes nothing")
                    self._closed = self._lines(text, at)
                    at += 1
                continue
            self._shapes.learn(event, text, at, end)
            at = end

    def _lines(self, text: bytes, at: int) -> int:
        return self._line + text.count(b"\n", 0, at)

    def _wrong(self, text: bytes, at: int, what: str) -> HistoryError:
        return HistoryError(
            self._source,
            self._lines(text, at),
            what,
            hint="expected EDN, one map with :type, :process and :f per event",
        )


def _write(operations: Operations, out: BinaryIO) -> tuple[str, ...]:
    keyed = operations.key != NONE
    process, renamed = single_threaded(operations)
    position, returns = in_order(operations)
    texts = Texts(operations.values, written)
    answered = completed_value(operations)
    names = [_name(name) for name in operations.functions]
    nodes = [f", :node {written(name)}" for name in operations.nodes] + [""]  # the last one is that of NONE
    times = Times(operations)
    time = np.where(returns, times.ended[position], times.began[position])
    kind = np.where(returns, operations.outcome[position], np.uint8(0))
    value = np.where(returns & (kind == Outcome.OK), answered[position], operations.value[position])
    columns = zip(
        kind.tolist(),
        operations.f[position].tolist(),
        operations.key[position].tolist(),
        value.tolist(),
        process[position].tolist(),
        time.tolist(),
        operations.node[position].tolist(),
        operations.final[position].tolist(),
        strict=True,
    )
    marks = sorted(times.marks, key=lambda mark: mark.rank)[::-1]
    # An outcome that nobody knows has no rank, and nothing is placed by it.
    ranks = np.where(returns, operations.completed[position], operations.invoked[position])
    ranks = np.where(ranks == NEVER, NONE, ranks).tolist()
    index, lines = 0, []
    numbers = np.empty(len(operations), dtype=np.int64)
    for row, (event, f, key, value_id, client, at_ns, node, final) in enumerate(columns):
        while marks and marks[-1].rank <= ranks[row]:
            lines.append(_mark(marks.pop(), index))
            index += 1
        text = texts[value_id]
        if key != NONE:
            text = f"[{texts[key]} {text}]"
        if not event:
            numbers[position[row]] = index
        lines.append(
            f"{{:type :{_KINDS[event]}, :f {names[f]}, :value {text}, :process {client}, :time {at_ns}, "
            f":index {index}{nodes[node]}{', :final? true' if final else ''}}}\n"
        )
        index += 1
        if len(lines) >= _LINES:
            out.write("".join(lines).encode())
            lines.clear()
    lines += [_mark(mark, index + later) for later, mark in enumerate(reversed(marks))]
    out.write("".join(lines).encode())
    return tuple(
        sentence
        for lost, sentence in (
            (keyed.any(), f"{int(keyed.sum())} operations have keys, written as [key value]: read them with --keyed"),
            (
                renamed,
                f"{renamed} operations have another process: theirs did two things at once, or went on after "
                "an outcome that nobody knows",
            ),
            ((numbers != operations.index).any(), "operations are numbered by their place in the file"),
            ((operations.session != operations.process).any(), "sessions are left out"),
            *times.told(),
            *untold_order(operations),
        )
        if lost
    )


def _name(name: str) -> str:
    return written(Keyword(name))


def _mark(mark: Mark, index: int) -> str:
    name, _, rest = mark.label.partition(" ")
    value = written(rest) if rest else "nil"
    return (
        f"{{:type :info, :f {_name(name)}, :value {value}, :process :nemesis, :time {mark.time_ns}, :index {index}}}\n"
    )
