from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chaoskit.spec.model import Arrivals
from chaoskit.traffic.arrivals import LOAD, WARM_UP, draw_classes, due_times, expected, peak_rate, rate_at

SPIKE = Arrivals(shape="spike", rate=40, peak=400, at=5, over=8)
RAMP = Arrivals(shape="ramp", rate=20, peak=200, at=2, over=6, random=False)

plans = st.builds(
    Arrivals,
    shape=st.sampled_from(["constant", "ramp", "spike"]),
    rate=st.floats(0, 300),
    peak=st.floats(0, 300),
    at=st.floats(0, 3),
    over=st.floats(0, 3),
    random=st.booleans(),
)


def test_even_gaps_are_even() -> None:
    due = due_times(Arrivals(shape="constant", rate=10, random=False), 1.0, seed=0)
    assert due.tolist() == [50_000_000 + 100_000_000 * i for i in range(10)]


@given(plans, st.floats(0, 8), st.integers(), st.integers(1, 3))
def test_sorted_inside_the_phase_and_as_many_as_planned(
    plan: Arrivals, duration: float, seed: int, workers: int
) -> None:
    parts = [due_times(plan, duration, seed=seed, worker=worker, workers=workers) for worker in range(workers)]
    due = np.sort(np.concatenate(parts))
    assert all((np.diff(part) >= 0).all() for part in parts)
    assert due.dtype == np.int64
    if len(due):
        assert due[0] >= 0
        assert due[-1] < duration * 1e9
    planned = expected(plan, duration)
    if plan.random:
        assert abs(len(due) - planned) <= 6 * np.sqrt(planned) + 6
    else:
        assert abs(len(due) - planned) <= 0.5 + 1e-6


@given(plans, st.floats(0.5, 8), st.floats(0, 1), st.integers(0, 100))
def test_a_longer_phase_begins_like_a_shorter_one(plan: Arrivals, duration: float, share: float, seed: int) -> None:
    whole = due_times(plan, duration, seed=seed)
    part = due_times(plan, duration * share, seed=seed)
    assert part.tolist() == whole[: len(part)].tolist()
    assert len(whole) == len(part) or whole[len(part)] >= round(duration * share * 1e9) - 1


@given(plans, st.integers(1, 5))
@example(Arrivals(shape="ramp", rate=0.0, peak=1.0, at=0.0, over=2.3e-308), 1)  # its slope is no number
def test_even_arrivals_are_dealt_to_the_workers(plan: Arrivals, workers: int) -> None:
    plan = plan.model_copy(update={"random": False})
    parts = [due_times(plan, 5.0, seed=1, worker=worker, workers=workers) for worker in range(workers)]
    assert np.sort(np.concatenate(parts)).tolist() == due_times(plan, 5.0, seed=1).tolist()
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_poisson_gaps_are_exponential() -> None:
    due = due_times(Arrivals(shape="constant", rate=1000), 60.0, seed=7) / 1e9
    gaps = np.sort(np.diff(due))
    # Kolmogorov-Smirnov against the exponential distribution; the seed is fixed, so this cannot flicker.
    share = np.arange(1, len(gaps) + 1) / len(gaps)
    assert np.abs(share - (1 - np.exp(-1000 * gaps))).max() < 1.63 / np.sqrt(len(gaps))
    assert abs(np.corrcoef(np.diff(due)[:-1], np.diff(due)[1:])[0, 1]) < 0.02


def test_union_of_random_workers_has_the_planned_rate_in_every_second_of_a_spike() -> None:
    parts = [due_times(SPIKE, 20.0, seed=3, worker=worker, workers=4) for worker in range(4)]
    seen = np.histogram(np.concatenate(parts) / 1e9, bins=20, range=(0, 20))[0]
    planned = np.array([400.0 if 5 <= second < 13 else 40.0 for second in range(20)])
    assert (np.abs(seen - planned) < 5 * np.sqrt(planned)).all()


def test_a_ramp_is_followed_exactly() -> None:
    due = due_times(RAMP, 10.0, seed=0) / 1e9
    for until in (1.0, 2.0, 3.5, 5.0, 8.0, 10.0):
        assert abs((due < until).sum() - expected(RAMP, until)) <= 0.5 + 1e-9
    assert [rate_at(RAMP, at) for at in (0, 2, 5, 8, 9)] == [20, 20, 110, 200, 200]


def test_the_warm_up_is_the_base_rate() -> None:
    early = SPIKE.model_copy(update={"at": 0.0})
    assert expected(early, 2.0, phase=WARM_UP) == 80
    assert abs(len(due_times(early, 2.0, seed=1, phase=WARM_UP)) - 80) < 50


def test_streams_differ_by_seed_worker_and_phase_only() -> None:
    plan = Arrivals(shape="constant", rate=100)
    base = due_times(plan, 3.0, seed=5)
    assert base.tolist() == due_times(plan, 3.0, seed=5).tolist()
    others = [
        due_times(plan, 3.0, seed=6),
        due_times(plan, 3.0, seed=5, phase=WARM_UP),
        due_times(plan, 3.0, seed=5, worker=1, workers=2),
    ]
    assert all(base[:20].tolist() != other[:20].tolist() for other in others)


def test_golden_streams() -> None:
    """A plan made today and one made by a later version, or on another machine, must send the same load."""
    micros = due_times(SPIKE, 10.0, seed=2026, worker=1, workers=2) // 1000  # libm may differ in the last bit
    classes = draw_classes({"a": 0.2, "b": 0.8}, {"a": 0, "b": 1}, 1000, seed=2026, worker=1)
    assert hashlib.sha256(micros.astype("<i8").tobytes()).hexdigest()[:16] == "f757ff6b2a1dce84"
    assert hashlib.sha256(classes.astype("<i8").tobytes()).hexdigest()[:16] == "0d706fbd17ac1f02"


def test_classes_are_drawn_by_weight() -> None:
    drawn = draw_classes({"w": 0.25, "r": 0.75, "never": 0.0}, {"never": 0, "r": 1, "w": 2}, 20_000, seed=1, phase=LOAD)
    assert set(drawn.tolist()) == {1, 2}
    assert abs((drawn == 2).mean() - 0.25) < 0.015
    assert drawn[:50].tolist() == draw_classes({"w": 1, "r": 3}, {"r": 1, "w": 2}, 50, seed=1).tolist()


def test_peak_rate() -> None:
    assert [peak_rate(plan) for plan in (SPIKE, RAMP, Arrivals(shape="constant", rate=7, peak=99))] == [400, 200, 7]


def test_refused() -> None:
    with pytest.raises(ValueError, match="worker 2 of 2"):
        due_times(SPIKE, 1.0, seed=1, worker=2, workers=2)
    with pytest.raises(ValueError, match="can be planned"):
        due_times(Arrivals(shape="constant", rate=1e9), 60.0, seed=1)
    with pytest.raises(ValueError, match="weight"):
        draw_classes({"a": 0.0}, {"a": 0}, 5, seed=1)
