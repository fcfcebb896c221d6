"""The report as data: every number, sentence and figure already decided. Renderers only lay it out.

Times are seconds from the cell's t=0, rates per second, shares 0..1; texts are as a reader sees them. Written as
`report.json`, so a field that changes its meaning raises SCHEMA_VERSION.
"""

from __future__ import annotations

from typing import Literal

from chaoskit.data import SCHEMA_VERSION, Frozen
from chaoskit.report.text import Lines, Text
from chaoskit.spec.model import Verdict

__all__ = [
    "QUANTILES",
    "Band",
    "Bracket",
    "Cell",
    "ClaimRow",
    "Fact",
    "FaultRow",
    "LimitLine",
    "LinkView",
    "LogTail",
    "Mark",
    "Moment",
    "NodeView",
    "OpView",
    "PartitionView",
    "PhaseValue",
    "QuantileLine",
    "RawTable",
    "ReportModel",
    "Reproduce",
    "Sentence",
    "Summary",
    "Timeline",
    "TopologyView",
    "WitnessView",
    "YieldLine",
]


QUANTILES = ("p50", "p90", "p95", "p99", "p99.9", "max")  # of QuantileLine.values


class Sentence(Frozen):
    """One claim of one variant in one sentence. `note` says when it came out otherwise than the experiment expects."""

    variant: Text
    claim: Text
    verdict: Verdict
    text: Text
    note: Text = ""
    anchor: str = ""  # of the evidence


class Cell(Frozen):
    """What was found for one claim in one variant.

    Attributes:
        observed: short, to stand in a column. detail: what stands behind it, or why it is inconclusive.
        note: how it compares with `expect:`. remarks: what was seen beside it and decides nothing.
        value, limit, unit, operations: the numbers behind the texts, of the trial with the worst verdict.
    """

    variant: Text
    verdict: Verdict
    observed: Text
    margin: Text
    detail: Text
    note: Text = ""
    remarks: tuple[Text, ...] = ()
    anchor: str = ""
    evidence: Text = ""
    value: float | None = None
    limit: float | None = None
    unit: Text = ""
    operations: int = 0


class ClaimRow(Frozen):
    """One claim over all variants; cells in the order of `ReportModel.variants`."""

    id: Text
    anchor: str
    expected: Text
    window: Text
    cells: tuple[Cell, ...]


class PhaseValue(Frozen):
    """One variant in one phase, all operation classes together; median over the trials."""

    phase: Text
    yield_: float | None
    p99: float | None
    operations: int
    yield_text: Text
    p99_text: Text


class Summary(Frozen):
    """One variant from before the faults to after them. `loss` is of acknowledged work."""

    variant: Text
    phases: tuple[PhaseValue, ...]
    loss: Text


class Band(Frozen):
    """A fault on the time axis. `end` None = until the end of the run; `began` False = planned, but never seen."""

    label: Text
    start: float
    end: float | None
    planned_start: float
    planned_end: float | None
    began: bool
    instant: bool = False


class LimitLine(Frozen):
    """The limit of a claim, drawn over the window in which it was judged."""

    label: Text
    value: float
    start: float
    end: float
    verdict: Verdict


class Mark(Frozen):
    """Operations of a witness on the time axis."""

    label: Text
    anchor: str
    times: tuple[float, ...]


class Bracket(Frozen):
    """A time that was measured, such as the recovery after a heal."""

    label: Text
    start: float
    end: float


class YieldLine(Frozen):
    """Share of YES answers of one operation class ("*" = all) per bin, with the limits of the claims about it."""

    cls: Text
    values: tuple[float | None, ...]
    limits: tuple[LimitLine, ...]


class Timeline(Frozen):
    """One variant over time. Bins of `step` seconds from `start`; rates per second; latency from the due time.

    Attributes:
        ok, late, fail, info: stacked, all classes together. late = done, but after the budget (or never sent).
        latency_class: the class whose quantiles are shown ("*" = all).
        note: which trial this is, where there are several.
        description: the figure in words.
        worst: whether a latency bin holds the worst of several finer bins.
    """

    variant: Text
    anchor: str
    verdict: Verdict
    note: Text
    description: Text
    start: float
    step: float
    ok: tuple[float, ...]
    late: tuple[float, ...]
    fail: tuple[float, ...]
    info: tuple[float, ...]
    latency_class: Text
    p50: tuple[float | None, ...]
    p95: tuple[float | None, ...]
    p99: tuple[float | None, ...]
    yields: tuple[YieldLine, ...]
    limits: tuple[LimitLine, ...]
    bands: tuple[Band, ...]
    marks: tuple[Mark, ...]
    brackets: tuple[Bracket, ...]
    worst: bool = False


