"""Variants compared trial by trial, against figures that were not made here."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from chaoskit.analysis import analyse
from chaoskit.analysis.differences import differences
from chaoskit.checks.model import Finding
from chaoskit.spec.model import Claim

# Hollander and Wolfe, Nonparametric Statistical Methods, example 3.1; p of scipy 1.17.1, see test_statistics.py.
BEFORE = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
AFTER = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]


def finding(claim: str, value: float | None, censored: bool = False) -> Finding:
    return Finding(
        claim=claim, verdict="held", expected="", observed="", value=value, unit="seconds", censored=censored
    )


def compared(bench: Any, tools: Any, values: dict[str, dict[str, list[Any]]]) -> tuple[Any, ...]:
    """values: claim -> variant -> one per trial."""
    bench.variants = tuple(next(iter(values.values())))
    bench.trials = max(len(own) for of in values.values() for own in of.values())
    bench.claims = tuple(Claim(id=name, condition=tools.YIELD) for name in values)
    cells = [
        SimpleNamespace(
            variant=variant,
            trial=trial,
            findings=[finding(claim, of[variant][trial - 1]) for claim, of in values.items()],
        )
        for variant in bench.variants
        for trial in range(1, bench.trials + 1)
    ]
    return differences(bench.plan(), cells)  # type: ignore[arg-type]


def test_pairs_of_trials_against_an_independent_table(bench: Any, tools: Any) -> None:
    (found,) = compared(bench, tools, {"recovers": {"after": AFTER, "before": BEFORE}})
    assert (found.claim, found.variant, found.reference, found.unit) == ("recovers", "before", "after", "seconds")
    assert (found.pairs, found.mean) == (9, pytest.approx(0.431889, abs=1e-6))
    assert (found.low, found.high) == (pytest.approx(0.1694, abs=0.02), pytest.approx(0.6909, abs=0.02))
    assert (found.p, found.why) == (pytest.approx(0.02734375), "")


def test_holm_is_over_all_comparisons_of_the_run(bench: Any, tools: Any) -> None:
    zeros, ones = [0.0] * 9, [1.0] * 9
    found = compared(
        bench,
        tools,
        {"a": {"x": AFTER, "y": BEFORE, "z": AFTER}, "b": {"x": zeros, "y": ones, "z": zeros}},
    )
    # 2/512 times four, 14/512 times three, then two differences that are all nought.
    assert [(one.claim, one.variant) for one in found] == [("a", "y"), ("a", "z"), ("b", "y"), ("b", "z")]
    assert [one.p for one in found] == pytest.approx([3 * 14 / 512, 1.0, 4 * 2 / 512, 1.0])


@pytest.mark.parametrize(
    ("trials", "compares", "interval", "p"), [(4, 0, 0, 0), (5, 1, 1, 0), (7, 1, 1, 0), (8, 1, 1, 1)]
)
def test_few_trials_say_little(bench: Any, tools: Any, trials: int, compares: int, interval: int, p: int) -> None:
    found = compared(bench, tools, {"recovers": {"after": AFTER[:trials], "before": BEFORE[:trials]}})
    assert len(found) == compares
    for one in found:
        assert ((one.low is not None), (one.p is not None)) == (bool(interval), bool(p))


def test_what_is_not_known_is_not_left_out(bench: Any, tools: Any) -> None:
    (found,) = compared(bench, tools, {"recovers": {"after": AFTER, "before": [*BEFORE[:-1], None]}})
    assert (found.mean, found.p, found.pairs) == (None, None, 9)
    assert found.why == "1 pair without two figures that are known"


def test_bounds_are_not_values(bench: Any, tools: Any) -> None:
    bench.variants, bench.trials = ("a", "b"), 5
    bench.claims = (Claim(id="recovers", condition=tools.YIELD),)
    cells = [
        SimpleNamespace(variant=name, trial=trial, findings=[finding("recovers", 1.0, censored=trial == 2)])
        for name in bench.variants
        for trial in range(1, 6)
    ]
    (found,) = differences(bench.plan(), cells)  # type: ignore[arg-type]
    assert found.why == "1 pair without two figures that are known"


def test_histories_have_no_figure_and_one_variant_no_other(bench: Any, tools: Any) -> None:
    assert compared(bench, tools, {"recovers": {"only": AFTER}}) == ()
    bench.claims, bench.variants = (tools.IMMUTABLE,), ("a", "b")
    assert differences(bench.plan(), []) == ()


def test_a_run_of_five_trials_has_them(bench: Any, new_book: Any, tools: Any) -> None:
    bench.variants, bench.trials, bench.fresh = ("patient", "impatient"), 5, "trial"
    bench.store()
    for variant in bench.variants:
        for trial in range(1, 6):
            hurt = (5.99, 6.49 + trial / 10) if variant == "impatient" else None
            bench.cell(tools.load(new_book(), hurt=hurt).history(), variant=variant, trial=trial)
    (found,) = analyse(bench.run).differences
    # 50 a second due, of 199 that count in the window: 0.6, 0.7 … 1.0 s of them are missed, on average 40.
    assert (found.variant, found.reference, found.pairs) == ("impatient", "patient", 5)
    assert found.mean == pytest.approx(-40 / 199)
    assert found.low is not None and found.high is not None
    assert -50 / 199 <= found.low < found.mean < found.high <= -30 / 199
    assert found.p is None
