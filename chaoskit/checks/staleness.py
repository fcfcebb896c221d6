"""How stale the answers of registers were, at least: in milliseconds and in versions.

The age of an answer is counted from the instant at which something newer was provably there (its write had returned, or
somebody had been shown it), never from when that was sent: what is reported is never more than the truth, and shares of
fresh answers are upper bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.origins import Origins
from chaoskit.checks.quantiles import nearest_rank
from chaoskit.checks.registers import Registers
from chaoskit.checks.zones import Overtaken
from chaoskit.history.operation import NONE
from chaoskit.history.operations import Operations

__all__ = ["Staleness"]

_QUANTILES = {"p50": 500, "p99": 990, "max": 1000}


@dataclass(frozen=True, eq=False)
class Staleness:
    """All columns run over the answers whose write is known; registers whose values are ambiguous have none.

    Attributes:
        read: positions. stale: which of them show what had provably been replaced when they began.
        age_ns: for how long, at least; 0 for the others, and everywhere where times are not known (`timed`).
        versions: how many writes had returned since the value was last known to be current, at least.
    """

    read: NDArray[np.int64]
    stale: NDArray[np.bool_]
    age_ns: NDArray[np.int64]
    versions: NDArray[np.int64]
    timed: bool

    @classmethod
    def of(cls, operations: Operations, initial: Any = None) -> Staleness:
        """Of a history of `read`, `write` and `cas`.

        Raises:
            HistoryError: a compare-and-set does not ask [old new]. The history's fault.
        """
        return cls.judged(Registers.of(operations, initial))

    @classmethod
    def judged(cls, registers: Registers) -> Staleness:
        """Of a history that was taken apart already."""
        operations, origins, found = registers.operations, registers.origins, registers.overtaken
        placed = origins.cluster != NONE
        return cls(
            origins.seer[placed],
            found.late[placed],
            _ages(operations, origins, found)[placed],
            _versions(origins, registers.first, found)[placed],
            operations.timed,
        )

    def where(self, chosen: NDArray[np.bool_]) -> Staleness:
        """Some of the answers."""
        return Staleness(self.read[chosen], self.stale[chosen], self.age_ns[chosen], self.versions[chosen], self.timed)

    def numbers(self) -> dict[str, float]:
        """Share of stale answers, and quantiles of age and versions over all answers; {} for no answers."""
        count = len(self.read)
        if not count:
            return {}
        stale = int(np.count_nonzero(self.stale))
        found = {"answers": float(count), "stale answers, share": stale / count}
        columns = {"versions": self.versions.astype(np.float64)} | ({"ms": self.age_ns / 1e6} if self.timed else {})
        for unit, column in columns.items():
            ranked = nearest_rank(column, tuple(_QUANTILES.values())) if stale else [0.0] * len(_QUANTILES)
            found |= {f"staleness {name}, {unit} at least": one for name, one in zip(_QUANTILES, ranked, strict=True)}
        return found

    def visible(self, milliseconds: Sequence[float]) -> list[float]:
        """Of all answers, the share that shows whatever was known so many milliseconds before they began, at most.

        Points of the curve of t-visibility (Bailis et al., Probabilistically Bounded Staleness, VLDB 2012). NaN where
        there are no answers, or no times.
        """
        if not len(self.read) or not self.timed:
            return [float("nan")] * len(milliseconds)
        return [float(np.mean(self.age_ns <= point * 1e6)) for point in milliseconds]


def _ages(operations: Operations, origins: Origins, found: Overtaken) -> NDArray[np.int64]:
    """Nanoseconds per seer; 0 for what was not provably replaced, and where times are not known."""
    age = np.zeros(len(origins.seer), dtype=np.int64)
    late = np.flatnonzero(found.late)
    if len(late) and operations.timed:
        order = np.argsort(origins.ended)
        proof = order[np.searchsorted(origins.ended[order], found.known[late])]
        age[late] = np.maximum(0, operations.began_ns[origins.seer[late]] - operations.ended_ns[proof])
    return age


def _versions(origins: Origins, first: NDArray[np.int64], found: Overtaken) -> NDArray[np.int64]:
    """Writes per seer: all that had returned when it began, less all that had begun when its value was first known."""
    behind = np.zeros(len(origins.seer), dtype=np.int64)
    late = np.flatnonzero(found.late)
    if len(late):
        returned = np.searchsorted(np.sort(origins.end), origins.began[origins.seer[late]], side="left")
        begun = np.searchsorted(np.sort(origins.start), first[origins.cluster[late]], side="right")
        behind[late] = np.maximum(1, returned - begun)
    return behind
