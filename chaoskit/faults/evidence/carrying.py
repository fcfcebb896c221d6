"""Evidence from what the link itself counts: bytes in each direction, and the hits of its toxics.

The traffic of the system under test is what is looked at, so there must be some. Where nobody counts (the real
Toxiproxy) a canary is asked instead, and can show less.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, median
from typing import ClassVar, Literal

from chaoskit.faults.evidence.model import Observation, all_of, count, counted, ms
from chaoskit.faults.evidence.scene import ASKS, SLACK, Reading, Scene
from chaoskit.faults.evidence.sight import LinkSight
from chaoskit.faults.evidence.statistics import change, interval, pause
from chaoskit.probes import Canary
from chaoskit.stack.effects import Evidence
from chaoskit.stack.topology import Protocol
from chaoskit.units import format_size

__all__ = ["Bandwidth", "Carrying", "Cut", "Limited", "Open", "moved"]

Way = Literal["up", "down"]
_LEAST = 4  # readings that a judgement stands on
_LOOSE = 1.05  # of a limit: what was counted a moment ago may have been sent a moment later
_TALK = 200  # asks over one connection until it should have been cut


class Carrying(LinkSight):
    """Compares readings since the fault was confirmed with those before.

    Class attributes:
        by_requests: a canary can show it on its requests too, not on answers alone.
    """

    holds = False
    by_requests: ClassVar[bool] = True
    counting = True

    def __init__(self, item: Evidence, scene: Scene) -> None:
        super().__init__(item, scene)
        self.ways: tuple[Way, ...] = ("up", "down") if item.stream == "both" else (item.stream,)
        self._start = self._begun = self._healed = 0.0

    @classmethod
    def blind(cls, item: Evidence, protocol: Protocol, counted: bool) -> str | None:
        """Where nobody counts a canary must be able to show it."""
        if counted or (protocol != "tcp" and (cls.by_requests or item.stream != "up")):
            return None
        return f"this server does not count what passes, and a canary cannot show {item.kind} there"

    async def before(self, timeout: float) -> None:
        """Begin to count; ask only where nobody counts, because what a canary sends is counted as well."""
        self._start = time.monotonic()
        await self.scene.first_reading()
        if not self.scene.counts(self.link):
            await super().before(timeout)

    async def look(self) -> Observation:
        """Judge by what was counted so far."""
        self._begun = self._begun or time.monotonic()
        if not self.scene.counts(self.link):
            return await self.ask()
        now = self.scene.readings(self.link, self._begun)
        if len(now) < _LEAST:
            return self.said(False, f"counted for {ms(time.monotonic() - self._begun)} ms only")
        return self.judge(self.scene.readings(self.link, self._start, self._begun), now)

    @abstractmethod
    def judge(self, before: Sequence[Reading], now: Sequence[Reading]) -> Observation:
        """What readings before the fault (maybe none) and while it lasts (several) say."""

    @abstractmethod
    async def ask(self) -> Observation:
        """What a canary sees, where nobody counts."""

    async def gone(self) -> Observation:
        """It answers, its toxics act no more, and, where a canary cannot speak, bytes pass again if they did before."""
        self._healed = self._healed or time.monotonic()
        found = await super().gone()
        if not found.seen or not self.scene.counts(self.link):
            return found
        now = self.scene.readings(self.link, self._healed)
        if len(now) < 2:
            return self.said(False, "not counted for long enough")
        if self.hits(now):
            return self.said(False, f"its toxics acted {count(self.hits(now), 'time')} more")
        before = self.scene.readings(self.link, self._start, self._begun)
        if self.protocol == "tcp" and any(moved(before, way) and not moved(now, way) for way in self.ways):
            return self.said(False, "connects are taken, but nothing passes as it did before")
        return self.said(True, "answers again, and its toxics act no more" if self.item.toxics else "answers again")

    def hits(self, readings: Sequence[Reading]) -> int:
        """How often the fault's toxics acted."""
        first, last = readings[0].link.hits, readings[-1].link.hits
        return sum(last.get(name, 0) - first.get(name, 0) for name in self.item.toxics)


