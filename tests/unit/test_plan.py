"""Plans: an experiment checked against its target, expanded, compiled, seeded; and how that reads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chaoskit.errors import AbilityError, SpecError, UsageError
from chaoskit.faults.model import Compiled
from chaoskit.lint import check, derive_seed, load_both
from chaoskit.plan import Plan, make_plan
from chaoskit.plan_text import describe

COMPOSE = """\
services:
  db: {image: postgres}
  cache: {image: valkey, restart: always}
  api:
    build: .
    environment: {DATABASE_URL: "postgresql://db:5432", CACHE_URL: "redis://cache:6379", DB_TIMEOUT: 5s}
    depends_on: [db, cache]
x-chaoskit:
  entry: api
  process:
    db: {server: postgres}
    cache: {server: valkey}
    api: {command: [app], port: 8000}
  failover_bound: 1s
  workloads:
    shorten: {file: workload.py, classes: {create: write, resolve: {kind: read, weight: 4}}, invariants: [immutable]}
"""
EXPERIMENT = """\
apiVersion: chaoskit/v1
kind: Experiment
question: What breaks when the database is slow?
target: shop
variants:
  patient: {env: {api: {DB_TIMEOUT: 5s}}}
  impatient: {env: {api: {DB_TIMEOUT: 250ms}}}
traffic: {workload: shorten, arrivals: {poisson: 200/s}, timeout: 1s}
abort: yield < 20% for 5s
timeline:
  - {at: 5s, for: 8s, id: slow-db, fault: latency, on: api -> db, latency: 200ms}
  - {at: 16s, for: 4s, id: no-cache, fault: kill, on: cache}
claims:
  - {id: survives, that: yield of resolve >= 99%, during: slow-db}
  - {id: steady, that: p99 <= 1s, steady: slow-db}
  - {id: calm, that: p99 <= 1s, before: slow-db}
  - {id: recovers, that: recovery <= 3s, after: no-cache}
  - {id: same, invariant: immutable}
