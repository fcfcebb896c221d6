"""Spec + topology + abilities + seed -> Plan: everything that will happen, decided beforehand. Pure, no effects."""

from __future__ import annotations

from chaoskit.data import SCHEMA_VERSION, Frozen
from chaoskit.spec.model import Experiment
from chaoskit.stack.effects import Effect, Evidence
from chaoskit.stack.topology import Target

__all__ = ["CellPlan", "Plan", "PlannedInjection"]


class PlannedInjection(Frozen):
    """An injection with its selectors expanded and its fault compiled. Times are seconds from the cell's t=0."""

    id: str
    fault: str
    at: float
    until: float | None
    links: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    effects: tuple[Effect, ...]
    evidence: tuple[Evidence, ...]
    sentence: str  # "api->db:5432 answers 200 ms ± 20 ms late"


class CellPlan(Frozen):
    """One variant x trial. `seed` drives arrivals, operations and jitter of this cell."""

    variant: str
    trial: int  # from 1
    seed: int
    restart: bool  # the stack is started anew for this cell
    key_prefix: str  # unique in the run: cells that share a stack never share a key

    @property
    def id(self) -> str:
        """`patient/1`, also the folder below `cells/`."""
        return f"{self.variant}/{self.trial}"


class Plan(Frozen):
    """What will happen. `cells` are in the order in which they will run."""

    schema_version: int = SCHEMA_VERSION
    chaoskit_version: str
    experiment: Experiment
    target: Target
    injections: tuple[PlannedInjection, ...]
    cells: tuple[CellPlan, ...]
    interposition: str  # hosts | rewrite | auto (decided when the stack starts)
    toxiproxy: str = "embedded"
    estimated_seconds: float
    warnings: tuple[str, ...] = ()
