"""What models of locks share: the verdict, who holds them, what takes part, and bugs to plant for a check's power."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.forms import answering_id, unlike
from chaoskit.checks.result import Alteration, Options, Result
from chaoskit.checks.searching import LEVEL, by_key, puzzle, searched
from chaoskit.history.operation import NONE, Outcome
from chaoskit.history.operations import Operations
from chaoskit.history.values import Map
from chaoskit.units import format_count

__all__ = ["OLD_TOKEN", "TWICE", "Locks", "owners", "released_later"]


def _granted(operations: Operations, position: int, random: random.Random) -> Operations | None:
    """The holder could not release the lock; whoever acquires it next was given it all the same."""
    if operations.outcome[position] != Outcome.OK or operations.function(position) != "release":
        return None
    outcome = operations.outcome.copy()
    outcome[position] = Outcome.FAIL
    return operations.altered(outcome=outcome)


def _old_token(operations: Operations, position: int, random: random.Random) -> Operations | None:
    """An acquisition was given the token of an earlier one."""
    if operations.outcome[position] != Outcome.OK or operations.function(position) != "acquire":
        return None
    same = operations.ok & operations.named("acquire") & (operations.key == operations.key[position])
    same &= (operations.result != NONE) & (operations.completed < operations.invoked[position])
    earlier = np.flatnonzero(same & (operations.result != operations.result[position]))[-10:]
    if not len(earlier) or operations.result[position] == NONE:
        return None
    return answering_id(operations, position, int(operations.result[random.choice(earlier.tolist())]))


def owners(operations: Operations) -> list[Any]:
    """Who acquires or releases: the `client` of the map that is the operation's value, as in Jepsen's tests of
    Hazelcast; its process where there are no such maps.

    Raises:
        HistoryError: some operations name a client and others do not. The history's fault.
    """
    named: dict[int, Any] = {}
    for number in np.unique(operations.value).tolist():
        value = operations.of_value(number)
        named[number] = value.get("client") if isinstance(value, Map) else None
    found = [named[number] for number in operations.value.tolist()]
    if all(client is None for client in named.values()):
        return operations.process.tolist()  # type: ignore[no-any-return]
    if None in found:
        raise unlike(operations, found.index(None), "names no client, and others do", hint="value: {client: NAME}")
    return found


def released_later(operations: Operations, owner: list[Any]) -> NDArray[np.bool_]:
    """Mask of what takes part: what failed does not, nor does an acquisition of unknown outcome after which its owner
    released nothing: if it took effect nobody else ever held the lock again, so everything is also legal without it.
    """
    last: dict[Any, int] = {}  # (key, owner) -> when its last release ended
    release = operations.named("release")
    keys, completed = operations.key.tolist(), operations.completed.tolist()
    for one in np.flatnonzero(release & ~operations.failed).tolist():
        place = (keys[one], owner[one])
        last[place] = max(last.get(place, -1), completed[one])
    kept = ~operations.failed
    for one in np.flatnonzero(operations.info & ~release).tolist():
        kept[one] = last.get((keys[one], owner[one]), -1) > int(operations.invoked[one])
    return kept


def _unreleased(operations: Operations, kept: NDArray[np.bool_]) -> tuple[str, ...]:
    """A note about the acquisitions of unknown outcome that take no part, if there are any."""
    count = int(np.count_nonzero(~kept & operations.info))
    what = "acquisitions of unknown outcome without a release after them, which may not have happened"
    return (f"{what}: {format_count(count)}",) if count else ()


TWICE = Alteration("granted-twice", _granted)
OLD_TOKEN = Alteration("old-token", _old_token)


class Locks:
    """A model of locks, one per key. Equal operations are counted, not told apart: the search is near-linear."""

    name: str
    functions: frozenset[str] = frozenset({"acquire", "release"})
    levels: tuple[str, ...] = (LEVEL,)
    alterations: tuple[Alteration, ...] = (TWICE,)
    per_key: bool = True

    def judged(
        self,
        operations: Operations,
        options: Options,
        kept: NDArray[np.bool_],
        meaning: Sequence[Hashable],
        step: Callable[[Any, Any], Any],
        initial: Hashable,
        expected: str,
    ) -> Result:
        """Judge a history, lock by lock. Exposed are the acquisitions and releases that were acknowledged.

        Args:
            kept: what takes part; a note tells of the acquisitions of unknown outcome that do not.
            meaning: what each operation does. step: (state, meaning) -> the next state; None where that cannot be.
        """
        parts = by_key(operations, kept)
        puzzles = (
            (part, puzzle(operations, part, [meaning[one] for one in part.tolist()], step, initial, lambda _: False))
            for part in parts
        )
        return searched(
            self.name,
            operations,
            puzzles,
            len(parts),
            options,
            expected=expected,
            exposed=int(operations.ok.sum()),
            remedy="check a shorter history",
            notes=_unreleased(operations, kept),
        )
