"""Model `fenced-mutex`: a lock whose every holder is given a token greater than all before. Exact

After Jepsen's tests of Hazelcast; what tokens are for: Kleppmann, How to do distributed locking (2016).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chaoskit.checks.forms import only, unlike, whole
from chaoskit.checks.locks import OLD_TOKEN, TWICE, Locks, owners, released_later
from chaoskit.checks.result import Options, Result
from chaoskit.history.operation import NONE
from chaoskit.history.operations import Operations
from chaoskit.history.values import Map

__all__ = ["MODEL", "FencedMutexModel"]


class FencedMutexModel(Locks):
    """Locks, one per key, that know their holder and count their holders."""

    name = "fenced-mutex"
    summary = "acquire of a lock per key, answered with a token that grows, and release by its holder"
    alterations = (TWICE, OLD_TOKEN)

    def check(self, operations: Operations, options: Options) -> Result:
        """Judge a history. Exposed are the acquisitions and releases that were acknowledged.

        An acquisition without a token (nil, or `fence` 0 in a map) may have been given any.

        Raises:
            HistoryError: a token is no whole number. The history's fault.
        """
        only(operations, self.name, self.functions)
        owner, acquire = owners(operations), operations.named("acquire")
        asked = list(zip(acquire.tolist(), owner, _tokens(operations, acquire & operations.ok), strict=True))
        expected = (
            "whoever acquires the lock finds it free and is given a greater token than anyone before it; only its "
            "holder releases it"
        )
        return self.judged(operations, options, released_later(operations, owner), asked, _step, (None, None), expected)


def _tokens(operations: Operations, granted: Any) -> list[int | None]:
    found: list[int | None] = [None] * len(operations)
    for one in np.flatnonzero(granted & (operations.result != NONE)).tolist():
        value = operations.of_value(int(operations.result[one]))
        if isinstance(value, Map):
            value = value.get("fence") or None
            if value is None:
                continue
        found[one] = whole(value)
        if found[one] is None:
            raise unlike(operations, one, "is answered with a token that is no whole number")
    return found


def _step(state: tuple[int | None, Any], asked: tuple[bool, Any, int | None]) -> Any:
    """`state` is the highest token that was given out, and who holds the lock."""
    highest, holder = state
    acquires, owner, token = asked
    if not acquires:
        return (highest, None) if holder == owner else None
    if holder is not None:
        return None
    if token is None:
        return (highest, owner)
    return (token, owner) if highest is None or token > highest else None


MODEL = FencedMutexModel()
