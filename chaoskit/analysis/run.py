"""A stored run -> Analysis. Reads and writes nothing but the run directory, needs no target, and nothing is written."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from chaoskit.analysis.caveats import caveats
from chaoskit.analysis.cell import Material, analyse_cell
from chaoskit.analysis.differences import differences
from chaoskit.analysis.facts import Facts, read_facts
from chaoskit.analysis.health import read_lag
from chaoskit.analysis.model import Analysis, CellAnalysis
from chaoskit.analysis.summary import as_expected, headline, overall, summarise
from chaoskit.errors import ExitCode, StoreError
from chaoskit.history.frame import History
from chaoskit.history.storage import load_history
from chaoskit.plan import CellPlan, Plan
from chaoskit.store import RunDir, read_jsonl

__all__ = ["analyse", "exit_code"]

LAG_FILES = "*lag.jsonl"  # of the proxy in the block's folder, of the workers in the cell's


def analyse(run: RunDir, load: Callable[[Path], History] = load_history) -> Analysis:
    """Judge a stored run, also one that was cut short anywhere; the caller writes `analysis.json`.

    Args:
        load: reads the history of a cell's folder.

    Raises:
        StoreError: there is no plan that can be read, or a newer chaoskit wrote it.
    """
    plan = _plan(run)
    judged = [_judged(run, plan, cell, load) for cell in plan.cells]
    cells, facts = [cell for cell, _ in judged], [found for _, found in judged]
    claims = summarise(plan, cells)
    return Analysis(
        chaoskit_version=plan.chaoskit_version,
        run=run.id,
        name=plan.experiment.name,
        question=plan.experiment.question,
        started=_started(run, facts),
        verdict=overall([claim.verdict for claim in claims]),
        as_expected=as_expected(claims),
        headline=headline(claims, sum(cell.operations for cell in cells)),
        claims=claims,
        cells=tuple(cells),
        limits=caveats(plan, cells, claims),
        interrupted=any(found.interrupted for found in facts),
        differences=differences(plan, cells),
    )


def exit_code(analysis: Analysis) -> ExitCode:
    """What a process that ends with this analysis exits with. With `expect:` it says whether things came out so."""
    verdicts = [
        (claim.verdict, "held" if claim.expected_verdict is None else claim.expected_verdict)
        for claim in analysis.claims
    ]
    surprises = [found for found, expected in verdicts if found != expected]
    if any(found != "inconclusive" for found in surprises):
        return ExitCode.REFUTED
    return ExitCode.INCONCLUSIVE if surprises or not verdicts else ExitCode.OK


def _plan(run: RunDir) -> Plan:
    text = run.read_text("plan.json")
    try:
        return Plan.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise StoreError(
            f"{run.file('plan.json')} is not a plan of this chaoskit: {where}: {first['msg']}",
            hint="was the file edited? a run can be judged only by the plan it was made with",
        ) from error


def _judged(run: RunDir, plan: Plan, cell: CellPlan, load: Callable[[Path], History]) -> tuple[CellAnalysis, Facts]:
    """One cell; its history is let go when this returns, so that a run needs the memory of one cell."""
    material = _material(run, plan, cell, load)
    return analyse_cell(plan, cell, material), material.facts


def _material(run: RunDir, plan: Plan, cell: CellPlan, load: Callable[[Path], History]) -> Material:
    folder = run.cell(cell.variant, cell.trial)
    facts = read_facts(read_jsonl(folder / "events.jsonl"), frozenset(node.name for node in plan.target.topology.nodes))
    if facts.last_ns is None:
        return Material(facts, None, why="there is no history of it")
    try:
        history = load(folder)
    except StoreError as error:
        return Material(facts, None, why=f"its history cannot be read: {error.message}")
    start, end = facts.origin_ns or 0, facts.load_end_ns or facts.last_ns
    fresh = plan.experiment.fresh == "trial"
    block = run.block(cell.variant, cell.trial if fresh else None)
    return Material(
        facts,
        history,
        # A block's proxy serves all its cells: only what it wrote in this cell's time counts.
        proxy=read_lag(block.glob(LAG_FILES), start, end),
        worker=read_lag(folder.rglob(LAG_FILES), start, end),
    )


def _started(run: RunDir, facts: list[Facts]) -> str:
    """ISO 8601 UTC: the wall clock of the first cell's anchor, else what the folder's name says."""
    walls = [found.wall_ns for found in facts if found.wall_ns is not None]
    if walls:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(min(walls) / 1e9))
    try:
        stamp = time.strptime(run.id.partition("-")[0], "%Y%m%dT%H%M%SZ")
    except ValueError:
        return ""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", stamp)
