"""Registers: which write each answer comes from, where every value that was answered was written once.

The initial value of a register, or a write, and all answers that show its value are one *cluster*. Everything that is
asked of a register with unique values is asked about clusters: `chaoskit.checks.zones` (one write each) and
`chaoskit.checks.chains` (compare-and-set ties clusters together).

What is known to have had no effect is not there: a failed operation did not happen, a write of unknown outcome whose
value nobody saw can always be placed "never", and so can a compare-and-set, transitively. A compare-and-set to the
value that it found changes nothing: where it succeeded it is a read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.forms import unlike
from chaoskit.history.operation import NONE
from chaoskit.history.operations import NEVER, Operations
from chaoskit.history.values import Values, frozen

__all__ = ["Origins", "decode"]

Positions = NDArray[np.int64]
Ranks = NDArray[np.int64]
_READ, _WRITE, _CAS = 0, 1, 2
_CODES = {"read": _READ, "write": _WRITE, "cas": _CAS}
_ROOM = 1 << 62


@dataclass(frozen=True, eq=False)
class Origins:
    """Clusters of all registers of a history, and the answers that belong to none.

    Ranks are *lifted*: register k's are moved by k * span, so that one pass serves all registers and no two of them
    meet. The initial value was written before everything else, a completion that nobody saw comes after it.

    Attributes:
        registers: how many there are. register: of every operation, counted from 0.
        began, ended: lifted ranks of every operation.
        writer: of every cluster, position of the write or compare-and-set; NONE for the initial values, which are the
            first `registers` clusters. The others are in order of invocation.
        owner: of every cluster, its register. start, end: lifted ranks of its writer.
        parent: of every cluster, the one whose value its compare-and-set replaced; NONE where it was written, or where
            nobody wrote what was compared.
        seer: positions of the operations that showed a value: answered reads, compare-and-sets that happened.
        cluster: of every seer, where its value comes from; NONE: nobody wrote it, or the register is ambiguous.
        aborted: of every seer, position of the failed write whose value it shows though no other write could have
            written it; else NONE.
        unwritten: mask of seers whose value no write that may have happened ever wrote.
        early: mask of seers that were answered before any write of their value had begun.
        ambiguous: mask of registers in which an answered value has several writes that may have happened.
        kept: mask of operations that take part (those that left no trace do not).
        shows, makes: value numbers that an operation shows or writes, as codes of (register, value); NONE otherwise.
        initial: of every register, the code of its initial value.
    """

    registers: int
    register: NDArray[np.int64]
    began: Ranks
    ended: Ranks
    writer: Positions
    owner: NDArray[np.int64]
    start: Ranks
    end: Ranks
    parent: NDArray[np.int64]
    seer: Positions
    cluster: NDArray[np.int64]
    aborted: Positions
    unwritten: NDArray[np.bool_]
    early: NDArray[np.bool_]
    ambiguous: NDArray[np.bool_]
    kept: NDArray[np.bool_]
    shows: NDArray[np.int64]
    makes: NDArray[np.int64]
    initial: NDArray[np.int64]

    def tied(self, trusted: NDArray[np.bool_]) -> tuple[Ranks, Ranks]:
        """Per cluster the first completion and the last invocation of its operations.

        Args:
            trusted: mask of seers that count.
        """
        first, last = self.end.copy(), self.start.copy()
        at, seer = self.cluster[trusted], self.seer[trusted]
        np.minimum.at(first, at, self.ended[seer])
        np.maximum.at(last, at, self.began[seer])
        return first, last

    def members(self, cluster: int, trusted: NDArray[np.bool_]) -> Positions:
        """Positions of the operations of a cluster: its writer, if it has one, and the seers that count."""
        found = self.seer[(self.cluster == cluster) & trusted]
        return found if self.writer[cluster] == NONE else np.append(self.writer[cluster], found)


def decode(operations: Operations, initial: Any = None) -> Origins:
    """Take the history of one or more registers apart.

    Args:
        operations: `read`, `write` and `cas` (asked [old new]); everything else is left out.
        initial: what every register holds before anything is written; None = nothing.

    Raises:
        HistoryError: a compare-and-set does not ask [old new]. The history's fault.
    """
    number = np.array([_CODES.get(name, NONE) for name in operations.functions] or [NONE], dtype=np.int8)
    function = number[operations.f]
    ok, failed = operations.ok, operations.failed
    shown, made, nothing, values = _values(operations, function, initial)
    register, registers = _registers(operations.key, len(operations.values))
    began, ended, span = _lifted(operations, register, registers)

    changes = (function == _WRITE) | ((function == _CAS) & (shown != made))
    looks = ((function == _READ) & ok) | ((function == _CAS) & ~failed & (changes | ok))
    code = register * (values + 1) + 1
    shows = np.where(looks, code + shown, NONE)
    makes = np.where(changes, code + made, NONE)
    start = np.arange(registers, dtype=np.int64) * (values + 1) + 1 + nothing
    size = registers * (values + 1)
    if size > 4 * len(operations) + 10_000:
        shows, makes, start, size = _dense(shows, makes, start)

    observed = np.zeros(size, dtype=np.bool_)
    observed[shows[looks & ok]] = True
    unsure = np.flatnonzero(looks & ~ok)  # compare-and-sets of unknown outcome
    while len(unsure):
        happened = observed[makes[unsure]]
        if not happened.any():
            break
        observed[shows[unsure[happened]]] = True
        unsure = unsure[~happened]
    looks[unsure] = False

    lost = np.flatnonzero(changes & failed)
    changes &= ok | (~failed & observed[makes])
    writer = np.flatnonzero(changes)
    seer = np.flatnonzero(looks)
    owner = np.concatenate([np.arange(registers), register[writer]])
    home = np.concatenate([start, makes[writer]])  # code of every cluster's value
    writes = np.bincount(home, minlength=size)
    source = np.full(size, NONE, dtype=np.int64)
    source[home] = np.arange(len(home))
    several = (writes > 1) & observed
    ambiguous = np.zeros(registers, dtype=np.bool_)
    ambiguous[owner[several[home]]] = True

    cluster = source[shows[seer]]
    unwritten = cluster == NONE
    origin_start = np.concatenate([np.arange(registers) * span, began[writer]])
    origin_end = np.concatenate([np.arange(registers) * span, ended[writer]])
    early = (ended[seer] < origin_start[cluster]) & ~unwritten
    parent = np.full(len(home), NONE, dtype=np.int64)
    cas = np.flatnonzero(function[writer] == _CAS)
    if len(cas):
        parent[cas + registers] = source[shows[writer[cas]]]
    if ambiguous.any():
        doubtful = ambiguous[register[seer]]
        first = np.full(size, _ROOM, dtype=np.int64)
        np.minimum.at(first, home, origin_start)
        early = np.where(doubtful, (ended[seer] < first[shows[seer]]) & ~unwritten, early)
        # Where several may have written a value, a compare-and-set of unknown outcome need not have been the one.
        unsettled = doubtful & ~ok[seer]
        early[unsettled] = unwritten[unsettled] = False
        cluster = np.where(doubtful, NONE, cluster)
        parent[ambiguous[owner]] = NONE
    aborted = np.full(len(seer), NONE, dtype=np.int64)
    if len(lost) and unwritten.any():
        failure = np.full(size, NONE, dtype=np.int64)
        failure[makes[lost]] = lost
        aborted[unwritten] = failure[shows[seer[unwritten]]]
    return Origins(
        registers=registers,
        register=register,
        began=began,
        ended=ended,
        writer=np.concatenate([np.full(registers, NONE, dtype=np.int64), writer]),
        owner=owner,
        start=origin_start,
        end=origin_end,
        parent=parent,
        seer=seer,
        cluster=cluster,
        aborted=aborted,
        unwritten=unwritten,
        early=early,
        ambiguous=ambiguous,
        kept=changes | looks,
        shows=shows,
        makes=makes,
        initial=start,
    )


def _values(
    operations: Operations, function: NDArray[np.int8], initial: Any
) -> tuple[NDArray[np.int64], NDArray[np.int64], int, int]:
    """Per operation the value shown and the value written, the initial value, and how many numbers there are."""
    shown, made, count = operations.result, operations.value, len(operations.values)
    cas = np.flatnonzero(function == _CAS)
    if not len(cas) and initial is None:
        return shown, made, NONE, count
    numbers, values = Values(), operations.values
    used = np.zeros(count + 1, dtype=np.bool_)
    used[operations.result[function == _READ]] = True
    used[operations.value[function == _WRITE]] = True
    again = np.full(count + 1, NONE, dtype=np.int64)
    plain = np.flatnonzero(used[:-1])
    again[plain] = [numbers.number(values[one]) for one in plain.tolist()]
    shown, made = again[shown], again[made]
    pairs, first = np.unique(operations.value[cas], return_index=True)
    old, new = np.full((2, count + 1), NONE, dtype=np.int64)
    for number, at in zip(pairs.tolist(), first.tolist(), strict=True):
        asked = operations.of_value(number)
        if not isinstance(asked, tuple) or len(asked) != 2:
            raise unlike(operations, int(cas[at]), "does not ask for [old new], as a cas does")
        old[number], new[number] = numbers.number(asked[0]), numbers.number(asked[1])
    shown[cas], made[cas] = old[operations.value[cas]], new[operations.value[cas]]
    nothing = numbers.number(frozen(initial))
    return shown, made, nothing, len(numbers.all)


def _registers(key: NDArray[np.int64], values: int) -> tuple[NDArray[np.int64], int]:
    """Keys numbered from 0 without gaps; NONE is a key like others."""
    there = np.zeros(values + 1, dtype=np.bool_)
    there[key] = True
    number = np.cumsum(there) - 1
    return number[key], max(1, int(number[-1]) + 1)


def _lifted(operations: Operations, register: NDArray[np.int64], registers: int) -> tuple[Ranks, Ranks, int]:
    invoked, completed = operations.invoked, operations.completed
    known = completed != NEVER
    highest = max(int(invoked.max(initial=0)), int(completed.max(initial=0, where=known)))
    if (highest + 3) * registers >= _ROOM or int(invoked.min(initial=0)) < 0:
        # Somebody's ranks are clock readings. Their order is all that counts.
        every = np.unique(np.concatenate([invoked, completed[known]]))
        invoked, highest = np.searchsorted(every, invoked), len(every)
        completed = np.where(known, np.searchsorted(every, completed), NEVER)
    span = highest + 3
    base = register * span + 1
    return base + invoked, base + np.where(known, completed, span - 2), span


def _dense(
    shows: NDArray[np.int64], makes: NDArray[np.int64], start: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], int]:
    """The same codes without gaps, NONE as it is."""
    looks, changes = shows != NONE, makes != NONE
    found, number = np.unique(np.concatenate([shows[looks], makes[changes], start]), return_inverse=True)
    first, second = np.count_nonzero(looks), np.count_nonzero(looks) + np.count_nonzero(changes)
    shows, makes = shows.copy(), makes.copy()
    shows[looks], makes[changes] = number[:first], number[first:second]
    return shows, makes, number[second:], len(found)
