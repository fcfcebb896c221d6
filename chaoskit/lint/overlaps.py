"""Checks of faults at one time: where one would hide the other, and what neither can be asked for any more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import combinations

from chaoskit.faults.model import Compiled
from chaoskit.lint.model import Expanded, Scene
from chaoskit.spec.model import Injection
from chaoskit.stack.effects import Evidence
from chaoskit.stack.passages import ends
from chaoskit.units import format_duration

__all__ = ["check_overlaps"]

_ADDING = {"latency": "delays", "stress": "loads"}  # evidence of faults that can be seen side by side
_SILENCE = frozenset({"cut", "open", "silent"})  # evidence of faults that withhold what is sent, and do nothing else
_CUT = _SILENCE | {"refused"}  # evidence of faults behind which nobody sees whether a node runs
_STOP = frozenset({"down", "frozen", "restarted", "refused", "silent", "back"})  # of faults that stop nodes
_SEEN_S = 2.0  # seconds in which a cut is seen to bite


def check_overlaps(scene: Scene) -> None:
    """Two faults on the same link or node, of which one would hide the other; silence on silence is silence."""
    for first, second in combinations(scene.loaded.experiment.timeline, 2):
        if not _meet(first, second) or not {first.id, second.id} <= set(scene.found.expanded):
            continue
        a, b = scene.found.expanded[first.id], scene.found.expanded[second.id]
        place = scene.loaded.entry("timeline", second.id).place
        shared = _shared(a, b)
        kinds = _kinds(a, b)
        if shared and _cuts(a) and _stops(b):
            _stopped_inside(scene, first, second, shared)
        elif shared and _cuts(b) and _stops(a):
            _stopped_inside(scene, second, first, shared)
        elif shared and len(kinds) == 1 and (what := _ADDING.get(min(kinds))):
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


def _stopped_inside(scene: Scene, cut: Injection, stop: Injection, shared: str) -> None:
    """A node that is killed or paused while links of it are cut: its processes show that it is, and the cut was seen
    before. Over which links neither can be asked any more is left to the one that ends last.
    """
    a, b = scene.found.expanded[cut.id], scene.found.expanded[stop.id]
    if stop.at - cut.at < _SEEN_S:
        scene.problem(
            scene.loaded.entry("timeline", stop.id).place,
            f"{stop.id} overlaps {cut.id} on {shared}",
            "that a link is cut can only be seen while the nodes at both its ends run",
            f"let {cut.id} begin {format_duration(_SEEN_S)} or more before {stop.id}",
        )
        return
    cut_off, stopped = set(a.links), set(b.stopped)
    spoken = {link.id for link in scene.target.topology.links if link.protocol != "tcp"}
    # Where a canary speaks, only the node that it asks must run; elsewhere the traffic of both is what is seen.
    hidden = {link for link in a.links if stopped.intersection(ends(link)[link in spoken :])}
    outlasts = _end(stop) >= _end(cut)

    def of_the_cut(item: Evidence) -> Evidence | None:
        if item.kind == "open" and stopped.intersection(ends(item.link or "")):
            return None
        return item.model_copy(update={"ends_with": stop.id}) if outlasts and item.link in hidden else item

    later = tuple(Evidence(kind="back", link=link) for link in a.links if outlasts and link in hidden)
    scene.found.expanded |= {
        cut.id: _changed(a, of_the_cut),
        stop.id: _changed(b, lambda item: None if item.link in cut_off else item, later),
    }
    scene.warn(f"{stop.id} lies in {cut.id}: over {shared}, which is cut, it cannot be seen, only by its processes")
    if not outlasts and "frozen" not in _kinds(b):
        scene.warn(f"{stop.id} ends before {cut.id}: {', '.join(b.stopped)} must be able to start while cut off")


def _cuts(one: Expanded) -> bool:
    return not one.nodes and _kinds(one) <= _CUT


def _stops(one: Expanded) -> bool:
    return bool(one.stopped) and _kinds(one) <= _STOP


def _kinds(*several: Expanded) -> set[str]:
    return {item.kind for expanded in several for one in expanded.all for item in one.evidence}


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

    def left(item: Evidence) -> Evidence | None:
        if item.link is None:
            return item
        hidden = item.kind == "open" and (item.link in bent or stopped.intersection(ends(item.link)))
        return None if item.link in lost or hidden else item

    return _changed(one, left)


def _changed(one: Expanded, change: Callable[[Evidence], Evidence | None], more: tuple[Evidence, ...] = ()) -> Expanded:
    """With other evidence, wherever it is placed: None is left out, and there is more of it."""

    def changed(compiled: Compiled) -> Compiled:
        evidence = tuple(item for item in map(change, compiled.evidence) if item is not None)
        return compiled.model_copy(update={"evidence": evidence + more})

    return one._replace(
        compiled=changed(one.compiled), choices={node: changed(choice) for node, choice in one.choices.items()}
    )


def _asked(one: Expanded) -> bool:
    """Whether anything is left by which it can be seen to bite, wherever it is placed."""
    return all(any(item.kind != "open" for item in choice.evidence) for choice in one.all)
