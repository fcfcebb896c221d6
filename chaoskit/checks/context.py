"""What an invariant is given and what it gives back: `check(history, context) -> Judgement`, pure.

Invariants are registered by name (`chaoskit.registry`, kind `invariant`; others' under the entry point group
`chaoskit.invariant`). One that raises is inconclusive, never held.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.limits import MINIMUM_OPERATIONS
from chaoskit.checks.model import Finding, Witness
from chaoskit.checks.sides import Sides
from chaoskit.checks.witness import many
from chaoskit.errors import CheckerError
from chaoskit.history.frame import History
from chaoskit.history.operation import NONE, Outcome
from chaoskit.history.windows import Disturbance
from chaoskit.spec.model import Verdict

__all__ = ["CheckContext", "Judgement", "check_form", "nobody", "unrefuted"]


@dataclass(frozen=True)
class CheckContext:
    """What an invariant may know beside the history, to split its counts by it: when the system was disturbed, and of
    partitions who stood where.
    """

    disturbances: tuple[Disturbance, ...] = ()
    sides: Sides = field(default_factory=dict)


def nobody() -> NDArray[np.int64]:
    """No operation accused."""
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Judgement:
    """What an invariant found.

    Attributes:
        expected, observed: as people read them.
        operations: how many were looked at. exposed: how many of them could have shown an anomaly.
        anomalies: count by kind. split: count by when it happened, of the anomalies that decide.
        notes: what was seen and decides nothing.
        witness: set exactly when refuted.
        accused: positions in `history.rows` of operations whose answer was wrong, for `correct`.
    """

    verdict: Verdict
    expected: str
    observed: str
    operations: int
    exposed: int
    anomalies: dict[str, int] = field(default_factory=dict)
    split: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    witness: Witness | None = None
    reasons: tuple[str, ...] = ()
    accused: NDArray[np.int64] = field(default_factory=nobody)

    def finding(self, claim: str) -> Finding:
        """As the finding of a claim."""
        return Finding(
            claim=claim,
            verdict=self.verdict,
            expected=self.expected,
            observed=self.observed,
            operations=self.operations,
            exposed=self.exposed,
            anomalies=self.anomalies,
            split=self.split,
            notes=self.notes,
            witness=self.witness,
            reasons=self.reasons,
        )


def unrefuted(
    expected: str,
    clean: str,
    operations: int,
    exposed: int,
    what: tuple[str, str],
    reasons: tuple[str, ...],
    notes: tuple[str, ...],
) -> Judgement:
    """The judgement when no anomaly was found: not refuted, or inconclusive where too little could have shown one.

    Args:
        clean: what was found instead of an anomaly ("no key changed").
        what: what an exposed operation is, in the singular and in the plural ("read of …", "reads of …").
    """
    if exposed < MINIMUM_OPERATIONS:
        reasons = (
            *reasons,
            f"only {many(exposed, *what)}: at least {MINIMUM_OPERATIONS} are needed to say anything",
        )
    return Judgement(
        verdict="inconclusive" if reasons else "held",
        expected=expected,
        observed=f"{clean} in {many(exposed, *what)}",
        operations=operations,
        exposed=exposed,
        notes=notes,
        reasons=reasons,
    )


def check_form(history: History) -> None:
    """Refuse a history that no set of clients could have produced: nothing that is computed from it would mean a thing.

    Raises:
        CheckerError: rows out of order, an unknown outcome, an answer before the question, an operation that ended
            well but never ended, a process with two operations open, or one that went on after an unknown outcome.
            The recorder's fault (ours, or of whoever imported the history).
    """
    rows = history.rows
    if not len(rows):
        return
    due, sent, end = rows["t_due"], rows["t_sent"], rows["t_end"]
    was_sent = sent != NONE
    _refuse(history, np.flatnonzero(np.diff(due) < 0) + 1, "is not in order of due time")
    _refuse(history, np.flatnonzero(rows["outcome"] > max(Outcome)), "has an outcome that does not exist")
    _refuse(history, np.flatnonzero((end != NONE) & was_sent & (end < sent)), "ended before it was sent")
    closed = rows["outcome"] == Outcome.OK
    _refuse(history, np.flatnonzero(closed & ((end == NONE) | ~was_sent)), "is ok but was never sent or never ended")

    position = np.flatnonzero(was_sent)
    process = (rows["worker"][position].astype(np.int64) << 32) + rows["process"][position]
    order = np.lexsort((sent[position], process))
    position, process = position[order], process[order]
    same = process[1:] == process[:-1]
    before, after = position[:-1], position[1:]
    unknown = (rows["outcome"] == Outcome.INFO) | (rows["outcome"] == Outcome.OPEN)
    _refuse(
        history,
        after[same & ((sent[after] < end[before]) | (end[before] == NONE))],
        "was sent while its process still had another one open",
    )
    # After an unknown outcome the earlier operation may still be under way: its process is not free for another.
    _refuse(history, after[same & unknown[before]], "belongs to a process whose earlier operation has an unknown end")


def _refuse(history: History, positions: NDArray[np.intp], why: str) -> None:
    if len(positions):
        row = history.rows[int(positions[0])]
        raise CheckerError(
            f"the history is malformed: operation {int(row['index'])} (worker {int(row['worker'])}, "
            f"process {int(row['process'])}) {why}; {len(positions)} such",
            hint="report it with the run directory; nothing can be concluded from this cell",
        )
