"""The share of planted bugs that a history would have shown, against histories in which it can be counted by hand."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from histories.simulate import Call, operations

from chaoskit.checks.power import Power, Strike, power
from chaoskit.checks.result import Alteration, Anomaly, Options, Result, judged
from chaoskit.history.operation import NONE, Outcome
from chaoskit.history.operations import Operations

LINE = 2 * 7  # reads in `history(7)`: after each write, one read of it by itself and one that overlaps the next write


def history(rounds: int, keys: int = 1) -> Operations:
    """Writes 0, 1, 2 … with an innocent read of each, once alone and once while the next write goes on."""
    calls = []
    for key in range(keys):
        for number in range(rounds):
            at = 100 * number + 10_000 * key
            calls.append(Call(0, "write", value=number, key=key, invoked=at, completed=at + 50))
            calls.append(Call(1, "read", key=key, result=number, invoked=at + 60, completed=at + 70))
            calls.append(Call(2, "read", key=key, result=number, invoked=at + 80, completed=at + 120))
    return operations(calls)


def stale(of: Operations, position: int, random: random.Random) -> Operations | None:
    """What the key held before: at a read of anything but its first value."""
    if of.function(position) != "read" or not of.values[of.result[position]]:
        return None
    result = of.result.copy()
    result[position] = of.values.index(of.values[of.result[position]] - 1)
    return of.altered(result=result)


def ahead(of: Operations, position: int, random: random.Random) -> Operations | None:
    """What the key holds next."""
    following = (of.of_value(of.result[position]) or 0) + 1
    if of.function(position) != "read" or following not in of.values:
        return None
    result = of.result.copy()
    result[position] = of.values.index(following)
    return of.altered(result=result)


def never(of: Operations, position: int, random: random.Random) -> Operations | None:
    return None


@dataclass(frozen=True)
class Toy:
    """A register with one writer: a read answers a value that was there at some instant of it."""

    name: str = "toy"
    summary: str = "one writer"
    functions: frozenset[str] = frozenset({"read", "write"})
    levels: tuple[str, ...] = ()
    alterations: tuple[Alteration, ...] = (Alteration("stale", stale), Alteration("ahead", ahead))
    per_key: bool = False
    exact: bool = True

    def check(self, of: Operations, options: Options) -> Result:
        bad = []
        for one in np.flatnonzero(of.named("read") & of.ok):
            mine = np.flatnonzero(of.named("write") & (of.key == of.key[one]))
            wrote = [w for w in mine if of.value[w] == of.result[one]]
            gone = [w for w in mine if wrote and of.invoked[w] > of.invoked[wrote[0]]]
            future = wrote and of.invoked[wrote[0]] > of.completed[one]
            if not wrote or future or any(of.completed[w] < of.invoked[one] for w in gone):
                bad.append(int(one))
        anomalies = tuple(Anomaly("wrong", "", len(bad), (bad[0],), "…") for _ in bad[:1])
        return replace(judged(self.name, "", "…", len(of), len(of), anomalies), exact=self.exact)


def of_kind(found: Power, kind: str) -> Strike:
    return next(one for one in found.strikes if one.kind == kind)


def test_what_can_be_counted_by_hand() -> None:
    of = history(7)
    assert Toy().check(of, Options()).verdict == "held"
    found = power(Toy(), of, Options(), random.Random(1))
    # Stale: every read but the two of the first value; the write before has always ended, so all are found.
    assert of_kind(found, "stale") == Strike("stale", struck=LINE - 2, found=LINE - 2, legal=0)
    # Ahead: a lone read cannot have seen the next write; the one that overlaps it could have.
    assert of_kind(found, "ahead") == Strike("ahead", struck=LINE - 2, found=6, legal=6)
    assert found.least == of_kind(found, "ahead")
    assert not found.notes


def test_the_same_seed_strikes_the_same_places_and_never_one_twice() -> None:
    of, struck = history(30), []

    def noted(operations: Operations, position: int, random: random.Random) -> Operations | None:
        struck.append(position)
        return ahead(operations, position, random)

    model = Toy(alterations=(Alteration("ahead", noted),))
    first = power(model, of, Options(), random.Random(3), tries=20)
    places, struck = struck, []
    assert first == power(model, of, Options(), random.Random(3), tries=20)
    assert places == struck
    assert len(set(places)) == len(places)
    assert of_kind(first, "ahead").struck == 20


def test_only_the_window_is_struck() -> None:
    of = history(7)
    found = power(Toy(), of, Options(), random.Random(1), window=of.invoked >= 2 * 600)
    assert of_kind(found, "stale").struck == 2
    assert of_kind(found, "ahead").struck == 0
    assert of_kind(found, "ahead").share is None


def test_key_by_key_finds_the_same_and_is_given_one_key() -> None:
    of, sizes = history(5, keys=4), []

    class Counting(Toy):
        def check(self, of: Operations, options: Options) -> Result:
            sizes.append(len(of))
            return super().check(of, options)

    whole = power(Toy(), of, Options(), random.Random(5))
    assert power(Counting(per_key=True), of, Options(), random.Random(5)) == whole
    assert set(sizes) == {15}


def test_a_bug_that_can_strike_nowhere() -> None:
    found = power(Toy(alterations=(Alteration("never", never),)), history(3), Options(), random.Random(0))
    assert found.strikes == (Strike("never"),)
    assert found.least is None
    assert "no place was found" in found.strikes[0].sentence()


def test_nothing_answered_is_no_place() -> None:
    of = history(3)
    info = of.altered(outcome=np.full(len(of), Outcome.INFO, dtype=np.uint8), result=np.full(len(of), NONE))
    assert power(Toy(), info, Options(), random.Random(0)).least is None


def test_necessary_conditions_call_nothing_legal() -> None:
    ahead = of_kind(power(Toy(exact=False), history(7), Options(), random.Random(1)), "ahead")
    assert (ahead.struck, ahead.found, ahead.legal) == (12, 6, 0)
    assert "6 others could not be told from a legal answer" in ahead.sentence()


def test_when_the_time_runs_out_it_is_said() -> None:
    found = power(Toy(), history(7), Options(budget=0.0), random.Random(1))
    assert all(one.struck == 0 for one in found.strikes)
    assert "no time" in found.notes[0]


def test_a_checker_that_crashes_costs_no_verdict() -> None:
    class Crashing(Toy):
        def check(self, of: Operations, options: Options) -> Result:
            raise RecursionError("too deep")

    found = power(Crashing(), history(2), Options(), random.Random(1))
    assert sum(one.found + one.legal for one in found.strikes) == 0
    assert found.notes == ("4 altered histories could not be judged: RecursionError: too deep",)


@pytest.mark.parametrize(
    ("strike", "text"),
    [
        (
            Strike("stale-read", 100, 71, 29),
            "stale-read: in 71 of 100 places where this bug could have struck, the history would have shown it "
            "(29 others would still have been legal answers)",
        ),
        (
            Strike("lost", 1, 0, 1),
            "lost: in 0 of 1 place where this bug could have struck, the history would have shown it "
            "(1 other would still have been a legal answer)",
        ),
        (
            Strike("lost", 9, 9),
            "lost: in 9 of 9 places where this bug could have struck, the history would have shown it",
        ),
    ],
)  # fmt: skip
def test_how_it_reads(strike: Strike, text: str) -> None:
    assert strike.sentence() == text


def test_progress_counts_up() -> None:
    told: list[Any] = []
    power(Toy(), history(2), Options(), random.Random(1), tries=5, progress=lambda *now: told.append(now))
    assert told == [(number, 5) for number in range(1, 6)]
