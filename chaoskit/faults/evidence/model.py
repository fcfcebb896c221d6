"""What a witness is given and what it says, and the words for it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence

from chaoskit.data import Frozen
from chaoskit.probes import ProbeResult
from chaoskit.stack.effects import Evidence
from chaoskit.stack.topology import Protocol
from chaoskit.toxiproxy.model import LinkCounters

__all__ = ["Counters", "Observation", "Pids", "Place", "all_of", "count", "counted", "ms", "past"]

Place = tuple[str, int, Protocol, str]  # host, port, protocol, path: as in StackSpec.canaries
Pids = Callable[[str], Awaitable[Sequence[Mapping[str, object]]]]  # processes of a node, as the supervisor sees them
Counters = Callable[[], Awaitable[Mapping[str, LinkCounters]]]  # what every link carried; empty where nobody counts


class Observation(Frozen):
    """What became of one piece of evidence.

    Attributes:
        idle: nobody sent anything that could have shown it: nothing was there to be seen, which proves nothing and
            accuses nobody. `seen` is then False.
        samples: round trips, or what else was measured, in seconds; where there are any.
    """

    evidence: Evidence
    seen: bool
    text: str
    idle: bool = False
    samples: tuple[float, ...] = ()


def all_of(results: Sequence[ProbeResult], *kinds: str) -> bool:
    """Whether something was asked and everything ended in one of these ways."""
    return bool(results) and all(result.kind in kinds for result in results)


def counted(results: Sequence[ProbeResult]) -> str:
    """ "2 silent, 1 refused"."""
    return ", ".join(f"{n} {kind}" for kind, n in Counter(r.kind for r in results).most_common()) or "none asked"


def past(result: ProbeResult) -> str:
    """What became of an open connection, as the end of a sentence."""
    words = {"answered": "answered", "silent": "fell silent", "error": f"failed ({result.detail})"}
    return words.get(result.kind, f"was {result.kind}")


def count(number: int, noun: str, plural: str = "") -> str:
    """ "1 process", "2 processes": `plural` where it is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def ms(seconds: float, like: float | None = None) -> str:
    """Milliseconds in text, whole from 10 on. An uncertainty has the places of the value it belongs to, rounded up."""
    if like is not None:
        places = 1 if abs(like) >= 0.01 else 10
        return f"{math.ceil(seconds * 1e3 * places) / places:g}"
    value = seconds * 1e3
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.1f}".removesuffix(".0")
