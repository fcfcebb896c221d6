"""Whether a fault bites, and whether it is gone: seen from a client's place, never taken from what was asked.

An injection has a `Witness`: `before` shortly ahead of it (round trips, processes, one open connection per link),
`seen` once it was confirmed, `gone` once it was taken back. Each gives one observation per piece of evidence.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from statistics import fmean, median, variance

from chaoskit.data import Frozen
from chaoskit.errors import ChaosKitError
from chaoskit.probes import Canary, ProbeResult, probe
from chaoskit.stack.effects import Evidence
from chaoskit.stack.topology import Protocol

__all__ = ["Observation", "Place", "Witness", "change"]

Place = tuple[str, int, Protocol, str]  # host, port, protocol, path: as in StackSpec.canaries
Pids = Callable[[str], Awaitable[Sequence[Mapping[str, object]]]]  # processes of a node, as the supervisor sees them

_ASKS = 7  # per round, all at once, each over a connection of its own
_STAGGER = 0.01  # seconds between the connects of a round
_PAUSE = 0.1  # seconds between rounds
_SLACK = 2.0  # seconds that an answer may take beyond what was asked: the machine may be busy
# Quantiles of Student's t, one-sided 95 % (= two-sided 90 %) and two-sided 95 %, for 1, 2, ... 12 degrees of freedom;
# beyond, the value for 12 is used, which errs on the cautious side.
_T_ONE = (6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812, 1.796, 1.782)
_T_TWO = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179)


class Observation(Frozen):
    """What became of one piece of evidence. `samples` are round trips in seconds, where there are any."""

    evidence: Evidence
    seen: bool
    text: str
    samples: tuple[float, ...] = ()


class Witness:
    """Watches one injection. Cheap: a few connections per link, none of them kept while nobody asks but one.

    Args:
        evidence: of the compiled injection.
        places: link id -> where a canary dials to go through that link.
        pids: asks for the processes of a node.
    """

    def __init__(self, evidence: Sequence[Evidence], places: Mapping[str, Place], pids: Pids) -> None:
        self.evidence = tuple(evidence)
        self._places = places
        self._pids = pids
        self._base: dict[str, list[float]] = {}  # link -> round trips before
        self._open: dict[str, Canary] = {}
        self._old: dict[str, set[tuple[object, object]]] = {}  # node -> processes before

    async def before(self, timeout: float = 5.0) -> None:
        """Take the baseline and open the connections that shall be older than the fault. At most a second or so ahead:
        servers hang up on connections that idle. What cannot be asked now shows as unseen later."""
        links = {item.link for item in self.evidence if item.link is not None}
        nodes = {item.node for item in self.evidence if item.link is None and item.node is not None}
        await asyncio.gather(
            *(self._before_link(link, timeout) for link in links), *(self._before_node(node) for node in nodes)
        )

    async def seen(self, deadline: float) -> tuple[Observation, ...]:
        """Look until everything has been seen to bite, or until `deadline` (seconds of time.monotonic())."""
        return await self._watch(self._seen, deadline)

    async def gone(self, deadline: float) -> tuple[Observation, ...]:
        """Look until everything is seen to be as before, or until `deadline`; `seen` then means seen to be gone."""
        return await self._watch(self._gone, deadline)

    def close(self) -> None:
        """Hang up; idempotent."""
        for canary in self._open.values():
            canary.close()
        self._open.clear()

    async def _watch(
        self, look: Callable[[Evidence, list[float]], Awaitable[Observation]], deadline: float
    ) -> tuple[Observation, ...]:
        async def watch(item: Evidence) -> Observation:
            samples: list[float] = []  # grows from round to round: the bound gets tighter
            while True:
                found = await look(item, samples)
                if found.seen or time.monotonic() >= deadline:
                    return found
                await asyncio.sleep(_PAUSE)

        return tuple(await asyncio.gather(*(watch(item) for item in self.evidence)))

    async def _before_link(self, link: str, timeout: float) -> None:
        host, port, protocol, path = self._places[link]
        self._base[link] = [r.rtt for r in await self._ask(link, timeout) if r.kind == "answered" and r.rtt is not None]
        canary = self._open[link] = Canary(host, port, protocol, path)
        await canary.open(timeout)

    async def _before_node(self, node: str) -> None:
        found = await self._processes(node)
        self._old[node] = set() if isinstance(found, str) else {_identity(process) for process in found}

    async def _ask(self, link: str, timeout: float, count: int = _ASKS) -> list[ProbeResult]:
        """Ask `count` times, nearly at once, over new connections: a simple server's backlog holds but a few."""
        host, port, protocol, path = self._places[link]

        async def one(number: int) -> ProbeResult:
            await asyncio.sleep(number * _STAGGER)
            return await probe(host, port, protocol, path=path, timeout=timeout)

        return list(await asyncio.gather(*map(one, range(count))))

    async def _ask_all(self, link: str, timeout: float, count: int) -> tuple[ProbeResult | None, list[ProbeResult]]:
        """Ask over the connection that is older than the fault (None once it has ended) and over new ones, at once."""
        canary = self._open.get(link)
        if canary is None or not canary.is_open:
            return None, await self._ask(link, timeout, count)
        old, new = await asyncio.gather(canary.ask(timeout), self._ask(link, timeout, count))
        return old, new

    async def _seen(self, item: Evidence, samples: list[float]) -> Observation:
        if item.link is None:
            return await self._seen_node(item)
        protocol = self._places[item.link][2]
        if protocol == "tcp" and item.kind in ("latency", "timeout", "reset"):
            return _said(item, False, f"a canary on plain TCP cannot show {item.kind}: declare the link's protocol")
        if item.kind == "latency":
            return await self._seen_latency(item, samples)
        if item.kind == "refused":
            return await self._seen_refused(item)
        if item.kind == "silent":
            return await self._seen_silent(item)
        if item.kind == "reset":
            return await self._seen_reset(item)
        if item.kind == "timeout":
            return await self._seen_timeout(item)
        return _said(item, False, f"nothing here knows how to see {item.kind!r}")

    async def _seen_latency(self, item: Evidence, samples: list[float]) -> Observation:
        assert item.link is not None
        base = self._base.get(item.link, [])
        limit = item.expected + item.tolerance + _SLACK + (4 * max(base) if base else 0.0)
        old, new = await self._ask_all(item.link, limit, _ASKS - 1)
        results = ([old] if old else []) + new
        samples += [r.rtt for r in results if r.kind == "answered" and r.rtt is not None]
        asked = f"asked {_ms(item.expected)} ms"
        if len(base) < 2 or len(samples) < 2:
            return _said(item, False, f"{asked}, no comparison: {_counted(results)}", samples)
        mean, half, least = change(base, samples)
        text = f"{asked}, saw {_ms(mean)} ± {_ms(half, like=mean)} ms"
        if lost := [r for r in results if r.kind != "answered"]:
            text += f" ({_counted(lost)})"
        return _said(item, least >= item.expected / 2, text, samples)

    async def _seen_refused(self, item: Evidence) -> Observation:
        assert item.link is not None
        old, new = await self._ask_all(item.link, _SLACK, _ASKS)
        text = f"refused {sum(r.kind == 'refused' for r in new)} of {len(new)} connects"
        if old is not None:
            text += f", the open connection {_past(old)}"
        return _said(item, _all(new, "refused") and (old is None or old.kind in ("closed", "reset", "refused")), text)

    async def _seen_silent(self, item: Evidence) -> Observation:
        assert item.link is not None
        old, new = await self._ask_all(item.link, item.expected, 2)
        if old is None:
            return _said(item, _all(new, "silent"), f"new connections: {_counted(new)} in {_ms(item.expected)} ms")
        text = f"the open connection {_past(old)}, new ones: {_counted(new)} in {_ms(item.expected)} ms"
        return _said(item, _all(new, "silent") and old.kind == "silent", text)

    async def _seen_reset(self, item: Evidence) -> Observation:
        assert item.link is not None
        old, new = await self._ask_all(item.link, item.expected + _SLACK, _ASKS)
        text = f"reset {sum(r.kind == 'reset' for r in new)} of {len(new)} connections"
        if old is not None:
            text += f", the open connection {_past(old)}"
        # The real Toxiproxy ends connections that are older than its toxic with FIN instead of RST.
        return _said(item, _all(new, "reset") and (old is None or old.kind in ("reset", "closed")), text)

    async def _seen_timeout(self, item: Evidence) -> Observation:
        assert item.link is not None
        start = time.monotonic()
        new = await self._ask(item.link, min(item.expected + _SLACK, 10.0), 3)
        took = time.monotonic() - start
        if item.expected + _SLACK > 10.0 and _all(new, "silent"):
            return _said(
                item, True, f"no answer in {took:.0f} s (connections are to be closed after {item.expected:g} s)"
            )
        text = f"{_counted(new)}, the last after {_ms(took)} ms; to be closed after {_ms(item.expected)} ms"
        return _said(item, all(r.kind in ("closed", "reset") for r in new), text)

    async def _seen_node(self, item: Evidence) -> Observation:
        assert item.node is not None
        now, old = await self._processes(item.node), self._old.get(item.node, set())
        if isinstance(now, str):
            return _said(item, False, now)
        if item.kind == "down":
            return _said(item, bool(old) and not now, f"{_count(len(now), 'process')} left of {len(old)}")
        if item.kind == "frozen":
            stopped = sum(process.get("state") in ("T", "t") for process in now)
            return _said(item, bool(now) and stopped == len(now), f"{stopped} of {len(now)} processes stopped")
        if item.kind == "restarted":
            kept = old & {_identity(process) for process in now}
            text = f"{_count(len(now), 'process')}, {len(kept)} of them from before"
            return _said(item, bool(old) and bool(now) and not kept, text)
        return _said(item, False, f"nothing here knows how to see {item.kind!r}")

    async def _gone(self, item: Evidence, samples: list[float]) -> Observation:
        if item.link is None:
            assert item.node is not None
            now = await self._processes(item.node)
            if isinstance(now, str):
                return _said(item, False, now)
            running = sum(process.get("state") not in ("T", "t") for process in now)
            return _said(item, bool(now) and running == len(now), f"{running} of {len(now)} processes running")
        base = self._base.get(item.link, [])
        new = await self._ask(item.link, _SLACK + 2 * item.expected, _ASKS if item.kind == "latency" else 2)
        times = [r.rtt for r in new if r.kind == "answered" and r.rtt is not None]
        if not _all(new, "answered"):
            return _said(item, False, _counted(new), times)
        if item.kind != "latency" or not base or not times:
            return _said(item, True, "answers again", times)
        more, spread = median(times) - median(base), max(base) - min(base)
        text = f"round trip {_ms(median(times))} ms, before {_ms(median(base))} ms"
        return _said(item, more <= max(item.expected / 2, spread), text, times)

    async def _processes(self, node: str) -> list[Mapping[str, object]] | str:
        """Living processes (zombies are dead), or why they are not known."""
        try:
            return [process for process in await self._pids(node) if process.get("state") not in ("Z", "X")]
        except ChaosKitError as error:
            return f"not known: {error.message}"


