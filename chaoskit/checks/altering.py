"""Bugs planted in answers of collections and queues, for the power of a check: one answer is not what it was."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from chaoskit.checks.elements import Indexes
from chaoskit.checks.forms import answering
from chaoskit.checks.result import Alteration
from chaoskit.history.operation import NONE, Outcome
from chaoskit.history.operations import Operations
from chaoskit.history.values import Map

__all__ = ["DEQUEUES", "LISTS", "LOGS", "SETS"]

_Change = Callable[[Any, random.Random], Any]


def _alteration(kind: str, change: _Change, at_least: int) -> Alteration:
    """A bug in the answer of a read that holds enough elements for it."""

    def apply(operations: Operations, position: int, random: random.Random) -> Operations | None:
        if operations.function(position) != "read" or operations.outcome[position] != Outcome.OK:
            return None
        answer = operations.of_value(int(operations.result[position]))
        if not isinstance(answer, tuple | frozenset) or len(answer) < at_least:
            return None
        return answering(operations, position, change(answer, random))

    return Alteration(kind, apply)


def _without_one(answer: Any, random: random.Random) -> Any:
    ordered = answer if isinstance(answer, tuple) else sorted(answer, key=repr)
    place = random.randrange(len(ordered))
    return type(answer)((*ordered[:place], *ordered[place + 1 :]))


def _with_one_twice(answer: Any, random: random.Random) -> Any:
    return (*answer, random.choice(sorted(answer, key=repr)))  # only a list can say twice


def _older(answer: Any, random: random.Random) -> Any:
    return answer[: random.randrange(len(answer))]


def _swapped(answer: Any, random: random.Random) -> Any:
    place = random.randrange(len(answer) - 1)
    return (*answer[:place], answer[place + 1], answer[place], *answer[place + 2 :])


def _older_set(operations: Operations, position: int, random: random.Random) -> Operations | None:
    """The answer of another read of the key that is a part of this one's."""
    if operations.function(position) != "read" or operations.outcome[position] != Outcome.OK:
        return None
    answer = set(operations.of_value(int(operations.result[position])) or ())
    same = operations.ok & (operations.f == operations.f[position]) & (operations.key == operations.key[position])
    smaller = []
    for number in np.unique(operations.result[same]).tolist():
        other = () if number == NONE else operations.values[number]
        if len(other) < len(answer) and answer.issuperset(other):
            smaller.append(None if number == NONE else other)
    return answering(operations, position, random.choice(smaller)) if smaller else None


LISTS = (
    _alteration("lost-element", _without_one, 1),
    _alteration("duplicate", _with_one_twice, 1),
    _alteration("stale-read", _older, 1),
    _alteration("reordered", _swapped, 2),
)
SETS = (
    _alteration("lost-element", _without_one, 1),
    _alteration("duplicate", _with_one_twice, 1),
    Alteration("stale-read", _older_set),
)


def _dequeue(operations: Operations, position: int) -> bool:
    """Whether an operation took an element."""
    taken = operations.outcome[position] == Outcome.OK and operations.result[position] != NONE
    return bool(taken) and operations.function(position) == "dequeue"


def _others(operations: Operations, position: int) -> Indexes:
    """Positions of the other dequeues of the key that took an element."""
    same = operations.ok & (operations.f == operations.f[position]) & (operations.key == operations.key[position])
    same &= (operations.result != NONE) & (operations.result != operations.result[position])
    return np.flatnonzero(same)


def _said_empty(operations: Operations, position: int, random: random.Random) -> Operations | None:
    return answering(operations, position, None) if _dequeue(operations, position) else None


def _taken_before(operations: Operations, position: int, random: random.Random) -> Operations | None:
    """The dequeue answers what another had taken before it began."""
    if not _dequeue(operations, position):
        return None
    others = _others(operations, position)
    others = others[operations.completed[others] < operations.invoked[position]]
    return _swap(operations, position, int(random.choice(others)), both=False) if len(others) else None


def _taken_after(operations: Operations, position: int, random: random.Random) -> Operations | None:
    """The dequeue and the next one that began after it answer each other's elements."""
    if not _dequeue(operations, position):
        return None
    others = _others(operations, position)
    others = others[operations.invoked[others] > operations.completed[position]]
    return _swap(operations, position, int(others[0]), both=True) if len(others) else None


def _swap(operations: Operations, position: int, other: int, both: bool) -> Operations:
    result = operations.result.copy()
    result[position] = operations.result[other]
    if both:
        result[other] = operations.result[position]
    return operations.altered(result=result)


DEQUEUES = (
    Alteration("lost-element", _said_empty),
    Alteration("duplicate", _taken_before),
    Alteration("reordered", _taken_after),
)


def _poll(kind: str, change: _Change, at_least: int) -> Alteration:
    """A bug in what one poll answered of one key; see `chaoskit.checks.logs` for the two forms."""

    def apply(operations: Operations, position: int, random: random.Random) -> Operations | None:
        if operations.outcome[position] != Outcome.OK or operations.function(position) not in ("poll", "txn"):
            return None
        answer = operations.of_value(int(operations.result[position]))
        places = [place for place, one in enumerate(answer or ()) if one[0] == "poll" and len(one) > 1 and one[1]]
        if not places:
            own = operations.function(position) == "poll" and answer and answer[0][0] != "poll"
            enough = own and len(answer) >= at_least
            return answering(operations, position, change(answer, random)) if enough else None
        place = random.choice(places)
        polled = dict(answer[place][1])
        keys = [key for key, pairs in polled.items() if pairs is not None and len(pairs) >= at_least]
        if not keys:
            return None
        key = random.choice(keys)
        polled[key] = change(polled[key], random)
        return answering(operations, position, (*answer[:place], (answer[place][0], Map(polled)), *answer[place + 1 :]))

    return Alteration(kind, apply)


def _delivered_again(answer: Any, random: random.Random) -> Any:
    value = random.choice(answer)[1]
    return (*answer, (answer[-1][0] + 1, value))


LOGS = (
    _poll("lost-element", _without_one, 1),
    _poll("duplicate", _delivered_again, 1),
    _poll("reordered", _swapped, 2),
)
