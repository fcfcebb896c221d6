"""Events (invoke, ok, fail, info) -> Operations: which completion belongs to which invocation, and what is impossible.

A process is single-threaded: it has one operation open at most, and none after an outcome that nobody knows. Whatever
breaks that rule is no history of any set of clients, and nothing is concluded from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.errors import HistoryError
from chaoskit.history.operation import NONE, Outcome
from chaoskit.history.operations import NEVER, Mark, Operations

__all__ = ["FAIL", "INFO", "INVOKE", "OK", "Events", "pair"]

INVOKE, OK, FAIL, INFO = 0, 1, 2, 3
_OUTCOMES = np.array([Outcome.INFO, Outcome.OK, Outcome.FAIL, Outcome.INFO], dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class Events:
    """Events in the order of the file, which is the order in which they happened. One entry per event and array.

    Attributes:
        type: INVOKE, OK, FAIL or INFO. process: the client; faults are in `marks`, not here.
        f: index into `functions`. key, value: value ids, NONE = nil.
        time_ns: NONE where not known. index: as the file numbers events; line: from 1.
    """

    type: NDArray[np.uint8]
    process: NDArray[np.int64]
    f: NDArray[np.int16]
    key: NDArray[np.int64]
    value: NDArray[np.int64]
    time_ns: NDArray[np.int64]
    index: NDArray[np.int64]
    line: NDArray[np.int64]
    functions: tuple[str, ...]
    values: Sequence[Any]
    marks: tuple[Mark, ...] = ()
    notes: tuple[str, ...] = ()


def pair(events: Events, source: str) -> Operations:
    """The operations of a file, in order of invocation; one that never completed is INFO.

    Raises:
        HistoryError: a process has two operations open, a completion has no invocation or another function than its
            invocation, a process goes on after an unknown outcome, or two events have one index. The history's fault.
    """
    count = len(events.type)
    ascending = bool((events.index[1:] > events.index[:-1]).all())  # as it mostly is: then nothing is twice
    if not ascending and len(np.unique(events.index)) != count:
        order = np.argsort(events.index, kind="stable")
        twice = order[1:][events.index[order[1:]] == events.index[order[:-1]]]
        hint = "every event has a number of its own: were two files put together, or one part of a file twice?"
        _refuse(
            events, source, int(twice.min()), f"has the index {events.index[twice.min()]} of an earlier event", hint
        )
    order = np.argsort(events.process, kind="stable")
    kind, process = events.type[order], events.process[order]
    begins = kind == INVOKE
    before = np.flatnonzero(begins)
    first = np.ones(count, dtype=np.bool_)
    first[1:] = process[1:] != process[:-1]
    open_before = np.zeros(count, dtype=np.bool_)  # whether the event before, of the same process, is an invocation
    open_before[1:] = begins[:-1] & ~first[1:]
    ended = np.zeros(count, dtype=np.bool_)  # … is an unknown outcome
    ended[1:] = (kind[:-1] == INFO) & ~first[1:]
    for wrong, why in (
        (begins & open_before, "invokes while its process still has an operation open"),
        (~begins & ~open_before, "completes an operation that was never invoked"),
        (begins & ended, "belongs to a process that went on after an outcome that nobody knows"),
    ):
        if wrong.any():
            _refuse(events, source, int(order[wrong].min()), why)
    after = before + 1  # its completion, where there is one
    completes = after < count
    completes[completes] = ~begins[after[completes]] & ~first[after[completes]]
    called = order[before]
    returned = np.where(completes, order[np.minimum(after, count - 1)], NONE) if count else before
    other = completes & (events.f[called] != events.f[returned])
    if other.any():
        _refuse(events, source, int(returned[other].min()), "completes another function than was invoked")

    by_call = np.argsort(called, kind="stable")
    called, returned, completes = called[by_call], returned[by_call], completes[by_call]
    outcome = np.where(completes, _OUTCOMES[events.type[returned]], np.uint8(Outcome.INFO)).astype(np.uint8)
    known = outcome != Outcome.INFO
    ok = outcome == Outcome.OK
    key = events.key[called]
    return Operations.make(
        index=events.index[called],
        process=events.process[called],
        f=events.f[called],
        outcome=outcome,
        invoked=called,
        completed=np.where(known, returned, NEVER),
        key=np.where((key == NONE) & ok, events.key[returned], key),
        value=events.value[called],
        result=np.where(ok, events.value[returned], NONE),
        began_ns=events.time_ns[called],
        ended_ns=np.where(completes, events.time_ns[returned], NONE),
        line=events.line[called],
        functions=events.functions,
        values=events.values,
        source=source,
        marks=events.marks,
        notes=events.notes,
    )


_SINGLE_THREADED = (
    "no set of single-threaded clients produces this; give every thread a process id of its own, and a new one after "
    "every outcome that nobody knows"
)


def _refuse(events: Events, source: str, event: int, why: str, hint: str = _SINGLE_THREADED) -> None:
    line = int(events.line[event])
    name = events.functions[int(events.f[event])] if 0 <= events.f[event] < len(events.functions) else "?"
    raise HistoryError(
        source,
        line,
        f"event {int(events.index[event])} ({name} of process {int(events.process[event])}) {why}",
        hint=hint,
    )
