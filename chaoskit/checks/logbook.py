"""What a history of logs says about places: where messages stand, what is missing, what lies between two polls."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.additions import Additions
from chaoskit.checks.elements import Indexes, above_ranks, ahead_max
from chaoskit.checks.logs import Messages
from chaoskit.history.operation import NONE
from chaoskit.history.operations import NEVER, Operations

__all__ = ["Logbook"]


@dataclass(frozen=True, eq=False)
class Logbook:
    """A history of logs, decoded; properties run over messages polled, or over messages sent (groups)."""

    operations: Operations
    polled: Messages

    @cached_property
    def additions(self) -> Additions:
        """Sends by (key, message)."""
        sent = self.polled
        return Additions.grouped(self.operations, sent.sent_by, sent.sent_key, sent.sent_value, len(sent.values) + 1)

    @cached_property
    def repeated(self) -> NDArray[np.bool_]:
        """Messages that were sent more than once: not judged."""
        return self.additions.repeated

    @cached_property
    def group(self) -> Indexes:
        """Of each message polled: which it is; NONE where nobody sent it."""
        return self.additions.find(self.polled.key, self.polled.value)

    @cached_property
    def stamped(self) -> NDArray[np.bool_]:
        """Of each message polled: whether it cannot be confused with another send."""
        found = np.ones(len(self.group), dtype=np.bool_)
        found[self.group != NONE] = ~self.repeated[self.group[self.group != NONE]]
        return found

    @cached_property
    def places(self) -> tuple[Indexes, Indexes, Indexes, Indexes]:
        """Where messages were said to be, by polls and acknowledgements: operation, key, offset, value."""
        polled, of = self.polled, self.operations
        sent = (polled.sent_offset != NONE) & of.ok[polled.sent_by]
        sent[sent] = ~self.repeated[self.additions.find(polled.sent_key[sent], polled.sent_value[sent])]
        seen = (polled.offset != NONE) & self.stamped
        by = np.concatenate([polled.sent_by[sent], polled.by[seen]])
        key = np.concatenate([polled.sent_key[sent], polled.key[seen]])
        offset = np.concatenate([polled.sent_offset[sent], polled.offset[seen]])
        value = np.concatenate([polled.sent_value[sent], polled.value[seen]])
        order = np.argsort(by, kind="stable")
        return by[order], key[order], offset[order], value[order]

    @cached_property
    def offsets(self) -> Indexes:
        """All offsets, ascending: rules use places in here, which do not overflow."""
        return np.unique(np.concatenate([self.polled.offset, self.polled.sent_offset]))

    def place(self, key: Indexes, offset: Indexes) -> Indexes:
        """A number for each (key, offset), ascending with the offset within a key."""
        return key * (len(self.offsets) + 1) + np.searchsorted(self.offsets, offset)

    @cached_property
    def held(self) -> Indexes:
        """Numbers of all (key, offset) that hold a message, ascending."""
        _, key, offset, _ = self.places
        return np.unique(self.place(key, offset))

    def disputed(self, first: Indexes, second: Indexes) -> NDArray[np.bool_]:
        """Rows whose `first` has more than one `second`."""
        order = np.lexsort((second, first))
        name, other = first[order], second[order]
        names = name[1:][(name[1:] == name[:-1]) & (other[1:] != other[:-1])]
        return np.isin(first, names).astype(np.bool_) if len(names) else np.zeros(len(first), dtype=np.bool_)

    @cached_property
    def highest(self) -> Indexes:
        """Of each key: place in `offsets` of the highest one polled; NONE."""
        found = np.full(len(self.polled.keys) + 1, NONE, dtype=np.int64)
        seen = self.polled.offset != NONE
        np.maximum.at(found, self.polled.key[seen], np.searchsorted(self.offsets, self.polled.offset[seen]))
        return found

    @cached_property
    def acknowledged_at(self) -> Indexes:
        """Of each message: place in `offsets` at which it was acknowledged; NONE."""
        polled = self.polled
        found = np.full(len(self.additions.code), NONE, dtype=np.int64)
        known = np.flatnonzero((polled.sent_offset != NONE) & self.operations.ok[polled.sent_by])
        group = self.additions.find(polled.sent_key[known], polled.sent_value[known])
        found[group] = np.searchsorted(self.offsets, polled.sent_offset[known])
        found[self.repeated] = NONE
        return found

    @cached_property
    def exposed(self) -> int:
        """Acknowledged messages that somebody should have polled."""
        at = self.acknowledged_at
        return int(np.count_nonzero((at != NONE) & (at <= self.highest[self.additions.key])))

    @cached_property
    def _never_polled(self) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = self.acknowledged_at != NONE
        found[self.group[self.group != NONE]] = False
        return found

    @cached_property
    def lost(self) -> Indexes:
        """Messages that nobody polled though a later one was."""
        return np.flatnonzero(self._never_polled & (self.acknowledged_at < self.highest[self.additions.key]))

    @cached_property
    def unseen(self) -> Indexes:
        """Messages that nobody polled, nor anything later."""
        return np.flatnonzero(self._never_polled & (self.acknowledged_at >= self.highest[self.additions.key]))

    def steps(self, lane: Indexes, within: bool) -> tuple[Indexes, Indexes]:
        """Pairs of messages polled one after the other in a lane (NONE: in none), of one key.

        within: pairs of one operation; else pairs of two.
        """
        rows = np.flatnonzero((lane != NONE) & (self.polled.offset != NONE))
        rows = rows[np.lexsort((rows, self.polled.key[rows], lane[rows]))]
        before, after = rows[:-1], rows[1:]
        same = (lane[before] == lane[after]) & (self.polled.key[before] == self.polled.key[after])
        same &= np.equal(self.polled.by[before], self.polled.by[after]) == within
        return before[same], after[same]

    def between(self, before: Indexes, after: Indexes) -> Indexes:
        """How many messages are known to lie between the offsets of two that were polled."""
        polled = self.polled
        low = np.searchsorted(self.held, self.place(polled.key[before], polled.offset[before]), side="right")
        return np.searchsorted(self.held, self.place(polled.key[after], polled.offset[after])) - low

    @cached_property
    def sent_at(self) -> Indexes:
        """Of each message: place in `offsets` where all who know say it is; NONE where nobody knows or they differ."""
        _, key, offset, value = self.places
        found = np.full(len(self.additions.code), NONE, dtype=np.int64)
        group = self.additions.find(key, value)
        sure = (group != NONE) & ~self.disputed(group, offset)
        found[group[sure]] = np.searchsorted(self.offsets, offset[sure])
        return found

    @cached_property
    def sends(self) -> tuple[Indexes, Indexes]:
        """Sends that may have happened to known places: groups, and their `sent_at`."""
        groups = np.flatnonzero((self.sent_at != NONE) & (self.additions.first != NONE) & ~self.repeated)
        return groups, self.sent_at[groups]

    @cached_property
    def backward(self) -> Indexes:
        """Groups sent after one of a higher offset had been acknowledged."""
        groups, at = self.sends
        own = self.additions
        done = np.flatnonzero(own.known[groups] != NEVER)
        done = done[np.lexsort((own.known[groups[done]], own.key[groups[done]]))]
        bound = above_ranks(self.operations)
        ended = own.key[groups[done]] * bound + own.known[groups[done]]
        highest = ahead_max(at[done], own.key[groups[done]], len(self.offsets) + 1)
        last = np.searchsorted(ended, own.key[groups] * bound + own.began[groups]) - 1
        inside = last >= 0
        inside[inside] = own.key[groups[done]][last[inside]] == own.key[groups[inside]]
        found = np.zeros(len(groups), dtype=np.bool_)
        found[inside] = highest[last[inside]] > at[inside]
        return groups[found]
