"""What is wrong with a history of registers: every kind of anomaly with its smallest witness, for all register models.

Where values are written once the answer is exact (`chaoskit.checks.zones`, `chaoskit.checks.chains`). A register in
which an answered value has several writes that may have happened goes to the search (`chaoskit.checks.linearize`).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.chains import chained
from chaoskit.checks.levels import OBJECTS
from chaoskit.checks.origins import Origins, decode
from chaoskit.checks.result import Anomaly
from chaoskit.checks.words import called, showed
from chaoskit.checks.zones import FAR, Overtaken, clashes, overtaken
from chaoskit.history.operation import NONE
from chaoskit.history.operations import NEVER, Operations

__all__ = ["Registers"]

EVERY = OBJECTS[0]  # an answer that nobody wrote is wrong at every level
ORDER = "linearizable"
_MOST = 10  # operations of a witness


class Registers:
    """Judges the registers of a history whose answered values were written once each.

    Attributes:
        sound: mask of seers that stand in no contradiction by themselves.
        overtaken: which seers show a value that had been replaced.
    """

    def __init__(self, operations: Operations, origins: Origins, empty: bool) -> None:
        """Args:
        operations, origins: a history, and the same decoded.
        empty: whether the initial value is nil, so that to show it is to show nothing.
        """
        self.operations, self.origins, self.empty = operations, origins, empty
        self.tied = bool((origins.parent != NONE).any())
        self.chains = chained(origins) if self.tied else None
        self.early = origins.early.copy()
        placed = origins.cluster != NONE
        if self.chains is not None:
            self.newest, self.newest_of = self.chains.newest_before()
            self.early |= placed & (origins.ended[origins.seer] < self.newest[origins.cluster])
        self._trusted = placed & ~self.early
        self.first, self._last = origins.tied(self._trusted)
        self.overtaken = overtaken(origins, self.first, self._trusted)
        if self.chains is not None:
            self.overtaken = self._within(self.overtaken)
        self.sound = self._trusted & ~self.overtaken.late

    @classmethod
    def of(cls, operations: Operations, initial: Any) -> Registers:
        """Decode a history and judge it.

        Args:
            initial: what every register holds before anything is written; None = nothing.

        Raises:
            HistoryError: a compare-and-set does not ask [old new]. The history's fault.
        """
        return cls(operations, decode(operations, initial), initial is None)

    def _within(self, found: Overtaken) -> Overtaken:
        """The same with the order inside chains, where it can be told who came later even while all overlap."""
        assert self.chains is not None
        origins = self.origins
        known, which = self.chains.known_after(self.first)
        returned, write = self.chains.known_after(origins.end)
        began = origins.began[origins.seer]
        here = origins.cluster
        late = self._trusted & ~found.late & (known[here] < began)
        stale = late & (returned[here] < began)
        return Overtaken(
            found.late | late,
            found.stale | stale,
            np.where(late, np.where(stale, write[here], which[here]), found.by),
            np.where(late, known[here], found.known),
        )

    def anomalies(self) -> list[Anomaly]:
        """All kinds, the gravest first."""
        found = [self._thin_air(), *self._aborted(), self._future(), self._lost_update()]
        late, stale = self.overtaken.late, self.overtaken.stale
        nothing = self.origins.cluster < self.origins.registers if self.empty else np.zeros_like(late)
        if late.any():
            found += [
                self._stale("nil-after-ack", stale & nothing),
                self._stale("stale-read", stale & ~nothing),
                self._inverted(late & ~stale),
            ]
        found.append(self._flipped())
        return [one for one in found if one is not None]

    # Answers that are impossible whatever else happened.

    def _thin_air(self) -> Anomaly | None:
        origins = self.origins
        invented = origins.seer[origins.unwritten & (origins.aborted == NONE)]
        circle = self._circle()
        if not len(invented) and not len(circle):
            return None
        accused = np.union1d(invented, origins.writer[circle])
        if len(invented):
            path = [int(invented[0])]
            sentence = f"{self._called(path[0])} {self._showed(path[0])}, which nobody wrote"
        else:
            assert self.chains is not None
            around = [int(origins.writer[one]) for one in self.chains.ancestors(int(circle[0]))]
            path = around if len(around) <= _MOST else around[:1]
            sentence = (
                f"{self._called(around[0])} found a value that can only come from itself, by way of "
                f"{len(around) - 1} other compare-and-sets: no write ever began it"
            )
        witness, left_out = self._closed(path)
        return Anomaly("thin-air", EVERY, len(accused), witness, sentence, accused, left_out=left_out)

    def _circle(self) -> NDArray[np.int64]:
        return np.flatnonzero(self.chains.circular) if self.chains is not None else np.empty(0, dtype=np.int64)

    def _aborted(self) -> list[Anomaly]:
        """Values of failed writes: shown while they were under way, or risen again after the failure was told."""
        origins = self.origins
        bad = np.flatnonzero(origins.aborted != NONE)
        risen = origins.ended[origins.aborted[bad]] < origins.began[origins.seer[bad]]
        found = []
        for kind, those in (("resurrection", bad[risen]), ("aborted-read", bad[~risen])):
            if len(those):
                seer, write = int(origins.seer[those[0]]), int(origins.aborted[those[0]])
                sentence = (
                    f"{self._called(seer)} {self._showed(seer)}, whose only write, {self._called(write)}, "
                    f"{'had failed' if kind == 'resurrection' else 'failed'}"
                )
                witness, left_out = self._closed((seer, write))
                accused = origins.seer[those]
                found.append(Anomaly(kind, EVERY, len(those), witness, sentence, accused, left_out=left_out))
        return found

    def _future(self) -> Anomaly | None:
        origins = self.origins
        bad = np.flatnonzero(self.early)
        if not len(bad):
            return None
        direct = bad[origins.early[bad]]
        at = int((direct if len(direct) else bad)[0])
        seer = int(origins.seer[at])
        if len(direct):
            write = int(np.flatnonzero(origins.kept & (origins.makes == origins.shows[seer]))[0])
            path = [seer, write]
        else:
            assert self.chains is not None
            write = int(origins.writer[self.newest_of[origins.cluster[at]]])
            path = [seer, *self._between(int(origins.cluster[at]), int(self.newest_of[origins.cluster[at]]))]
        sentence = f"{self._called(seer)} {self._showed(seer)} before {self._called(write)}, which that needs, began"
        return self._anomaly("future-read", bad, path, sentence)

    def _lost_update(self) -> Anomaly | None:
        if self.chains is None or not len(self.chains.twice):
            return None
        origins = self.origins
        heirs = np.flatnonzero(np.isin(origins.parent, self.chains.twice))
        cluster = int(self.chains.twice[0])
        both = origins.writer[np.flatnonzero(origins.parent == cluster)[:2]].tolist()
        sentence = (
            f"{self._called(both[0])} and {self._called(both[1])} both replaced the same value, which was there once"
        )
        witness, left_out = self._closed(both)
        count = len(heirs) - len(self.chains.twice)
        return Anomaly(
            "lost-update", "sequential", count, witness, sentence, np.sort(origins.writer[heirs]), left_out=left_out
        )

    # Answers that are out of order.

    def _stale(self, kind: str, which: NDArray[np.bool_]) -> Anomaly | None:
        bad = np.flatnonzero(which)
        if not len(bad):
            return None
        at, by = int(bad[0]), int(self.overtaken.by[bad[0]])
        seer, write = int(self.origins.seer[at]), int(self.origins.writer[by])
        path, order = self._done_before(int(self.origins.cluster[at]), by)
        sentence = (
            f"{self._called(seer)} {self._showed(seer)}, although {self._called(write)} had been acknowledged "
            f"before it began{order}"
        )
        return self._anomaly(kind, bad, [seer, write, *path], sentence)

    def _inverted(self, which: NDArray[np.bool_]) -> Anomaly | None:
        bad = np.flatnonzero(which)
        if not len(bad):
            return None
        at, by = int(bad[0]), int(self.overtaken.by[bad[0]])
        seer = int(self.origins.seer[at])
        sooner = self._earliest(by)
        path, order = self._done_before(int(self.origins.cluster[at]), by)
        sentence = (
            f"{self._called(seer)} {self._showed(seer)}, although {self._called(sooner)} had already been answered "
            f"with what replaced it before it began{order}"
        )
        writer = [int(self.origins.writer[by])]
        return self._anomaly("new-old-inversion", bad, [seer, sooner, *writer, *path], sentence)

    def _flipped(self) -> Anomaly | None:
        """Clusters, or chains, that are each partly before the other though no answer is wrong by itself."""
        origins = self.origins
        first, last = (self.first, self._last) if not self.overtaken.late.any() else origins.tied(self.sound)
        if self.chains is not None:
            whole = np.ones(len(first), dtype=np.bool_)  # chains in which nothing else is wrong
            wrong = np.zeros(len(self.operations), dtype=np.bool_)
            wrong[origins.seer[~self.sound]] = True
            head = self.chains.head
            whole[head[~self.chains.straight]] = False
            whole[head[(origins.writer != NONE) & wrong[origins.writer]]] = False
            begin, end = np.full(len(first), FAR), np.full(len(first), NONE, dtype=np.int64)
            np.minimum.at(begin, head, first)
            np.maximum.at(end, head, last)
            first, last = np.where(whole, begin, FAR), np.where(whole, end, NONE)
        one, other = clashes(first, last)
        if not len(one):
            return None
        a, b = int(one[0]), int(other[0])
        ended, began, link = self._side(a, int(last[b]), int(first[b]))
        since = int(origins.ended[ended]) if ended != NONE else int(first[a])
        ended_b, began_b, link_b = self._side(b, int(origins.began[began]), since)
        sides = [[position for position in side if position != NONE] for side in ((ended, began), (ended_b, began_b))]
        names = [" and ".join(self._called(position) for position in dict.fromkeys(side)) for side in sides]
        return self._anomaly(
            "flip-flop",
            np.empty(0, dtype=np.int64),
            [*sides[0], *sides[1], *link, *link_b],
            f"values took turns: what {names[0]} show cannot come entirely before what {names[1]} show, nor after it",
            count=len(one),
        )

    def _side(self, block: int, before: int, after: int) -> tuple[int, int, list[int]]:
        """Of a cluster (or chain) one operation that ended before a rank, one that began after another, and what leads
        from one to the other: as little as possible. NONE: the initial value, which was there before everything.
        """
        origins = self.origins
        inside = np.arange(len(origins.writer)) == block if self.chains is None else self.chains.head == block
        written = np.flatnonzero(inside & (origins.writer != NONE))
        seers = np.flatnonzero(self.sound & inside[origins.cluster])
        members = np.concatenate([origins.writer[written], origins.seer[seers]])
        clusters = np.concatenate([written, origins.cluster[seers]])
        depth = np.zeros(len(members), dtype=np.int64) if self.chains is None else self.chains.depth[clusters]
        soon = np.flatnonzero(origins.ended[members] < before)
        ended = int(soon[np.argmax(depth[soon])]) if len(soon) else NONE
        late = np.flatnonzero(origins.began[members] > after)
        onward = late[depth[late] >= (depth[ended] if ended != NONE else 0)]
        late = onward if len(onward) else late
        began = int(late[np.argmin(depth[late])])
        ends = (int(clusters[began]), int(clusters[ended]) if ended != NONE else block)
        later, sooner = sorted(ends, key=lambda cluster: 0 if self.chains is None else -int(self.chains.depth[cluster]))
        link = [] if self.chains is None else self._between(later, sooner)
        return int(members[ended]) if ended != NONE else NONE, int(members[began]), link

    # Witnesses and words.

    def _anomaly(
        self, kind: str, bad: NDArray[np.int64], path: Iterable[int], sentence: str, count: int | None = None
    ) -> Anomaly:
        witness, left_out = self._closed([one for one in path if one != NONE])
        accused = self.origins.seer[bad]
        return Anomaly(kind, ORDER, len(bad) if count is None else count, witness, sentence, accused, left_out=left_out)

    def _closed(self, path: Iterable[int]) -> tuple[tuple[int, ...], int]:
        """These operations with all that wrote what they show, back to a write; cut to what matters where that is long.

        Returns:
            The witness, and how many operations it would need beside them.
        """
        essential = list(dict.fromkeys(path))
        whole = set(essential)
        direct = set(essential)
        climbed: set[int] = set()
        for position in essential:
            cluster = self._seen(position)
            if cluster != NONE:
                direct.add(int(self.origins.writer[cluster]))
            while cluster != NONE and cluster not in climbed:
                climbed.add(cluster)
                whole.add(int(self.origins.writer[cluster]))
                cluster = int(self.origins.parent[cluster])
        whole.discard(NONE)
        direct.discard(NONE)
        if len(whole) <= _MOST:
            whole |= self._evidence(whole)
        if len(whole) <= _MOST:
            return tuple(sorted(whole)), 0
        short = (essential + sorted(direct - set(essential)))[:_MOST]
        return tuple(sorted(short)), len(whole) - len(short)

    def _evidence(self, chosen: set[int]) -> set[int]:
        """Answers that show that those of unknown outcome did happen, where none of them is there already."""
        more: set[int] = set()
        unknown = {one for one in chosen if self.operations.completed[one] == NEVER}
        seers = {one: self.origins.seer[self.origins.cluster == self._home(one)].tolist() for one in unknown}
        while unknown:
            there = (chosen | more) - unknown
            shown_by = next((one for one in unknown if there.intersection(seers[one])), None)
            if shown_by is not None:
                unknown.remove(shown_by)
                continue
            # Best an answer that is certain; else a compare-and-set that is itself to be shown.
            outside = [(one, seer) for one in sorted(unknown) for seer in seers[one] if seer not in chosen | more]
            if not outside:
                break
            seer = min(outside, key=lambda pair: self.operations.completed[pair[1]] == NEVER)[1]
            more.add(seer)
            if self.operations.completed[seer] == NEVER:
                unknown.add(seer)
                seers[seer] = self.origins.seer[self.origins.cluster == self._home(seer)].tolist()
        return more

    @cached_property
    def _makers(self) -> NDArray[np.int64]:
        return self.origins.writer[self.origins.registers :]

    def _seen(self, position: int) -> int:
        """The cluster that an operation shows; NONE where it shows nothing, or what nobody wrote."""
        at = int(np.searchsorted(self.origins.seer, position))
        if at < len(self.origins.seer) and self.origins.seer[at] == position:
            return int(self.origins.cluster[at])
        return NONE

    def _home(self, position: int) -> int:
        """The cluster that an operation wrote, else the one that it shows."""
        at = int(np.searchsorted(self._makers, position))
        if at < len(self._makers) and self._makers[at] == position:
            return at + self.origins.registers
        return self._seen(position)

    def _between(self, later: int, sooner: int) -> list[int]:
        """The writers from one cluster of a chain back to another, both included."""
        assert self.chains is not None
        lineage = self.chains.ancestors(later)
        return [int(self.origins.writer[one]) for one in lineage[: lineage.index(sooner) + 1]]

    def _earliest(self, cluster: int) -> int:
        """The operation that first made a cluster known."""
        members = self.origins.members(cluster, self._trusted)
        return int(members[np.argmin(self.origins.ended[members])])

    def _done_before(self, old: int, new: int) -> tuple[list[int], str]:
        """What shows that a cluster came before another one, as operations and as half a sentence."""
        origins = self.origins
        if self.first[old] >= origins.start[new]:  # known from the chain alone
            return self._between(new, old), ", and replaced it"
        if origins.writer[old] == NONE:
            return [], ""
        proof = self._earliest(old)
        return [proof], f", and began after {self._called(proof)} had ended"

    def _called(self, position: int) -> str:
        return called(self.operations, position)

    def _showed(self, position: int) -> str:
        return showed(self.operations, position)
