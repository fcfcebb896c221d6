"""Model `multi-register`: several registers are read and written at once, as in Knossos. Searched within the budget.

An operation is a list of steps, `[[:r x nil] [:w y 5]]`, answered with what was read: `[[:r x 3] [:w y 5]]`; the steps
take effect together, in their order. Registers that no operation ties together are judged by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from chaoskit.checks.bugs import MULTI_REGISTERS
from chaoskit.checks.forms import only, unlike
from chaoskit.checks.levels import OBJECTS
from chaoskit.checks.linearize import Machine, Puzzle, search
from chaoskit.checks.result import Alteration, Anomaly, Budget, Options, Result, judged
from chaoskit.checks.searching import LEVEL, least, unordered
from chaoskit.checks.words import called, shortened
from chaoskit.history.operation import NONE, Outcome
from chaoskit.history.operations import NEVER, Operations
from chaoskit.history.values import Values, frozen, shown
from chaoskit.units import format_count

__all__ = ["MODEL", "MultiRegisterModel"]

_READS, _WRITES = ("r", "read"), ("w", "write")
_UNKNOWN = -2  # what a step read that was never answered


class _Step(NamedTuple):
    """One register read or written; `value` is a number, _UNKNOWN for a read without an answer."""

    writes: bool
    key: int
    value: int


@dataclass(frozen=True)
class _Operation:
    """One operation that may have happened (`failed`: that did not)."""

    position: int
    invoked: int
    completed: int
    steps: tuple[_Step, ...]
    failed: bool

    def writes(self) -> Iterator[_Step]:
        """What it leaves behind, and what it overwrites itself."""
        return (step for step in self.steps if step.writes)

    def shows(self) -> Iterator[_Step]:
        """Reads with an answer, of registers that it had not written itself before."""
        own: set[int] = set()
        for step in self.steps:
            if step.writes:
                own.add(step.key)
            elif step.value != _UNKNOWN and step.key not in own:
                yield step

    def disagreeing(self) -> _Step | None:
        """A read that contradicts its own earlier write or read."""
        own: dict[int, int] = {}
        for step in self.steps:
            if not step.writes and step.value not in (_UNKNOWN, own.get(step.key, step.value)):
                return step
            if step.value != _UNKNOWN:
                own[step.key] = step.value
        return None


@dataclass(frozen=True)
class MultiRegisterModel:
    """Reads and writes of several registers in one step."""

    name: str = "multi-register"
    summary: str = "txn [[:r k v] [:w k v] …] on several registers, each operation as one step"
    functions: frozenset[str] = frozenset({"txn", "read", "write"})
    levels: tuple[str, ...] = (LEVEL,)
    alterations: tuple[Alteration, ...] = MULTI_REGISTERS

    def check(self, operations: Operations, options: Options) -> Result:
        """Judge a history. Exposed are the operations that were answered with something they read.

        Raises:
            HistoryError: an operation is not a list of steps. The history's fault.
        """
        only(operations, self.name, self.functions)
        reading = _Reading(operations, options.initial)
        anomalies = reading.plain(range(len(reading.all)))
        budget, puzzle, open_, illegal = Budget(options.budget), reading.puzzle(), 0, 0
        wrong = {int(one) for anomaly in anomalies for one in anomaly.accused}
        groups = reading.groups()
        for number, group in enumerate(groups):
            if wrong.isdisjoint(reading.all[one].position for one in group):
                found = search(puzzle, group, budget, hopeful=True)
                open_ += found.legal is None
                illegal += found.legal is False
                if found.legal is False and illegal == 1:
                    anomalies.append(reading.explained(puzzle, group, found.at, budget))
            if options.progress is not None:
                options.progress(number + 1, len(groups))
        reasons = (
            f"the search of {format_count(open_)} of {format_count(len(groups))} groups of registers ended without an "
            f"answer, with its budget of {options.budget:g} s or with too many possibilities to remember; give it more "
            "time with --budget, or tie fewer registers together",
        )
        return judged(
            self.name,
            LEVEL,
            "every operation shows all registers as the operations before it left them",
            len(operations),
            sum(any(True for _ in one.shows()) for one in reading.all if not one.failed),
            tuple(anomalies),
            reasons=reasons if open_ else (),
            notes=(f"groups of registers searched: {format_count(len(groups))}, refuted: {format_count(illegal)}",),
            refuted=LEVEL if anomalies else None,
            not_refuted=LEVEL if not anomalies and not open_ else None,
        )


class _Reading:
    """A history as operations with steps; what left no trace is gone.

    Attributes:
        all: in order of invocation, failed ones among them.
    """

    def __init__(self, operations: Operations, initial: Any) -> None:
        self.operations = operations
        self._values, self._keys = Values(), Values()
        self.initial = self._values.number(frozen(initial))
        everything = [self._operation(position) for position in range(len(operations))]
        seen = {step[1:] for one in everything if not one.failed for step in one.shows()}
        self.all = [
            one
            for one in everything
            # Of unknown outcome, and nobody saw what it wrote: it can always be placed "never".
            if one.completed != NEVER or one.failed or any(step[1:] in seen for step in one.writes())
        ]

    def _operation(self, position: int) -> _Operation:
        operations = self.operations
        ok = operations.outcome[position] == Outcome.OK
        answered = ok and operations.result[position] != NONE
        text = operations.of_value((operations.result if answered else operations.value)[position])
        steps = []
        for step in text if isinstance(text, tuple) else (None,):
            if not isinstance(step, tuple) or len(step) != 3 or step[0] not in (*_READS, *_WRITES):
                raise unlike(operations, position, "is no list of steps such as [[:r x nil] [:w y 5]]")
            writes = step[0] in _WRITES
            known = writes or answered
            value = self._values.number(step[2]) if known else _UNKNOWN
            steps.append(_Step(writes, self._keys.number(step[1]), value))
        return _Operation(
            position,
            int(operations.invoked[position]),
            int(operations.completed[position]),
            tuple(steps),
            bool(operations.outcome[position] == Outcome.FAIL),
        )

    def groups(self) -> list[list[int]]:
        """Numbers of operations that did not fail, by the registers that they tie together."""
        group: dict[int, int] = {}

        def find(key: int) -> int:
            while group.setdefault(key, key) != key:
                group[key] = group[group[key]]
                key = group[key]
            return key

        taking_part = [(number, one) for number, one in enumerate(self.all) if not one.failed and one.steps]
        for _, one in taking_part:
            for step in one.steps[1:]:
                group[find(step.key)] = find(one.steps[0].key)
        found: dict[int, list[int]] = {}
        for number, one in taking_part:
            found.setdefault(find(one.steps[0].key), []).append(number)
        return list(found.values())

    def puzzle(self) -> Puzzle:
        """For the search. A state is a frozenset of (register, value) of all that is not as at the beginning."""
        all_, initial = self.all, self.initial
        kinds: dict[tuple[_Step, ...], int] = {}
        for one in all_:
            kinds.setdefault(one.steps, len(kinds))
        steps_of = list(kinds)

        def step(state: Any, kind: int) -> Any:
            now = dict(state)
            for one in steps_of[kind]:
                if one.writes:
                    now[one.key] = one.value
                elif one.value not in (_UNKNOWN, now.get(one.key, initial)):
                    return None
            return frozenset(now.items())

        looks = [not any(step.writes for step in steps) for steps in kinds]
        machine = Machine(step, frozenset(), looks)
        numbers = [kinds[one.steps] for one in all_]
        return Puzzle([one.invoked for one in all_], [one.completed for one in all_], numbers, machine)

    # What is wrong whatever the order, and the smallest part that has none.

    def plain(self, chosen: Sequence[int]) -> list[Anomaly]:
        """Anomalies of single answers."""
        some = [self.all[one] for one in chosen]
        writers: dict[tuple[int, int], list[_Operation]] = {}
        failed: dict[tuple[int, int], _Operation] = {}
        acknowledged: dict[int, _Operation] = {}  # per register, the write that returned first
        for one in some:
            for step in one.writes():
                if one.failed:
                    failed.setdefault(step[1:], one)
                else:
                    writers.setdefault(step[1:], []).append(one)
                    if one.completed < acknowledged.get(step.key, one).completed or step.key not in acknowledged:
                        acknowledged[step.key] = one
        found: dict[str, Anomaly] = {}

        def add(kind: str, one: _Operation, others: Sequence[_Operation], why: str, level: str = LEVEL) -> None:
            accused = np.array([one.position], dtype=np.int64)
            witness = tuple(sorted({one.position, *(other.position for other in others)}))
            sentence = f"{called(self.operations, one.position)} {why}"
            before = found.setdefault(kind, Anomaly(kind, level, 0, witness, sentence))
            found[kind] = replace(before, count=before.count + 1, accused=np.append(before.accused, accused))

        for one in some:
            if one.failed or one.completed == NEVER:
                continue
            if (own := one.disagreeing()) is not None:
                add("internal", one, (), f"shows {self._told(own)}, against a step of its own before", OBJECTS[0])
                continue
            for step in one.shows():
                by = writers.get(step[1:], [])
                if not by and step.value != self.initial:
                    wrote = failed.get(step[1:])
                    if wrote is None:
                        add("thin-air", one, (), f"shows {self._told(step)}, which nobody wrote", OBJECTS[0])
                    else:
                        kind = "resurrection" if wrote.completed < one.invoked else "aborted-read"
                        why = f"shows {self._told(step)}, whose only write, {self._called(wrote)}, failed"
                        add(kind, one, (wrote,), why, OBJECTS[0])
                elif by and step.value != self.initial and all(one.completed < other.invoked for other in by):
                    why = f"shows {self._told(step)} before {self._called(by[0])}, which wrote it, began"
                    add("future-read", one, by[:1], why)
                elif not by and step.value == NONE and step.key in acknowledged:
                    write = acknowledged[step.key]
                    if write.completed < one.invoked:
                        why = f"shows {self._told(step)}, although {self._called(write)} had been acknowledged before"
                        add("nil-after-ack", one, (write,), why)
        return list(found.values())

    def explained(self, puzzle: Puzzle, group: Sequence[int], stuck: int, budget: Budget) -> Anomaly:
        """The smallest part of a group that is still refuted and has the writes of all that it shows."""

        def shows(number: int) -> list[tuple[int, int]]:
            return [step[1:] for step in self.all[number].shows() if step.value != self.initial]

        def makes(number: int) -> list[tuple[int, int]]:
            return [step[1:] for step in self.all[number].writes()]

        core = least(puzzle, group, stuck, budget, shows, makes)
        if plain := self.plain(core):
            return plain[0]
        witness = np.sort(np.asarray([self.all[one].position for one in core], dtype=np.int64))
        return unordered(self.operations, witness, self.all[stuck].position)

    def _called(self, one: _Operation) -> str:
        return called(self.operations, one.position)

    def _told(self, step: _Step) -> str:
        value = None if step.value == NONE else self._values.all[step.value]
        key = None if step.key == NONE else self._keys.all[step.key]
        return f"{shortened(shown(key))} = {shortened(shown(value))}"


MODEL = MultiRegisterModel()
