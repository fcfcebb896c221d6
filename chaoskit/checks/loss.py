"""What became of writes in the end: lost, there, or risen again; by what final reads answered.

Judged for writes that can be recognised: elements of lists and sets (each added once), and registers whose key was
written once. What was overwritten cannot be told from what was lost, and is not counted. An acknowledged write is

    lost      no last final answer of its key holds it, and at least one of them began after the acknowledgement
    missing   some node's last final answer holds it, some other's does not: that is divergence, not loss
    unread    nobody read its key in the end, or not since the acknowledgement

A *resurrected* failure is a write that was reported as failed, and is there in the end. What became of a write of
unknown outcome is no loss, as in Jepsen's checkers of sets. When and where the lost ones had been acknowledged:
`chaoskit.checks.sides`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.elements import dense
from chaoskit.history.operation import NONE
from chaoskit.history.operations import Operations
from chaoskit.history.values import identity

__all__ = ["ACKNOWLEDGED", "ADDS", "LOST", "Finals"]

ACKNOWLEDGED, LOST = "acknowledged", "lost everywhere"  # as figures are called

ADDS = frozenset({"append", "add"})  # what puts an element into a list or a set
_WRITES = ADDS | {"write"}


@dataclass(frozen=True, eq=False)
class Finals:
    """The last final answer of every node about every key, and what it holds. Nodes that are not told are one."""

    operations: Operations

    @cached_property
    def key(self) -> NDArray[np.int64]:
        """Dense key of every operation."""
        return dense(self.operations)

    @cached_property
    def reads(self) -> NDArray[np.int64]:
        """Positions of the last final answers, one per node and key."""
        of = self.operations
        final = np.flatnonzero(of.named("read") & of.ok & of.final)
        final = final[np.argsort(of.completed[final], kind="stable")]
        code = self.key[final] * (len(of.nodes) + 1) + of.node[final].astype(np.int64) + 1
        _, last = np.unique(code[::-1], return_index=True)
        return np.sort(final[::-1][last])

    @cached_property
    def by_key(self) -> dict[int, list[int]]:
        """Of each key, its last final answers."""
        found: dict[int, list[int]] = {}
        for read in self.reads.tolist():
            found.setdefault(int(self.key[read]), []).append(read)
        return found

    @cached_property
    def nodes(self) -> list[int]:
        """Nodes that were asked in the end; NONE is one of them where the history does not tell."""
        return sorted({int(one) for one in self.operations.node[self.reads]})

    @cached_property
    def writes(self) -> NDArray[np.int64]:
        """Positions of writes, appends and adds of all outcomes."""
        found: NDArray[np.int64] = np.flatnonzero(self.operations.named(*_WRITES))
        return found

    @cached_property
    def judged(self) -> NDArray[np.int64]:
        """Those of `writes` that can be recognised."""
        of = self.operations
        live = self.writes[~of.failed[self.writes]]
        element = of.named(*ADDS)
        width = len(of.values) + 2
        name = np.where(element, self.key * width + of.value + 1, self.key * width)
        names, count = np.unique(name[live], return_counts=True)
        once = np.isin(name[self.writes], names[count > 1], invert=True)
        return self.writes[once]

    @cached_property
    def _held(self) -> dict[int, Collection[Any]]:
        """What a value that was answered holds, by value id."""
        found: dict[int, Collection[Any]] = {NONE: ()}
        for number in dict.fromkeys(self.operations.result[self.reads].tolist()):
            value = self.operations.of_value(number)
            if isinstance(value, tuple | frozenset):
                found[number] = frozenset(identity(one) for one in value)
        return found

    def holds(self, read: int, write: int) -> bool:
        """Whether an answer shows what was written."""
        of = self.operations
        if of.function(write) in ADDS:
            held = self._held.get(int(of.result[read]), ())
            return identity(of.of_value(int(of.value[write]))) in held
        return bool(of.result[read] == of.value[write])

    def since(self, write: int) -> list[int]:
        """Last final answers about what was written that began after it was acknowledged."""
        ended = self.operations.completed[write]
        every = self.by_key.get(int(self.key[write]), [])
        return [one for one in every if self.operations.invoked[one] > ended]

    @cached_property
    def acknowledged(self) -> NDArray[np.int64]:
        """Those of `judged` that were acknowledged."""
        return self.judged[self.operations.ok[self.judged]]

    @cached_property
    def lost(self) -> NDArray[np.int64]:
        """Acknowledged writes that nobody's last answer shows."""
        return self._where(lambda reads, write: bool(reads) and not self._anywhere(write))

    @cached_property
    def unread(self) -> NDArray[np.int64]:
        """Acknowledged writes that nobody looked for in the end."""
        return self._where(lambda reads, write: not reads)

    def numbers(self) -> dict[str, float]:
        """How many acknowledged writes can be recognised, and what became of them."""
        return {
            ACKNOWLEDGED: float(len(self.acknowledged)),
            LOST: float(len(self.lost)),
            "not looked for": float(len(self.unread)),
        }

    @cached_property
    def resurrected(self) -> NDArray[np.int64]:
        """Failed writes that are there, though no other write of the same may have happened."""
        of = self.operations
        width = len(of.values) + 2
        name = self.key * width + of.value + 1
        live = name[self.writes[~of.failed[self.writes]]]
        failed = self.writes[of.failed[self.writes]]
        failed = failed[~np.isin(name[failed], live) & (of.value[failed] != NONE)]
        there = [one for one in failed.tolist() if self._anywhere(one)]
        return np.asarray(there, dtype=np.int64)

    def _anywhere(self, write: int) -> bool:
        return any(self.holds(read, write) for read in self.by_key.get(int(self.key[write]), ()))

    def _where(self, chosen: Any) -> NDArray[np.int64]:
        found = [one for one in self.acknowledged.tolist() if chosen(self.since(one), one)]
        return np.asarray(found, dtype=np.int64)