trials: 2
"""
ABLE = frozenset({"kill", "pause", "restart", "links:per-pair"})


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "compose.yaml").write_text(COMPOSE)
    (shop / "workload.py").write_text("workload = print\n")
    (tmp_path / "exp.yaml").write_text(EXPERIMENT)
    return tmp_path


def plan(files: Path, *overrides: str, **more: Any) -> Plan:
    loaded, target = load_both(Path("exp.yaml"), overrides=overrides, environ={})
    return make_plan(loaded, target, **{"abilities": ABLE, **more})


def test_a_plan_has_everything_decided(files: Path) -> None:
    made = plan(files)
    experiment = made.experiment
    assert experiment.traffic.mix == {"create": 0.2, "resolve": 0.8}
    assert experiment.fresh == "trial"  # kill loses what is in memory
    assert experiment.duration == 20 + 3 + 3 + 1
    slow, dead = made.injections
    assert (slow.links, slow.nodes, slow.at, slow.until) == (("api->db:5432",), (), 5.0, 13.0)
    assert slow.effects[0].injection == "slow-db" and slow.evidence[0].link == "api->db:5432"
    assert (dead.links, dead.nodes) == ((), ("cache",))
    assert {one.link for one in dead.evidence} == {None, "api->cache:6379"}
    assert sorted(cell.id for cell in made.cells) == ["impatient/1", "impatient/2", "patient/1", "patient/2"]
    assert all(cell.restart for cell in made.cells)
    assert len({cell.key_prefix for cell in made.cells}) == 4
    assert made.estimated_seconds > 4 * (2 + 27 + 2)
    assert "duration" in made.defaults and "traffic.mix" in made.defaults and "trials" not in made.defaults
    assert Plan.model_validate_json(made.model_dump_json()) == made


def test_the_same_input_gives_the_same_plan_and_another_seed_another(files: Path) -> None:
    assert plan(files) == plan(files)
    orders = {tuple(cell.variant for cell in plan(files, seed=seed).cells) for seed in range(12)}
    assert len(orders) == 2  # the seed gives the order of the variants, blocks stay together
    assert all(order[0] == order[1] and order[2] == order[3] for order in orders)


def test_a_trial_has_the_same_operations_in_every_variant(files: Path) -> None:
    seeds = {(cell.trial, cell.seed) for cell in plan(files, trials=3).cells}
    assert len(seeds) == 3
    assert {seed for _, seed in seeds}.isdisjoint(cell.seed for cell in plan(files, seed=2).cells)
    assert derive_seed(1, "cell", 1) == 1420314137754993666  # pinned: stored runs are reproduced by it


def test_a_stack_is_shared_by_trials_that_lose_nothing(files: Path) -> None:
    made = plan(files, "timeline.no-cache.fault=pause")
    assert made.experiment.fresh == "variant"
    assert [cell.restart for cell in made.cells] == [True, False, True, False]
    assert plan(files, "fresh=variant").experiment.fresh == "variant"


def test_seed_and_trials_are_those_asked_for(files: Path) -> None:
    made = plan(files, seed=9, trials=1)
    assert (made.experiment.seed, made.experiment.trials, len(made.cells)) == (9, 1, 2)
    for bad in ({"trials": 0}, {"seed": -1}):
        with pytest.raises(UsageError):
            plan(files, **bad)


def test_what_a_runtime_cannot_do_is_refused(files: Path) -> None:
    with pytest.raises(AbilityError, match=r"exp\.yaml:12:5: the runtime process cannot kill, which kill \(no-cache\)"):
        plan(files, abilities={"pause"})
    (files / "shop/compose.yaml").write_text(COMPOSE.replace("  entry:", "  gossips: true\n  entry:"))
    assert plan(files).target.gossips
    with pytest.raises(AbilityError, match="cannot be rewritten"):
        plan(files, interposition="rewrite")


@pytest.mark.parametrize(
    ("override", "what"),
    [
        ("traffic.workload=shortn", "the target shop has no workload 'shortn'; did you mean 'shorten'?"),
        ("traffic.mix={creat: 1}", "has no operation class 'creat'; did you mean 'create'?"),
        ("traffic.arrivals={poisson: 100000/s}", "operations could be in flight"),
        ("variants.patient.env.apy.X=1", "the target shop has no service 'apy'; did you mean 'api'?"),
        ("variants.patient.env.db.X=http://cache:6379", "db has no link to cache:6379"),
        ("steady_state=yield of resolv >= 1%", "has no operation class 'resolv'"),
        ("abort=yield of reslve < 1%", "has no operation class 'reslve'"),
        ("claims.survives.that=yield at left >= 1%", "there is no side 'left'"),
        ("claims.same.invariant=acknowledged-survive", "does not declare the invariant 'acknowledged-survive'"),
        ("timeline.slow-db.on=api -> dbb", "'dbb' is no service or node"),
        ("timeline.slow-db.on=db -> api", "did you mean 'api -> db'?"),
        ("timeline.slow-db.on=db", "selects nodes, but the fault is on links"),
        ("timeline.no-cache.on=api -> cache", "selects links, but the fault is on nodes"),
        ("duration=18s", "no-cache lasts until 20 s (the load ends at 18 s)"),
        ("duration=21s", "after no-cache is 1 s long"),
        ("timeline.no-cache.on=db", ""),
        ("timeline.no-cache={at: 9s, for: 4s, id: no-cache, fault: pause, on: db}", "overlaps slow-db on api->db:5432"),
        ("timeline.no-cache={at: 9s, for: 4s, id: no-cache, fault: outage, on: '* -> db'}", "overlaps slow-db on"),
        ("timeline.no-cache={at: 9s, for: 4s, id: no-cache, fault: kill, on: cache}", ""),
        ("claims.survives.during=no-cache", ""),
        ("claims.calm.before=no-cache", "use before: slow-db"),
        ("timeline.slow-db.for=3s", "too short for steady slow-db (the failover bound D = 1 s and 3 T = 2.25 s"),
        ("timeline.no-cache={at: 16s, id: no-cache, fault: restart, on: cache}", ""),
        ("timeline.slow-db={at: 5s, id: slow-db, fault: restart, on: db}", "there is no during of it"),
    ],
)
def test_what_does_not_fit_the_target(files: Path, override: str, what: str) -> None:
    if not what:
        plan(files, override)
        return
    with pytest.raises(SpecError) as caught:
        plan(files, override)
    assert what in str(caught.value)


def test_places_are_exact(files: Path) -> None:
    text = EXPERIMENT.replace("of resolve", "of reslve").replace("on: api -> db", "on: [api -> db, api -> dbb]")
    text = text.replace("invariant: immutable", "invariant: acknowledged-survive").replace("workload: shorten, ", "")
    (files / "exp.yaml").write_text(text)
    with pytest.raises(SpecError) as caught:
        plan(files)
    lines = text.splitlines()
    assert [(p.file, p.line, p.column) for p in caught.value.problems] == [
        ("exp.yaml", 11, lines[10].index("dbb") + 1),
        ("exp.yaml", 14, lines[13].index("reslve") + 1),
        ("exp.yaml", 18, lines[17].index("acknowledged") + 1),
    ]


def test_mistakes_of_both_files_come_together(files: Path) -> None:
    (files / "exp.yaml").write_text(EXPERIMENT.replace("poisson: 200/s", "poisson: 200"))
    (files / "shop/compose.yaml").write_text(COMPOSE.replace("server: valkey", "server: redis"))
    with pytest.raises(SpecError) as caught:
        plan(files)
    assert [problem.file for problem in caught.value.problems] == ["exp.yaml", "shop/compose.yaml"]
    (files / "exp.yaml").write_text(EXPERIMENT.replace("poisson: 200/s", "poisson: 200").replace("-> db,", "-> dc,"))
    (files / "shop/compose.yaml").write_text(COMPOSE)
    with pytest.raises(SpecError) as caught:
        plan(files)
    assert [problem.line for problem in caught.value.problems] == [8, 11]


def test_an_experiment_without_variants_has_one_that_changes_nothing(files: Path) -> None:
    start, end = EXPERIMENT.index("variants:"), EXPERIMENT.index("traffic:")
    (files / "exp.yaml").write_text(EXPERIMENT[:start] + EXPERIMENT[end:])
    made = plan(files)
    assert [cell.id for cell in made.cells] == ["default/1", "default/2"]
    assert made.warnings == ()
    (files / "exp.yaml").write_text(EXPERIMENT.replace("{env: {api: {DB_TIMEOUT: 5s}}}", "{}"))
    assert plan(files).warnings == ()


def test_validating_loads_nothing_heavy() -> None:
    code = "import sys, chaoskit.lint, chaoskit.plan; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"numpy", "pandas", "httpx", "pyarrow", "plotly", "jinja2", "docker"}


def test_what_may_not_be_broken(files: Path) -> None:
    safe = COMPOSE.replace("  entry:", "  safe_to_break: {db: [kill], cache: [links]}\n  entry:")
    (files / "shop/compose.yaml").write_text(safe)
    with pytest.raises(SpecError) as caught:
        plan(files)
    assert ["would hurt db" in str(caught.value), "would hurt cache" in str(caught.value)] == [True, True]


@pytest.mark.parametrize(
    ("override", "what"),
    [
        ("variants.patient.env.api.DB_TIMEOT=1s", "did you mean 'DB_TIMEOUT'?"),
        ("traffic.arrivals={poisson: 10/s}", "claim survives: about 48 operations fall into during slow-db"),
        ("claims.survives.that=goodput >= 300/s", "can never hold: 200/s are sent at most"),
        ("timeline.slow-db.at=1500ms", "slow-db begins 1.5 s after t=0"),
        ("traffic.timeout=6s", "in time within 2 s, a quarter of it"),
        (
            "timeline.no-cache={at: 9s, for: 4s, id: no-cache, fault: latency, on: api -> db, latency: 1s}",
            "delays add up",
        ),
    ],
)
def test_warnings(files: Path, override: str, what: str) -> None:
    assert not [text for text in plan(files).warnings if what in text]
    assert [text for text in plan(files, override).warnings if what in text]


def test_a_spike_is_a_window_with_its_own_rate(files: Path) -> None:
    spike = "traffic.arrivals={spike: {base: 4/s, peak: 400/s, at: 5s, for: 6s}}"
    text = EXPERIMENT.replace("during: slow-db", "during: spike")
    (files / "exp.yaml").write_text(text)
    warnings = plan(files, spike).warnings
    assert not [one for one in warnings if "survives" in one]
    assert [one for one in plan(files, spike.replace("400/s", "8/s")).warnings if "survives" in one]
    with pytest.raises(SpecError, match="spike lasts until 40 s"):
        plan(files, spike.replace("for: 6s", "for: 35s"), "duration=30s")


def test_expanded_links_are_links_of_the_topology(files: Path) -> None:
    made = plan(files, "timeline.slow-db.on='* -> *'", "timeline.no-cache.at=14s")
    assert set(made.injections[0].links) == {link.id for link in made.target.topology.links}
    loaded, target = load_both(Path("exp.yaml"), environ={})
    for expanded in check(loaded, target).expanded.values():
        assert set(expanded.links) <= {link.id for link in target.topology.links}
        assert isinstance(expanded.compiled, Compiled)


def test_how_it_reads(files: Path) -> None:
    text = describe(plan(files, "timeline.slow-db.on='* -> *'", "expect={impatient: {survives: refuted}}"))
    assert max(map(len, text.splitlines())) <= 100
    for piece in (
        "What breaks when the database is slow?",
        "api->db:5432, api->cache:6379",
        "client->api:8000",
        "create 20 %, resolve 80 %",
        "slow-db begins (latency)",
        "no-cache is healed",
        "abort when yield < 20% for 5s",
        "yield of resolve >= 99%, during slow-db (expected: impatient refuted)",
        "api: DB_TIMEOUT=250ms",
        "2 trials, 2 stack starts",
        "fresh               trial (a fault loses what was in memory)",
        "restart: a node that was killed stays down",
        "About 2 min",
    ):
        assert piece in text, text
    calm = describe(plan(files, "timeline=[]", "claims=[{id: a, that: yield >= 1%}]"))
    assert "none: nothing is hurt" in calm


def test_the_examples_of_the_documentation_are_right(tmp_path: Path) -> None:
    docs = Path(__file__).resolve().parents[2] / "docs"
    texts = [
        (docs / name).read_text().split("```yaml\n", 1)[1].split("```", 1)[0]
        for name in ("experiments.md", "targets.md")
    ]
    shop, folder = tmp_path / "targets" / "url-shortener", tmp_path / "experiments" / "url-shortener"
    for place in (shop, folder):
        place.mkdir(parents=True)
    (folder / "database-slow.yaml").write_text(texts[0])
    (shop / "compose.yaml").write_text(texts[1])
    (shop / "requirements.txt").write_text("")
    (shop / "workload.py").write_text("workload = print\n")
    loaded, target = load_both(folder / "database-slow.yaml", environ={})
    assert "slow-db" in describe(make_plan(loaded, target, abilities=ABLE))


def test_a_link_that_no_canary_can_ask_is_told_beforehand(files: Path) -> None:
    compose = next(path for path in files.rglob("compose.yaml"))
    text = compose.read_text()
    assert not [one for one in plan(files).warnings if "plain TCP" in one]
    text = text.replace("postgresql://db:5432", "db:5432").replace(
        "server: postgres", "server: postgres, protocol: tcp"
    )
    compose.write_text(text)
    assert [one for one in plan(files).warnings if "plain TCP" in one]
