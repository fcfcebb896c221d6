"""Who holds the role (`leader`) that a fault is placed beside: before it begins, and at its observed start.

The target is asked ten times a second from before the begin until after it, because a cut takes the role away from its
holder within a second or so: an answer that comes later cannot tell whether the role moved before the cut or by it.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from chaoskit.clock import Clock
from chaoskit.errors import ChaosKitError, LinkError
from chaoskit.safety.session import Supervisor
from chaoskit.units import NS

__all__ = ["Placing"]

_FOLLOWED_S = 60.0  # the asking ends by itself after this time, whoever forgets it
_POLL_NS = NS // 20
_PATIENCE_NS = 5 * NS  # for an answer to a question that was asked after the begin


class Placing:
    """Of one injection.

    Args:
        nodes: that something is planned for.
    """

    def __init__(self, supervisor: Supervisor, clock: Clock, role: str, nodes: Collection[str]) -> None:
        self._supervisor, self._clock, self._role, self._nodes = supervisor, clock, role, nodes
        self._holder, self._since_ns = "", 0

    async def choose(self, last_ns: int) -> str:
        """Who holds the role now: the node to place it beside. Waits until `last_ns` for somebody to hold it.

        Raises:
            LinkError: nobody did, or nobody knows; the message says which.
        """
        while True:
            try:
                found = (await self._supervisor.follow(self._role, _FOLLOWED_S))[-1]
            except LinkError as error:
                await self.stop()  # the next question starts anew
                reason = error.message
            else:
                if found.holder in self._nodes:
                    self._holder, self._since_ns = str(found.holder), found.asked_ns
                    return self._holder
                reason = f"{found.holder} held it, for which nothing is planned"
                if found.holder is None:
                    reason = found.error or "nobody held it"
            if self._clock.now_ns() > last_ns:
                raise LinkError(f"who holds {self._role} was not known when it was to begin: {reason}")
            await self._pause()

    async def moved(self, begun_ns: int | None = None) -> str | None:
        """Who else has held the role since it was chosen; None when nobody else is known to.

        Nobody at all is no move: a cut takes the role from its holder before it gives it to another.

        Args:
            begun_ns: the fault was confirmed at that instant: wait for the first answer to a question asked after it,
                and look no further, because what comes later may be its doing.

        Raises:
            LinkError: there is no such answer.
        """
        late = self._clock.now_ns() + _PATIENCE_NS
        while True:
            found = await self._supervisor.follow(self._role, _FOLLOWED_S)
            found = [one for one in found if one.asked_ns >= self._since_ns]
            last = found[-1].asked_ns if found else 0
            if begun_ns is not None:
                last = next((one.asked_ns for one in found if one.asked_ns >= begun_ns and not one.error), 0)
            if last or begun_ns is None:
                others = [
                    one.holder for one in found if one.asked_ns <= last and one.holder not in (None, self._holder)
                ]
                return others[-1] if others else None
            if self._clock.now_ns() > late:
                why = found[-1].error if found else "nobody answered"
                raise LinkError(f"who holds {self._role} was not known when it had begun: {why or 'nobody answered'}")
            await self._pause()

    async def _pause(self) -> None:
        await self._clock.sleep_until(self._clock.now_ns() + _POLL_NS)

    async def stop(self) -> None:
        """Ask no more; idempotent."""
        with suppress(ChaosKitError):  # it ends by itself, and with the stack
            await self._supervisor.follow(self._role, 0.0)
