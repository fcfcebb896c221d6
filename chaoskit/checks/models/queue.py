"""Model `queue`: what goes in must come out, in any order: nothing lost, nothing twice, nothing out of thin air.

Operations: `enqueue` (value: the element, unique per key), `dequeue` (answers the element; nil: there was none) and
`drain` (answers the list of all that it took until nothing was left). No order is judged (`fifo-queue` does that).

    lost            an element was acknowledged before a drain began, and never came out
    thin-air …      it was never put in; or its enqueue failed (aborted-read, resurrection); or it came out before its
                    enqueue began (future-read)
    duplicate       it came out twice; at-least-once delivery is what this finds out

A dequeue that finds nothing proves nothing: queues of several parts say so of one part. What is proof that a queue was
emptied is a `drain`, or a final `dequeue` that found nothing. Where acknowledged elements never came out and no proof
followed, the result is inconclusive: they may still be inside. A dequeue of unknown outcome may have taken one element,
a drain of unknown outcome any number: only what more is missing is lost. An element whose enqueue had an unknown
outcome and that came out is *recovered*; `numbers` counts it.

Source: the rule is that of `total-queue` of Jepsen's checkers, in whose verdict duplicates do not count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.additions import Additions
from chaoskit.checks.altering import DEQUEUES
from chaoskit.checks.elements import Indexes, Ranks, collections, dense, unstamped, without_value
from chaoskit.checks.forms import only
from chaoskit.checks.result import Alteration, Anomaly, Options, Result, judged
from chaoskit.checks.words import called, shortened
from chaoskit.history.operation import NONE
from chaoskit.history.operations import NEVER, Operations
from chaoskit.history.values import identity, shown
from chaoskit.units import format_count

__all__ = ["MODEL", "Queue"]

_Told = tuple[tuple[int, ...], str]


class Queue:
    """Queues per key; `exposed` are the acknowledged elements that a proof of emptiness followed."""

    name = "queue"
    summary = "enqueue x / dequeue / drain: all that was acknowledged comes out, once, in any order"
    functions = frozenset({"enqueue", "dequeue", "drain"})
    levels: tuple[str, ...] = ()
    alterations: tuple[Alteration, ...] = tuple(one for one in DEQUEUES if one.kind != "reordered")
    per_key = True

    def check(self, operations: Operations, options: Options) -> Result:
        """Judge a history; see the module for the rules."""
        only(operations, self.name, self.functions)
        queue, reasons = _decoded(operations)
        waiting = int(np.count_nonzero(queue.missing & ~queue.emptied))
        if waiting:
            many = "acknowledged elements" if waiting > 1 else "acknowledged element"
            reasons += (
                f"{format_count(waiting)} {many} never came out, but may still be inside: no drain began after the "
                "acknowledgement (drain the queue at the end)",
            )
        return judged(
            self.name,
            "",
            "all that was acknowledged comes out, once, and nothing else",
            len(operations),
            int(np.count_nonzero(queue.emptied)),
            _anomalies(queue),
            reasons=reasons,
            notes=queue.notes,
            numbers=queue.numbers,
        )


MODEL = Queue()


@dataclass(frozen=True, eq=False)
class _Queues:
    """What went in and came out.

    Attributes:
        out: positions of what came out, one entry per element, by invocation; `group` which element (NONE: nobody ever
            put it in), `code` equal where the same element of the same key came out.
        proof: of each key: when the last proof of emptiness began, and its position; NONE.
        excused: of each key: how many elements operations of unknown outcome may have taken.
    """

    operations: Operations
    keys: Indexes
    additions: Additions
    out: Indexes
    group: Indexes
    code: Indexes
    proof: Ranks
    proof_at: Indexes
    excused: Indexes

    @cached_property
    def came(self) -> NDArray[np.bool_]:
        """Of each element: whether it ever came out."""
        found = np.zeros(len(self.additions.code), dtype=np.bool_)
        found[self.group[self.group != NONE]] = True
        return found

    @cached_property
    def missing(self) -> NDArray[np.bool_]:
        """Acknowledged elements that never came out."""
        found: NDArray[np.bool_] = (self.additions.known != NEVER) & ~self.came
        return found

    @cached_property
    def emptied(self) -> NDArray[np.bool_]:
        """Acknowledged elements that a proof of emptiness followed."""
        return np.greater(self.proof[self.additions.key], self.additions.known, dtype=np.bool_)

    @cached_property
    def lost(self) -> Indexes:
        """Elements that must have come out and never did; in keys where unknown outcomes cannot be the reason."""
        gone = self.missing & self.emptied
        count = np.bincount(self.additions.key[gone], minlength=len(self.excused))
        return np.flatnonzero(gone & (count > self.excused)[self.additions.key])

    @cached_property
    def surely_lost(self) -> int:
        """How many are missing beyond those that operations of unknown outcome may have taken."""
        keys = np.unique(self.additions.key[self.lost])
        return len(self.lost) - int(self.excused[keys].sum())

    @cached_property
    def again(self) -> NDArray[np.bool_]:
        """Of each that came out: whether the same element had come out before."""
        found = np.ones(len(self.code), dtype=np.bool_)
        found[np.unique(self.code, return_index=True)[1]] = False
        return found

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What was excused."""
        excused = int(np.count_nonzero(self.missing & self.emptied)) - self.surely_lost
        if not excused:
            return ()
        many = "acknowledged elements never came out; dequeues or drains of unknown outcome may have taken them"
        return (f"{format_count(excused)} {many}",)

    @cached_property
    def numbers(self) -> dict[str, float]:
        """Figures in the words of Jepsen's total-queue."""
        known = self.additions.known != NEVER
        recovered = self.came & ~known & (self.additions.first != NONE)
        return {
            "attempted": int(np.count_nonzero(self.additions.first != NONE)),
            "acknowledged": int(np.count_nonzero(known)),
            "lost": self.surely_lost,
            "unexpected": int(np.count_nonzero((self.group == NONE) | self.failed)),
            "duplicated": int(np.count_nonzero(self.again)),
            "recovered": int(np.count_nonzero(recovered)),
        }

    @cached_property
    def failed(self) -> NDArray[np.bool_]:
        """Of each that came out: whether nothing but failed enqueues had put it in."""
        found: NDArray[np.bool_] = self.group != NONE
        found[found] = self.additions.first[self.group[found]] == NONE
        return found


