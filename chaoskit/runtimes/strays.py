"""Who is connected to a real endpoint past its link: what the bypass check asks about ten times a second.

Every connection through a link ends in one that the proxy made to the real endpoint, so the table of sockets is full of
those. What counts is who holds a socket: the proxy, the supervisor (readiness), what it runs beside the nodes (health
checks, actions) and the destination itself may; a node or a traffic worker may not. Nobody is accused of a connection
that was gone before its holder was found, nor where those who may hold one cannot be looked into.

Nodes and workers are looked into first, and at every look: they hold few sockets, so that one which lives for some
milliseconds is still there when its turn comes. Sockets that none of them holds are nearly always the proxy's, which
holds many; whose they are is found out once a second.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping

from chaoskit import linux

__all__ = ["Strays"]

_Key = tuple[int, str, int]  # inode, and where its own end is: inodes are used again
_OURS = ""  # the holder of what may be


class Strays:
    """Looks for connections past the links of one stack. Cheap while nothing is new: the kernel is asked twice.

    Args:
        real: "node:port" -> host:port of each real endpoint.
        launched: name -> pid of the launcher of everything that runs now: nodes, traffic workers, the proxy.
        proxy: name of the proxy among them.
        every: seconds between two looks that find out whose the sockets of all others are.
    """

    def __init__(
        self, real: Mapping[str, str], launched: Callable[[], Mapping[str, int]], proxy: str, *, every: float = 1.0
    ) -> None:
        split = ((name, endpoint.rpartition(":")) for name, endpoint in real.items())
        self._names = {(host, int(port)): name for name, (host, _, port) in split}
        self._launched, self._proxy = launched, proxy
        self._lock = threading.Lock()  # looks are taken beside the supervisor's loop, and may overlap
        self._holders: dict[_Key, str] = {}  # of sockets that were there at the last look
        self._suspects: dict[linux.ProcessId, str] = {}  # processes of nodes and workers, as of a second ago
        self._every, self._due = every, 0.0

    def look(self) -> list[dict[str, str]]:
        """Established connections past the links now: `destination` ("node:port") and `source` (the node or worker that
        holds it; "" where it is somebody whose descriptors cannot be read), each pair once."""
        with self._lock:
            return self._look()

    def _look(self) -> list[dict[str, str]]:
        rows = linux.connected(self._names)
        known = self._holders
        self._holders = {key: known[key] for key in map(_key, rows) if key in known}
        fresh = [row for row in rows if row.inode and _key(row) not in known]
        nameless: set[_Key] = set()
        if fresh := self._caught(fresh):
            now = time.monotonic()
            if now >= self._due:
                self._due = now + self._every
                nameless = self._name(fresh)
        found: dict[tuple[str, str], None] = {}
        for row in rows:
            name = self._names[row.remote_host, row.remote_port]
            holder = self._holders.get(_key(row), _OURS)
            if _key(row) in nameless:
                found[name, ""] = None
            elif holder not in (_OURS, name.rpartition(":")[0]):  # by its own name a node reaches itself directly
                found[name, holder] = None
        return [{"destination": destination, "source": source} for destination, source in found]

    def _caught(self, fresh: list[linux.Socket]) -> list[linux.Socket]:
        """Find the new sockets that a node or a worker holds; the others."""
        if not fresh:
            return []
        wanted = {row.inode for row in fresh}
        whose = {who.pid: (who, name) for who, name in self._suspects.items()}
        held = {inode: pid for inode, pid in linux.owners(whose).items() if inode in wanted}
        same = {pid for pid in set(held.values()) if linux.identity(pid) == whose[pid][0]}  # pids are used again
        held = {inode: pid for inode, pid in held.items() if pid in same}
        return self._take(fresh, held, lambda pid: whose[pid][1])

    def _name(self, fresh: list[linux.Socket]) -> set[_Key]:
        """Find out who holds new sockets; those that certainly nobody of us holds."""
        table = linux.processes()
        launched = dict(self._launched())
        if self._proxy not in launched:
            return set()
        # The proxy first: nearly always it is the only one that has to be looked into.
        proxy = _Descriptors(_family(launched.pop(self._proxy), table))
        names = {pid: name for name, launcher in launched.items() for pid in _family(launcher, table)}
        self._suspects = {table[pid].id: name for pid, name in names.items() if pid in table}
        left = self._take(fresh, proxy.inodes, lambda pid: _OURS)
        if not left:
            return set()
        ours = {os.getpid(), *(found.pid for found in linux.descendants(os.getpid(), table))}
        others = _Descriptors(ours | set(names))
        left = self._take(left, others.inodes, lambda pid: names.get(pid, _OURS))
        if not left or proxy.closed or others.closed:
            return set()
        still = {_key(row) for row in linux.connected({(row.remote_host, row.remote_port) for row in left})}
        return {_key(row) for row in left} & still

    def _take(
        self, rows: Iterable[linux.Socket], inodes: Mapping[int, int], holder: Callable[[int], str]
    ) -> list[linux.Socket]:
        """Remember whose sockets these are; those of nobody here."""
        left = []
        for row in rows:
            if row.inode in inodes:
                self._holders[_key(row)] = holder(inodes[row.inode])
            else:
                left.append(row)
        return left


class _Descriptors:
    """Sockets held by some processes. `closed`: one of them lives and may not be looked into."""

    def __init__(self, pids: Collection[int]) -> None:
        self.inodes = linux.owners(pids)
        self.closed = not all(map(_open, pids))


def _open(pid: int) -> bool:
    try:
        os.scandir(f"/proc/{pid}/fd").close()
    except PermissionError:
        found = linux.process(pid)
        return found is None or found.state in linux.DEAD
    except OSError:
        pass  # it has ended
    return True


def _family(pid: int, table: dict[int, linux.Process]) -> set[int]:
    return {pid, *(found.pid for found in linux.descendants(pid, table))}


def _key(row: linux.Socket) -> _Key:
    return row.inode, row.host, row.port
