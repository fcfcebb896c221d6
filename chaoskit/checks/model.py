"""Findings: what a checker says, with the witness it stands on."""

from __future__ import annotations

from chaoskit.data import Frozen
from chaoskit.spec.model import Verdict

__all__ = ["Finding", "Planted", "WindowSpan", "Witness", "WitnessOp"]


class WindowSpan(Frozen):
    """A half-open interval of the cell's time, seconds from t=0, as observed (not as planned)."""

    name: str  # "during slow-db"
    start: float
    end: float


class WitnessOp(Frozen):
    """One operation of a witness, as data. Times in seconds from t=0; `end` None = never answered."""

    index: int
    process: int
    source: str
    node: str
    cls: str
    f: str
    key: str | None
    value: str | None
    result: str | None
    due: float
    sent: float | None
    end: float | None
    outcome: str
    error: str | None = None
    status: int | None = None


class Witness(Frozen):
    """The smallest set of operations that refutes a claim by itself, and the plain sentence that says why."""

    kind: str  # "lost", "changed", "thin-air", "slow", "unanswered"
    sentence: str
    operations: tuple[WitnessOp, ...]


class Planted(Frozen):
    """A bug that was planted in a history that is legal, in one place after the other, to see what would be noticed.

    Attributes:
        struck: places in which it was planted. found: of these, how often the history was refuted. legal: how often
            it was still legal, so that nobody could have noticed.
    """

    kind: str
    struck: int
    found: int
    legal: int


class Finding(Frozen):
    """Verdict on one claim in one cell.

    Attributes:
        expected, observed: as people read them ("yield of resolve >= 99 %", "41.2 %").
        value, limit: the numbers behind them, in the claim's unit; None when there is none (invariants).
        reasons: why inconclusive; empty otherwise.
        operations: how many were counted. exposed: how many could have shown the anomaly (invariants).
        anomalies: count by kind (invariants).
        split: the anomalies again, by when they happened ("acknowledged during cache-down").
        notes: what was seen and decides nothing.
        planted: what a history that is held could have shown (claims about consistency).
        censored: the truth is at least `value` (an operation that was never answered, a recovery that was not seen).
    """

    claim: str
    verdict: Verdict
    expected: str
    observed: str
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    window: WindowSpan | None = None
    operations: int = 0
    exposed: int | None = None
    anomalies: dict[str, int] = {}
    witness: Witness | None = None
    reasons: tuple[str, ...] = ()
    split: dict[str, int] = {}
    notes: tuple[str, ...] = ()
    censored: bool = False
    planted: tuple[Planted, ...] = ()
