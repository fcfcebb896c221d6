"""Sets in the long run: lost, stale, never read, unsettled; and what Jepsen's set-full cannot report."""

from __future__ import annotations

import random

import pytest
from histories.simulate import Call, operations

from chaoskit.checks.models.set_full import MODEL
from chaoskit.checks.result import Options, Result


def add(element: object, invoked: int, completed: int, outcome: str = "ok", key: object = None) -> Call:
    return Call(0, "add", value=element, key=key, outcome=outcome, invoked=invoked, completed=completed)


def read(result: object, invoked: int, completed: int, outcome: str = "ok", key: object = None) -> Call:
    answer = frozenset(result) if isinstance(result, set) else result
    return Call(1, "read", key=key, result=answer, outcome=outcome, invoked=invoked, completed=completed)


def judge(*calls: Call) -> Result:
    return MODEL.check(operations(list(calls)), Options())


def kinds(*calls: Call) -> list[str]:
    return [one.kind for one in judge(*calls).anomalies]


def test_stale_for_a_while_is_held_with_the_time() -> None:
    result = judge(add(1, 1, 2), read(set(), 5, 6), read({1}, 8, 9), read(set(), 12, 13), read({1}, 14, 15))
    assert (result.verdict, result.exposed, result.level) == ("held", 1, "")
    assert result.numbers["stable"] == result.numbers["stale for a while"] == 1
    assert result.numbers["staleness max, ms"] == 10  # from the acknowledgement to the last read that missed it


def test_lost_after_its_acknowledgement() -> None:
    (one,) = judge(add(1, 1, 2), read({1}, 3, 4), read(set(), 5, 6)).anomalies
    assert (one.kind, sorted(one.witness)) == ("lost", [0, 2])
    assert kinds(add(1, 1, 2), read(set(), 5, 6)) == ["lost"]


def test_lost_after_a_read_showed_it() -> None:
    """Nobody knows whether adding succeeded; a read does."""
    (one,) = judge(add(1, 1, 0, "info"), read({1}, 3, 4), read(set(), 5, 6)).anomalies
    assert (one.kind, sorted(one.witness)) == ("lost", [0, 1, 2])
    assert kinds(add(1, 1, 0, "info"), read(set(), 5, 6)) == []


def test_last_reads_that_overlap_and_differ_prove_nothing() -> None:
    """Jepsen's set-full calls it lost: of the two the one that misses it began later."""
    result = judge(add(1, 1, 2), read({1}, 3, 8), read(set(), 4, 9))
    assert (result.verdict, result.numbers["unsettled"]) == ("held", 1)


def test_read_that_overlaps_the_addition_may_miss_it() -> None:
    result = judge(add(1, 1, 5), read(set(), 3, 7), add(2, 1, 2), read({2}, 6, 8, key=None))
    assert result.verdict == "refuted"  # the read at 6 began after 1 had been acknowledged
    result = judge(add(1, 1, 9), read(set(), 3, 7), add(2, 1, 2), read({2}, 6, 8))
    assert (result.verdict, result.numbers["never read"]) == ("held", 1)


def test_nothing_read_afterwards_is_inconclusive() -> None:
    result = judge(read(set(), 0, 1), add(1, 1, 2))
    assert result.verdict == "inconclusive"
    assert "read the set once more at the end" in result.reasons[0]
    assert judge().verdict == "held"
    assert judge(add(1, 1, 2, "fail")).verdict == "held"


def test_what_jepsen_passes_is_refuted() -> None:
    assert kinds(add(1, 1, 2), read((1, 1), 3, 4)) == ["duplicate"]
    assert kinds(add(1, 1, 2, "fail"), add(2, 1, 2), read({1, 2}, 3, 4)) == ["resurrection"]
    assert kinds(add(1, 1, 6, "fail"), read({1}, 3, 4)) == ["aborted-read"]
    assert kinds(add(2, 1, 2), read({2, 9}, 3, 4)) == ["thin-air"]
    assert kinds(add(2, 1, 2), read({2, 1}, 3, 4), add(1, 5, 6), read({2, 1}, 7, 8)) == ["future-read"]


def test_reads_are_counted_once_and_only_while_they_show_it() -> None:
    calls = [add(2, 1, 2), read({2, 8, 9}, 3, 4), read({2, 8}, 5, 6), read({2}, 7, 8), read({2, 9}, 9, 10)]
    (one,) = judge(*calls).anomalies
    assert (one.kind, one.count, one.witness) == ("thin-air", 3, (1,))


def test_sets_are_apart() -> None:
    calls = [add(1, 1, 2, key="a"), read({1}, 3, 4, key="a"), add(1, 1, 9, key="b"), read(set(), 5, 6, key="b")]
    assert kinds(*calls) == []


@pytest.mark.parametrize("kind", ["lost-element", "duplicate"])
def test_alterations_of_the_last_look_are_found(kind: str) -> None:
    base = operations([add(1, 1, 2), add(2, 3, 4), read({1}, 5, 6), read({1, 2}, 7, 8)])
    (alteration,) = (one for one in MODEL.alterations if one.kind == kind)
    altered = alteration.apply(base, 3, random.Random(2))
    assert altered is not None
    assert MODEL.check(altered, Options()).verdict == "refuted"
