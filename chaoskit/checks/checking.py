"""One history, one model, one verdict: what the command `check` and the claims of experiments have in common.

A model may crash, give up or spend its budget: that is inconclusive, never held. A history that is impossible, or is
not about what the model knows, is an error of the history, and nothing is concluded from it.
"""

from __future__ import annotations

import inspect
import random
import sys
import time
import traceback
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit import registry
from chaoskit.checks.levels import TRANSACTIONS
from chaoskit.checks.power import Power, power
from chaoskit.checks.result import Model, Options, Result
from chaoskit.errors import ChaosKitError, CheckerError, HistoryError, UsageError
from chaoskit.history.operations import Operations
from chaoskit.spec.suggest import did_you_mean, listed
from chaoskit.units import format_count, format_share

__all__ = ["POWER_UP_TO", "Checked", "check", "find_model", "judge", "without"]

POWER_UP_TO = 100_000  # operations; above it the power is found out on request only, because it takes minutes


@dataclass(frozen=True, eq=False)
class Checked:
    """What came of one check.

    Attributes:
        operations: those that were judged; positions in witnesses are positions in these.
        seconds: from the operations to the verdict; the power is not in it.
        power: what this history could have shown; None where it was not asked for, or nothing was held.
        crash: the traceback of a checker that crashed, for whoever mends it; "" otherwise.
    """

    operations: Operations
    result: Result
    seconds: float
    power: Power | None = None
    crash: str = ""


def check(
    operations: Operations,
    model: Model,
    options: Options = Options(),
    *,
    with_power: bool | None = None,
    min_power: float | None = None,
    window: NDArray[np.bool_] | None = None,
    seed: int = 0,
    tries: int = 100,
    progress: Callable[[str, int, int], None] | None = None,
) -> Checked:
    """Judge a history, and find out what it could have shown.

    Args:
        with_power: None = where something is held, up to POWER_UP_TO operations. min_power: share (0 to 1) of planted
            bugs that has to be found of every kind; less turns held into inconclusive.
        window: mask of `operations` in which bugs are planted; everywhere where left out.
        seed: of the places in which bugs are planted. tries: places for each kind of bug.
        progress: told (what is being done, done, of all) on long work.

    Raises:
        HistoryError: the history is impossible, or has operations that the model knows nothing of.
        UsageError: the model does not judge the level asked for.
    """
    _known_level(model, options.consistency)
    _known_functions(operations, model)
    if progress is not None:
        options = replace(options, progress=partial(progress, "checking"))
    result, seconds, crash = judge(operations, model, options)
    if not operations.real_time:
        result = _without_time(result)
    if not len(operations) and result.verdict == "held":
        nothing = ("there is no operation in it to be judged",)
        result = replace(result, verdict="inconclusive", reasons=nothing, not_refuted=None)
    found: Power | None = None
    wanted = min_power is not None or with_power or (with_power is None and len(operations) <= POWER_UP_TO)
    if wanted and result.verdict == "held":
        told = None if progress is None else partial(progress, "planting bugs")
        found = power(model, operations, options, random.Random(seed), tries, window, told)
    if min_power is not None and result.verdict == "held":
        weak = _too_weak(found, min_power)
        result = replace(result, verdict="inconclusive", reasons=(*result.reasons, weak)) if weak else result
    return Checked(operations, result, seconds, found, crash)


def judge(operations: Operations, model: Model, options: Options) -> tuple[Result, float, str]:
    """The verdict of a model, the seconds that it took, and the traceback of a crash ("" where there was none).

    Raises:
        HistoryError, UsageError: whatever is not the checker's own fault.
    """
    began = time.perf_counter()
    crash = ""
    try:
        result = model.check(operations, options)
    except CheckerError as error:
        result = _inconclusive(model, options, operations, error.message)
    except ChaosKitError:
        raise
    except Exception as error:  # RecursionError and MemoryError included: whatever it was, nothing was shown
        crash = traceback.format_exc()
        result = _inconclusive(model, options, operations, f"the checker crashed: {type(error).__name__}: {error}")
    return result, time.perf_counter() - began, crash


def _without_time(result: Result) -> Result:
    """What can be said of a history that knows nothing of the order between sessions: every refutation, and what is
    held of transactions up to the order of sessions. All else may be about time.
    """
    timeless = TRANSACTIONS[: TRANSACTIONS.index("strict-serializable")]
    if result.not_refuted is not None and result.not_refuted not in timeless:
        strongest = timeless[-1] if result.not_refuted in TRANSACTIONS else None
        result = replace(result, not_refuted=strongest)
    if result.verdict != "held" or result.level in timeless:
        return result
    reason = f"this format knows no order between sessions, and {result.level or 'this model'} may be about it"
    if result.level in TRANSACTIONS:
        reason += f"; ask for --consistency {timeless[-1]}"
    return replace(result, verdict="inconclusive", reasons=(*result.reasons, reason))


def _inconclusive(model: Model, options: Options, operations: Operations, reason: str) -> Result:
    level = options.consistency or next(iter(model.levels), "")
    return Result(model.name, level, "", "inconclusive", len(operations), 0, reasons=(reason,), exact=False)


