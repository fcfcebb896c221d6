"""What writers of events share: operations as events in one order, and processes that do one thing at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.history.operation import NONE
from chaoskit.history.operations import NEVER, Operations

__all__ = ["Texts", "Times", "completed_value", "in_order", "single_threaded", "untold_order"]


class Texts(dict[int, str]):
    """Values as text by their id, each written once; NONE is nil."""

    def __init__(self, values: Sequence[Any], write: Callable[[Any], str]) -> None:
        super().__init__()
        self._values, self._write = values, write

    def __missing__(self, number: int) -> str:
        text = self[number] = self._write(None if number == NONE else self._values[number])
        return text


class Times:
    """Times for formats in which they are never negative and -1 stands for one that is not known.

    Attributes:
        began, ended: nanoseconds of the operations from 0. marks: faults, with times of the same clock.
    """

    def __init__(self, operations: Operations) -> None:
        self.began, self.ended, self.marks = operations.began_ns, operations.ended_ns, operations.marks
        given = [0, *(mark.time_ns for mark in self.marks)]
        given += [
            int(end) for column in (self.began, self.ended) if len(column) for end in (column.min(), column.max())
        ]
        self._first = min(given)
        self._span = max(given) - self._first < 1 << 63
        if self._first >= NONE:
            return
        if not self._span:
            self.began, self.ended = (np.full_like(column, NONE) for column in (self.began, self.ended))
            self.marks = tuple(replace(mark, time_ns=NONE) for mark in self.marks)
            return
        self.began, self.ended = (
            np.where(column == NONE, NONE, column - self._first) for column in (self.began, self.ended)
        )
        self.marks = tuple(
            mark if mark.time_ns == NONE else replace(mark, time_ns=mark.time_ns - self._first) for mark in self.marks
        )

    def told(self) -> list[tuple[bool, str]]:
        """What has become of times that lie before 0, as a sentence to say where that is so."""
        what = f"{-self._first} ns later" if self._span else "left out, for they span more than 64 bits"
        return [(self._first < NONE, f"times are {what}: some were before 0")]


def untold_order(operations: Operations) -> list[tuple[bool, str]]:
    """What to say of a history that knows no order between sessions, in formats in which every event has a place."""
    sentence = (
        "nothing is known here of the order between sessions, and the file cannot say so: in it all operations "
        "overlap, so that no rule about an order refutes anything"
    )
    return [(not operations.real_time, sentence)]


def in_order(operations: Operations) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """All events of a history: positions of their operations, and whether each is the completion.

    By rank, invocations first. An outcome that nobody knows has no rank: it stands where its time says, after its
    invocation, or at the end.
    """
    count = len(operations)
    position = np.concatenate([np.arange(count), np.arange(count)])
    returns = np.repeat([False, True], count)
    rank = np.concatenate([operations.invoked, operations.completed])
    order = np.lexsort((returns, rank))
    unknown = np.flatnonzero(operations.completed == NEVER)
    place = np.empty(2 * count)
    place[order] = np.arange(2 * count)
    known = order[: 2 * count - len(unknown)]
    times = np.concatenate([operations.began_ns, operations.ended_ns])
    latest = np.maximum.accumulate(times[known]) if len(known) else times[:0]
    ended = operations.ended_ns[unknown]
    at = np.where(ended == NONE, float(2 * count), np.searchsorted(latest, ended, side="right") - 0.5)
    place[count + unknown] = np.maximum(at, place[unknown] + 0.25)
    order = np.lexsort((np.where(returns, times, 0), place))
    return position[order], returns[order]


def completed_value(operations: Operations) -> NDArray[np.int64]:
    """What a completion shows where asking and answering share one place: the answer, else what was asked."""
    return np.where(operations.result == NONE, operations.value, operations.result)


def single_threaded(operations: Operations) -> tuple[NDArray[np.int64], int]:
    """Processes that have one operation open at most and none after an outcome that nobody knows.

    Returns:
        a process id per operation (their own where that is so already), and how many of them are new ones.
    """
    order = np.lexsort((operations.invoked, operations.process))
    process, invoked = operations.process[order], operations.invoked[order]
    same = process[1:] == process[:-1]
    if not (same & (operations.completed[order][:-1] >= invoked[1:])).any():
        return operations.process, 0
    free_at: dict[int, int] = {}  # process id -> rank from which it may be used again
    ours: dict[int, int] = {}  # original process -> the id it goes by now
    fresh = int(operations.process.max()) + 1
    found = operations.process.copy()
    changed = 0
    for at in np.argsort(operations.invoked, kind="stable").tolist():
        original, start = int(operations.process[at]), int(operations.invoked[at])
        name = ours.get(original, original)
        if free_at.get(name, NONE) >= start:
            name = ours[original] = fresh
            fresh += 1
        free_at[name] = int(operations.completed[at])
        found[at] = name
        changed += name != original
    return found, changed
