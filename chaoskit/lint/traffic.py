"""Checks of the traffic and of the variants: workload, classes, what is in flight, services and addresses."""

from __future__ import annotations

from chaoskit.lint.model import Scene
from chaoskit.spec.nodes import Place
from chaoskit.spec.suggest import did_you_mean, listed
from chaoskit.stack.references import references
from chaoskit.stack.topology import CLIENT, WorkloadSpec

__all__ = ["check_traffic", "check_variants"]

_MOST_IN_FLIGHT = 20_000  # connections of one run; file descriptors and ports are finite
_SPOKEN = ("http", "tcp")  # what a worker can send to; plain TCP says nothing of what is spoken over it


def check_traffic(scene: Scene) -> None:
    """The workload, the classes of the mix, and how much can be in flight."""
    loaded, target, traffic = scene.loaded, scene.target, scene.loaded.experiment.traffic
    workloads = {workload.name: workload for workload in target.workloads}
    place = loaded.place("traffic", "workload")
    if not workloads:
        hint = f"add workloads under x-chaoskit in {target.compose_file}"
        scene.problem(place, f"the target {target.name} declares no workload", "", hint)
    elif not traffic.workload and len(workloads) > 1:
        what, why = "traffic.workload is missing", "the target has several"
        scene.problem(loaded.place("traffic"), what, why, f"one of: {listed(workloads)}")
    elif traffic.workload and traffic.workload not in workloads:
        what = f"the target {target.name} has no workload {traffic.workload!r}"
        scene.problem(place, what, "", did_you_mean(traffic.workload, workloads))
    else:
        scene.found.workload = workloads[traffic.workload or next(iter(workloads))]
        _mix(scene, scene.found.workload)
    _understood(scene)
    most = max(traffic.arrivals.rate, traffic.arrivals.peak or 0.0) * traffic.timeout * 1.5
    if most > _MOST_IN_FLIGHT:
        what = f"up to {most:,.0f} operations could be in flight"
        why = f"1.5 x rate x timeout; at most {_MOST_IN_FLIGHT:,} can be"
        scene.problem(loaded.place("traffic", "arrivals"), what, why, "lower the rate or the timeout")


def _understood(scene: Scene) -> None:
    """Whoever clients talk to speaks what the workers speak: plain HTTP."""
    topology = scene.target.topology
    clients = {node.name for node in topology.nodes if node.service == CLIENT}
    entries = {topology.node(link.destination).service: link for link in topology.links if link.source in clients}
    for entry, link in entries.items():
        if link.protocol not in _SPOKEN:
            scene.problem(
                scene.loaded.place("traffic"),
                f"clients cannot talk to {entry}, which speaks {link.protocol}",
                "traffic is sent as plain HTTP",
                f"name a service that speaks it as x-chaoskit.entry in {scene.target.compose_file}: "
                f"one that takes HTTP, say, and asks {entry}",
            )


def _mix(scene: Scene, workload: WorkloadSpec) -> None:
    loaded = scene.loaded
    classes = {one.name: one.weight for one in workload.classes}
    for key, _ in loaded.root.walk(("traffic", "mix")).entries if loaded.given("traffic", "mix") else ():
        if key.text not in classes:
            what = f"the workload {workload.name} has no operation class {key.text!r}"
            scene.problem(key.place, what, "", did_you_mean(key.text, classes))
    mix = loaded.experiment.traffic.mix or classes
    total = sum(mix.values()) or 1.0
    scene.found.mix = {name: weight / total for name, weight in mix.items() if weight > 0}


def check_variants(scene: Scene) -> None:
    """Services of `env` exist; addresses in it lead over links that there are."""
    services = {service.name: service for service in scene.target.services}
    names = [node.name for node in scene.target.topology.nodes]
    for variant in scene.loaded.experiment.variants:
        if not scene.loaded.given("variants", variant.name, "env"):
            continue
        node = scene.loaded.root.walk(("variants", variant.name, "env"))
        for key, _ in node.entries:
            if key.text not in services:
                what = f"the target {scene.target.name} has no service {key.text!r}"
                scene.problem(key.place, what, "", did_you_mean(key.text, services))
        for service, variables in variant.env.items():
            own = services.get(service)
            if own is None:
                continue
            for name, value in variables.items():
                if name not in own.environment:
                    near = did_you_mean(name, own.environment)
                    scene.warn(
                        f"variant {variant.name} sets {name} for {service}, which the Compose file does not"
                        + (f": {near}" if near.startswith("did") else "")
                    )
                for address in references(value, names):
                    _linked(scene, service, address.name, address.port, node.walk((service, name)).place)


def _linked(scene: Scene, service: str, name: str, port: int, place: Place) -> None:
    topology = scene.target.topology
    links = [link for link in topology.links if topology.node(link.source).service == service]
    owner = topology.node(name).service
    if owner != service and not any(link.destination == name and link.port == port for link in links):
        what = f"{service} has no link to {name}:{port}"
        why = "links are made from the Compose file, and a variant would dial past them"
        scene.problem(place, what, why, f"add {owner} to depends_on of {service}, or the address to its environment")
