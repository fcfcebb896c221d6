"""Every rule about claims removed or turned once: the unit tests must notice."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import pytest
from histories.mutation import ROOT, TESTS

CLAIMS, ANALYSED = "tests/unit/checks/test_consistency.py", "tests/unit/analysis/test_analyse.py"
COMPARED = "tests/unit/analysis/test_differences.py"
CONSISTENCY, CELL = "chaoskit/checks/consistency.py", "chaoskit/analysis/cell.py"
SUMMARY, DIFFERENCES = "chaoskit/analysis/summary.py", "chaoskit/analysis/differences.py"
STALE, SIDES = "chaoskit/checks/stale_answers.py", "chaoskit/checks/sides.py"

_RUN = """
import importlib, sys
from histories.mutation import _Mutating
from pathlib import Path
root, file, old, new, *tests = sys.argv[1:]
source = (Path(root) / file).read_text()
assert source.count(old) == 1, f"{file} has {source.count(old)} times: {old}"
module = ".".join(Path(file).with_suffix("").parts)
sys.meta_path.insert(0, _Mutating(module, Path(root) / file, source.replace(old, new)))
importlib.import_module(module)
import pytest
sys.exit(pytest.main(["-q", "-x", "-p", "no:cacheprovider", *tests]))
"""


@dataclass(frozen=True)
class Rule:
    """`old` (exactly once in `file`) becomes `new`; `tests` must fail then."""

    rule: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...] = (CLAIMS,)


RULES = [
    Rule("100 answers of every class", CONSISTENCY, "if count >= MINIMUM_OPERATIONS:", "if count >= 0:"),
    Rule("100 that could be wrong", CONSISTENCY, "result.exposed < MINIMUM_OPERATIONS:", "result.exposed < 0:"),
    Rule("100 about another side's keys", CONSISTENCY, "if shared >= MINIMUM_OPERATIONS:", "if shared >= 0:"),
    Rule(
        "some bug would be seen",
        CONSISTENCY,
        "if planted and not any(",
        "if planted and any(() for _ in ()) and not any(",
    ),
    Rule("bugs strike in chosen answers", CONSISTENCY, "window=chosen.looks & given.ok", "window=given.ok"),
    Rule("a window chooses", CONSISTENCY, "looks &= within[place]", "pass"),
    Rule("a side chooses", CONSISTENCY, 'looks &= np.isin(rows["source"], sources)', "pass"),
    Rule("what takes stays", CONSISTENCY, "reads &= _only_looks(given)", "pass"),
    Rule("set-full needs all reads", CONSISTENCY, '_WHOLE = ("set-full",)', "_WHOLE = ()"),
    Rule("a level forbids its own", CONSISTENCY, "if one.level in levels]", "if one]"),
    Rule("damage refutes nothing", CONSISTENCY, "if history.damaged:", "if history.damaged and not history.damaged:"),
    Rule("one clock", CONSISTENCY, 'rows["clock_domain"])) > 1:', 'rows["clock_domain"])) > 9:'),
    Rule("foreign keys are left out", CONSISTENCY, "ours = known & ~np.isin(given.key, foreign)", "ours = known"),
    Rule("other classes are not asked", CONSISTENCY, "if name in about_it or not own.any()]", "if name]"),
    Rule(
        "refuted once is refuted",
        SUMMARY,
        '{"refuted": 0, "inconclusive": 1,',
        '{"refuted": 3, "inconclusive": 1,',
        (ANALYSED,),
    ),
    Rule(
        "open once is open",
        SUMMARY,
        '{"refuted": 0, "inconclusive": 1,',
        '{"refuted": 0, "inconclusive": 3,',
        (ANALYSED,),
    ),
    Rule("bounds are of what held", SUMMARY, 'if verdict == "held" else 0', "", (ANALYSED,)),
    Rule(
        "a witness stands",
        CELL,
        'if claim.condition is None and finding.verdict == "refuted":',
        "if False:",
        (ANALYSED,),
    ),
    Rule("a fault must be seen to bite", CELL, "elif not fault.seen:", "elif False:", (ANALYSED,)),
    Rule("a fault must be seen to go", CELL, "elif not fault.gone and (", "elif False and (", (ANALYSED,)),
    Rule("five trials", DIFFERENCES, "experiment.trials < FEWEST_TRIALS:", "experiment.trials < 1:", (COMPARED,)),
    Rule(
        "Holm over all",
        DIFFERENCES,
        "iter(holm([one.p for one in found if one.p is not None]))",
        "iter([one.p for one in found if one.p is not None])",
        (COMPARED,),
    ),
    Rule("the unknown is not left out", DIFFERENCES, "    if unknown:", "    if not unknown and unknown:", (COMPARED,)),
    Rule("bounds are no figures", DIFFERENCES, "one.value is None or one.censored", "one.value is None", (COMPARED,)),
    Rule("enough for a quantile", STALE, "count >= needed(rank)", "count >= 1"),
    Rule("staleness by side", STALE, "within & (stood == number)", "within"),
    Rule("staleness by window", STALE, '[counted(history.rows["t_due"], span)] = True', "[:] = True"),
    Rule("losses by side", SIDES, "during & (side == number)", "during"),
    Rule("losses by time", SIDES, "during = ~before & ~after", "during = ~after", ("tests/unit/checks/test_sides.py",)),
    Rule(
        "100 for an invariant",
        "chaoskit/checks/context.py",
        "if exposed < MINIMUM_OPERATIONS:",
        "if exposed < 0:",
        ("tests/unit/checks/test_acknowledged.py", "tests/unit/checks/test_immutable.py"),
    ),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.rule)
def test_every_rule_about_claims_is_needed(rule: Rule) -> None:
    tests = [str(ROOT / path) for path in rule.tests]
    argv = [sys.executable, "-c", _RUN, str(ROOT), rule.file, rule.old, rule.new, *tests]
    done = subprocess.run(argv, cwd=TESTS, capture_output=True, text=True, timeout=900)
    assert "AssertionError: chaoskit" not in done.stderr, done.stderr[-500:]
    assert done.returncode in (0, 1), f"{rule.rule} could not be tried:\n{done.stdout[-1000:]}{done.stderr[-2000:]}"
    assert done.returncode == 1, f"nothing notices that the rule is gone: {rule.rule}"
    assert " failed" in done.stdout, done.stdout[-1000:] + done.stderr[-1000:]
