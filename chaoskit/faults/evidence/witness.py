"""Watches one injection: `before` shortly ahead of it, `seen` once it was confirmed, `gone` once it was taken back.
Each gives one observation per piece of evidence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from chaoskit.faults.evidence.kinds import sight_of
from chaoskit.faults.evidence.model import Counters, Observation, Pids, Place
from chaoskit.faults.evidence.scene import Scene
from chaoskit.faults.evidence.sight import Sight
from chaoskit.stack.effects import Evidence
from chaoskit.toxiproxy.model import LinkCounters

__all__ = ["Witness"]

_PAUSE = 0.1  # seconds between looks


async def _nobody_counts() -> Mapping[str, LinkCounters]:
    return {}


class Witness:
    """Of one injection. Cheap: a few connections per link, none of them kept while nobody asks but one.

    Args:
        evidence: of the compiled injection.
        places: link id -> where a canary dials to go through that link.
        pids: asks for the processes of a node.
        counters: asks for what each link carried, by its id; a link that is not in the answer is not counted, and a
            ChaosKitError is a reading that is missing.
    """

    def __init__(
        self,
        evidence: Sequence[Evidence],
        places: Mapping[str, Place],
        pids: Pids,
        counters: Counters = _nobody_counts,
    ) -> None:
        self.evidence = tuple(evidence)
        self._scene = Scene(places, pids, counters)
        self._sights = [sight_of(item, self._scene) for item in self.evidence]

    async def before(self, timeout: float = 5.0) -> None:
        """Take the baseline and open the connections that shall be older than the fault. At most a second or so ahead:
        servers hang up on connections that idle. What cannot be asked now shows as unseen later. From here on the
        links' counters are read, until everything was seen."""
        self._count()
        await asyncio.gather(*(sight.before(timeout) for sight in self._sights))

    async def seen(self, deadline: float) -> tuple[Observation, ...]:
        """Look until everything has been seen to bite, or until `deadline` (seconds of time.monotonic()).

        Effects that begin and end inside the injection go on meanwhile: a link that flaps is seen down and up.
        """
        return await self._watch(lambda sight: sight.seen(), deadline)

    async def gone(self, deadline: float) -> tuple[Observation, ...]:
        """Look until everything is seen to be as before, or until `deadline`; `seen` then means seen to be gone."""

        async def gone(sight: Sight) -> Observation:
            other = sight.item.ends_with
            return sight.said(True, f"to be asked when {other} is over") if other else await sight.gone()

        return await self._watch(gone, deadline)

    def close(self) -> None:
        """Hang up; idempotent."""
        for sight in self._sights:
            sight.close()
        self._scene.close()

    def _count(self) -> None:
        if any(sight.counting for sight in self._sights):
            self._scene.count()

    async def _watch(self, look: Callable[[Sight], Awaitable[Observation]], deadline: float) -> tuple[Observation, ...]:
        async def watch(sight: Sight) -> Observation:
            while True:
                found = await look(sight)
                if found.seen or time.monotonic() >= deadline:
                    return found
                await asyncio.sleep(_PAUSE)

        self._count()
        try:
            return tuple(await asyncio.gather(*(watch(sight) for sight in self._sights)))
        finally:
            await self._scene.stop_counting()
