"""Spec + topology + abilities + seed -> Plan: everything that will happen, decided beforehand. Pure, no effects."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from chaoskit import __version__, registry
from chaoskit.data import SCHEMA_VERSION, Frozen
from chaoskit.errors import SpecError, UsageError
from chaoskit.faults.model import Compiled
from chaoskit.lint import Checked, check, check_abilities, derive_seed
from chaoskit.spec.load import Loaded
from chaoskit.spec.model import Experiment
from chaoskit.stack.effects import Effect, Evidence, Passage
from chaoskit.stack.topology import Target

__all__ = ["CellPlan", "Choice", "Plan", "PlannedInjection", "cell_seconds", "make_plan"]

# What a run takes beside the stated phases, seconds: rough, for people who wait.
_START = 6.0  # stack up and down
_CELL = 4.0  # steady state, draining, final reads


class Choice(Frozen):
    """What a fault came to, compiled.

    Attributes:
        links: ids of those that it bends.
        sentence: "api->db:5432 answers 200 ms ± 20 ms late".
        matrix, sides, notes: as of `faults.model.Compiled`.
    """

    links: tuple[str, ...] = ()
    effects: tuple[Effect, ...]
    evidence: tuple[Evidence, ...]
    sentence: str
    matrix: tuple[Passage, ...] = ()
    sides: dict[str, tuple[str, ...]] = {}
    notes: tuple[str, ...] = ()


class PlannedInjection(Choice):
    """An injection with its selectors expanded and its fault compiled. Times are seconds from the cell's t=0.

    Attributes:
        nodes: what it is on, for a fault on nodes.
        role: it is placed relative to the node that holds this (`leader`), which is asked when it begins.
        choices: node -> what is done when that node holds the role. What stands in the injection itself is then the
            choice for the first of them, and only an example.
    """

    id: str
    fault: str
    at: float
    until: float | None
    nodes: tuple[str, ...] = ()
    role: str | None = None
    choices: dict[str, Choice] = {}


class CellPlan(Frozen):
    """One variant x trial. `seed` drives arrivals, operations and jitter of this cell."""

    variant: str
    trial: int  # from 1
    seed: int
    restart: bool  # the stack is started anew for this cell
    key_prefix: str  # unique in the run: cells that share a stack never share a key

    @property
    def id(self) -> str:
        """`patient/1`, also the folder below `cells/`."""
        return f"{self.variant}/{self.trial}"


class Plan(Frozen):
    """What will happen. `cells` are in the order in which they will run."""

    schema_version: int = SCHEMA_VERSION
    chaoskit_version: str
    experiment: Experiment
    target: Target
    injections: tuple[PlannedInjection, ...]
    cells: tuple[CellPlan, ...]
    interposition: str  # hosts | rewrite | auto (decided when the stack starts)
    toxiproxy: Literal["embedded", "real"] = "embedded"
    estimated_seconds: float
    warnings: tuple[str, ...] = ()
    defaults: dict[str, str] = {}  # what the experiment left out, and what was filled in
    source: str = ""  # the experiment as it was understood: YAML with variables and overrides filled in


def make_plan(
    loaded: Loaded,
    target: Target,
    *,
    seed: int | None = None,
    trials: int | None = None,
    interposition: str = "auto",
    toxiproxy: Literal["embedded", "real"] = "embedded",
    abilities: Collection[str],
) -> Plan:
    """Everything that will happen. Pure: the same input gives the same plan.

    Seeds are derived by SHA-256 (`lint.derive_seed`). The seed of a cell depends on the trial alone, so that trial 3
    of every variant gets the same operations at the same times and variants can be compared pair by pair; the order
    of the variants and each fault's choices have seeds of their own.

    Args:
        loaded: as read by `spec.load`.
        seed, trials: instead of what the experiment says.
        interposition: `auto`, `hosts` or `rewrite`. toxiproxy: which server bends the links.
        abilities: what the runtime can do (`Runtime.abilities()`).

    Raises:
        SpecError: the experiment does not fit the target; all mistakes, with their places.
        UsageError: `seed` or `trials` is out of range.
        AbilityError: the runtime cannot do what a fault needs.
    """
    told = {key: value for key, value in (("seed", seed), ("trials", trials)) if value is not None}
    for key, value in told.items():
        if value < (1 if key == "trials" else 0):
            raise UsageError(
                f"--{key} is {value}", hint="give at least 1" if key == "trials" else "give a number from 0"
            )
    loaded = loaded._replace(experiment=loaded.experiment.model_copy(update=told))
    checked = check(loaded, target, toxiproxy)
    if checked.problems:
        raise SpecError(checked.problems)
    check_abilities(loaded, target, interposition, abilities)
    experiment, defaults = _filled_in(loaded, checked, frozenset(told))
    injections = tuple(_injection(one.id, experiment, checked) for one in experiment.timeline)
    cells = _cells(experiment)
    starts = sum(cell.restart for cell in cells)
    return Plan(
        chaoskit_version=__version__,
        experiment=experiment,
        target=target,
        injections=tuple(sorted(injections, key=lambda one: (one.at, one.id))),
        cells=cells,
        interposition=interposition,
        toxiproxy=toxiproxy,
        estimated_seconds=round(starts * _START + len(cells) * cell_seconds(experiment), 3),
        warnings=tuple(checked.warnings),
        defaults=defaults,
        source=loaded.resolved,
    )


def cell_seconds(experiment: Experiment) -> float:
    """About how long one cell takes on a stack that is up."""
    return experiment.warm_up + experiment.duration + experiment.settle + _CELL


def _filled_in(loaded: Loaded, checked: Checked, told: frozenset[str]) -> tuple[Experiment, dict[str, str]]:
    """The experiment with what depends on the target, and what was not written, as text by key."""
    experiment = loaded.experiment
    workload = checked.workload.name if checked.workload else experiment.traffic.workload
    destroys = any(registry.load("fault", one.fault).destroys_data for one in experiment.timeline)
    fresh = experiment.fresh if loaded.given("fresh") else "trial" if destroys else "variant"
    made = experiment.model_copy(
        update={
            "traffic": experiment.traffic.model_copy(update={"workload": workload, "mix": checked.mix}),
            "fresh": fresh,
        }
    )
    arrivals = made.traffic.arrivals
    values: dict[tuple[str, ...], str] = {
        ("name",): made.name,
        ("runtime",): made.runtime,
        ("variants",): ", ".join(variant.name for variant in made.variants),
        ("traffic", "workload"): workload,
        ("traffic", "arrivals"): f"{'poisson' if arrivals.random else 'constant'} {arrivals.rate:g}/s",
        ("traffic", "timeout"): f"{made.traffic.timeout:g}s",
        ("traffic", "mix"): ", ".join(f"{cls} {share:.0%}" for cls, share in made.traffic.mix.items()),
        ("traffic", "workers"): str(made.traffic.workers),
        ("steady_state",): ", ".join(condition.text for condition in made.steady_state),
        ("abort",): "never",
        ("trials",): str(made.trials),
        ("seed",): str(made.seed),
        ("fresh",): f"{fresh} (a fault loses what was in memory)" if destroys else fresh,
        ("duration",): f"{made.duration:g}s",
        ("warm_up",): f"{made.warm_up:g}s",
        ("settle",): f"{made.settle:g}s",
    }
    return made, {
        ".".join(path): text for path, text in values.items() if not loaded.given(*path) and path[0] not in told
    }


def _injection(identity: str, experiment: Experiment, checked: Checked) -> PlannedInjection:
    one = next(injection for injection in experiment.timeline if injection.id == identity)
    expanded = checked.expanded[identity]
    return PlannedInjection(
        id=one.id,
        fault=one.fault,
        at=one.at,
        until=one.until,
        nodes=expanded.nodes,
        role=expanded.role,
        choices={node: _choice(compiled) for node, compiled in expanded.choices.items()},
        **dict(_choice(expanded.compiled)),
    )


def _choice(compiled: Compiled) -> Choice:
    return Choice(links=compiled.links, **dict(compiled))


def _cells(experiment: Experiment) -> tuple[CellPlan, ...]:
    """A block of trials per variant, in an order that the seed gives, so that no variant is always the first."""
    order = sorted(experiment.variants, key=lambda one: derive_seed(experiment.seed, "order", one.name))
    return tuple(
        CellPlan(
            variant=variant.name,
            trial=trial,
            seed=derive_seed(experiment.seed, "cell", trial),
            restart=trial == 1 or experiment.fresh == "trial",
            key_prefix=f"c{number * experiment.trials + trial}",
        )
        for number, variant in enumerate(order)
        for trial in range(1, experiment.trials + 1)
    )
