"""What a growing object did wrong: anomalies of lists and sets with counts, smallest witnesses and sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.elements import Indexes
from chaoskit.checks.growing import Growth
from chaoskit.checks.result import Anomaly
from chaoskit.checks.words import called, shortened
from chaoskit.history.operation import NONE
from chaoskit.history.values import identity, shown

__all__ = ["EVERY_LEVEL", "Words", "anomalies", "apart_from_order", "by_themselves"]

EVERY_LEVEL = "monotonic-reads"  # what no level allows, the weakest included: answers that nothing could have made
_ORDER = (
    "lost",
    "resurrection",
    "aborted-read",
    "thin-air",
    "duplicate",
    "incompatible-order",
    "incomparable-reads",
    "future-read",
    "nil-after-ack",
    "reordered",
    "stale-read",
    "new-old-inversion",
)


@dataclass(frozen=True)
class Words:
    """How the model speaks. `ordered`: one read shows the order of all that it holds (a list)."""

    noun: str  # list
    added: str  # appended
    ordered: bool


@dataclass(frozen=True)
class _Teller:
    growth: Growth
    words: Words

    def name(self, position: int) -> str:
        return called(self.growth.operations, position)

    def value(self, group: int) -> str:
        return shortened(shown(self.growth.operations.values[int(self.growth.additions.value[group])]))

    def held(self, read: int) -> Indexes:
        """Flat elements that a read (place in `reads`) holds."""
        begin = self.growth.shapes.start[self.growth.shapes.segment[read]]
        return np.arange(begin, self.growth.end[read])

    def groups(self, flat: Indexes) -> Indexes:
        found: Indexes = self.growth.group[flat]
        added: Indexes = found[found != NONE]
        return added

    def first_known(self, flat: Indexes) -> int:
        """Of some flat elements, the one whose addition was acknowledged first."""
        growth, group = self.growth, self.growth.group[flat]
        known = np.where(group == NONE, growth.after[-1], growth.additions.known[group])
        return int(flat[np.argmin(known)])

    def smallest_holding(self, flat: int) -> int:
        """Place of the read with the fewest elements among those of the order that hold an element."""
        shapes = self.growth.shapes
        holds = shapes.segment == self.growth.flat_segment[flat]
        holds &= shapes.level >= shapes.stage[flat]
        places = np.flatnonzero(holds)
        return int(places[np.argmin(shapes.level[places])])


def anomalies(
    growth: Growth, words: Words, found: dict[int, Collection[Any]], further: tuple[Anomaly, ...] = ()
) -> tuple[Anomaly, ...]:
    """All kinds in a decoded history, the gravest first.

    Args:
        found: collections by result id, as identities. further: kinds that the model found by itself.
    """
    teller = _Teller(growth, words)
    told = list(further)
    over_reads: tuple[tuple[str, str, NDArray[np.bool_], Callable[[_Teller, int], _Told]], ...] = (
        ("resurrection", EVERY_LEVEL, growth.resurrected, _failed),
        ("aborted-read", EVERY_LEVEL, growth.aborted, _aborted),
        ("thin-air", EVERY_LEVEL, growth.thin, lambda teller, read: _thin(teller, read, found)),
        ("future-read", "linearizable", growth.future, _future),
        ("nil-after-ack", "linearizable", growth.empty_after, _empty),
        ("stale-read", "linearizable", growth.stale, _stale),
        ("new-old-inversion", "linearizable", growth.inverted, _inverted),
    )
    for kind, level, mask, tell in over_reads:
        if mask.any():
            witness, sentence = tell(teller, int(np.argmax(mask)))
            accused = growth.reads[mask]
            told.append(Anomaly(kind, level, len(accused), witness, sentence, accused))
    if len(growth.lost):
        witness, sentence = _lost(teller, int(growth.lost[0]))
        accused = growth.additions.acknowledged[growth.lost]
        told.append(Anomaly("lost", "linearizable", len(accused), witness, sentence, accused))
    if len(growth.overtaken):
        witness, sentence = _overtaken(teller, int(growth.overtaken[0]))
        accused = growth.additions.first[growth.group[growth.overtaken]]
        told.append(Anomaly("reordered", "linearizable", len(accused), witness, sentence, accused))
    return tuple(sorted(told, key=lambda one: _ORDER.index(one.kind)))


_Told = tuple[tuple[int, ...], str]


def by_themselves(
    growth: Growth, found: dict[int, Collection[Any]], twice: NDArray[np.bool_], words: Words
) -> tuple[Anomaly, ...]:
    """The anomaly `duplicate`: answers (segments, by a mask) that show an element more than once."""
    mask = twice[growth.shapes.segment]
    if not mask.any():
        return ()
    position = int(growth.reads[np.argmax(mask)])
    counts = Counter(found[int(growth.operations.result[position])])
    element = min(shown(one) for one, count in counts.items() if count > 1)
    sentence = (
        f"{called(growth.operations, position)} shows {element} more than once; it was {words.added} once at most"
    )
    accused = growth.reads[mask]
    return (Anomaly("duplicate", EVERY_LEVEL, len(accused), (position,), sentence, accused),)


def apart_from_order(growth: Growth, apart: NDArray[np.bool_], kind: str, words: Words) -> tuple[Anomaly, ...]:
    """The anomaly of answers (segments, by a mask) that no single growing object can show beside its largest one."""
    shapes = growth.shapes
    mask = apart[shapes.segment]
    if not mask.any():
        return ()
    read = int(np.argmax(mask))
    same = np.flatnonzero((shapes.key[shapes.segment] == shapes.key[shapes.segment[read]]) & growth.fitting)
    # The smallest state that the answer had to be within; there is one, or the answer would not contradict anything.
    same = same[shapes.level[same] >= shapes.level[read]]
    other = int(growth.reads[same[np.argmin(shapes.level[same])]])
    position = int(growth.reads[read])
    sentence = (
        f"{called(growth.operations, position)} contradicts {called(growth.operations, other)}: neither "
        f"{words.noun} is {'the beginning' if words.ordered else 'a part'} of the other"
    )
    accused = growth.reads[mask]
    return (Anomaly(kind, "sequential", len(accused), (other, position), sentence, accused),)


def _thin(teller: _Teller, read: int, found: dict[int, Collection[Any]]) -> _Told:
    growth = teller.growth
    position = int(growth.reads[read])
    asked = {identity(growth.operations.values[int(growth.additions.value[one])]) for one in _of_key(growth, read)}
    strange = [element for element in found[int(growth.operations.result[position])] if element not in asked]
    element = min(map(shown, strange))
    return (position,), f"{teller.name(position)} answers {element}, which nobody ever {teller.words.added}"


def _of_key(growth: Growth, read: int) -> Indexes:
    return np.flatnonzero(growth.additions.key == growth.shapes.key[growth.shapes.segment[read]])


def _failed(teller: _Teller, read: int) -> _Told:
    return _not_happened(teller, read, "had been reported as failed before the read began")


def _aborted(teller: _Teller, read: int) -> _Told:
    return _not_happened(teller, read, "failed: it never happened", late=True)


def _not_happened(teller: _Teller, read: int, what: str, late: bool = False) -> _Told:
    growth = teller.growth
    groups = teller.groups(teller.held(read))
    groups = groups[growth.additions.failed[groups] != NONE]
    told = growth.additions.told[groups]
    group = int(groups[np.argmax(told) if late else np.argmin(told)])
    failed, position = int(growth.additions.failed[group]), int(growth.reads[read])
    sentence = f"{teller.name(position)} answers {teller.value(group)}, but {teller.name(failed)} {what}"
    return (failed, position), sentence


def _future(teller: _Teller, read: int) -> _Told:
    growth = teller.growth
    groups = teller.groups(teller.held(read))
    group = int(groups[np.argmax(growth.additions.began[groups])])
    first, position = int(growth.additions.first[group]), int(growth.reads[read])
    sentence = (
        f"{teller.name(position)} answers {teller.value(group)} and had returned before {teller.name(first)} began"
    )
    return (position, first), sentence


def _empty(teller: _Teller, read: int) -> _Told:
    growth = teller.growth
    groups = _of_key(growth, read)
    group = int(groups[np.argmin(growth.additions.known[groups])])
    acknowledged, position = int(growth.additions.acknowledged[group]), int(growth.reads[read])
    sentence = (
        f"{teller.name(position)} answers nothing, although {teller.name(acknowledged)} had been acknowledged "
        "before it began"
    )
    return (acknowledged, position), sentence


def _stale(teller: _Teller, read: int) -> _Told:
    growth = teller.growth
    shapes = growth.shapes
    missing = np.arange(growth.end[read], shapes.start[shapes.segment[read] + 1])
    flat = teller.first_known(missing)
    group, other = int(growth.group[flat]), int(growth.reads[teller.smallest_holding(flat)])
    acknowledged, position = int(growth.additions.acknowledged[group]), int(growth.reads[read])
    sentence = (
        f"{teller.name(position)} answers without {teller.value(group)}, although {teller.name(acknowledged)} had been "
        f"acknowledged before it began; {teller.name(other)} shows it"
    )
    return (acknowledged, position, other), sentence


def _inverted(teller: _Teller, read: int) -> _Told:
    growth = teller.growth
    shapes = growth.shapes
    larger = np.flatnonzero((shapes.segment == shapes.segment[read]) & (shapes.level > shapes.level[read]))
    earlier = int(growth.reads[larger[np.argmin(growth.completed[larger])]])
    position = int(growth.reads[read])
    sentence = (
        f"{teller.name(position)} answers less than {teller.name(earlier)}, which had returned before it began: "
        f"the {teller.words.noun} shrank"
    )
    return (earlier, position), sentence


def _lost(teller: _Teller, group: int) -> _Told:
    growth = teller.growth
    own = growth.additions
    acknowledged = int(own.acknowledged[group])
    of_key = np.flatnonzero(growth.keys[growth.reads] == own.key[group])
    last = int(of_key[np.argmax(growth.invoked[of_key])])
    begins = f"{teller.name(acknowledged)} was acknowledged"
    if growth.invoked[last] > own.known[group]:
        position = int(growth.reads[last])
        sentence = f"{begins}, and no read ever shows {teller.value(group)}; {teller.name(position)} began afterwards"
        return (acknowledged, position), sentence
    flats = np.flatnonzero((growth.group != NONE) & growth.shapes.fits[growth.flat_segment])
    flats = flats[own.key[growth.group[flats]] == own.key[group]]
    flat = int(flats[np.argmax(own.began[growth.group[flats]])])
    later, read = int(own.first[growth.group[flat]]), int(growth.reads[teller.smallest_holding(flat)])
    sentence = (
        f"{begins} before {teller.name(later)} began, but {teller.name(read)} shows "
        f"{teller.value(int(growth.group[flat]))} without {teller.value(group)}, and so does every read"
    )
    return (acknowledged, later, read), sentence


def _overtaken(teller: _Teller, flat: int) -> _Told:
    growth = teller.growth
    own, shapes = growth.additions, growth.shapes
    group = int(growth.group[flat])
    beyond = np.arange(growth.next_stage(np.array([flat]))[0], shapes.start[growth.flat_segment[flat] + 1])
    earlier_flat = teller.first_known(beyond)
    other = int(growth.group[earlier_flat])
    acknowledged, later = int(own.acknowledged[other]), int(own.first[group])
    before = f"{teller.name(acknowledged)} had been acknowledged before {teller.name(later)} began"
    both = int(growth.reads[teller.smallest_holding(earlier_flat)])
    if teller.words.ordered:
        sentence = f"{before}, but {teller.name(both)} shows {teller.value(group)} ahead of {teller.value(other)}"
        return (acknowledged, later, both), sentence
    one = int(growth.reads[teller.smallest_holding(flat)])
    sentence = (
        f"{before}, but {teller.name(one)} shows {teller.value(group)} without {teller.value(other)}, which "
        f"{teller.name(both)} shows"
    )
    return (acknowledged, later, one, both), sentence
