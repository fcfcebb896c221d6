"""Causal consistency of registers: an answer shows the newest of what its client may know. Exact for unique values.

What must be known before what is *causality*: the clients' own orders, and from writes to the answers that show them.
There shall be one order of all writes that does not contradict causality, such that every answer shows the last write
to its key, in this order, of those that come before it by causality. With unique values that is so if and only if none
of these patterns is there:

    cyclic-co            causality goes round in a circle
    write-co-init-read   an answer shows nothing, though a write to its key comes before it
    write-co-read        an answer shows a write, though another one came after that and before the answer
    cyclic-cf            such writes came to no end: each would have to be replaced by the other

Source: Bouajjani, Enea, Guerraoui and Hamza, On Verifying Causal Consistency (POPL 2017), the bad patterns of causal
convergence (CCv), which is the causal consistency of Viotti and Vukolić (2016); O(n * clients), as AWDIT.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.circles import FORCED, Steps, Ways
from chaoskit.checks.clocks import Columns, clocks
from chaoskit.checks.result import Anomaly, Budget
from chaoskit.checks.session_registers import Story
from chaoskit.history.operation import NONE

__all__ = ["Overwrites", "causal", "overwrites"]

Ints = NDArray[np.int64]
_TRIED = 8  # answers looked at for the shortest witness


@dataclass(frozen=True, eq=False)
class Overwrites:
    """Pairs of an answer and another write to its key that comes before it by causality.

    Attributes:
        read: number in `Story.reads`. other: the write, at most one per answer and client, that client's last.
        later: mask: this write also comes after the one that is shown.
    """

    read: Ints
    other: Ints
    later: NDArray[np.bool_]


def columns_of(story: Story) -> Columns:
    """The clients of a story as columns of clocks."""
    lane = np.where(story.member, story.lanes.lane, NONE)
    return Columns(lane, story.lanes.place, story.writes, story.origins.register[story.writes])


def overwrites(story: Story, columns: Columns, clock: NDArray[np.int32]) -> Overwrites:
    """All pairs that clocks know of, without those whose write comes before the one that is shown."""
    reads, wrote = story.reads, story.wrote
    key = story.origins.register[reads]
    read, other = [], []
    for column in range(columns.count):
        last = columns.last(column, key, clock[reads, column])
        there = np.flatnonzero((last != NONE) & (last != wrote))
        read.append(there)
        other.append(last[there])
    pair, which = np.concatenate([np.empty(0, np.int64), *read]), np.concatenate([np.empty(0, np.int64), *other])
    source = wrote[pair]
    shown = source != NONE
    before = np.zeros(len(pair), dtype=np.bool_)
    before[shown] = columns.knows(clock, source[shown], which[shown])
    pair, which, source = pair[~before], which[~before], source[~before]
    later = np.zeros(len(pair), dtype=np.bool_)
    shown = source != NONE
    later[shown] = columns.knows(clock, which[shown], source[shown])
    return Overwrites(pair, which, later)


def causal(story: Story, budget: Budget) -> list[Anomaly] | None:
    """Anomalies that no causally consistent system shows; None where it cannot be told (see `clocks`)."""
    size = len(story.operations)
    part, inside = story.whole.knotted(size, story.operations.invoked)
    if len(inside):
        return [story.needing_each_other(part, inside, "causal")]
    columns = columns_of(story)
    clock = clocks(columns, story.whole.source, story.whole.target, budget)
    if clock is None:
        return None
    pairs = overwrites(story, columns, clock)
    ways = Ways(story.whole)
    nothing = story.wrote[pairs.read] == NONE
    found = [_missed(story, ways, pairs, nothing, False), _missed(story, ways, pairs, pairs.later, True)]
    rest = ~nothing
    forced = Steps.of(FORCED, pairs.other[rest], story.wrote[pairs.read[rest]], story.reads[pairs.read[rest]])
    apart = ~pairs.later[rest]
    part, inside = story.whole.joined(forced.where(apart)).knotted(size, story.operations.invoked)
    if len(inside):
        found.append(_conflicting(story, ways, part, inside))
    return [one for one in found if one is not None]


def _missed(story: Story, ways: Ways, pairs: Overwrites, mask: NDArray[np.bool_], shows_older: bool) -> Anomaly | None:
    """Answers that show nothing, or a write that had been replaced, although they depend on a newer one."""
    at = np.flatnonzero(mask)
    if not len(at):
        return None
    best: tuple[int, list[int]] | None = None
    for one in at[:_TRIED].tolist():
        read, other = int(story.reads[pairs.read[one]]), int(pairs.other[one])
        older = int(story.wrote[pairs.read[one]])
        path = [read, *_along(story, ways, other, read), *([] if older == NONE else _along(story, ways, older, other))]
        if best is None or len(path) < len(best[1]):
            best = (one, path)
    assert best is not None
    one, path = best
    read, other = int(story.reads[pairs.read[one]]), int(pairs.other[one])
    sentence = f"{story.called(read)} {story.showed(read)}, although its client depends on {story.called(other)}"
    if shows_older:
        sentence += f", which came after {story.called(int(story.wrote[pairs.read[one]]))}"
    sentence += ": one had led to the other by what clients saw and did"
    kind = "write-co-read" if shows_older else "write-co-init-read"
    accused = np.unique(story.reads[pairs.read[at]])
    return story.anomaly(kind, "causal", accused, path, sentence)


def _along(story: Story, ways: Ways, source: int, target: int) -> list[int]:
    """Operations by which one led to the other."""
    way = ways.between(source, target)
    assert way is not None
    return [source, *ways.stations(way, len(story.operations)), target]


def _conflicting(story: Story, ways: Ways, part: Ints, inside: Steps) -> Anomaly:
    """Writes each of which some answer wants to come after the others."""
    circle = inside.circle(part)
    forced = circle.where(circle.why == FORCED)
    path = Ways(circle).stations(range(len(circle)), len(story.operations))
    clauses = []
    for read, other in zip(forced.read.tolist(), forced.source.tolist(), strict=True):
        path += _along(story, ways, other, read)
        clauses.append(f"{story.called(read)} {story.showed(read)}, though its client depends on {story.called(other)}")
    sentence = f"{'; and '.join(clauses[:3])}: in no order of the writes are all of these right"
    accused = np.unique(inside.read[inside.why == FORCED])
    return story.anomaly("cyclic-cf", "causal", accused, path, sentence)
