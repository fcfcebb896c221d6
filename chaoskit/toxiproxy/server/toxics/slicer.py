"""slicer: reads are cut into pieces of about `average_size` bytes, with `delay` microseconds after each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from chaoskit.toxiproxy.server.line import Line
from chaoskit.toxiproxy.server.stage import Toxic

if TYPE_CHECKING:
    from chaoskit.toxiproxy.server.pipe import Pipe

__all__ = ["Slicer"]

_US = 1000  # nanoseconds


class Slicer(Line):
    """Cuts by halves, off the middle by up to `size_variation`, until a piece is at most `average_size +
    size_variation` long. Each piece is a write of its own, also without a delay: it leaves in a later turn of the loop.

    Where both are 0 (or less) there is no size to cut to, and reads pass whole; a variation that would move a cut out
    of its piece moves it to the piece's edge. The original ends on either.

    Hits are reads that were cut.
    """

    type = "slicer"
    attributes = ("average_size", "size_variation", "delay")

    def __init__(self, toxic: Toxic, pipe: Pipe) -> None:
        super().__init__(toxic, pipe)
        self._free = 0  # no piece leaves before this instant
        self._ends: Iterator[int] | None = None  # where the pieces of the head end

    def plan(self, *, idle: bool) -> None:
        """The next piece, as soon as the pause after the last one is over."""
        if self._ends is None:
            self._ends = self._cuts(self.gone, len(self.line[0][0]))
        self.piece = next(self._ends) - self.gone
        self.due = self._free

    def went(self, *, first: bool, last: bool, now: int) -> None:
        """Count what was cut; pause."""
        if first and not last:
            self.toxic.hits += 1
        pause = self.value("delay") * _US
        if last:
            self._ends = None
            self._free = now + pause
        else:
            self._free = now + max(pause, 1)

    def changed(self) -> None:
        """What is left of the head is cut anew, and the pause is over."""
        if self.line:
            self._ends = None
            self._free = self.timers.now()
            self.plan(idle=False)
            self.leave()

    def discard(self) -> None:
        """Drop the queue, and the cuts with it."""
        super().discard()
        self._ends = None

    def _cuts(self, start: int, end: int) -> Iterator[int]:
        """Ends of the pieces from `start` to `end`, in order."""
        variation = self.value("size_variation")
        most = self.value("average_size") + variation
        ends = [end]
        while ends:
            size = ends[-1] - start
            if most and size > most:
                middle = start + size // 2
                if variation:
                    middle += self.random.randrange(-variation, variation)
                ends.append(min(max(middle, start + 1), ends[-1] - 1))
            else:
                start = ends.pop()
                yield start
