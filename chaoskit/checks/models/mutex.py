"""Model `mutex`: a lock is held once at a time. Exact; the search is near-linear, for equal operations are counted.

There are but two kinds of operations, acquire and release, and two states. Of those under way it only matters how many
have taken effect, so at any instant there are no more possibilities than pairs of such counts.
"""

from __future__ import annotations

from typing import Any

from chaoskit.checks.forms import only
from chaoskit.checks.locks import Locks
from chaoskit.checks.result import Options, Result
from chaoskit.history.operations import Operations

__all__ = ["MODEL", "MutexModel"]


class MutexModel(Locks):
    """Locks, one per key, as in Knossos: whoever releases, the lock is free then."""

    name = "mutex"
    summary = "acquire and release of one lock per key: it is held once at a time"

    def check(self, operations: Operations, options: Options) -> Result:
        """Judge a history. Exposed are the acquisitions and releases that were acknowledged."""
        only(operations, self.name, self.functions)
        acquire = operations.named("acquire").tolist()
        expected = "whoever acquires the lock finds it free, and whoever releases it finds it held"
        return self.judged(operations, options, ~operations.failed, acquire, _step, False, expected)


def _step(held: bool, acquires: bool) -> Any:
    return acquires if held != acquires else None


MODEL = MutexModel()