def change(before: Sequence[float], after: Sequence[float]) -> tuple[float, float, float]:
    """How much the typical value grew: (difference, half width of its two-sided 95 % interval, one-sided 95 % bound).

    Yuen's test (Biometrika 61, 1974): means with a fifth trimmed off either end, and Winsorized variances, because one
    connect that had to be repeated (a second, on Linux) would else drown what is measured. Degrees of freedom are the
    smaller sample's instead of Welch's: simpler, and never too narrow. Both samples need two values or more.
    """
    mean_before, error_before, kept_before = _trimmed(before)
    mean_after, error_after, kept_after = _trimmed(after)
    error = math.sqrt(error_before + error_after)
    freedom = min(kept_before, kept_after, len(_T_ONE) + 1) - 1
    difference = mean_after - mean_before
    return difference, _T_TWO[freedom - 1] * error, difference - _T_ONE[freedom - 1] * error


def _trimmed(values: Sequence[float]) -> tuple[float, float, int]:
    """Trimmed mean, its squared standard error, and how many values it stands on."""
    ordered = sorted(values)
    count = len(ordered)
    cut = count // 5
    kept = ordered[cut : count - cut]
    winsorized = [kept[0]] * cut + kept + [kept[-1]] * cut
    return fmean(kept), (count - 1) * variance(winsorized) / (len(kept) * (len(kept) - 1)), len(kept)


