"""What toxics that let bytes wait have in common: a bounded queue, left in order and piece by piece when it is due.

Such a toxic says when the head of the queue leaves, and how much of it; all else is here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, ClassVar

from chaoskit.toxiproxy.server.stage import Stage, Toxic
from chaoskit.toxiproxy.server.timers import Timer

if TYPE_CHECKING:
    from chaoskit.toxiproxy.server.pipe import Pipe

__all__ = ["NEVER", "Line"]

NEVER = 1 << 63  # nanoseconds; later than any instant
_EACH = 256  # bytes that keeping one read costs beside its own


class Line(Stage, ABC):
    """A queue of reads.

    Class attributes:
        limit: bytes held before the source is no longer read; it is read again at half of that, or when
            a single read is left.

    Attributes, set by `plan`:
        piece: how many bytes of the head leave next. due: when, in nanoseconds.

    The end of the source passes once the queue is empty.
    """

    limit: ClassVar[int] = 256 * 1024

    def __init__(self, toxic: Toxic, pipe: Pipe) -> None:
        super().__init__(toxic, pipe)
        self.line: deque[tuple[bytes, int]] = deque()  # reads, and the instants at which they came
        self.gone = 0  # bytes of the head that have left
        self.waiting = 0  # bytes in the queue
        self.piece = 0
        self.due = 0
        self._timer: Timer | None = None
        self._holding = False
        self._ended = False

    @abstractmethod
    def plan(self, *, idle: bool) -> None:
        """Set `piece` and `due` for the head. `idle`: it did not wait for another one before it."""

    def went(self, *, first: bool, last: bool, now: int) -> None:
        """A piece leaves: whether it is the first of its read, and the last. Called just before it does."""

    def stamp(self, came: int) -> int:
        """The instant that a piece carries on to the next toxic; `came` is when its read arrived."""
        return came

    def feed(self, data: bytes, stamp: int) -> None:
        """Join the queue."""
        self.line.append((data, stamp))
        self.waiting += len(data)
        if len(self.line) == 1:
            self.plan(idle=True)
            self.leave()
        if not self._holding and self._size > self.limit:
            self._holding = True
            self.pipe.hold()

    def end(self) -> None:
        """Follows the queue."""
        if not self._ended:
            self._ended = True
            if not self.line:
                self.out.end()

    def leave(self) -> None:
        """Let go what is due; ask to be called again for the next."""
        self._stop()
        now = self.timers.now()
        line = self.line
        while line:
            if self.due > now:
                if self.due < NEVER:
                    self._timer = self.timers.at(self.due, self.leave)
                return
            data, came = line[0]
            start, self.gone = self.gone, self.gone + self.piece
            whole = self.piece == len(data)
            last = self.gone == len(data)
            if last:
                line.popleft()
                self.gone = 0
            self.waiting -= self.piece
            self._relieve()
            if self.piece:
                self.went(first=start == 0, last=last, now=now)
                self.out.feed(data if whole else data[start : start + self.piece], self.stamp(came))
            if line:
                self.plan(idle=False)
        if self._ended:
            self.out.end()

    def left(self) -> None:
        """Everything at once, in order."""
        line, start = list(self.line), self.gone
        self.discard()
        for data, came in line:
            self.out.feed(data[start:], came)
            start = 0
        if self._ended and line:  # an end that found the queue empty has passed long ago
            self.out.end()

    def discard(self) -> None:
        """Drop the queue."""
        self._stop()
        self.line.clear()
        self.gone = self.waiting = 0
        self._relieve()

    @property
    def _size(self) -> int:
        return self.waiting + _EACH * len(self.line)

    def _relieve(self) -> None:
        # The last read calls for the next one, however long it is: an empty queue would cost throughput.
        if self._holding and (self._size <= self.limit // 2 or len(self.line) <= 1):
            self._holding = False
            self.pipe.release()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
