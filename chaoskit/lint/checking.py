"""All checks, in the order in which they build on each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from chaoskit.errors import SpecError
from chaoskit.lint.claims import check_conditions
from chaoskit.lint.faults import check_timeline
from chaoskit.lint.model import Checked, Scene
from chaoskit.lint.overlaps import check_overlaps
from chaoskit.lint.traffic import check_traffic, check_variants
from chaoskit.lint.windows import check_windows
from chaoskit.spec.load import Loaded, read_experiment
from chaoskit.stack.compose import read_target
from chaoskit.stack.topology import Target

__all__ = ["check", "load_both", "load_checked"]


def load_both(path: Path, *, overrides: Sequence[str] = (), environ: Mapping[str, str]) -> tuple[Loaded, Target]:
    """An experiment and its target, or everything that is wrong with both of them at once.

    Raises:
        SpecError: the user's to mend.
    """
    loaded, target, _ = load_checked(path, overrides=overrides, environ=environ)
    return loaded, target


def load_checked(
    path: Path, *, overrides: Sequence[str] = (), environ: Mapping[str, str]
) -> tuple[Loaded, Target, Checked]:
    """The same, with what is only strange about them.

    Raises:
        SpecError: as `load_both`.
    """
    loaded, problems = read_experiment(path, overrides=overrides, environ=environ)
    target: Target | None = None
    checked: Checked | None = None
    if loaded is not None and loaded.experiment.target and Path(loaded.experiment.target).exists():
        target, found = read_target(Path(loaded.experiment.target), environ)
        problems = problems + found
        if target is not None:
            checked = check(loaded, target)
            problems += checked.problems
    if problems or loaded is None or target is None or checked is None:
        raise SpecError(problems)
    return loaded, target, checked


def check(loaded: Loaded, target: Target, toxiproxy: Literal["embedded", "real"] = "embedded") -> Checked:
    """Everything that is wrong, and what is only strange, about an experiment on a target."""
    scene = Scene(loaded, target, toxiproxy, Checked())
    check_traffic(scene)
    check_variants(scene)
    check_timeline(scene)
    check_overlaps(scene)
    check_conditions(scene)
    check_windows(scene)
    return scene.found