class Moment(Frozen):
    """Something that happened beside the operations, such as the begin of a fault."""

    label: Text
    at: float


class OpView(Frozen):
    """One operation of a witness. `call` what was asked, `answer` what came back; `end` None = never answered."""

    number: int
    who: Text
    call: Text
    answer: Text
    outcome: Literal["ok", "fail", "info"]
    due: float
    sent: float | None
    end: float | None
    error: Text = ""


class WitnessView(Frozen):
    """The smallest set of operations that refutes a claim, with one sentence. `limit`: seconds, for slow answers."""

    label: Text
    anchor: str
    claim: Text
    variant: Text
    trial: int
    kind: Text
    sentence: Text
    operations: tuple[OpView, ...]
    moments: tuple[Moment, ...]
    limit: float | None = None
    left_out: int = 0


class NodeView(Frozen):
    """A node of the topology; `layer` counts from the clients. `faults`: numbers of rows of the fault table."""

    name: Text
    kind: Text
    layer: int
    rank: int
    faults: tuple[int, ...] = ()


class LinkView(Frozen):
    """A link of the topology."""

    id: Text
    source: Text
    destination: Text
    port: int
    faults: tuple[int, ...] = ()


class TopologyView(Frozen):
    """Who dials whom, and what was bent."""

    nodes: tuple[NodeView, ...]
    links: tuple[LinkView, ...]
    description: Text


class FaultRow(Frozen):
    """One injection in one cell: intended beside observed."""

    number: int
    id: Text
    what: Text
    targets: Text
    variant: Text
    planned: Text
    observed: Text
    seen: bool
    gone: bool
    seen_text: Text
    evidence: tuple[Text, ...]
    notes: tuple[Text, ...] = ()  # how it was done


class Fact(Frozen):
    """A name and a value, for lists of facts."""

    name: Text
    value: Text


class PartitionView(Frozen):
    """Who was heard by whom while a partition lasted.

    Attributes:
        number, id: of the fault. variants: in which it stood like this. what: the fault as a sentence.
        nodes: its members. cells: a row per sender, a column per hearer: "passes", "lost", "partly" (over some links
            only), or "" where no link joins them.
        sides: name of a side, and who stood there.
    """

    number: int
    id: Text
    variants: tuple[Text, ...]
    what: Text
    nodes: tuple[Text, ...]
    cells: tuple[tuple[Literal["passes", "lost", "partly", ""], ...], ...]
    sides: tuple[Fact, ...]


class QuantileLine(Frozen):
    """Latency from the due time of one variant in one phase, all classes: seconds per quantile, None = too few."""

    variant: Text
    phase: Text
    values: tuple[float | None, ...]


class RawTable(Frozen):
    """A table of texts. `numeric`: which columns hold numbers (they are set flush right)."""

    title: Text
    columns: tuple[Text, ...]
    rows: tuple[tuple[Text, ...], ...]
    numeric: tuple[bool, ...]
    note: Text = ""


class LogTail(Frozen):
    """The last lines of one node's log."""

    name: Text
    lines: Lines
    note: Text = ""


class Reproduce(Frozen):
    """What somebody needs to get the same run again."""

    command: Text
    original: Text
    seed: int
    experiment_file: Text
    experiment_sha256: Text
    experiment_text: Lines


class ReportModel(Frozen):
    """The whole report, in the reader's order."""

    schema_version: int = SCHEMA_VERSION
    chaoskit_version: Text
    run: Text
    name: Text
    question: Text
    started: Text
    variants: tuple[Text, ...]
    # 1 verdict, 2 claims
    verdict: Verdict
    headline: Text
    expectation: Text
    interrupted: Text
    counts: tuple[Fact, ...]
    sentences: tuple[Sentence, ...]
    claims: tuple[ClaimRow, ...]
    # 3 variants side by side
    phases: tuple[Text, ...]
    summaries: tuple[Summary, ...]
    summary_note: Text
    differences: RawTable | None = None
    staleness: tuple[RawTable, ...] = ()
    # 4 timelines, 5 witnesses
    timelines: tuple[Timeline, ...]
    witnesses: tuple[WitnessView, ...]
    witness_note: Text
    # 6 what was tested
    topology: TopologyView
    faults: tuple[FaultRow, ...]
    workload: tuple[Fact, ...]
    variant_env: tuple[Fact, ...]
    partitions: tuple[PartitionView, ...] = ()
    # 7 limits of this run
    limits: tuple[Text, ...]
    harness_problems: tuple[Text, ...]
    harness: RawTable
    # 8 reproduce
    reproduce: Reproduce
    environment: tuple[Fact, ...]
    # 9 raw tables and logs
    quantiles: tuple[QuantileLine, ...]
    tables: tuple[RawTable, ...]
    logs: tuple[LogTail, ...]