def _decoded(operations: Operations) -> tuple[_Queues, tuple[str, ...]]:
    keys = dense(operations)
    puts = np.flatnonzero(operations.named("enqueue"))
    without_value(operations, puts, "element")
    dequeues, drains = operations.named("dequeue"), operations.named("drain")
    additions = Additions.of(operations, keys, puts)
    reasons: tuple[str, ...] = ()
    chosen = np.ones(len(operations), dtype=np.bool_)
    if additions.repeated.any():
        left_out = np.unique(additions.key[additions.repeated])
        reasons = unstamped(operations, keys, left_out, "enqueued")
        chosen = ~np.isin(keys, left_out)
        puts = puts[chosen[puts]]
        additions = Additions.of(operations, keys, puts)
    taken = np.flatnonzero(dequeues & operations.ok & chosen & (operations.result != NONE))
    drained = np.flatnonzero(drains & operations.ok & chosen)
    found, numbers = collections(operations, puts, drained, "list")
    lists = [found[number] for number in operations.result[drained].tolist()]
    elements = list(chain.from_iterable(lists))
    wide = len(operations.values)
    # What nobody put in is counted from beyond the value ids on; a dequeue may have answered it, too.
    answered = {identity(operations.values[number]): number for number in np.unique(operations.result[taken]).tolist()}
    numbers = {**answered, **numbers}
    for element in elements:
        numbers.setdefault(element, wide + len(numbers))
    value = np.fromiter(map(numbers.__getitem__, elements), np.int64, len(elements))
    out = np.concatenate([taken, np.repeat(drained, np.fromiter(map(len, lists), np.int64, len(lists)))])
    value = np.concatenate([operations.result[taken], value])
    order = np.argsort(out, kind="stable")
    out, value = out[order], value[order]
    group = additions.find(keys[out], np.where(value < wide, value, NONE))
    code = keys[out] * (wide + len(numbers) + 1) + value
    count = int(keys.max(initial=0)) + 1
    proof, proof_at = np.full(count, NONE, dtype=np.int64), np.full(count, NONE, dtype=np.int64)
    nothing = np.flatnonzero(dequeues & operations.ok & operations.final & chosen & (operations.result == NONE))
    for position in np.sort(np.concatenate([drained, nothing])).tolist():
        proof[keys[position]], proof_at[keys[position]] = operations.invoked[position], position
    excused = np.bincount(keys[dequeues & operations.info], minlength=count)
    excused[keys[drains & operations.info]] = len(operations)
    return _Queues(operations, keys, additions, out, group, code, proof, proof_at, excused), reasons


