"""Model `reentrant-mutex`: a lock that its holder may acquire again, and is free when released as often. Exact

After Jepsen's tests of Hazelcast, but without a limit to how often it may be acquired.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chaoskit.checks.forms import only
from chaoskit.checks.locks import TWICE, owners, released_later, unreleased
from chaoskit.checks.result import Alteration, Options, Result
from chaoskit.checks.searching import LEVEL, by_key, puzzle, searched
from chaoskit.history.operations import Operations

__all__ = ["MODEL", "ReentrantMutexModel"]

_REMEDY = "check a shorter history"


@dataclass(frozen=True)
class ReentrantMutexModel:
    """Locks, one per key, that know their holder: the client that the operation names, or its process."""

    name: str = "reentrant-mutex"
    summary: str = "acquire and release of a lock per key; its holder may acquire it again, nobody else"
    functions: frozenset[str] = frozenset({"acquire", "release"})
    levels: tuple[str, ...] = (LEVEL,)
    alterations: tuple[Alteration, ...] = (TWICE,)
    per_key: bool = True

    def check(self, operations: Operations, options: Options) -> Result:
        """Judge a history. Exposed are the acquisitions and releases that were acknowledged."""
        only(operations, self.name, self.functions)
        owner = owners(operations)
        acquire = operations.named("acquire").tolist()
        kept = released_later(operations, owner)
        parts = by_key(operations, kept)
        puzzles = (
            (part, puzzle(operations, part, [(acquire[one], owner[one]) for one in part], _step, (), lambda _: False))
            for part in parts
        )
        return searched(
            self.name,
            operations,
            puzzles,
            len(parts),
            options,
            expected="whoever acquires the lock finds it free or holds it already, and only its holder releases it",
            exposed=int(operations.ok.sum()),
            remedy=_REMEDY,
            notes=unreleased(operations, kept),
        )


def _step(held: Any, asked: tuple[bool, Any]) -> Any:
    """`held` is (owner, times), or () while the lock is free."""
    acquires, owner = asked
    if held and held[0] != owner:
        return None
    if acquires:
        return (owner, held[1] + 1 if held else 1)
    if not held:
        return None
    return (owner, held[1] - 1) if held[1] > 1 else ()


MODEL = ReentrantMutexModel()
