"""Is there an order of the operations that explains all answers? The search, for what has no short cut.

Goes through the events in order and keeps every configuration that is still possible: the state of the object, and
which of the operations under way have taken effect. An operation is made to take effect only when it must (it returns)
or when something that must needs it to have. Source: Lowe, Testing for linearizability (2017), just-in-time
linearization; Wing and Gong (1993) for the search itself. What makes it quick:

- States and kinds of operations are numbers, and every transition is computed once (`Machine`).
- Equal operations under way are interchangeable, and the one that returns first may go first: so of equal ones that
  began and return in the same order, a configuration does not say which are done, only how many.
- What only looks may look at once: later it can do no more than that.
- What may be left out is better not used: of two configurations that differ in nothing else, the one that used less
  of it can do all that the other can.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass

from chaoskit.checks.diving import dive
from chaoskit.checks.result import Budget
from chaoskit.errors import CheckerError
from chaoskit.history.operations import NEVER
from chaoskit.history.values import identity

__all__ = ["Machine", "Puzzle", "Searched", "search", "smallest"]

_CONFIGURATIONS = 1_000_000  # of one instant; some 200 bytes each
_BETWEEN_LOOKS = 1024
_STATE = (1 << 32) - 1  # the low bits of a configuration are its state
_SHIFT = 32
_ILLEGAL = -1
_FEW = 64  # operations, of which all orders are searched before a single one could be found
_COMPARED = 32  # configurations that another one is compared with, at most, to leave out those that are no better
_Key = tuple[int, int, int]  # kind, mode, and a number where several fields are needed for both
_MUST, _MAY, _UNKNOWN = range(3)  # within its interval; within it or not at all; at any time after its begin, or not


class Machine:
    """What operations do to states, by number. Transitions are computed when they are first asked for, and kept.

    Args:
        step: (state, kind of operation) -> the next state, or None where the answer contradicts the state.
        initial: the state before all; number 0.
        looks: of every kind, whether it never changes a state. None = to be found out: a kind is taken to change
            nothing until it does (and the search begins again if that was relied upon).
    """

    def __init__(
        self, step: Callable[[Hashable, int], Hashable | None], initial: Hashable, looks: Sequence[bool] | None = None
    ) -> None:
        self._step = step
        self.states: list[Hashable] = [initial]
        self._numbers: dict[Hashable, int] = {identity(initial): 0}
        self._rows: dict[int, dict[int, int]] = {}
        self.told = looks is not None
        self.changing = {kind for kind, only_looks in enumerate(looks or ()) if not only_looks}

    def row(self, kind: int) -> dict[int, int]:
        """What is known of a kind so far: state -> next state, _ILLEGAL where it cannot be."""
        return self._rows.setdefault(kind, {})

    def following(self, state: int, kind: int) -> int:
        """The next state, or _ILLEGAL."""
        row = self._rows.setdefault(kind, {})
        found = row.get(state)
        if found is None:
            after = self._step(self.states[state], kind)
            found = _ILLEGAL if after is None else self._numbers.setdefault(identity(after), len(self.states))
            if found == len(self.states):
                self.states.append(after)
            if found not in (_ILLEGAL, state):
                self.changing.add(kind)
            row[state] = found
        return found

    def reachable(self, kinds: Collection[int], most: int) -> set[int] | None:
        """Every state that operations of some kinds could lead to, and maybe more; None where these are too many."""
        found, new = {0}, [0]
        while new and len(found) <= most:
            state = new.pop()
            for kind in kinds:
                try:
                    after = self.following(state, kind)
                except CheckerError:  # a user's model, asked about what can never come to pass
                    return None
                if after != _ILLEGAL and after not in found:
                    found.add(after)
                    new.append(after)
        return found if len(found) <= most else None

    def confirmed(self, kinds: Collection[int]) -> bool:
        """Whether some kinds change none of the states seen so far; those that do are `changing` from now on."""
        for kind in kinds:
            for state in range(len(self.states)):
                try:
                    self.following(state, kind)
                except CheckerError:  # a user's model, asked about what can never come to pass
                    continue
                if kind in self.changing:
                    break
        return self.changing.isdisjoint(kinds)


@dataclass(frozen=True)
class Puzzle:
    """Operations of one object, numbered from 0.

    Attributes:
        invoked, completed: ranks; NEVER for an operation that may have taken effect, at any time, or not at all.
        kinds: what each of them does, by the numbers of `machine`; operations of one kind do the same.
    """

    invoked: Sequence[int]
    completed: Sequence[int]
    kinds: Sequence[int]
    machine: Machine


@dataclass(frozen=True)
class Searched:
    """`legal`: True, False, or None where the budget ended the search; `at`: number of the operation it ended at."""

    legal: bool | None
    at: int


def search(
    puzzle: Puzzle,
    chosen: Sequence[int],
    budget: Budget,
    optional: Collection[int] = (),
    most: int = _CONFIGURATIONS,
    *,
    hopeful: bool = False,
    states: Collection[int] = (0,),
) -> Searched:
    """Judge some of a puzzle's operations as if there were no others.

    Args:
        optional: of the chosen ones, those that need not have happened; if they did, then within their interval.
        most: configurations of one instant; with more, nothing is said.
        states: where the object may be before them all, by the numbers of the machine.
        hopeful: they are likely to be legal: one order is looked for before everything is searched.
    """
    machine = puzzle.machine
    if hopeful and not optional and len(chosen) >= _FEW:
        invoked, completed, kinds = (
            [of[one] for one in chosen] for of in (puzzle.invoked, puzzle.completed, puzzle.kinds)
        )
        if dive(machine, invoked, completed, kinds, budget):
            return Searched(True, -1)
    while True:
        run = _Run(puzzle, chosen, frozenset(optional), budget, most)
        found = run.searched(states)
        # What looked at once was right to, if it changes nothing: only "illegal" rests on that.
        if found.legal is not False or machine.told or machine.confirmed(run.looked):
            return found


@dataclass(eq=False, slots=True)
class _Field:
    """The operations under way of one kind, and the bits of a configuration that say how many of them are done."""

    kind: int
    mode: int
    place: int
    unit: int
    mask: int
    row: dict[int, int]  # what the machine knows of the kind
    full: int = 0  # the bits when all of them are done
    partner: _Field | None = None  # what must return and does the same: it goes first


class _Run:
    """One pass over the events."""

    def __init__(
        self, puzzle: Puzzle, chosen: Sequence[int], optional: frozenset[int], budget: Budget, most: int
    ) -> None:
        self._machine = puzzle.machine
        self._budget, self._most, self._rounds = budget, most, 0
        self.looked: set[int] = set()
        invoked, completed, kinds = puzzle.invoked, puzzle.completed, puzzle.kinds
        self._key: dict[int, _Key] = {}
        events = []
        for one in chosen:
            events.append((invoked[one], False, one))
            if completed[one] != NEVER:
                events.append((completed[one], True, one))
        events.sort()
        last: dict[_Key, int] = {}  # when what began last is to return
        for _, returns, one in events:
            if not returns:
                end = completed[one]
                mode = _UNKNOWN if end == NEVER else _MAY if one in optional else _MUST
                rank = 0
                while last.get((kinds[one], mode, rank), 0) > end:
                    rank += 1  # one that began before returns later: which of them is done makes a difference
                self._key[one] = (kinds[one], mode, rank)
                last[self._key[one]] = end
        self._events = events
        self._active: dict[_Key, _Field] = {}
        # All fields that must be done have one width, all others another one with a bit to spare for comparing.
        slots, widths = self._extent()
        self._widths = widths
        self._base = _SHIFT + slots[0] * widths[0]
        self._bases = (_SHIFT, self._base)
        self._free = [list(range(count - 1, -1, -1)) for count in slots]
        self._low = (1 << self._base) - 1
        self._spare = sum(1 << (place + 1) * widths[1] - 1 for place in range(slots[1]))
        self._loose = 0  # fields of what may be left out

    def _extent(self) -> tuple[list[int], list[int]]:
        """How many fields there are at once, and how many operations in one: bits for both."""
        under_way: dict[_Key, int] = {}
        count, slots, most = [0, 0], [0, 0], [1, 1]
        for _, returns, one in self._events:
            key = self._key[one]
            loose = key[1] != _MUST
            if returns:
                under_way[key] -= 1
                count[loose] -= not under_way[key]
                continue
            there = under_way.get(key, 0) + 1
            under_way[key] = there
            count[loose] += there == 1
            slots[loose] = max(slots[loose], count[loose])
            most[loose] = max(most[loose], there)
        return slots, [most[0].bit_length(), most[1].bit_length() + 1]

    def searched(self, states: Collection[int]) -> Searched:
        """The verdict."""
        configurations = set(states)
        active = self._active
        for _, returns, one in self._events:
            key = self._key[one]
            if not returns:
                field = active.get(key) or self._begun(key)
                field.full += field.unit
                continue
            field = active[key]
            found = self._returned(field, configurations)
            if not found:
                return Searched(None if found is None else False, one)
            configurations = found
            field.full -= field.unit
            if not field.full:
                self._ended(key, field)
        return Searched(True, -1)

    def _begun(self, key: _Key) -> _Field:
        kind, mode, rank = key
        loose = mode != _MUST
        place = self._free[loose].pop()
        at = self._bases[loose] + place * self._widths[loose]
        field = _Field(kind, mode, place, 1 << at, ((1 << self._widths[loose]) - 1) << at, self._machine.row(kind))
        self._loose += loose
        if mode == _UNKNOWN:
            field.partner = self._active.get((kind, _MUST, 0))
        elif not loose and rank == 0 and (unknown := self._active.get((kind, _UNKNOWN, 0))):
            unknown.partner = field
        self._active[key] = field
        return field

    def _ended(self, key: _Key, field: _Field) -> None:
        kind, mode, rank = key
        del self._active[key]
        loose = mode != _MUST
        self._loose -= loose
        self._free[loose].append(field.place)
        if not loose and rank == 0 and (unknown := self._active.get((kind, _UNKNOWN, 0))):
            unknown.partner = None

    def _returned(self, wanted: _Field, before: set[int]) -> set[int] | None:
        """The configurations in which what returns has taken effect, with it gone; None where the budget is spent."""
        mask, unit = wanted.mask, wanted.unit
        after = {one - unit for one in before if one & mask}
        stack = [one for one in before if not one & mask]
        if not stack:
            return after
        if wanted.mode == _MAY:
            after.update(stack)
            if wanted.kind not in self._machine.changing and self._machine.told:
                return after
        if not self._expanded(wanted, stack, after):
            return None
        return self._better(after) if self._loose and len(after) > 1 else after

    def _expanded(self, wanted: _Field, stack: list[int], after: set[int]) -> bool:
        """Add to `after` all that the stack can become when `wanted` takes effect; whether that came to an end."""
        mask, unit = wanted.mask, wanted.unit
        seen, normal = set(stack), set[int]()  # as they were reached, and with all done that looks at once
        best: dict[int, list[int]] = {}
        if self._loose:
            stack[:] = [one for one in sorted(stack, key=self._used) if not self._worse(one, best)]
        moves: dict[int, tuple[int, int, int | None, list[tuple[int, int, int, int, int]]]] = {}
        while stack:
            self._rounds += 1
            if self._rounds % _BETWEEN_LOOKS == 1 and (self._budget.spent() or len(seen) > self._most):
                return False
            one = stack.pop()
            state = one & _STATE
            here = moves.get(state)
            if here is None:
                here = moves[state] = self._moves(state, wanted)
            looked, shown, done, others = here
            if looked:
                one = one & ~looked | shown
                if one & mask:
                    after.add(one - unit)
                    continue
                if one in normal:
                    continue
                normal.add(one)
            if done is not None:
                after.add(one + done)
            for its, full, delta, partner, first in others:
                if one & its != full and one & partner == first:
                    new = one + delta
                    if new not in seen and not (self._loose and self._worse(new, best)):
                        seen.add(new)
                        stack.append(new)
        return True

    def _moves(self, state: int, wanted: _Field) -> tuple[int, int, int | None, list[tuple[int, int, int, int, int]]]:
        """From a state: bits of what looks at once, what they become, the way of `wanted`, and those of all others."""
        machine = self._machine
        looked = shown = 0
        done: int | None = None
        others = []
        for field in self._active.values():
            following = field.row.get(state)
            if following is None:
                following = machine.following(state, field.kind)
            if following == _ILLEGAL:
                continue
            if field.mode == _MUST and field.kind not in machine.changing:
                looked |= field.mask
                shown |= field.full
                self.looked.add(field.kind)
            elif field is wanted:
                done = following - state
            elif field.mode == _MUST or following != state:
                partner = field.partner
                others.append(
                    (
                        field.mask,
                        field.full,
                        field.unit + following - state,
                        partner.mask if partner else 0,
                        partner.full if partner else 0,
                    )
                )
        return looked, shown, done, others

    def _worse(self, one: int, best: dict[int, list[int]]) -> bool:
        """Whether another configuration used no more of what may be left out, and is the same else; kept if not."""
        used, spare = one >> self._base, self._spare
        there = best.setdefault(one & self._low, [])
        for other in there[:_COMPARED]:
            if ((used | spare) - other) & spare == spare:
                return True
        there.append(used)
        return False

    def _better(self, after: set[int]) -> set[int]:
        """Without those that only used more of what may be left out."""
        best: dict[int, list[int]] = {}
        return {one for one in sorted(after, key=self._used) if not self._worse(one, best)}

    def _used(self, one: int) -> int:
        return (one >> self._base).bit_count()


def smallest(
    chosen: Sequence[int],
    closed: Callable[[Sequence[int]], list[int]],
    illegal: Callable[[Sequence[int]], bool],
    budget: Budget,
) -> list[int]:
    """A small set of operations that is still illegal: none can be left out of it alone.

    Halves, quarters … are left out as long as that works (Zeller and Hildebrandt, Simplifying and Isolating
    Failure-Inducing Input, 2002).

    Args:
        closed: drops what makes no sense without what was left out (answers whose write is gone).
        illegal: False also where it cannot be said.
        budget: once it is spent, what has been reached is given back, however large.
    """
    left, parts = list(chosen), 2
    while len(left) > 1:
        size = max(1, len(left) // parts)
        for begin in range(0, len(left), size):
            if budget.spent():
                return left
            fewer = closed(left[:begin] + left[begin + size :])
            if fewer and illegal(fewer):
                left, parts = fewer, max(2, parts - 1)
                break
        else:
            if size == 1:
                break
            parts = min(len(left), parts * 2)
    return left
