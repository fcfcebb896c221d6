"""Evidence that asks fail: refused, unanswered, reset, closed."""

from __future__ import annotations

import time

from chaoskit.faults.evidence.model import Observation, all_of, counted, ms, past
from chaoskit.faults.evidence.scene import ASKS, SLACK
from chaoskit.faults.evidence.sight import LinkSight

__all__ = ["Refused", "Reset", "Silent", "Timeout"]

_PATIENCE = 10.0  # seconds to wait for an end that is to come late; a longer silence is taken for what was asked


class Refused(LinkSight):
    """Every connect is refused, and the open connection ended."""

    async def look(self) -> Observation:
        """Connect."""
        old, new = await self.ask_all(SLACK, ASKS)
        text = f"refused {sum(r.kind == 'refused' for r in new)} of {len(new)} connects"
        if old is not None:
            text += f", the open connection {past(old)}"
        return self.said(all_of(new, "refused") and (old is None or old.kind in ("closed", "reset", "refused")), text)


class Silent(LinkSight):
    """No answer within the time: not on a new connection (a connect that hangs is silence too), nor on the open one."""

    async def look(self) -> Observation:
        """Ask."""
        old, new = await self.ask_all(self.item.expected, 2)
        asked = f"{counted(new)} in {ms(self.item.expected)} ms"
        if old is None:
            return self.said(all_of(new, "silent"), f"new connections: {asked}")
        text = f"the open connection {past(old)}, new ones: {asked}"
        return self.said(all_of(new, "silent") and old.kind == "silent", text)


class Reset(LinkSight):
    """A reset on use."""

    speaks = True

    async def look(self) -> Observation:
        """Ask."""
        old, new = await self.ask_all(self.item.expected + SLACK, ASKS)
        text = f"reset {sum(r.kind == 'reset' for r in new)} of {len(new)} connections"
        if old is not None:
            text += f", the open connection {past(old)}"
        # The real Toxiproxy ends connections that are older than its toxic with FIN instead of RST.
        return self.said(all_of(new, "reset") and (old is None or old.kind in ("reset", "closed")), text)


class Timeout(LinkSight):
    """No answer, and the end of the connection when the time is up."""

    speaks = True
    holds = False

    async def look(self) -> Observation:
        """Ask, and wait for the end."""
        limit = self.item.expected
        start = time.monotonic()
        new = await self.scene.ask(self.link, min(limit + SLACK, _PATIENCE), 3)
        took = time.monotonic() - start
        if limit + SLACK > _PATIENCE and all_of(new, "silent"):
            return self.said(True, f"no answer in {took:.0f} s (connections are to be closed after {limit:g} s)")
        text = f"{counted(new)}, the last after {ms(took)} ms; to be closed after {ms(limit)} ms"
        return self.said(all_of(new, "closed", "reset"), text)
