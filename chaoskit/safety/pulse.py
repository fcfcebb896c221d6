"""The engine's pulse: a thread that tells the supervisor, twice a second, that the engine lives.

A thread, because an event loop that is busy for some seconds (a virtual environment being made, a large file being
parsed) is no dead engine, while a stopped or killed process stops all its threads. A loop that has not turned for a
minute does count as dead: then the pulse stops too.
"""

from __future__ import annotations

import os
import threading
import time

__all__ = ["Pulse"]

_BEAT = 0.5  # seconds
_HANGS = 60.0  # seconds without a turn of the event loop


class Pulse:
    """A pipe and the thread that writes to it.

    Attributes:
        reading: descriptor for the supervisor; closed here by `start`.
        loop_seen: when the event loop last turned (time.monotonic()); whoever runs the loop keeps it up to date.
    """

    def __init__(self) -> None:
        self.reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        self.loop_seen = time.monotonic()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, once the supervisor has its end of the pipe."""
        os.close(self.reading)
        self.reading = -1
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it and close the pipe; idempotent."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        for fd in (self.reading, self._writing):
            if fd >= 0:
                os.close(fd)
        self.reading = self._writing = -1

    def _beat(self) -> None:
        while not self._stop.is_set():
            if time.monotonic() - self.loop_seen < _HANGS:
                try:
                    os.write(self._writing, b".")
                except BlockingIOError:
                    pass  # a supervisor that does not read: it is noticed otherwise
                except OSError:
                    return  # it is gone, which the socket tells as well
            self._stop.wait(_BEAT)
