"""Sequential consistency of registers: one order of all operations that keeps each client's own explains all answers.

For one register by itself (coherence) it is exact and linear: all that shows one value stands together in the order, so
what a client did to one value before it did something to another puts the first value before the second; the history is
legal if and only if these steps do not go round in a circle. Over several registers that is not enough (two clients
that each write one register and then find the other one empty: every register is coherent, and no order explains both),
and deciding it is NP-complete even with unique values. So: what must follow is added until nothing more follows

    a write that comes before an answer it is not shown by comes before the write that is shown
    an answer whose write comes before another write comes before that one, too

A circle refutes; otherwise an order is searched for, within the budget, and what is not found by then stays open.

Source: Gibbons and Korach, Testing Shared Memories (1997); Cantin, Lipasti and Smith, The Complexity of Verifying
Memory Coherence and Consistency (2005), for coherence with known write-to-read pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.causal import overwrites
from chaoskit.checks.circles import FORCED, Steps, Ways
from chaoskit.checks.clocks import Columns, clocks
from chaoskit.checks.linearize import smallest
from chaoskit.checks.ordering import Ordering
from chaoskit.checks.origins import decode
from chaoskit.checks.result import Anomaly, Budget, Options
from chaoskit.checks.session_registers import Story
from chaoskit.history.operation import NONE
from chaoskit.units import format_count

__all__ = ["incoherent", "sequential"]

Ints = NDArray[np.int64]
_LEVEL = "sequential"
_MOST = 10  # operations of a witness
_READABLE = 100  # operations of a witness where nothing smaller stands alone
_SHRINKING = 20.0  # seconds for making a witness smaller


def incoherent(story: Story) -> Anomaly | None:
    """What no order of one register's operations explains."""
    origins, operations = story.origins, story.operations
    order, same = story.runs
    shown = np.full(len(operations), NONE, dtype=np.int64)
    shown[story.reads] = origins.cluster[story.placed]
    made = np.full(len(operations), NONE, dtype=np.int64)
    made[origins.writer[origins.registers :]] = np.arange(origins.registers, len(origins.writer))
    visits = np.stack([shown[order], made[order]], axis=1).ravel()
    by, run = np.repeat(order, 2), np.repeat(np.cumsum(~same), 2)
    there = visits != NONE
    visits, by, run = visits[there], by[there], run[there]
    goes_on = np.flatnonzero((run[1:] == run[:-1]) & (visits[1:] != visits[:-1]))
    taking = np.flatnonzero(story.member[origins.writer] & (origins.writer != NONE))
    begins = Steps.of(FORCED, origins.owner[taking], taking, origins.writer[taking], origins.writer[taking])
    steps = Steps.of(FORCED, visits[goes_on], visits[goes_on + 1], by[goes_on + 1], by[goes_on]).joined(begins)
    part, inside = steps.knotted(len(origins.writer), origins.start)
    if not len(inside):
        return None
    circle = inside.circle(part)
    path = [*circle.read.tolist(), *circle.proof.tolist(), *origins.writer[circle.source].tolist()]
    clauses = [
        f"{story.called(before)} came before {story.called(after)}"
        for before, after in zip(circle.proof.tolist(), circle.read.tolist(), strict=True)
        if before != after
    ]
    sentence = f"values took turns: {' and '.join(clauses[:4])}, each pair in one client; no order of the writes fits"
    return story.anomaly("incoherent", _LEVEL, np.unique(inside.read), path, sentence)


def sequential(story: Story, options: Options, budget: Budget) -> tuple[Anomaly | None, str]:
    """What no order over all registers explains, or None and why it cannot be told ("" where there is an order).

    The clients' own orders and what answers show must not go round in a circle (`Story.whole`), nor may `incoherent`
    have found anything.
    """
    if len(np.unique(story.origins.register[story.member])) < 2 and not (story.origins.parent != NONE).any():
        return None, ""  # coherent, as one register has to be
    found = _decided(story, budget)
    if found.legal is not False:
        return None, found.why
    return _told(story, found.circle, options, Budget(min(_SHRINKING, budget.left()))), ""


def _told(story: Story, circle: list[int], options: Options, budget: Budget) -> Anomaly:
    """With as few operations as are still in contradiction."""
    wrote = dict(zip(story.reads.tolist(), story.wrote.tolist(), strict=True))

    def closed(chosen: Sequence[int]) -> list[int]:
        there = {*chosen, NONE}
        return [one for one in chosen if wrote.get(one, NONE) in there]

    core = smallest(
        np.flatnonzero(story.member).tolist(), closed, lambda chosen: _illegal(story, chosen, options, budget), budget
    )
    whole = len(core)
    if whole > _READABLE:
        core = (circle or core)[:_MOST]
    named = ", ".join(story.called(one) for one in (circle or core)[:6] if one in set(core)) or "these operations"
    sentence = f"no order of {format_count(whole)} operations that keeps each client's own explains them: {named}"
    one = story.anomaly("not-sequential", _LEVEL, np.empty(0, np.int64), core, sentence)
    return replace(one, count=1, left_out=max(0, whole - len(one.witness)))


