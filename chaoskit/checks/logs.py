"""Histories of partitioned logs, read: who sent what, at which offset it was acknowledged, and what polls answered.

Two forms are understood, operation by operation.

Our own, one key (partition) per operation; the key may be left out where there is one log only:

    send   key k, value v      answers the offset; nil where it is not known
    poll   key k               answers [[offset v] [offset v] …]

Jepsen's kafka workload, where an operation is a list of steps:

    send, poll, txn            [[:send k v] [:poll]]  ->  [[:send k [offset v]] [:poll {k [[offset v] …]}]]
    assign, subscribe          which partitions the process polls from then on
    crash, debug-topic-partitions   say nothing about logs

A consumer has a position that goes on from poll to poll only after an `assign`: a process that subscribed may lose and
regain partitions at any time, and one that did neither says where to read with every poll. A poll that failed, or whose
outcome is unknown, leaves the position open until the next `assign`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chaoskit.checks.elements import Indexes
from chaoskit.checks.forms import BEYOND, unlike, whole
from chaoskit.history.operation import NONE, Outcome
from chaoskit.history.operations import Operations
from chaoskit.history.values import Map, identity

__all__ = ["FUNCTIONS", "Messages", "messages", "steps"]

FUNCTIONS = frozenset({"send", "poll", "txn", "assign", "subscribe", "crash", "debug-topic-partitions"})
_OK = int(Outcome.OK)  # looked at once per operation, where an enumeration costs
_FORMS = "a poll answers [[offset value] …] or [[:poll {key [[offset value] …]}]], a send its offset"


@dataclass(frozen=True, eq=False)
class Messages:
    """What was sent and what was polled, one row per message, in the order of the history.

    Attributes:
        sent_by, sent_key, sent_value, sent_offset: sends of any outcome; the offset is NONE where it is not known.
        by, key, value, offset: what polls answered. by: position of the operation.
        consumer: of each of those: numbers the assignment whose position the poll goes on from; NONE.
        assigned: by consumer number: position of its `assign`.
        keys, values: what the numbers stand for.
    """

    sent_by: Indexes
    sent_key: Indexes
    sent_value: Indexes
    sent_offset: Indexes
    by: Indexes
    key: Indexes
    value: Indexes
    offset: Indexes
    consumer: Indexes
    assigned: tuple[int, ...]
    keys: tuple[Any, ...]
    values: tuple[Any, ...]


@dataclass
class _Numbers:
    all: list[Any] = field(default_factory=list)
    numbers: dict[Any, int] = field(default_factory=dict)

    def number(self, value: Any, key: bool = False) -> int:
        # A key may be written as text (keys of JSON objects are), and is the same partition.
        known = value if type(value) is int else whole(value) if key else None
        number = self.numbers.setdefault(identity(value) if known is None else known, len(self.all))
        if number == len(self.all):
            self.all.append(value)
        return number


def messages(operations: Operations) -> Messages:
    """Read a history of logs.

    Raises:
        HistoryError: an operation has neither form. The history's fault.
    """
    keys, values = _Numbers(), _Numbers()
    sent: list[tuple[int, int, int, int]] = []
    polled: list[tuple[int, int, int, int, int]] = []
    assigned: list[int] = []
    consumers: dict[int, int] = {}  # of processes whose position is known
    columns = zip(
        operations.f.tolist(), operations.process.tolist(), operations.outcome.tolist(), strict=True
    )  # lists of Python's own numbers: much quicker one by one than numpy's
    for position, (f, process, outcome) in enumerate(columns):
        name = operations.functions[f]
        if name in ("assign", "subscribe", "crash"):
            consumers.pop(process, None)
            if name == "assign" and outcome == _OK:
                consumers[process] = len(assigned)
                assigned.append(position)
            continue
        if name == "debug-topic-partitions":
            continue
        if outcome != _OK and name != "send":
            consumers.pop(process, None)
        consumer = consumers.get(process, NONE)
        for key, value, offset, was_sent in steps(operations, position):
            numbers = (keys.number(key, key=True), values.number(value), offset)
            if was_sent:
                sent.append((position, *numbers))
            else:
                polled.append((position, *numbers, consumer))
    sends = np.array(sent, dtype=np.int64).reshape(-1, 4)
    polls = np.array(polled, dtype=np.int64).reshape(-1, 5)
    return Messages(
        sent_by=sends[:, 0],
        sent_key=sends[:, 1],
        sent_value=sends[:, 2],
        sent_offset=sends[:, 3],
        by=polls[:, 0],
        key=polls[:, 1],
        value=polls[:, 2],
        offset=polls[:, 3],
        consumer=polls[:, 4],
        assigned=tuple(assigned),
        keys=tuple(keys.all),
        values=tuple(values.all),
    )


def steps(operations: Operations, position: int) -> Iterator[tuple[Any, Any, int, bool]]:
    """Messages of one operation: key, value, offset (NONE where not known), and whether it was sent (else polled).

    Raises:
        HistoryError: the operation has neither form.
    """
    asked = operations.of_value(int(operations.value[position]))
    answered = operations.of_value(int(operations.result[position]))
    key = operations.of_value(int(operations.key[position]))
    name = operations.function(position)
    if key is None and (_steps(asked) or (asked is None and answered is not None and _steps(answered))):
        yield from _of_steps(operations, position, asked or (), answered)
    elif name == "send":
        if asked is None:
            raise unlike(operations, position, "names no message", hint="the value of a send is the message")
        yield key, asked, _offset(operations, position, answered), True
    elif name == "poll" and operations.outcome[position] == _OK:
        for offset, value in _pairs(operations, position, answered):
            yield key, value, offset, False
    elif name == "txn":
        raise unlike(operations, position, "is no list of [:send key value] and [:poll]", hint=_FORMS)


def _steps(value: Any) -> bool:
    return isinstance(value, tuple) and all(
        isinstance(one, tuple) and one and one[0] in ("send", "poll") for one in value
    )


def _of_steps(
    operations: Operations, position: int, asked: tuple[Any, ...], answered: Any
) -> Iterator[tuple[Any, Any, int, bool]]:
    ok = bool(operations.outcome[position] == _OK)
    if ok and answered is not None and not (_steps(answered) and len(answered) >= len(asked)):
        raise unlike(operations, position, "does not answer its own steps", hint=_FORMS)
    taken = answered if ok and answered is not None else asked
    for number, one in enumerate(taken):
        if one[0] == "send":
            if len(one) != 3:
                raise unlike(operations, position, "sends without a key or a message", hint=_FORMS)
            message, offset = one[2], NONE
            wanted = asked[number][2] if number < len(asked) and len(asked[number]) == 3 else None
            pair = ok and isinstance(message, tuple) and len(message) == 2
            if pair and (wanted is None or identity(message) != identity(wanted)):
                offset, message = _offset(operations, position, message[0]), message[1]
            yield one[1], message, offset, True
        elif ok and len(one) > 1 and one[1] is not None:
            if not isinstance(one[1], Map):
                raise unlike(operations, position, "polls something else than {key [[offset value] …]}", hint=_FORMS)
            for key, pairs in one[1].items():
                for offset, value in _pairs(operations, position, pairs):
                    yield key, value, offset, False


def _pairs(operations: Operations, position: int, pairs: Any) -> Iterator[tuple[int, Any]]:
    if pairs is None:
        return
    if not isinstance(pairs, tuple) or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
        raise unlike(operations, position, "polls something else than [[offset value] …]", hint=_FORMS)
    for offset, value in pairs:
        yield _offset(operations, position, offset), value


def _offset(operations: Operations, position: int, value: Any) -> int:
    if value is None:
        return NONE
    offset = whole(value)
    if offset is None or not 0 <= offset < BEYOND:
        raise unlike(operations, position, "has an offset that is no whole number from 0", hint=_FORMS)
    return offset