def _said(item: Evidence, seen: bool, text: str, samples: Sequence[float] = ()) -> Observation:
    return Observation(evidence=item, seen=seen, text=f"{item.link or item.node}: {text}", samples=tuple(samples))


def _all(results: Sequence[ProbeResult], kind: str) -> bool:
    return bool(results) and all(result.kind == kind for result in results)


def _counted(results: Sequence[ProbeResult]) -> str:
    """ "2 silent, 1 refused"."""
    return (
        ", ".join(f"{count} {kind}" for kind, count in Counter(r.kind for r in results).most_common()) or "none asked"
    )


def _past(result: ProbeResult) -> str:
    words = {"answered": "answered", "silent": "fell silent", "error": f"failed ({result.detail})"}
    return words.get(result.kind, f"was {result.kind}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun if number == 1 else noun + 'es'}"


def _identity(process: Mapping[str, object]) -> tuple[object, object]:
    return process.get("outer"), process.get("pid")


def _ms(seconds: float, like: float | None = None) -> str:
    """Milliseconds in text, whole from 10 on. An uncertainty has the places of the value it belongs to, rounded up."""
    if like is not None:
        places = 1 if abs(like) >= 0.01 else 10
        return f"{math.ceil(seconds * 1e3 * places) / places:g}"
    value = seconds * 1e3
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.1f}".removesuffix(".0")
