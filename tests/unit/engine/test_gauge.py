from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chaoskit.engine.gauge import Gauge, measure
from chaoskit.spec.claims import parse
from chaoskit.spec.model import Arrivals, Claim, Experiment, Traffic, Variant, Window
from chaoskit.traffic.histogram import CELLS
from chaoskit.traffic.snapshot import COUNTS, Snapshot, State, between

NS = 1_000_000_000


def snapshot(at_s: float, **counts: int) -> Snapshot:
    """One class, `get`; what is not named is 0."""
    row = np.array([[counts.get(name, 0) for name in COUNTS]], dtype=np.int64)
    return Snapshot(round(at_s * NS), State.LOADING, ("get",), row, np.zeros((1, CELLS), np.int64))


class Script:
    """A load whose snapshots are written down beforehand."""

    def __init__(self) -> None:
        self.now = snapshot(0)

        self.beside: dict[str, Snapshot] = {}

    def snapshot(self, clients: frozenset[str] | None = None) -> Snapshot:
        return self.now if clients is None else self.beside[min(clients)]

    def clients(self, side: str) -> frozenset[str]:
        return frozenset({f"client@{side}"})


def experiment(**given: Any) -> Experiment:
    return Experiment(
        file="/x.yaml", name="x", question="?", target="/t", variants=(Variant(name="a"),),
        traffic=Traffic(workload="w", arrivals=Arrivals(shape="constant", rate=10), mix={"get": 1.0}),
        claims=(Claim(id="c", condition=parse("yield >= 90%"), window=Window(kind="during", of="f")),),
        steady_state=given.pop("steady_state", (parse("yield >= 99%"),)), seed=1, duration=10, **given,
    )  # fmt: skip


def gauge(**given: Any) -> tuple[Gauge, Script]:
    script = Script()
    made = Gauge(experiment(**given), script)  # type: ignore[arg-type]
    made.phase("baseline", None)
    return made, script


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yield >= 1%", 0.8),
        ("refused <= 1%", 0.15),
        ("silent <= 1%", 0.05),
        ("goodput >= 1/s", 40.0),
        ("rate >= 1/s", 55.0),
    ],
)
def test_quantities_of_a_span(text: str, value: float) -> None:
    span = between(snapshot(0), snapshot(2, due=110, sent=110, yes=80, refused=15, silent=5))
    assert measure(parse(text), span) == pytest.approx(value)


def test_what_nobody_can_tell_is_none() -> None:
    span = between(snapshot(0), snapshot(2, due=10))
    assert measure(parse("yield >= 1%"), span) is None
    assert measure(parse("recovery <= 1s"), span) is None


def test_the_steady_state_counts_from_the_origin_only() -> None:
    made, script = gauge()
    script.now = snapshot(1, yes=50, silent=50)  # the warm-up was bad: it does not count
    made.origin()
    script.now = snapshot(3, yes=250, silent=51)
    assert made.steady() == (False, "yield >= 99%: 99.50 %")
    script.now = snapshot(4, yes=250, silent=90)
    broken, text = made.steady()
    assert broken
    assert text.endswith("(not met)")


def test_nothing_ended_is_not_steady() -> None:
    made, _ = gauge()
    made.origin()
    assert made.steady()[0]


def test_a_condition_at_a_side_counts_the_clients_that_stand_there() -> None:
    made, script = gauge(steady_state=(parse("yield at n1 >= 99%"),), abort=(parse("yield at n2 < 50%"),))
    script.beside = {"client@n1": snapshot(1, yes=10), "client@n2": snapshot(1, yes=10)}
    made.origin()
    assert made.abort() is None
    script.now = snapshot(3, yes=100, silent=100)
    script.beside = {"client@n1": snapshot(3, yes=90), "client@n2": snapshot(3, yes=11, silent=20)}
    broken, text = made.steady()
    assert not broken and "yield at n1 >= 99%: 100" in text
    assert "yield at n2 < 50%" in (made.abort() or "")
    script.beside["client@n1"] = snapshot(3, yes=90, silent=9)
    assert made.steady()[0]


def test_an_abort_condition_must_be_true_for_as_long_as_it_says() -> None:
    made, script = gauge(abort=(parse("yield < 50% for 3s"),))
    made.origin()
    yes = silent = 0
    for tick, good in enumerate([True, False, False, True, False, False, False, False]):
        yes, silent = yes + 10 * good, silent + 10 * (not good)
        script.now = snapshot(tick + 1, yes=yes, silent=silent)
        found = made.abort()
        assert (found is not None) == (tick >= 6), (tick, found)  # bad since second 4, seen at second 7
    assert found is not None
    assert "yield < 50% for 3s" in found


def test_claims_are_shown_from_the_beginning_of_their_window() -> None:
    made, script = gauge()
    made.origin()
    script.now = snapshot(1, sent=10, yes=10)
    assert "claims" not in made.live(NS, ())  # one snapshot is no span yet
    made.phase("fault", 5 * NS)
    script.now = snapshot(2, sent=20, yes=20)
    made.live(2 * NS, ("f",))
    script.now = snapshot(3, sent=30, yes=22, silent=8)
    (claim,) = made.live(3 * NS, ("f",))["claims"]
    assert (claim["id"], claim["state"]) == ("c", "broken")
    assert "20.0 %" in claim["text"]
    script.now = snapshot(9, sent=90, yes=82, silent=8)
    assert made.live(9 * NS, ())["claims"] == [claim]  # over: it stays as it was
