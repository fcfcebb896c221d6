from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.traffic.histogram import CELLS, add, quantile


@given(
    st.lists(st.integers(0, 130_000_000_000), min_size=1, max_size=200),
    st.sampled_from([0.01, 0.5, 0.9, 0.99, 0.999, 1.0]),
)
def test_quantiles_are_those_of_the_nearest_rank_within_a_cell(durations: list[int], q: float) -> None:
    cells = np.zeros(CELLS, np.int64)
    add(cells, np.array(durations))
    exact = sorted(durations)[math.ceil(q * len(durations)) - 1] / 1e9
    found = quantile(cells, q)
    assert found is not None
    assert abs(found - exact) <= max(exact / 64, 1e-6)
    assert cells.sum() == len(durations)


def test_every_microsecond_falls_into_the_cell_whose_middle_is_nearest() -> None:
    for micros in [*range(300), 2**20 - 1, 2**20, 2**26 + 12345]:
        cells = np.zeros(CELLS, np.int64)
        add(cells, np.array([micros * 1000]))
        assert quantile(cells, 0.5) == pytest.approx(micros / 1e6, rel=1 / 128, abs=0.6e-6)


def test_the_ends() -> None:
    cells = np.zeros(CELLS, np.int64)
    assert quantile(cells, 0.5) is None
    add(cells, np.array([-5, 10**15]))
    assert cells[0] == cells[-1] == 1


def test_adding_cells_is_adding_histograms() -> None:
    values = np.arange(0, 10**9, 123_457)
    parts, whole = np.zeros((2, CELLS), np.int64), np.zeros(CELLS, np.int64)
    add(parts[0], values[::2])
    add(parts[1], values[1::2])
    add(whole, values)
    assert (parts.sum(axis=0) == whole).all()
