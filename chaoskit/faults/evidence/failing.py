"""Evidence that asks fail: refused, unanswered, reset, closed."""

from __future__ import annotations

import math
import time

from chaoskit.faults.evidence.model import Observation, all_of, count, counted, ms, past
from chaoskit.faults.evidence.scene import ASKS, SLACK, Scene
from chaoskit.faults.evidence.sight import LinkSight
from chaoskit.faults.evidence.statistics import share_above
from chaoskit.stack.effects import Evidence
from chaoskit.stack.topology import Protocol
from chaoskit.units import format_share

__all__ = ["Back", "Flaky", "Flap", "Refused", "Reset", "Silent", "Timeout"]

_MANY = 10  # new connections per look for a share of them
_DOUBT = 0.05  # that a flaky link is taken for a healed one
_MOST = 100  # asks that it takes at most to take it for healed
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


class Back(LinkSight):
    """Nothing while it lasts, because the link is cut by something else; in the end it answers."""

    async def before(self, timeout: float) -> None:
        """Nobody answers now: to ask would only hold the fault up."""
        return

    async def look(self) -> Observation:
        """Nothing to wait for: no word for it, and none against it."""
        return self.said(True, "cut off, to be asked in the end", idle=True)


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


class Flaky(LinkSight):
    """A share of new connections fails; `tolerance` is how long an answer may take, 0 = as long as any other.

    Where a canary cannot speak, the connections that the toxics hit, out of all that there were.
    """

    holds = False
    counting = True

    def __init__(self, item: Evidence, scene: Scene) -> None:
        super().__init__(item, scene)
        self._asked = self._failed = self._well = 0
        self._since = 0.0
        self._wait = item.tolerance or SLACK

    @classmethod
    def blind(cls, item: Evidence, protocol: Protocol, counted: bool) -> str | None:
        """Silence counts no connections, only what was swallowed."""
        if protocol == "tcp" and (item.tolerance or not counted):
            return "a canary on plain TCP cannot show flaky connections: declare the link's protocol"
        return None

    async def look(self) -> Observation:
        """Ask over new connections, each of them once."""
        self._since = self._since or time.monotonic()
        if self.protocol == "tcp":
            return self._counted()
        found = await self.scene.ask(self.link, self._wait, _MANY)
        self._asked += len(found)
        self._failed += sum(r.kind != "answered" for r in found)
        return self._judged(self._failed, self._asked, "new connections fail")

    async def gone(self) -> Observation:
        """So many new connections are answered that one of them would have failed, had it stayed (95 %)."""
        enough = 1 if self.item.expected >= 1.0 else math.log(_DOUBT) / math.log1p(-self.item.expected)
        found = await self.scene.ask(self.link, self._wait, _MANY)
        self._well = self._well + len(found) if all_of(found, "answered") else 0
        text = f"{count(self._well, 'new connection')} answered in a row" if self._well else counted(found)
        return self.said(self._well >= min(math.ceil(enough), _MOST), text)

    def _counted(self) -> Observation:
        readings = self.scene.readings(self.link, self._since)
        if len(readings) < 2:
            return self.said(False, "not counted for long enough")
        first, last = readings[0].link, readings[-1].link
        there = first.open + last.accepted - first.accepted
        hits = sum(last.hits.get(name, 0) - first.hits.get(name, 0) for name in self.item.toxics)
        return self._judged(min(hits, there), there, "connections were hit")

    def _judged(self, failed: int, asked: int, what: str) -> Observation:
        expected, base = self.item.expected, self.scene.base(self.link)
        # What failed before says nothing about the fault.
        usual = sum(r.kind != "answered" for r in base) / len(base) if base else 0.0
        if not asked:
            return self.said(False, f"asked {format_share(expected)}, there were no connections", idle=True)
        least = max(share_above(failed, asked) - usual, 0.0)
        text = f"asked {format_share(expected)}, {failed} of {asked} {what} ({format_share(failed / asked)}, at least "
        return self.said(least >= expected / 2, f"{text}{format_share(least)})")


class Flap(LinkSight):
    """Refused, and served again after it was refused."""

    holds = False

    def __init__(self, item: Evidence, scene: Scene) -> None:
        super().__init__(item, scene)
        self._refused = self._served = 0

    async def look(self) -> Observation:
        """Connect once."""
        found = await self.scene.ask(self.link, SLACK, 1)
        if all_of(found, "refused"):
            self._refused += 1
        elif self._refused and all_of(found, "answered"):
            self._served += 1
        again = f", after that served {count(self._served, 'time')}" if self._refused else f" ({counted(found)})"
        return self.said(bool(self._served), f"refused {count(self._refused, 'time')}{again}")
