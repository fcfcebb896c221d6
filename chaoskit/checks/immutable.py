"""Invariant `immutable` of experiments: the model `immutable` (`checks/models/immutable.py`) on the history of a cell.

What a cell knows and a history in a file does not: some operations never left the harness; parts of a history may be
damaged; rows of several machines have several clocks. And one thing is left to another invariant: a read that found
nothing may be a negative answer that was cached; whether anything was lost is decided by `acknowledged-survive`.
"""

from __future__ import annotations

import numpy as np

from chaoskit.checks.context import CheckContext, Judgement, unrefuted
from chaoskit.checks.model import Witness
from chaoskit.checks.models.immutable import EXPECTED, MODEL
from chaoskit.checks.register import WritesAndReads
from chaoskit.checks.result import Options
from chaoskit.checks.witness import many, operations
from chaoskit.history.frame import History
from chaoskit.history.operation import NONE
from chaoskit.units import format_count

__all__ = ["check"]


def check(history: History, context: CheckContext) -> Judgement:
    """Judge a history; see the module for the rules."""
    found = WritesAndReads.of(history)
    found = found.where(~(found.operations.named("read") & (found.operations.result == NONE)))
    given, place = found.operations, found.place
    unsent = history.rows["t_sent"][place] == NONE
    clocks = len(np.unique(history.rows["clock_domain"])) > 1
    # Of what was never sent, and of what another clock timed, nobody can say that it came too late.
    given = given.altered(invoked=np.where(given.named("write") & (unsent | clocks), NONE, given.invoked))
    result = MODEL.check(given, Options())

    reasons: tuple[str, ...] = ()
    anomalies = list(result.anomalies)
    aired = next((one for one in anomalies if one.kind == "thin-air"), None)
    if history.damaged and aired is not None:
        # The row of the write may be among what was lost: then the value did not come out of thin air.
        reasons = (
            f"{many(aired.count, 'read')} answered a value of unknown origin, but parts of the history are "
            f"damaged ({history.damaged[0]})",
        )
        anomalies.remove(aired)
    judged = int(result.numbers["acknowledged"] + result.numbers["answers"])
    left_out = f"{many(found.foreign, 'key')} left out: other operations than write and read touched"
    notes = (left_out,) if found.foreign else ()
    if not anomalies:
        what = ("read of an acknowledged key", "reads of acknowledged keys")
        return unrefuted(EXPECTED, "no key changed", judged, result.exposed, what, reasons, notes)
    worst = anomalies[0]
    shown = list(worst.witness)
    listed = ", ".join(f"{format_count(one.count)} {one.kind}" for one in anomalies)
    return Judgement(
        verdict="refuted",
        expected=EXPECTED,
        observed=f"{listed} in {many(judged, 'operation')}",
        operations=judged,
        exposed=result.exposed,
        anomalies={one.kind: one.count for one in anomalies},
        notes=notes,
        witness=Witness(
            kind=worst.kind, sentence=worst.sentence, operations=operations(history, place[shown].tolist())
        ),
        accused=np.unique(place[np.concatenate([one.accused for one in anomalies])]),
    )
