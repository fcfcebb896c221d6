"""What clients of registers may rely on within a session: read your writes, and monotonic reads. Key by key.

A register shows one value, so an answer by itself does not say which values are older. The order of its versions is
taken to be one for all clients, which never contradicts what a writer had seen or written of this register before it
wrote. Then, in each session:

    read-your-writes   an answer shows the session's own last write, or a newer version
    monotonic-reads    an answer shows what the answer before it showed, or a newer version

Each answer that does not repeat a version thereby says that one write came before another; the guarantee is refuted if
and only if these steps, together with the order of versions that is known, go round in a circle, or if an answer shows
that nothing was written although the session knew of a write. Exact under this definition, O(n).

Source: Terry et al., Session Guarantees for Weakly Consistent Replicated Data (1994); Viotti and Vukolić (2016) for
the one order of versions (arbitration).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.circles import FORCED, OWN, SHOWN, Steps, Ways
from chaoskit.checks.lanes import Lanes
from chaoskit.checks.levels import OBJECTS
from chaoskit.checks.origins import Origins
from chaoskit.checks.result import Anomaly
from chaoskit.checks.words import called, showed
from chaoskit.history.operation import NONE
from chaoskit.history.operations import NEVER, Operations

__all__ = ["Story"]

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
EVERY = OBJECTS[0]
_MOST = 10  # operations of a witness


@dataclass(frozen=True, eq=False)
class Story:
    """What happened to registers, client by client. Registers whose values are ambiguous are left out."""

    operations: Operations
    origins: Origins

    @cached_property
    def lanes(self) -> Lanes:
        """The clients' own orders."""
        return Lanes.of(self.operations)

    @cached_property
    def member(self) -> Mask:
        """Operations that take part."""
        origins = self.origins
        found: Mask = origins.kept & ~origins.ambiguous[origins.register]
        return found

    @cached_property
    def placed(self) -> Mask:
        """Which of the seers are in `reads`."""
        origins = self.origins
        found: Mask = (origins.cluster != NONE) & ~origins.ambiguous[origins.register[origins.seer]]
        return found

    @cached_property
    def reads(self) -> Ints:
        """Positions of the answers whose write is known."""
        return self.origins.seer[self.placed]

    @cached_property
    def wrote(self) -> Ints:
        """Of each of `reads`, the write that it shows; NONE: it shows that nothing was written."""
        return self.origins.writer[self.origins.cluster[self.placed]]

    @cached_property
    def writes(self) -> Ints:
        """Positions of the writes that take part."""
        found = self.origins.writer[self.origins.registers :]
        return found[self.member[found]]

    @cached_property
    def read_of(self) -> Ints:
        """Of every operation, its number in `reads`; NONE."""
        found = np.full(len(self.operations), NONE, dtype=np.int64)
        found[self.reads] = np.arange(len(self.reads))
        return found

    @cached_property
    def runs(self) -> tuple[Ints, Mask]:
        """Operations lane after lane and key after key, and which of them go on with the same lane and key."""
        order = self.lanes.order[self.member[self.lanes.order]]
        lane, key = self.lanes.lane[order], self.origins.register[order]
        again = np.lexsort((np.arange(len(order)), key, lane))
        order, lane, key = order[again], lane[again], key[again]
        same = np.zeros(len(order), dtype=np.bool_)
        same[1:] = (lane[1:] == lane[:-1]) & (key[1:] == key[:-1])
        return order, same

    def _latest_before(self, which: Mask) -> Ints:
        """Of every operation, the last one of its lane and key before it of some; NONE."""
        order, same = self.runs
        count = np.arange(len(order))
        found = np.full(len(self.operations), NONE, dtype=np.int64)
        if len(order):
            begin = np.maximum.accumulate(np.where(same, 0, count))
            last = np.maximum.accumulate(np.where(which[order], count, NONE))
            before = np.append(NONE, last[:-1])
            found[order] = np.where(before >= begin, order[before], NONE)
        return found

    @cached_property
    def own_write(self) -> Ints:
        """Of each of `reads`, the last write of its session to this key before it; NONE."""
        writing = np.zeros(len(self.operations), dtype=np.bool_)
        writing[self.writes] = True
        return self._latest_before(writing)[self.reads]

    @cached_property
    def read_before(self) -> Ints:
        """Of each of `reads`, the last answer to its session about this key before it; NONE."""
        return self._latest_before(self.read_of != NONE)[self.reads]

    @cached_property
    def shows(self) -> Steps:
        """From each write to the answers that show it."""
        known = self.wrote != NONE
        return Steps.of(SHOWN, self.wrote[known], self.reads[known])

    @cached_property
    def by_key(self) -> Steps:
        """What is known of the order of versions: what clients did to one key in their own order, and `shows`."""
        order, same = self.runs
        after = np.flatnonzero(same)
        return Steps.of(OWN, order[after - 1], order[after]).joined(self.shows)

    @cached_property
    def whole(self) -> Steps:
        """The clients' own orders over all keys, and `shows`."""
        order = self.lanes.order[self.member[self.lanes.order]]
        lane = self.lanes.lane[order]
        same = lane[1:] == lane[:-1]
        return Steps.of(OWN, order[:-1][same], order[1:][same]).joined(self.shows)

    def guarantees(self) -> list[Anomaly]:
        """Anomalies of both guarantees, and answers that need each other."""
        part, inside = self.by_key.knotted(len(self.operations), self.operations.invoked)
        if len(inside):
            return [self.needing_each_other(part, inside, EVERY)]
        before = self.read_before
        seen = np.where(before == NONE, NONE, self.wrote[self.read_of[before]])
        found = [
            self._guarantee("non-monotonic-read", "monotonic-reads", before, seen),
            self._guarantee("own-write-missed", "read-your-writes", self.own_write, self.own_write),
        ]
        return [one for one in found if one is not None]

    def needing_each_other(self, part: Ints, inside: Steps, level: str) -> Anomaly:
        """Answers that show what was written by those who had seen what came of them."""
        circle = inside.circle(part)
        path = Ways(circle).stations(range(len(circle)), len(self.operations))
        accused = np.unique(inside.target[inside.why == SHOWN])
        names = " and ".join(self.called(one) for one in circle.target[circle.why == SHOWN][:3].tolist())
        sentence = f"{names}: each shows what was written only after the other had been answered"
        return self.anomaly("cyclic-co", level, accused, path, sentence)

    def _guarantee(self, kind: str, level: str, proof: Ints, newer: Ints) -> Anomaly | None:
        """What speaks against a guarantee.

        Args:
            proof: of each of `reads`, the operation of its session that knew of a write; NONE. newer: that write; NONE.
        """
        known = newer != NONE
        nothing = known & (self.wrote == NONE)
        other = np.flatnonzero(known & ~nothing & (self.wrote != newer))
        forced = Steps.of(FORCED, newer[other], self.wrote[other], self.reads[other], proof[other])
        part, inside = self.by_key.joined(forced).knotted(len(self.operations), self.operations.invoked)
        turned = inside.where(inside.why == FORCED)
        accused = np.unique(np.concatenate([self.reads[nothing], turned.read]))
        if not len(accused):
            return None
        if nothing.any():
            at = int(np.argmax(nothing))
            read, knew = int(self.reads[at]), int(proof[at])
            path = [int(newer[at]), knew, read]
            sentence = f"{self.called(read)} {self.showed(read)}, although {self._known(kind, knew)}"
            return self.anomaly(kind, level, accused, path, sentence)
        circle = inside.circle(part)
        forced = circle.where(circle.why == FORCED)
        path = [*Ways(circle).stations(range(len(circle)), len(self.operations))]
        path += [*forced.read.tolist(), *forced.proof.tolist()]
        clauses = [
            f"{self.called(read)} {self.showed(read)}, although {self._known(kind, knew)}"
            for read, knew in zip(forced.read.tolist(), forced.proof.tolist(), strict=True)
        ]
        if len(clauses) == 1:
            old, new = int(forced.target[0]), int(forced.source[0])
            sentence = f"{clauses[0]}; {self.called(new)} came after {self.called(old)}: its client had known that"
        else:
            sentence = f"{'; and '.join(clauses[:3])}: in no order of the writes are all of these right"
        return self.anomaly(kind, level, accused, path, sentence)

    def _known(self, kind: str, proof: int) -> str:
        if kind == "own-write-missed":
            return f"its own session had done {self.called(proof)} before"
        return f"its session had been answered otherwise before, by {self.called(proof)}"

    # Words and witnesses.

    def anomaly(self, kind: str, level: str, accused: Ints, path: Iterable[int], sentence: str) -> Anomaly:
        """With its witness: the argument, the writes that it was shown, and who saw those of unknown outcome."""
        witness: set[int] = set()
        waiting = set(path) - {NONE}
        while waiting:
            witness |= waiting
            waiting = {source for one in waiting if (source := self._source(one)) != NONE} - witness
            if not waiting:
                waiting = self._evidence(witness)
        return Anomaly(kind, level, len(accused), tuple(sorted(witness)), sentence, accused, large=len(witness) > _MOST)

    def _source(self, position: int) -> int:
        number = int(self.read_of[position])
        return NONE if number == NONE else int(self.wrote[number])

    def _evidence(self, witness: set[int]) -> set[int]:
        """An answer that shows that one of unknown outcome did happen, if no operation of the witness does."""
        for one in sorted(witness):
            if self.operations.completed[one] == NEVER:
                seers = self.reads[self.wrote == one].tolist()
                if seers and witness.isdisjoint(seers):
                    return {min(seers, key=lambda seer: int(self.operations.completed[seer]))}
        return set()

    def called(self, position: int) -> str:
        """An operation in a sentence."""
        return called(self.operations, position)

    def showed(self, position: int) -> str:
        """What it answered, in a sentence."""
        return showed(self.operations, position)
