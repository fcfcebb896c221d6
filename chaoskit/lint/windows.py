"""Checks of claims' windows: each has something in it to count."""

from __future__ import annotations

from chaoskit.checks.limits import MINIMUM_OPERATIONS
from chaoskit.lint.model import Scene, Stretch, stretches
from chaoskit.spec.model import Arrivals, Claim, Condition, Window
from chaoskit.spec.nodes import Place
from chaoskit.units import format_duration

__all__ = ["check_windows"]

_SHORT_BASELINE = 2.0
_LONG_RUN = 4 * 3600.0
_NEEDED = {"p99.9": 10 * MINIMUM_OPERATIONS}


def check_windows(scene: Scene) -> None:
    """Each claim's window has something in it to count; the run is neither without a baseline nor endless."""
    experiment = scene.loaded.experiment
    found = stretches(scene.loaded)
    known = {one.id: one for one in found}
    for claim in experiment.claims:
        one = known.get(claim.window.of or "")
        if claim.window.kind != "whole" and one is not None:
            _window(scene, claim, claim.window, one, found)
    if found and found[0].at < _SHORT_BASELINE:
        first = found[0]
        scene.warn(f"{first.id} begins {format_duration(first.at)} after t=0: hardly any baseline to compare with")
    total = experiment.duration * experiment.trials * len(experiment.variants)
    if total > _LONG_RUN:
        scene.warn(f"the load alone lasts {format_duration(total)}")


def _window(scene: Scene, claim: Claim, window: Window, one: Stretch, known: list[Stretch]) -> None:
    experiment, bound = scene.loaded.experiment, scene.target.failover_bound
    entry = scene.loaded.entry("claims", claim.id)
    place = (entry.get(window.kind) or entry).place
    name = f"{window.kind} {one.id}"
    budget = _budget(experiment.traffic.timeout, one)
    if window.kind in ("during", "steady") and one.until is None:
        scene.problem(place, f"{one.id} is an instant", f"there is no {window.kind} of it", f"use after: {one.id}")
        return
    if window.kind == "before":
        first = known[0]
        if one.id != first.id:
            why = f"{first.id} comes first, and before ends there"
            scene.problem(place, f"{name} is not a baseline", why, f"use before: {first.id}")
            return
        start, end = 0.0, one.at
    elif window.kind == "after":
        later = [other.at for other in known if other.at > one.end or (other.at == one.end and other != one)]
        start, end = one.end, min([experiment.duration, *later])
    else:
        start, end = one.at, one.end - budget
    if window.kind == "steady":
        start += bound
        if one.end - one.at < bound + 3 * budget:
            what = f"{one.id} lasts {format_duration(one.end - one.at)}, too short for {name}"
            why = (
                f"the failover bound D = {format_duration(bound)} and 3 T = {format_duration(3 * budget)} "
                "leave nothing to count"
            )
            scene.problem(place, what, why, f"let it last {format_duration(bound * 4 if bound else 4.0)} or more")
            return
    counted = end - budget - start
    condition = claim.condition
    if claim.consistency is not None and counted > 0:
        for cls in claim.consistency.classes:
            _answers(scene, claim, cls, start, start + counted, name)
    if condition is not None and condition.quantity == "recovery":
        _recovery(scene, condition, end - start, place, name)
    elif counted <= 0:
        scene.problem(place, f"{name} is empty", "no operation could begin and be answered in it", "lengthen it")
    elif condition is not None:
        _enough(scene, claim, condition, start, start + counted, name)
        _tight(scene, one, budget)


def _recovery(scene: Scene, condition: Condition, length: float, place: Place, name: str) -> None:
    if length < condition.value + 2.0:
        what = f"{name} is {format_duration(max(length, 0.0))} long"
        why = f"{condition.text!r} cannot be judged in that time"
        hint = f"leave {format_duration(condition.value + 3.0 + scene.loaded.experiment.traffic.timeout)} after it"
        scene.problem(place, what, why, hint)


def _enough(scene: Scene, claim: Claim, condition: Condition, start: float, end: float, name: str) -> None:
    share = scene.found.mix.get(condition.cls, 1.0) if condition.cls else 1.0
    share *= _share_of_clients(scene, claim)
    expected = share * _operations(scene.loaded.experiment.traffic.arrivals, start, end)
    needed = _NEEDED.get(condition.quantity, MINIMUM_OPERATIONS)
    if condition.quantity not in ("goodput", "rate", "detection") and expected < needed:
        scene.warn(
            f"claim {claim.id}: about {expected:.0f} operations fall into {name}, {needed} are needed: "
            "it would be inconclusive; raise the rate or lengthen the fault"
        )


def _answers(scene: Scene, claim: Claim, cls: str, start: float, end: float, name: str) -> None:
    expected = scene.found.mix.get(cls, 1.0) * _share_of_clients(scene, claim)
    expected *= _operations(scene.loaded.experiment.traffic.arrivals, start, end)
    if expected < MINIMUM_OPERATIONS:
        scene.warn(
            f"claim {claim.id}: about {expected:.0f} operations of {cls} fall into {name}, {MINIMUM_OPERATIONS} are "
            "needed: what is not refuted would be inconclusive; raise the rate or lengthen the fault"
        )


def _share_of_clients(scene: Scene, claim: Claim) -> float:
    """How much of the traffic comes from the side that a claim speaks of: clients send alike."""
    asked = claim.condition or claim.consistency
    if asked is None or asked.side is None:
        return 1.0
    expanded = scene.found.expanded.get(claim.window.of or "")
    side, clients = asked.side, scene.target.clients
    counts = [
        sum(client in choice.sides.get(side, (side, f"client@{side}")) for client in clients)
        for choice in (expanded.all if expanded else ())
    ]
    return min(counts, default=1) / len(clients)


def _tight(scene: Scene, one: Stretch, budget: float) -> None:
    timeout = scene.loaded.experiment.traffic.timeout
    if one.until is not None and budget < timeout:
        scene.warn(
            f"{one.id} lasts {format_duration(one.end - one.at)}: for its windows an answer is in time within "
            f"{format_duration(budget)}, a quarter of it, not {format_duration(timeout)}"
        )


def _budget(timeout: float, one: Stretch) -> float:
    """T, as in history.windows."""
    return timeout if one.until is None else min(timeout, (one.until - one.at) / 4)


def _operations(arrivals: Arrivals, start: float, end: float) -> float:
    """How many operations are due between two instants, on average."""
    if arrivals.peak is None or arrivals.at is None or arrivals.over is None:
        return arrivals.rate * (end - start)
    more, at, over = arrivals.peak - arrivals.rate, arrivals.at, arrivals.over

    def since_zero(until: float) -> float:
        inside = min(max(until - at, 0.0), over)
        if arrivals.shape == "spike":
            return arrivals.rate * until + more * inside
        return arrivals.rate * until + more * (inside * inside / (2 * over) + max(until - at - over, 0.0))

    return since_zero(end) - since_zero(start)
