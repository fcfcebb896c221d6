"""Model `set`: sets per key that are added to and read whole; exact, in n log n and the size of the answers.

Operations: `add` (value: the element; adding it again changes nothing) and `read` (answers the whole set, as a set or a
list; nil is the empty one). The answers must form a chain under inclusion; what is then left to judge is the order in
time, see `chaoskit.checks.growing`. The rule per element alone (in a read only after its addition began, missing only
before it was acknowledged) is not enough: it passes sets that flicker, and reads of which neither holds the other.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import chain, groupby, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.additions import Additions
from chaoskit.checks.altering import SETS
from chaoskit.checks.elements import Answered
from chaoskit.checks.forms import only
from chaoskit.checks.growing import Growth, Shapes
from chaoskit.checks.grown import Words, anomalies, apart_from_order, by_themselves
from chaoskit.checks.levels import OBJECTS, weakest
from chaoskit.checks.result import Alteration, Anomaly, Options, Result, judged
from chaoskit.history.operation import NONE
from chaoskit.history.operations import Operations

__all__ = ["MODEL", "Set", "decode"]

_WORDS = Words(noun="set", added="added", ordered=False)
_EXPECTED = "every read answers exactly what was added before it"


class Set:
    """Sets per key; `exposed` are reads that began after something of their key had been acknowledged."""

    name = "set"
    summary = "add x / read the whole set: every read answers exactly what was added before it, and nothing ever goes"
    functions = frozenset({"add", "read"})
    levels: tuple[str, ...] = ("linearizable",)
    alterations: tuple[Alteration, ...] = SETS
    per_key = True

    def check(self, operations: Operations, options: Options) -> Result:
        """Judge a history; see the module for the rules."""
        growth, found, wrong = decode(operations)
        told = anomalies(growth, _WORDS, found, wrong)
        return judged(
            self.name,
            "linearizable",
            _EXPECTED,
            len(operations),
            int(np.count_nonzero(growth.expectant)),
            told,
            refuted=weakest((one.level for one in told), OBJECTS),
            not_refuted=None if told else "linearizable",
        )


MODEL = Set()


def decode(operations: Operations) -> tuple[Growth, dict[int, Collection[Any]], tuple[Anomaly, ...]]:
    """The sets of a history, what they answered, and what is wrong with answers by themselves.

    Raises:
        HistoryError: operations of other functions, an addition of nil, or an answer that is no collection.
    """
    only(operations, "set", Set.functions)
    sets = Answered.of(operations, "add", "set")
    shapes, twice, apart = _shapes(sets)
    growth = Growth(operations, sets.keys, sets.reads, Additions.of(operations, sets.keys, sets.adds), shapes)
    found = sets.found
    wrong = by_themselves(growth, found, twice, _WORDS) + apart_from_order(growth, apart, "incomparable-reads", _WORDS)
    return growth, found, wrong


def _shapes(answered: Answered) -> tuple[Shapes, NDArray[np.bool_], NDArray[np.bool_]]:
    """Segments of a key: what each state of the chain adds to the one before it, then each set outside of the chain.

    The chain goes down from the largest set: the next one is the largest that lies within. Also which segments show an
    element twice, and which are outside of the chain.
    """
    keys, numbers, sizes, which = answered.different()
    segment = np.empty(len(keys), dtype=np.int64)
    parts: list[Collection[Any]] = []  # flat elements, part by part
    stages: list[int] = []  # of the parts
    marks: list[tuple[int, bool, bool, bool, int]] = []
    by_size = np.lexsort((numbers, -sizes, keys))
    for key, places in groupby(by_size.tolist(), key=lambda place: int(keys[place])):
        links: list[int] = []
        steps: list[frozenset[Any]] = []  # what each link has more than the next, smaller one
        outside: list[tuple[int, frozenset[Any]]] = []
        last: frozenset[Any] = frozenset()
        for place in places:
            one = frozenset(answered.found[int(numbers[place])])
            if len(one) == sizes[place] and (not links or one <= last):
                steps += [last - one] if links else []
                links.append(place)
                last = one
            else:
                outside.append((place, one))
        if links:
            segment[links] = len(marks)
            parts += [last, *reversed(steps)]
            stages += sizes[links[::-1]].tolist()
            marks.append((key, True, False, False, int(sizes[links[0]])))
        for place, one in outside:
            segment[place] = len(marks)
            repeated = len(one) < sizes[place]
            parts.append(one)
            stages.append(1)
            marks.append((key, False, repeated, not repeated, len(one)))
    total = sum(map(len, parts))
    stage = np.repeat(np.array(stages, dtype=np.int64), np.fromiter(map(len, parts), np.int64, len(parts)))
    value = np.fromiter(map(answered.numbers.get, chain.from_iterable(parts), repeat(NONE)), np.int64, total)
    return Shapes.of(marks, stage, value, segment[which], sizes[which])
