"""System calls that Python 3.11 does not offer, through the C library. Numbers are those of the kernel's headers.

Symbols are looked up when they are used, so that importing this on another system is harmless.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys

__all__ = [
    "CLONE_NEWIPC",
    "CLONE_NEWNS",
    "CLONE_NEWPID",
    "CLONE_NEWUSER",
    "MS_BIND",
    "MS_NODEV",
    "MS_NOEXEC",
    "MS_NOSUID",
    "MS_PRIVATE",
    "MS_REC",
    "call",
    "mount",
    "parent_death_signal",
    "remove_shared_memory",
    "short_slices",
    "subreaper",
    "unmount",
    "unshare",
]

CLONE_NEWNS = 0x00020000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000

MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000

_MNT_DETACH = 0x2
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_IPC_RMID = 0
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274, "riscv64": 274}  # older C libraries have no function for it

_libc: ctypes.CDLL | None = None


def call(name: str, *arguments: object) -> int:
    """Call a function of the C library that returns -1 on failure.

    Raises:
        OSError: it failed; `strerror` says why.
    """
    global _libc
    if _libc is None:
        _libc = ctypes.CDLL(None, use_errno=True)
    result = int(getattr(_libc, name)(*arguments))
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    """Leave the namespaces named by `flags` (CLONE_NEW...) for new ones. A new user namespace wants one thread only.

    Raises:
        OSError: not permitted here.
    """
    call("unshare", ctypes.c_int(flags))


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """mount(2).

    Raises:
        OSError: not permitted, or no such place.
    """
    encoded = (None if text is None else os.fsencode(text) for text in (source, target, kind))
    call("mount", *encoded, ctypes.c_ulong(flags), None if data is None else data.encode())


def unmount(target: str) -> None:
    """Take the topmost mount away from `target`; what is bound elsewhere out of it stays.

    Raises:
        OSError: nothing is mounted there.
    """
    call("umount2", os.fsencode(target), ctypes.c_int(_MNT_DETACH))


def parent_death_signal(number: signal.Signals) -> None:
    """Ask for a signal when the parent dies.

    Two traps: it fires when the *thread* that forked ends, so fork from a thread that lives as long as the process; and
    a change of uid clears it, so call this last. The parent may be dead already: look afterwards.

    Raises:
        OSError: not Linux.
    """
    call("prctl", ctypes.c_int(_PR_SET_PDEATHSIG), ctypes.c_ulong(number), *[ctypes.c_ulong(0)] * 3)


def subreaper() -> None:
    """Become the parent of every orphan below this process, so that `setsid` and double forks hide nobody.

    Raises:
        OSError: not Linux.
    """
    call("prctl", ctypes.c_int(_PR_SET_CHILD_SUBREAPER), ctypes.c_ulong(1), *[ctypes.c_ulong(0)] * 3)


def remove_shared_memory(identifier: int) -> None:
    """Mark a System V shared memory segment for removal.

    Raises:
        OSError: no such segment, or somebody else's.
    """
    call("shmctl", ctypes.c_int(identifier), ctypes.c_int(_IPC_RMID), None)


def short_slices(nanoseconds: int = 100_000) -> None:
    """Let this thread have the processor sooner, and for shorter at a time: its share of it stays what it was.

    The scheduler (EEVDF) serves first whose slice ends first, so that who asks for short ones seldom waits for another
    one's long slice. Since Linux 6.12, and without any privilege; elsewhere, and for a thread that is not scheduled in
    the usual way, nothing happens.

    Args:
        nanoseconds: of a slice; the kernel allows 0.1 to 100 ms.

    Raises:
        OSError: not permitted.
    """
    if sys.platform != "linux" or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return
    number = _SCHED_SETATTR.get(os.uname().machine)
    if number is None:
        return
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    # struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period, least and most utilisation
    wanted = struct.pack("=IIQiIQQQII", 56, os.SCHED_OTHER, 0, nice, 0, nanoseconds, 0, 0, 0, 0)
    call("syscall", ctypes.c_long(number), ctypes.c_int(0), wanted, ctypes.c_uint(0))
