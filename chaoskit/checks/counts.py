"""What answers of a counter cannot be, by what had been added; see `chaoskit.checks.models.counter` for the rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.result import Anomaly
from chaoskit.checks.words import called
from chaoskit.history.operation import NONE
from chaoskit.history.operations import NEVER, Operations

__all__ = ["Adds", "Reads", "Wrong", "impossible", "out_of_bounds", "told"]

_LARGEST = 10  # operations in a witness
_SHOWN = 8  # adds in a witness, beside one or two reads, where more would show nothing more
_TRIED = 5  # wrong reads of a kind of which the one with the smallest witness is shown
_Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Adds:
    """Adds that may have happened, with their ranks; amounts are not 0."""

    position: _Ints
    invoked: _Ints
    completed: _Ints
    amount: _Ints
    ok: NDArray[np.bool_]

    def begun(self, before: _Ints) -> _Ints:
        """Sum of those invoked before each of some ranks."""
        return _sums(self.invoked, self.amount, before)

    def acknowledged(self, before: _Ints) -> _Ints:
        """Sum of those acknowledged before each of some ranks."""
        return _sums(self.completed[self.ok], self.amount[self.ok], before)

    def where(self, chosen: NDArray[Any]) -> Adds:
        """Some of them, by positions or a mask."""
        return Adds(*(column[chosen] for column in (self.position, self.invoked, self.completed, self.amount, self.ok)))


@dataclass(frozen=True)
class Reads:
    """Answered reads by rising answer, the beginning (position -1, before everything) first."""

    position: _Ints
    invoked: _Ints
    completed: _Ints
    answer: _Ints

    def where(self, chosen: NDArray[Any]) -> Reads:
        """Some of them, by positions or a mask."""
        return Reads(*(column[chosen] for column in (self.position, self.invoked, self.completed, self.answer)))


@dataclass(frozen=True)
class Wrong:
    """A read that cannot be right. `prove` gives the witness and the sentence, which cost more than knowing it."""

    kind: str
    read: int
    prove: Callable[[], tuple[tuple[int, ...], str]]


def impossible(operations: Operations, adds: Adds, reads: Reads) -> Iterator[Wrong]:
    """Reads of a counter from which nothing is taken away."""
    # Answers that fall, by the read of a greater answer that ended first.
    ended = np.append(np.minimum.accumulate(reads.completed[::-1])[::-1], NEVER)
    falling = ended[np.searchsorted(reads.answer, reads.answer, side="right")] < reads.invoked
    start = int(reads.answer[reads.position == NONE][0])
    for at in np.flatnonzero(falling):
        kind = "thin-air" if reads.answer[at] < start else "non-monotonic"
        yield Wrong(kind, int(reads.position[at]), partial(_fell, operations, reads, int(at)))
    reads = reads.where(~falling)

    # Between two reads nothing more has to be asked: a surplus there, and none in all, is an add lost before them.
    surplus = reads.answer - adds.begun(reads.completed) > start
    uneven = (reads.answer - start) % max(1, gcd(*adds.amount.tolist())) != 0
    for at in np.flatnonzero(surplus | uneven):
        yield Wrong("thin-air", int(reads.position[at]), partial(_beyond, operations, adds, reads, int(at), start))
    yield from _missing(operations, adds, reads)


def _fell(operations: Operations, reads: Reads, at: int) -> tuple[tuple[int, ...], str]:
    greater = np.flatnonzero(reads.answer > reads.answer[at])
    read, other = int(reads.position[at]), int(reads.position[greater[np.argmin(reads.completed[greater])]])
    if other == NONE:
        return (read,), f"{called(operations, read)} is less than the count began with, and nothing is taken away"
    before = f"{called(operations, other)}, which had ended before it began"
    return (other, read), f"{called(operations, read)} is less than {before}, and nothing is taken away"


def _beyond(operations: Operations, adds: Adds, reads: Reads, at: int, start: int) -> tuple[tuple[int, ...], str]:
    begun, read = adds.where(adds.invoked < reads.completed[at]), int(reads.position[at])
    rise, most = int(reads.answer[at]) - start, int(begun.amount.sum())
    sentence = f"{called(operations, read)} is {rise} more than the count began with, but "
    if rise > most:
        sentence += f"all adds that had begun before it ended make {most}"
    else:
        sentence += f"every amount is a multiple of {gcd(*adds.amount.tolist())}"
    shown = begun.position[np.argsort(begun.invoked)][-_SHOWN:]
    return _together(read, NONE, shown), sentence


def _missing(operations: Operations, adds: Adds, reads: Reads) -> Iterator[Wrong]:
    """Acknowledged adds for which the answers leave no room."""
    answers, first = np.unique(reads.answer, return_index=True)
    # The first to end of the reads that answered as much or more; the last to begin of those that did as much or less.
    after = np.minimum.accumulate(np.minimum.reduceat(reads.completed, first)[::-1])[::-1]
    until = np.maximum.accumulate(np.maximum.reduceat(reads.invoked, first))
    early = np.searchsorted(after, adds.invoked)
    late = np.searchsorted(until, adds.completed, side="right")
    due = late < len(answers)
    begins = reads.invoked.argsort()
    for group in _overfull(early[due], late[due], adds.amount[due], np.diff(answers)):
        culprit = int(begins[np.searchsorted(reads.invoked[begins], until[group])])
        read = int(reads.position[culprit])
        proof = partial(_lost, operations, adds, reads, culprit, answers[: group + 1], after[: group + 1])
        yield Wrong(_low(operations, read), read, proof)


def _lost(
    operations: Operations, adds: Adds, reads: Reads, culprit: int, answers: _Ints, after: _Ints
) -> tuple[tuple[int, ...], str]:
    inside = adds.where(adds.completed < reads.invoked[culprit])
    needed = inside.amount.sum() - inside.begun(after)
    proving = np.flatnonzero(needed > answers[-1] - answers)
    # Of all reads that prove it, the one whose answer is nearest: it takes the fewest adds to show.
    ends = reads.completed.argsort()
    others = ends[np.searchsorted(reads.completed[ends], after[proving])]
    other = int(others[np.argmax(reads.answer[others])])
    rise = int(reads.answer[culprit] - reads.answer[other])
    inside = inside.where(inside.invoked > reads.completed[other])
    largest = np.argsort(-inside.amount, kind="stable")
    enough = inside.where(largest[: int(np.searchsorted(np.cumsum(inside.amount[largest]), rise, side="right")) + 1])
    read, earlier = int(reads.position[culprit]), int(reads.position[other])
    before = f"of {called(operations, earlier)}" if earlier != NONE else "that the count began with"
    adds_of = f"{len(enough.position)} {'add' if len(enough.position) == 1 else 'adds'} of {enough.amount.sum()} in all"
    sentence = (
        f"{called(operations, read)} is {rise} more than the {reads.answer[other]} {before}, although {adds_of} began "
        "after that and had been acknowledged when it began"
    )
    return _together(read, earlier, enough.position), sentence


def _overfull(early: _Ints, late: _Ints, amount: _Ints, room: _Ints) -> list[int]:
    """Indexes of answers before which adds had to be counted that do not fit; gap g lies before answer g.

    Every gap is filled with what has to be placed first (Jackson's rule: with it, what can be placed is placed).
    """
    order = np.argsort(early, kind="stable")
    jobs = list(zip(early[order].tolist(), late[order].tolist(), amount[order].tolist(), strict=True))
    waiting: list[tuple[int, int]] = []
    found: set[int] = set()
    at = 0
    for gap, left in enumerate(room.tolist(), start=1):
        while at < len(jobs) and jobs[at][0] <= gap:
            heappush(waiting, jobs[at][1:])
            at += 1
        while waiting and (left or waiting[0][0] <= gap):
            last, size = heappop(waiting)
            if last < gap or (last == gap and size > left):
                found.add(last)
                left -= min(left, size) if last == gap else 0
            elif size > left:
                heappush(waiting, (last, size - left))
                left = 0
            else:
                left -= size
    found.update(last for _, last, _ in jobs[at:])
    return sorted(found)


def out_of_bounds(operations: Operations, adds: Adds, reads: Reads) -> Iterator[Wrong]:
    """Reads of a counter from which something may be taken away."""
    start = int(reads.answer[reads.position == NONE][0])
    reads = reads.where(reads.position != NONE)
    sure = start + adds.acknowledged(reads.invoked)
    less, more = (
        part.begun(reads.completed) - part.acknowledged(reads.invoked)
        for part in (adds.where(adds.amount < 0), adds.where(adds.amount > 0))
    )
    for at in np.flatnonzero((reads.answer < sure + less) | (reads.answer > sure + more)):
        below, read = bool(reads.answer[at] < sure[at]), int(reads.position[at])
        outright = bool(reads.answer[at] < start if below else reads.answer[at] > start)
        bounds = f"between {sure[at] + less[at]} and {sure[at] + more[at]}"
        proof = partial(_bound, operations, adds, reads, int(at), (start, below, outright), bounds)
        yield Wrong("thin-air" if outright else _low(operations, read), read, proof)


def _bound(
    operations: Operations, adds: Adds, reads: Reads, at: int, how: tuple[int, bool, bool], bounds: str
) -> tuple[tuple[int, ...], str]:
    (start, below, outright), read = how, int(reads.position[at])
    begun = adds.where(adds.invoked < reads.completed[at])
    if len(begun.position) > _SHOWN:
        # Too many to show: the fewest acknowledged ones that put the answer out of reach.
        begun = begun.where(begun.ok & (begun.completed < reads.invoked[at]))
        begun = begun.where(begun.amount > 0 if below else begun.amount < 0)
        begun = begun.where(np.argsort(-np.abs(begun.amount), kind="stable"))
        reached = np.append(0, np.cumsum(np.abs(begun.amount)))
        fewest = np.searchsorted(reached, abs(reads.answer[at] - start), side="right")
        begun = begun.where(np.arange(0 if outright else int(fewest)))
    sentence = (
        f"{called(operations, read)} is not {bounds}: what was acknowledged before it began must be in it, and what "
        "was begun before it ended may be"
    )
    return _together(read, NONE, begun.position), sentence


def _low(operations: Operations, read: int) -> str:
    return "nil-after-ack" if operations.result[read] == NONE else "lost-add"


def _together(read: int, other: int, adds: _Ints) -> tuple[int, ...]:
    return tuple(sorted({read, *adds.tolist()} | ({other} - {NONE})))


def told(wrong: list[Wrong]) -> Iterator[Anomaly]:
    """All kinds of anomalies, each with the smallest witness of the first few reads."""
    for kind in ("thin-air", "nil-after-ack", "lost-add", "non-monotonic"):
        found = [one for one in wrong if one.kind == kind]
        if found:
            witness, sentence = min((one.prove() for one in found[:_TRIED]), key=lambda proof: len(proof[0]))
            accused = np.unique(np.array([one.read for one in found], dtype=np.int64))
            # A count is wrong only against everything that was counted: of many adds, the last ones are shown.
            shown = witness if len(witness) <= _LARGEST else (witness[0], *witness[1 - _LARGEST :])
            left_out = len(witness) - len(shown)
            yield Anomaly(kind, "linearizable", len(accused), shown, sentence, accused, left_out=left_out)


def _sums(at: _Ints, amount: _Ints, before: _Ints) -> _Ints:
    order = np.argsort(at, kind="stable")
    total = np.append(0, np.cumsum(amount[order]))
    return np.asarray(total[np.searchsorted(at[order], before)], dtype=np.int64)
