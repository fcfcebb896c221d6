"""Where things are kept that take long to make: made once, by one process at a time, and never taken half made."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chaoskit.errors import EnvironmentFault

__all__ = ["cache_folder", "locked"]


def cache_folder(kind: str) -> Path:
    """A folder of this user for one kind of thing, made if need be.

    $XDG_CACHE_HOME/chaoskit/<kind>, else below ~/.cache, else, without a home that can be written, below the temporary
    folder under a name that only this user can own.

    Raises:
        EnvironmentFault: none of them can be written.
    """
    candidates = [os.environ.get("XDG_CACHE_HOME") or "", os.environ.get("HOME") and f"{os.environ['HOME']}/.cache"]
    tried = []
    for base in filter(None, candidates):
        if not Path(base).is_absolute():
            continue  # the XDG specification says to ignore those
        folder = Path(base) / "chaoskit" / kind
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            tried.append(f"{folder}: {error.strerror}")
            continue
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
        tried.append(f"{folder}: not writable")
    own = Path(tempfile.gettempdir()) / f"chaoskit-{os.geteuid()}"
    try:
        own.mkdir(mode=0o700, exist_ok=True)
        found = own.lstat()
        # Anybody may make this name first, and what is kept here is executed.
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise PermissionError(13, "it is somebody else's, or others may write to it")
        folder = own / kind
        folder.mkdir(exist_ok=True)
        return folder
    except OSError as error:
        tried.append(f"{own}: {error.strerror}")
    raise EnvironmentFault(
        f"there is no folder to keep things in ({'; '.join(tried)})", hint="set XDG_CACHE_HOME to a writable folder"
    )


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, waiting for whoever holds it. The kernel lets go of it when the holder dies.

    Raises:
        EnvironmentFault: it cannot be made.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise EnvironmentFault(f"cannot lock {path}: {error.strerror}", hint="set XDG_CACHE_HOME elsewhere") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
