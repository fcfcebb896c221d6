"""Additions to lists, sets, queues and logs, by element: since when it may have been there, and was known to be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.elements import Indexes, Ranks
from chaoskit.history.operation import NONE
from chaoskit.history.operations import NEVER, Operations

__all__ = ["Additions"]


@dataclass(frozen=True, eq=False)
class Additions:
    """Additions by (key, element): adding an element to a set again changes nothing, so the earliest bounds count.

    Attributes:
        code: key * width + value id, ascending. key: of each.
        began: rank of the earliest invocation that may have taken effect, `first` its position; NONE where all failed.
        known: rank of the earliest acknowledgement, `acknowledged` its position; NEVER and NONE where there is none.
        told: rank at which the last failure was told, where all failed, and `failed` its position.
        repeated: whether more than one may have taken effect.
    """

    code: Indexes
    key: Indexes
    value: Indexes
    began: Ranks
    first: Indexes
    known: Ranks
    acknowledged: Indexes
    told: Ranks
    failed: Indexes
    repeated: NDArray[np.bool_]
    width: int

    @classmethod
    def of(cls, operations: Operations, keys: Indexes, adds: Indexes) -> Additions:
        """Group additions, failed ones included, at some positions (ascending)."""
        return cls.grouped(operations, adds, keys[adds], operations.value[adds], len(operations.values) + 1)

    @classmethod
    def grouped(cls, operations: Operations, adds: Indexes, key: Indexes, value: Indexes, width: int) -> Additions:
        """Group additions whose keys and elements (below width) have numbers of their own. `adds` ascends."""
        code, group = np.unique(key * width + value, return_inverse=True)
        failed, ok = operations.failed[adds], operations.ok[adds]
        live = np.flatnonzero(~failed)
        first, acknowledged, refused = (np.full(len(code), NONE, dtype=np.int64) for _ in range(3))
        first[group[live[::-1]]] = adds[live[::-1]]  # of several assignments to one place the last stays
        by_end = np.argsort(operations.completed[adds], kind="stable")
        by_end_ok, by_end_failed = by_end[ok[by_end]], by_end[failed[by_end]]
        acknowledged[group[by_end_ok[::-1]]] = adds[by_end_ok[::-1]]
        refused[group[by_end_failed]] = adds[by_end_failed]
        refused[first != NONE] = NONE
        return cls(
            code=code,
            key=code // width,
            value=code % width,
            began=np.where(first == NONE, NONE, operations.invoked[first]),
            first=first,
            known=np.where(acknowledged == NONE, NEVER, operations.completed[acknowledged]),
            acknowledged=acknowledged,
            told=np.where(refused == NONE, NONE, operations.completed[refused]),
            failed=refused,
            repeated=np.bincount(group[live], minlength=len(code)) > 1,
            width=width,
        )

    def find(self, key: Indexes, value: Indexes) -> Indexes:
        """Group of each (key, value id); NONE where nobody asked for it."""
        if not len(self.code):
            return np.full(len(key), NONE, dtype=np.int64)
        wanted = key * self.width + value
        at = np.minimum(np.searchsorted(self.code, wanted), len(self.code) - 1)
        return np.where((value != NONE) & (self.code[at] == wanted), at, NONE)
