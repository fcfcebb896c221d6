"""A whole history in memory: rows as a structured array, names and values beside it (`storage.py` reads and writes)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from chaoskit.history.operation import NONE, ROW

__all__ = ["History", "Seen"]


_Rows = TypeVar("_Rows")


@dataclass(frozen=True)
class _Columns(Generic[_Rows]):
    """What a history is made of, however its rows are held.

    Attributes:
        rows: a column by its name in ROW.
        nodes, classes, functions: what the small-integer columns index.
        values: text by value id (`key`, `value_id`, `result_id`).
        origin_ns: the cell's t=0.
        damaged: how many rows or values had to be left out (torn or checksum wrong), with why.
        distinct: no text is there twice.
    """

    rows: _Rows
    nodes: tuple[str, ...]
    classes: tuple[str, ...]
    functions: tuple[str, ...]
    values: Sequence[str]
    origin_ns: int
    damaged: tuple[str, ...] = ()
    distinct: bool = False


@dataclass(frozen=True)
class History(_Columns[NDArray[np.void]]):
    """Every operation of one cell, of all workers, ordered by due time; `index` is the rank in this order. `rows` is an
    array of dtype ROW."""

    def __post_init__(self) -> None:
        if self.rows.dtype != ROW:
            raise ValueError(f"rows have dtype {self.rows.dtype}, not the row format")

    def __len__(self) -> int:
        return len(self.rows)

    def text(self, value_id: int) -> str | None:
        """The text of a value id; None for NONE."""
        return None if value_id == NONE else self.values[int(value_id)]

    def class_id(self, name: str) -> int:
        """Index of a class name, -1 if no operation class has it."""
        return self.classes.index(name) if name in self.classes else -1

    def seconds(self, column: str) -> NDArray[np.float64]:
        """A time column in seconds from t=0; NaN where absent."""
        raw = self.rows[column]
        return np.where(raw == NONE, np.nan, (raw - self.origin_ns) / 1e9)


@dataclass(frozen=True)
class Seen(_Columns[Mapping[str, NDArray[Any]]]):
    """What checkers see of a history: some of its columns."""
