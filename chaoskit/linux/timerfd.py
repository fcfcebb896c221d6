"""A timer that is a file descriptor: wakes an event loop at an instant, exact to the kernel's timer and not to epoll's
millisecond. Python has it from 3.13 on; this is timerfd_create(2) through the C library."""

from __future__ import annotations

import ctypes
import os
import struct
import time

from chaoskit.linux.calls import call

__all__ = ["Timerfd"]

_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC  # TFD_NONBLOCK and TFD_CLOEXEC are defined as these two
_ABSOLUTE = 1  # TFD_TIMER_ABSTIME


class _Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


class _Itimerspec(ctypes.Structure):
    _fields_ = [("interval", _Timespec), ("value", _Timespec)]


class Timerfd:
    """One-shot timer on CLOCK_MONOTONIC, readable once it has fired. Give `fileno()` to `loop.add_reader`.

    Raises:
        OSError: out of descriptors, or not Linux.
    """

    def __init__(self) -> None:
        self._fd = call("timerfd_create", ctypes.c_int(time.CLOCK_MONOTONIC), ctypes.c_int(_FLAGS))

    def fileno(self) -> int:
        """The descriptor; -1 after `close`."""
        return self._fd

    def arm(self, at_monotonic_ns: int) -> None:
        """Fire at `time.monotonic_ns()` == `at_monotonic_ns`, at once when that is past; replaces an earlier arming.

        Raises:
            OSError: closed.
        """
        # A value of zero would disarm the timer instead of firing at once.
        seconds, nanoseconds = divmod(max(at_monotonic_ns, 1), 1_000_000_000)
        wanted = _Itimerspec(_Timespec(0, 0), _Timespec(seconds, nanoseconds))
        call("timerfd_settime", ctypes.c_int(self._fd), ctypes.c_int(_ABSOLUTE), ctypes.byref(wanted), None)

    def read(self) -> int:
        """How often it fired since the last `read`: 1, or 0 if not at all. Never blocks.

        Raises:
            OSError: closed.
        """
        try:
            (count,) = struct.unpack("Q", os.read(self._fd, 8))
        except BlockingIOError:
            return 0
        return int(count)

    def close(self) -> None:
        """Give the descriptor back; idempotent. Remove it from the event loop first."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Timerfd:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
