from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chaoskit.errors import StoreError
from chaoskit.traffic.counters import Counters
from chaoskit.traffic.histogram import CELLS, add
from chaoskit.traffic.snapshot import COUNTS, Control, Snapshot, State, between, merged


def counts(**of_first: int) -> np.ndarray:
    found = np.zeros((2, len(COUNTS)), np.int64)
    for name, value in of_first.items():
        found[0, COUNTS.index(name)] = value
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cell" / "counters-w0"


def test_what_one_side_says_the_other_side_reads(path: Path) -> None:
    engine = Counters.create(path, ["create", "resolve"])
    worker = Counters.open(path)
    assert worker.classes == ("create", "resolve")
    assert engine.read().state is State.STARTING
    assert (worker.start_ns, worker.control) == (0, Control.RUN)
    engine.start_at(123)
    engine.tell(Control.FINAL)
    assert (worker.start_ns, worker.control) == (123, Control.FINAL)
    worker.publish(
        State.LOADING, counts(due=7, yes=5), np.zeros((2, CELLS), np.int64), lag_ns=3, final_total=2, workload_errors=1
    )
    seen = engine.read()
    assert (seen.state, seen.count("due"), seen.count("yes", "create")) == (State.LOADING, 7, 5)
    assert (seen.count("yes", "resolve"), seen.lag_ns, seen.final_total, seen.workload_errors) == (0, 3, 2, 1)
    assert seen.at_ns > 0
    with pytest.raises(KeyError, match="'delete' is not one of create, resolve"):
        seen.count("yes", "delete")
    engine.close()
    worker.close()


def test_a_worker_killed_while_publishing_leaves_the_publication_before(path: Path) -> None:
    engine, worker = Counters.create(path, ["a", "b"]), Counters.open(path)
    worker.publish(State.LOADING, counts(due=1), np.zeros((2, CELLS), np.int64))
    worker.publish(State.LOADING, counts(due=2), np.zeros((2, CELLS), np.int64))

    class KilledError(Exception):
        pass

    class Half:  # an array that dies while it is being copied into the bank
        size = 2 * len(COUNTS)

        def ravel(self) -> np.ndarray:
            raise KilledError

    with pytest.raises(KilledError):
        worker.publish(State.FAILED, Half(), np.zeros((2, CELLS), np.int64))  # type: ignore[arg-type]
    assert (engine.read().state, engine.read().count("due")) == (State.LOADING, 2)


def test_publications_are_seen_in_order_and_whole(path: Path) -> None:
    engine, worker = Counters.create(path, ["a", "b"]), Counters.open(path)
    for number in range(1, 50):
        worker.publish(State.LOADING, np.full((2, len(COUNTS)), number), np.full((2, CELLS), number))
        seen = engine.read()
        assert (seen.counts == number).all()
        assert (seen.cells == number).all()


def test_the_first_failure_is_kept_and_a_long_one_loses_its_beginning(path: Path) -> None:
    engine, worker = Counters.create(path, ["a"]), Counters.open(path)
    assert engine.read().failure == ""
    worker.fail("x" * 20_000 + "\nZeroDivisionError: the cause")
    worker.fail("what came of it")
    assert engine.read().failure.endswith("the cause")
    assert len(engine.read().failure) <= 8192


def test_between_two_snapshots() -> None:
    cells = np.zeros((2, CELLS), np.int64)
    early = Snapshot(10**9, State.LOADING, ("a", "b"), counts(due=100, yes=90, refused=10), cells.copy())
    add(cells[0], np.array([1_000_000] * 99 + [50_000_000]))
    late = Snapshot(
        3 * 10**9, State.LOADING, ("a", "b"), counts(due=220, yes=190, refused=10, silent=20, unsent=1), cells
    )
    span = between(early, late)
    assert (span.seconds, span.rate(), span.rate("yes"), span.answered()) == (2.0, 60.0, 50.0, 120)
    assert span.share("yes") == pytest.approx(100 / 120)
    assert span.share("yes", "b") is None
    assert span.quantile(0.5, "a") == pytest.approx(0.001, rel=0.01)
    assert span.quantile(0.999) == pytest.approx(0.05, rel=0.01)
    assert span.quantile(0.5, "b") is None
    assert span.count("unsent", "a") == 1


def test_workers_merged() -> None:
    cells = np.ones((2, CELLS), np.int64)
    one = Snapshot(5, State.FINAL, ("a", "b"), counts(due=1, late_max_ns=9), cells, lag_ns=4, final_done=1)
    two = Snapshot(7, State.LOADING, ("a", "b"), counts(due=2, late_max_ns=3), cells, lag_ns=1, failure="why")
    both = merged([one, two])
    assert (both.count("due"), both.count("late_max_ns"), both.lag_ns, both.at_ns) == (3, 9, 4, 7)
    assert (both.state, both.failure, both.final_done) == (State.LOADING, "why", 1)
    assert (both.cells == 2).all()
    failed = Snapshot(5, State.FAILED, ("a", "b"), counts(), cells)
    assert merged([one, failed]).state is State.FAILED
    with pytest.raises(ValueError, match="nothing to merge"):
        merged([])


@pytest.mark.parametrize("content", [b"", b"x" * 10, b"\0" * 100_000])
def test_not_a_counters_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "counters"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="no counters file"):
        Counters.open(path)


def test_missing_and_cut_short(path: Path) -> None:
    with pytest.raises(StoreError, match="No such file"):
        Counters.open(path)
    Counters.create(path, ["a"]).close()
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(StoreError, match="cut short"):
        Counters.open(path)