def _anomalies(queue: _Queues) -> tuple[Anomaly, ...]:
    operations, own, out, group = queue.operations, queue.additions, queue.out, queue.group
    found: list[Anomaly] = []

    def name(position: int) -> str:
        return called(operations, int(position))

    def add(kind: str, mask: NDArray[np.bool_], tell: Callable[[int], _Told]) -> None:
        if mask.any():
            witness, sentence = tell(int(np.argmax(mask)))
            found.append(Anomaly(kind, "", int(np.count_nonzero(mask)), witness, sentence, np.unique(out[mask])))

    def put_of(one: int) -> int:
        first = int(own.first[group[one]])
        return int(own.failed[group[one]]) if first == NONE else first

    def from_put(what: str) -> Callable[[int], _Told]:
        def tell(one: int) -> _Told:
            put = put_of(one)
            element = shortened(shown(operations.values[int(own.value[group[one]])]))
            return (put, int(out[one])), f"{name(out[one])} took {element}, which {name(put)} {what}"

        return tell

    def thin(one: int) -> _Told:
        return (int(out[one]),), f"{name(out[one])} took an element that nobody ever enqueued"

    def twice(one: int) -> _Told:
        before = int(out[np.argmax(queue.code == queue.code[one])])
        put = (put_of(one),) if group[one] != NONE else ()
        witness = tuple(dict.fromkeys([*put, before, int(out[one])]))
        if before == int(out[one]):
            return witness, f"{name(before)} took an element twice"
        return witness, f"{name(out[one])} took an element that {name(before)} had taken"

    if len(queue.lost):
        first = int(queue.lost[0])
        put, proof = int(own.acknowledged[first]), int(queue.proof_at[own.key[first]])
        excused = int(queue.excused[own.key[first]])
        though = (
            ""
            if not excused
            else (
                f" (more are missing than the {format_count(excused)} that dequeues of unknown outcome may have taken)"
            )
        )
        sentence = (
            f"{name(put)} was acknowledged, and the element never came out, although {name(proof)} began later{though}"
        )
        accused = own.acknowledged[queue.lost]
        found.append(Anomaly("lost", "", queue.surely_lost, (put, proof), sentence, np.sort(accused)))
    told = np.zeros(len(out), dtype=np.int64)
    told[queue.failed] = own.told[group[queue.failed]]
    late = queue.failed & (told < operations.invoked[out])
    early: NDArray[np.bool_] = (group != NONE) & ~queue.failed
    early[early] = own.began[group[early]] > operations.completed[out[early]]
    add("resurrection", late, from_put("had been told to have failed to put in"))
    add("aborted-read", queue.failed & ~late, from_put("failed to put in"))
    add("thin-air", group == NONE, thin)
    add("duplicate", queue.again, twice)
    add("future-read", early, from_put("had not even begun to put in"))
    return tuple(found)
