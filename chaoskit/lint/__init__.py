"""Semantic checks: an experiment against its target. Problems stop a run, warnings are printed by the plan. Pure.

What can be told from the experiment's text alone `spec.load` has told already; here are the mistakes that need both
files: unknown services, classes, sides and invariants, selectors that match nothing, faults that contradict each other,
windows in which nothing could be counted. All of them at once.
"""

from chaoskit.lint.abilities import check_abilities
from chaoskit.lint.checking import check, load_both, load_checked
from chaoskit.lint.model import Checked, Expanded, Stretch, derive_seed, stretches

__all__ = [
    "Checked",
    "Expanded",
    "Stretch",
    "check",
    "check_abilities",
    "derive_seed",
    "load_both",
    "load_checked",
    "stretches",
]
