"""The verdict on a history of registers: exact where values are unique, by search within the budget where not."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.forms import only
from chaoskit.checks.linearize import Machine, Puzzle, search
from chaoskit.checks.origins import Origins
from chaoskit.checks.registers import ORDER, Registers
from chaoskit.checks.result import Anomaly, Budget, Options, Result, judged
from chaoskit.checks.searching import least, unordered
from chaoskit.checks.staleness import Staleness
from chaoskit.checks.words import called
from chaoskit.history.operation import NONE
from chaoskit.history.operations import NEVER, Operations
from chaoskit.units import format_count

__all__ = ["judge"]

_EXPECTED = "every answer shows the last write, as if each register were in one place"


def judge(model: str, functions: frozenset[str], operations: Operations, options: Options) -> Result:
    """Judge reads, writes and compare-and-sets.

    Exposed are the answers that began after a write of their register had been acknowledged: an older value was there
    to be shown by mistake.

    Raises:
        HistoryError: operations of other functions than the model's. The history's fault.
    """
    only(operations, model, functions)
    registers = Registers.of(operations, options.initial)
    origins = registers.origins
    anomalies = registers.anomalies()
    searched = _Search(operations, origins, options)
    if origins.ambiguous.any():
        anomalies = _with(anomalies, searched.anomaly(registers.early | origins.unwritten))
    return judged(
        model,
        ORDER,
        _EXPECTED,
        len(operations),
        _exposed(operations, origins),
        tuple(anomalies),
        reasons=searched.reasons(),
        notes=(*searched.notes(), *_notes(operations, origins)),
        refuted=ORDER if anomalies else None,
        not_refuted=ORDER if not anomalies and not searched.open else None,
        numbers=Staleness.judged(registers).numbers(),
    )


def _with(anomalies: list[Anomaly], more: Anomaly | None) -> list[Anomaly]:
    """One anomaly more; counted with those of its kind, if there are any."""
    if more is None:
        return anomalies
    if any(one.kind == more.kind for one in anomalies):
        return [replace(one, count=one.count + more.count) if one.kind == more.kind else one for one in anomalies]
    return [*anomalies, more]


def _exposed(operations: Operations, origins: Origins) -> int:
    acknowledged = np.full(origins.registers, NEVER, dtype=np.int64)
    writes = np.flatnonzero(operations.ok & (origins.makes != NONE))
    np.minimum.at(acknowledged, origins.register[writes], origins.ended[writes])
    return int(np.count_nonzero(acknowledged[origins.register[origins.seer]] < origins.began[origins.seer]))


def _notes(operations: Operations, origins: Origins) -> tuple[str, ...]:
    """What takes no part, and why that is right."""
    reads = operations.named("read")
    silent = int(np.count_nonzero(reads & ~operations.ok))
    unseen = int(np.count_nonzero(operations.info & ~reads & ~origins.kept))
    notes = []
    if silent:
        notes.append(f"reads without an answer, which say nothing: {format_count(silent)}")
    if unseen:
        notes.append(
            f"writes of unknown outcome that no answer shows, which may not have happened: {format_count(unseen)}"
        )
    return tuple(notes)


@dataclass
class _Search:
    """The registers whose values are not unique, one after the other until the budget is spent.

    Attributes:
        ambiguous: how many registers there were to search. illegal: how many of them are refuted. open: how many of
            them nothing is known of.
        stuck: an operation that the search did not get past.
    """

    operations: Operations
    origins: Origins
    options: Options
    ambiguous: int = 0
    illegal: int = 0
    open: int = 0
    stuck: int = NONE

    def anomaly(self, wrong: NDArray[np.bool_]) -> Anomaly | None:
        """What the first register that is refuted shows.

        Args:
            wrong: mask of seers that are wrong by themselves: their registers need no search.
        """
        origins = self.origins
        settled = np.zeros(origins.registers, dtype=np.bool_)
        settled[origins.register[origins.seer[wrong]]] = True
        todo = np.flatnonzero(origins.ambiguous & ~settled)
        self.ambiguous = len(todo)
        kept = np.flatnonzero(origins.kept)
        kept = kept[np.argsort(origins.register[kept], kind="stable")]
        begin = np.searchsorted(origins.register[kept], todo, side="left")
        end = np.searchsorted(origins.register[kept], todo, side="right")
        budget = Budget(self.options.budget)
        first: Anomaly | None = None
        for number, one in enumerate(todo.tolist()):
            positions = kept[begin[number] : end[number]]
            puzzle = _puzzle(self.operations, origins, positions, int(origins.initial[one]))
            answer = search(puzzle, range(len(positions)), budget, hopeful=True)
            if answer.legal is None:
                self.open += 1
                self.stuck = int(positions[answer.at]) if self.stuck == NONE else self.stuck
            elif not answer.legal:
                self.illegal += 1
                first = first or self._explained(puzzle, positions, answer.at, budget)
            if self.options.progress is not None:
                self.options.progress(number + 1, len(todo))
        return first

    def _explained(self, puzzle: Puzzle, positions: NDArray[np.int64], stuck: int, budget: Budget) -> Anomaly:
        """The smallest part that is still illegal, and has the writes of all that it shows."""
        origins = self.origins
        shows, makes = origins.shows[positions].tolist(), origins.makes[positions].tolist()
        initial = int(origins.initial[origins.register[positions[0]]])

        def shown(one: int) -> tuple[int, ...]:
            return () if shows[one] in (NONE, initial) else (shows[one],)

        core = least(puzzle, range(len(positions)), stuck, budget, shown, lambda one: (makes[one],))
        witness = positions[np.sort(np.asarray(core, dtype=np.int64))]
        # Without the other writes its values may be unique, and then it can be said what is wrong with it.
        part = self.operations.where(witness)
        plain = Registers.of(part, self.options.initial).anomalies()
        if plain:
            one = plain[0]
            named = tuple(int(witness[place]) for place in one.witness)
            return Anomaly(one.kind, one.level, 1, named, one.sentence, left_out=one.left_out)
        return unordered(self.operations, witness, int(positions[stuck]))

    def reasons(self) -> tuple[str, ...]:
        """Why nothing can be said, if so."""
        if not self.open:
            return ()
        return (
            f"values were written more than once in {format_count(self.ambiguous)} of "
            f"{format_count(self.origins.registers)} registers, and the search of {format_count(self.open)} of them "
            f"ended without an answer, with its budget of {self.options.budget:g} s or with too many possibilities to "
            f"remember, at {called(self.operations, self.stuck)}; stamp the values (no value is written twice), or "
            "give it more time with --budget",
        )

    def notes(self) -> tuple[str, ...]:
        """How much was searched."""
        if not self.ambiguous:
            return ()
        return (
            f"registers in which values were written more than once: {format_count(self.ambiguous)} searched, "
            f"{format_count(self.illegal)} refuted, {format_count(self.open)} not finished",
        )


def _puzzle(operations: Operations, origins: Origins, positions: NDArray[np.int64], initial: int) -> Puzzle:
    pairs = np.stack([origins.shows[positions], origins.makes[positions]])
    distinct, kinds = np.unique(pairs, axis=1, return_inverse=True)
    shows, makes = distinct.tolist()

    def step(state: Hashable, kind: int) -> Hashable | None:
        if shows[kind] not in (NONE, state):
            return None
        return state if makes[kind] == NONE else makes[kind]

    completed = np.where(operations.completed[positions] == NEVER, NEVER, origins.ended[positions])
    machine = Machine(step, initial, [one == NONE for one in makes])
    return Puzzle(origins.began[positions].tolist(), completed.tolist(), kinds.ravel().tolist(), machine)
