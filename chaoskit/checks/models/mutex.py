"""Model `mutex`: a lock is held once at a time. Exact; the search is near-linear, for equal operations are counted.

There are but two kinds of operations, acquire and release, and two states. Of those under way it only matters how many
have taken effect, so at any instant there are no more possibilities than pairs of such counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chaoskit.checks.forms import only
from chaoskit.checks.locks import TWICE
from chaoskit.checks.result import Alteration, Options, Result
from chaoskit.checks.searching import LEVEL, by_key, puzzle, searched
from chaoskit.history.operations import Operations

__all__ = ["MODEL", "MutexModel"]

_REMEDY = "check a shorter history"


@dataclass(frozen=True)
class MutexModel:
    """Locks, one per key, as in Knossos: whoever releases, the lock is free then."""

    name: str = "mutex"
    summary: str = "acquire and release of one lock per key: it is held once at a time"
    functions: frozenset[str] = frozenset({"acquire", "release"})
    levels: tuple[str, ...] = (LEVEL,)
    alterations: tuple[Alteration, ...] = (TWICE,)
    per_key: bool = True

    def check(self, operations: Operations, options: Options) -> Result:
        """Judge a history. Exposed are the acquisitions and releases that were acknowledged."""
        only(operations, self.name, self.functions)
        parts = by_key(operations, ~operations.failed)
        acquire = operations.named("acquire")
        puzzles = (
            (part, puzzle(operations, part, acquire[part].tolist(), _step, False, lambda _: False)) for part in parts
        )
        return searched(
            self.name,
            operations,
            puzzles,
            len(parts),
            options,
            expected="whoever acquires the lock finds it free, and whoever releases it finds it held",
            exposed=int(operations.ok.sum()),
            remedy=_REMEDY,
        )


def _step(held: bool, acquires: bool) -> Any:
    return acquires if held != acquires else None


MODEL = MutexModel()
