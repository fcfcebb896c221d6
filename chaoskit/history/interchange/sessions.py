"""Histories of sessions: transactions in the order of their session, and nothing about time (PolySI, dbcop).

What is known of two transactions of different sessions is nothing, so ranks say that all overlap; `real_time` is False,
and levels that are about time stay inconclusive for such histories.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chaoskit.errors import HistoryError
from chaoskit.history.interchange.writing import single_threaded
from chaoskit.history.operation import NONE, Outcome
from chaoskit.history.operations import Operations
from chaoskit.history.values import Values, identity, shown

__all__ = ["Sessions", "Step", "Transaction", "natural", "to_sessions"]

Step = tuple[str, Any, Any]  # "r" or "w", key, value (nil: read before anything was written)


@dataclass(frozen=True)
class Transaction:
    """One transaction: its session and steps, whether it was committed, its line (NONE: not known)."""

    session: int
    steps: tuple[Step, ...]
    committed: bool = True
    line: int = NONE


class Sessions:
    """Collects transactions, those of one session in their order."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._values = Values()
        self._rows: list[tuple[int, int, int, int, int]] = []

    def add(self, one: Transaction) -> None:
        """Take the next transaction."""
        asked = tuple((f, key, None if f == "r" else value) for f, key, value in one.steps)
        answered = self._values.number(one.steps, plain=True) if one.committed else NONE
        outcome = Outcome.OK if one.committed else Outcome.FAIL
        self._rows.append((one.session, self._values.number(asked, plain=True), answered, outcome, one.line))

    def operations(self) -> Operations:
        """All of them, in the order in which they came.

        Raises:
            HistoryError: there are none.
        """
        if not self._rows:
            raise HistoryError(self._source, 0, "holds no transactions: an empty history")
        session, value, result, outcome, line = np.array(self._rows, dtype=np.int64).T
        count = len(session)
        return Operations.make(
            process=session,
            f=np.zeros(count, dtype=np.int16),
            outcome=outcome,
            invoked=np.arange(count),
            completed=np.arange(count, 2 * count),
            value=value,
            result=result,
            line=line,
            functions=("txn",),
            values=self._values.all,
            source=self._source,
            real_time=False,
        )


def natural(value: Any) -> bool:
    """Whether it is a number of 63 bits, from 0."""
    return type(value) is int and 0 <= value < 1 << 63


def to_sessions(
    operations: Operations, format: str, *, key_fits: Callable[[Any], bool] = natural
) -> tuple[list[list[Transaction]], tuple[str, ...]]:
    """The transactions of a history, session by session, with numbers from 1 for values and None for nil.

    What nobody knows the outcome of counts as committed where somebody read what it wrote, else it is left out. Of it,
    and of what failed, only the writes are known.

    Args:
        format: as it is told to people. key_fits: whether a key can be written as it is; else all are numbered.

    Returns:
        the sessions, and what could not be carried.

    Raises:
        HistoryError: an operation is no transaction of reads and writes, or it is not clear which one was read.
    """
    steps = _Steps(operations, format)
    lane, renamed = single_threaded(operations) if operations.real_time else (operations.session, 0)
    order = np.argsort(operations.invoked, kind="stable").tolist()
    ok = operations.ok
    read = {(identity(k), identity(v)) for at in order if ok[at] for f, k, v in steps(at, answered=True) if f == "r"}
    written = [
        (identity(k), identity(v)) for at in order if not operations.failed[at] for f, k, v in steps(at) if f == "w"
    ]
    twice = set[Any]()
    if len(once := set(written)) != len(written):
        twice = {one for one in written if one not in once or once.discard(one)}  # type: ignore[func-returns-value]
    found: dict[int, list[Transaction]] = {}
    dropped = 0
    for at in order:
        certain = bool(ok[at])
        mine = steps(at, answered=True) if certain else [one for one in steps(at) if one[0] == "w"]
        names = {(identity(k), identity(v)) for _, k, v in mine}
        if operations.info[at]:
            if names & twice & read:
                raise _refused(
                    operations, at, format, "writes, with an outcome that nobody knows, what another one wrote"
                )
            certain = bool(names & read)
        if not mine or (operations.info[at] and not certain):
            dropped += 1
            continue
        found.setdefault(int(lane[at]), []).append(
            Transaction(int(lane[at]), tuple(mine), certain, int(operations.line[at]))
        )
    sessions, numbered = _numbered(list(found.values()), key_fits)
    few = int(operations.info.sum())
    told = (
        (dropped, f"{dropped} transactions are left out: nobody saw them, or nothing is known of them"),
        (few - dropped > 0, "transactions with an unknown outcome, whose writes were read, are written as committed"),
        (operations.real_time, "the order between sessions is left out"),
        (renamed, f"{renamed} transactions are in another session: theirs did two things at once"),
        *((True, one) for one in numbered),
        (len(operations.marks), f"{len(operations.marks)} faults are left out"),
    )
    return sessions, tuple(sentence for lost, sentence in told if lost)


class _Steps:
    """The steps of transactions by value id, each looked at once."""

    def __init__(self, operations: Operations, format: str) -> None:
        self._operations, self._format = operations, format
        self._known: dict[int, list[Step]] = {}

    def __call__(self, at: int, *, answered: bool = False) -> list[Step]:
        operations = self._operations
        number = int(operations.result[at] if answered else operations.value[at])
        if answered and number == NONE:
            number = int(operations.value[at])
        if number not in self._known:
            self._known[number] = self._read(at, operations.of_value(number))
        return self._known[number]

    def _read(self, at: int, value: Any) -> list[Step]:
        if not isinstance(value, tuple):
            raise _refused(self._operations, at, self._format, "is no transaction")
        for one in value:
            fits = isinstance(one, tuple) and len(one) == 3 and one[0] in ("r", "w")
            if not fits or isinstance(one[2], tuple | frozenset) or (one[0] == "w" and one[2] is None):
                raise _refused(self._operations, at, self._format, f"has the step {shown(one)[:40]}")
        return [(str(f), key, inner) for f, key, inner in value]


def _numbered(
    sessions: Sequence[Sequence[Transaction]], key_fits: Callable[[Any], bool]
) -> tuple[list[list[Transaction]], list[str]]:
    every = [step for session in sessions for one in session for step in one.steps]
    keys, values = Values(), Values()
    fit = all(key_fits(key) for _, key, _ in every)
    value_fits = all(value is None or (natural(value) and value > 0) for _, _, value in every)

    def changed(step: Step) -> Step:
        f, key, value = step
        if value is not None and not value_fits:
            value = values.number(value) + 1
        return f, key if fit else keys.number(key) + 1, value

    made = [
        [Transaction(one.session, tuple(map(changed, one.steps)), one.committed, one.line) for one in session]
        for session in sessions
    ]
    told = [] if fit else ["keys are written as numbers"]
    return made, told if value_fits else [*told, "values are written as numbers from 1"]


def _refused(operations: Operations, at: int, format: str, what: str) -> HistoryError:
    return HistoryError(
        operations.source or "the history",
        int(operations.line[at]),
        f"operation {operations.index[at]} {what}, which {format} cannot carry",
        hint="it knows transactions of [:r key value] and [:w key value], with values that are unique per key",
    )
