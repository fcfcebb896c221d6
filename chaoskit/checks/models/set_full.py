"""Model `set-full`: what becomes of every element of a set in the long run: stable, lost, never read, and how stale.

Operations: `add` (value: the element) and `read` (answers the whole set, as a set or a list). It judges no consistency
level: reads may be stale and may disagree for a while (the model `set` judges that). Its rule is that nothing is lost,
shown twice, or shown without having been added. An element is *known* from its acknowledgement on, or from the end of
the first read that shows it, whichever was earlier. Then it is

    lost        a read that began after it was known does not show it, and every read that does had ended before that
    stable      the last read to begin among all shows it; *stale* for the time from when it was known to the beginning
                of the last read that missed it, at least
    never read  no read began after it was known
    unsettled   the last reads overlap, and only some of them show it

Where no read began after an acknowledgement nothing could be lost, and the result is inconclusive. Source: `set-full`
of Jepsen's checkers, which calls an element lost when the last read to begin misses it, though another that overlaps
may show it, and which counts neither duplicates nor failed additions that show.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.altering import SETS
from chaoskit.checks.elements import Indexes, Ranks
from chaoskit.checks.forms import only
from chaoskit.checks.quantiles import nearest_rank
from chaoskit.checks.result import Alteration, Anomaly, Options, Result, judged
from chaoskit.checks.set_fates import Fates, fates_of
from chaoskit.checks.words import called, shortened
from chaoskit.history.operation import NONE
from chaoskit.history.operations import NEVER, Operations
from chaoskit.history.values import shown

__all__ = ["MODEL", "SetFull"]

_Told = tuple[tuple[int, ...], str]


class SetFull:
    """Sets per key; `exposed` are the elements for which a read began after they were known."""

    name = "set-full"
    summary = "add x / read the whole set: no element is ever lost for good; says how long each was not shown"
    functions = frozenset({"add", "read"})
    levels: tuple[str, ...] = ()
    alterations: tuple[Alteration, ...] = tuple(one for one in SETS if one.kind != "stale-read")
    per_key = True

    def check(self, operations: Operations, options: Options) -> Result:
        """Judge a history; see the module for the rules."""
        only(operations, self.name, self.functions)
        fates = fates_of(operations)
        told = _anomalies(fates)
        exposed = int(np.count_nonzero(fates.looked_for))
        reasons: tuple[str, ...] = ()
        if not exposed and not fates.stable.any() and (fates.additions.known != NEVER).any():
            reasons = ("no read began after anything had been acknowledged: read the set once more at the end",)
        return judged(
            self.name,
            "",
            "no element is lost for good, shown twice, or shown without having been added",
            len(operations),
            exposed,
            told,
            reasons=reasons,
            numbers=_numbers(fates),
        )


MODEL = SetFull()


def _anomalies(fates: Fates) -> tuple[Anomaly, ...]:
    operations, own, reads = fates.operations, fates.additions, fates.reads
    found: list[Anomaly] = []

    def add(kind: str, accused: Indexes, tell: Callable[[], _Told]) -> None:
        if len(accused):
            witness, sentence = tell()
            found.append(Anomaly(kind, "", len(accused), witness, sentence, np.sort(accused)))

    def name(position: int) -> str:
        return called(operations, int(position))

    def element(group: int) -> str:
        return shortened(shown(operations.values[int(own.value[group])]))

    lost = np.flatnonzero(fates.lost)
    add("lost", own.first[lost], lambda: _lost(fates, int(lost[0])))
    failed = fates.group != NONE
    failed[failed] = own.first[fates.group[failed]] == NONE
    told = np.where(failed, own.told[fates.group] if len(own.code) else NONE, NONE)
    # Reads are in order of invocation within a stretch: those from `turn` on began after the failure was told.
    turn = _turns(fates, told)
    for kind, begin, end, what in (
        (
            "resurrection",
            np.maximum(turn, fates.begins),
            fates.ends,
            "had been reported as failed before the read began",
        ),
        ("aborted-read", fates.begins, np.minimum(turn, fates.ends), "failed: it never happened"),
    ):
        stretches = np.flatnonzero(failed & (begin < end))

        def unhappened(begin: Indexes = begin, stretches: Indexes = stretches, what: str = what) -> _Told:
            group, read = int(fates.group[stretches[0]]), int(reads[begin[stretches[0]]])
            put = int(own.failed[group])
            return (put, read), f"{name(read)} shows {element(group)}, but {name(put)} {what}"

        add(kind, reads[_within(begin[stretches], end[stretches], len(reads))], unhappened)
    strange = np.flatnonzero(fates.group == NONE)

    def thin() -> _Told:
        read = int(reads[fates.begins[strange].min()])
        return (read,), f"{name(read)} shows an element that nobody ever added"

    add("thin-air", reads[_within(fates.begins[strange], fates.ends[strange], len(reads))], thin)
    repeated = reads[fates.twice]
    add("duplicate", repeated, lambda: ((int(repeated[0]),), f"{name(repeated[0])} shows an element more than once"))
    early = np.flatnonzero((fates.group != NONE) & ~failed)
    early = early[fates.first_ended[early] < own.began[fates.group[early]]]

    def future() -> _Told:
        group = int(fates.group[early[0]])
        stretch = np.arange(fates.begins[early[0]], fates.ends[early[0]])
        read, put = int(reads[stretch[np.argmin(fates.completed[stretch])]]), int(own.first[group])
        return (read, put), f"{name(read)} shows {element(group)} and had returned before {name(put)} began"

    add("future-read", own.first[np.unique(fates.group[early])], future)
    return tuple(found)


def _turns(fates: Fates, told: Ranks) -> Indexes:
    """Of each stretch: the first read of its key that began after a rank."""
    bound = 2 + int(max(fates.invoked.max(initial=0), told.max(initial=0)))
    key = fates.read_key[fates.begins] if len(fates.begins) else fates.begins
    place = fates.read_key * bound + fates.invoked
    return np.asarray(np.searchsorted(place, key * bound + told, side="right"), dtype=np.int64)


def _within(begins: Indexes, ends: Indexes, count: int) -> NDArray[np.bool_]:
    """Mask of the places that lie in any of some stretches."""
    steps = np.zeros(count + 1, dtype=np.int64)
    np.add.at(steps, begins, 1)
    np.add.at(steps, ends, -1)
    return np.cumsum(steps)[:-1] > 0


def _lost(fates: Fates, group: int) -> _Told:
    operations, own = fates.operations, fates.additions
    last = int(fates.reads[fates.last_missed[group]])
    gone = f"{called(operations, last)}, the last read to begin, does not show it"
    if own.known[group] < operations.invoked[last]:
        put = int(own.acknowledged[group])
        return (put, last), f"{called(operations, put)} was acknowledged, but {gone}"
    stretches = np.flatnonzero(fates.group == group)
    stretch = stretches[np.argmin(fates.first_ended[stretches])]
    seen = np.arange(fates.begins[stretch], fates.ends[stretch])
    read, put = int(fates.reads[seen[np.argmin(fates.completed[seen])]]), int(own.first[group])
    element = shortened(shown(operations.values[int(own.value[group])]))
    return (put, read, last), f"{called(operations, read)} shows {element}, but {gone}"


def _numbers(fates: Fates) -> dict[str, float]:
    stale = fates.stable & fates.missed
    settled = fates.lost | fates.stable
    figures: dict[str, float] = {
        "elements that were known": int(np.count_nonzero(fates.known != NEVER)),
        "stable": int(np.count_nonzero(fates.stable)),
        "lost": int(np.count_nonzero(fates.lost)),
        "never read": int(np.count_nonzero((fates.known != NEVER) & ~fates.looked_for & ~settled)),
        "unsettled": int(np.count_nonzero(fates.looked_for & ~settled)),
        "stale for a while": int(np.count_nonzero(stale)),
    }
    if fates.operations.timed and fates.stable.any():
        ages = np.zeros(len(stale))
        places = np.flatnonzero(stale)
        order = np.argsort(fates.operations.completed)
        proof = order[np.searchsorted(fates.operations.completed[order], fates.known[places])]
        missed = fates.reads[fates.last_missed[places]]
        ages[places] = np.maximum(0, fates.operations.began_ns[missed] - fates.operations.ended_ns[proof]) / 1e6
        p50, p99, worst = nearest_rank(ages[fates.stable], (500, 990, 1000))
        figures |= {"staleness p50, ms": p50, "staleness p99, ms": p99, "staleness max, ms": worst}
    return figures
