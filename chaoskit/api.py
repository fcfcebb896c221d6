"""What the README shows: validate, plan, run, analyse, report. Synchronous; the shells call nothing else.

The engine lives on a background thread with an event loop of its own, so these functions work in a script, in pytest
and inside another event loop's executor alike.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from chaoskit.errors import ChaosKitError, ExitCode, InternalError, Interrupted, SpecError, StoreError, worst
from chaoskit.hand.doing import down, fault_help, heal, inject, status, up
from chaoskit.histories import check, check_help, check_page, export_history
from chaoskit.stored import analyse, exit_code, find_run, read_json, render, report, runs

if TYPE_CHECKING:
    from chaoskit.analysis.model import Analysis
    from chaoskit.contracts import Observer
    from chaoskit.engine import Control
    from chaoskit.plan import Plan
    from chaoskit.safety.recover import RecoverReport
    from chaoskit.store import RunDir

__all__ = [
    "Outcome",
    "analyse",
    "catalogue",
    "check",
    "check_help",
    "check_page",
    "describe",
    "doctor",
    "down",
    "exit_code",
    "export_history",
    "fault_help",
    "find_run",
    "heal",
    "inject",
    "load_plan",
    "recover",
    "render",
    "report",
    "run",
    "runs",
    "schema",
    "status",
    "stop",
    "up",
    "validate",
]


class Outcome(NamedTuple):
    """How a run ended.

    Attributes:
        analysis: None when nothing could be judged (it did not start, or the analysis itself failed).
        report: path of report.html, None when there is none.
        error: the first error, which is never hidden by a later one.
    """

    run: RunDir
    exit_code: ExitCode
    analysis: Analysis | None
    report: Path | None
    error: ChaosKitError | None

    def summary(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "run": self.run.id,
            "directory": str(self.run.path),
            "exit_code": int(self.exit_code),
            "verdict": self.analysis.verdict if self.analysis else None,
            "as_expected": self.analysis.as_expected if self.analysis else None,
            "headline": self.analysis.headline if self.analysis else None,
            "claims": [
                {
                    "variant": claim.variant,
                    "claim": claim.claim,
                    "verdict": claim.verdict,
                    "expected": claim.expected,
                    "observed": claim.observed,
                    "sentence": claim.sentence,
                }
                for claim in (self.analysis.claims if self.analysis else ())
            ],
            "report": str(self.report) if self.report else None,
            "error": self.error.summary() if self.error else None,
        }


def validate(file: Path | str, *, overrides: Sequence[str] = ()) -> tuple[str, ...]:
    """Check an experiment and its target; starts nothing. Returns warnings.

    Raises:
        SpecError: all mistakes found, each with file, line and column.
        PlanError: well formed, but it cannot be carried out.
    """
    from chaoskit import registry
    from chaoskit.lint import check_abilities, load_checked  # no plan is made: to load it takes longer than to check

    loaded, target, checked = load_checked(Path(file), overrides=overrides, environ=os.environ)
    check_abilities(loaded, target, "auto", registry.load("runtime", loaded.experiment.runtime)().abilities())
    return tuple(checked.warnings)


def load_plan(
    file: Path | str,
    *,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    trials: int | None = None,
    interposition: str = "auto",
    toxiproxy: Literal["auto", "embedded", "real"] = "auto",
    environ: Mapping[str, str] | None = None,
) -> Plan:
    """Read an experiment and its target, and decide everything that a run will do. Starts nothing.

    Args:
        overrides: `path=value` texts, as for `--set`.
        interposition: `auto`, `hosts` or `rewrite`.
        toxiproxy: which server bends the links: our own (`embedded`; `auto` is that, too) or the original (`real`).
        environ: for ${VAR}; the process environment if left out.

    Raises:
        SpecError, PlanError: as for `validate`, and also what this machine cannot do. EnvironmentFault: `real`, and
            there is none on this machine.
    """
    from chaoskit import registry
    from chaoskit.lint import load_both
    from chaoskit.plan import make_plan

    loaded, target = load_both(Path(file), overrides=overrides, environ=os.environ if environ is None else environ)
    runtime = registry.load("runtime", loaded.experiment.runtime)()
    if toxiproxy == "real":
        from chaoskit.runtimes.real_toxiproxy import find_server

        find_server()
    return make_plan(
        loaded,
        target,
        seed=seed,
        trials=trials,
        interposition=runtime.check(target, interposition),
        toxiproxy="real" if toxiproxy == "real" else "embedded",
        abilities=runtime.abilities(),
    )


def describe(plan: Plan) -> str:
    """What a run of this plan will do, as text for people."""
    from chaoskit.plan_text import describe as text

    return text(plan)


def schema() -> dict[str, Any]:
    """JSON Schema draft-07 of experiment files."""
    from chaoskit.spec.schema import schema as made

    return made()


def run(
    experiment: Plan | Path | str,
    *,
    runs: Path | str = "runs",
    observers: Sequence[Observer] = (),
    overrides: Sequence[str] = (),
    seed: int | None = None,
    trials: int | None = None,
    interposition: str = "auto",
    toxiproxy: Literal["auto", "embedded", "real"] = "auto",
) -> Outcome:
    """Run an experiment to its end: stack up, faults, heal, stack down, judge, report.

    SIGINT or SIGTERM (in the main thread) heals and reports what was measured.

    Raises:
        KeyboardInterrupt: a second signal came: nobody waits, the engine (or, when the process ends, the supervisor)
        heals and stops everything all the same.
        SpecError, PlanError, EnvironmentFault: nothing was started. LeftoverError: recover an earlier run first.
        Everything that happens after the start is in the outcome, not raised.
    """
    from chaoskit.engine import Control
    from chaoskit.store import RunDir

    if isinstance(experiment, Path | str):
        experiment = load_plan(
            experiment,
            overrides=overrides,
            seed=seed,
            trials=trials,
            interposition=interposition,
            toxiproxy=toxiproxy,
        )
    from chaoskit.safety.recover import preflight

    preflight()
    folder = RunDir.create(Path(runs), experiment.experiment.name)
    control = Control()
    with _signals(control):
        return _conclude(folder, _run_engine(experiment, folder, observers, control), control)


def _run_engine(plan: Plan, folder: RunDir, observers: Sequence[Observer], control: Control) -> list[ChaosKitError]:
    """The engine on a thread of its own; returns its errors. The calling thread only waits (and takes signals)."""
    import asyncio

    from chaoskit import engine

    found: list[ChaosKitError] = []

    def work() -> None:
        try:
            found.extend(asyncio.run(engine.run(plan, folder, observers=observers, control=control)))
        except ChaosKitError as error:
            found.append(error)
        except Exception as error:
            found.append(_bug(error, folder))

    thread = threading.Thread(target=work, name="chaoskit-engine", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.1)
    return found


@contextmanager
def _signals(control: Control) -> Iterator[None]:
    """SIGINT and SIGTERM ask the engine to stop; only a main thread can take signals, elsewhere this does nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, _frame: object) -> None:
        if not control.interrupt(signal.Signals(number).name):
            raise KeyboardInterrupt  # a second time: wait no longer; the supervisor heals when this process ends

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _conclude(folder: RunDir, errors: list[ChaosKitError], control: Control) -> Outcome:
    """Judge what was measured, write the report, decide the exit code. A failure here never hides an earlier one."""
    found: Analysis | None = None
    path: Path | None = None
    if any(folder.path.glob("cells/*/*/events.jsonl")):
        try:
            found = analyse(folder)
            path = next(iter(report(folder, formats=("html", "md", "json"))), None)
        except ChaosKitError as problem:
            errors.append(problem)
        except Exception as error:
            errors.append(_bug(error, folder))
    # Which signal it was that interrupted the run, only `control` knows.
    codes = [error.exit_code for error in errors if not isinstance(error, Interrupted)]
    if control.reason is not None:
        codes.append(ExitCode.TERMINATED if control.reason == "SIGTERM" else ExitCode.INTERRUPTED)
    if found is not None:
        codes.append(exit_code(found))
    code = worst(codes)
    first = errors[0] if errors else None
    with suppress(StoreError):
        record = dict(read_json(folder, "run.json"))
        record |= {
            "status": "interrupted" if control.reason else "failed" if first else "done",
            "ended": _utc(),
            "exit_code": int(code),
            "verdict": found.verdict if found else None,
            "error": str(first) if first else None,
        }
        folder.write_json("run.json", record)
    return Outcome(folder, code, found, path, first)


