"""Everything that was measured in a run, decided and frozen: `analysis.json`. Reports only lay it out."""

from __future__ import annotations

from chaoskit.checks.model import Finding, WindowSpan
from chaoskit.data import SCHEMA_VERSION, Frozen
from chaoskit.spec.model import Verdict
from chaoskit.stack.effects import Passage

__all__ = [
    "Analysis",
    "CellAnalysis",
    "ClaimDifference",
    "ClaimSummary",
    "FaultRecord",
    "Quantiles",
    "Series",
    "WindowStats",
]


class Quantiles(Frozen):
    """Latency of answered operations in seconds, nearest rank (ceil(q*n)-th smallest); None below the count needed."""

    count: int
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    p999: float | None = None
    maximum: float | None = None


class WindowStats(Frozen):
    """One operation class ("*" = all) in one window. Shares are of `intended` = yes + late + refused + silent."""

    window: WindowSpan
    cls: str
    intended: int  # operations whose whole budget lies inside the window
    ok: int
    fail: int
    info: int
    yes: int  # answered YES within the budget
    refused: int
    silent: int
    unsent: int
    rate: float  # intended per second
    goodput: float  # yes per second
    yield_: float | None  # yes / intended; None when nothing was intended
    response: Quantiles  # from the due time
    service: Quantiles  # from the send
    late: int = 0  # answered YES, but after the budget or after the heal
    accused: int = 0  # of `yes`: a checker says that the answer was wrong; correct = (yes - accused) / intended


class FaultRecord(Frozen):
    """One injection: asked, seen, healed. Times in seconds from t=0, None = did not happen."""

    id: str
    fault: str
    sentence: str
    links: tuple[str, ...]
    nodes: tuple[str, ...]
    planned_start: float
    planned_end: float | None
    start: float | None  # confirmed by reading back
    end: float | None
    seen: bool  # a canary saw it bite
    gone: bool  # a canary saw it healed
    evidence: tuple[str, ...]  # "api->db:5432: asked 200 ms, saw 203 ± 4 ms"
    holder: str | None = None  # who held the role relative to which it was placed
    matrix: tuple[Passage, ...] = ()  # of a partition: what passed over every link among its members
    sides: dict[str, tuple[str, ...]] = {}  # of a partition: side -> nodes that stood there, clients included
    notes: tuple[str, ...] = ()  # how it was done, as sentences without a full stop
    unseen: str = ""  # the evidence that was missing, where it was not seen to bite
    stayed: str = ""  # and where it was not seen to be gone
    doubts: tuple[str, ...] = ()  # why nothing follows from it, seen or not: leaked, unused, misplaced


class Series(Frozen):
    """Per class, one value per `step` seconds beginning at `start`; None where nothing was intended."""

    cls: str
    start: float
    step: float
    intended: tuple[int, ...]
    yes: tuple[int, ...]
    fail: tuple[int, ...]
    info: tuple[int, ...]
    p50: tuple[float | None, ...]
    p95: tuple[float | None, ...]
    p99: tuple[float | None, ...]


class CellAnalysis(Frozen):
    """One cell: windows, faults, findings, and how well the harness itself did."""

    variant: str
    trial: int
    seed: int
    windows: tuple[WindowSpan, ...]
    stats: tuple[WindowStats, ...]
    faults: tuple[FaultRecord, ...]
    findings: tuple[Finding, ...]
    series: tuple[Series, ...]
    complete: bool  # ran to its end (not aborted, interrupted or crashed)
    reasons: tuple[str, ...]  # why nothing in this cell can be more than inconclusive
    operations: int
    send_error_p50: float | None
    send_error_p99: float | None
    unsent: int
    proxy_lag_max: float | None
    worker_lag_max: float | None
    overhead: float | None  # seconds the cell took beside warm-up, load and settling (final reads included)
    observations: tuple[str, ...] = ()  # what happened beside the plan ("api ended by itself at 7.2 s (code 1)")


class ClaimSummary(Frozen):
    """One claim of one variant over all its trials. refuted in any trial = refuted; else any inconclusive."""

    variant: str
    claim: str
    verdict: Verdict
    expected_verdict: Verdict | None  # from `expect:`; None where the experiment has none
    sentence: str  # one plain sentence with numbers and the window
    expected: str
    observed: str
    margin: str
    findings: tuple[Finding, ...]  # one per trial
    # Held, and something could have shown an anomaly: what may be true all the same, with 95 % confidence.
    most_per_operation: float | None = None  # anomalies per exposed operation of all trials, were they independent
    most_per_trial: float | None = None  # share of trials that would show one


class ClaimDifference(Frozen):
    """How much one claim's figure in a variant differs from the first variant's, trial by trial: variant - reference.

    Attributes:
        unit: of the figures, as in findings. pairs: trials that both variants have.
        mean: None where not known; `why` says why. low, high: its 95 % interval, from five pairs on.
        p: from eight pairs on; adjusted over all comparisons of the run.
    """

    claim: str
    variant: str
    reference: str
    unit: str
    pairs: int
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    why: str = ""


class Analysis(Frozen):
    """The whole run."""

    schema_version: int = SCHEMA_VERSION
    chaoskit_version: str
    run: str  # run id
    name: str
    question: str
    started: str  # ISO 8601 UTC
    verdict: Verdict
    as_expected: bool | None  # None: the experiment has no `expect:`
    headline: str  # the one sentence for the top of the report
    claims: tuple[ClaimSummary, ...]
    cells: tuple[CellAnalysis, ...]
    limits: tuple[str, ...]  # limits of this run, as sentences
    interrupted: bool = False
    differences: tuple[ClaimDifference, ...] = ()  # between variants; empty below five trials
