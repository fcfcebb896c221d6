"""What was tested: topology with the bent links, faults intended beside observed, workload, variants' settings."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from chaoskit.analysis.model import Analysis, FaultRecord
from chaoskit.plan import Plan, PlannedInjection
from chaoskit.report.model import Fact, FaultRow, LinkView, NodeView, PartitionView, TopologyView
from chaoskit.report.text import duration, joined, plural, times_between, typeset
from chaoskit.report.timelines import shown_cell
from chaoskit.spec.model import Arrivals
from chaoskit.stack.passages import named_sides, square
from chaoskit.stack.topology import CLIENT, Target, Topology
from chaoskit.store import redact
from chaoskit.units import format_rate

__all__ = ["fault_rows", "partitions", "topology", "variant_env", "workload"]


def topology(plan: Plan, analysis: Analysis) -> TopologyView:
    """Nodes in layers by their distance from the clients, links, and which fault touched what."""
    shape = plan.target.topology
    layers = _layers(shape)
    bent = [_bent(one, analysis) for one in plan.injections]
    links = {link.id: tuple(i for i, own in enumerate(bent, 1) if link.id in own) for link in shape.links}
    ranks: dict[int, int] = {}
    nodes = []
    for node in shape.nodes:
        layer = layers[node.name]
        rank = ranks[layer] = ranks.get(layer, -1) + 1
        touched = tuple(i for i, one in enumerate(plan.injections, 1) if node.name in one.nodes)
        nodes.append(
            NodeView(name=node.name, kind=_kind(plan.target, node.service), layer=layer, rank=rank, faults=touched)
        )
    marked = [f"{link} (fault {joined(map(str, touched))})" for link, touched in links.items() if touched]
    hurt = [f"{node.name} (fault {joined(map(str, node.faults))})" for node in nodes if node.faults]
    return TopologyView(
        nodes=tuple(nodes),
        links=tuple(
            LinkView(
                id=link.id, source=link.source, destination=link.destination, port=link.port, faults=links[link.id]
            )
            for link in shape.links
        ),
        description=f"{plural(len(nodes), 'node')}: {joined(node.name for node in nodes)}. "
        f"Links: {joined(links) or 'none'}. "
        f"Bent links: {joined(marked) or 'none'}." + (f" Nodes hit: {joined(hurt)}." if hurt else ""),
    )


def _bent(injection: PlannedInjection, analysis: Analysis) -> set[str]:
    """Links that an injection bent in any cell; those planned where it never began."""
    records = [fault for cell in analysis.cells for fault in cell.faults if fault.id == injection.id]
    return {link for fault in records if fault.start is not None for link in fault.links} or set(injection.links)


def _kind(target: Target, service: str) -> str:
    if service == CLIENT:
        return "traffic"
    try:
        found = target.service(service)
    except KeyError:
        return "traffic" if service.startswith(CLIENT) else ""
    return found.server or ("app" if found.context or found.process_command else found.image or "")


def _layers(shape: Topology) -> dict[str, int]:
    """Distance from the clients along the links; nodes that no client reaches stand in the last column."""
    layers = {node.name: 0 for node in shape.nodes if node.name.split("@")[0] == CLIENT}
    queue = deque(layers)
    while queue:
        source = queue.popleft()
        for link in shape.links_from(source):
            if link.destination not in layers:
                layers[link.destination] = layers[source] + 1
                queue.append(link.destination)
    last = max(layers.values(), default=0)
    return {node.name: layers.get(node.name, last + 1) for node in shape.nodes}


def fault_rows(analysis: Analysis, plan: Plan) -> tuple[FaultRow, ...]:
    """Every injection of every variant, intended beside observed; of several trials the one that is drawn."""
    rows = []
    for index, injection in enumerate(plan.injections, 1):
        for variant in plan.experiment.variants:
            cell = shown_cell(analysis, variant.name)
            record = next((f for f in cell.faults if f.id == injection.id), None) if cell else None
            rows.append(_fault_row(index, injection, variant.name, record))
    return tuple(rows)


def _fault_row(index: int, injection: PlannedInjection, variant: str, record: FaultRecord | None) -> FaultRow:
    observed, evidence = "never began", tuple(record.evidence) if record else ()
    if record is not None and record.start is not None:
        instant = injection.until is None
        observed = f"{record.start:.2f} s" if instant else times_between(record.start, record.end)
    return FaultRow(
        number=index,
        id=injection.id,
        what=record.sentence if record else injection.sentence,
        targets=joined((*(record.links if record else injection.links), *injection.nodes)),
        variant=variant,
        planned=f"{injection.at:.2f} s" if injection.until is None else times_between(injection.at, injection.until),
        observed=observed,
        seen=record.seen if record else False,
        gone=record.gone if record else False,
        seen_text=_seen(record),
        evidence=evidence,
        notes=record.notes if record else injection.notes,
    )


def partitions(analysis: Analysis, plan: Plan) -> tuple[PartitionView, ...]:
    """What every partition separated: once, or once for each way in which it came to stand in the variants."""
    found: dict[tuple[object, ...], PartitionView] = {}
    for index, injection in enumerate(plan.injections, 1):
        for variant in plan.experiment.variants:
            cell = shown_cell(analysis, variant.name)
            record = next((f for f in cell.faults if f.id == injection.id), None) if cell else None
            if record is None or record.start is None or not record.matrix:
                continue
            key = (injection.id, record.sentence, record.matrix)
            before = found[key].variants if key in found else ()
            passes = square(record.matrix)
            found[key] = PartitionView(
                number=index,
                id=injection.id,
                variants=(*before, variant.name),
                what=record.sentence,
                nodes=passes.nodes,
                cells=passes.cells,
                sides=tuple(
                    Fact(name=name, value=joined(members)) for name, members in named_sides(record.sides).items()
                ),
            )
    return tuple(found.values())


def _seen(record: FaultRecord | None) -> str:
    """What the canaries say of an injection."""
    if record is None or record.start is None:
        return "not injected"
    bite = "seen to bite" if record.seen else "not seen to bite"
    if record.planned_end is None:
        return bite
    return f"{bite}, {'seen to be gone' if record.gone else 'not seen to be gone'}"


def workload(plan: Plan, environment: Mapping[str, Any]) -> tuple[Fact, ...]:
    """Who used the system, and how. The environment knows what `interposition: auto` came to."""
    experiment = plan.experiment
    traffic = experiment.traffic
    mix = ", ".join(f"{weight * 100:.3g} % {cls}" for cls, weight in traffic.mix.items())
    interposition = environment.get("interposition", plan.interposition)
    times = f"{duration(experiment.warm_up)} warm-up, {duration(experiment.duration)} load, "
    return (
        Fact(name="target", value=plan.target.name),
        Fact(name="workload", value=traffic.workload),
        Fact(name="arrivals", value=_arrivals(traffic.arrivals)),
        Fact(name="mix", value=mix),
        Fact(name="client timeout", value=duration(traffic.timeout)),
        Fact(name="times", value=times + f"up to {duration(experiment.settle)} to settle"),
        Fact(name="trials", value=f"{experiment.trials} per variant"),
        Fact(
            name="steady state",
            value=typeset("; ".join(condition.text for condition in experiment.steady_state)) or "none",
        ),
        Fact(name="links bent by", value=f"{plan.toxiproxy} Toxiproxy, interposition {interposition}"),
    )


def _arrivals(arrivals: Arrivals) -> str:
    gaps = "open loop, random gaps" if arrivals.random else "open loop, even gaps"
    base = format_rate(arrivals.rate)
    if arrivals.shape == "constant" or arrivals.peak is None:
        return f"{base}, {gaps}"
    span = f"at {duration(arrivals.at or 0.0)} for {duration(arrivals.over or 0.0)}"
    verb = "spike to" if arrivals.shape == "spike" else "ramp to"
    return f"{base}, {verb} {format_rate(arrivals.peak)} {span}, {gaps}"


def variant_env(plan: Plan) -> tuple[Fact, ...]:
    """What makes the variants differ, secrets redacted."""

    def text(env: Mapping[str, Mapping[str, str]]) -> str:
        pairs = (
            f"{service}: {key}={redact(key, value)}" for service, found in env.items() for key, value in found.items()
        )
        return ", ".join(pairs) or "as in the Compose file"

    return tuple(Fact(name=variant.name, value=text(variant.env)) for variant in plan.experiment.variants)
