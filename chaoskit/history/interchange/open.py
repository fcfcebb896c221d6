"""Opens a history, whatever it is: file, folder or standard input, packed or not, in a format told or found out.

Formats are objects registered under the kind `format` (`chaoskit.registry`; others' under the entry point group
`chaoskit.format`). They read a stream of bytes and know nothing of files, gzip or progress.
"""

from __future__ import annotations

import codecs
import errno
import gc
import gzip
import io
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, Protocol, cast, runtime_checkable

from chaoskit.errors import HistoryError
from chaoskit.history.operations import Operations
from chaoskit.registry import load, names

__all__ = ["HEAD", "LONGEST", "FolderFormat", "Format", "Progress", "detect", "open_history"]

HEAD = 1 << 16  # bytes that formats are shown to find out whether a file is theirs
LONGEST = 1 << 28  # bytes of one event or line: what is longer is no history, and would fill the memory
Progress = Callable[[int, int], None]  # bytes read so far, of all; 0 of all = nobody knows

_GZIP = b"\x1f\x8b"
_BUFFER = 1 << 20
_EACH = 1 << 22  # bytes between two reports of progress


@runtime_checkable
class Format(Protocol):
    """How a history is written down.

    Attributes:
        name: what `--format` calls it. extension: of files that are written, with its dot.
        cannot_carry: what is lost whatever the history holds, each as a noun phrase ("times", "sets").
    """

    name: str
    extension: str
    cannot_carry: tuple[str, ...]

    def matches(self, head: bytes, name: str) -> bool:
        """Whether a file that begins so is of this format.

        Args:
            head: its first 64 KiB, unpacked, or all of it. name: what the file is called, for what its bytes leave
                open; without directories and `.gz`, empty for standard input.
        """
        ...

    def read(self, stream: BinaryIO, source: str) -> Operations:
        """The history in a stream, which cannot seek. It is read in pieces.

        Args:
            source: the file, as it is told to people.

        Raises:
            HistoryError: what is there is not understood, or no clients could have produced it; with the line.
        """
        ...

    def write(self, operations: Operations, out: BinaryIO) -> tuple[str, ...]:
        """Write a history; what of this one could not be carried comes back, as sentences with counts.

        Raises:
            HistoryError: it holds something without which this format would tell another story.
        """
        ...


@runtime_checkable
class FolderFormat(Format, Protocol):
    """A format that also knows folders (a run directory)."""

    def read_folder(self, folder: Path, source: str) -> Operations | None:
        """The history in a folder; None where the folder is none of this format's.

        Raises:
            HistoryError: it is one, and cannot be read.
        """
        ...


def open_history(path: str | Path, format: str = "auto", progress: Progress | None = None) -> tuple[Operations, str]:
    """Read a history.

    Args:
        path: file, folder, or "-" for standard input. Gzip is known by its first bytes.
        format: a name of a format, or "auto": the first, in the order of the registry, that says the file is its own.
        progress: told how far it is now and then, in bytes of the file as it lies there.

    Returns:
        the operations and the name of the format they were in.

    Raises:
        HistoryError: cannot be opened or read, is in no known format, or is malformed. The file's fault.
        UsageError: no format has that name.
    """
    if not str(path):
        raise HistoryError(
            "HISTORY", 0, "is an empty name: there is no such file", hint="name a file, or - for standard input"
        )
    source = "standard input" if str(path) == "-" else str(path)
    wanted: Format | None = None if format == "auto" else load("format", format)
    try:
        if str(path) != "-" and Path(path).is_dir():
            return _from_folder(Path(path), source, wanted)
        with _opened(path, progress) as stream:
            head = stream.beginning(HEAD).removeprefix(codecs.BOM_UTF8)
            found = wanted or detect(head, "" if str(path) == "-" else Path(path).name, source)
            with _no_collections():
                return found.read(io.BufferedReader(stream, _BUFFER), source), found.name
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise HistoryError(
            source, 0, f"is packed with gzip, and broken: {error}", hint="copy it again; it may have been cut short"
        ) from error
    except OSError as error:
        raise HistoryError(source, 0, f"cannot be read: {error.strerror or error}") from error
    except MemoryError as error:
        hint = "check a part of it, or take a machine with more"
        raise HistoryError(source, 0, "holds more than fits into the memory of this machine", hint=hint) from error


