"""Cleans up what killed runs left behind, and stops a run from another terminal. Works from any process of the user.

Everything here can be done again and again: after a reboot (only files are left then), on half a ledger, twice at once.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaoskit import linux
from chaoskit.errors import (
    ChaosKitError,
    EnvironmentFault,
    ExitCode,
    HealError,
    LeftoverError,
    StoreError,
    UsageError,
)
from chaoskit.linux import ProcessId
from chaoskit.safety import hunt
from chaoskit.safety.active import (
    ActiveRun,
    block,
    blocked,
    entries,
    leftovers,
    release,
    running,
    state_dir,
    sweep,
    unregister,
)
from chaoskit.safety.ledger import Ledger, LedgerState, read_ledger

__all__ = ["RecoverReport", "preflight", "recover", "stop", "stop_all", "unblock"]

_ENDING = 20.0  # seconds that a supervisor whose engine is dead has to end by itself
_PATIENCE = (30.0, 20.0)  # seconds after the request, and after SIGTERM


@dataclass
class RecoverReport:
    """What `recover` found, what it did, and what is left, as sentences; `left` is empty when all is well."""

    found: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> ExitCode:
        """UNHEALED when something is left."""
        return ExitCode.UNHEALED if self.left else ExitCode.OK

    def lines(self) -> list[str]:
        """For a terminal."""
        if not (self.found or self.done or self.left):
            return ["nothing to recover: no run left anything behind"]
        return [*self.found, *self.done, *(f"LEFT: {text}" for text in self.left)]

    def summary(self) -> dict[str, Any]:
        """For `--json`."""
        return {"found": list(self.found), "done": list(self.done), "left": list(self.left)}


def preflight() -> None:
    """Refuse to start while an earlier run has left something behind, or while all runs are stopped; runs and stacks
    that go on elsewhere are no obstacle.

    Raises:
        LeftoverError: one has. EnvironmentFault: all are stopped, or there is no state folder.
    """
    state_dir()
    stopped = blocked()
    if stopped is not None:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(stopped.lstat().st_mtime))
        raise EnvironmentFault(
            f"nothing may run since {since}, when `chaoskit stop --all` was called ({stopped})",
            hint="chaoskit stop --release, when whoever stopped it agrees",
        )
    left = leftovers()
    if left:
        raise LeftoverError(
            f"an earlier run ended without cleaning up: {', '.join(entry.run for entry in left)} "
            f"({', '.join(entry.directory for entry in left)})",
            hint="chaoskit recover",
        )


def recover(run: str | None = None) -> RecoverReport:
    """Clean up after runs whose supervisor is dead (all of them, or one); runs that go on are left alone.

    A supervisor that outlived its engine is about to clean up by itself: it is given time to, and is ended if it hangs.

    Raises:
        EnvironmentFault: there is no /proc.
    """
    report = RecoverReport()
    sweep()
    for entry in list(entries()):
        if run is not None and entry.run != run:
            continue
        if entry.alive and (entry.engine_alive or (run is None and _ends_soon(entry))):
            if entry.engine_alive:
                how = f"down {entry.name}" if entry.socket.exists() else f"stop {entry.run}"
                report.found.append(f"{entry.run}: is running, left alone (to end it: chaoskit {how})")
            else:
                report.found.append(f"{entry.run}: its engine is dead; its supervisor has cleaned up")
            continue
        try:
            _recover_one(entry, report)
        except ChaosKitError as error:
            report.left.append(f"{entry.run}: {error.message}")
    return report


def stop(run: str | None = None) -> Iterator[str]:
    """Ask a run that goes on elsewhere to heal and end, and wait until it has; yields what happens.

    Args:
        run: its id or the end of it; None where only one is running.

    Raises:
        UsageError: none is running, or several are and none was named. HealError: it could not be ended.
    """
    found = [entry for entry in running() if run is None or entry.run == run or entry.run.endswith(f"-{run}")]
    if not found:
        raise UsageError(
            "no run is going on" if run is None else f"no run called {run} is going on",
            hint="`chaoskit runs` lists runs; what a killed one left is removed by `chaoskit recover`",
        )
    if len(found) > 1:
        raise UsageError(
            f"several runs are going on: {', '.join(entry.run for entry in found)}", hint="chaoskit stop RUN"
        )
    yield from _stop_one(found[0])


def stop_all() -> Iterator[str]:
    """Ask all runs and stacks of this user to heal and end, let no new one begin until `unblock`, and wait until all
    have ended; yields what happens.

    Raises:
        StoreError: the request cannot be written. HealError: not all could be ended; the others were.
    """
    path = block()
    yield f"no new run may begin until `chaoskit stop --release` ({path})"
    problems = []
    for entry in running():
        try:
            yield from _stop_one(entry)
        except HealError as error:
            problems.append(error.message)
    if problems:
        raise HealError("; ".join(problems), hint="chaoskit recover")


def unblock() -> Iterator[str]:
    """Let runs begin again; yields what happens.

    Raises:
        StoreError: what is in the way cannot be removed.
    """
    removed = release()
    yield "runs may begin again" if removed else "nothing was stopped by `chaoskit stop --all`"


def _stop_one(entry: ActiveRun) -> Iterator[str]:
    try:
        if not entry.stop_asked:
            entry.stop_file.touch(mode=0o600)
    except OSError as error:
        raise HealError(
            f"cannot ask {entry.run} to stop: {entry.stop_file}: {error.strerror}",
            hint="free disk space, or run it as the user of that run",
        ) from error
    yield f"{entry.run}: asked to heal and end"
    if _wait(entry, _PATIENCE[0]):
        yield f"{entry.run}: healed and ended"
        return
    _signal(entry, signal.SIGCONT)  # a supervisor that was stopped can do nothing else
    _signal(entry, signal.SIGTERM)
    yield f"{entry.run}: does not answer, its supervisor was sent SIGTERM"
    if _wait(entry, _PATIENCE[1]):
        yield f"{entry.run}: healed and ended"
        return
    _signal(entry, signal.SIGKILL)
    _wait(entry, 5.0)
    report = recover(entry.run)
    yield f"{entry.run}: its supervisor was killed; cleaned up after it"
    yield from (f"{entry.run}: {line}" for line in report.done)
    if report.left:
        raise HealError(f"{entry.run} could not be ended: {'; '.join(report.left)}", hint="chaoskit recover")


def _recover_one(entry: ActiveRun, report: RecoverReport) -> None:
    folder = Path(entry.directory)
    try:
        state = read_ledger(folder)
    except StoreError as error:
        report.found.append(f"{entry.run}: {error.message}")
        state = LedgerState()
    rebooted = entry.boot_id != linux.boot_id()
    active = f", {len(state.active)} fault(s) active" if state.active else ""
    report.found.append(
        f"{entry.run}: ended without cleaning up{active}{' (the machine was restarted since)' if rebooted else ''}"
    )
    killed: list[int] = []
    if not rebooted:
        count, left = hunt.kill(entry.run, folder, [ProcessId(*entry.supervisor), *state.processes])
        killed = [count]
        if count:
            report.done.append(f"{entry.run}: killed {count} process{'es' if count != 1 else ''}")
        if left:
            report.left.append(f"{entry.run}: processes {left} do not die")
            return
    removed = _remove(state, folder, report, entry.run)
    if folder.is_dir():
        try:
            ledger = Ledger(folder)
            ledger.note("recovered", sync=True, killed=sum(killed), removed=removed)
            ledger.close()
        except StoreError as error:
            report.found.append(f"{entry.run}: {error.message}, which changes nothing")
    unregister(entry)
    report.done.append(f"{entry.run}: cleaned up; what it measured is kept in {folder}")


def _remove(state: LedgerState, folder: Path, report: RecoverReport, run: str) -> list[str]:
    """Remove files that were only for the time of the run, and the data of its nodes (their logs are kept)."""
    removed = []
    for path in state.files:
        try:
            path.unlink()
            removed.append(str(path))
        except FileNotFoundError:
            pass
        except OSError as error:
            report.left.append(f"{run}: {path} cannot be removed: {error.strerror}")
    for data in folder.glob("blocks/*/data"):
        try:
            _remove_tree(data)
            removed.append(str(data))
        except OSError as error:
            report.left.append(f"{run}: {error.filename or data} cannot be removed: {error.strerror}")
    return removed


def _remove_tree(folder: Path) -> None:
    """Remove a folder, also while somebody else who recovers at the same time removes it."""
    while folder.exists():
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            # The other one was quicker with something in it. Both may be told so, each of another file: to leave the
            # rest to the other would be to leave it for ever.
            time.sleep(0.001)


def _ends_soon(entry: ActiveRun) -> bool:
    """Wait for a supervisor whose engine is dead; whether it ended and took itself off the record."""
    if not _wait(entry, _ENDING):
        _signal(entry, signal.SIGCONT)
        _signal(entry, signal.SIGTERM)
        if not _wait(entry, _PATIENCE[1]):
            _signal(entry, signal.SIGKILL)
            _wait(entry, 5.0)
    return not Path(entry.file).exists()


def _wait(entry: ActiveRun, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while entry.alive:
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _signal(entry: ActiveRun, number: signal.Signals) -> None:
    try:
        if entry.alive:
            os.kill(entry.supervisor[0], number)
    except OSError:
        pass  # it ended meanwhile
