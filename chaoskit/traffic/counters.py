"""What a worker tells while it runs, and what it is told: one small file that engine and worker both map.

The engine writes the control words, the worker publishes counts and histograms every 100 ms under load (10 ms
otherwise); no operation ever travels.

Why a reader never sees half an update: all words are aligned 64-bit integers, stored by one instruction each, so a
control word is never torn. A publication is larger, so there are two banks of it: the worker fills the one that is not
current and then, with one word, makes it current. It comes back to a bank with its next but one publication; a reader
copies the current bank and checks that its publication number did not change meanwhile. A worker that is killed in the
middle leaves the current bank whole (a plain sequence lock would stay "being written" for ever).
"""

from __future__ import annotations

import json
import mmap
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chaoskit.errors import StoreError
from chaoskit.traffic.histogram import CELLS
from chaoskit.traffic.snapshot import COUNTS, Control, Snapshot, State

__all__ = ["Control", "Counters"]

_MAGIC = 0x4348414F534B4954  # "CHAOSKIT"
_LAYOUT = 1
_NAMES_BYTES = 8192  # JSON list of the class names
_TEXT_BYTES = 8192  # why it failed

# Header words, before names, text and banks.
_MAGIC_AT, _LAYOUT_AT, _CLASSES_AT, _START_AT, _CONTROL_AT, _CURRENT_AT, _TEXT_AT = range(7)
_HEADER_WORDS = 16

# Words of a bank before those of the classes (`COUNTS`, then the histogram); the order is the layout.
_ONCE = ("publication", "heartbeat_ns", "state", "lag_ns", "workload_errors", "final_total", "final_done")
_PER_CLASS = len(COUNTS)


