"""Bugs planted in answers of registers, for the power of a check: one answer is not what it was."""

from __future__ import annotations

import random
from functools import partial

import numpy as np

from chaoskit.checks.forms import answering, answering_id
from chaoskit.checks.result import Alteration
from chaoskit.history.operation import NONE, Outcome
from chaoskit.history.operations import Operations

__all__ = ["BLIND_CAS", "MULTI_REGISTERS", "REGISTERS"]

_RECENT = 10  # a stale answer is one of the last so many writes


def _stale(operations: Operations, position: int, random: random.Random) -> Operations | None:
    """A read answers one of the writes that had returned before it began, but not the one it did answer."""
    if operations.function(position) != "read" or operations.outcome[position] != Outcome.OK:
        return None
    older = _older(operations, position)
    older = older[operations.value[older] != operations.result[position]][-_RECENT:]
    if not len(older):
        return None
    return answering_id(operations, position, int(operations.value[random.choice(older.tolist())]))


def _lost(operations: Operations, position: int, random: random.Random) -> Operations | None:
    """A read finds nothing, as if the writes before it had been lost."""
    if operations.function(position) != "read" or operations.result[position] == NONE:
        return None
    return answering_id(operations, position, NONE)


def _blind(operations: Operations, position: int, random: random.Random) -> Operations | None:
    """A compare-and-set succeeded though what it asked for was no longer there: it had an older value in mind."""
    if operations.function(position) != "cas" or operations.outcome[position] != Outcome.OK:
        return None
    old, new = operations.of_value(operations.value[position])
    older = [operations.of_value(operations.value[one]) for one in _older(operations, position)[-_RECENT:]]
    older = [one for one in older if one is not None and one not in (old, new)]
    if not older:
        return None
    value = operations.value.copy()
    value[position] = len(operations.values)
    return operations.altered(value=value, values=[*operations.values, (random.choice(older), new)])


def _older(operations: Operations, position: int) -> np.ndarray:
    """Writes of the same key that had returned before this operation began, in order of their return."""
    same = operations.named("write") & operations.ok & (operations.key == operations.key[position])
    found = np.flatnonzero(same & (operations.completed < operations.invoked[position]))
    return found[np.argsort(operations.completed[found], kind="stable")]


def _step_changed(kind: str, operations: Operations, position: int, random: random.Random) -> Operations | None:
    """One step that read something reads what an earlier operation wrote there, or nothing."""
    answer = operations.of_value(operations.result[position])
    if operations.outcome[position] != Outcome.OK or not isinstance(answer, tuple):
        return None
    reads = [place for place, (f, _, value) in enumerate(answer) if f in ("r", "read") and value is not None]
    if not reads:
        return None
    place = random.choice(reads)
    f, key, value = answer[place]
    other = None
    if kind == "stale-read":
        done = np.flatnonzero(operations.ok & (operations.completed < operations.invoked[position]))
        before = [step for one in done[-_RECENT:] for step in operations.of_value(operations.result[one]) or ()]
        older = [step[2] for step in before if step[0] in ("w", "write") and step[1] == key and step[2] != value]
        if not older:
            return None
        other = random.choice(older)
    return answering(operations, position, (*answer[:place], (f, key, other), *answer[place + 1 :]))


REGISTERS = (Alteration("stale-read", _stale), Alteration("lost-write", _lost))
BLIND_CAS = Alteration("blind-cas", _blind)
MULTI_REGISTERS = tuple(Alteration(kind, partial(_step_changed, kind)) for kind in ("stale-read", "lost-write"))
