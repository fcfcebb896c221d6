"""Processes as /proc shows them. Any of them may vanish between two reads; that is never an error here."""

# ruff: noqa: PTH208
# No pathlib here: its import would cost milliseconds at every start of a node.
from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from chaoskit.errors import EnvironmentFault

__all__ = [
    "DEAD",
    "STOPPED",
    "Process",
    "ProcessId",
    "Usage",
    "alive",
    "boot_id",
    "command",
    "descendants",
    "identity",
    "ns_pids",
    "process",
    "processes",
    "shared_memory",
    "usage",
]

DEAD = "ZX"  # state letters of processes that run no more
STOPPED = "Tt"

_STEADY_TRIES = 5


class ProcessId(NamedTuple):
    """One process for certain: pids are used again, (pid, start time) in one boot is not. `start_ticks` since boot."""

    pid: int
    start_ticks: int


class Process(NamedTuple):
    """A line of the process table. `state` is /proc's letter: R, S, D, T (stopped), t (traced), Z (zombie), I, X."""

    pid: int
    parent: int
    state: str
    start_ticks: int
    name: str

    @property
    def id(self) -> ProcessId:
        """Which process this is, beyond its pid."""
        return ProcessId(self.pid, self.start_ticks)


class Usage(NamedTuple):
    """What a process has had of the processors since it began, in seconds: `cpu` used, `waited` for one to be free."""

    cpu: float
    waited: float


def boot_id() -> str:
    """Identifies this boot of the machine; pids and monotonic instants mean nothing beyond it.

    Raises:
        EnvironmentFault: there is no /proc.
    """
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError as error:
        raise _no_proc(error) from error


def process(pid: int) -> Process | None:
    """One process, None when there is none of that pid."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return _parse(file.read())
    except (OSError, ValueError, IndexError):
        return None  # a process that ends while it is read gives ESRCH or an empty file


def processes() -> dict[int, Process]:
    """The whole process table, by pid.

    A pass over /proc is no snapshot: a child whose parent ended during the pass would hang in the air, unreachable from
    its ancestors. Such a pass is done again.

    Raises:
        EnvironmentFault: there is no /proc.
    """
    table: dict[int, Process] = {}
    for _ in range(_STEADY_TRIES):
        try:
            pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        except OSError as error:
            raise _no_proc(error) from error
        table = {found.pid: found for found in map(process, pids) if found is not None}
        if not table:
            raise _no_proc(None)
        if all(found.parent in table or found.parent == 0 for found in table.values()):
            break
    return table


def descendants(pid: int, table: dict[int, Process] | None = None) -> list[Process]:
    """Children of `pid`, their children and so on, zombies included, parents before children; `pid` itself left out.

    Raises:
        EnvironmentFault: there is no /proc.
    """
    if table is None:
        table = processes()
    children: dict[int, list[Process]] = {}
    for found in table.values():
        children.setdefault(found.parent, []).append(found)
    reached = list(children.get(pid, ()))
    for found in reached:  # grows while it is walked: breadth first
        reached.extend(children.get(found.pid, ()))
    return reached


def identity(pid: int) -> ProcessId | None:
    """Which process has this pid now; None when none has."""
    found = process(pid)
    return None if found is None else found.id


def alive(who: ProcessId) -> bool:
    """Whether this very process still runs; a zombie does not."""
    found = process(who.pid)
    return found is not None and found.start_ticks == who.start_ticks and found.state not in DEAD


def command(pid: int) -> str:
    """Command line, arguments joined by spaces; the name in brackets where there is none; "" when it is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            raw = file.read()
    except OSError:
        return ""
    text = raw.replace(b"\0", b" ").decode(errors="replace").strip()
    if text:
        return text
    found = process(pid)
    return f"[{found.name}]" if found else ""


def ns_pids(pid: int) -> tuple[int, ...]:
    """Pids of a process, from the reader's PID namespace down to its own; empty when it is gone."""
    try:
        with open(f"/proc/{pid}/status") as file:
            for line in file:
                if line.startswith("NSpid:"):
                    return tuple(int(word) for word in line.split()[1:])
    except OSError:
        return ()
    return (pid,)  # a kernel without PID namespaces does not print the line


def usage(pid: int) -> Usage | None:
    """What the living threads of a process have had; None when it is gone, or where the kernel does not say."""
    cpu = waited = 0
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                words = file.read().split()
            cpu, waited = cpu + int(words[0]), waited + int(words[1])
    except (OSError, ValueError, IndexError):
        return None
    return Usage(cpu / 1e9, waited / 1e9)


def shared_memory(creators: Iterable[int]) -> Iterator[int]:
    """Identifiers of System V segments made by these pids that nobody is attached to any more."""
    wanted = set(creators)
    try:
        with open("/proc/sysvipc/shm") as file:
            lines = file.read().splitlines()[1:]
    except OSError:
        return
    for line in lines:
        words = line.split()
        if len(words) > 6 and int(words[4]) in wanted and words[6] == "0":
            yield int(words[1])


def _parse(raw: bytes) -> Process:
    # The name stands in parentheses and may itself hold spaces and parentheses: the last one ends it.
    head, _, tail = raw.rpartition(b")")
    pid, _, name = head.partition(b" (")
    words = tail.split()
    return Process(int(pid), int(words[1]), words[0].decode(), int(words[19]), name.decode(errors="replace"))


def _no_proc(error: OSError | None) -> EnvironmentFault:
    reason = "it is empty" if error is None else (error.strerror or str(error))
    return EnvironmentFault(
        f"processes cannot be seen: /proc cannot be read ({reason})",
        hint="run on Linux with /proc mounted (in a container: do not mask it)",
    )
