"""Findings: what a checker says, with the witness it stands on."""

from __future__ import annotations

from chaoskit.data import Frozen
from chaoskit.spec.model import Verdict

__all__ = ["Finding", "Planted", "StaleAnswers", "WindowSpan", "Witness", "WitnessOp"]


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


class StaleAnswers(Frozen):
    """How stale the answers of registers were in one window and one place, at least.

    Attributes:
        window: "during cut". side: where the clients stood in that window's partition. node: who was asked. None: all.
        answers: all that were looked at. stale: of these, how many show what had provably been replaced.
        age, versions: how long ago, in seconds, and by how many writes, over all answers and at least: p50, p99, max by
            nearest rank; None where the count makes it another name for the maximum, or times are not known.
        visible: shares of answers, at most, that show whatever was known 10 ms, 100 ms and 1 s before they began.
    """

    window: str
    side: str | None = None
    node: str | None = None
    answers: int
    stale: int
    age: tuple[float | None, ...]
    versions: tuple[int | None, ...]
    visible: tuple[float, ...]


class Finding(Frozen):
    """Verdict on one claim in one cell.

    Attributes:
        expected, observed: as people read them ("yield of resolve >= 99 %", "41.2 %").
        value, limit: the numbers behind them, in the claim's unit; None when there is none (invariants).
        reasons: why inconclusive; empty otherwise.
        operations: how many were counted. exposed: how many could have shown the anomaly (invariants).
        anomalies: count by kind (invariants).
        split: acknowledged writes that were lost, by when and where they had been acknowledged ("acknowledged during
            cut at minority").
        numbers: figures of the model, by name. stale: how stale answers were, by window and place (registers).
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
    numbers: dict[str, float] = {}
    stale: tuple[StaleAnswers, ...] = ()