def _bug(error: Exception, folder: RunDir) -> InternalError:
    """A foreign exception: ours to mend, and kept whole where the run is."""
    with suppress(OSError), open(folder.file("bug.txt"), "a") as file:
        traceback.print_exception(error, file=file)
    bug = InternalError(
        f"a bug in chaoskit: {type(error).__name__}: {error}", hint=f"please report it with {folder.file('bug.txt')}"
    )
    bug.__cause__ = error
    return bug


def stop(
    run: str | None = None,
    *,
    everything: bool = False,
    release: bool = False,
    told: Callable[[str], None] = lambda line: None,
) -> list[str]:
    """Stop a run that is going on elsewhere on this machine; lines that say what was done.

    Args:
        everything: all runs and stacks of this user, and no new one may begin - until `release`.
        told: called with each line as it comes.

    Raises:
        UsageError: none is running, or several are and none was named. HealError: not all could be ended.
    """
    from chaoskit.safety.recover import stop as end
    from chaoskit.safety.recover import stop_all, unblock

    lines = []
    for line in unblock() if release else stop_all() if everything else end(run):
        lines.append(line)
        told(line)
    return lines


def recover() -> RecoverReport:
    """Clean up what killed runs left behind; safe at any time, and twice."""
    from chaoskit.safety.recover import recover as clean

    return clean()


def doctor() -> list[dict[str, Any]]:
    """What this machine can do, as facts with a remedy each."""
    from chaoskit.runtimes.doctor import facts
    from chaoskit.safety.active import leftovers

    found = [
        {"name": f.name, "ok": f.ok, "detail": f.detail, "remedy": f.remedy, "required": f.required} for f in facts()
    ]
    left = leftovers()
    found.append(
        {
            "name": "leftovers",
            "ok": not left,
            "detail": "none" if not left else f"{len(left)} run(s) left something behind",
            "remedy": "chaoskit recover" if left else "",
            "required": True,
        }
    )
    return found


def catalogue(folder: Path | str = ".") -> dict[str, list[dict[str, str]]]:
    """Experiments below a folder: file, target and the question each answers (unreadable ones are listed as such)."""
    from chaoskit.spec.load import load_experiment

    found = []
    for path in sorted(Path(folder).glob("**/*.yaml")):
        if any(part.startswith(".") for part in path.parts) or b"kind: Experiment" not in path.read_bytes()[:4096]:
            continue
        try:
            experiment = load_experiment(path, overrides=(), environ=os.environ).experiment
        except SpecError as error:
            found.append({"file": str(path), "target": "-", "question": f"cannot be read: {error.problems[0].what}"})
            continue
        found.append({"file": str(path), "target": Path(experiment.target).name, "question": experiment.question})
    return {"experiments": found}


def _utc() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
