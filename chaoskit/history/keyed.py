"""Histories of several objects whose values are `[key value]` (Jepsen's `independent`), and how they are known.

Such pairs are printed like any vector, and nobody can tell them from data by their looks: a set that is read as `[1 2]`
is no key and value. So what decides is what was *asked*. Reads ask for nothing: `nil` where there is one object, and
`[key nil]` where there are several; no history without keys asks that of a read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.errors import HistoryError
from chaoskit.history.operation import NONE
from chaoskit.history.operations import Operations
from chaoskit.history.values import Values, shown

__all__ = ["ASK_NOTHING", "looks_keyed", "split_keys"]

ASK_NOTHING = frozenset({"read", "get", "dequeue", "drain", "poll", "acquire", "release", "generate"})


def looks_keyed(operations: Operations) -> bool:
    """Whether values can be nothing but `[key value]`.

    True when no operation has a key of its own, all that was asked is a vector of two, something that asks for nothing
    (ASK_NOTHING) asks `[key nil]`, and every answer is a vector of two with the key that was asked. Writes alone do not
    show it (`[1 2]` may be the value); then only the user knows.
    """
    if not len(operations) or (operations.key != NONE).any():
        return False
    pair, nothing = _forms(operations, operations.value)
    if not pair.all() or not (nothing & operations.named(*ASK_NOTHING)).any():
        return False
    if (~nothing & operations.named(*ASK_NOTHING)).any():
        return False
    answered = operations.result != NONE
    return bool((_first(operations, operations.value) == _first(operations, operations.result))[answered].all())


def split_keys(operations: Operations) -> Operations:
    """The same history with the keys out of `[key value]` in `key`, and the rest in `value` and `result`.

    Raises:
        HistoryError: something asked is no vector of two, or an answer is not of the key that was asked; with the line.
    """
    if (operations.key != NONE).any():
        raise HistoryError(operations.source, 0, "has keys beside its values already", hint="leave out --keyed")
    pair, _ = _forms(operations, operations.value)
    asked, answered = _first(operations, operations.value), _first(operations, operations.result)
    for wrong, column, expected in (
        (~pair, operations.value, "[key value]"),
        (
            (operations.result != NONE) & (asked != answered),
            operations.result,
            "[key value] with the key that was asked",
        ),
    ):
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            found = shown(operations.of_value(column[at]))[:60]
            raise HistoryError(
                operations.source,
                int(operations.line[at]),
                f"expected {expected} in operation {operations.index[at]} ({operations.function(at)}), found {found}",
                hint="is this a history of several keys? if not, leave out --keyed",
            )
    values = Values()
    keys, rests = _parts(operations, values)
    return operations.altered(
        key=keys[operations.value], value=rests[operations.value], result=rests[operations.result], values=values.all
    )


def _parts(operations: Operations, values: Values) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """By id of a pair: the ids, among `values`, of its key and of what is beside it. The last entry is that of NONE."""
    keys, rests = (np.full(len(operations.values) + 1, NONE, dtype=np.int64) for _ in range(2))
    for number in np.unique(np.concatenate([operations.value, operations.result])).tolist():
        if number != NONE:
            key, rest = operations.values[number]
            keys[number], rests[number] = values.number(key), values.number(rest)
    return keys, rests


def _forms(operations: Operations, column: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Masks of the values in a column that are `[key anything]` and `[key nil]`."""
    pair, nothing = (np.zeros(len(operations.values) + 1, dtype=np.bool_) for _ in range(2))
    for number in np.unique(column).tolist():
        value: Any = operations.of_value(number)
        if isinstance(value, tuple) and len(value) == 2 and value[0] is not None:
            pair[number], nothing[number] = True, value[1] is None
    return pair[column], nothing[column]


def _first(operations: Operations, column: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number for the first element of each value: equal where these are; NONE for what is no vector of two."""
    firsts = Values()
    found = np.full(len(operations.values) + 1, NONE, dtype=np.int64)
    for number in np.unique(np.concatenate([operations.value, operations.result])).tolist():
        value: Any = operations.of_value(number)
        if isinstance(value, tuple) and len(value) == 2:
            found[number] = firsts.number(value[0])
    return found[column]
