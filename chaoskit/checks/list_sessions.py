"""What clients of lists may rely on within a session. A list shows all that was appended, so each answer speaks.

For every answer r of a list, and each session, key by key:

    read-your-writes      r holds all that its session had appended before
    monotonic-reads       r holds all that its session had been shown before
    monotonic-writes      with an element, r holds what the same session had appended before it, ahead of it
    writes-follow-reads   with an element, r holds what its session had been shown before appending it, ahead of it

Exact, O(n) where all answers fit one order. Source: Terry et al., Session Guarantees for Weakly Consistent Replicated
Data (1994), with the state of a server as what it answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.lanes import Lanes
from chaoskit.checks.result import Anomaly
from chaoskit.checks.words import called
from chaoskit.history.operation import NONE
from chaoskit.history.operations import Operations
from chaoskit.history.values import identity, shown

__all__ = ["Lists"]

_NOWHERE = 1 << 60  # beyond the end of every list
_KINDS = {
    "non-monotonic-read": "monotonic-reads",
    "own-write-missed": "read-your-writes",
    "non-monotonic-write": "monotonic-writes",
    "write-before-cause": "writes-follow-reads",
}


@dataclass(frozen=True, eq=False)
class Lists:
    """What happened to lists, client by client.

    Attributes:
        key: dense key of every operation. found: collections by result id, as identities.
        member: mask of operations whose key is judged.
    """

    operations: Operations
    key: NDArray[np.int64]
    found: Mapping[int, Any]
    member: NDArray[np.bool_]
    lanes: Lanes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lanes", Lanes.of(self.operations))

    @cached_property
    def appends(self) -> NDArray[np.int64]:
        """Positions of the appends that may have happened."""
        return np.flatnonzero(self.operations.named("append") & ~self.operations.failed & self.member)

    @cached_property
    def reads(self) -> NDArray[np.int64]:
        """Positions of the answers."""
        return np.flatnonzero(self.operations.named("read") & self.operations.ok & self.member)

    @cached_property
    def elements(self) -> dict[int, Any]:
        """What each append appends, as an identity."""
        values = self.operations.values
        return {at: identity(values[self.operations.value[at]]) for at in self.appends.tolist()}

    @cached_property
    def answers(self) -> dict[int, tuple[Any, ...]]:
        """What each read answered."""
        result = self.operations.result
        return {at: self.found[int(result[at])] for at in self.reads.tolist()}

    @cached_property
    def longest(self) -> dict[int, int]:
        """Of each key, the read that answered most."""
        best: dict[int, int] = {}
        for at, answer in self.answers.items():
            key = int(self.key[at])
            if key not in best or len(answer) > len(self.answers[best[key]]):
                best[key] = at
        return best

    @cached_property
    def places(self) -> dict[int, dict[Any, int]]:
        """Of each key, where elements are in its longest answer."""
        return {key: self.index(self.answers[at]) for key, at in self.longest.items()}

    def index(self, answer: tuple[Any, ...]) -> dict[Any, int]:
        """Where each element is, the first time."""
        found: dict[Any, int] = {}
        for place, element in enumerate(answer):
            found.setdefault(element, place)
        return found

    @cached_property
    def fits(self) -> set[int]:
        """Reads that answered a beginning of the longest answer of their key."""
        orders: dict[int, int] = {}
        found = set()
        for at, answer in self.answers.items():
            key = int(self.key[at])
            number = int(self.operations.result[at])
            pair = (key << 40) + number + 1
            if pair not in orders:
                orders[pair] = self.answers[self.longest[key]][: len(answer)] == answer
            if orders[pair]:
                found.add(at)
        return found

    def _runs(self) -> Iterator[tuple[int, list[int]]]:
        """Operations of one client on one key, in its order."""
        member = np.zeros(len(self.operations), dtype=np.bool_)
        member[self.appends] = member[self.reads] = True
        order = self.lanes.order[member[self.lanes.order]]
        lane, key = self.lanes.lane[order], self.key[order]
        again = np.lexsort((np.arange(len(order)), key, lane))
        rows = zip(lane[again].tolist(), key[again].tolist(), order[again].tolist(), strict=True)
        for (_, key_number), group in groupby(rows, key=lambda row: row[:2]):
            yield key_number, [row[2] for row in group]

    def guarantees(self) -> list[Anomaly]:
        """Anomalies of the four guarantees."""
        accused: dict[str, dict[int, tuple[int, ...]]] = {kind: {} for kind in _KINDS}
        ahead: dict[int, tuple[int | None, list[int]]] = {}  # append -> the one before it, and answers before it
        for key, run in self._runs():
            self._one_client(key, run, accused, ahead)
        self._orders(accused, ahead)
        return [
            Anomaly(kind, _KINDS[kind], len(those), *self._told(kind, those), np.asarray(sorted(those), dtype=np.int64))
            for kind, those in accused.items()
            if those
        ]

    def _one_client(
        self,
        key: int,
        run: list[int],
        accused: dict[str, dict[int, tuple[int, ...]]],
        ahead: dict[int, tuple[int | None, list[int]]],
    ) -> None:
        places = self.places.get(key, {})
        own: list[int] = []
        furthest, furthest_at = NONE, NONE  # of its own appends, in the longest answer
        before = NONE  # the answer before
        seen: list[int] = []  # answers of which none holds another
        for at in run:
            if at in self.elements:
                ahead[at] = (own[-1] if own else None, list(seen))
                own.append(at)
                place = places.get(self.elements[at], _NOWHERE)
                if place > furthest:
                    furthest, furthest_at = place, at
                continue
            answer = self.answers[at]
            if at in self.fits:
                missed = furthest_at if furthest >= len(answer) else NONE
            else:
                there = set(answer)
                missed = next((one for one in own if self.elements[one] not in there), NONE)
            if missed != NONE:
                accused["own-write-missed"][at] = (missed, at)
            if before != NONE and not self.holds(at, before):
                accused["non-monotonic-read"][at] = (before, at)
            before = at
            seen = [one for one in seen if not self.holds(at, one)] + [at]

    def holds(self, read: int, other: int) -> bool:
        """Whether an answer holds all that another one of its key does."""
        answer, less = self.answers[read], self.answers[other]
        if read in self.fits and other in self.fits and len(less) <= len(answer):
            return True  # not the other way round: what is longer may just show an element twice
        return set(answer).issuperset(less)

    def _orders(
        self, accused: dict[str, dict[int, tuple[int, ...]]], ahead: dict[int, tuple[int | None, list[int]]]
    ) -> None:
        """What answers say about the order of appends."""
        made = {(int(self.key[at]), element): at for at, element in self.elements.items()}
        longest = set(self.longest.values())
        wrong: dict[tuple[str, int], list[tuple[int, tuple[int, ...]]]] = {}  # by key: from where on
        for read in sorted(longest | (set(self.answers) - self.fits)):
            key, answer = int(self.key[read]), self.answers[read]
            place = self.index(answer)
            for element, at in place.items():
                append = made.get((key, element))
                if append is None:
                    continue
                previous, seen = ahead[append]
                if previous is not None and place.get(self.elements[previous], at) >= at:
                    self._note(accused, wrong, "non-monotonic-write", read, at, (previous, append), read in longest)
                for one in seen:
                    if any(place.get(other, at) >= at for other in self.answers[one]):
                        self._note(accused, wrong, "write-before-cause", read, at, (one, append), read in longest)
        for (kind, key), places in wrong.items():
            first, proof = min(places)
            for read in self.fits:
                if self.key[read] == key and len(self.answers[read]) > first:
                    accused[kind][read] = (*proof, read)

    def _note(
        self,
        accused: dict[str, dict[int, tuple[int, ...]]],
        wrong: dict[tuple[str, int], list[tuple[int, tuple[int, ...]]]],
        kind: str,
        read: int,
        place: int,
        proof: tuple[int, ...],
        longest: bool,
    ) -> None:
        if longest:
            wrong.setdefault((kind, int(self.key[read])), []).append((place, proof))
        else:
            accused[kind].setdefault(read, (*proof, read))

    def _told(self, kind: str, those: dict[int, tuple[int, ...]]) -> tuple[tuple[int, ...], str]:
        """Witness and sentence of the first one."""
        read = min(those)
        *proof, _ = those[read]
        names = [called(self.operations, one) for one in proof]
        answers = f"{called(self.operations, read)} answers"
        if kind == "own-write-missed":
            sentence = f"{answers} without what its own session had appended before: {names[0]}"
        elif kind == "non-monotonic-read":
            lacks = next(one for one in self.answers[proof[0]] if one not in set(self.answers[read]))
            sentence = f"{answers} without {shown(lacks)}, which its session had been shown before by {names[0]}"
        elif kind == "non-monotonic-write":
            sentence = f"{answers} what {names[1]} appended, but not ahead of it what its session had appended before: "
            sentence += names[0]
        else:
            sentence = f"{answers} what {names[1]} appended, but not ahead of it all that its session had been shown "
            sentence += f"before: {names[0]}"
        return tuple(sorted({*proof, read})), sentence
