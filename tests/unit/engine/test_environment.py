from __future__ import annotations

from pathlib import Path

from chaoskit import plan as planning
from chaoskit.engine.environment import kept
from chaoskit.runtimes.process import ProcessRuntime
from chaoskit.spec.load import load_experiment
from chaoskit.stack.compose import load_target

ROOT = Path(__file__).resolve().parents[3]


def test_a_stored_plan_holds_no_secret_of_a_service_or_variant() -> None:
    loaded = load_experiment(
        ROOT / "experiments" / "url-shortener" / "demo.yaml",
        overrides=["variants.patient.env.api.API_TOKEN=told"],
        environ={},
    )
    target = load_target(Path(loaded.experiment.target), environ={})
    plan = planning.make_plan(loaded, target, abilities=ProcessRuntime().abilities())
    (variant,) = (one for one in kept(plan).experiment.variants if one.name == "patient")
    assert variant.env["api"]["API_TOKEN"] == "[redacted]"
    assert variant.env["api"]["CACHE_STRATEGY"] == "write-through"
    api = kept(plan).target.service("api")
    assert api.environment["CACHE_URL"] == plan.target.service("api").environment["CACHE_URL"]
    assert next(one.env for one in plan.experiment.variants if one.name == "patient")["api"]["API_TOKEN"] == "told"
