"""How stale the answers of registers were, one by one, by session and by node: the distribution behind the figures.

Ages are lower bounds: counted from the instant at which something newer was provably there (its write had returned, or
somebody had been shown it), never from when its write was sent. So shares of fresh answers are upper bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.age import ages, versions_behind
from chaoskit.checks.origins import decode
from chaoskit.checks.quantiles import nearest_rank
from chaoskit.checks.registers import Registers
from chaoskit.history.operation import NONE
from chaoskit.history.operations import Operations

__all__ = ["Staleness"]


@dataclass(frozen=True, eq=False)
class Staleness:
    """All columns run over the answers whose write is known.

    Attributes:
        read: positions. stale: which of them show what had provably been replaced when they began.
        age_ns: for how long, at least; 0 for the others, and everywhere where times are not known (`timed`).
        versions: by how many writes, at least.
        session, node: of the operation.
    """

    operations: Operations
    read: NDArray[np.int64]
    stale: NDArray[np.bool_]
    age_ns: NDArray[np.int64]
    versions: NDArray[np.int64]
    timed: bool

    @classmethod
    def of(cls, operations: Operations, initial: Any = None) -> Staleness:
        """Of a history of `read`, `write` and `cas`. Registers whose values are ambiguous are left out.

        Raises:
            HistoryError: a compare-and-set does not ask [old new]. The history's fault.
        """
        origins = decode(operations, initial)
        registers = Registers(operations, origins, initial is None)
        placed = origins.cluster != NONE
        late = registers.overtaken
        timed = operations.timed
        age = ages(operations, origins, late) if timed else np.zeros(len(origins.seer), dtype=np.int64)
        return cls(
            operations,
            origins.seer[placed],
            late.late[placed],
            age[placed],
            versions_behind(origins, registers.first, late)[placed],
            timed,
        )

    def where(self, chosen: NDArray[np.bool_]) -> Staleness:
        """Some of the answers."""
        return Staleness(
            self.operations,
            self.read[chosen],
            self.stale[chosen],
            self.age_ns[chosen],
            self.versions[chosen],
            self.timed,
        )

    def numbers(self) -> dict[str, float]:
        """Share of stale answers, and quantiles of age and versions over all answers; {} for no answers."""
        if not len(self.read):
            return {}
        found = {"answers": float(len(self.read)), "stale answers, share": float(self.stale.mean())}
        versions = nearest_rank(self.versions.astype(np.float64), (500, 990, 1000))
        found |= {f"staleness {n}, versions at least": v for n, v in zip(("p50", "p99", "max"), versions, strict=True)}
        if self.timed:
            age = nearest_rank(self.age_ns / 1e6, (500, 990, 1000))
            found |= {f"staleness {n}, ms at least": v for n, v in zip(("p50", "p99", "max"), age, strict=True)}
        return found

    def by_node(self) -> dict[str, Staleness]:
        """Per node that was contacted; "" where the history does not tell."""
        node = self.operations.node[self.read]
        names = self.operations.nodes
        return {
            (names[number] if number >= 0 else ""): self.where(node == number) for number in np.unique(node).tolist()
        }

    def by_session(self) -> dict[int, Staleness]:
        """Per session."""
        session = self.operations.session[self.read]
        return {number: self.where(session == number) for number in np.unique(session).tolist()}

    def visible(self, milliseconds: Sequence[float]) -> list[float]:
        """Of all answers, the share that shows whatever was known so many milliseconds before they began, at most.

        Points of the curve of t-visibility (Bailis et al., Probabilistically Bounded Staleness, VLDB 2012). NaN where
        there are no answers, or no times.
        """
        if not len(self.read) or not self.timed:
            return [float("nan")] * len(milliseconds)
        return [float(np.mean(self.age_ns <= point * 1e6)) for point in milliseconds]

    def beyond(self, milliseconds: float | None = None, versions: int | None = None) -> NDArray[np.int64]:
        """Positions of the answers that break a bound: older than so many milliseconds, or more versions behind."""
        broken = np.zeros(len(self.read), dtype=np.bool_)
        if milliseconds is not None:
            broken |= self.age_ns > milliseconds * 1e6
        if versions is not None:
            broken |= self.versions > versions
        return self.read[broken]
