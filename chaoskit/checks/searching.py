"""Verdicts by search, object by object: what every model has in common that has nothing but a `step`.

A refutation is explained by the fewest answers that cannot be right together *whatever became of all other
operations*: these may have happened, each within its own interval, or not. That needs no knowledge of what operations
mean, and a witness made so never rests on an operation that was left out. What makes each of the answers possible by
itself is shown beside them, so that a witness stands alone and says the same.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.elements import dense
from chaoskit.checks.linearize import Machine, Puzzle, search, smallest
from chaoskit.checks.result import Anomaly, Budget, Options, Result, judged
from chaoskit.checks.words import called
from chaoskit.history.operations import Operations
from chaoskit.units import format_count

__all__ = ["LEVEL", "Core", "by_key", "core", "least", "puzzle", "searched", "unordered"]

LEVEL = "linearizable"
_SMALL = 5_000  # configurations of one instant, while a witness is made smaller
_MOST = 10  # operations of a witness
_READABLE = 100  # operations of a witness where nothing smaller stands alone
_NAMED = 4  # operations named in a sentence
_LONG = 200  # operations of which not all are gone through for every attempt
_STATES = 300  # that may be there where a part begins
_TAILS = (2, 8, 32, 128, 512)


@dataclass(frozen=True)
class Core:
    """Why a puzzle has no solution, as numbers of its operations.

    Attributes:
        answers: cannot be right together, whatever became of all others.
        beside: without these (each of which may have happened or not) fewer answers would be wrong already.
        whole: neither of the two can be made smaller. False: the budget ended it, or there were too many possibilities.
    """

    answers: tuple[int, ...]
    beside: tuple[int, ...]
    whole: bool


def core(puzzle: Puzzle, stuck: int, budget: Budget) -> Core:
    """The smallest part of a puzzle that explains why the search does not get past `stuck`."""
    short = len(puzzle.kinds) <= _LONG
    found = _core(puzzle, stuck, budget, exact=short)
    part = sorted((*found.answers, *found.beside))
    if short or len(part) > _READABLE:
        return found
    # Not everything was gone through again and again; the little that was found is looked at as it stands alone.
    invoked, completed, kinds = ([of[one] for one in part] for of in (puzzle.invoked, puzzle.completed, puzzle.kinds))
    alone = Puzzle(invoked, completed, kinds, puzzle.machine)
    end = search(alone, range(len(part)), budget)
    if end.legal is not False:
        return found
    again = _core(alone, end.at, budget, exact=True)
    answers, beside = (tuple(part[one] for one in those) for those in (again.answers, again.beside))
    return Core(answers, beside, again.whole)


def _core(puzzle: Puzzle, stuck: int, budget: Budget, *, exact: bool) -> Core:
    end = puzzle.completed[stuck]
    before = [one for one in range(len(puzzle.kinds)) if puzzle.invoked[one] < end]
    # What had not returned by then may yet be explained by what came later.
    certain = sorted((one for one in before if puzzle.completed[one] <= end), key=puzzle.completed.__getitem__)

    machine, kinds = puzzle.machine, puzzle.kinds
    exact = exact or machine.reachable({kinds[one] for one in before}, _STATES) is None

    def illegal(must: Sequence[int]) -> bool:
        kept, rest, states = set(must), before, {0}
        if not exact:  # what was over before these began may have left any state that it can lead to
            first = min(puzzle.invoked[one] for one in must)
            rest = [one for one in before if puzzle.completed[one] > first]
            over = {kinds[one] for one in before if puzzle.completed[one] <= first}
            states = machine.reachable(over, _STATES) or states
        others = [one for one in rest if one not in kept]
        return search(puzzle, rest, budget, others, _SMALL, states=states).legal is False

    tails = (certain[-size:] for size in _TAILS if size < len(certain))
    start = next((tail for tail in tails if illegal(tail)), certain)
    answers = smallest(start, list, illegal, budget)
    alone = len(answers) == 1 and illegal(answers)

    def possible(beside: Sequence[int]) -> bool:
        """Whether any answer that is taken back makes the others right."""
        chosen = sorted({*answers, *beside})
        return alone or all(search(puzzle, chosen, budget, [*beside, one], _SMALL).legal is True for one in answers)

    others = [one for one in before if one not in set(answers) and puzzle.kinds[one] in puzzle.machine.changing]
    if possible(()):
        return Core(tuple(answers), (), True)
    tails = (others[-size:] for size in _TAILS if size < len(others))
    near = next((tail for tail in tails if possible(tail)), others)
    if near is others and not possible(others):
        return Core(tuple(answers), (), False)
    return Core(tuple(answers), tuple(smallest(near, list, possible, budget)), not budget.spent())


def least(
    puzzle: Puzzle,
    group: Sequence[int],
    stuck: int,
    budget: Budget,
    shows: Callable[[int], Iterable[Hashable]],
    makes: Callable[[int], Iterable[Hashable]],
) -> list[int]:
    """The smallest part of an illegal group that is illegal by itself, and has the writes of all that it shows.

    Args:
        stuck: where the search of the group came to its end.
        shows, makes: what an operation shows that somebody must have written, and what it writes.
    """

    def closed(chosen: Sequence[int]) -> list[int]:
        left = list(chosen)
        while True:
            there = {one for number in left for one in makes(number)}
            fewer = [number for number in left if all(one in there for one in shows(number))]
            if len(fewer) == len(left):
                return left
            left = fewer

    def illegal(chosen: Sequence[int]) -> bool:
        return search(puzzle, chosen, budget).legal is False

    before = [one for one in group if puzzle.invoked[one] < puzzle.completed[stuck]]
    starts = (closed(before[-size:]) for size in (*_TAILS, len(before)))  # as a rule the last few are enough
    return smallest(next((start for start in starts if illegal(start)), group), closed, illegal, budget)


def by_key(operations: Operations, taking_part: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Positions of the operations that take part, key by key."""
    at = np.flatnonzero(taking_part)
    keys = dense(operations)[at]
    order = np.argsort(keys, kind="stable")
    return [part for part in np.split(at[order], np.flatnonzero(np.diff(keys[order])) + 1) if len(part)]