class Bandwidth(Carrying):
    """At most `expected` bytes per second on a connection, and something was held back."""

    by_requests = False

    def judge(self, before: Sequence[Reading], now: Sequence[Reading]) -> Observation:
        """On the direction with the most traffic, because the limit is the same in each.

        What was asked is that the rate falls to the limit. Where many connections share the traffic their limits may
        add up to more than all of it: then the rate need not fall, and what is seen is that bytes wait in the link.
        """
        rate = self.item.expected
        way = max(self.ways, key=lambda one: fmean([*rates(before, one), *rates(now, one, "received")]))
        asked = f"asked at most {format_size(rate)}/s per connection"
        was, demand = rates(before, way), fmean(rates(now, way, "received"))
        demand = max([demand, fmean(was)] if was else [demand])
        if demand < rate:
            return self.said(
                False, f"{asked}, the link carries {format_size(demand)}/s: nothing to hold back", idle=demand == 0
            )
        if not (hits := self.hits(now)):
            return self.said(False, f"{asked}, nothing was held back at {format_size(demand)}/s")
        sent = rates(now, way)
        mean, half, _ = interval(sent)
        there = connections(now)
        text = f"{asked}, saw {format_size(mean)}/s ± {format_size(half)}/s over {count(there, 'connection')}"
        text += f" ({format_size(fmean(was))}/s before)" if was else ""
        # Bytes leave ten times a second.
        if moved(now, way) > there * rate * (lasted(now) + 0.1) * _LOOSE:
            return self.said(False, text)
        if len(was) > 1 and fmean(was) > there * rate:
            _, _, least = change(sent, was)
            return self.said(least >= (fmean(was) - there * rate) / 2, f"{text}, {count(hits, 'read')} held back")
        usual = median(waiting(before or now[:1], way))
        held, _, least = interval([found - usual for found in waiting(now, way)])
        return self.said(least > 0, f"{text}, {format_size(max(held, 0.0))} waiting on average")

    async def ask(self) -> Observation:
        """An answer takes as long as its bytes take at that rate."""
        base = [r.took for r in self.scene.base(self.link) if r.took is not None]
        found = [r for r in await self.scene.ask(self.link, SLACK, ASKS) if r.took is not None]
        if len(base) < 2 or len(found) < 2:
            return self.said(False, "no comparison: too few answers")
        size = median(r.size for r in found)
        expected = size / self.item.expected
        mean, half, least = change(base, [r.took for r in found if r.took is not None])
        text = f"asked {ms(expected)} ms more for an answer of {format_size(size)}, saw {ms(mean)} ± "
        return self.said(least >= expected / 2, f"{text}{ms(half, like=mean)} ms")


class Limited(Carrying):
    """Connections are cut once `expected` bytes have passed."""

    def judge(self, before: Sequence[Reading], now: Sequence[Reading]) -> Observation:
        """Some were cut, and no more passed than may."""
        hits = self.hits(now)
        passed = max(moved(now, way) for way in self.ways)
        there = now[0].link.open + now[-1].link.accepted - now[0].link.accepted
        text = f"{count(hits, 'connection')} cut; {format_size(passed)} passed over {count(there, 'connection')}, "
        text += f"each may carry {format_size(self.item.expected)}"
        nothing = not passed and not hits and not any(moved(before, way) for way in self.ways)
        return self.said(hits > 0 and passed <= there * self.item.expected, text, idle=nothing)

    async def ask(self) -> Observation:
        """One connection is asked until it is cut."""
        host, port, protocol, path = self.scene.places[self.link]
        canary, up, down = Canary(host, port, protocol, path), 0, 0
        try:
            for _ in range(_TALK):
                found = await canary.ask(SLACK)
                up, down = up + found.sent, down + found.size
                if not canary.is_open:
                    break
        finally:
            canary.close()
        carried = min([*([up] if "up" in self.ways else []), *([down] if "down" in self.ways else [])])
        text = f"asked {format_size(self.item.expected)}, a connection that carried {format_size(up)} up and "
        text += f"{format_size(down)} down was {'cut' if found.kind in ('closed', 'reset') else 'not cut'}"
        exact = "up" in self.ways or carried == self.item.expected
        return self.said(found.kind in ("closed", "reset") and exact, text)


