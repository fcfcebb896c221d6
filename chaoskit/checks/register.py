"""Writes and reads of one cell's history, as invariants of experiments are given them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chaoskit.history.frame import History
from chaoskit.history.operation import NONE
from chaoskit.history.operations import Operations

__all__ = ["WritesAndReads"]


@dataclass(frozen=True)
class WritesAndReads:
    """The operations `write` and `read` of a history.

    Attributes:
        place: position in `history.rows` of each operation.
        foreign: how many keys were left out because something else than a write or a read touched them: what, say, a
            delete may do to a key is not these rules' to say, and the innocent are not accused.
    """

    operations: Operations
    place: NDArray[np.int64]
    foreign: int

    @classmethod
    def of(cls, history: History) -> WritesAndReads:
        """Take a history apart."""
        given = Operations.of(history)
        place = np.searchsorted(history.rows["index"], given.index)
        ours = given.named("write", "read")
        # What never left the harness has no function and touched nothing.
        sent = history.rows["t_sent"][place] != NONE
        foreign = np.unique(given.key[~ours & sent & (given.key != NONE)])
        chosen = np.flatnonzero(ours & ~np.isin(given.key, foreign))
        return cls(given.where(chosen), place[chosen], len(foreign))

    def where(self, chosen: NDArray[np.bool_]) -> WritesAndReads:
        """Some of them."""
        at = np.flatnonzero(chosen)
        return WritesAndReads(self.operations.where(at), self.place[at], self.foreign)
