"""Knots against a plain definition (each node reaches the other), and the edges of time and of sessions."""

from __future__ import annotations

import random

import numpy as np
import pytest

from chaoskit.checks.transactions.graph import Edges, knots, session_edges, tangled, time_edges
from chaoskit.history.operation import Outcome
from chaoskit.history.operations import NEVER, Operations


def reach(count: int, pairs: set[tuple[int, int]]) -> np.ndarray:
    """Which nodes lead to which, by multiplying until nothing changes."""
    found = np.zeros((count, count), dtype=bool)
    for source, target in pairs:
        found[source, target] = True
    for _ in range(count):
        found |= (found.astype(int) @ found.astype(int)) > 0
    return found


def history(chance: random.Random, count: int) -> Operations:
    ends = chance.sample(range(4 * count), 2 * count)
    began = [min(ends[2 * n : 2 * n + 2]) for n in range(count)]
    over = [NEVER if chance.random() < 0.2 else max(ends[2 * n : 2 * n + 2]) for n in range(count)]
    return Operations.make(
        process=list(range(count)),
        session=[chance.randrange(3) for _ in range(count)],
        f=np.zeros(count),
        outcome=[Outcome.INFO if end == NEVER else Outcome.OK for end in over],
        invoked=began,
        completed=over,
    )


@pytest.mark.parametrize("seed", range(60))
def test_knots_are_the_nodes_that_lead_to_each_other(seed: int) -> None:
    chance = random.Random(seed)
    count = chance.randrange(2, 14)
    pairs = {(chance.randrange(count), chance.randrange(count)) for _ in range(chance.randrange(1, 2 * count))}
    pairs = {(one, other) for one, other in pairs if one != other}
    leads = reach(count, pairs)
    source, target = (np.array([pair[n] for pair in pairs], dtype=np.int64) for n in (0, 1))
    places = [None, np.array(chance.sample(range(100), count)), np.zeros(count, dtype=np.int64)]
    for place in places:
        part = knots(count, source, target, place)
        for one in range(count):
            assert (part[one] >= 0) == leads[one, one]
            for other in range(count):
                if one != other:
                    together = bool(leads[one, other] and leads[other, one])
                    assert (part[one] == part[other] and part[one] >= 0) == together


@pytest.mark.parametrize("seed", range(60))
def test_time_and_sessions_as_edges_mean_what_they_say(seed: int) -> None:
    chance = random.Random(seed)
    count = chance.randrange(1, 12)
    operations = history(chance, count)
    members = np.arange(count)
    before = operations.completed[:, None] < operations.invoked[None, :]
    source, target = time_edges(operations, members, count)
    leads = reach(2 * count, set(zip(source.tolist(), target.tolist(), strict=True)))
    assert (leads[:count, :count] == before).all()
    edges = session_edges(operations, members)
    leads = reach(count, set(zip(edges.source.tolist(), edges.target.tolist(), strict=True)))
    assert (leads == (before & (operations.session[:, None] == operations.session[None, :]))).all()


@pytest.mark.parametrize("seed", range(100))
def test_tangled_are_those_on_cycles_with_real_time(seed: int) -> None:
    chance = random.Random(seed)
    count = chance.randrange(2, 12)
    operations = history(chance, count)
    pairs = {(chance.randrange(count), chance.randrange(count)) for _ in range(chance.randrange(0, count))}
    pairs = {(one, other) for one, other in pairs if one != other}
    source, target = (np.array([pair[n] for pair in sorted(pairs)], dtype=np.int64) for n in (0, 1))
    edges = Edges(source, target, np.zeros(len(source), dtype=np.uint8), np.zeros(len(source), dtype=np.int64))
    time = operations.completed[:, None] < operations.invoked[None, :]
    leads = reach(count, pairs | {(int(a), int(b)) for a, b in zip(*np.nonzero(time), strict=True)})
    found, _ = tangled(operations, edges)
    assert found.tolist() == np.diag(leads).tolist()


def test_a_million_in_a_row_need_no_recursion() -> None:
    count = 20_000
    chain = np.arange(count - 1)
    part = knots(count, np.append(chain, count - 1), np.append(chain + 1, 0))
    assert (part == 0).all()
