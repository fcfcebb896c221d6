"""Who holds a role, asked again and again in one process: a `Follower` reads what `actions_runner` writes down."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Collection

from chaoskit.contracts import Sighting
from chaoskit.errors import LinkError
from chaoskit.runtimes.launched import Launched

__all__ = ["EVERY", "Follower"]

EVERY = 0.1  # seconds between two questions
_POLL = 0.02
_LONGEST = 1 << 22  # bytes of all answers


class Follower:
    """Of one role. It ends by itself after a time, and with whoever started it.

    Args:
        what: the role, for messages.
        nodes: that can hold it.
        call: the process; `out`: descriptor of the memory file in which it writes one JSON line per answer. Ours now.
    """

    def __init__(self, what: str, nodes: Collection[str], call: Launched, out: int) -> None:
        self._what, self._nodes, self._call, self._out = what, nodes, call, out

    async def sightings(self, patience: float) -> list[Sighting]:
        """Everything that was answered so far; waits up to `patience` seconds for the first answer.

        Raises:
            LinkError: there is none, or the process has ended: what it last said may be long past.
        """
        late = time.monotonic() + patience
        while True:
            if self._call.exit.done():
                raise self._failure(f"ended with code {self._call.returncode}")
            if found := self._read():
                return found
            if time.monotonic() > late:
                raise self._failure(f"gave no answer within {patience:g} s")
            await asyncio.sleep(_POLL)

    async def stop(self) -> None:
        """End it; idempotent."""
        await self._call.kill()
        out, self._out = self._out, -1
        if out >= 0:
            os.close(out)

    def _failure(self, what: str) -> LinkError:
        return LinkError(f"{self._what}: the process that asks who holds it {what}", hint=f"see {self._call.spec.log}")

    def _read(self) -> list[Sighting]:
        if self._out < 0:
            return []
        lines = os.pread(self._out, _LONGEST, 0).split(b"\n")[:-1]  # the last one may be half written
        return [self._sighting(json.loads(line)) for line in lines]

    def _sighting(self, line: dict[str, object]) -> Sighting:
        holder, error = line.get("text"), str(line.get("error", ""))
        if holder is not None and holder not in self._nodes:
            holder, error = None, f"{holder!r} is none of {', '.join(self._nodes)}"
        asked, answered = int(str(line["asked_ns"])), int(str(line["answered_ns"]))
        return Sighting(asked, answered, None if holder is None else str(holder), error)
