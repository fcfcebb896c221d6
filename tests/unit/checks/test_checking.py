"""One history, one model, one verdict: crashes are inconclusive, strange operations are errors, models are found."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from histories.simulate import Call, operations

from chaoskit import registry
from chaoskit.checks import checking
from chaoskit.checks.checking import check, find_model, without
from chaoskit.checks.result import Alteration, Anomaly, Options, Result, judged
from chaoskit.checks.suggesting import contents, suggest
from chaoskit.errors import CheckerError, HistoryError, UsageError
from chaoskit.history.operations import Operations


def spoilt(of: Operations, position: int, random: random.Random) -> Operations | None:
    """A read that answers what nobody wrote."""
    return of.altered(result=np.where(np.arange(len(of)) == position, -1, of.result)) if of.f[position] else None


@dataclass(frozen=True)
class Ones:
    """Every read answers 1: so simple that everybody sees what it has to say."""

    name: str = "ones"
    summary: str = "reads answer 1"
    functions: frozenset[str] = frozenset({"read", "write"})
    levels: tuple[str, ...] = ("linearizable", "sequential")
    alterations: tuple[Alteration, ...] = (Alteration("nil", spoilt),)
    error: Exception | None = None

    def check(self, of: Operations, options: Options) -> Result:
        if self.error is not None:
            raise self.error
        bad = [at for at in range(len(of)) if of.function(at) == "read" and of.of_value(of.result[at]) != 1]
        anomalies = tuple(Anomaly("not-one", "sequential", len(bad), (bad[0],), "not 1") for _ in bad[:1])
        return judged(self.name, options.consistency or "linearizable", "ones", len(of), len(of), anomalies)


def history(*answers: int, f: str = "read") -> Operations:
    write = Call(0, "write", value=1, invoked=1, completed=2)
    reads = [Call(1, f, result=one, invoked=10 * at, completed=10 * at + 1) for at, one in enumerate(answers, 1)]
    return operations([write, *reads]).altered(source="h.edn", line=np.arange(1, len(answers) + 2))


def test_held_with_power_beside_it() -> None:
    found = check(history(1, 1, 1), Ones())
    assert found.result.verdict == "held"
    assert found.result.level == "linearizable"
    assert found.power is not None
    assert found.power.strikes[0].found == found.power.strikes[0].struck == 3


def test_refuted_has_no_power() -> None:
    found = check(history(1, 2), Ones(), Options(consistency="sequential"))
    assert (found.result.verdict, found.result.level, found.power) == ("refuted", "sequential", None)


@pytest.mark.parametrize(
    "error", [RecursionError("too deep"), ZeroDivisionError("x"), MemoryError(), AssertionError("y")]
)
def test_a_checker_that_crashes_is_inconclusive(error: Exception) -> None:
    found = check(history(1), Ones(error=error))
    assert found.result.verdict == "inconclusive"
    assert found.result.reasons == (f"the checker crashed: {type(error).__name__}: {error}",)
    assert not found.result.exact
    assert "Traceback" in found.crash


def test_a_checker_that_gives_up_is_inconclusive() -> None:
    found = check(history(1), Ones(error=CheckerError("gave up after 60 s")))
    assert (found.result.verdict, found.result.reasons) == ("inconclusive", ("gave up after 60 s",))
    assert found.crash == ""


def test_what_is_wrong_with_the_history_passes_through() -> None:
    with pytest.raises(HistoryError, match=r"h\.edn:3: no"):
        check(history(1), Ones(error=HistoryError("h.edn", 3, "no")))


def test_operations_that_the_model_knows_nothing_of_are_no_silent_skip() -> None:
    with pytest.raises(HistoryError) as caught:
        check(history(1, 1, f="dequeue"), Ones())
    assert caught.value.line == 2
    assert "called dequeue" in str(caught.value)
    assert "read, write" in str(caught.value)
    assert "--ignore dequeue` leaves 2 operations out" in str(caught.value)


def test_what_is_ignored_is_counted() -> None:
    left = without(history(1, 1, f="dequeue"), ["dequeue"])
    assert check(left, Ones()).result.operations == 1
    assert left.notes == ("left out as asked: 2 operations called dequeue",)
    assert without(left, ()) is left
    with pytest.raises(UsageError, match="no operation called dequeu"):
        without(history(1), ["dequeu"])


def test_a_level_that_the_model_does_not_judge() -> None:
    with pytest.raises(UsageError, match=r"did you mean 'sequential'"):
        check(history(1), Ones(), Options(consistency="sequentail"))
    with pytest.raises(UsageError, match="no levels"):
        check(history(1), Ones(levels=()), Options(consistency="sequential"))


def test_nothing_to_judge_is_not_held() -> None:
    found = check(history(1).where(slice(0, 0)), Ones())
    assert (found.result.verdict, found.power) == ("inconclusive", None)


def test_power_as_a_condition() -> None:
    assert check(history(1, 1), Ones(), min_power=1.0).result.verdict == "held"
    blind = Ones(alterations=(Alteration("same", lambda of, position, random: of),))
    found = check(history(1, 1), blind, min_power=0.9)
    assert found.result.verdict == "inconclusive"
    assert "shown same in 0 % of the places" in found.result.reasons[0]
    assert "at least 90.0 % was asked for" in found.result.reasons[0]
    assert "names no bug" in check(history(1), Ones(alterations=()), min_power=0.1).result.reasons[0]
    assert "anywhere" in check(history(), Ones(), min_power=0.1).result.reasons[0]
    assert check(history(2), Ones(), min_power=0.9).result.verdict == "refuted"


def test_long_histories_are_struck_on_request_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "POWER_UP_TO", 2)
    assert check(history(1, 1), Ones()).power is None
    assert check(history(1, 1), Ones(), with_power=True).power is not None
    assert check(history(1), Ones(), with_power=False).power is None


def test_bugs_are_planted_in_the_window_only() -> None:
    found = check(history(1, 1, 1), Ones(), window=np.array([False, False, False, True]))
    assert found.power is not None
    assert found.power.strikes[0].struck == 1


def test_progress_says_what_is_done() -> None:
    told: list[str] = []
    check(history(1, 1), Ones(), progress=lambda what, done, of_all: told.append(what))
    assert set(told) == {"planting bugs"}


# ------------------------------------------------------------------ models by name


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("mine_"):
            del sys.modules[name]


def refusal(name: str) -> str:
    with pytest.raises(UsageError) as caught:
        find_model(name)
    return str(caught.value)


@pytest.fixture
def ones(monkeypatch: pytest.MonkeyPatch) -> Ones:
    """Our own table with this one model in it, under two names."""
    made = Ones()
    sets = replace(made, name="adds", functions=frozenset({"read", "add"}), error=HistoryError("h", 1, "no set"))
    monkeypatch.setattr(registry, "names", lambda kind: ("adds", "ones") if kind == "model" else ())
    monkeypatch.setattr(registry, "known", lambda kind, name: kind == "model" and name in ("adds", "ones"))
    monkeypatch.setattr(registry, "load", lambda kind, name: made if name == "ones" else sets)
    return made


def test_a_registered_model(ones: Ones) -> None:
    assert find_model("ones") is ones
    assert "did you mean 'ones'?" in refusal("onse")


def test_a_whole_model_of_ones_own_in_the_current_directory(folder: Path) -> None:
    (folder / "mine_whole.py").write_text(
        "class M:\n name='m'; summary=''; functions=frozenset(); levels=(); alterations=()\n"
        " def check(self, operations, options): ...\n"
        "class Half:\n def check(self, operations, options): ...\n"
        "class Broken(M):\n def __init__(self): raise ValueError('boom')\n"
        "made = M()\n"
    )
    assert find_model("mine_whole.M").name == "m"
    assert find_model("mine_whole:made").name == "m"
    assert "lacks name, summary, functions, levels, alterations" in refusal("mine_whole.Half")
    assert "ValueError: boom" in refusal("mine_whole.Broken")


def test_a_model_that_is_not_there(folder: Path) -> None:
    assert "no module called mine_absent" in refusal("mine_absent.Class")
    assert "no module called mine_absent" in refusal("mine_absent.sub.Class")
    (folder / "mine_empty.py").write_text("class Stepper:\n def step(self, state, op): return state\nx = 1\n")
    assert "there is no 'Absent' in mine_empty" in refusal("mine_empty.Absent")
    assert "it has Stepper" in refusal("mine_empty.Absent")
    assert "no method step" in refusal("mine_empty.x")
    assert "there is no" in refusal(".")
    assert "there is no" in refusal("a..b")
    assert "there is no" in refusal(":")
    assert "there is no" in refusal("../models/mine.Class")


def test_a_module_that_does_not_import(folder: Path) -> None:
    (folder / "mine_broken.py").write_text("x = 1\ny = 1 / 0\n")
    assert "ZeroDivisionError" in refusal("mine_broken.Class")
    assert "mine_broken.py:2" in refusal("mine_broken.Class")
    (folder / "mine_needy.py").write_text("import mine_missing_dependency\n")
    assert "mine_missing_dependency" in refusal("mine_needy.Class")
    (folder / "mine_syntax.py").write_text("class\n")
    assert "SyntaxError" in refusal("mine_syntax.Class")


# ------------------------------------------------------------------ with no model


def test_what_could_be_checked(ones: Ones) -> None:
    """Where one model knows all operations, those that know some of them are only noise."""
    (found,) = suggest(history(1, 2))
    assert (found.model, found.against) == ("ones", ())
    assert found.levels == ("linearizable", "sequential")
    assert "3 operations are read, write" in found.why


def test_what_speaks_against(ones: Ones) -> None:
    of = history(1, 2).altered(functions=("sync", "read"))
    first, second = suggest(of)
    assert first.against == ("it knows nothing of sync", "no set")
    assert second.against == ("it knows nothing of sync; --ignore sync leaves these out",)


def test_models_about_something_else_are_not_named(ones: Ones) -> None:
    assert suggest(history(1, f="dequeue").where([1])) == ()


def test_what_is_in_a_history() -> None:
    calls = [
        Call(0, "write", value=1, invoked=1, completed=2),
        Call(1, "read", result=1, invoked=3, completed=4),
        Call(2, "write", value=2, invoked=5, outcome="info"),
        Call(3, "write", value=3, invoked=5, completed=6, outcome="fail"),
    ]
    assert contents(operations(calls)) == (
        "4 operations of 4 processes: write 3, read 1 (1 of unknown outcome, 1 failed)"
    )
    assert contents(operations([])) == "0 operations of 0 processes"
