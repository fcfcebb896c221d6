"""Levels below linearizable: the examples by which they are told apart, with their witnesses."""

from __future__ import annotations

from typing import Any

import pytest
from histories.comparing import compare
from histories.levels import CROWDED
from histories.simulate import Call, operations

from chaoskit.checks.models.append import MODEL as APPEND
from chaoskit.checks.models.cas_register import MODEL as CAS
from chaoskit.checks.models.register import MODEL as REGISTER
from chaoskit.checks.power import power
from chaoskit.checks.result import Options
from chaoskit.history.operations import Operations


def history(*rows: tuple[Any, ...]) -> Operations:
    """(process, f, key, value[, outcome]), one after the other: what is asked, or what a read answered."""
    calls = []
    for number, (process, f, key, value, *outcome) in enumerate(rows):
        asked, answer = (None, value) if f == "read" else (value, None)
        calls.append(
            Call(process, f, asked, key, answer, *outcome or ("ok",), invoked=2 * number, completed=2 * number + 1)
        )
    return operations(calls)


def verdicts(model: Any, given: Operations, *levels: str) -> dict[str, str]:
    return {level: model.check(given, Options(consistency=level)).verdict for level in levels or model.levels}


def kinds(model: Any, given: Operations, level: str) -> list[str]:
    return [one.kind for one in model.check(given, Options(consistency=level)).anomalies if one.level != "linearizable"]


STORE_BUFFERS = history(
    (0, "write", "x", 1), (1, "write", "y", 1), (0, "read", "y", None), (1, "read", "x", None)
)  # fmt: skip
IRIW = history(  # independent reads of independent writes
    (0, "write", "x", 1),
    (1, "write", "y", 1),
    (2, "read", "x", 1),
    (3, "read", "y", 1),
    (2, "read", "y", None),
    (3, "read", "x", None),
)


@pytest.mark.parametrize("given", [STORE_BUFFERS, IRIW], ids=["store buffers", "independent reads"])
def test_coherent_registers_are_not_sequential_together(given: Operations) -> None:
    assert verdicts(REGISTER, given, "causal", "read-your-writes", "monotonic-reads") == {
        "causal": "held",
        "read-your-writes": "held",
        "monotonic-reads": "held",
    }
    result = REGISTER.check(given, Options(consistency="sequential"))
    worst = result.anomalies[0]
    assert (result.verdict, worst.kind, worst.level) == ("refuted", "not-sequential", "sequential")
    assert len(worst.witness) == len(given)
    assert (result.refuted, result.not_refuted) == ("sequential", "causal")
    for key in range(2):  # each register by itself is
        alone = given.where([at for at in range(len(given)) if given.of_value(given.key[at]) == "xy"[key]])
        assert verdicts(REGISTER, alone, "sequential") == {"sequential": "held"}


def test_an_own_write_is_missed() -> None:
    given = history((0, "write", "x", 1), (1, "write", "x", 2), (0, "write", "x", 3), (0, "read", "x", 1))
    result = REGISTER.check(given, Options(consistency="read-your-writes"))
    assert (result.verdict, result.anomalies[0].kind, result.anomalies[0].witness) == (
        "refuted",
        "own-write-missed",
        (0, 2, 3),
    )
    assert "answered 1, although its own session had done operation 2 (process 0: write x 3) before" in (
        result.anomalies[0].sentence
    )


def test_another_clients_newer_write_is_no_lost_own_write() -> None:
    given = history((0, "write", "x", 1), (1, "write", "x", 2), (0, "read", "x", 2), (1, "read", "x", 1))
    # 2 may have come before 1 or after it: for client 1 it came before.
    assert verdicts(REGISTER, given, "read-your-writes") == {"read-your-writes": "refuted"}
    assert verdicts(REGISTER, given.where([0, 1, 3]), "read-your-writes") == {"read-your-writes": "held"}


def test_an_answer_of_nothing_after_an_answer() -> None:
    given = history((0, "write", "x", 1), (1, "read", "x", 1), (1, "read", "x", None))
    assert kinds(REGISTER, given, "monotonic-reads") == ["non-monotonic-read"]
    assert verdicts(REGISTER, given, "read-your-writes", "causal") == {"read-your-writes": "held", "causal": "refuted"}


