"""What the engine writes down and tells: events to the cell's file first, then to whoever watches."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from chaoskit.clock import Clock
from chaoskit.contracts import Observer
from chaoskit.store import EventLog

__all__ = ["Control", "Recorder"]

_log = logging.getLogger(__name__)


class Recorder:
    """Writes events of the current cell and forwards all events to the observers.

    An observer that raises is dropped with a warning: who watches must not be able to fail a run.
    """

    def __init__(self, clock: Clock, observers: Sequence[Observer]) -> None:
        self._clock = clock
        self._observers = list(observers)
        self._file: EventLog | None = None
        self._cell: str | None = None

    def open(self, cell: str | None, file: EventLog | None) -> None:
        """From now on events belong to this cell and go to this file; the previous file is closed."""
        if self._file is not None:
            self._file.close()
        self._cell, self._file = cell, file

    def event(self, kind: str, *, t: int | None = None, **fields: Any) -> None:
        """Record one event at `t` (ns; now if left out).

        Raises:
            StoreError: it could not be written.
        """
        event = {"t": self._clock.now_ns() if t is None else t, "kind": kind, **fields}
        if self._file is not None:
            self._file.append(event)
        self.tell({**event, "cell": self._cell})

    def tell(self, event: Mapping[str, Any]) -> None:
        """Show an event to the observers without writing it down."""
        for observer in tuple(self._observers):
            try:
                observer.event(event)
            except Exception:
                _log.warning("an observer failed and is dropped", exc_info=True)
                self._observers.remove(observer)


class Control:
    """How a shell asks a running engine to stop; safe to call from any thread and from signal handlers."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # re-entrant: a second signal may arrive inside the first one's handler
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event: asyncio.Event | None = None
        self.reason: str | None = None

    def attach(self) -> asyncio.Event:
        """Called by the engine on its own loop: the event that is set when a stop is asked for."""
        with self._lock:
            self._loop, self._event = asyncio.get_running_loop(), asyncio.Event()
            if self.reason is not None:
                self._event.set()
            return self._event

    def interrupt(self, reason: str) -> bool:
        """Ask for a stop: heal, report what was measured. True for the first call; only its reason counts."""
        with self._lock:
            first = self.reason is None
            self.reason = self.reason or reason
            if self._loop is not None and self._event is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._event.set)
            return first