class Counters:
    """The mapped file. The engine makes it (`create`) and reads; the worker opens it (`open`) and publishes."""

    def __init__(self, path: Path, classes: tuple[str, ...], mapping: mmap.mmap) -> None:
        self.path = path
        self.classes = classes
        self._map = mapping
        self._words = np.frombuffer(mapping, "<i8")
        self._banks = [
            self._words[start : start + _bank_words(len(classes))]
            for start in (_banks_at(), _banks_at() + _bank_words(len(classes)))
        ]

    @classmethod
    def create(cls, path: Path, classes: Sequence[str]) -> Counters:
        """Make the file, all zero: state STARTING, told to RUN, no start instant.

        Raises:
            StoreError: disk full, no permission, or names that do not fit.
        """
        names = json.dumps(list(classes)).encode()
        if len(names) >= _NAMES_BYTES:
            raise StoreError(f"the names of {len(classes)} operation classes do not fit into the counters")
        size = 8 * (_banks_at() + 2 * _bank_words(len(classes)))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            try:
                os.posix_fallocate(fd, 0, size)  # a full disk shows now, not as SIGBUS later
                mapping = mmap.mmap(fd, size)
            finally:
                os.close(fd)
        except OSError as error:
            raise StoreError(f"cannot make the counters {path}: {error.strerror or error}") from error
        start = 8 * _HEADER_WORDS
        mapping[start : start + len(names)] = names
        made = cls(path, tuple(classes), mapping)
        made._words[_LAYOUT_AT] = _LAYOUT
        made._words[_CLASSES_AT] = len(classes)
        made._words[_MAGIC_AT] = _MAGIC  # last: whoever sees it sees all the rest
        return made

    @classmethod
    def open(cls, path: Path) -> Counters:
        """Map a file that `create` made.

        Raises:
            StoreError: missing, no permission, or not such a file.
        """
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                mapping = mmap.mmap(fd, 0)
            finally:
                os.close(fd)
            head = np.frombuffer(mapping, "<i8", _HEADER_WORDS)
            if head[_MAGIC_AT] != _MAGIC or head[_LAYOUT_AT] != _LAYOUT:
                raise ValueError("made by another version")
            raw = mapping[8 * _HEADER_WORDS : 8 * _HEADER_WORDS + _NAMES_BYTES].rstrip(b"\0")
            classes = tuple(json.loads(raw))
            if len(mapping) != 8 * (_banks_at() + 2 * _bank_words(len(classes))):
                raise ValueError("cut short")
        except (OSError, ValueError) as error:
            raise StoreError(f"{path} is no counters file: {error}") from error
        return cls(path, classes, mapping)

    # What the engine says.
    def start_at(self, start_ns: int) -> None:
        """Let the warm-up begin at this monotonic instant; t=0 is `warm_up` later."""
        self._words[_START_AT] = start_ns

    def tell(self, control: Control) -> None:
        """Tell the worker what to do."""
        self._words[_CONTROL_AT] = control

    def read(self) -> Snapshot:
        """The latest publication. Costs some tens of µs; never waits."""
        bank = None
        for _ in range(10):
            source = self._banks[int(self._words[_CURRENT_AT])]
            number = int(source[0])
            bank = source.copy()
            if int(source[0]) == number:
                break
        assert bank is not None
        once = dict(zip(_ONCE, bank.tolist(), strict=False))
        count = len(self.classes)
        split = len(_ONCE) + count * _PER_CLASS
        return Snapshot(
            at_ns=once["heartbeat_ns"],
            state=State(once["state"]),
            classes=self.classes,
            counts=bank[len(_ONCE) : split].reshape(count, _PER_CLASS),
            cells=bank[split:].reshape(count, CELLS),
            lag_ns=once["lag_ns"],
            workload_errors=once["workload_errors"],
            final_total=once["final_total"],
            final_done=once["final_done"],
            failure=self._failure(),
        )

    def _failure(self) -> str:
        length = int(self._words[_TEXT_AT])
        start = 8 * _HEADER_WORDS + _NAMES_BYTES
        return bytes(self._map[start : start + length]).decode("utf-8", "replace")

    # What the worker does.
    @property
    def start_ns(self) -> int:
        """The start instant, 0 while the engine has not decided."""
        return int(self._words[_START_AT])

    @property
    def control(self) -> Control:
        """What the engine wants now."""
        return Control(int(self._words[_CONTROL_AT]))

    def fail(self, text: str) -> None:
        """Put the first failure on record; later ones are not kept, the first one is the cause. Cut to 8 KiB."""
        if self._words[_TEXT_AT]:
            return
        raw = text.encode("utf-8", "replace")
        if len(raw) > _TEXT_BYTES:
            raw = "…\n".encode() + raw[-_TEXT_BYTES + 4 :]  # a traceback says what happened in its last lines
        start = 8 * _HEADER_WORDS + _NAMES_BYTES
        self._map[start : start + len(raw)] = raw
        self._words[_TEXT_AT] = len(raw)

    def publish(
        self,
        state: State,
        counts: NDArray[np.int64],
        cells: NDArray[np.int64],
        *,
        lag_ns: int = 0,
        workload_errors: int = 0,
        final_total: int = 0,
        final_done: int = 0,
    ) -> None:
        """Publish counts (classes x counts, in the order of `Snapshot.count`) and histogram cells (classes x CELLS)."""
        other = 1 - int(self._words[_CURRENT_AT])
        bank, number = self._banks[other], int(self._banks[1 - other][0]) + 1
        split = len(_ONCE) + counts.size
        bank[0] = -number  # whoever copies this bank now will see that it changed
        bank[1 : len(_ONCE)] = (time.monotonic_ns(), state, lag_ns, workload_errors, final_total, final_done)
        bank[len(_ONCE) : split] = counts.ravel()
        bank[split:] = cells.ravel()
        bank[0] = number
        self._words[_CURRENT_AT] = other

    def close(self) -> None:
        """Unmap. The file stays."""
        self._banks.clear()
        self._words = np.empty(0, "<i8")
        self._map.close()


def _banks_at() -> int:
    return _HEADER_WORDS + (_NAMES_BYTES + _TEXT_BYTES) // 8


def _bank_words(classes: int) -> int:
    return len(_ONCE) + classes * (_PER_CLASS + CELLS)
