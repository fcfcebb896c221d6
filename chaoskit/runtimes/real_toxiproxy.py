"""Where the original Toxiproxy is on this machine: named by a variable, made by `tools/toxiproxy.py`, or installed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from chaoskit.errors import EnvironmentFault
from chaoskit.runtimes.cache import cache_folder

__all__ = ["VERSION", "find_server", "made_folder", "server_argv"]

VERSION = "2.12.0"
_VARIABLE = "TOXIPROXY_SERVER"
_NAME = "toxiproxy-server"


def made_folder() -> Path:
    """Where `tools/toxiproxy.py` puts `toxiproxy-server` and `toxiproxy-cli`.

    Raises:
        EnvironmentFault: no folder can be written.
    """
    return cache_folder("toxiproxy") / VERSION


def find_server() -> str:
    """Path of the server: $TOXIPROXY_SERVER, else the one that `tools/toxiproxy.py` made, else the one on the PATH.

    Raises:
        EnvironmentFault: there is none, or the variable names something that cannot be executed.
    """
    named = os.environ.get(_VARIABLE)
    if named:
        found = shutil.which(named)
        if found is None:
            raise EnvironmentFault(
                f"{_VARIABLE}={named} is no program that can be executed", hint=f"mend or unset {_VARIABLE}"
            )
        return str(Path(found).absolute())  # the stack's folder is another one
    found = shutil.which(str(made_folder() / _NAME)) or shutil.which(_NAME)
    if found is None:
        raise EnvironmentFault(
            "there is no real Toxiproxy on this machine",
            hint="make it once with `python3 tools/toxiproxy.py` in a clone of chaoskit, or set "
            f"{_VARIABLE} to the path of a {_NAME} {VERSION}; `--toxiproxy embedded` needs none",
        )
    return str(Path(found).absolute())


def server_argv(host: str, port: int) -> tuple[str, ...]:
    """Argument list that starts it.

    Raises:
        EnvironmentFault: there is none.
    """
    return (find_server(), "-host", host, "-port", str(port))
