"""Invariant `acknowledged-survive`: after healing, restart and settling, every acknowledged write is still found.

Judged by the final reads alone, and for writes whose key is written once. Per acknowledged write, by the last final
read of its key that was answered:

    survived   it answers the value                 lost      it answers that there is nothing
    replaced   it answers another value (also lost) unknown   there is no such read, or it was sent before the
                                                              acknowledgement came

A write that was never acknowledged is not lost, whatever became of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.context import CheckContext, Judgement, nobody, unrefuted
from chaoskit.checks.model import Witness
from chaoskit.checks.models.immutable import MODEL
from chaoskit.checks.register import WritesAndReads
from chaoskit.checks.result import Options
from chaoskit.checks.sides import by_time_and_side
from chaoskit.checks.witness import at, many, operation, operations, quoted
from chaoskit.history.frame import History
from chaoskit.history.operation import NONE
from chaoskit.units import format_count, format_share

__all__ = ["Fates", "check", "fates"]

EXPECTED = "every acknowledged write is found by the final reads"


@dataclass(frozen=True)
class Fates:
    """What became of every acknowledged write; all columns run over these writes.

    Attributes:
        write: position of the write in `history.rows`. end: when it was acknowledged.
        read: position of the final read that decides; -1 = there is none.
    """

    write: NDArray[np.int64]
    end: NDArray[np.int64]
    lost: NDArray[np.bool_]
    replaced: NDArray[np.bool_]
    read: NDArray[np.int64]

    @property
    def gone(self) -> NDArray[np.bool_]:
        """Lost or replaced."""
        return self.lost | self.replaced

    @property
    def unknown(self) -> NDArray[np.bool_]:
        """Nobody knows."""
        return self.read < 0


def fates(history: History) -> Fates:
    """Match acknowledged writes with the last answered final read of their key."""
    return _fates(history, WritesAndReads.of(history))


def _fates(history: History, found: WritesAndReads) -> Fates:
    operations = found.operations
    known = operations.ok & (operations.key != NONE)
    writes = np.flatnonzero(known & operations.named("write") & (operations.value != NONE))
    writes = writes[np.argsort(found.place[writes])]
    final = np.flatnonzero(known & operations.named("read") & operations.final)
    final = final[np.argsort(operations.completed[final], kind="stable")]
    last = np.full(len(operations.values) + 1, -1, dtype=np.int64)
    last[operations.key[final]] = final  # the last of several assignments stays
    deciding = last[operations.key[writes]]
    # A read that was already under way when the acknowledgement came may rightly have found nothing.
    told = (deciding >= 0) & (operations.invoked[deciding] > operations.completed[writes])
    answer = operations.result[deciding]
    return Fates(
        write=found.place[writes],
        end=history.rows["t_end"][found.place[writes]],
        lost=told & (answer == NONE),
        replaced=told & (answer != NONE) & (answer != operations.value[writes]),
        read=np.where(told, found.place[deciding], -1),
    )


def check(history: History, context: CheckContext) -> Judgement:
    """Judge a history; see the module for the rules."""
    known = WritesAndReads.of(history)
    fate = _fates(history, known)
    total, unknown = len(fate.write), int(np.count_nonzero(fate.unknown))
    gone = fate.gone
    absent = _absent_after_acknowledgement(known)
    notes = []
    if len(absent):
        notes.append(f"{many(len(absent), 'read')} during the run found nothing under a key that had been acknowledged")
    unread = f"{format_count(unknown)} of {many(total, 'acknowledged write')} without an answered final read"
    decided = total - unknown
    if not gone.any():
        reasons = (unread,) if unknown else ()
        what = ("acknowledged write that was read at the end", "acknowledged writes that were read at the end")
        found = unrefuted(EXPECTED, "none was lost", total, decided, what, reasons, tuple(notes))
    else:
        anomalies = {"lost": int(np.count_nonzero(fate.lost)), "replaced": int(np.count_nonzero(fate.replaced))}
        found = Judgement(
            verdict="refuted",
            expected=EXPECTED,
            observed=f"{format_count(int(gone.sum()))} of {many(total, 'acknowledged write')} "
            f"({format_share(float(gone.sum()) / total)}) gone at the end",
            operations=total,
            exposed=decided,
            anomalies={kind: count for kind, count in anomalies.items() if count},
            split=by_time_and_side(history, fate.write[gone], context.disturbances, context.sides),
            notes=(*notes, unread) if unknown else tuple(notes),
            witness=_witness(history, fate),
        )
    return replace(found, accused=np.union1d(fate.write[gone], absent))


def _absent_after_acknowledgement(known: WritesAndReads) -> NDArray[np.int64]:
    """Reads before the final ones that were sent after the acknowledgement of their key and found nothing.

    They decide nothing here (a negative answer may be cached for a while), but an answer that denies what was
    acknowledged is not a correct one: the model `immutable` calls it nil-after-ack.
    """
    found = known.where(~(known.operations.final & known.operations.named("read")))
    anomalies = MODEL.check(found.operations, Options()).anomalies
    return next((found.place[one.accused] for one in anomalies if one.kind == "nil-after-ack"), nobody())


def _witness(history: History, fate: Fates) -> Witness:
    gone = np.flatnonzero(fate.gone)
    place = int(gone[np.argmin(fate.end[gone])])
    write, read = int(fate.write[place]), int(fate.read[place])
    asked, answer = operation(history, write), operation(history, read)
    found = "nothing" if answer.result is None else quoted(answer.result)
    return Witness(
        kind="lost" if answer.result is None else "replaced",
        sentence=f"{asked.key} was acknowledged for {quoted(asked.value)} at {at(asked.end)}; the final read at "
        f"{at(answer.end)} found {found}",
        operations=operations(history, (write, read)),
    )