def test_two_clients_see_two_writes_the_other_way_round() -> None:
    given = history(
        (0, "write", "x", 1),
        (1, "write", "x", 2),
        (2, "read", "x", 1),
        (3, "read", "x", 2),
        (2, "read", "x", 2),
        (3, "read", "x", 1),
    )
    assert verdicts(REGISTER, given, "monotonic-reads", "causal", "sequential") == {
        "monotonic-reads": "refuted",
        "causal": "refuted",
        "sequential": "refuted",
    }
    assert "in no order of the writes are all of these right" in (
        REGISTER.check(given, Options(consistency="monotonic-reads")).anomalies[0].sentence
    )


def test_one_register_that_goes_back_is_refuted_though_there_is_no_time_for_causality() -> None:
    given = history((0, "write", "x", 1), (1, "write", "x", 2), (0, "read", "x", 2), (0, "read", "x", 1))
    assert verdicts(REGISTER, given, "read-your-writes", "monotonic-reads", "causal") == {
        "read-your-writes": "held",
        "monotonic-reads": "held",
        "causal": "refuted",
    }
    result = REGISTER.check(given, Options(consistency="sequential", budget=0.0))
    assert (result.verdict, result.anomalies[0].kind) == ("refuted", "incoherent")


def test_what_follows_needs_no_search_in_a_crowd() -> None:
    compare(CROWDED, 12, 1)


def test_a_reply_is_seen_without_what_it_replies_to() -> None:
    given = history(
        (0, "write", "question", 1),
        (1, "read", "question", 1),
        (1, "write", "reply", 2),
        (2, "read", "reply", 2),
        (2, "read", "question", None),
    )
    result = REGISTER.check(given, Options(consistency="causal"))
    worst = result.anomalies[0]
    assert (result.verdict, worst.kind, worst.witness) == ("refuted", "write-co-init-read", (0, 1, 2, 3, 4))
    assert verdicts(REGISTER, given, "monotonic-reads", "read-your-writes") == {
        "monotonic-reads": "held",
        "read-your-writes": "held",
    }


def test_a_reply_is_seen_with_what_was_there_before_its_question() -> None:
    given = history(
        (0, "write", "question", 1),
        (1, "read", "question", 1),
        (1, "write", "question", 2),
        (1, "write", "reply", 3),
        (2, "read", "reply", 3),
        (2, "read", "question", 1),
    )
    result = REGISTER.check(given, Options(consistency="causal"))
    worst = result.anomalies[0]
    assert (result.verdict, worst.kind, worst.witness) == ("refuted", "write-co-read", (0, 1, 2, 3, 4, 5))
    assert REGISTER.check(given.where([0, 2, 3, 4, 5]), Options(consistency="causal")).verdict == "held"


def test_registers_cannot_refute_what_is_about_servers() -> None:
    given = history((0, "write", "x", 1), (0, "write", "x", 2), (1, "read", "x", 2), (1, "read", "x", 1))
    for level in ("monotonic-writes", "writes-follow-reads"):
        result = REGISTER.check(given, Options(consistency=level))
        assert result.verdict == "inconclusive"
        assert "use lists" in result.reasons[0]
        assert verdicts(REGISTER, STORE_BUFFERS, level) == {level: "held"}, "what is causal has both"


def test_nothing_comes_after_an_unknown_outcome() -> None:
    given = history((0, "write", "x", 1, "info"), (1, "read", "x", 1), (0, "read", "x", None))
    result = REGISTER.check(given, Options(consistency="read-your-writes"))
    assert result.verdict == "held"
    assert "sessions in which operations overlapped: 1" in result.notes[0]


def test_values_that_come_again_leave_it_open() -> None:
    given = history((0, "write", "x", 1), (1, "write", "x", 1), (0, "write", "x", 2), (0, "read", "x", 1))
    result = REGISTER.check(given, Options(consistency="causal"))
    assert result.verdict == "inconclusive"
    assert "stamp the values" in result.reasons[0]


@pytest.mark.parametrize("level", REGISTER.levels)
def test_what_a_search_finds_linearizable_is_everything_below(level: str) -> None:
    given = history((0, "write", "x", 1), (1, "write", "x", 1), (0, "read", "x", 1))
    result = REGISTER.check(given, Options(consistency=level))
    assert (result.verdict, result.not_refuted) == ("held", "linearizable")


@pytest.mark.parametrize("level", REGISTER.levels)
def test_what_nobody_wrote_is_wrong_at_every_level(level: str) -> None:
    assert verdicts(REGISTER, history((0, "read", "x", 7)), level) == {level: "refuted"}
    assert verdicts(APPEND, history((0, "read", "x", [7])), level) == {level: "refuted"}
    aborted = history((0, "write", "x", 7, "fail"), (0, "read", "x", 7))
    assert verdicts(REGISTER, aborted, level) == {level: "refuted"}


