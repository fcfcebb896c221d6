"""Registers at levels below linearizable: what sessions may rely on, causal and sequential consistency.

What is linearizable is everything else, too; so the levels are looked at one by one only where it is not. Then, from
weak to strong: the guarantees within a session (`chaoskit.checks.session_registers`), causal (`chaoskit.checks.causal`)
and sequential (`chaoskit.checks.sequential`).

Monotonic writes and writes follow reads are about the order in which writes take effect at each server. Registers show
one write at a time, so their answers can only confirm these two (where the history is causal), never refute them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from chaoskit.checks.causal import causal
from chaoskit.checks.forms import only
from chaoskit.checks.judging_registers import judge
from chaoskit.checks.levels import OBJECTS, implied, strongest_left
from chaoskit.checks.registers import Registers
from chaoskit.checks.result import Anomaly, Budget, Options, Result, judged
from chaoskit.checks.sequential import incoherent, sequential
from chaoskit.checks.session_registers import Story
from chaoskit.checks.staleness import Staleness
from chaoskit.history.operation import NONE
from chaoskit.history.operations import Operations
from chaoskit.units import format_count

__all__ = ["EVERYWHERE", "EXPECTED", "WHOLE", "at_level", "judge_level", "standing"]

EXPECTED = {
    "read-your-writes": "every answer shows its session's own last write, or something newer",
    "monotonic-reads": "no answer is older than one that its session had before",
    "monotonic-writes": "the writes of a session take effect in its order",
    "writes-follow-reads": "what was written takes effect after what its session had been shown before",
    "causal": "every answer shows the newest of what its client can depend on, in one order of the writes",
    "sequential": "one order of all operations that keeps each client's own explains all answers",
}
WHOLE = frozenset({"causal", "sequential"})  # levels that do not judge every key by itself
EVERYWHERE = frozenset({"thin-air", "aborted-read", "resurrection", "duplicate", "cyclic-co"})  # what no level allows
_SERVERS = frozenset({"monotonic-writes", "writes-follow-reads"})
_LINEARIZABLE = "linearizable"


def judge_level(model: str, functions: frozenset[str], operations: Operations, options: Options, level: str) -> Result:
    """Judge reads, writes and compare-and-sets at one level below linearizable.

    Exposed are the answers to clients that had written or been answered something before (of the same key, where the
    level is about each key by itself).

    Raises:
        HistoryError: operations of other functions than the model's. The history's fault.
    """
    only(operations, model, functions)
    registers = Registers.of(operations, options.initial)
    origins = registers.origins
    plain = registers.anomalies()
    found: list[Anomaly] = []
    reasons: list[str] = []
    notes: list[str] = []
    open_ = bool(plain)
    if not plain and origins.ambiguous.any():  # only a search can tell, and it may come to the end of the matter
        open_ = judge(model, functions, operations, replace(options, budget=options.budget / 2)).verdict != "held"
        notes += [] if open_ else ["the history is linearizable, and so it is everything below"]
    story, budget = Story(operations, origins), Budget(options.budget)
    if open_:
        found, reasons = _below(story, plain, level, options, budget)
    found = sorted([at_level(one, level) for one in (*plain, *found)], key=lambda one: OBJECTS.index(one.level))
    held = not found and not reasons
    looked_at = [one for one in OBJECTS if one in implied(level) and one not in _SERVERS]
    return judged(
        model,
        level,
        EXPECTED[level],
        len(operations),
        _exposed(story, level),
        tuple(found),
        refuting=implied(level),
        reasons=tuple(reasons),
        notes=(*notes, *story.lanes.notes()),
        not_refuted=_LINEARIZABLE if held else None if reasons else standing(found, looked_at),
        numbers=Staleness.judged(registers).numbers(),
    )


def at_level(one: Anomaly, level: str) -> Anomaly:
    """What no level allows refutes the one that is asked for, too, be it not the first of the weakest ones."""
    return replace(one, level=level) if one.kind in EVERYWHERE and level not in WHOLE else one


def standing(found: Sequence[Anomaly], looked_at: Sequence[str]) -> str | None:
    """The strongest level of those that were looked at that no anomaly refutes."""
    if any(one.kind in EVERYWHERE for one in found):
        return None
    return strongest_left((one.level for one in found), tuple(looked_at))


def _below(
    story: Story, plain: list[Anomaly], level: str, options: Options, budget: Budget
) -> tuple[list[Anomaly], list[str]]:
    """Anomalies of a history that is not linearizable, as far as the level needs them, and what stays open."""
    origins = story.origins
    found: list[Anomaly] = []
    reasons: list[str] = []
    if origins.ambiguous.any():
        reasons.append(
            f"values were written more than once in {format_count(int(np.count_nonzero(origins.ambiguous)))} of "
            f"{format_count(origins.registers)} registers, which are left out: nobody can tell which write an answer "
            "shows; stamp the values (no value is written twice)"
        )
    found += [one for one in story.guarantees() if level in WHOLE or one.level == level or one.kind in EVERYWHERE]
    if (level in _SERVERS and not found) or level in WHOLE:
        late = causal(story, budget) if not found or level == "causal" else []
        if late is None:
            reasons.append(
                f"{format_count(len(story.operations))} operations of {format_count(story.lanes.count)} clients are "
                f"more than can be compared within the budget of {budget.seconds:g} s; give it more time with "
                "--budget, or check a shorter history"
            )
        elif level in _SERVERS and late:
            reasons.append(
                "the history is not causal, and registers, which show one write at a time, cannot tell whether that is "
                "for want of this guarantee: check causal, or use lists (the model append), which show the order of "
                "writes"
            )
        elif level in WHOLE:
            known = {one.kind for one in found}
            found += [one for one in late if one.kind not in known]
    if level == "sequential":
        one = incoherent(story)
        found += [one] if one is not None else []
        if not found and not any(each.level in implied(level) for each in plain):
            last, why = sequential(story, options, budget)
            found += [last] if last is not None else []
            reasons += [why] if why else []
    return found, reasons


def _exposed(story: Story, level: str) -> int:
    if level not in WHOLE:
        return int(np.count_nonzero((story.own_write != NONE) | (story.read_before != NONE)))
    return int(np.count_nonzero(story.lanes.place[story.reads] > 0))
