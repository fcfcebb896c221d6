"""Model `append`: lists per key that are appended to and read whole; exact, in n log n.

Operations: `append` (value: the element, unique per key) and `read` (answers the whole list; nil is the empty one).
The longest read of a key gives the order of its elements; every read must be a prefix of it. What is then left to
judge is the order in time, see `chaoskit.checks.growing`. Lengths alone are not enough: append 0 at [1, 2], append 1 at
[4, 5] and a read of [1 0] at [0, 3] fit by length, and yet 1 stands before 0, which had been acknowledged first.

Elements of one key that were appended twice (and may both be there) cannot be told apart: such keys are left out, and
the result is inconclusive unless another key refutes.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from itertools import chain, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.additions import Additions
from chaoskit.checks.altering import LISTS
from chaoskit.checks.elements import Answered, unstamped
from chaoskit.checks.forms import only
from chaoskit.checks.growing import Growth, Shapes
from chaoskit.checks.grown import Words, anomalies, apart_from_order, by_themselves
from chaoskit.checks.levels import OBJECTS, weakest
from chaoskit.checks.list_levels import judge_lists
from chaoskit.checks.list_sessions import Lists
from chaoskit.checks.register_levels import WHOLE
from chaoskit.checks.result import Alteration, Anomaly, Options, Result, judged
from chaoskit.history.operation import NONE
from chaoskit.history.operations import Operations

__all__ = ["MODEL", "Append", "decode"]

_WORDS = Words(noun="list", added="appended", ordered=True)
_EXPECTED = "every read answers all that was appended before it, in one order"


class Append:
    """Lists per key; `exposed` are reads that began after something of their key had been acknowledged."""

    name = "append"
    summary = "append x / read the whole list: every read answers all that was appended before it, in one order"
    functions = frozenset({"append", "read"})
    levels: tuple[str, ...] = OBJECTS[::-1]
    alterations: tuple[Alteration, ...] = LISTS
    per_key = True
    across_keys = WHOLE

    def check(self, operations: Operations, options: Options) -> Result:
        """Judge a history; see the module for the rules, and `chaoskit.checks.list_levels` for weaker levels."""
        growth, found, wrong, unstamped = decode(operations)
        told = anomalies(growth, _WORDS, found, wrong)
        level = options.consistency
        if level is not None and level != "linearizable":
            lists = Lists(operations, growth.keys, found, _judged_keys(growth))
            return judge_lists(self.name, lists, told, unstamped, options, level)
        return judged(
            self.name,
            "linearizable",
            _EXPECTED,
            len(operations),
            int(np.count_nonzero(growth.expectant)),
            told,
            reasons=unstamped,
            refuted=weakest((one.level for one in told), OBJECTS),
            not_refuted=None if told or unstamped else "linearizable",
        )


MODEL = Append()


def _judged_keys(growth: Growth) -> NDArray[np.bool_]:
    """Mask of operations whose key is not left out."""
    there = np.union1d(growth.additions.key, growth.keys[growth.reads])
    return np.isin(growth.keys, there)


def decode(
    operations: Operations,
) -> tuple[Growth, dict[int, Collection[Any]], tuple[Anomaly, ...], tuple[str, ...]]:
    """The lists of a history, what they answered, what is wrong with answers by themselves, and keys left out.

    Raises:
        HistoryError: operations of other functions, an append of nil, or an answer that is no list.
    """
    only(operations, "append", Append.functions)
    lists = Answered.of(operations, "append", "list")
    keys, adds = lists.keys, lists.adds
    additions = Additions.of(operations, keys, adds)
    reasons: tuple[str, ...] = ()
    if additions.repeated.any():
        out = np.unique(additions.key[additions.repeated])
        reasons = unstamped(operations, keys, out, "appended")
        lists = replace(lists, reads=lists.reads[~np.isin(keys[lists.reads], out)])
        additions = Additions.of(operations, keys, adds[~np.isin(keys[adds], out)])
    shapes, twice, apart = _shapes(lists)
    growth, found = Growth(operations, keys, lists.reads, additions, shapes), lists.found
    wrong = by_themselves(growth, found, twice, _WORDS) + apart_from_order(growth, apart, "incompatible-order", _WORDS)
    return growth, found, wrong, reasons


def _shapes(answered: Answered) -> tuple[Shapes, NDArray[np.bool_], NDArray[np.bool_]]:
    """Segments of a key: the longest list without duplicates, then each list that is no prefix of it.

    Also which segments show an element twice, and which contradict the order of their key.
    """
    keys, numbers, sizes, which = answered.different()
    segment = np.empty(len(keys), dtype=np.int64)
    lists: list[tuple[Any, ...]] = []
    marks: list[tuple[int, bool, bool, bool, int]] = []
    order, current, home = (), -1, -1
    by_size = np.lexsort((numbers, -sizes, keys))
    rows = zip(by_size.tolist(), keys[by_size].tolist(), numbers[by_size].tolist(), strict=True)
    for place, key, number in rows:
        one = answered.found[number]
        assert isinstance(one, tuple)
        if key != current:
            current, home, order = key, -1, ()
        if home >= 0 and order[: len(one)] == one:
            segment[place] = home
            continue
        repeated = len(set(one)) < len(one)
        if home < 0 and not repeated:
            home, order = len(lists), one
        segment[place] = len(lists)
        lists.append(one)
        first = home == len(lists) - 1
        marks.append((key, first, repeated, home >= 0 and not repeated and not first, len(one)))
    lengths = np.fromiter(map(len, lists), np.int64, len(lists))
    total = int(lengths.sum())
    stage = np.arange(total) - np.repeat(np.cumsum(lengths) - lengths, lengths) + 1
    value = np.fromiter(map(answered.numbers.get, chain.from_iterable(lists), repeat(NONE)), np.int64, total)
    return Shapes.of(marks, stage, value, segment[which], sizes[which])
