"""Registers: the traps that other checkers fell into, each kind with its witness, and what cannot be judged."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from histories.simulate import Call, operations

from chaoskit.checks.models.register import MODEL
from chaoskit.checks.result import Options
from chaoskit.errors import HistoryError
from chaoskit.history.operation import Outcome
from chaoskit.history.operations import NEVER, Operations, ranks


def history(*rows: tuple[Any, ...]) -> Operations:
    """(process, f, value, invoked, completed[, outcome[, key]]): a value is what is written or what was answered."""
    calls = []
    for process, f, value, invoked, completed, *more in rows:
        outcome, key = (*more, *("ok", None)[len(more) :])
        asked, answer = (value, None) if f == "write" else (None, value)
        calls.append(
            Call(process, f, asked, key=key, result=answer, outcome=outcome, invoked=invoked, completed=completed)
        )
    return operations(calls)


def check(*rows: tuple[Any, ...], **options: Any):
    return MODEL.check(history(*rows), Options(**options))


def kinds(result) -> dict[str, int]:
    return {one.kind: one.count for one in result.anomalies}


def test_what_is_right_is_held() -> None:
    result = check((0, "write", 1, 1, 2), (1, "read", 1, 3, 4), (0, "write", 2, 5, 6), (1, "read", 2, 7, 8))
    assert (result.verdict, result.exact, result.not_refuted, result.exposed) == ("held", True, "linearizable", 2)


def test_a_stale_read_names_what_it_missed() -> None:
    result = check((0, "write", 4, 1, 2), (0, "write", 5, 3, 4), (1, "read", 4, 5, 6))
    (one,) = result.anomalies
    assert (one.kind, one.witness, one.level, list(one.accused)) == ("stale-read", (0, 1, 2), "linearizable", [2])
    assert one.sentence == (
        "operation 2 (process 1: read → 4) answered 4, although operation 1 (process 0: write 5) had been "
        "acknowledged before it began, and began after operation 0 (process 0: write 4) had ended"
    )


def test_nothing_is_read_after_an_acknowledged_write() -> None:
    # Knossos lets every read of nil pass.
    result = check((0, "write", 1, 1, 2), (1, "read", None, 3, 4))
    assert (result.verdict, kinds(result), result.anomalies[0].witness) == ("refuted", {"nil-after-ack": 1}, (0, 1))


def test_nothing_may_be_read_while_the_first_write_is_under_way() -> None:
    assert check((0, "write", 1, 1, 9), (1, "read", None, 3, 4), (1, "read", 1, 5, 6)).verdict == "held"


def test_an_initial_value_is_what_is_read_before_anything_is_written() -> None:
    rows = ((1, "read", 0, 1, 2), (0, "write", 1, 3, 4))
    assert check(*rows, initial=0).verdict == "held"
    assert kinds(check(*rows)) == {"thin-air": 1}
    assert kinds(check((1, "read", None, 1, 2), initial=0)) == {"thin-air": 1}
    # 0, 0.0 and False are three values.
    assert kinds(check((1, "read", False, 1, 2), initial=0)) == {"thin-air": 1}


def test_a_value_that_nobody_wrote_is_found_in_one_operation() -> None:
    # Elle has no such rule.
    result = check((0, "write", 1, 1, 2), (1, "read", 7, 3, 4))
    assert (kinds(result), result.anomalies[0].witness) == ({"thin-air": 1}, (1,))


def test_a_failed_write_must_not_be_read() -> None:
    result = check((0, "write", 1, 1, 9, "fail"), (1, "read", 1, 3, 4))
    assert (kinds(result), result.anomalies[0].witness) == ({"aborted-read": 1}, (0, 1))
    assert kinds(check((0, "write", 1, 1, 2, "fail"), (1, "read", 1, 3, 4))) == {"resurrection": 1}


def test_a_failed_write_that_was_tried_again_may_be_read() -> None:
    assert check((0, "write", 1, 1, 2, "fail"), (0, "write", 1, 3, 4), (1, "read", 1, 5, 6)).verdict == "held"


def test_a_value_cannot_be_read_before_its_write_began() -> None:
    result = check((1, "read", 1, 1, 2), (0, "write", 1, 3, 4))
    assert (kinds(result), result.anomalies[0].witness) == ({"future-read": 1}, (0, 1))


def test_inversions_are_found_though_no_returned_write_was_missed() -> None:
    # The write of 2 is still under way when it is shown and then not shown: a rule about returned writes sees nothing.
    result = check((0, "write", 1, 1, 2), (2, "write", 2, 3, 90), (1, "read", 2, 4, 5), (1, "read", 1, 6, 7))
    assert kinds(result) == {"new-old-inversion": 1}
    assert result.anomalies[0].witness == (0, 1, 2, 3)


def test_inversions_are_found_while_the_outcome_of_the_write_is_unknown() -> None:
    result = check((0, "write", 1, 1, 2), (2, "write", 2, 3, 0, "info"), (1, "read", 2, 4, 5), (1, "read", 1, 6, 7))
    assert kinds(result) == {"new-old-inversion": 1}


def test_values_that_take_turns_are_a_flip_flop() -> None:
    # Both writes overlap everything: no read is wrong by itself, but a register does not go 1, 2, 1, 2.
    writes = ((0, "write", 1, 1, 90), (2, "write", 2, 2, 91))
    reads = [(1, "read", value, 10 * at, 10 * at + 1) for at, value in enumerate((1, 2, 1, 2), start=1)]
    result = check(*writes, *reads)
    assert (kinds(result), result.verdict) == ({"flip-flop": 1}, "refuted")
    assert set(result.anomalies[0].witness) >= {0, 1}
    assert check(*writes, *reads[:2]).verdict == "held"


def test_a_write_of_unknown_outcome_may_have_happened_at_any_time_or_never() -> None:
    info = (0, "write", 1, 1, 0, "info")
    assert check(info, (1, "read", None, 3, 4)).verdict == "held"
    assert check(info, (1, "read", None, 3, 4), (1, "read", 1, 5, 6)).verdict == "held"
    late = check(info, (2, "write", 2, 2, 3), (1, "read", 2, 4, 5), (1, "read", 1, 6, 7), (1, "read", 1, 8, 9))
    assert late.verdict == "held"


def test_two_attempts_are_two_writes_and_accuse_nobody() -> None:
    # The first attempt lands though its client gave up, is overwritten, and the second lands again: 7, 8, 7 is right.
    # Merged into one write from 1 to 8 the last read would be an inversion.
    rows = [(0, "write", 7, 1, 0, "info"), (1, "read", 7, 2, 3), (2, "write", 8, 4, 5), (1, "read", 8, 6, 7)]
    rows += [(3, "write", 7, 8, 9), (1, "read", 7, 10, 11)]
    result = check(*rows)
    assert result.verdict == "held"
    assert (
        "registers in which values were written more than once: 1 searched, 0 refuted, 0 not finished" in result.notes
    )
    merged = [(0, "write", 7, 1, 9), *rows[1:4], (1, "read", 7, 10, 11)]
    assert check(*merged).verdict == "refuted"


def test_equal_times_are_concurrent() -> None:
    # The write returns in the very nanosecond in which the read begins: intervals are closed, they overlap.
    began, ended = ranks(np.array([0, 10], dtype=np.int64), np.array([10, 20], dtype=np.int64))
    common = {"functions": ("write", "read"), "values": ("a",)}
    rows = {"process": [0, 1], "f": [0, 1], "outcome": [Outcome.OK] * 2, "value": [0, -1], "result": [-1, -1]}
    assert MODEL.check(Operations.make(**rows, invoked=began, completed=ended, **common), Options()).verdict == "held"
    began, ended = ranks(np.array([0, 11], dtype=np.int64), np.array([10, 20], dtype=np.int64))
    apart = MODEL.check(Operations.make(**rows, invoked=began, completed=ended, **common), Options())
    assert apart.verdict == "refuted"


def test_registers_do_not_meet() -> None:
    # The same values under two keys, and a stale read of one of them.
    rows = [(0, "write", 1, 1, 2, "ok", "x"), (0, "write", 2, 3, 4, "ok", "x"), (0, "write", 1, 5, 6, "ok", "y")]
    result = check(*rows, (1, "read", 1, 7, 8, "ok", "y"), (1, "read", 1, 9, 10, "ok", "x"))
    assert (kinds(result), list(result.anomalies[0].accused)) == ({"stale-read": 1}, [4])
    assert check(*rows, (1, "read", 1, 7, 8, "ok", "y"), (1, "read", 2, 9, 10, "ok", "x")).verdict == "held"


def test_reads_are_counted_one_by_one() -> None:
    stale = [(1, "read", 1, 10 + 2 * at, 11 + 2 * at) for at in range(5)]
    result = check((0, "write", 1, 1, 2), (0, "write", 2, 3, 4), *stale, (1, "read", 2, 30, 31))
    assert kinds(result) == {"stale-read": 5}
    assert list(result.anomalies[0].accused) == [2, 3, 4, 5, 6]


def test_age_is_counted_from_when_the_newer_value_was_known_to_be_there() -> None:
    # Times are milliseconds: written [30, 40], read from 100 on: 60 ms at least, and not 70.
    result = check((0, "write", 1, 1, 2), (0, "write", 2, 30, 40), (1, "read", 1, 100, 101))
    assert result.numbers["staleness max, ms at least"] == 60
    assert result.numbers["staleness max, versions at least"] == 1
    assert result.numbers["stale answers, share"] == 1


def test_versions_are_counted_at_least() -> None:
    writes = [(0, "write", value, 10 * value, 10 * value + 1) for value in range(1, 6)]
    assert check(*writes, (1, "read", 1, 100, 101)).numbers["staleness max, versions at least"] == 4


def test_values_that_come_again_are_searched() -> None:
    rows = [(0, "write", 1, 1, 2), (0, "write", 2, 3, 4), (0, "write", 1, 5, 6)]
    assert check(*rows, (1, "read", 1, 7, 8)).verdict == "held"
    result = check(*rows, (1, "read", 2, 7, 8))
    assert (kinds(result), result.verdict) == ({"stale-read": 1}, "refuted")
    assert result.anomalies[0].witness == (1, 2, 3)


def test_a_part_whose_values_come_again_is_a_witness_of_its_own() -> None:
    # 1, then 2, then 1 again; the last reads show 1, 2, 1 though everything had returned.
    rows = [(0, "write", 1, 1, 2), (1, "write", 2, 3, 4), (2, "write", 1, 5, 6)]
    there = history(*rows, (3, "read", 1, 7, 8), (3, "read", 2, 9, 10), (3, "read", 1, 11, 12))
    (one,) = MODEL.check(there, Options()).anomalies
    assert [found.kind for found in MODEL.check(there.where(one.witness), Options()).anomalies] == [one.kind]


def test_a_spent_budget_is_inconclusive_and_says_what_to_do() -> None:
    rows = [(at, "write", at % 2, 1 + at, 100 + at) for at in range(8)] + [(9, "read", 0, 50, 51)]
    result = check(*rows, budget=0.0)
    assert (result.verdict, result.not_refuted) == ("inconclusive", None)
    assert "stamp the values" in result.reasons[0]
    assert check(*rows).verdict == "held"


def test_a_deleted_value_is_searched_because_nil_was_there_before() -> None:
    rows = [(0, "write", 1, 1, 2), (0, "write", None, 3, 4), (1, "read", None, 5, 6)]
    assert check(*rows).verdict == "held"
    assert check(*rows, (1, "read", 1, 7, 8)).verdict == "refuted"


def test_what_is_illegal_without_a_search_does_not_wait_for_one() -> None:
    rows = [(0, "write", 1, 1, 2), (0, "write", 1, 3, 4), (1, "read", 1, 5, 6), (1, "read", 9, 7, 8)]
    assert kinds(check(*rows, budget=0.0)) == {"thin-air": 1}


def test_reads_without_an_answer_say_nothing() -> None:
    result = check((0, "write", 1, 1, 2), (1, "read", 9, 3, 4, "fail"), (2, "read", None, 5, 0, "info"))
    assert result.verdict == "held"
    assert result.notes == ("reads without an answer, which say nothing: 2",)


def test_nothing_but_unknown_outcomes_is_legal() -> None:
    result = check(*[(at, "write", at, 1 + at, 0, "info") for at in range(5)])
    assert (result.verdict, result.exposed) == ("held", 0)


def test_an_empty_history_is_legal() -> None:
    assert MODEL.check(history(), Options()).verdict == "held"


def test_other_functions_are_refused_with_the_ones_expected() -> None:
    with pytest.raises(HistoryError, match=r"append.*read, write"):
        MODEL.check(operations([Call(0, "append", 1, invoked=1, completed=2)]), Options())


def test_ranks_that_are_clock_readings_do_no_harm() -> None:
    there = history(
        (0, "write", 1, 1, 2, "ok", "x"), (0, "write", 2, 3, 4, "ok", "y"), (1, "read", None, 5, 6, "ok", "x")
    )
    far = there.altered(
        invoked=there.invoked + (1 << 61),
        completed=np.where(there.completed == NEVER, NEVER, there.completed + (1 << 61)),
    )
    assert kinds(MODEL.check(far, Options())) == {"nil-after-ack": 1}


@pytest.mark.parametrize("bug", MODEL.alterations, ids=lambda bug: bug.kind)
def test_planted_bugs_are_found(bug) -> None:
    rows = [(0, "write", at, 10 * at, 10 * at + 1) for at in range(1, 20)]
    rows += [(1, "read", at, 10 * at + 5, 10 * at + 6) for at in range(1, 20)]
    right = history(*rows)
    assert MODEL.check(right, Options()).verdict == "held"
    struck = 0
    for position in range(len(right)):
        altered = bug.apply(right, position, random.Random(position))
        if altered is not None:
            struck += 1
            assert (altered.result != right.result).sum() == 1
            assert MODEL.check(altered, Options()).verdict == "refuted"
    assert struck >= 18
