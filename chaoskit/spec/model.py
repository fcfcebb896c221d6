"""An experiment as frozen data, every value validated and every default filled in. No behaviour.

`load.py` makes it from YAML and says where a mistake is; `schema.py` prints its JSON Schema. Durations are seconds,
rates operations per second, shares 0..1.
"""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from chaoskit.data import Frozen

__all__ = [
    "Arrivals",
    "Claim",
    "Condition",
    "Consistency",
    "Experiment",
    "Injection",
    "Quantity",
    "Traffic",
    "Variant",
    "Verdict",
    "Window",
]

Verdict = Literal["held", "refuted", "inconclusive"]
Comparison = Literal[">=", "<=", ">", "<", "=="]
Quantity = Literal[
    "yield",
    "correct",
    "goodput",
    "rate",
    "p50",
    "p90",
    "p95",
    "p99",
    "p99.9",
    "max",
    "service p50",
    "service p90",
    "service p95",
    "service p99",
    "refused",
    "silent",
    "detection",
    "recovery",
    "loss",
]


class Condition(Frozen):
    """QUANTITY [of CLASS] [at SIDE] COMPARISON VALUE [for DURATION], parsed. `text` is as the user wrote it."""

    text: str
    quantity: Quantity
    cls: str | None = None
    side: str | None = None
    comparison: Comparison
    value: float  # share 0..1, seconds, or per second, by quantity
    unit: Literal["share", "seconds", "per-second", "count"]
    sustain: float | None = None  # seconds of `for`


class Window(Frozen):
    """When a claim is judged. `of` is an injection id (or the id of a spike); `whole` = from t=0 to the end of load.

    during = [observed start, observed end - T]; steady begins the failover bound D later; after begins at the observed
    heal; before = baseline.
    """

    kind: Literal["during", "steady", "after", "before", "whole"]
    of: str | None = None


class Consistency(Frozen):
    """A model that the history shall fit, at a level. All writes count; which answers are judged can be chosen.

    Attributes:
        level: "" where the model has one rule of its own and no levels.
        classes: classes of reads whose answers are judged; () = all of them.
        side: of the window's partition; only answers to clients that stood there are judged.
    """

    model: str
    level: str = ""
    classes: tuple[str, ...] = ()
    side: str | None = None


class Claim(Frozen):
    """One thing that shall hold. Exactly one of `condition`, `invariant` and `consistency` is set."""

    id: str
    condition: Condition | None = None
    invariant: str | None = None
    consistency: Consistency | None = None
    window: Window = Window(kind="whole")


class Variant(Frozen):
    """A design decision: environment overrides per service."""

    name: str
    env: dict[str, dict[str, str]] = {}


class Arrivals(Frozen):
    """When operations are due. `rate` is the base rate (constant, poisson), `peak` the other one (ramp, spike).

    ramp: from `rate` to `peak` over `over` seconds beginning at `at`, then stays; spike: `peak` from `at` for `over`
    seconds, `rate` otherwise. Gaps are exponential when `random`, even otherwise. `id` names the window of ramp/spike.
    """

    shape: Literal["constant", "ramp", "spike"]
    rate: float
    random: bool = True
    peak: float | None = None
    at: float | None = None
    over: float | None = None
    id: str | None = None


class Traffic(Frozen):
    """Who uses the system: open loop, `timeout` = client timeout in seconds, `mix` = weight per class (sums to 1)."""

    workload: str
    arrivals: Arrivals
    timeout: float = 2.0
    mix: dict[str, float]
    workers: int = 1


class Injection(Frozen):
    """One line of the timeline: a fault, on links or nodes, at a time. `until` is None for an instant (restart)."""

    id: str
    fault: str
    on: tuple[str, ...]  # selectors as written
    at: float
    until: float | None
    parameters: dict[str, JsonValue] = {}  # by the fault's own schema, SI units


class Experiment(Frozen):
    """A question put to a target: variants, traffic, timeline and claims.

    Attributes:
        file: absolute path of the YAML file. target: absolute folder.
        duration: seconds of load from t=0 (baseline included). warm_up: seconds of load before t=0.
        settle: seconds allowed after the load for convergence before the final reads.
        fresh: whether the stack starts anew per `variant` or per `trial`.
        expect: verdict per variant and claim that is known to come out; not listed = held. None = none given.
    """

    file: str
    name: str
    question: str
    target: str
    runtime: Literal["process"] = "process"
    variants: tuple[Variant, ...]
    traffic: Traffic
    steady_state: tuple[Condition, ...]
    abort: tuple[Condition, ...] = ()
    timeline: tuple[Injection, ...] = ()
    claims: tuple[Claim, ...]
    expect: dict[str, dict[str, Verdict]] | None = None
    trials: int = 1
    seed: int
    fresh: Literal["variant", "trial"] = "variant"
    duration: float
    warm_up: float = 2.0
    settle: float = 2.0
