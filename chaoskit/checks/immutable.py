"""Invariant `immutable`: a key never resolves to another value, and no value comes out of thin air.

An acknowledged write says "key k resolves to v"; so does every answered read. All of these must agree per key, whenever
they happened: an immutable key has no history. Each value is written by one write only (unique stamps), so that every
value that is read can be traced to who asked for it. Exact, and linear in the number of operations.

    duplicate     two acknowledged writes of different values got the same key
    changed       a read answers another value than was acknowledged, or than another read answered
    thin-air      a read answers a value that nobody ever asked to write
    aborted-read  a read answers a value whose write certainly failed
    future-read   a read ended before the only write of its value was sent

A write whose outcome is unknown may have happened: its value may be read. Its key is unknown where the system chooses
keys, so it vouches for no key and contradicts none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.context import CheckContext, Judgement, unrefuted
from chaoskit.checks.model import Witness
from chaoskit.checks.register import Operations, Register
from chaoskit.checks.witness import at, many, operation, operations, quoted
from chaoskit.history.frame import History
from chaoskit.units import format_count

__all__ = ["check"]

EXPECTED = "a key never resolves to another value, and no value comes out of thin air"
_FAR = np.iinfo(np.int64).max
_Marks = NDArray[np.bool_]


def check(history: History, context: CheckContext) -> Judgement:
    """Judge a history; see the module for the rules."""
    register = Register.of(history)
    answered = register.reads.where(register.reads.value >= 0)
    written = register.acknowledged
    conflict = _conflicts(written, answered, register.texts)
    aired, aborted, future = _origins(register, answered, len(np.unique(history.rows["clock_domain"])) <= 1)

    reasons: tuple[str, ...] = ()
    if history.damaged and bool(aired.any()):
        # The row of the write may be among what was lost: then the value did not come out of thin air.
        reasons = (
            f"{many(int(aired.sum()), 'read')} answered a value of unknown origin, but parts of the history are "
            f"damaged ({history.damaged[0]})",
        )
        aired = np.zeros_like(aired)
    # One kind per operation, the gravest first, so that the counts add up to the operations accused.
    aborted &= ~aired
    future &= ~aired & ~aborted
    changed = conflict.read & ~aired & ~aborted & ~future
    kinds = {
        "thin-air": answered.position[aired],
        "duplicate": written.position[conflict.write],
        "changed": answered.position[changed],
        "aborted-read": answered.position[aborted],
        "future-read": answered.position[future],
    }
    anomalies = {kind: len(found) for kind, found in kinds.items() if len(found)}
    known = np.zeros(register.texts + 1, dtype=np.bool_)
    known[written.key] = True
    exposed = int(np.count_nonzero(known[answered.key] & (answered.key >= 0)))
    judged = len(written) + len(answered)
    notes = _foreign_note(register)
    if not anomalies:
        what = ("read of an acknowledged key", "reads of acknowledged keys")
        return unrefuted(EXPECTED, "no key changed", judged, exposed, what, reasons, notes)
    witness = _witness(history, register, conflict, kinds, answered)
    listed = ", ".join(f"{format_count(count)} {kind}" for kind, count in anomalies.items())
    return Judgement(
        verdict="refuted",
        expected=EXPECTED,
        observed=f"{listed} in {many(judged, 'operation')}",
        operations=judged,
        exposed=exposed,
        anomalies=anomalies,
        notes=notes,
        witness=witness,
        accused=np.unique(np.concatenate(list(kinds.values()))),
    )


@dataclass(frozen=True)
class _Conflicts:
    """Operations that contradict what their key was first known to resolve to, and the operation that said so."""

    write: _Marks
    read: _Marks
    reference: dict[int, int]


def _conflicts(written: Operations, answered: Operations, texts: int) -> _Conflicts:
    key = np.concatenate([written.key, answered.key])
    value = np.concatenate([written.value, answered.value])
    low, high = np.full(texts + 1, _FAR), np.full(texts + 1, -1, dtype=np.int64)
    np.minimum.at(low, key, value)
    np.maximum.at(high, key, value)
    marks = (low[key] != high[key]) & (key >= 0)
    suspects = np.flatnonzero(marks)
    # What a key "really" resolves to: the first acknowledgement, else the first answer. Whoever differs is accused.
    end = np.concatenate([written.end, answered.end])
    order = suspects[np.lexsort((end[suspects], suspects >= len(written), key[suspects]))]
    keys, first = np.unique(key[order], return_index=True)
    chosen = order[first]
    truth = np.full(texts + 1, -1, dtype=np.int64)
    truth[keys] = value[chosen]
    marks &= value != truth[key]
    position = np.concatenate([written.position, answered.position])
    reference = dict(zip(keys.tolist(), position[chosen].tolist(), strict=True))
    return _Conflicts(marks[: len(written)], marks[len(written) :], reference)


def _origins(register: Register, answered: Operations, one_clock: bool) -> tuple[_Marks, _Marks, _Marks]:
    """Reads of values that nobody asked for, whose writes all failed, or whose writes were all sent later."""
    earliest = np.full(register.texts + 1, _FAR)
    np.minimum.at(earliest, register.possible.value, register.possible.sent)  # never sent = -1: no rule about time
    failed = np.zeros(register.texts + 1, dtype=np.bool_)
    failed[register.failed.value] = True
    unasked = earliest[answered.value] == _FAR
    aborted = unasked & failed[answered.value]
    future = ~unasked & (answered.end < earliest[answered.value]) & one_clock
    return unasked & ~aborted, aborted, future


def _witness(
    history: History,
    register: Register,
    conflict: _Conflicts,
    kinds: dict[str, NDArray[np.int64]],
    answered: Operations,
) -> Witness:
    """The smallest set of operations that refutes by itself: one for thin air, two for everything else."""
    kind = next(kind for kind, found in kinds.items() if len(found))
    accused = int(kinds[kind][np.argmin(history.rows["t_end"][kinds[kind]])])
    op = operation(history, accused)
    if kind == "thin-air":
        sentence = f"a read of {op.key} answered {quoted(op.result)} at {at(op.end)}; nobody ever asked to write that"
        return Witness(kind=kind, sentence=sentence, operations=(op,))
    place = int(np.flatnonzero(answered.position == accused)[0]) if kind != "duplicate" else -1
    if kind in ("duplicate", "changed"):
        key = register.acknowledged.key if kind == "duplicate" else answered.key
        source = register.acknowledged.position if kind == "duplicate" else answered.position
        other = conflict.reference[int(key[np.flatnonzero(source == accused)[0]])]
    else:
        writes = register.failed if kind == "aborted-read" else register.possible
        same = np.flatnonzero(writes.value == answered.value[place])
        other = int(writes.position[same[np.argmin(writes.sent[same])]])
    before = operation(history, other)
    says = f"{quoted(before.value)} was acknowledged" if before.f == "write" else f"read as {quoted(before.result)}"
    sentence = {
        "duplicate": f"{op.key} was given out twice: for {quoted(before.value)} at {at(before.end)} and for "
        f"{quoted(op.value)} at {at(op.end)}",
        "changed": f"{op.key}: {says} at {at(before.end)}, but a read answered {quoted(op.result)} at {at(op.end)}",
        "aborted-read": f"a read of {op.key} answered {quoted(op.result)} at {at(op.end)}, although the write of it at "
        f"{at(before.sent)} had failed",
        "future-read": f"a read of {op.key} answered {quoted(op.result)} at {at(op.end)}, before the write of it was "
        f"sent at {at(before.sent)}",
    }[kind]
    return Witness(kind=kind, sentence=sentence, operations=operations(history, {accused, other}))


def _foreign_note(register: Register) -> tuple[str, ...]:
    if not register.foreign:
        return ()
    return (f"{many(register.foreign, 'key')} left out: other operations than write and read touched",)