def detect(head: bytes, name: str, source: str) -> Format:
    """The format of a file that begins with `head`; `name` is what it is called, `source` what it is told as.

    Raises:
        HistoryError: none says it is its own; with what the file begins with, and what there is.
    """
    known = names("format")
    if not head.strip():
        raise HistoryError(source, 0, "is empty: there is no history in it")
    for one in known:
        format: Format = load("format", one)
        if format.matches(head, name.removesuffix(".gz")):
            return format
    line, text = next((at, text) for at, text in enumerate(head.split(b"\n"), 1) if text.strip())
    shown = text.strip()[:60].decode(errors="backslashreplace")
    raise HistoryError(
        source,
        line,
        f"begins with {shown!r}, which is the beginning of no known format",
        hint=f"name the format with --format: {', '.join(known)}",
    )


def _from_folder(folder: Path, source: str, wanted: Format | None) -> tuple[Operations, str]:
    for format in [wanted] if wanted else [cast("Format", load("format", name)) for name in names("format")]:
        if isinstance(format, FolderFormat):
            with _no_collections():
                operations = format.read_folder(folder, source)
            if operations is not None:
                return operations, format.name
    what = f"holds no {wanted.name} history" if wanted else "is a folder that holds no history"
    raise HistoryError(
        source, 0, what, hint="name the file, or the folder of a cell (cells/<variant>/<trial>) or of a Jepsen test"
    )


class _Source(io.RawIOBase):
    """A stream whose beginning can be looked at before it is read; tells how much of it was."""

    def __init__(self, inner: BinaryIO, told: Callable[[int], None] | None = None) -> None:
        self._inner, self._told = inner, told
        self._seen = b""
        self._passed = self._last = 0

    def beginning(self, size: int) -> bytes:
        """Up to `size` bytes, fewer only where there are no more; a pipe gives them in pieces."""
        while len(self._seen) < size and (piece := self._inner.read(size - len(self._seen))):
            self._seen += piece
        return self._seen[:size]

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed wants every buffer there is
        """Fill a buffer: first with what was looked at."""
        piece, self._seen = self._seen[: len(buffer)], self._seen[len(buffer) :]
        piece = piece or self._inner.read(len(buffer))
        buffer[: len(piece)] = piece
        self._passed += len(piece)
        if self._told is not None and (self._passed - self._last >= _EACH or not piece):
            self._last = self._passed
            self._told(self._passed)
        return len(piece)


@contextmanager
def _opened(path: str | Path, progress: Progress | None) -> Iterator[_Source]:
    """The unpacked bytes of a file or of standard input."""
    if str(path) == "-" and sys.stdin is None:  # so Python tells of a descriptor that was closed before it began
        raise OSError(errno.EBADF, "it is closed")
    with nullcontext(sys.stdin.buffer) if str(path) == "-" else open(path, "rb", buffering=0) as file:
        size = 0 if str(path) == "-" else os.fstat(file.fileno()).st_size
        source = _Source(cast("BinaryIO", file), None if progress is None else lambda done: progress(done, size))
        if source.beginning(len(_GZIP)) == _GZIP:
            buffered = io.BufferedReader(source, _BUFFER)  # gzip asks for small pieces
            yield _Source(cast("BinaryIO", gzip.GzipFile(fileobj=buffered)))
        else:
            yield source


@contextmanager
def _no_collections() -> Iterator[None]:
    """Reading makes millions of objects and no cycles: looking for cycles among them would take a third of the time."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()
