"""Objects that only grow, a list or a set, whose reads answer all of it: linearizable or not, exactly, in n log n.

Reads that fit put states into an order, from small to large: each is one *level* (its size). An element has the *stage*
of the smallest state that holds it, so a read holds an element if and only if stage <= level. Then the order of all
operations is known: an addition comes before the reads that hold it and after those that do not; an acknowledged one
that nobody saw comes last. The history is linearizable if and only if no operation that comes later in that order had
returned before one that comes earlier was invoked. Every pair of the rule is one kind of anomaly here:

    later \\ earlier       addition that was seen        read
    addition that was seen reordered                     stale-read, nil-after-ack
    read                   future-read                   new-old-inversion
    addition never seen    lost                          lost

An addition of unknown outcome counts from its invocation on if somebody saw it, and not at all if nobody did. Elements
that nobody added, or only additions that failed, refute by themselves (thin-air; aborted-read where the read began
before the failure was told, resurrection where it began after).

Source: the order of a list gives the order of its operations (Elle's recoverability, Kingsbury and Alvaro, VLDB 2020);
the rule for pairs is Wing and Gong's definition (1993) for a known order. Lengths alone, without stages, misjudge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.additions import Additions
from chaoskit.checks.elements import Indexes, Ranks, above_ranks, ahead_max, behind_min
from chaoskit.history.operation import NONE
from chaoskit.history.operations import NEVER, Operations

__all__ = ["Growth", "Shapes"]


@dataclass(frozen=True, eq=False)
class Shapes:
    """What reads answered, as flat segments: one per key for the states that fit together, one per other answer.

    Attributes:
        key: of each segment (dense number). fits: whether it is its key's order.
        start: where each segment begins in the flat columns; one entry more than there are segments.
        stage, value: of each element: size of the smallest state that holds it (1 in segments of one answer), and its
            value id; NONE for what nobody asked for.
        segment, level: of each read: where its answer is, and its size.
    """

    key: Indexes
    fits: NDArray[np.bool_]
    start: Indexes
    stage: Indexes
    value: Indexes
    segment: Indexes
    level: Indexes

    @classmethod
    def of(
        cls, marks: Sequence[Sequence[int]], stage: Indexes, value: Indexes, segment: Indexes, level: Indexes
    ) -> tuple[Shapes, NDArray[np.bool_], NDArray[np.bool_]]:
        """From segments, one after the other; also which of them show an element twice, and which stand apart.

        Args:
            marks: of each segment: key, whether it fits, shows an element twice, stands apart, and its elements.
        """
        key, fits, twice, apart, lengths = np.array(marks, dtype=np.int64).reshape(-1, 5).T
        start = np.append(0, np.cumsum(lengths))
        shapes = cls(key, fits.astype(np.bool_), start, stage, value, segment, level)
        return shapes, twice.astype(np.bool_), apart.astype(np.bool_)


@dataclass(frozen=True, eq=False)
class Growth:
    """A history of growing objects, decoded; every property is a mask over reads or additions, or what they rest on.

    Attributes:
        reads: positions of the answered reads; the masks over reads run along it. keys: dense keys of all operations.
    """

    operations: Operations
    keys: Indexes
    reads: Indexes
    additions: Additions
    shapes: Shapes
    group: Indexes = field(init=False)  # of each flat element
    flat_segment: Indexes = field(init=False)
    end: Indexes = field(init=False)  # of each read: one past the last flat element that it holds

    def __post_init__(self) -> None:
        shapes = self.shapes
        segment = np.repeat(np.arange(len(shapes.key)), np.diff(shapes.start))
        object.__setattr__(self, "flat_segment", segment)
        object.__setattr__(self, "group", self.additions.find(shapes.key[segment], shapes.value))
        wide = self._wide
        end = np.searchsorted(segment * wide + shapes.stage, shapes.segment * wide + shapes.level, side="right")
        object.__setattr__(self, "end", end.astype(np.int64))

    @cached_property
    def _wide(self) -> int:
        stages = (int(column.max()) for column in (self.shapes.stage, self.shapes.level) if len(column))
        return 2 + max(stages, default=0)

    @cached_property
    def _bound(self) -> int:
        """Above all ranks, and what NEVER is while extremes are taken."""
        return above_ranks(self.operations)

    def _ranks(self, of_groups: Ranks, missing: int) -> Ranks:
        """A column of additions for the flat elements: those without an addition, and NEVER, get a neutral rank."""
        if not len(of_groups):
            return np.full(len(self.group), missing, dtype=np.int64)
        values = np.where(self.group == NONE, NONE, of_groups[self.group])
        return np.where((values == NONE) | (values == NEVER), missing, values)

    def _last(self, ahead: Ranks, empty: int) -> Ranks:
        """Per read, a running extreme at its last element."""
        begin = self.shapes.start[self.shapes.segment]
        return np.where(self.end > begin, np.append(ahead, empty)[self.end - 1], empty)

    @cached_property
    def invoked(self) -> Ranks:
        """Ranks of the reads' invocations."""
        return self.operations.invoked[self.reads]

    @cached_property
    def completed(self) -> Ranks:
        """Ranks of the reads' completions."""
        return self.operations.completed[self.reads]

    @cached_property
    def fitting(self) -> NDArray[np.bool_]:
        """Reads whose answer is one of the states of their key's order."""
        return self.shapes.fits[self.shapes.segment]

    @cached_property
    def thin(self) -> NDArray[np.bool_]:
        """Reads that hold an element that nobody added."""
        counted = np.append(0, np.cumsum(self.group == NONE))
        marks: NDArray[np.bool_] = counted[self.end] > counted[self.shapes.start[self.shapes.segment]]
        return marks

    @cached_property
    def _any_failed(self) -> bool:
        return bool((self.additions.failed != NONE).any())

    @cached_property
    def resurrected(self) -> NDArray[np.bool_]:
        """Reads that hold an element of which they could have known, when they began, that adding it had failed."""
        if not self._any_failed:
            return np.zeros(len(self.reads), dtype=np.bool_)
        late = self._bound - self._ranks(self.additions.told, self._bound)
        return self._bound - self._last(ahead_max(late, self.flat_segment, self._bound + 1), 0) < self.invoked

    @cached_property
    def aborted(self) -> NDArray[np.bool_]:
        """Reads that hold an element whose addition failed, which was told only after they had begun."""
        if not self._any_failed:
            return np.zeros(len(self.reads), dtype=np.bool_)
        told = self._ranks(self.additions.told, 0)
        return self._last(ahead_max(told, self.flat_segment, self._bound), 0) > self.invoked

    @cached_property
    def future(self) -> NDArray[np.bool_]:
        """Reads that returned before the addition of an element that they hold was invoked."""
        began = self._ranks(self.additions.began, 0)
        return self._last(ahead_max(began, self.flat_segment, self._bound), 0) > self.completed

    @cached_property
    def after(self) -> Ranks:
        """Per flat element of an order, and one more: the earliest acknowledgement from there to the segment's end."""
        known = self._ranks(self.additions.known, self._bound - 1)
        return np.append(behind_min(known, self.flat_segment, self._bound), self._bound)

    @cached_property
    def first_known(self) -> Ranks:
        """Per key: the earliest acknowledgement of anything."""
        found = np.full(int(self.keys.max(initial=0)) + 1, NEVER, dtype=np.int64)
        np.minimum.at(found, self.additions.key, self.additions.known)
        return found

    @cached_property
    def empty_after(self) -> NDArray[np.bool_]:
        """Reads that answered nothing although something had been acknowledged before they began."""
        return self.fitting & np.equal(self.shapes.level, 0) & self.expectant

    @cached_property
    def stale(self) -> NDArray[np.bool_]:
        """Reads that miss an element that others saw and that had been acknowledged before they began."""
        inside = self.end < self.shapes.start[self.shapes.segment + 1]
        missed = np.where(inside, self.after[self.end], NEVER)
        return self.fitting & (self.shapes.level > 0) & (missed < self.invoked)

    @cached_property
    def inverted(self) -> NDArray[np.bool_]:
        """Reads that miss elements of a read that had returned before they began, none of them acknowledged by then."""
        place = self.shapes.segment * self._wide + self.shapes.level
        order = np.argsort(place, kind="stable")
        least = behind_min(self.completed[order], self.shapes.segment[order], self._bound)
        above = np.searchsorted(place[order], place, side="right")
        foreign = np.append(self.shapes.segment[order], NONE)[above] != self.shapes.segment
        least = np.where(foreign, NEVER, np.append(least, NEVER)[above])
        return self.fitting & (least < self.invoked) & ~self.stale & ~self.empty_after

    @cached_property
    def _ordered(self) -> Indexes:
        """Flat elements of orders whose addition may have taken effect."""
        fits = self.shapes.fits[self.flat_segment] & (self.group != NONE)
        fits[fits] = self.additions.first[self.group[fits]] != NONE
        return np.flatnonzero(fits)

    def next_stage(self, flat: Indexes) -> Indexes:
        """Flat index at which the next stage begins, or the segment ends."""
        place = self.flat_segment * self._wide + self.shapes.stage
        return np.searchsorted(place, place[flat], side="right").astype(np.int64)

    @cached_property
    def overtaken(self) -> Indexes:
        """Flat elements that stand before one whose addition was acknowledged before their own was invoked."""
        flat = self._ordered
        beyond = self.next_stage(flat)
        inside = beyond < self.shapes.start[self.flat_segment[flat] + 1]
        known = np.where(inside, self.after[beyond], NEVER)
        return flat[known < self.additions.began[self.group[flat]]]

    @cached_property
    def lost(self) -> Indexes:
        """Acknowledged additions that no read shows, though one began later, or shows what was added later."""
        own = self.additions
        seen = np.zeros(len(own.code), dtype=np.bool_)
        seen[self.group[self.group != NONE]] = True
        latest = np.full(int(self.keys.max(initial=0)) + 1, NONE, dtype=np.int64)
        np.maximum.at(latest, self.keys[self.reads], self.invoked)
        shown = self.group[self._ordered]
        np.maximum.at(latest, own.key[shown], own.began[shown])
        return np.flatnonzero(~seen & (latest[own.key] > own.known))

    @cached_property
    def expectant(self) -> NDArray[np.bool_]:
        """Reads that began after something of their key had been acknowledged: they had something to show."""
        return np.less(self.first_known[self.keys[self.reads]], self.invoked, dtype=np.bool_)
