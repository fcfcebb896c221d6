"""Private namespaces for one process and what it starts: names of its own, processes of its own.

All of it works as root (plain unshare) and as an ordinary user (a user namespace in which the caller's uid and gid mean
themselves). The order is fixed: `enter` in a process with one thread, then, after a fork if PIDs are to be private,
`mount_proc`, then `private_names`.
"""

# ruff: noqa: PTH110, PTH112, PTH116
# No pathlib here: its import would cost milliseconds at every start of a node.
from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence

from chaoskit.linux.calls import (
    CLONE_NEWIPC,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_REC,
    mount,
    unmount,
    unshare,
)

__all__ = ["enter", "hosts_text", "mount_proc", "nsswitch_text", "open_up", "private_names"]

_SCRATCH = "/tmp"  # any folder that is everywhere: files are written in a tmpfs over it, bound, and the tmpfs is gone
_NSCD = "/run/nscd"


def enter(*, pids: bool = False) -> None:
    """Give this process mounts (and System V memory) of its own; with `pids` its next child is PID 1 of a namespace.

    System V segments belong to the namespace so that a server that is killed leaves none behind.

    Raises:
        OSError: not permitted on this machine (`probe` says so beforehand, with the remedy).
    """
    flags = CLONE_NEWNS | CLONE_NEWIPC | (CLONE_NEWPID if pids else 0)
    if os.geteuid() == 0:
        unshare(flags)
    else:
        uid, gid = os.geteuid(), os.getegid()
        unshare(flags | CLONE_NEWUSER)
        # The kernel takes a gid map from an ordinary user only after setgroups has been given up.
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    mount("none", "/", None, MS_REC | MS_PRIVATE)


def mount_proc() -> None:
    """Show this PID namespace in /proc; call it as PID 1 of it.

    Raises:
        OSError: not permitted (a container that masks parts of /proc forbids it).
    """
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)


def hosts_text(hosts: Iterable[tuple[str, str]]) -> str:
    """/etc/hosts of these (address, name) pairs, localhost and this machine's own name added."""
    own = os.uname().nodename
    names = [("127.0.0.1", "localhost"), ("127.0.0.1", own)] if own != "localhost" else [("127.0.0.1", "localhost")]
    given = list(hosts)
    taken = {name for _, name in given}
    lines = [f"{address}\t{name}" for address, name in [*(pair for pair in names if pair[1] not in taken), *given]]
    return "\n".join(lines) + "\n"


def nsswitch_text(current: str) -> str:
    """nsswitch.conf in which names come from /etc/hosts first: systemd puts its resolver before the file."""
    kept = [line for line in current.splitlines() if line.partition("#")[0].partition(":")[0].strip() != "hosts"]
    return "\n".join([*kept, "hosts: files dns"]) + "\n"


def private_names(hosts: Sequence[tuple[str, str]]) -> None:
    """Put a private /etc/hosts of these (address, name) pairs in place; after `enter`.

    The C library and Go look there first, provided that nsswitch.conf says so and no name cache answers: both are seen
    to. Nothing stays on disk.

    Raises:
        OSError: there is no /etc/hosts to cover, or the mount is not permitted.
    """
    replaced = {"/etc/hosts": hosts_text(hosts)}
    try:
        with open("/etc/nsswitch.conf", errors="replace") as file:
            replaced["/etc/nsswitch.conf"] = nsswitch_text(file.read())
    except FileNotFoundError:
        pass  # musl has none and reads /etc/hosts first anyway
    mount("tmpfs", _SCRATCH, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=4m")
    try:
        for number, (target, text) in enumerate(replaced.items()):
            source = f"{_SCRATCH}/{number}"
            with open(source, "w") as file:
                os.fchmod(file.fileno(), 0o644)
                file.write(text)
            mount(source, target, None, MS_BIND)
    finally:
        unmount(_SCRATCH)
    if os.path.isdir(_NSCD):
        mount("tmpfs", _NSCD, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m")


def open_up(paths: Iterable[str], user: tuple[int, int], *, private: bool) -> None:
    """Let `user` (uid, gid) reach folders that lie below a folder closed to it (a home of mode 0700).

    In a private mount namespace the closed folder is covered by an empty one that shows nothing but these paths, at
    their own names, so that no argument needs to change. Without one nothing can be done.

    Raises:
        PermissionError: a folder is closed and `private` is false; the text names it.
        OSError: a path is missing, or mounting is not permitted.
    """
    opened = [(path, os.open(path, os.O_PATH | os.O_CLOEXEC)) for path in sorted(os.path.realpath(p) for p in paths)]
    try:
        for path, fd in opened:
            closed = _closed_folder(path, user)
            if closed is not None and not private:
                raise PermissionError(
                    13,
                    f"the user with uid {user[0]} may not enter {closed}, which is above {path}; "
                    f"allow it (chmod o+x {closed!r}) or keep runs and packages elsewhere",
                )
            if closed is not None:
                mount("tmpfs", closed, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m")
            if not os.path.exists(path):
                os.makedirs(path)
            if not os.path.samestat(os.stat(path), os.fstat(fd)):
                mount(f"/proc/self/fd/{fd}", path, None, MS_BIND | MS_REC)
    finally:
        for _, fd in opened:
            os.close(fd)


def _closed_folder(path: str, user: tuple[int, int]) -> str | None:
    """The topmost folder above `path` that the user may not enter."""
    parts = path.strip("/").split("/")
    for depth in range(1, len(parts)):
        folder = "/" + "/".join(parts[:depth])
        try:
            found = os.stat(folder)
        except FileNotFoundError:
            return None  # below a folder that we covered ourselves
        if found.st_uid == user[0]:
            needed = stat.S_IXUSR
        elif found.st_gid == user[1]:
            needed = stat.S_IXGRP
        else:
            needed = stat.S_IXOTH
        if not found.st_mode & needed:
            return folder
    return None
