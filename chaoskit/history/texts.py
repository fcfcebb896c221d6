"""Histories of runs record texts: what a workload wrote as JSON (a list, a map, a number), read as what it says."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from chaoskit.history.operation import NONE
from chaoskit.history.operations import Operations
from chaoskit.history.values import Values, frozen

__all__ = ["parsed"]


def parsed(given: Operations) -> Operations:
    """The same history with every text that is JSON as its value; all other texts, and keys, stay as they are."""
    values = Values()
    numbers = np.array([values.number(_value(text)) for text in given.values] + [NONE], dtype=np.int64)
    keys = np.array([values.number(text) for text in given.values] + [NONE], dtype=np.int64)
    return given.altered(
        key=keys[given.key], value=numbers[given.value], result=numbers[given.result], values=tuple(values.all)
    )


def _value(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return frozen(json.loads(text))
    except (ValueError, RecursionError):
        return text
