"""Finds every process that belongs to a run, and ends it: for what outlived its supervisor."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from chaoskit import linux
from chaoskit.linux import ProcessId

__all__ = ["MARK", "belonging", "kill", "kill_below"]

MARK = "CHAOSKIT_RUN"  # environment variable of everything a run starts: the run's id

_PASS = 0.02


def belonging(run: str, folder: Path, known: Iterable[ProcessId] = ()) -> list[linux.Process]:
    """Living processes of a run, with all their descendants; this process and its ancestors never.

    One belongs if the ledger knows it (`known`), if its environment carries the run's mark, or if both its stdout and
    its stderr go to a log of the run: servers that write their status into their process title (PostgreSQL, Valkey)
    overwrite their environment with it. A working directory means nothing, a user may stand in it.

    Raises:
        EnvironmentFault: there is no /proc.
    """
    table = linux.processes()
    protected = _ancestors(os.getpid(), table)
    mark = f"{MARK}={run}".encode()
    logs = f"{folder}/blocks/"
    wanted = set(known)
    found: dict[int, linux.Process] = {}
    for process in table.values():
        if process.pid not in protected and (
            process.id in wanted or _marked(process.pid, mark) or _logs_to(process.pid, logs)
        ):
            found[process.pid] = process
            found.update((below.pid, below) for below in linux.descendants(process.pid, table))
    return [p for p in found.values() if p.pid not in protected and p.state not in linux.DEAD]


def kill(run: str, folder: Path, known: Iterable[ProcessId] = (), *, within: float = 5.0) -> tuple[int, list[int]]:
    """SIGKILL all that belongs to a run, until nothing is left; how many were killed, and pids that would not die.

    Raises:
        EnvironmentFault: there is no /proc.
    """
    known = tuple(known)
    end, killed = time.monotonic() + within, set[ProcessId]()
    while left := belonging(run, folder, known):
        killed.update(process.id for process in left)
        for process in left:
            _send(process.id)
        if time.monotonic() > end:
            return len(killed) - len(left), [process.pid for process in left]
        time.sleep(_PASS)
    return len(killed), []


def kill_below(*, within: float = 3.0) -> list[int]:
    """SIGKILL all descendants of this process (a subreaper: nobody escapes upwards) until none is left; who is."""
    end = time.monotonic() + within
    while left := [p for p in linux.descendants(os.getpid()) if p.state not in linux.DEAD]:
        for process in left:
            _send(process.id)
        if time.monotonic() > end:
            return [process.pid for process in left]
        time.sleep(_PASS)
    return []


def _send(who: ProcessId) -> None:
    """SIGKILL this very process: the pid is held by a descriptor while its identity is compared."""
    try:
        fd = os.pidfd_open(who.pid)
    except OSError:
        return
    try:
        if linux.identity(who.pid) == who:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
    except OSError:
        pass  # gone, or not ours to kill: the next look tells
    finally:
        os.close(fd)


def _ancestors(pid: int, table: dict[int, linux.Process]) -> set[int]:
    found = set[int]()
    while pid in table and pid not in found:
        found.add(pid)
        pid = table[pid].parent
    return found


def _marked(pid: int, mark: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return mark in file.read().split(b"\0")
    except OSError:
        return False  # somebody else's, or gone


def _logs_to(pid: int, prefix: str) -> bool:
    try:
        return all(os.readlink(f"/proc/{pid}/fd/{fd}").startswith(prefix) for fd in (1, 2))  # noqa: PTH115
    except OSError:
        return False
