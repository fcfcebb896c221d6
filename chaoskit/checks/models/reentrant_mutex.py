"""Model `reentrant-mutex`: a lock that its holder may acquire again, and is free when released as often. Exact

After Jepsen's tests of Hazelcast, but without a limit to how often it may be acquired.
"""

from __future__ import annotations

from typing import Any

from chaoskit.checks.forms import only
from chaoskit.checks.locks import Locks, owners, released_later
from chaoskit.checks.result import Options, Result
from chaoskit.history.operations import Operations

__all__ = ["MODEL", "ReentrantMutexModel"]


class ReentrantMutexModel(Locks):
    """Locks, one per key, that know their holder: the client that the operation names, or its process."""

    name = "reentrant-mutex"
    summary = "acquire and release of a lock per key; its holder may acquire it again, nobody else"

    def check(self, operations: Operations, options: Options) -> Result:
        """Judge a history. Exposed are the acquisitions and releases that were acknowledged."""
        only(operations, self.name, self.functions)
        owner = owners(operations)
        asked = list(zip(operations.named("acquire").tolist(), owner, strict=True))
        expected = "whoever acquires the lock finds it free or holds it already, and only its holder releases it"
        return self.judged(operations, options, released_later(operations, owner), asked, _step, (), expected)


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
