"""What the server says: warnings on stderr, or with LOG_LEVEL everything from that level on as JSON lines on stdout.

The original logs all of it all the time. Here that is asked for, because a server whose output nobody reads must not
stop when the pipe is full: lines are written by a thread of their own, and dropped when a thousand wait.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

__all__ = ["log", "logging_as"]

_LOGGER = logging.getLogger("chaoskit.toxiproxy")
_LEVELS = {
    "trace": 5,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
    "panic": logging.CRITICAL,
    "disabled": logging.CRITICAL + 1,
}
_WAITING = 1000


def log(level: int, message: str, **fields: object) -> None:
    """Say something; `fields` are keys of the JSON line, and are left out of plain warnings."""
    if _LOGGER.isEnabledFor(level):
        _LOGGER.log(level, "%s", message, extra={"fields": fields})


@contextmanager
def logging_as(level: str | None) -> Iterator[bool]:
    """Set logging up for as long as a server runs; whether lines are JSON.

    Args:
        level: what LOG_LEVEL says; None or "" = not set.
    """
    if not level:
        plain = logging.StreamHandler(sys.stderr)
        plain.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        with _handled(plain, logging.WARNING):
            yield False
        return
    lines = _Lines()
    lines.start()
    try:
        with _handled(lines.handler, _LEVELS.get(level.lower(), logging.DEBUG)):
            if level.lower() not in _LEVELS:
                log(logging.ERROR, f'unknown LOG_LEVEL value: "{level}"')
            yield True
    finally:
        lines.stop()


@contextmanager
def _handled(handler: logging.Handler, level: int) -> Iterator[None]:
    root = logging.getLogger()
    before = root.level, _LOGGER.level
    root.addHandler(handler)
    root.setLevel(max(level, logging.WARNING))  # of asyncio and others: what is wrong, nothing else
    _LOGGER.setLevel(level)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(before[0])
        _LOGGER.setLevel(before[1])


class _Lines(threading.Thread):
    """Writes records as JSON lines, at its own pace."""

    def __init__(self) -> None:
        super().__init__(name="log", daemon=True)
        self._waiting: queue.Queue[logging.LogRecord | None] = queue.Queue(_WAITING)
        self.handler = logging.Handler()
        self.handler.emit = self._take  # type: ignore[method-assign]

    def run(self) -> None:
        """Write until `stop`."""
        while (record := self._waiting.get()) is not None:
            # Not through sys.stdout: a thread that sleeps in its lock would keep the interpreter from ending.
            with suppress(OSError):
                os.write(1, _line(record).encode() + b"\n")

    def stop(self) -> None:
        """Write what waits, but do not wait for a reader that does not read."""
        with suppress(queue.Full):
            self._waiting.put_nowait(None)
        self.join(1.0)

    def _take(self, record: logging.LogRecord) -> None:
        with suppress(queue.Full):
            self._waiting.put_nowait(record)


def _line(record: logging.LogRecord) -> str:
    """Keys and order of the original's lines: level, the message's own fields, time, message."""
    level = next((name for name, number in _LEVELS.items() if number == record.levelno), "info")
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
    message = record.getMessage()
    if record.exc_info:
        message += "\n" + logging.Formatter().formatException(record.exc_info)
    said = {"level": level, **getattr(record, "fields", {}), "time": moment}
    return json.dumps(said | ({"message": message} if message else {}), default=str)