def _illegal(story: Story, chosen: Sequence[int], options: Options, budget: Budget) -> bool:
    """Whether some of the operations by themselves are refuted in the same way."""
    part = story.operations.where(sorted(chosen))
    smaller = Story(part, decode(part, options.initial))
    if smaller.origins.unwritten.any() or len(smaller.whole.knotted(len(part))[1]) or incoherent(smaller) is not None:
        return False
    return _decided(smaller, budget).legal is False


@dataclass(frozen=True)
class _Decided:
    """Whether there is an order; None: unknown, and `why`. circle: operations of a contradiction, if one was seen."""

    legal: bool | None
    circle: list[int] = field(default_factory=list)
    why: str = ""


def _decided(story: Story, budget: Budget) -> _Decided:
    origins, size = story.origins, len(story.operations)
    lane = np.where(story.member, story.lanes.lane, NONE)
    lane, place = (np.append(one, np.full(origins.registers, NONE)) for one in (lane, story.lanes.place))
    columns = Columns(lane, place, story.writes, origins.register[story.writes], every=True)
    steps = story.whole.joined(_from_nothing(story))
    while True:
        part, inside = steps.knotted(size + origins.registers)
        if len(inside):
            circle = inside.circle(part)
            return _Decided(False, Ways(circle).stations(range(len(circle)), size))
        clock = clocks(columns, steps.source, steps.target, budget)
        if clock is None:
            return _Decided(
                None,
                why=f"{format_count(size)} operations of {format_count(columns.count)} clients over several keys are "
                f"more than can be compared within the budget of {budget.seconds:g} s; give it more time with "
                "--budget, or check a shorter history",
            )
        more = _following(story, columns, clock)
        if not len(more):
            break
        steps = steps.joined(more)
    legal = Ordering(story, steps, size + origins.registers).search(budget)
    why = (
        f"the search for one order of {format_count(size)} operations over several keys ended without an answer within "
        f"its budget of {budget.seconds:g} s; give it more time with --budget"
    )
    return _Decided(legal, why="" if legal is not None else why)


def _from_nothing(story: Story) -> Steps:
    """Who was shown nothing comes before all writes to that register.

    By way of one node for each register: answers before it, writes after it. A compare-and-set that found nothing is on
    both sides of it: it comes before the node, and after all others that found nothing.
    """
    size, register = len(story.operations), story.origins.register
    nothing = story.reads[story.wrote == NONE]
    found = np.isin(story.writes, nothing)
    blind, taking = story.writes[~found], story.writes[found]
    steps = Steps.of(FORCED, nothing, size + register[nothing]).joined(Steps.of(FORCED, size + register[blind], blind))
    pairs = register[nothing][:, None] == register[taking][None, :]
    pairs &= nothing[:, None] != taking[None, :]
    one, other = np.nonzero(pairs)
    return steps.joined(Steps.of(FORCED, nothing[one], taking[other]))


def _following(story: Story, columns: Columns, clock: NDArray[np.int32]) -> Steps:
    """What follows from what is known, and is not known itself."""
    pairs = overwrites(story, columns, clock)
    real = story.wrote[pairs.read] != NONE
    source, target, read = pairs.other[real], story.wrote[pairs.read[real]], story.reads[pairs.read[real]]
    first = Steps.of(FORCED, source, target, read)
    shown = story.wrote != NONE
    by_write = np.flatnonzero(shown)[np.argsort(story.wrote[shown], kind="stable")]
    sorted_writes = story.wrote[by_write]
    writes, key = story.writes, story.origins.register[story.writes]
    sources, targets = [first.source], [first.target]
    reads = [first.read]
    for column in range(columns.count):
        if not len(columns.codes[column]):
            continue
        last = columns.last(column, key, clock[writes, column])
        there = np.flatnonzero((last != NONE) & (last != writes))
        begin = np.searchsorted(sorted_writes, last[there], side="left")
        count = np.searchsorted(sorted_writes, last[there], side="right") - begin
        at = np.repeat(begin - np.cumsum(count) + count, count) + np.arange(int(count.sum()))
        reader, later = story.reads[by_write[at]], np.repeat(writes[there], count)
        new = (reader != later) & ~columns.knows(clock, later, reader)
        sources.append(reader[new])
        targets.append(later[new])
        reads.append(reader[new])
    return Steps.of(FORCED, np.concatenate(sources), np.concatenate(targets), np.concatenate(reads))
