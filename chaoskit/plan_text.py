"""How a plan reads: what will happen, what may be hurt, what was filled in. Plain text, at most 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from chaoskit.plan import Choice, Plan, PlannedInjection, cell_seconds
from chaoskit.spec.claims import consistency_text
from chaoskit.spec.model import Arrivals, Claim, Experiment
from chaoskit.stack.passages import MARKS, named_sides, square
from chaoskit.units import format_duration, format_rate

__all__ = ["describe"]

_WIDTH = 100
_COLUMN = 22  # where the second column begins


def describe(plan: Plan) -> str:
    """The plan as text, a section each for traffic, phases, faults, claims, cells, defaults and warnings."""
    return "\n".join(line for section in _sections(plan) for line in section) + "\n"


def _sections(plan: Plan) -> Iterator[list[str]]:
    experiment, target = plan.experiment, plan.target
    yield [
        *_wrapped(f"{experiment.name}: {experiment.question}"),
        *_row(
            "target",
            f"{target.name} ({', '.join(service.name for service in target.services)}) on {experiment.runtime}",
        ),
        *_row("links", ", ".join(link.id for link in target.topology.links)),
    ]
    yield ["", "Traffic", *_traffic(experiment)]
    yield ["", "Phases of a cell", *_phases(plan)]
    yield ["", "Faults", *_faults(plan)]
    yield ["", "Claims", *_claims(experiment)]
    yield ["", "Cells", *_cells(plan)]
    if plan.defaults:
        yield ["", "Filled in (not in the file)", *(line for row in plan.defaults.items() for line in _row(*row))]
    if plan.warnings or target.notes:
        yield ["", "Mind", *(line for text in (*plan.warnings, *target.notes) for line in _wrapped(f"- {text}", 2))]
    yield ["", *_wrapped(f"About {format_duration(plan.estimated_seconds)} in all. Nothing was started.")]


def _traffic(experiment: Experiment) -> list[str]:
    traffic = experiment.traffic
    mix = ", ".join(f"{cls} {share * 100:.3g} %" for cls, share in traffic.mix.items())
    workers = f"{traffic.workers} worker{'s' if traffic.workers > 1 else ''}"
    return [
        *_row("workload", f"{traffic.workload}: {mix}"),
        *_row("arrivals", f"{_arrivals(traffic.arrivals)}, {workers}"),
        *_row("timeout", format_duration(traffic.timeout)),
    ]


def _arrivals(arrivals: Arrivals) -> str:
    gaps = "random gaps" if arrivals.random else "even gaps"
    rate = format_rate(arrivals.rate)
    if arrivals.peak is None or arrivals.at is None or arrivals.over is None:
        return f"{rate}, {gaps}"
    peak, at, over = format_rate(arrivals.peak), format_duration(arrivals.at), format_duration(arrivals.over)
    if arrivals.shape == "ramp":
        return f"{rate} to {peak} from {at} on, in {over} ({arrivals.id}), {gaps}"
    return f"{rate}, {peak} from {at} on for {over} ({arrivals.id}), {gaps}"


def _phases(plan: Plan) -> list[str]:
    """Each phase with its time from t=0."""
    experiment = plan.experiment
    arrivals = experiment.traffic.arrivals
    events: list[tuple[float, str]] = []
    for one in plan.injections:
        events.append(
            (one.at, f"{one.id} begins ({one.fault})" if one.until is not None else f"{one.id} ({one.fault})")
        )
        if one.until is not None:
            events.append((one.until, f"{one.id} is healed"))
    if arrivals.id is not None and arrivals.at is not None and arrivals.over is not None:
        events += [(arrivals.at, f"{arrivals.id} begins"), (arrivals.at + arrivals.over, f"{arrivals.id} ends")]
    rows = [
        *_row("before", f"steady state: {' and '.join(condition.text for condition in experiment.steady_state)}"),
        *_row(f"-{format_duration(experiment.warm_up)}", "warm-up: load that counts for nothing"),
        *_row("t=0", "baseline"),
    ]
    for at, text in sorted(events, key=lambda event: event[0]):
        rows += _row(format_duration(at), text)
    rows += _row(format_duration(experiment.duration), "the load ends")
    rows += _row("then", f"settle {format_duration(experiment.settle)}, final reads")
    if experiment.abort:
        rows += _row("any time", f"abort when {' or '.join(condition.text for condition in experiment.abort)}")
    return rows


def _faults(plan: Plan) -> list[str]:
    """What each injection does, and everything that its selectors matched."""
    if not plan.injections:
        return ["  none: nothing is hurt"]
    rows: list[str] = []
    for one in plan.injections:
        if one.role is None:
            rows += _row(one.id, f"{one.sentence}; {_when(one)}")
            rows += _choice(one, one.nodes)
            continue
        rows += _row(one.id, f"relative to the {one.role}, who is asked for when it begins; {_when(one)}")
        common = [note for note in one.notes if all(note in choice.notes for choice in one.choices.values())]
        rows += [line for note in common for line in _row("", note)]
        for holder, choice in one.choices.items():
            rows += _row(f"  {one.role} {holder}", choice.sentence)
            rows += _choice(choice, one.nodes, common)
    return rows


def _choice(one: Choice, nodes: Sequence[str], said: Sequence[str] = ()) -> list[str]:
    """What it hits, what still passes, and who stands where. Notes that were `said` are left out."""
    hurt = [*one.links, *nodes]
    rows = _row("", f"hurts {', '.join(hurt)}") if hurt else []
    rows += [line for note in one.notes if note not in said for line in _row("", note)]
    for side, members in named_sides(one.sides).items():
        rows += _row("", f"side {side}: {', '.join(members)}")
    return rows + _square(one)


def _square(one: Choice) -> list[str]:
    """A row per sender, a column per hearer; beyond the width of a page, columns are numbers."""
    found = square(one.matrix)
    count = len(found.nodes)
    if not count:
        return []
    first = max(map(len, found.nodes)) + (4 if count > 9 else 3)
    wide, gap = [len(name) for name in found.nodes], "  "
    numbered = first + sum(wide) + len(gap) * count > _WIDTH - _COLUMN
    if numbered:
        wide, gap = [len(str(count))] * count, " "
    if first + sum(wide) + len(gap) * count > _WIDTH - _COLUMN:
        return _row("", f"{count} members are too many for a table: plan.json has it (matrix)")
    rows = []
    for number, (name, cells) in enumerate(zip(found.nodes, found.cells, strict=True), 1):
        marks = [chr(92) if a == number else MARKS[cell] for a, cell in enumerate(cells, 1)]
        head = f"{number:>{len(str(count))}} {name}" if numbered else name
        rows.append(head.ljust(first) + gap.join(m.ljust(w) for m, w in zip(marks, wide, strict=True)))
    heads = [str(n) for n in range(1, count + 1)] if numbered else list(found.nodes)
    top = " " * first + gap.join(name.ljust(w) for name, w in zip(heads, wide, strict=True))
    used = {cell for row in found.cells for cell in row}
    legend = [
        text
        for cell, text in (
            ("passes", "+ passes"),
            ("lost", "x is lost"),
            ("partly", "~ passes over some links only"),
            ("", "blank: no link"),
        )
        if cell in used and (cell or _unjoined(found.cells))
    ]
    head = f"what a row sends to a column: {', '.join(legend)}"
    return [*_row("", head), *(" " * _COLUMN + line.rstrip() for line in (top, *rows))]


def _unjoined(cells: Sequence[Sequence[str]]) -> bool:
    """Whether two different nodes are joined by no link."""
    return any(not cell for i, row in enumerate(cells) for j, cell in enumerate(row) if i != j)


def _when(one: PlannedInjection) -> str:
    if one.until is None:
        return f"at {format_duration(one.at)}"
    return f"from {format_duration(one.at)} to {format_duration(one.until)}"


def _claims(experiment: Experiment) -> list[str]:
    rows: list[str] = []
    for claim in experiment.claims:
        rows += _row(claim.id, _claim(claim) + _expected(claim, experiment))
    return rows


def _expected(claim: Claim, experiment: Experiment) -> str:
    """What `expect:` says otherwise than that the claim holds."""
    if experiment.expect is None:
        return ""
    others = [
        f"{variant.name} {verdict}"
        for variant in experiment.variants
        if (verdict := experiment.expect.get(variant.name, {}).get(claim.id, "held")) != "held"
    ]
    return f" (expected: {', '.join(others)})" if others else " (expected to hold)"


def _claim(claim: Claim) -> str:
    window = "" if claim.window.kind == "whole" else f"{claim.window.kind} {claim.window.of}"
    if claim.consistency is not None:
        return f"{consistency_text(claim.consistency)}, {window or 'over the whole history'}"
    if claim.condition is None:
        return f"invariant {claim.invariant}, over the whole history"
    return f"{claim.condition.text}, {window or 'over the whole load'}"


def _cells(plan: Plan) -> list[str]:
    """Which variants run in which order, and where the stack is started anew."""
    experiment = plan.experiment
    rows: list[str] = []
    for variant in dict.fromkeys(cell.variant for cell in plan.cells):
        cells = [cell for cell in plan.cells if cell.variant == variant]
        env = next(one.env for one in experiment.variants if one.name == variant)
        settings = [f"{service}: {', '.join(f'{k}={v}' for k, v in own.items())}" for service, own in env.items()]
        rows += _row(variant, "; ".join(settings) or "as in the Compose file")
        seeds = ", ".join(str(cell.seed) for cell in cells[:3]) + (" …" if len(cells) > 3 else "")
        starts = sum(cell.restart for cell in cells)
        rows += _row("", f"{_many(len(cells), 'trial')}, {_many(starts, 'stack start')}, seed {seeds}")
    each = format_duration(cell_seconds(experiment))
    rows += _row("", f"{_many(len(plan.cells), 'cell')} of about {each} each, links bent by {plan.interposition}")
    return rows


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _row(head: str, text: str) -> list[str]:
    """A name and what belongs to it, in two columns."""
    lines = _wrapped(text, 0, _WIDTH - _COLUMN) or [""]
    first = f"  {head}".ljust(_COLUMN - 1)
    if len(first) >= _COLUMN:
        return [first, *(" " * _COLUMN + line for line in lines)]
    return [f"{first} {lines[0]}", *(" " * _COLUMN + line for line in lines[1:])]


def _wrapped(text: str, indent: int = 0, width: int = _WIDTH) -> list[str]:
    """Lines of at most `width` columns; an id is never broken, a longer word is."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 2 if indent else 0),
        break_on_hyphens=False,
    )
