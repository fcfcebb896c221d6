"""Who is connected to a real endpoint past its link: what the bypass check asks about once a second.

Every connection through a link ends in one that the proxy made to the real endpoint, so the table of sockets is full of
those. What counts is who holds a socket: the proxy, the supervisor (readiness), what it runs beside the nodes (health
checks, actions) and the destination itself may; a node or a traffic worker may not. Nobody is accused of a connection
that was gone before its holder was found, nor where those who may hold one cannot be looked into.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterable, Mapping

from chaoskit import linux

__all__ = ["Strays"]

_Key = tuple[int, str, int]  # inode, and where its own end is: inodes are used again
_OURS = ""  # the holder of what may be


class Strays:
    """Looks for connections past the links of one stack. Cheap while nothing is new: two files are read.

    Args:
        real: "node:port" -> host:port of each real endpoint.
        launched: name -> pid of the launcher of everything that runs now: nodes, traffic workers, the proxy.
        proxy: name of the proxy among them.
    """

    def __init__(self, real: Mapping[str, str], launched: Callable[[], Mapping[str, int]], proxy: str) -> None:
        split = ((name, endpoint.rpartition(":")) for name, endpoint in real.items())
        self._names = {(host, int(port)): name for name, (host, _, port) in split}
        self._launched, self._proxy = launched, proxy
        self._lock = threading.Lock()  # looks are taken beside the supervisor's loop, and may overlap
        self._holders: dict[_Key, str] = {}  # of sockets that were there at the last look

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
        nameless = self._name(fresh) if fresh else set()
        found: dict[tuple[str, str], None] = {}
        for row in rows:
            name = self._names[row.remote_host, row.remote_port]
            holder = self._holders.get(_key(row), _OURS)
            if _key(row) in nameless:
                found[name, ""] = None
            elif holder not in (_OURS, name.rpartition(":")[0]):  # by its own name a node reaches itself directly
                found[name, holder] = None
        return [{"destination": destination, "source": source} for destination, source in found]

    def _name(self, fresh: list[linux.Socket]) -> set[_Key]:
        """Find out who holds new sockets; those that certainly nobody of us holds."""
        table = linux.processes()
        launched = dict(self._launched())
        if self._proxy not in launched:
            return set()
        # The proxy first: nearly always it is the only one that has to be looked into.
        proxy = _Descriptors(_family(launched.pop(self._proxy), table))
        left = self._take(fresh, proxy.inodes, lambda pid: _OURS)
        if not left:
            return set()
        names = {pid: name for name, launcher in launched.items() for pid in _family(launcher, table)}
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
