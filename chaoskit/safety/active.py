"""Which runs are going on as this user on this machine: one small JSON file per run in a state folder.

The supervisor's first act is to write its file and its last, when nothing is left, to remove it. A file whose
supervisor is dead therefore means: that run left something behind, be it only this file.

    <state folder>/            0700, ours alone
      stop                     while it is there no run may go on (`chaoskit stop --all`)
      active/<run>.json        the run        <run>.stop   it is asked to end
             <run>.sock        where its keeper listens, if the stack was started by hand
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from chaoskit import linux
from chaoskit.data import SCHEMA_VERSION, Frozen
from chaoskit.errors import EnvironmentFault, StoreError
from chaoskit.linux import ProcessId
from chaoskit.store import write_atomic

__all__ = [
    "ActiveRun",
    "block",
    "blocked",
    "entries",
    "exclusive",
    "leftovers",
    "pid_namespace",
    "register",
    "release",
    "running",
    "state_dir",
    "sweep",
    "unregister",
]

_SHARED = Path("/tmp")
_ACTIVE, _STOP = "active", "stop"
_OURS = (_ACTIVE, _STOP)
_TORN = 1.0  # seconds after which a temporary file has no writer any more
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
    def name(self) -> str:
        """Of its experiment, or of the stack that was started by hand: the folder above the run's own."""
        return Path(self.directory).parent.name

    @property
    def stop_file(self) -> Path:
        """The supervisor ends the run when this file appears."""
        return Path(self.file).with_suffix(".stop")

    @property
    def socket(self) -> Path:
        """Where the keeper of a stack that was started by hand listens; no other run has one."""
        return Path(self.file).with_suffix(".sock")

    @property
    def stop_asked(self) -> bool:
        """Whether this run, or all runs, are asked to end."""
        return self.stop_file.exists() or (Path(self.file).parents[1] / _STOP).exists()


def state_dir() -> Path:
    """The folder for state of this user: $CHAOSKIT_STATE, $XDG_STATE_HOME/chaoskit, ~/.local/state/chaoskit, or
    /tmp/chaoskit-<uid> where there is no home.

    Raises:
        EnvironmentFault: none can be used.
    """
    given = os.environ.get("CHAOSKIT_STATE")
    if given and not Path(given).is_absolute():
        raise EnvironmentFault(
            f"CHAOSKIT_STATE={given} is relative, and would be another folder for every process of a run",
            hint="give an absolute path",
        )
    reasons = []
    for folder in [Path(given)] if given else _candidates():
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check(folder)
            _make_private(folder)
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
    path = state_dir() / _ACTIVE / f"{entry.run}.json"
    entry = entry.model_copy(update={"file": str(path)})
    write_atomic(path, entry.model_dump_json(indent=1) + "\n", mode=0o600)
    return entry


def unregister(entry: ActiveRun) -> None:
    """Take a run off the record, its stop file and its socket too; idempotent.

    Raises:
        StoreError: the file cannot be removed.
    """
    for path in (entry.stop_file, entry.socket, Path(entry.file)):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot remove {path}: {error.strerror or error}", hint="remove it by hand as the user of that run"
            ) from error


def entries() -> Iterator[ActiveRun]:
    """All runs on record in this PID namespace, whether they still run or not; unreadable files are left alone."""
    here = pid_namespace()
    boot = linux.boot_id()
    for folder in _folders():
        try:
            files = sorted((folder / _ACTIVE).glob("*.json"))
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


def block() -> Path:
    """Ask all runs to end and let no new one begin, until `release`; the file that says so, empty: it must be possible
    on a full disk.

    Raises:
        EnvironmentFault: there is no state folder. StoreError: the file cannot be made.
    """
    path = state_dir() / _STOP
    try:
        path.touch(mode=0o600)
    except OSError as error:
        raise StoreError(
            f"cannot make {path}: {error.strerror or error}", hint="chaoskit stop RUN, for each of them"
        ) from error
    return path


def blocked() -> Path | None:
    """The file that blocks all runs of this user; None when there is none."""
    return next((folder / _STOP for folder in _folders() if os.path.lexists(folder / _STOP)), None)


def release() -> list[Path]:
    """Let runs begin again; the files that were in the way.

    Raises:
        StoreError: one cannot be removed.
    """
    removed = []
    while (found := blocked()) is not None:
        try:
            found.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot remove {found}: {error.strerror or error}", hint="remove it by hand as its owner"
            ) from error
        removed.append(found)
    return removed


def sweep() -> list[Path]:
    """Remove what a process that was killed while it wrote left in the state folder; idempotent."""
    removed = []
    for folder in _folders():
        for path in (folder / _ACTIVE).glob(".*"):
            try:
                # A file that somebody is writing at this moment is younger.
                if time.time() - path.lstat().st_mtime > _TORN:
                    path.unlink()
                    removed.append(path)
            except OSError:
                continue
    return removed


@contextmanager
def exclusive() -> Iterator[None]:
    """Nobody else of this user decides at this moment whether a run may begin; gone with its holder.

    Raises:
        EnvironmentFault: there is no state folder. OSError: it cannot be locked.
    """
    folder = state_dir() / _ACTIVE
    folder.mkdir(mode=0o700, exist_ok=True)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def pid_namespace() -> str:
    """Names the PID namespace of this process."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _folders() -> Iterator[Path]:
    """State folders of this user that are there and can be used."""
    given = os.environ.get("CHAOSKIT_STATE")
    for folder in [Path(given)] if given else _candidates():
        try:
            _check(folder)
        except OSError:
            continue
        yield folder


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
    if folder.parent == _SHARED and (found.st_uid != os.geteuid() or found.st_mode & 0o022):
        raise OSError(errno.EPERM, "belongs to somebody else, or is open to others")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(errno.EACCES, "not writable")


def _make_private(folder: Path) -> None:
    """Close a folder that others may look into, with what is in it: an older version or a loose umask made it so.

    Raises:
        OSError: it holds other things than ours, which others may need, or belongs to somebody else.
    """
    found = folder.stat()
    if found.st_uid != os.geteuid():
        raise OSError(errno.EPERM, f"belongs to somebody else (uid {found.st_uid})")
    if found.st_mode & 0o077:
        strange = sorted(path.name for path in folder.iterdir() if path.name.lstrip(".").split(".")[0] not in _OURS)
        if strange:
            raise OSError(errno.EPERM, f"is open to others and holds other things ({strange[0]})")
        folder.chmod(0o700)
    for path in ((folder / _ACTIVE), *(folder / _ACTIVE).glob("*"), folder / _STOP):
        try:
            found = path.lstat()
            if found.st_mode & 0o077 and not stat.S_ISLNK(found.st_mode):
                path.chmod(0o700 if stat.S_ISDIR(found.st_mode) else 0o600)
        except FileNotFoundError:
            continue  # it ended meanwhile
