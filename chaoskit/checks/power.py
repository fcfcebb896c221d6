"""What a history could have shown: one answer is altered as a bug would have altered it, and the history judged again.

"Held" says that a history is legal; a history of three operations is, nearly always. The power of a check says how
many bugs would have been noticed in this very history.
"""

from __future__ import annotations

import random as randomness
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.result import Alteration, Budget, Model, Options, Result
from chaoskit.history.operations import Operations
from chaoskit.units import format_count

__all__ = ["Power", "Strike", "power"]

_LOOKS = 20  # places looked at for one where a bug can strike, on average, before the rest is taken to be the same


@dataclass(frozen=True)
class Strike:
    """One kind of bug, planted in one place after the other.

    Attributes:
        kind: the bug, as its alteration is called.
        struck: places in which it was planted: the denominator of every share.
        found: of these, how often the history was refuted.
        legal: of these, how often an exact model found the altered history still legal: nobody could have noticed.
            What is neither was judged by necessary conditions only, or not to the end.
    """

    kind: str
    struck: int = 0
    found: int = 0
    legal: int = 0

    @property
    def share(self) -> float | None:
        """Found of struck; None where it could strike nowhere."""
        return self.found / self.struck if self.struck else None

    def sentence(self) -> str:
        """ "stale-read: in 71 of 100 places where this bug could have struck, the history would have shown it"."""
        if not self.struck:
            return f"{self.kind}: no place was found in this history where this bug could have struck"
        places = "place" if self.struck == 1 else "places"
        text = (
            f"{self.kind}: in {format_count(self.found)} of {format_count(self.struck)} {places} where this bug could "
            "have struck, the history would have shown it"
        )
        notes = []
        if self.legal:
            notes.append(
                f"{format_count(self.legal)} {_other(self.legal)} would still have been "
                f"{'a legal answer' if self.legal == 1 else 'legal answers'}"
            )
        if left := self.struck - self.found - self.legal:
            notes.append(f"{format_count(left)} {_other(left)} could not be told from a legal answer")
        return f"{text} ({'; '.join(notes)})" if notes else text


@dataclass(frozen=True)
class Power:
    """What a history could have shown, by kind of bug. `notes`: what was not tried, and why."""

    strikes: tuple[Strike, ...]
    notes: tuple[str, ...] = ()

    @property
    def least(self) -> Strike | None:
        """The bug that was found least; None where none could strike anywhere."""
        return min((one for one in self.strikes if one.struck), key=lambda one: one.found / one.struck, default=None)


def power(
    model: Model,
    operations: Operations,
    options: Options,
    random: randomness.Random,
    tries: int = 100,
    window: NDArray[np.bool_] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Power:
    """Plant each bug that the model knows in random answers of a history that it holds, one at a time.

    A model with `per_key = True` judges every key by itself, except at the levels that it names as `across_keys`; then
    only the operations of the altered key are judged.

    Args:
        random: which answers. The same seed gives the same places, and the same figures unless the time runs out.
        tries: places per kind of bug, if there are as many.
        window: mask of the operations whose answers may be altered: of the fault's window, of the side it is about.
        progress: told (tried, of all).
        options.budget: seconds for all of it; what was not tried by then is said in the notes.
    """
    if not model.alterations:
        return Power((), (f"the model {model.name} names no bug that could be planted",))
    budget = Budget(options.budget)
    places = np.flatnonzero(operations.ok if window is None else operations.ok & window)
    across = options.consistency in getattr(model, "across_keys", ())
    parts = _Parts(operations, bool(getattr(model, "per_key", False)) and not across)
    randoms = [randomness.Random(random.getrandbits(64)) for _ in model.alterations]
    sources = [_places(places, own, tries) for own in randoms]
    strikes = [Strike(one.kind) for one in model.alterations]
    notes: list[str] = []
    failures: dict[str, int] = {}
    for number in range(tries):  # kind by kind within a try: when the time runs out, all kinds were tried alike
        if budget.spent():
            notes.append(f"after {options.budget:g} s there was no time to plant each bug in more than {number} places")
            break
        for at, alteration in enumerate(model.alterations):
            altered = _struck(alteration, parts, sources[at], randoms[at])
            if altered is None:
                continue
            try:
                verdict = _outcome(model.check(altered, replace(options, budget=budget.left(), progress=None)))
            except Exception as error:  # a bug in a checker must not cost the verdict that is already there
                verdict = "other"
                reason = f"{type(error).__name__}: {error}"
                failures[reason] = failures.get(reason, 0) + 1
            one = strikes[at]
            strikes[at] = Strike(
                one.kind, one.struck + 1, one.found + (verdict == "found"), one.legal + (verdict == "legal")
            )
        if progress is not None:
            progress(number + 1, tries)
    notes += [f"{count} altered histories could not be judged: {reason}" for reason, count in failures.items()]
    return Power(tuple(strikes), tuple(notes))


def _outcome(result: Result) -> str:
    if result.verdict == "refuted":
        return "found"
    return "legal" if result.verdict == "held" and result.exact else "other"


def _places(places: NDArray[np.int64], random: randomness.Random, tries: int) -> Iterator[int]:
    """Some places in random order, none twice."""
    return iter([int(places[at]) for at in random.sample(range(len(places)), min(len(places), _LOOKS * tries))])


def _struck(
    alteration: Alteration, parts: _Parts, places: Iterator[int], random: randomness.Random
) -> Operations | None:
    """The history with this bug in the next place where it can strike; None where there is none left."""
    for place in places:
        part, position = parts.around(place)
        altered = alteration.apply(part, position, random)
        if altered is not None:
            return altered
    return None


class _Parts:
    """What has to be judged again when one operation was altered: everything, or the operations of its key."""

    def __init__(self, operations: Operations, per_key: bool) -> None:
        self._all = operations
        self._by_key: NDArray[np.int64] | None = None
        if per_key and len(np.unique(operations.key)) > 1:
            self._by_key = np.argsort(operations.key, kind="stable")
            self._keys = operations.key[self._by_key]

    def around(self, place: int) -> tuple[Operations, int]:
        """The operations to judge, and which of them it is."""
        if self._by_key is None:
            return self._all, place
        key = self._all.key[place]
        first, end = np.searchsorted(self._keys, key, "left"), np.searchsorted(self._keys, key, "right")
        positions = self._by_key[first:end]  # sorted: the order of operations is kept
        return self._all.where(positions), int(np.searchsorted(positions, place))


def _other(count: int) -> str:
    return "other" if count == 1 else "others"
