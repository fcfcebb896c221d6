"""Which runs are going on as this user on this machine: one small JSON file per run in a state folder.

The supervisor's first act is to write its file and its last, when nothing is left, to remove it. A file whose
supervisor is dead therefore means: that run left something behind, be it only this file.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from chaoskit import linux
from chaoskit.data import SCHEMA_VERSION, Frozen
from chaoskit.errors import EnvironmentFault, StoreError
from chaoskit.linux import ProcessId
from chaoskit.store import write_atomic

__all__ = ["ActiveRun", "entries", "leftovers", "pid_namespace", "register", "running", "state_dir", "unregister"]

_SHARED = Path("/tmp")
_log = logging.getLogger(__name__)


class ActiveRun(Frozen):
    """One run that began here.

    Attributes:
        run: its id. directory: its folder. file: where this record is.
        supervisor, engine: pid and start time, as seen from outside of the run's own PID namespace.
        boot_id: pids mean nothing after a reboot. namespace: nor in another PID namespace (a container) than this.
    """

    schema_version: int = SCHEMA_VERSION
    run: str
    directory: str
    supervisor: tuple[int, int]
    engine: tuple[int, int]
    boot_id: str
    namespace: str
    file: str = ""

    @property
    def alive(self) -> bool:
        """Whether its supervisor runs."""
        return self.boot_id == linux.boot_id() and linux.alive(ProcessId(*self.supervisor))

    @property
    def engine_alive(self) -> bool:
        """Whether its engine runs."""
        return self.boot_id == linux.boot_id() and linux.alive(ProcessId(*self.engine))

    @property
    def stop_file(self) -> Path:
        """The supervisor ends the run when this file appears."""
        return Path(self.file).with_suffix(".stop")


def state_dir() -> Path:
    """The folder for state of this user: $CHAOSKIT_STATE, $XDG_STATE_HOME/chaoskit, ~/.local/state/chaoskit, or
    /tmp/chaoskit-<uid> where there is no home.

    Raises:
        EnvironmentFault: none can be used.
    """
    given = os.environ.get("CHAOSKIT_STATE")
    reasons = []
    for folder in [Path(given)] if given else _candidates():
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check(folder)
            return folder
        except OSError as error:
            reasons.append(f"{folder}: {error.strerror or error}")
    raise EnvironmentFault(
        f"there is no folder for the state of running experiments ({'; '.join(reasons)})",
        hint="set CHAOSKIT_STATE to a folder of yours that is writable",
    )


def register(entry: ActiveRun) -> ActiveRun:
    """Put a run on record; the entry with its file.

    Raises:
        EnvironmentFault: there is no place for it. StoreError: it cannot be written.
    """
    path = state_dir() / "active" / f"{entry.run}.json"
    entry = entry.model_copy(update={"file": str(path)})
    write_atomic(path, entry.model_dump_json(indent=1) + "\n")
    return entry


def unregister(entry: ActiveRun) -> None:
    """Take a run off the record, its stop file too; idempotent.

    Raises:
        StoreError: the file cannot be removed.
    """
    for path in (entry.stop_file, Path(entry.file)):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot remove {path}: {error.strerror or error}", hint="remove it by hand as the user of that run"
            ) from error


def entries() -> Iterator[ActiveRun]:
    """All runs on record in this PID namespace, whether they still run or not; unreadable files are left alone."""
    given = os.environ.get("CHAOSKIT_STATE")
    here = pid_namespace()
    boot = linux.boot_id()
    for folder in [Path(given)] if given else _candidates():
        try:
            _check(folder)
            files = sorted((folder / "active").glob("*.json"))
        except OSError:
            continue
        for path in files:
            try:
                entry = ActiveRun.model_validate_json(path.read_bytes()).model_copy(update={"file": str(path)})
            except FileNotFoundError:
                continue  # it ended meanwhile
            except (OSError, ValidationError) as error:
                _log.warning("%s is not readable and left alone: %s", path, error)
                continue
            # The same home seen from a container: its pids say nothing here, so neither do its runs.
            if entry.boot_id != boot or entry.namespace == here:
                yield entry


def running() -> list[ActiveRun]:
    """Runs whose supervisor is alive."""
    return [entry for entry in entries() if entry.alive]


def leftovers() -> list[ActiveRun]:
    """Runs whose supervisor is dead, or that a reboot ended: `recover` is due."""
    return [entry for entry in entries() if not entry.alive]


def pid_namespace() -> str:
    """Names the PID namespace of this process."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _candidates() -> list[Path]:
    found = []
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    if state.is_absolute():  # the XDG specification: a relative path is to be ignored
        found.append(state / "chaoskit")
    else:
        try:
            found.append(Path.home() / ".local" / "state" / "chaoskit")
        except RuntimeError:
            pass  # no home at all
    return [*found, _SHARED / f"chaoskit-{os.geteuid()}"]


def _check(folder: Path) -> None:
    """A folder that we can write to; in /tmp, which is everybody's, one that is really ours and nobody else's.

    Raises:
        OSError: it is not.
    """
    found = folder.lstat() if folder.parent == _SHARED else folder.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise OSError(errno.ENOTDIR, "not a folder")
    if folder.parent == _SHARED and (found.st_uid != os.geteuid() or found.st_mode & 0o077):
        raise OSError(errno.EPERM, "belongs to somebody else, or is open to others")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(errno.EACCES, "not writable")
