"""A history as checkers see it: one operation per place, in columns, and the order of events as ranks.

Wherever a history came from (a run of ours, Jepsen, Porcupine …), checkers are given this and nothing else. What they
know of time are the ranks of events: integers in one order over all invocations and completions, invocations first
where times are equal (intervals are closed: what touches is concurrent). Nanoseconds are kept beside them for people
and for staleness, never for order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.history.frame import History, Seen
from chaoskit.history.operation import NONE, Answer, Outcome

__all__ = ["NEVER", "Mark", "Operations", "in_order", "ranks"]

NEVER = np.iinfo(np.int64).max  # rank of a completion that nobody saw: the operation may still take effect

_COLUMNS = {
    "index": np.int64,
    "process": np.int64,
    "f": np.int16,
    "outcome": np.uint8,
    "invoked": np.int64,
    "completed": np.int64,
    "key": np.int64,
    "value": np.int64,
    "result": np.int64,
    "began_ns": np.int64,
    "ended_ns": np.int64,
    "session": np.int64,
    "node": np.int16,
    "line": np.int64,
    "final": np.bool_,
}


@dataclass(frozen=True)
class Mark:
    """Something that happened beside the operations, for diagrams: a fault that began or ended (Jepsen's nemesis)."""

    label: str
    rank: int
    time_ns: int = NONE


@dataclass(frozen=True, eq=False)
class Operations:
    """Operations in order of invocation. Every array has one entry per operation.

    Attributes:
        index: how the file numbers the operation (of its invocation); what witnesses are named by. Unique.
        process: logical single-threaded client.
        f: what was done, index into `functions`.
        outcome: Outcome.OK (it happened), FAIL (it did not and never will) or INFO (nobody knows); never OPEN.
        invoked, completed: ranks of the two events. `completed` is NEVER for INFO.
        key: of the object that was touched, value id; NONE where there is one object only.
        value: what was asked (written, appended, the whole transaction), value id; NONE = nil, nothing.
        result: what was answered, value id, for OK only; NONE = nil: nothing there, or nothing to answer.
        began_ns, ended_ns: nanoseconds from the beginning of the history; NONE where not known.
        session: sticky client session; the process where the history says nothing better.
        node: who was contacted, index into `nodes`; NONE.
        line: line of the invocation in the file, from 1; NONE where there are no lines.
        final: read after everything had ended (the last look at what is there).
        functions, nodes: names.
        values: by value id, whatever was asked or answered: int, str, bool, float, tuple (vector or list), frozenset,
            `frozendict`-like mappings as tuples of pairs under `Map`. Equal values have equal ids; 1, 1.0 and True are
            three values.
        source: the file, as it is told to people. marks: faults. notes: what was left out while reading, with counts.
        real_time: False where nothing is known of the order between sessions. Then ranks say that everything overlaps,
            so that no rule about time can accuse; within a session operations are in order of `invoked`.
    """

    index: NDArray[np.int64]
    process: NDArray[np.int64]
    f: NDArray[np.int16]
    outcome: NDArray[np.uint8]
    invoked: NDArray[np.int64]
    completed: NDArray[np.int64]
    key: NDArray[np.int64]
    value: NDArray[np.int64]
    result: NDArray[np.int64]
    began_ns: NDArray[np.int64]
    ended_ns: NDArray[np.int64]
    session: NDArray[np.int64]
    node: NDArray[np.int16]
    line: NDArray[np.int64]
    final: NDArray[np.bool_]
    functions: tuple[str, ...] = ()
    values: Sequence[Any] = ()
    nodes: tuple[str, ...] = ()
    source: str = ""
    marks: tuple[Mark, ...] = ()
    notes: tuple[str, ...] = ()
    real_time: bool = True

    def __post_init__(self) -> None:
        sizes = {len(getattr(self, name)) for name in _COLUMNS}
        if len(sizes) > 1:
            raise ValueError(f"columns of different lengths: {sorted(sizes)}")

    @classmethod
    def make(cls, **given: Any) -> Operations:
        """From the columns that are known, as arrays or lists; what is left out gets its neutral value.

        `process`, `f`, `outcome`, `invoked` and `completed` must be given; `index` counts up, `session` is `process`.
        """
        count = len(given["process"])
        columns: dict[str, Any] = {}
        for name, dtype in _COLUMNS.items():
            if name in given:
                columns[name] = np.asarray(given.pop(name), dtype=dtype)
            elif name == "index":
                columns[name] = np.arange(count, dtype=dtype)
            elif name == "session":
                columns[name] = columns["process"]
            elif name == "final":
                columns[name] = np.zeros(count, dtype=dtype)
            else:
                columns[name] = np.full(count, NONE, dtype=dtype)
        return cls(**columns, **given)

    @classmethod
    def of(cls, history: History | Seen, source: str = "") -> Operations:
        """The operations of a run. Times are those of the request and of the answer, not of when it was due.

        What the harness did not send, or did not see through, is INFO: it accuses nobody.
        """
        rows = history.rows
        number = _numbers(history.values, history.distinct)
        sent = np.where(rows["t_sent"] == NONE, rows["t_due"], rows["t_sent"])
        outcome = rows["outcome"].copy()
        outcome[(outcome == Outcome.OPEN) | ((outcome == Outcome.FAIL) & (rows["answer"] == Answer.NONE))] = (
            Outcome.INFO
        )
        known = (outcome != Outcome.INFO) & (rows["t_end"] != NONE)
        invoked, completed = ranks(sent, np.where(known, rows["t_end"], NEVER))
        order = in_order(invoked)
        return cls.make(
            index=rows["index"][order],
            process=_processes(rows)[order],
            f=rows["f"][order],
            outcome=outcome[order],
            invoked=invoked[order],
            completed=completed[order],
            key=number[rows["key"]][order],
            value=number[rows["value_id"]][order],
            result=np.where(outcome == Outcome.OK, number[rows["result_id"]], NONE)[order],
            began_ns=(sent - history.origin_ns)[order],
            ended_ns=np.where(rows["t_end"] == NONE, NONE, rows["t_end"] - history.origin_ns)[order],
            node=rows["node"][order],
            final=(rows["phase"] == 2)[order],
            functions=history.functions,
            values=history.values,
            nodes=history.nodes,
            source=source,
            notes=history.damaged,
        )

    def __len__(self) -> int:
        return len(self.process)

    def where(self, chosen: NDArray[Any] | slice | Sequence[int]) -> Operations:
        """Some of the operations (a mask, positions or a slice), with their ranks and values as they are."""
        at = chosen if isinstance(chosen, slice | np.ndarray) else np.asarray(chosen, dtype=np.int64)
        return replace(self, **{name: getattr(self, name)[at] for name in _COLUMNS})

    def altered(self, **columns: Any) -> Operations:
        """The same with other columns, values or notes."""
        return replace(self, **columns)

    def named(self, *names: str) -> NDArray[np.bool_]:
        """Mask of the operations with one of these functions."""
        wanted = np.array([name in names for name in self.functions], dtype=np.bool_)
        return wanted[self.f] if len(self) else np.zeros(0, dtype=np.bool_)

    @property
    def ok(self) -> NDArray[np.bool_]:
        """Mask of what certainly happened."""
        return np.equal(self.outcome, int(Outcome.OK), dtype=np.bool_)

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Mask of what certainly did not happen."""
        return np.equal(self.outcome, int(Outcome.FAIL), dtype=np.bool_)

    @property
    def info(self) -> NDArray[np.bool_]:
        """Mask of what may have happened."""
        return np.equal(self.outcome, int(Outcome.INFO), dtype=np.bool_)

    @property
    def timed(self) -> bool:
        """Whether nanoseconds are known, for staleness and for people."""
        return bool(len(self)) and bool((self.began_ns != NONE).all())

    def of_value(self, number: int) -> Any:
        """The value with an id; None for NONE."""
        return None if number == NONE else self.values[int(number)]

    def function(self, position: int) -> str:
        """What an operation did."""
        return self.functions[int(self.f[position])]


def ranks(began: NDArray[np.int64], ended: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Times of invocations and completions as ranks in one order, invocations first where times are equal.

    NEVER stays NEVER. Source: closed intervals, as in Porcupine.
    """
    returned = np.flatnonzero(ended != NEVER)
    times = np.concatenate([began, ended[returned]])
    order = np.argsort(times, kind="stable")  # invocations stand first, and so they stay where times are equal
    rank = np.empty(len(times), dtype=np.int64)
    rank[order] = np.arange(len(times))
    completed = np.full(len(ended), NEVER, dtype=np.int64)
    completed[returned] = rank[len(began) :]
    return rank[: len(began)], completed


def _processes(rows: NDArray[np.void] | Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
    """Processes by their number, as all else that is said of a run names them; by worker, too, where workers share
    numbers (a history that was not put together by `storage.merge`)."""
    worker, process = rows["worker"].astype(np.int64), rows["process"].astype(np.int64)
    if (worker == worker[:1]).all():
        return process
    workers, own = np.unique(worker, return_inverse=True)
    least, most = np.full(len(workers), NEVER), np.full(len(workers), NONE)
    np.minimum.at(least, own, process)
    np.maximum.at(most, own, process)
    order = np.argsort(least)
    shared = (least[order][1:] <= most[order][:-1]).any()
    return (worker << 32) + process if shared else process


def in_order(invoked: NDArray[np.int64]) -> NDArray[np.int64] | slice:
    """What puts columns in order of invocation; as a rule they are."""
    return slice(None) if (invoked[1:] > invoked[:-1]).all() else np.argsort(invoked, kind="stable")


def _numbers(texts: Sequence[str], distinct: bool) -> NDArray[np.int64]:
    """Text id -> the first id with that text; the last entry maps NONE (-1) to itself."""
    # Of one worker, as a rule: nothing is there twice, and this is quicker to know.
    if distinct or len(set(texts)) == len(texts):
        return np.append(np.arange(len(texts), dtype=np.int64), np.int64(NONE))
    first: dict[str, int] = {}
    found: Iterable[int] = (first.setdefault(text, n) for n, text in enumerate(texts))
    return np.append(np.fromiter(found, dtype=np.int64, count=len(texts)), np.int64(NONE))


assert set(_COLUMNS) <= {field.name for field in fields(Operations)}
