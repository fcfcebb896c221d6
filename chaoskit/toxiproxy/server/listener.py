"""Where clients of one proxy come in: accepted a few at a time, or left hanging as on a cut wire.

Not an asyncio server, because uvloop's can close itself without a word once the process is out of descriptors: the
proxy would refuse its clients from then on, although nobody asked for an outage.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

from chaoskit.linux.filters import deafen, hear
from chaoskit.toxiproxy.server.stage import MS
from chaoskit.toxiproxy.server.timers import Timer, Timers

__all__ = ["Listener"]

_AT_ONCE = 64  # clients accepted before others get their turn
_BREATH = 100 * MS  # how long nobody is accepted after the system had no room for one more
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
        self._deaf = False
        self._loop.add_reader(sock.fileno(), self._ready)

    def hush(self) -> None:
        """From now on connects get no answer at all, neither yes nor no. Idempotent.

        Where the kernel cannot do that, the kernel shakes hands and the connection is silent afterwards.
        """
        if not self._deaf:
            try:
                deafen(self._sock)
            except OSError as error:
                _log.warning("connects into a silent cut will complete: no socket filter on this system (%s)", error)
                return
            self._deaf = True

    def wake(self) -> None:
        """Connects are answered again, also those that hang: as soon as their system tries again. Idempotent."""
        if self._deaf:
            hear(self._sock)
            self._deaf = False

    def close(self) -> None:
        """Connects are refused from now on; clients that were not accepted yet are reset."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()

    def _ready(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                client, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:  # it has gone while it waited
                continue
            except OSError as error:
                # Out of descriptors or memory. Asking again at once would burn the processor and help nobody.
                _log.warning("no client can be accepted for a moment: %s", error)
                self._loop.remove_reader(self._sock.fileno())
                self._timer = self._timers.at(self._timers.now() + _BREATH, self._again)
                return
            client.setblocking(False)
            self._accepted(client)

    def _again(self) -> None:
        self._timer = None
        self._loop.add_reader(self._sock.fileno(), self._ready)
