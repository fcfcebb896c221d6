"""The side of the terminal: starts a keeper, finds those that are there, asks them for things. Synchronous."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from chaoskit.errors import EnvironmentFault, StoreError, UsageError
from chaoskit.safety.active import ActiveRun, running
from chaoskit.safety.wire import decode, encode, unpack_error
from chaoskit.store import RunDir

__all__ = ["Told", "ask", "begin", "find", "stacks"]

Told = Callable[[Mapping[str, Any]], None]

_ROOT = Path(__file__).resolve().parents[2]
_SILENCE = 150.0  # seconds without a word after which a keeper hangs: a node that starts again may take a minute
_AT_ONCE = 15.0  # the same for what takes no time
_FAREWELL = 90.0  # seconds for an interrupted start to take everything back


def stacks() -> list[ActiveRun]:
    """Stacks that were started by hand and are up, starting or ending."""
    return [entry for entry in running() if entry.socket.exists()]


def find(name: str | None) -> ActiveRun:
    """The stack of that name or run id; without a name the only one.

    Raises:
        UsageError: there is none, or several and none was named.
    """
    found = stacks()
    chosen = [entry for entry in found if name is None or name in (entry.name, entry.run)]
    names = ", ".join(sorted(entry.name for entry in found))
    if not found:
        raise UsageError("no stack is up", hint="chaoskit up TARGET starts one")
    if not chosen:
        raise UsageError(f"no stack called {name} is up", hint=f"these are: {names}")
    if len(chosen) > 1:
        raise UsageError(f"several stacks are up: {names}", hint="say which one: --stack NAME")
    return chosen[0]


def ask(entry: ActiveRun, op: str, told: Told | None = None, **arguments: Any) -> dict[str, Any]:
    """Ask a keeper for something; its answer.

    Args:
        told: called with what it says on the way.

    Raises:
        EnvironmentFault: it does not answer. ChaosKitError: whatever went wrong there.
    """
    gone = EnvironmentFault(
        f"the keeper of {entry.name} does not answer; if it is dead, its supervisor heals and stops everything",
        hint=f"chaoskit stop {entry.run}, if `chaoskit status` still shows it in some seconds",
    )
    try:
        patience = _AT_ONCE if op in ("status", "down") else _SILENCE
        with _connect(entry.socket, patience) as connection, connection.makefile("rb") as lines:
            connection.sendall(encode({"op": op, **arguments}))
            for line in lines:
                message = decode(line)
                if "error" in message:
                    raise unpack_error(message["error"])
                if "ok" in message:
                    return dict(message["ok"])
                if told is not None:
                    told(message)
    except (OSError, ValueError) as error:
        raise gone from error
    raise gone


def begin(folder: RunDir, config: str, told: Told) -> dict[str, Any]:
    """Start a keeper that outlives this terminal, and wait until the stack is up; its status.

    An interruption (KeyboardInterrupt) ends it, with everything that it has started.

    Args:
        config: a `keeper.Config` as JSON; it may hold secrets, so that it goes through a pipe.
        told: called with how it goes.

    Raises:
        ChaosKitError: the stack did not come up; nothing of it is left.
    """
    log = folder.file("keeper.log")
    process = _start(log)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with process.stdout:
            with process.stdin:
                process.stdin.write(config.encode())
            for line in process.stdout:
                message = decode(line)
                if "error" in message:
                    process.wait(_FAREWELL)
                    raise unpack_error(message["error"])
                if "up" in message:
                    process.returncode = 0  # it is to outlive us: nobody shall warn of that
                    return dict(message["up"])
                told(message)
        raise EnvironmentFault(
            f"the keeper ended unexpectedly (code {process.wait(_FAREWELL)}) while the stack was starting",
            hint=f"see {log}",
        )
    except BaseException as error:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(_FAREWELL)
        if isinstance(error, OSError | ValueError):
            raise EnvironmentFault(f"the keeper cannot be understood: {error}", hint=f"see {log}") from error
        raise


def _start(log: Path) -> subprocess.Popen[bytes]:
    try:
        with open(log, "ab") as errors:
            return subprocess.Popen(
                [sys.executable, "-m", "chaoskit.hand.keeper"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                cwd=_ROOT,  # so that -m finds this very package
                env=dict(os.environ),
            )
    except OSError as error:
        if error.filename == str(log):
            raise StoreError(
                f"cannot write {log}: {error.strerror}", hint="choose another place: --runs DIR"
            ) from error
        raise EnvironmentFault(f"the keeper cannot be started: {error}", hint="free memory or processes") from error


def _connect(path: Path, patience: float) -> socket.socket:
    """By the folder's descriptor: a path of a socket has at most 107 bytes."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(patience)
        connection.connect(f"/proc/self/fd/{folder}/{path.name}")
        return connection
    except OSError:
        connection.close()
        raise
    finally:
        os.close(folder)
