"""Checks of what is claimed: classes, sides, invariants, histories, and numbers that cannot come out."""

from __future__ import annotations

from chaoskit.lint.model import Scene
from chaoskit.spec.model import Claim, Condition, Window
from chaoskit.spec.nodes import Node, Place
from chaoskit.spec.suggest import did_you_mean, listed
from chaoskit.units import format_rate

__all__ = ["check_conditions"]


def check_conditions(scene: Scene) -> None:
    """Everything that the steady state, the aborts and the claims name is there."""
    experiment, loaded = scene.loaded.experiment, scene.loaded
    for section, conditions in (("steady_state", experiment.steady_state), ("abort", experiment.abort)):
        for i, condition in enumerate(conditions):
            _condition(scene, condition, None, loaded.root.walk((section, i)))
    for claim in experiment.claims:
        entry = loaded.entry("claims", claim.id)
        if claim.condition is not None:
            _condition(scene, claim.condition, claim.window, entry.get("that") or entry)
        elif claim.invariant is not None and scene.found.workload is not None:
            known = scene.found.workload.invariants
            if claim.invariant not in known:
                what = f"the workload {scene.found.workload.name} does not declare the invariant {claim.invariant!r}"
                why = f"it declares {listed(known) or 'none'}"
                place = (entry.get("invariant") or entry).place
                scene.problem(place, what, why, "claim one of these, or declare it")
        elif claim.consistency is not None:
            _consistency(scene, claim, entry)


def _condition(scene: Scene, condition: Condition, window: Window | None, node: Node) -> None:
    def at(word: str) -> Place:
        return node.at(max(condition.text.find(f" {word}") + 1, 0))

    if condition.side is not None:
        _side(scene, condition.side, window, at(condition.side))
    if condition.cls is not None:
        _class(scene, condition.cls, at(condition.cls))
    arrivals = scene.loaded.experiment.traffic.arrivals
    most = max(arrivals.rate, arrivals.peak or 0.0) * scene.found.mix.get(condition.cls or "", 1.0)
    if condition.unit == "per-second" and condition.comparison in (">=", ">") and condition.value > most:
        scene.warn(f"{condition.text!r} can never hold: {format_rate(most)} are sent at most")


def _class(scene: Scene, name: str, place: Place) -> bool:
    """Whether operations of a class are sent."""
    workload = scene.found.workload
    if workload is None:
        return True  # what is wrong with it has been said
    classes = [one.name for one in workload.classes]
    if name not in classes:
        what = f"the workload {workload.name} has no operation class {name!r}"
        scene.problem(place, what, "", did_you_mean(name, classes))
    elif name not in scene.found.mix:
        scene.problem(place, f"no operations of class {name!r} are sent", "its weight in traffic.mix is 0")
    return name in scene.found.mix


def _consistency(scene: Scene, claim: Claim, entry: Node) -> None:
    """The answers that a claim about a history chooses are there to be chosen."""
    asked, workload = claim.consistency, scene.found.workload
    assert asked is not None
    if asked.side is not None:
        _side(scene, asked.side, claim.window, (entry.get("at") or entry).place)
    written = entry.get("of") or entry
    places = [node.place for node in written.items] if written.kind == "list" else [written.place] * len(asked.classes)
    sent = [_class(scene, name, place) for name, place in zip(asked.classes, places, strict=True)]
    if workload is None or not all(sent):
        return
    kinds = {one.name: one.kind for one in workload.classes if one.name in scene.found.mix}
    for name, place in zip(asked.classes, places, strict=True):
        if kinds[name] != "read":
            why = "all writes are judged anyway, in every window; what can be chosen are reads"
            scene.problem(place, f"{name!r} is a class of writes", why, "name classes of reads, or leave it out")
    if "read" not in kinds.values() and (claim.window.kind != "whole" or asked.side is not None):
        what = f"the workload {workload.name} sends no reads to choose from"
        scene.problem(entry.place, what, "a window and a side choose the reads that are judged", "leave them out")


def _side(scene: Scene, side: str, window: Window | None, place: Place) -> None:
    """A side is one of the partition that the window belongs to, or a client of the target: `client@n1`, or `n1`."""
    clients = scene.target.clients
    partition = scene.found.expanded.get(window.of or "") if window is not None else None
    sides = partition.sides if partition else {}
    if partition is not None and side in sides:
        placed = partition.choices or {"": partition.compiled}
        empty = [node for node, one in placed.items() if not set(clients) & set(one.sides.get(side, ()))]
        if len(empty) == len(placed):
            what = f"no client stands on the side {side!r}"
            why = f"there are {listed(sides[side])}, and the clients {listed(clients)}"
            scene.problem(place, what, why, "let clients stand beside the nodes: x-chaoskit: clients: beside")
        elif empty:
            scene.warn(f"at {side}: no client stands there when {listed(empty)} is the {partition.role}")
        return
    if side in clients or f"client@{side}" in clients:
        return
    if any(one.id not in scene.found.expanded for one in scene.loaded.experiment.timeline):
        return  # it may be one of theirs: what is wrong with them has been said
    of = {
        name: f"{window.kind if window is not None and window.kind != 'whole' else 'during'}: {name}"
        for name, one in scene.found.expanded.items()
        if side in one.sides
    }
    what = f"there is no side {side!r}"
    if of and window is None:
        why = f"it is a side of {listed(of)}, and the whole load is judged here"
        scene.problem(place, what, why, f"make it a claim, {listed(of.values())}")
    elif of:
        scene.problem(place, what, f"it is a side of {listed(of)}", f"let the claim's window be {listed(of.values())}")
    else:
        why = "" if any(one.sides for one in scene.found.expanded.values()) else "sides come with partitions"
        scene.problem(place, what, why, did_you_mean(side, [*sides, *clients]))
