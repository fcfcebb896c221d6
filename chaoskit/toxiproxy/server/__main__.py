"""`python -m chaoskit.toxiproxy.server`: the embedded Toxiproxy as a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from chaoskit.errors import ChaosKitError
from chaoskit.toxiproxy.server.api import VERSION
from chaoskit.toxiproxy.server.flags import HELP, parse
from chaoskit.toxiproxy.server.process import run

__all__ = ["main", "serve"]


def serve(arguments: Sequence[str]) -> None:
    """Do what a command line says: serve until told to stop, or print help or version.

    Raises:
        UsageError: the command line is wrong. EnvironmentFault: it cannot start; nothing is left open.
    """
    flags = parse(arguments)
    if flags.help:
        print(HELP, end="")  # noqa: T201
    elif flags.version:
        print(f"toxiproxy-server version {VERSION}")  # noqa: T201 - as the original says it, because scripts read it
    else:
        run(flags.options)


def main(arguments: Sequence[str] | None = None) -> int:
    """`serve` with errors as sentences; the exit code."""
    try:
        serve(sys.argv[1:] if arguments is None else arguments)
    except ChaosKitError as error:
        print(f"toxiproxy: {error}", file=sys.stderr)  # noqa: T201
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
