"""What the engine wrote down while a cell ran, read back: `events.jsonl` as facts, also where it ends too early."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from chaoskit.analysis.model import FaultRecord
from chaoskit.history.windows import Disturbance
from chaoskit.plan import Choice, Plan, PlannedInjection
from chaoskit.spec.model import Arrivals

__all__ = ["Facts", "chosen", "disturbances", "fault_records", "read_facts"]

# What ends a cell early, and how to say so.
_ENDS = {"abort": "the cell was aborted", "interrupted": "the cell was interrupted", "error": "the cell failed"}


@dataclass(frozen=True)
class Facts:
    """One cell as its events tell it. Instants are ns of the monotonic clock; None = never happened.

    Attributes:
        complete: it ran to its end.
        reasons: why it did not, as sentences without a full stop.
        interrupted: somebody asked for a stop.
        events: by kind, for what is asked of single injections.
        observations: what happened and explains figures ("api ended by itself at 7.2 s (code 1)").
    """

    first_ns: int | None
    last_ns: int | None
    wall_ns: int | None
    origin_ns: int | None
    load_end_ns: int | None
    complete: bool
    interrupted: bool
    reasons: tuple[str, ...]
    observations: tuple[str, ...]
    events: Mapping[str, tuple[Mapping[str, Any], ...]]

    def of(self, kind: str, injection: str) -> Mapping[str, Any] | None:
        """The last event of a kind about one injection: after a retry the last word counts."""
        return next((event for event in reversed(self.events.get(kind, ())) if event.get("id") == injection), None)

    @property
    def wall_s(self) -> float | None:
        """Seconds from the first event to the end of the cell."""
        if self.first_ns is None or self.last_ns is None or not self.complete:
            return None
        return (self.last_ns - self.first_ns) / 1e9


def read_facts(events: Iterable[Mapping[str, Any]], nodes: frozenset[str]) -> Facts:
    """Sort the events of one cell. Lines without `t` and `kind` are not ours and are passed over.

    Args:
        nodes: names of the target's nodes; whatever else exits belongs to the harness.
    """
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    times = []
    for event in events:
        if isinstance(event.get("t"), int) and isinstance(event.get("kind"), str):
            kinds.setdefault(event["kind"], []).append(event)
            times.append(int(event["t"]))
    origin = _number(kinds, "origin", "t")
    load_end = _number(kinds, "load", "end_ns")
    done = any(event.get("name") == "done" for event in kinds.get("phase", ()))
    reasons = [
        f"{said}: {event.get('reason', 'no reason was recorded')}"
        for kind, said in _ENDS.items()
        for event in kinds.get(kind, ())
    ]
    if not times:
        reasons.append("the cell was never begun")
    elif not done and not reasons:
        reasons.append("the record of the cell ends before the cell did: the engine was killed, or could not write")
    observations = []
    for event in kinds.get("exit", ()):
        name, code = str(event.get("name")), event.get("code")
        when = "" if origin is None else f" at {(int(event['t']) - origin) / 1e9:.1f} s"
        if name in nodes:
            observations.append(f"{name} ended by itself{when} (code {code})")
        elif code != 0:  # a worker that has done its work ends with 0
            reasons.append(f"{name}, a process of the harness, ended{when} (code {code})")
    return Facts(
        first_ns=min(times, default=None),
        last_ns=max(times, default=None),
        wall_ns=_number(kinds, "anchor", "wall_ns"),
        origin_ns=origin,
        load_end_ns=load_end,
        complete=done and not reasons,
        interrupted="interrupted" in kinds,
        reasons=tuple(reasons),
        observations=tuple(observations),
        events={kind: tuple(found) for kind, found in kinds.items()},
    )


def chosen(injection: PlannedInjection, facts: Facts) -> Choice:
    """What the injection came to: of one that is relative to a role, the choice for the node that held it."""
    holder = _holder(injection, facts)
    return injection if holder is None else injection.choices.get(holder, injection)


def _holder(injection: PlannedInjection, facts: Facts) -> str | None:
    """The node that held the role when the injection was placed; None where none is asked for, or nobody did."""
    placed = facts.of("placed", injection.id)
    return None if placed is None else str(placed.get("holder"))


def fault_records(plan: Plan, facts: Facts, doubts: Mapping[str, tuple[str, ...]]) -> tuple[FaultRecord, ...]:
    """What was planned of every injection, beside what was seen of it.

    Args:
        doubts: by injection, what the bypass check has against it.
    """
    return tuple(_record(injection, facts, doubts.get(injection.id, ())) for injection in plan.injections)


def disturbances(plan: Plan, facts: Facts) -> tuple[Disturbance, ...]:
    """Everything that claims can name as a window: injections as observed, spikes and ramps as sent."""
    origin = facts.origin_ns
    if origin is None:
        return ()
    found = [_disturbance(injection, facts, origin) for injection in plan.injections]
    arrivals = plan.experiment.traffic.arrivals
    if arrivals.shape != "constant" and arrivals.at is not None and arrivals.over is not None:
        start, length = origin + round(arrivals.at * 1e9), round(arrivals.over * 1e9)
        # The load is the harness's own doing: it begins when it is due, and what was not sent is counted elsewhere.
        found.append(Disturbance(arrivals_id(arrivals), start, length, start, start + length))
    return tuple(found)


def arrivals_id(arrivals: Arrivals) -> str:
    """What claims call the spike or ramp."""
    return arrivals.id or arrivals.shape


def _record(injection: PlannedInjection, facts: Facts, doubts: tuple[str, ...]) -> FaultRecord:
    choice = chosen(injection, facts)

    def seconds(kind: str) -> float | None:
        confirmed = _confirmed(facts, kind, injection.id)
        return None if confirmed is None or facts.origin_ns is None else (confirmed - facts.origin_ns) / 1e9

    def word(yes: str, no: str) -> bool:
        said, denied = facts.of(yes, injection.id), facts.of(no, injection.id)
        return said is not None and (denied is None or said["t"] > denied["t"])

    evidence: list[str] = []
    for kind in ("seen", "unseen", "gone", "stayed"):
        evidence += _texts(facts, kind, injection, "evidence")
    return FaultRecord(
        id=injection.id,
        fault=injection.fault,
        sentence=choice.sentence,
        links=choice.links,
        nodes=injection.nodes,
        planned_start=injection.at,
        planned_end=injection.until,
        start=seconds("begin"),
        end=seconds("end"),
        seen=word("seen", "unseen"),
        gone=word("gone", "stayed"),
        evidence=tuple(evidence),
        holder=_holder(injection, facts),
        matrix=choice.matrix,
        sides=choice.sides,
        notes=choice.notes,
        unseen=_lacking(facts, "unseen", injection),
        stayed=_lacking(facts, "stayed", injection),
        doubts=(*_astray(injection, facts), *doubts),
    )


def _texts(facts: Facts, kind: str, injection: PlannedInjection, key: str) -> list[str]:
    event = facts.of(kind, injection.id)
    texts = event.get(key, ()) if event else ()
    return [str(text) for text in (texts if isinstance(texts, list | tuple) else (texts,))]


def _lacking(facts: Facts, kind: str, injection: PlannedInjection) -> str:
    """The first sentence of what was missing, and how many more there are."""
    texts = _texts(facts, kind, injection, "missing") or _texts(facts, kind, injection, "evidence")
    return f"{texts[0]}{f' (and {len(texts) - 1} more)' if len(texts) > 1 else ''}" if texts else ""


def _astray(injection: PlannedInjection, facts: Facts) -> tuple[str, ...]:
    """Why it is not known that it was where it should be."""
    event = facts.of("unplaced", injection.id)
    return () if event is None else (str(event.get("reason")),)


def _disturbance(injection: PlannedInjection, facts: Facts, origin: int) -> Disturbance:
    length = None if injection.until is None else round((injection.until - injection.at) * 1e9)
    return Disturbance(
        id=injection.id,
        planned_ns=origin + round(injection.at * 1e9),
        length_ns=length,
        start_ns=_confirmed(facts, "begin", injection.id),
        heal_ns=_confirmed(facts, "end", injection.id),
    )


def _confirmed(facts: Facts, kind: str, injection: str) -> int | None:
    """The instant at which the changed state was read back, never that of the call."""
    event = facts.of(kind, injection)
    found = None if event is None else event.get("confirmed_ns")
    return found if isinstance(found, int) else None


def _number(kinds: Mapping[str, list[Mapping[str, Any]]], kind: str, name: str) -> int | None:
    found = kinds[kind][-1].get(name) if kinds.get(kind) else None
    return found if isinstance(found, int) else None
