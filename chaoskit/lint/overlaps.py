"""Checks of faults at one time: where one would hide the other, and what neither can be asked for any more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import combinations

from chaoskit.faults.model import Compiled
from chaoskit.lint.model import Expanded, Scene
from chaoskit.spec.model import Injection
from chaoskit.stack.passages import ends

__all__ = ["check_overlaps"]

_ADDING = {"latency": "delays", "stress": "loads"}  # evidence of faults that can be seen side by side
_SILENCE = frozenset({"cut", "open", "silent"})  # evidence of faults that withhold what is sent, and do nothing else


def check_overlaps(scene: Scene) -> None:
    """Two faults on the same link or node, of which one would hide the other; silence on silence is silence."""
    for first, second in combinations(scene.loaded.experiment.timeline, 2):
        if not _meet(first, second) or not {first.id, second.id} <= set(scene.found.expanded):
            continue
        a, b = scene.found.expanded[first.id], scene.found.expanded[second.id]
        place = scene.loaded.entry("timeline", second.id).place
        shared = _shared(a, b)
        kinds = _kinds(a, b)
        if shared and len(kinds) == 1 and (what := _ADDING.get(min(kinds))):
            scene.warn(f"{first.id} and {second.id} overlap on {shared}: their {what} add up")
        elif shared and not kinds <= _SILENCE:
            what = f"{second.id} overlaps {first.id} on {shared}"
            scene.problem(place, what, "one would hide the other, and neither could be seen", "move one of them")
        else:
            both = [link for link in a.links if link in set(b.links)]
            # What both silence stays silent until the last of them ends: only that one can be seen to be gone.
            earlier = first if _end(first) < _end(second) else second
            found = {
                first.id: _left(a, b, both if earlier is first else ()),
                second.id: _left(b, a, both if earlier is second else ()),
            }
            if both and not _asked(found[earlier.id]):
                other = second if earlier is first else first
                what = f"{earlier.id} lies within {other.id}, which cuts all that it cuts"
                scene.problem(place, what, "nothing would tell them apart", "move one of them, or leave one out")
                continue
            scene.found.expanded |= found
            if both:
                more = f" and {len(both) - 1} more" if len(both) > 1 else ""
                scene.warn(
                    f"{first.id} and {second.id} overlap on {both[0]}{more}: silent as long as one of them lasts"
                )


def _kinds(a: Expanded, b: Expanded) -> set[str]:
    return {item.kind for expanded in (a, b) for one in expanded.all for item in one.evidence}


def _end(one: Injection) -> float:
    return one.at if one.until is None else one.until


def _meet(first: Injection, second: Injection) -> bool:
    """Whether two injections are active at one time; an instant meets what is active then."""
    if first.until is None or second.until is None:
        return first.at <= _end(second) and second.at <= _end(first)
    return first.at < _end(second) and second.at < _end(first)


def _shared(a: Expanded, b: Expanded) -> str:
    """A link or node that both are on; a node that is stopped is on all links that end at it as well."""
    for node in _common(a.nodes, b.nodes):
        return node
    for link in _common(a.links, b.links):
        return link
    for links, stopped in ((a.links, b.stopped), (b.links, a.stopped)):
        for link in links:
            if ends(link)[1] in stopped:
                return link
    return ""


def _common(a: Iterable[str], b: Iterable[str]) -> Iterator[str]:
    known = set(b)
    return (one for one in a if one in known)


def _left(one: Expanded, other: Expanded, given_up: Iterable[str]) -> Expanded:
    """What can still be asked of a fault: nothing on links that it leaves to the other, and that nothing passes over
    links on which the other works is no sign against it.
    """
    lost, bent, stopped = set(given_up), set(other.links), set(other.stopped)

    def left(compiled: Compiled) -> Compiled:
        evidence = tuple(
            item
            for item in compiled.evidence
            if item.link is None
            or not (
                item.link in lost
                or (item.kind == "open" and (item.link in bent or stopped.intersection(ends(item.link))))
            )
        )
        return compiled.model_copy(update={"evidence": evidence})

    return replace(
        one, compiled=left(one.compiled), choices={node: left(choice) for node, choice in one.choices.items()}
    )


def _asked(one: Expanded) -> bool:
    """Whether anything is left by which it can be seen to bite, wherever it is placed."""
    return all(any(item.kind != "open" for item in choice.evidence) for choice in one.all)
