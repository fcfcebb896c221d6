"""How late the proxy is: one line every 100 ms, so that an analysis can say when it was at its limit."""

from __future__ import annotations

import json
import os
import time

from chaoskit.toxiproxy.server.timers import LoopTimers, Timer

__all__ = ["LagRecorder"]

_INTERVAL = 100_000_000  # nanoseconds between lines
_BEAT = 10_000_000  # nanoseconds between looks: a stall of the loop is seen to within one


class LagRecorder:
    """Appends `{"t", "lag_ns", "cpu"}`: monotonic ns, worst lateness of anything due in the interval, CPU share.

    Lateness is that of the very timers that release delayed bytes, and of a beat of its own where there are none. Each
    line is one write(2), so what was measured survives kill -9. A disk that is full or gone never stops the proxy; the
    gap in `t` tells.

    Raises:
        OSError: the file cannot be opened for appending.
    """

    def __init__(self, path: str, timers: LoopTimers) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._timers = timers
        self._timer: Timer | None = None
        self._wrote = time.monotonic_ns()
        self._cpu = time.process_time_ns()
        self._beat()

    def close(self) -> None:
        """Stop recording."""
        if self._timer is not None:
            self._timer.cancel()
        os.close(self._fd)

    def _beat(self) -> None:
        now = time.monotonic_ns()
        if now - self._wrote >= _INTERVAL:
            self._write(now)
        self._timer = self._timers.at(now + _BEAT, self._beat)

    def _write(self, now: int) -> None:
        cpu = time.process_time_ns()
        share = (cpu - self._cpu) / (now - self._wrote)
        line = {"t": now, "lag_ns": self._timers.take_lateness(), "cpu": round(share, 3)}
        self._wrote, self._cpu = now, cpu
        try:
            os.write(self._fd, json.dumps(line).encode() + b"\n")
        except OSError:
            pass
