"""Model `counter`: a number that is added to and read, one counter per key.

    add n   n more (a negative n is less); an answer says that it was counted
    read    the answer is the count; nil is the count before anything was added

Where nothing is taken away (every n >= 0):

    thin-air       a read answers more than the count began with and all adds that had begun before it ended, or less
                   than it began with, or no sum of the amounts at all (odd, where all amounts are even)
    non-monotonic  a read answers less than a read that had ended before it began
    lost-add       between two reads, the first of which ended before the second began, the count rose by less than the
                   adds that began after the first and were acknowledged before the second make (the first may be the
                   beginning; `nil-after-ack` where the second answered nil)

For equal amounts n that is exact. Put the reads in the order of their answers: the gap between two neighbours must be
filled by exactly (y - x) / n adds, and each add may go to an interval of gaps. Some assignment fills all gaps and
places all acknowledged adds iff every stretch of gaps has enough adds that may go there and not too many that must
(Hall's theorem for intervals, and Mendelsohn and Dulmage's to have both at once), and the worst stretch lies between
two reads as above; adds that change places to keep real time are equal. Where amounts differ, whether some of them
add up to an answer is the subset sum problem: the conditions are necessary only.

With negative amounts Jepsen's bounds are left: no read below what was acknowledged before it began plus all that may
have been taken away, and none above it likewise (kinds as above). Exactness is NP-hard there.
"""

from __future__ import annotations

import random as randomness
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.counts import Adds, Reads, Wrong, impossible, out_of_bounds, told
from chaoskit.checks.forms import BEYOND, answering, answering_id, only, unlike, whole, wholes
from chaoskit.checks.result import Alteration, Options, Result, judged
from chaoskit.errors import HistoryError
from chaoskit.history.operation import NONE
from chaoskit.history.operations import Operations

__all__ = ["MODEL", "Counter"]

_Ints = NDArray[np.int64]
_NECESSARY = (
    "amounts differ: which of them add up to an answer was not searched, only bounds between reads were checked"
)
_SIGNS = "amounts are added and taken away: only bounds for each read were checked, which are necessary, not sufficient"


def _recount(operations: Operations, position: int, random: randomness.Random) -> Operations | None:
    answer = _answer_before(operations, position)
    adds = np.flatnonzero(operations.ok & operations.named("add") & (operations.key == operations.key[position]))
    adds = adds[operations.completed[adds] < operations.invoked[position]]
    amount = whole(operations.of_value(operations.value[random.choice(adds.tolist())])) if len(adds) else None
    return None if answer is None or not amount else answering(operations, position, answer - amount)


def _old_answer(operations: Operations, position: int, random: randomness.Random) -> Operations | None:
    answer = _answer_before(operations, position)
    reads = operations.ok & operations.named("read") & (operations.key == operations.key[position])
    reads &= (operations.completed < operations.invoked[position]) & (operations.result != operations.result[position])
    earlier = np.flatnonzero(reads)
    if answer is None or not len(earlier):
        return None
    return answering_id(operations, position, int(operations.result[random.choice(earlier.tolist())]))


def _answer_before(operations: Operations, position: int) -> int | None:
    if operations.function(position) != "read":
        return None
    return whole(operations.of_value(operations.result[position]))


class Counter:
    """Judges `add` and `read` per key; `Options.initial` is the count at the beginning (0). Exposed: reads that began
    after an add of their counter was acknowledged.
    """

    name = "counter"
    summary = "add n, read → n: every count is explained by the adds"
    functions = frozenset({"add", "read"})
    levels = ("linearizable",)
    per_key = True
    alterations = (Alteration("lost-add", _recount), Alteration("stale-read", _old_answer))

    def check(self, operations: Operations, options: Options) -> Result:
        """Judge a history; see the module for the rules.

        Raises:
            HistoryError: another function, an amount or an answer that is no whole number, or amounts whose sum is
                beyond 60 bits.
        """
        only(operations, self.name, self.functions)
        initial = 0 if options.initial is None else whole(options.initial)
        if initial is None or abs(initial) >= BEYOND:
            raise HistoryError(operations.source, 0, f"the initial count {options.initial!r} is no whole number of use")
        wrong: list[Wrong] = []
        notes: set[str] = set()
        exposed = 0
        for members in _by_key(operations):
            adds, reads = _split(operations, members, initial)
            exposed += int(np.count_nonzero(adds.acknowledged(reads.invoked) != 0))
            if len(adds.amount) and adds.amount.min() < 0:
                notes.add(_SIGNS)
                wrong += out_of_bounds(operations, adds, reads)
                continue
            if len(np.unique(adds.amount)) > 1:
                notes.add(_NECESSARY)
            wrong += impossible(operations, adds, reads)
        return judged(
            self.name,
            "linearizable",
            "every count is explained by the adds",
            len(operations),
            exposed,
            tuple(told(wrong)),
            notes=tuple(sorted(notes)),
            exact=not notes,
            numbers={"reads": float(np.count_nonzero(operations.ok & operations.named("read")))},
        )


def _by_key(operations: Operations) -> Iterator[_Ints]:
    """Positions of the operations of each counter."""
    if not len(operations):
        return
    order = np.argsort(operations.key, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(operations.key[order])) + 1)


def _split(operations: Operations, members: _Ints, initial: int) -> tuple[Adds, Reads]:
    part = members[operations.named("add")[members] & ~operations.failed[members]]
    for missing in part[operations.value[part] == NONE]:
        raise unlike(operations, int(missing), "adds nothing: its value is to be a whole number")
    amounts = wholes(operations, part, operations.value[part], "an amount")
    if sum(map(abs, amounts)) >= BEYOND:
        raise unlike(operations, int(part[-1]), "is one too many: the amounts add up to more than 60 bits can hold")
    amount = np.array(amounts, dtype=np.int64)
    adds = Adds(part, operations.invoked[part], operations.completed[part], amount, operations.ok[part])
    adds = adds.where(amount != 0)

    part = members[operations.named("read")[members] & operations.ok[members]]
    answer = np.full(len(part), initial, dtype=np.int64)
    said = operations.result[part] != NONE
    answers = wholes(operations, part[said], operations.result[part][said], "an answer")
    # What is beyond all sums stays beyond them when it is cut to what the arithmetic can hold.
    answer[said] = [max(-2 * BEYOND, min(2 * BEYOND, one)) for one in answers]
    reads = Reads(
        np.append(NONE, part),
        np.append(-1, operations.invoked[part]),
        np.append(-1, operations.completed[part]),
        np.append(initial, answer),
    )
    return adds, reads.where(np.argsort(reads.answer, kind="stable"))


MODEL = Counter()