class Cut(Carrying):
    """No byte passes in these directions, although some did before or are on their way now."""

    def judge(self, before: Sequence[Reading], now: Sequence[Reading]) -> Observation:
        """A pause that is too long for chance, or bytes that came and did not go on."""
        passed = {way: moved(now, way) for way in self.ways}
        if any(passed.values()):
            text = ", ".join(f"{format_size(size)} passed {way}" for way, size in passed.items() if size)
            return self.said(False, f"{text} in {lasted(now):.1f} s")
        waiting_in = sum(moved(now, way, "received") for way in self.ways)
        text = f"no byte passed {' or '.join(self.ways)} in {lasted(now):.1f} s"
        if waiting_in:
            return self.said(True, f"{text}, {format_size(waiting_in)} were sent into it")
        filled = [max(slices) > 0 for slices in zip(*(rates(before, way) for way in self.ways), strict=True)]
        if not any(filled):
            return self.said(False, f"{text}, nor before: nothing says that this link is used", idle=True)
        was = sum(moved(before, way) for way in self.ways)
        needed = pause(sum(filled) / len(filled))
        return self.said(len(now) > needed, f"{text}, {format_size(was)} in the {lasted(before):.1f} s before")

    async def ask(self) -> Observation:
        """Silence, whichever direction it is that lacks."""
        found = await self.scene.ask(self.link, 1.0, 2)
        return self.said(all_of(found, "silent"), f"new connections: {counted(found)} in 1 s")


class Open(Carrying):
    """Bytes go on passing in these directions."""

    async def look(self) -> Observation:
        """By what is counted; where a cut elsewhere has silenced the system behind this link, by a canary."""
        found = await super().look()
        if found.seen or self.item.stream != "both" or self.protocol == "tcp" or not self.scene.counts(self.link):
            return found
        asked = await self.ask()
        return asked if asked.seen else found

    def judge(self, before: Sequence[Reading], now: Sequence[Reading]) -> Observation:
        """Some pass in each. Where nobody sends any nothing is blocked either."""
        passed = {way: moved(now, way) for way in self.ways}
        text = (
            ", ".join(f"{format_size(size)} passed {way}" for way, size in passed.items()) + f" in {lasted(now):.1f} s"
        )
        blocked = [way for way in self.ways if not passed[way] and moved(now, way, "received")]
        if blocked:
            return self.said(False, f"{text}, although more was sent {' and '.join(blocked)}")
        if not all(passed.values()):
            return self.said(False, f"{text}: nothing was sent that could have passed", idle=True)
        return self.said(True, text)

    async def ask(self) -> Observation:
        """An answer needs both directions: one that comes shows that each is open."""
        found = await self.scene.ask(self.link, SLACK, 2)
        return self.said(all_of(found, "answered"), counted(found))

    async def gone(self) -> Observation:
        """Nothing was bent in these directions; it answers."""
        return await LinkSight.gone(self)


def _flow(reading: Reading, way: Way, what: Literal["sent", "received"]) -> int:
    flow = reading.link.upstream if way == "up" else reading.link.downstream
    return flow.sent if what == "sent" else flow.received


def moved(readings: Sequence[Reading], way: Way, what: Literal["sent", "received"] = "sent") -> int:
    """Bytes from the first to the last reading."""
    return _flow(readings[-1], way, what) - _flow(readings[0], way, what) if readings else 0


def rates(readings: Sequence[Reading], way: Way, what: Literal["sent", "received"] = "sent") -> list[float]:
    """Bytes per second from reading to reading."""
    return [(_flow(b, way, what) - _flow(a, way, what)) / (b.at - a.at) for a, b in pairwise(readings) if b.at > a.at]


def waiting(readings: Sequence[Reading], way: Way) -> list[float]:
    """Bytes that had been read from the sender and not handed on, at each reading."""
    return [float(_flow(one, way, "received") - _flow(one, way, "sent")) for one in readings]


def lasted(readings: Sequence[Reading]) -> float:
    """Seconds from the first to the last reading."""
    return readings[-1].at - readings[0].at if readings else 0.0


def connections(readings: Sequence[Reading]) -> int:
    """How many there were at once, at most, as far as the readings can tell; at least one."""
    most = [b.link.accepted - a.link.accepted + a.link.open for a, b in pairwise(readings)]
    return max([1, *most])
