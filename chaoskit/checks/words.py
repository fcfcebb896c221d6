"""Operations of a history in words, and as data for diagrams: the same for every model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from chaoskit.history.operation import NONE, Outcome
from chaoskit.history.operations import NEVER, Operations
from chaoskit.history.values import shown

if TYPE_CHECKING:
    from chaoskit.checks.model import WitnessOp

__all__ = ["called", "shortened", "showed", "witness_operations"]

_LONGEST = 60


def called(operations: Operations, position: int) -> str:
    """An operation in a sentence: "operation 12 (process 3: write x 5)", "operation 15 (process 1: read x → 4)"."""
    parts = [operations.function(position)]
    if operations.key[position] != NONE:
        parts.append(shortened(shown(operations.of_value(operations.key[position]))))
    if operations.value[position] != NONE:
        parts.append(shortened(shown(operations.of_value(operations.value[position]))))
    outcome = Outcome(int(operations.outcome[position]))
    # Jepsen repeats what was written: that is no answer.
    value, result = operations.value[position], operations.result[position]
    if outcome == Outcome.OK and (value == NONE or result not in (NONE, value)):
        parts.append(f"→ {shortened(shown(operations.of_value(operations.result[position])))}")
    if outcome != Outcome.OK:
        parts.append("failed" if outcome == Outcome.FAIL else "outcome unknown")
    what = " ".join(parts)
    return f"operation {int(operations.index[position])} (process {int(operations.process[position])}: {what})"


def showed(operations: Operations, position: int) -> str:
    """What an operation on a register saw: "answered 4", "answered nothing", or what a compare-and-set found."""
    if operations.function(position) == "cas":
        return f"found {shortened(shown(operations.of_value(operations.value[position])[0]))}"
    answer = operations.of_value(operations.result[position])
    return "answered nothing" if answer is None else f"answered {shortened(shown(answer))}"


def shortened(text: str) -> str:
    """At most 60 characters."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def witness_operations(operations: Operations, positions: Iterable[int]) -> tuple[WitnessOp, ...]:
    """Some operations as data, in order of invocation. Seconds from the beginning of the history where its times are
    known, else ranks of events: their order is right, their distances mean nothing.
    """
    from chaoskit.checks.model import WitnessOp  # loads pydantic

    timed = operations.timed
    found = []
    for position in sorted({int(one) for one in positions}, key=lambda one: int(operations.invoked[one])):
        began, ended = operations.began_ns[position] / 1e9, operations.ended_ns[position] / 1e9
        if not timed:
            began, ended = float(operations.invoked[position]), float(operations.completed[position])
        unknown = operations.completed[position] == NEVER or (timed and operations.ended_ns[position] == NONE)
        node = int(operations.node[position])
        found.append(
            WitnessOp(
                index=int(operations.index[position]),
                process=int(operations.process[position]),
                source="",
                node=operations.nodes[node] if node >= 0 else "",
                cls="",
                f=operations.function(position),
                key=_text(operations, int(operations.key[position])),
                value=_text(operations, int(operations.value[position])),
                result=_text(operations, int(operations.result[position])),
                due=began,
                sent=began,
                end=None if unknown else ended,
                outcome=Outcome(int(operations.outcome[position])).name.lower(),
            )
        )
    return tuple(found)


def _text(operations: Operations, number: int) -> str | None:
    return None if number == NONE else shown(operations.values[number])