def puzzle(
    operations: Operations,
    positions: NDArray[np.int64],
    meaning: Sequence[Hashable],
    step: Callable[[Any, Any], Any],
    initial: Hashable,
    looks: Callable[[Any], bool],
) -> Puzzle:
    """The operations of one object as a puzzle.

    Args:
        meaning: what each of them does; equal ones do the same.
        step: (state, meaning) -> the next state, or None where the answer contradicts the state.
        looks: whether what something means never changes the state.
    """
    numbers: dict[Hashable, int] = {}
    kinds = [numbers.setdefault(one, len(numbers)) for one in meaning]
    meanings = list(numbers)
    machine = Machine(lambda state, kind: step(state, meanings[kind]), initial, [looks(one) for one in meanings])
    return Puzzle(operations.invoked[positions].tolist(), operations.completed[positions].tolist(), kinds, machine)


def searched(
    model: str,
    operations: Operations,
    puzzles: Iterable[tuple[NDArray[np.int64], Puzzle]],
    count: int,
    options: Options,
    *,
    expected: str,
    exposed: int,
    remedy: str,
    notes: tuple[str, ...] = (),
) -> Result:
    """Judge objects one after the other until the budget is spent.

    Of each kind of anomaly (`thin-air`: one answer that is impossible whatever else happened; `not-linearizable`) the
    first is explained; objects are counted, not operations. Objects that there was no time to explain are counted with
    the first kind.

    Args:
        puzzles: for every object the positions of its operations, and these as a puzzle. count: how many objects.
        remedy: what may help when the search comes to no end ("stamp the values").
    """
    budget = Budget(options.budget)
    found: dict[str, Anomaly] = {}
    open_ = illegal = 0
    stuck = -1
    for done, (positions, one) in enumerate(puzzles, 1):
        answer = search(one, range(len(positions)), budget, hopeful=True)
        if answer.legal is None:
            open_ += 1
            stuck = int(positions[answer.at]) if stuck < 0 else stuck
        elif not answer.legal:
            illegal += 1
            if illegal == 1 or not budget.spent():
                _add(found, _explained(operations, positions, one, answer.at, budget))
            else:
                first = next(iter(found.values()))
                found[first.kind] = replace(first, count=first.count + 1)
        if options.progress is not None:
            options.progress(done, count)
    reasons = (
        f"the search of {format_count(open_)} of {format_count(count)} {'object' if count == 1 else 'objects'} ended "
        f"without an answer, with its budget of {options.budget:g} s or with too many possibilities to remember, at "
        f"{called(operations, stuck)}; {remedy}, or give it more time with --budget"
        if open_
        else "",
    )
    return judged(
        model,
        LEVEL,
        expected,
        len(operations),
        exposed,
        tuple(found.values()),
        reasons=reasons if open_ else (),
        notes=(f"objects searched: {format_count(count)}, refuted: {format_count(illegal)}", *notes),
        refuted=LEVEL if found else None,
        not_refuted=LEVEL if not found and not open_ else None,
    )


def _add(found: dict[str, Anomaly], one: Anomaly) -> None:
    before = found.setdefault(one.kind, replace(one, count=0, accused=one.accused[:0]))
    found[one.kind] = replace(before, count=before.count + 1, accused=np.append(before.accused, one.accused))


def _explained(
    operations: Operations, positions: NDArray[np.int64], one: Puzzle, stuck: int, budget: Budget
) -> Anomaly:
    why = core(one, stuck, budget)
    answers = positions[np.sort(np.asarray(why.answers, dtype=np.int64))]
    witness = np.sort(np.append(answers, positions[np.asarray(why.beside, dtype=np.int64)]))
    names = [called(operations, int(at)) for at in answers[:_NAMED]]
    if len(answers) == 1:
        sentence = f"{names[0]} was answered as nothing that had been asked by then could have made it"
        return Anomaly("thin-air", LEVEL, 1, tuple(answers.tolist()), sentence, answers)
    told = f"{', '.join(names[:-1])} and {names[-1]}"
    if len(answers) > _NAMED:
        told = f"the answers of {format_count(len(answers))} operations, {names[0]} the first of them,"
    sentence = f"{told} cannot all be right in any order, whichever of the other operations took effect"
    return replace(unordered(operations, witness, int(positions[stuck]), sentence), accused=answers)


def unordered(operations: Operations, witness: NDArray[np.int64], stuck: int, sentence: str = "") -> Anomaly:
    """The anomaly of operations (positions, ascending) that no order explains.

    Args:
        stuck: position of the operation that the search did not get past. sentence: why; otherwise just that.
    """
    sentence = sentence or f"no order of {format_count(len(witness))} operations explains what they answered"
    if len(witness) <= _READABLE:
        return Anomaly("not-linearizable", LEVEL, 1, tuple(witness.tolist()), sentence, large=len(witness) > _MOST)
    # There was no time to find less; those around the one that fits nowhere.
    named = witness[witness <= stuck][-_MOST:]
    sentence += f"; the search does not get past {called(operations, stuck)}"
    left_out = len(witness) - len(named)
    return Anomaly("not-linearizable", LEVEL, 1, tuple(named.tolist()), sentence, left_out=left_out)