def _known_level(model: Model, level: str | None) -> None:
    if level is None or level in model.levels:
        return
    if not model.levels:
        raise UsageError(f"the model {model.name} has one rule of its own and no levels: leave out {level!r}")
    raise UsageError(f"the model {model.name} does not judge {level!r}", hint=did_you_mean(level, model.levels))


def without(operations: Operations, ignore: Collection[str]) -> Operations:
    """A history without the operations of some functions; its notes say how many they were.

    Raises:
        UsageError: it has no operation called so.
    """
    if not ignore:
        return operations
    if absent := set(ignore) - set(operations.functions):
        raise UsageError(
            f"{operations.source or 'the history'} has no operation called {listed(sorted(absent))}",
            hint=f"it has {listed(operations.functions)}",
        )
    left_out = operations.named(*ignore)
    note = f"left out as asked: {_operations(int(np.count_nonzero(left_out)))} called {listed(sorted(ignore))}"
    return operations.where(~left_out).altered(notes=(*operations.notes, note))


def _known_functions(operations: Operations, model: Model) -> None:
    """A model that knows nothing of an operation may not judge the rest as if it were not there."""
    strange = ~operations.named(*model.functions)
    if not model.functions or not strange.any():
        return
    first = int(np.argmax(strange))
    names = sorted({operations.functions[number] for number in np.unique(operations.f[strange])})
    remedy = "without a model, `chaoskit check` says which one fits"
    if not strange.all():
        left_out = _operations(int(np.count_nonzero(strange)))
        remedy += f"; `--ignore {','.join(names)}` leaves {left_out} out"
    raise HistoryError(
        operations.source or "history",
        int(operations.line[first]),
        f"operation {int(operations.index[first])} is called {operations.function(first)}, which the model "
        f"{model.name} knows nothing of: it is about {listed(sorted(model.functions))}",
        hint=remedy,
    )


def _operations(count: int) -> str:
    return f"{format_count(count)} operation{'' if count == 1 else 's'}"


def _too_weak(found: Power | None, asked: float) -> str | None:
    """Why the power is not enough; None where it is."""
    if found is None or not found.strikes:
        return "; ".join(found.notes if found is not None else ("no bugs were planted",))
    least = found.least
    if least is None:
        return "no bug could have struck anywhere in this history, so it shows nothing"
    share = least.share or 0.0
    if share >= asked:
        return None
    return (
        f"this history would have shown {least.kind} in {format_share(share)} of the places where it could have "
        f"struck; at least {format_share(asked)} was asked for"
    )


def find_model(name: str) -> Model:
    """The model of a name: one that is registered, or the user's own as `package.module.Class` (or `…:Class`), which
    is looked for in the current directory, too.

    Raises:
        UsageError: there is none, or it cannot be imported; says why.
    """
    if registry.known("model", name):
        found: Model = registry.load("model", name)
        return found
    module_name, _, attribute = name.partition(":") if ":" in name else name.rpartition(".")
    if not all(part.isidentifier() for part in (*module_name.split("."), attribute)):
        raise UsageError(
            f"there is no model called {name!r}",
            hint=f"{did_you_mean(name, registry.names('model'))} (a model of your own is named as module.Class)",
        )
    module = _imported(module_name, name)
    own: Any = getattr(module, attribute, None)
    if own is None:
        classes = [one for one, value in vars(module).items() if inspect.isclass(value) and hasattr(value, "step")]
        hint = f"it has {listed(classes)}" if classes else "it has no class with a method step(state, op)"
        raise UsageError(f"there is no {attribute!r} in {module_name}", hint=hint)
    return _whole(own) if callable(getattr(own, "check", None)) else _wrapped(own)


def _imported(module: str, name: str) -> ModuleType:
    """The user's module. The current directory is looked at first, as `python -m` does."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and (module == error.name or module.startswith(f"{error.name}.")):
            raise UsageError(
                f"there is no model {name!r}: no module called {error.name} here or among the installed packages",
                hint=f"run chaoskit where {error.name.partition('.')[0]}.py is; models of ours: "
                f"{listed(registry.names('model'))}",
            ) from error
        raise UsageError(f"the module {module} of your model cannot be imported: {error}") from error
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
        raise UsageError(
            f"the module {module} of your model cannot be imported: {type(error).__name__}: {error}{place}"
        ) from error


def _whole(own: Any) -> Model:
    """Something that has the whole Protocol, not just a step."""
    try:
        made = own() if inspect.isclass(own) else own
    except Exception as error:
        raise UsageError(f"your model {own.__qualname__} cannot be made: {type(error).__name__}: {error}") from error
    if isinstance(made, Model):
        return made
    lacks = [name for name in ("name", "summary", "functions", "levels", "alterations") if not hasattr(made, name)]
    raise UsageError(f"your model {type(made).__qualname__} lacks {listed(lacks)}", hint="docs/check.md lists them")


def _wrapped(own: Any) -> Model:
    """A class with `step(state, op) -> state | None` as a model."""
    if not callable(getattr(own, "step", None)):
        raise UsageError(
            f"{getattr(own, '__qualname__', own)!r} is no model: it has no method step(state, op)",
            hint="docs/check.md shows a model of one's own",
        )
    try:
        wrap = import_module("chaoskit.checks.models.user").wrap
    except ModuleNotFoundError as error:
        raise UsageError("this version of chaoskit has no search for models of one's own") from error
    found: Model = wrap(own)
    return found
