"""What could be checked in a history, and what speaks against it: models are asked, by giving them the history.

Every model refuses what it is not about; so the best way to know whether one fits is to let it look.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from chaoskit import registry
from chaoskit.checks.checking import find_model, judge
from chaoskit.checks.result import Model, Options
from chaoskit.errors import ChaosKitError, HistoryError
from chaoskit.history.operation import Outcome
from chaoskit.history.operations import Operations
from chaoskit.spec.suggest import listed
from chaoskit.units import format_count

__all__ = ["Suggestion", "contents", "suggest"]

_LOOKED_AT = 10_000  # operations from the beginning of the history
_SECONDS = 0.5  # for the search of a model that needs one


@dataclass(frozen=True)
class Suggestion:
    """A model that knows operations of a history.

    Attributes:
        summary: what the model is about. levels: what it can judge.
        why: what it would look at. against: why its verdict would say little, or nothing; empty = it fits.
    """

    model: str
    summary: str
    levels: tuple[str, ...]
    why: str
    against: tuple[str, ...] = ()


def suggest(operations: Operations, options: Options = Options()) -> tuple[Suggestion, ...]:
    """Models that know all functions of a history, or at least one of them where none that fits knows all. First those
    that nothing speaks against, and among them those that know least else. The beginning of the history is looked at;
    no verdict is given.
    """
    names = _functions(operations)
    found: list[tuple[bool, int, Suggestion]] = []
    partly: list[Suggestion] = []
    for name in registry.names("model"):
        try:
            model = find_model(name)
        except Exception as error:  # a model of somebody else's package that cannot be loaded
            found.append((True, 0, Suggestion(name, "", (), "", (f"it cannot be loaded: {error}",))))
            continue
        if names & model.functions:
            one = _one(operations, model, names, options)
            found.append((bool(one.against), len(model.functions), one))
            partly += [] if names <= model.functions else [one]
    if not all(against for against, _, _ in found):
        found = [entry for entry in found if entry[2] not in partly]
    return tuple(one for _, _, one in sorted(found, key=lambda entry: entry[:2]))


def contents(operations: Operations) -> str:
    """What is in a history: "2,000 operations of 10 processes: read 1,012, write 988 (12 of unknown outcome)"."""
    counts = np.bincount(operations.f[operations.f >= 0], minlength=len(operations.functions)).tolist()
    parts = [f"{name} {format_count(n)}" for name, n in zip(operations.functions, counts, strict=True) if n]
    processes = len(np.unique(operations.process))
    text = f"{format_count(len(operations))} {_many(len(operations), 'operation')} of "
    text += f"{format_count(processes)} {_many(processes, 'process', 'processes')}"
    odd = []
    for outcome, word in ((Outcome.INFO, "of unknown outcome"), (Outcome.FAIL, "failed")):
        number = int(np.count_nonzero(operations.outcome == outcome))
        odd += [f"{format_count(number)} {word}"] if number else []
    text += f": {', '.join(parts)}" if parts else ""
    return f"{text} ({', '.join(odd)})" if odd else text


def _one(operations: Operations, model: Model, names: frozenset[str], options: Options) -> Suggestion:
    known = names & model.functions
    against: list[str] = []
    mask = operations.named(*known)
    chosen = operations.where(np.flatnonzero(mask)[:_LOOKED_AT])
    try:
        result, _, _ = judge(chosen, model, replace(options, budget=_SECONDS, consistency=None, progress=None))
        against += result.reasons
    except HistoryError as error:
        against.append(error.what)
    except ChaosKitError as error:
        against.append(error.message)
    if strange := sorted(names - model.functions):
        remedy = "" if against else f"; --ignore {','.join(strange)} leaves these out"
        against.insert(0, f"it knows nothing of {listed(strange)}{remedy}")
    why = f"{format_count(int(mask.sum()))} operations are {listed(sorted(known))}"
    return Suggestion(model.name, model.summary, model.levels, why, tuple(against))


def _functions(operations: Operations) -> frozenset[str]:
    return frozenset(operations.functions[number] for number in np.unique(operations.f))


def _many(count: int, one: str, more: str | None = None) -> str:
    return one if count == 1 else more or f"{one}s"
