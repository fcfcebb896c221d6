"""The bypass check: whether the traffic that a fault is about went over the links that it bent. Pure.

leaked   a node was connected to the destination of a bent link past that link: what clients saw is not what the
         fault does, and every claim about it is inconclusive
unused   no bent link carried anything while only the target used it (before the first canary, and after the last):
         the fault may have met nobody. A link that is idle beside others that are not accuses nobody; it is said
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chaoskit.analysis.facts import Facts, chosen
from chaoskit.checks.witness import many
from chaoskit.plan import Plan

__all__ = ["Bypass", "examine"]

_ENOUGH_NS = 500_000_000  # shorter looks at a link prove nothing by seeing no traffic


@dataclass(frozen=True)
class Bypass:
    """What the check found in one cell.

    Attributes:
        doubts: injection -> why nothing follows from it, as sentences without a subject of their own and a full stop.
        observations: what is worth knowing and spoils nothing.
    """

    doubts: Mapping[str, tuple[str, ...]]
    observations: tuple[str, ...]


def examine(plan: Plan, facts: Facts) -> Bypass:
    """Check every injection that bends links."""
    leaks = _leaks(facts)
    used = _used(facts)
    doubts: dict[str, tuple[str, ...]] = {}
    observations: list[str] = []
    harmful: set[tuple[str, str]] = set()
    for injection in plan.injections:
        links = chosen(injection, facts).links
        if not links or facts.of("begin", injection.id) is None:
            continue
        found = [leak for leak in leaks if _spoils(leak, links)]
        harmful.update(found)
        said = [f"leaked: {_told(leak)}" for leak in found]
        idle = [] if used is None else [link for link in links if link not in used]
        if idle and len(idle) == len(links):
            said.append(f"no traffic passed over {_listed(idle)} before it: nothing says that it is used")
        elif idle:
            observations.append(
                f"{_listed(idle)} carried nothing before {injection.id}: whether it is used at all is not known"
            )
        if used is None:
            observations.append(f"whether the links of {injection.id} carried traffic before it was not counted")
        doubts[injection.id] = tuple(said)
    observations += [f"{_told(leak)}; no fault was on that link" for leak in leaks if leak not in harmful]
    return Bypass(doubts, tuple(dict.fromkeys(observations)))


def _leaks(facts: Facts) -> list[tuple[str, str]]:
    """(destination, source) of everything that went past a link; without a source only where none was ever found."""
    found = dict.fromkeys(
        (str(event.get("destination")), str(event.get("source", ""))) for event in facts.events.get("leaked", ())
    )
    named = {destination for destination, source in found if source}
    return [leak for leak in found if leak[1] or leak[0] not in named]


def _spoils(leak: tuple[str, str], links: Sequence[str]) -> bool:
    """Whether this connection should have gone over one of these links, as far as is known."""
    destination, source = leak
    for link in links:
        dials, _, dialled = link.partition("->")
        if dialled == destination and source in ("", dials):
            return True
    return False


def _used(facts: Facts) -> set[str] | None:
    """Links that carried anything while nobody but the target used them; None where nobody counted for long enough."""
    counts = facts.events.get("counters", ())
    by_when: dict[str, Mapping[str, Any]] = {str(event.get("when")): event for event in counts}
    load = facts.events.get("load", ())
    start = by_when.get("warm-up")
    used: set[str] = set()
    before = by_when.get("baseline")
    if start is None or before is None or not load or before["t"] - load[-1]["start_ns"] < _ENOUGH_NS:
        return None
    for earlier, later in ((start, before), (by_when.get("healed"), by_when.get("done"))):
        if earlier is not None and later is not None:
            used |= {
                name for name, link in later["links"].items() if _bytes(link) > _bytes(earlier["links"].get(name, {}))
            }
    return used


def _bytes(link: Mapping[str, Any]) -> int:
    return sum(int(link.get(way, {}).get("received", 0)) for way in ("upstream", "downstream"))


def _told(leak: tuple[str, str]) -> str:
    destination, source = leak
    if source:
        return f"{source} was connected to {destination} directly, past its link"
    return f"something was connected to {destination} directly, past every link (who could not be seen)"


def _listed(links: Sequence[str]) -> str:
    return (
        ", ".join(links) if len(links) <= 3 else f"{', '.join(links[:2])} and {many(len(links) - 2, 'other', 'others')}"
    )