@pytest.mark.parametrize("level", REGISTER.levels)
def test_the_empty_history_holds(level: str) -> None:
    for model in (REGISTER, CAS, APPEND):
        assert model.check(Operations.make(process=[], f=[], outcome=[], invoked=[], completed=[]), Options()).verdict


def test_a_spent_budget_is_no_verdict() -> None:
    late = history((0, "write", "x", 1), (1, "read", "x", None), (1, "write", "y", 1))
    assert verdicts(REGISTER, late, "sequential", "causal") == {"sequential": "held", "causal": "held"}
    result = REGISTER.check(late, Options(consistency="sequential", budget=0.0))
    assert result.verdict == "inconclusive"
    assert "--budget" in result.reasons[0]


def test_two_updates_of_one_value_are_causal_and_not_sequential() -> None:
    given = history((0, "cas", "x", [None, 1]), (1, "cas", "x", [None, 2]))
    assert verdicts(CAS, given, "causal", "sequential") == {"causal": "held", "sequential": "refuted"}


# Lists.


def test_lists_show_writes_out_of_order() -> None:
    given = history((0, "append", "x", 1), (0, "append", "x", 2), (1, "read", "x", [2, 1]))
    assert kinds(APPEND, given, "monotonic-writes") == ["non-monotonic-write"]
    assert APPEND.check(given, Options(consistency="monotonic-writes")).anomalies[0].witness == (0, 1, 2)
    assert verdicts(APPEND, given, "monotonic-reads", "read-your-writes", "causal") == {
        "monotonic-reads": "held",
        "read-your-writes": "held",
        "causal": "refuted",
    }


def test_lists_show_a_write_without_the_one_before_it() -> None:
    given = history((0, "append", "x", 1), (0, "append", "x", 2), (1, "read", "x", [2]))
    assert verdicts(APPEND, given, "monotonic-writes") == {"monotonic-writes": "refuted"}


def test_lists_show_an_effect_without_its_cause() -> None:
    given = history((0, "append", "x", 1), (1, "read", "x", [1]), (1, "append", "x", 2), (2, "read", "x", [2]))
    assert kinds(APPEND, given, "writes-follow-reads")[0] == "write-before-cause"
    assert verdicts(APPEND, given, "monotonic-writes", "causal") == {"monotonic-writes": "held", "causal": "refuted"}


def test_lists_grow_apart_causally() -> None:
    given = history(
        (0, "append", "x", 1), (1, "append", "x", 2), (0, "read", "x", [1]), (1, "read", "x", [2]),
        (0, "read", "x", [1, 2]),
    )  # fmt: skip
    assert verdicts(APPEND, given, "causal", "sequential") == {"causal": "held", "sequential": "refuted"}
    other = history((0, "append", "x", 1), (1, "append", "x", 2), (2, "read", "x", [1, 2]), (3, "read", "x", [2, 1]))
    assert kinds(APPEND, other, "causal") == ["cyclic-cf", "incompatible-order"]


def test_lists_are_sequential_or_not_over_all_keys() -> None:
    given = history(
        (0, "append", "x", 1), (1, "append", "y", 2), (0, "read", "y", []), (1, "read", "x", []),
        (2, "read", "x", [1]), (2, "read", "y", [2]),
    )  # fmt: skip
    assert kinds(APPEND, given, "sequential") == ["not-sequential"]
    assert verdicts(APPEND, given, "causal") == {"causal": "held"}


def test_a_dependency_by_way_of_another_list() -> None:
    given = history(
        (0, "append", "a", 1), (1, "read", "a", [1]), (1, "append", "b", 2), (2, "read", "b", [2]), (2, "read", "a", [])
    )  # fmt: skip
    result = APPEND.check(given, Options(consistency="causal"))
    assert (result.anomalies[0].kind, result.anomalies[0].witness) == ("missed-dependency", (0, 1, 2, 3, 4))


def test_the_power_of_a_level_over_keys_is_that_of_the_whole_history() -> None:
    import random

    given = history(
        (0, "write", "x", 1), (0, "read", "x", 1), (0, "write", "y", 2), (1, "read", "y", 2), (1, "read", "x", 1)
    )
    found = power(REGISTER, given, Options(consistency="causal"), random.Random(1))
    strikes = {one.kind: (one.struck, one.found) for one in found.strikes}
    assert strikes["lost-write"] == (3, 2), "only the answer that depends on nothing may be empty"
