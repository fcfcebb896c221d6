"""The spool: where rows live while a worker runs, so that a kill -9 loses nothing that was measured.

Three files a worker, all below one folder:
  w0.json    names and clock anchor, small, replaced as a whole when a name is added
  w0.rows    fixed-width rows (`operation.ROW`), memory-mapped; slot i is row i
  w0.values  texts: length (u32), CRC-32 (u32) of the text, text in UTF-8; a text's id is its rank in the file

A store into a shared mapping is in the page cache the moment it is made: it outlives the process (not the machine). The
order of the stores is what a reader relies on: a text before the row that names it, a row's last byte (`state`) last.
Blocks are allocated before they are mapped: a full disk is an OSError here, never a SIGBUS in the middle of a store.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import struct
import time
from binascii import crc32
from collections.abc import Sequence
from pathlib import Path

from chaoskit.errors import StoreError
from chaoskit.files import SCHEMA_VERSION
from chaoskit.history.operation import NONE, ROW

__all__ = ["MAX_FUNCTIONS", "MAX_TEXT", "VALUE_HEADER", "VALUE_SEED", "SpoolWriter", "columns"]

MAX_TEXT = 64 * 1024  # bytes; a longer text is kept as its beginning and its SHA-256: equality can still be decided
MAX_FUNCTIONS = 256  # names of `f`; more means that somebody puts data into the name
VALUE_HEADER = struct.Struct("<II")
VALUE_SEED = 0xC4A05  # with the length it starts the checksum: zeros are no record, and a wrong length does not pass
_HEADER_SIZE = VALUE_HEADER.size
_CACHE = 1 << 16  # texts remembered so that a repeated one is stored once
_CACHED_TEXT = 1024  # characters; longer ones are not remembered: the cache must not eat the memory
_ROWS_STEP = 1 << 15  # rows by which the file grows beyond what was expected
_VALUES_STEP = 1 << 21  # bytes

_FULL = struct.Struct("<qhhiihhhhqqqqqqqqiihhhBBBB")
_TAIL = struct.Struct("<qqqqqqqqiihhhBBBB")  # from `key` to the end: what closing a row may change
_ROW_SIZE = ROW.itemsize
_TAIL_AT = ROW.fields["key"][1] if ROW.fields is not None else 0
if _FULL.size != _ROW_SIZE or _TAIL_AT + _TAIL.size != _ROW_SIZE:  # the row format and the packers must move together
    raise AssertionError("ROW and its packers disagree")


def columns() -> list[list[str]]:
    """Names and types of the row format as written to `w0.json`: a reader refuses rows of another shape."""
    return [[str(name), str(ROW[name].str)] for name in ROW.names or ()]


class _Grown:
    """A file whose blocks are allocated ahead and which is mapped as a whole; `used` bytes of it hold data."""

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.used = 0
        self.size = 0
        self._fd = -1
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            self._allocate(size)
            self.map = mmap.mmap(self._fd, size)
        except OSError as error:
            if self._fd >= 0:
                os.close(self._fd)
            raise _store_error(path, error) from error

    def _allocate(self, size: int) -> None:
        os.posix_fallocate(self._fd, self.size, size - self.size)
        self.size = size

    def grow(self, size: int) -> None:
        """Make the file at least `size` bytes. Raises StoreError when the disk is full; nothing is lost then."""
        try:
            self._allocate(size)
            self.map.resize(size)
        except OSError as error:
            raise _store_error(self.path, error) from error

    def close(self) -> None:
        if self._fd < 0:
            return
        self.map.close()
        try:
            os.ftruncate(self._fd, self.used)
        except OSError:  # a reader knows unused slots by their zeros
            pass
        os.close(self._fd)
        self._fd = -1


class SpoolWriter:
    """Writes one worker's rows. Not for threads: one event loop owns it.

    Args:
        folder: made when missing; files of an earlier writer of the same number are refused.
        worker: number of the worker, 0..32767.
        nodes, classes: tables that the columns `source`, `node` and `cls` index.
        rows: how many rows are expected; space for them is allocated now, not in the middle of the load.
        clock_domain: rows of one domain share one monotonic clock.

    Raises:
        StoreError: the disk is full, no permission, or the files exist.
    """

    def __init__(
        self,
        folder: Path,
        worker: int,
        *,
        nodes: Sequence[str],
        classes: Sequence[str],
        rows: int = 0,
        clock_domain: int = 0,
    ) -> None:
        self.worker = worker
        self.clock_domain = clock_domain
        self._head = {
            "schema_version": SCHEMA_VERSION,
            "worker": worker,
            "pid": os.getpid(),
            "clock": {"domain": clock_domain, "monotonic_ns": time.monotonic_ns(), "wall_ns": time.time_ns()},
            "columns": columns(),
            "nodes": list(nodes),
            "classes": list(classes),
        }
        self._functions: dict[str, int] = {}
        self._origin_ns: int | None = None
        self._names = folder / f"w{worker}.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _store_error(folder, error) from error
        if self._names.exists():
            raise StoreError(f"{self._names} exists: another worker {worker} writes here", hint="use a fresh folder")
        self._write_names()
        self._rows = _Grown(folder / f"w{worker}.rows", max(rows, _ROWS_STEP) * _ROW_SIZE)
        try:
            self._values = _Grown(folder / f"w{worker}.values", _VALUES_STEP)
        except StoreError:
            self._rows.close()
            raise
        self.failed: StoreError | None = None  # the disk was full: nothing is written any more
        self._ids: dict[str, int] = {}
        self._next_id = 0
        self.count = 0  # rows written: the next row's index

    def _write_names(self) -> None:
        """Replace `w0.json`: a reader sees the old or the new one, never half of it."""
        temporary = self._names.with_suffix(".json.new")
        head = {**self._head, "functions": list(self._functions), "origin_ns": self._origin_ns}
        try:
            with open(temporary, "w") as file:
                file.write(json.dumps(head) + "\n")
            os.replace(temporary, self._names)
        except OSError as error:
            raise _store_error(self._names, error) from error

    def set_origin(self, origin_ns: int) -> None:
        """Put the cell's t=0 on record (monotonic ns), once it is known.

        Raises:
            StoreError: the disk is full.
        """
        self._origin_ns = origin_ns
        self._write_names()

    def function(self, name: str) -> int:
        """Index of the name of a model function (`f`); a new one is on record when this returns.

        Raises:
            ValueError: too many different names. StoreError: the disk is full.
        """
        found = self._functions.get(name)
        if found is None:
            if len(self._functions) >= MAX_FUNCTIONS:
                raise ValueError(f"more than {MAX_FUNCTIONS} different names of f; put data into key or value instead")
            found = self._functions[name] = len(self._functions)
            try:
                self._write_names()
            except StoreError as error:
                self.failed = error
                raise
        return found

    def intern(self, text: str) -> int:
        """Id of a text; a new one is on record when this returns.

        Raises:
            StoreError: the disk is full.
        """
        found = self._ids.get(text)
        if found is not None:
            return found
        # A lone surrogate (JSON can carry one) has no UTF-8: it is written as its escape.
        raw = text.encode("utf-8", "backslashreplace")
        if len(raw) > MAX_TEXT:
            digest = hashlib.sha256(raw).hexdigest()
            raw = raw[:200].decode("utf-8", "ignore").encode() + f"… ({len(raw)} bytes, sha256 {digest})".encode()
        length = len(raw)
        values = self._values
        at = values.used
        end = at + _HEADER_SIZE + length
        if end > values.size:
            self._grow(values, values.size + _VALUES_STEP)
        values.map[at:end] = VALUE_HEADER.pack(length, crc32(raw, length ^ VALUE_SEED)) + raw
        values.used = end
        found = self._next_id
        self._next_id = found + 1
        if len(text) <= _CACHED_TEXT:
            if len(self._ids) >= _CACHE:
                self._ids.clear()  # texts seen again are stored again; readers give equal texts one id
            self._ids[text] = found
        return found

    def open(
        self,
        *,
        process: int,
        source: int,
        node: int,
        cls: int,
        f: int,
        key: int,
        value_id: int,
        t_due: int,
        t_sent: int,
        phase: int,
        bytes_out: int = 0,
        attempt: int = 0,
        parent: int = NONE,
        session: int = NONE,
    ) -> int:
        """Write a row as opened (outcome OPEN), just before the request leaves; its index.

        Raises:
            StoreError: the disk is full; the row is not written and nothing may be sent.
        """
        index = self.count
        at = index * _ROW_SIZE
        rows = self._rows
        if self.failed is not None:
            raise self.failed
        if at + _ROW_SIZE > rows.size:
            self._grow(rows, rows.size + _ROWS_STEP * _ROW_SIZE)
        # fmt: off
        _FULL.pack_into(
            rows.map, at, index, self.worker, self.clock_domain, process, session, source, node, cls, f,
            key, value_id, NONE, t_due, t_sent, NONE, NONE, parent, bytes_out, 0, NONE, 0, attempt, 0, 0, phase, 1,
        )
        # fmt: on
        self.count = index + 1
        rows.used = at + _ROW_SIZE
        return index

    def close_row(
        self,
        index: int,
        *,
        key: int,
        value_id: int,
        result_id: int,
        t_due: int,
        t_sent: int,
        t_first: int,
        t_end: int,
        bytes_out: int,
        bytes_in: int,
        status: int,
        error: int,
        outcome: int,
        answer: int,
        phase: int,
        attempt: int = 0,
        parent: int = NONE,
    ) -> None:
        """Complete an opened row in place; `state` becomes 2 with the last byte. Needs no space, so it cannot fail."""
        # fmt: off
        _TAIL.pack_into(
            self._rows.map, index * _ROW_SIZE + _TAIL_AT, key, value_id, result_id, t_due, t_sent, t_first, t_end,
            parent, bytes_out, bytes_in, status, error, attempt, outcome, answer, phase, 2,
        )
        # fmt: on

    def _grow(self, file: _Grown, size: int) -> None:
        try:
            file.grow(size)
        except StoreError as error:
            self.failed = error
            raise

    def close(self) -> None:
        """Give unused space back; idempotent. Rows still open stay OPEN."""
        self._rows.close()
        self._values.close()


def _store_error(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"cannot write {path}: {error.strerror or error}; nothing more is sent, what was measured is kept",
        hint="free space, or choose another place with --runs DIR",
    )
