"""Where clients of one proxy come in: accepted a few at a time, or left hanging as on a cut wire.

Not an asyncio server, because uvloop's can close itself without a word once the process is out of descriptors: the
proxy would refuse its clients from then on, although nobody asked for an outage.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from typing import Any

from chaoskit.toxiproxy.server.address import BACKLOG
from chaoskit.toxiproxy.server.stage import MS
from chaoskit.toxiproxy.server.timers import Timer, Timers

__all__ = ["Listener"]

_AT_ONCE = 64  # clients accepted before others get their turn
_BREATH = 100 * MS  # how long nobody is accepted after the system had no room for one more
_FILLERS = 4  # connects of our own to fill the smallest queue with; one is enough where nobody else is quicker
_QUEUE = 24  # where struct tcp_info of a listening socket has the length of its queue, and then the queue's limit
_log = logging.getLogger(__name__)


class Listener:
    """A listening socket at work.

    Args:
        sock: listening, and not blocking; it is closed by `close`.
        accepted: is given each client's socket, which does not block.
    """

    def __init__(self, sock: socket.socket, accepted: Callable[[socket.socket], None], timers: Timers) -> None:
        self._sock = sock
        self._accepted = accepted
        self._timers = timers
        self._timer: Timer | None = None
        self._loop = asyncio.get_running_loop()
        self._hushed = False
        self._fillers: list[socket.socket] = []
        self._own: set[Any] = set()  # addresses of fillers that are still in the queue
        self._loop.add_reader(sock.fileno(), self._ready)

    def hush(self) -> None:
        """From now on connects get no answer at all, neither yes nor no: the queue of those to be accepted is full,
        which makes the kernel drop every handshake. Idempotent.

        Clients that wait in the queue already go on waiting.
        """
        if self._hushed:
            return
        self._hushed = True
        self._stop_accepting()
        self._sock.listen(0)  # room for one
        try:
            while not self._is_full() and len(self._fillers) < _FILLERS:
                filler = socket.socket(self._sock.family, socket.SOCK_STREAM)
                self._fillers.append(filler)
                filler.setblocking(False)
                filler.connect_ex(self._near())
        except OSError as error:
            _log.warning("a connect into a silent cut may complete, because its queue could not be filled: %s", error)

    def wake(self) -> None:
        """Connects are answered again, also those that hang: as soon as their system tries again. Idempotent."""
        if self._hushed:
            self._hushed = False
            # Added to: those of an earlier silence may still be in the queue when another one came before its turn.
            self._own |= {filler.getsockname() for filler in self._fillers if _established(filler)}
            self._drop_fillers()
            self._sock.listen(BACKLOG)
            self._loop.add_reader(self._sock.fileno(), self._ready)

    def close(self) -> None:
        """Connects are refused from now on; clients that were not accepted yet are reset."""
        self._stop_accepting()
        self._sock.close()
        self._drop_fillers()

    def _ready(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                client, address = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                self._own.clear()
                return
            except ConnectionAbortedError:  # it has gone while it waited
                continue
            except OSError as error:
                # Out of descriptors or memory. Asking again at once would burn the processor and help nobody.
                _log.warning("no client can be accepted for a moment: %s", error)
                self._stop_accepting()
                self._timer = self._timers.at(self._timers.now() + _BREATH, self._again)
                return
            if address in self._own:
                self._own.discard(address)
                client.close()
                continue
            client.setblocking(False)
            self._accepted(client)

    def _again(self) -> None:
        self._timer = None
        self._loop.add_reader(self._sock.fileno(), self._ready)

    def _stop_accepting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._loop.remove_reader(self._sock.fileno())

    def _is_full(self) -> bool:
        option: int | None = getattr(socket, "TCP_INFO", None)  # not everywhere; then all fillers are sent
        if option is None:
            return False
        length, limit = struct.unpack_from("II", self._sock.getsockopt(socket.IPPROTO_TCP, option, 104), _QUEUE)
        return bool(length > limit)

    def _near(self) -> Any:
        """An address that leads to this socket from this machine."""
        address = self._sock.getsockname()
        near = {"0.0.0.0": "127.0.0.1", "::": "::ffff:127.0.0.1"}.get(address[0], address[0])
        return (near, *address[1:])

    def _drop_fillers(self) -> None:
        for filler in self._fillers:
            filler.close()
        self._fillers = []


def _established(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True
