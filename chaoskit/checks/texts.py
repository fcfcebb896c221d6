"""Texts that are only appended to, as the lists that they are: which element stands where, if that can be told."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chaoskit.history.operation import NONE
from chaoskit.history.operations import Operations

__all__ = ["as_lists", "listed"]


def listed(operations: Operations, keys: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Of every key (dense numbers), whether its texts can be read as lists in one way only: nothing is ever put, all
    that is appended is text, differs, and none is the beginning of another (left to right, one only can come next).
    """
    can = np.zeros(int(keys.max(initial=-1)) + 1, dtype=np.bool_)
    changes = np.flatnonzero(~operations.named("get"))
    order = changes[np.argsort(keys[changes], kind="stable")]
    appends = operations.named("append")
    for part in np.split(order, np.flatnonzero(np.diff(keys[order])) + 1):
        if len(part) and appends[part].all():
            texts = [operations.of_value(number) for number in operations.value[part].tolist()]
            can[keys[part[0]]] = all(isinstance(text, str) and text for text in texts) and _apart(sorted(texts))
    return can


def _apart(texts: Sequence[str]) -> bool:
    return not any(later.startswith(sooner) for sooner, later in itertools.pairwise(texts))


def as_lists(operations: Operations, keys: NDArray[np.int64]) -> Operations:
    """The same history with answers as lists, of keys that are `listed`; what nobody appended is one element."""
    gets = np.flatnonzero(operations.named("get") & (operations.result != NONE))
    gets = gets[np.argsort(keys[gets], kind="stable")]
    appends = np.flatnonzero(operations.named("append"))
    appends = appends[np.argsort(keys[appends], kind="stable")]
    values = list(operations.values)
    result = operations.result.copy()
    bounds = (
        np.searchsorted(keys[appends], keys[gets], side="left"),
        np.searchsorted(keys[appends], keys[gets], "right"),
    )
    at = 0
    for part in np.split(gets, np.flatnonzero(np.diff(keys[gets])) + 1) if len(gets) else ():
        known = {values[number] for number in operations.value[appends[bounds[0][at] : bounds[1][at]]].tolist()}
        at += len(part)
        lengths = sorted({len(text) for text in known})
        numbers = result[part]
        made: dict[int, int] = {}
        before, shown = "", tuple[str, ...]()
        for number in sorted(set(numbers.tolist()), key=lambda one: len(str(values[one]))):
            text = values[number]
            if not isinstance(text, str):
                made[number] = len(values)
                values.append((text,))
                continue
            if not text.startswith(before):  # answers mostly go on where the last one ended
                before, shown = "", ()
            shown = (*shown, *_elements(text, len(before), known, lengths))
            before = text
            made[number] = len(values)
            values.append(shown)
        result[part] = [made[number] for number in numbers.tolist()]
    names = tuple("read" if name == "get" else name for name in operations.functions)
    return operations.altered(result=result, values=values, functions=names)


def _elements(text: str, start: int, known: set[str], lengths: Sequence[int]) -> list[str]:
    found = []
    while start < len(text):
        one = next(
            (text[start : start + size] for size in lengths if text[start : start + size] in known), text[start:]
        )
        found.append(one)
        start += len(one)
    return found
