"""What operations must look like for a model to judge them, and one answer changed, for the power of a check."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.words import called
from chaoskit.errors import HistoryError
from chaoskit.history.operation import NONE
from chaoskit.history.operations import Operations

__all__ = ["BEYOND", "answering", "answering_id", "only", "unlike", "whole", "wholes"]

BEYOND = 1 << 60  # whole numbers up to here can be added and compared in 64 bits


def only(operations: Operations, model: str, functions: Collection[str]) -> None:
    """Refuse operations that a model knows nothing of.

    Raises:
        HistoryError: there is one. The history's fault, or of whoever chose the model.
    """
    known = np.array([name in functions for name in operations.functions], dtype=np.bool_)
    if len(operations) and not known[operations.f].all():
        strange = np.flatnonzero(~known[operations.f])
        raise unlike(
            operations,
            int(strange[0]),
            f"is nothing that the model {model} knows: its operations are {', '.join(sorted(functions))}",
            hint="name another model, or leave these operations out",
        )


def unlike(operations: Operations, position: int, what: str, hint: str | None = None) -> HistoryError:
    """The error for an operation whose form is not that of the model: "operation 12 (…) <what>"."""
    line = int(operations.line[position])
    return HistoryError(
        operations.source or "the history", max(line, 0), f"{called(operations, position)} {what}", hint=hint
    )


def whole(value: Any) -> int | None:
    """A whole number; also one that is written as text, because histories of our own runs hold nothing but texts.

    None for everything else; true is no number.
    """
    if type(value) is int:
        return value
    if isinstance(value, str) and value.removeprefix("-").isascii() and value.removeprefix("-").isdigit():
        return int(value) if len(value) < 4000 else None
    return None


def wholes(operations: Operations, positions: NDArray[np.int64], numbers: NDArray[np.int64], what: str) -> list[int]:
    """The value ids of some operations (none of them NONE) as whole numbers of any size.

    Raises:
        HistoryError: one of them is none; `what` says which part of the operation it is ("an amount").
    """
    values = operations.values
    found = [whole(values[number]) for number in numbers.tolist()]
    for position, number in zip(positions, found, strict=True):
        if number is None:
            raise unlike(operations, int(position), f"has {what} that is no whole number")
    return [number for number in found if number is not None]


def answering(operations: Operations, position: int, value: Any) -> Operations:
    """The same history in which one operation answered something else (frozen data; None = nil)."""
    values, number = operations.values, NONE
    if value is not None:
        # Equal values must have equal ids, and Python calls 1 and True equal.
        same = (n for n, one in enumerate(values) if type(one) is type(value) and one == value)
        number = next(same, len(values))
        if number == len(values):
            values = [*values, value]
    return answering_id(operations.altered(values=values), position, number)


def answering_id(operations: Operations, position: int, number: int) -> Operations:
    """The same for a value that the history has already, by its id (NONE = nil)."""
    result = operations.result.copy()
    result[position] = number
    return operations.altered(result=result)
