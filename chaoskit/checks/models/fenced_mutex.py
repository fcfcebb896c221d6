"""Model `fenced-mutex`: a lock whose every holder is given a token greater than all before. Exact

After Jepsen's tests of Hazelcast; what tokens are for: Kleppmann, How to do distributed locking (2016).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chaoskit.checks.forms import only, unlike, whole
from chaoskit.checks.locks import OLD_TOKEN, TWICE, owners, released_later, unreleased
from chaoskit.checks.result import Alteration, Options, Result
from chaoskit.checks.searching import LEVEL, by_key, puzzle, searched
from chaoskit.history.operation import NONE
from chaoskit.history.operations import Operations
from chaoskit.history.values import Map

__all__ = ["MODEL", "FencedMutexModel"]

_REMEDY = "check a shorter history"


@dataclass(frozen=True)
class FencedMutexModel:
    """Locks, one per key, that know their holder and count their holders."""

    name: str = "fenced-mutex"
    summary: str = "acquire of a lock per key, answered with a token that grows, and release by its holder"
    functions: frozenset[str] = frozenset({"acquire", "release"})
    levels: tuple[str, ...] = (LEVEL,)
    alterations: tuple[Alteration, ...] = (TWICE, OLD_TOKEN)
    per_key: bool = True

    def check(self, operations: Operations, options: Options) -> Result:
        """Judge a history. Exposed are the acquisitions and releases that were acknowledged.

        An acquisition without a token (nil, or `fence` 0 in a map) may have been given any.

        Raises:
            HistoryError: a token is no whole number. The history's fault.
        """
        only(operations, self.name, self.functions)
        owner = owners(operations)
        acquire = operations.named("acquire")
        token = _tokens(operations, acquire & operations.ok)
        kept = released_later(operations, owner)
        parts = by_key(operations, kept)
        asked = [(bool(one), owner[at], token[at]) for at, one in enumerate(acquire)]
        puzzles = (
            (part, puzzle(operations, part, [asked[one] for one in part], _step, (None, None), lambda _: False))
            for part in parts
        )
        return searched(
            self.name,
            operations,
            puzzles,
            len(parts),
            options,
            expected="whoever acquires the lock finds it free and is given a greater token than anyone before it; only "
            "its holder releases it",
            exposed=int(operations.ok.sum()),
            remedy=_REMEDY,
            notes=unreleased(operations, kept),
        )


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
