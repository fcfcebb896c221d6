"""How engine and supervisor talk: JSON lines over a socket pair, and errors that stay what they are on the way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chaoskit import errors
from chaoskit.data import Frozen
from chaoskit.errors import ChaosKitError, InternalError

__all__ = ["LIMIT", "Config", "decode", "encode", "pack_error", "unpack_error"]

LIMIT = 1 << 24  # bytes of the longest line: a StackSpec of a large target


class Config(Frozen):
    """What the engine tells the supervisor on its command line.

    Attributes:
        fd: the supervisor's end of the socket pair. pulse: the reading end of the pipe that the engine's pulse thread
            writes to. run: the run directory. runtime: name of the driver.
        deadline_ns: monotonic instant at which the run must be over. silence_s: neither pulse nor request for longer
            means that the engine is dead or hangs. engine: pid and start time.
    """

    fd: int
    pulse: int
    run: str
    runtime: str
    deadline_ns: int
    silence_s: float
    pid_namespace: bool
    engine: tuple[int, int]


def encode(message: Mapping[str, Any]) -> bytes:
    """One line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """The message of a line.

    Raises:
        ValueError: it is none.
    """
    found = json.loads(line)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def pack_error(error: BaseException) -> dict[str, Any]:
    """An error as data; foreign ones are our bug."""
    if isinstance(error, ChaosKitError):
        return error.summary()
    return {
        "type": "InternalError",
        "message": f"the supervisor failed: {type(error).__name__}: {error}",
        "hint": "please report it with supervisor.log of the run",
    }


def unpack_error(data: Mapping[str, Any]) -> ChaosKitError:
    """The error again, of the class it was."""
    kind = getattr(errors, str(data.get("type")), None)
    message, hint = str(data.get("message")), data.get("hint")
    # Mistakes in files are found before there is a supervisor; these two are made of more than a message.
    if not (isinstance(kind, type) and issubclass(kind, ChaosKitError)) or kind in (
        errors.SpecError,
        errors.HistoryError,
    ):
        return InternalError(f"{data.get('type')}: {message}", hint=hint)
    found: ChaosKitError = kind(message, hint=hint)
    return found
