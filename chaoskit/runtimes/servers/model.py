"""What a recipe is given and what it says. Others register theirs under the entry point group `chaoskit.server`."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple
from typing import Protocol as Interface

from chaoskit.errors import TargetError
from chaoskit.stack.topology import Protocol

__all__ = ["Place", "Recipe", "Setup", "unprivileged"]


class Place(NamedTuple):
    """Where one server shall stand. `environment` is that of the Compose file, `image` its image (may say a version).

    `data` is an absolute folder that exists, empty, when the preparations run; `host` is the only address to listen on.
    `command` is the Compose file's: its flags hold here too. `others` are its further ports, in the file's order.
    """

    node: str
    host: str
    port: int
    data: str
    environment: Mapping[str, str]
    image: str | None = None
    command: Sequence[str] = ()
    others: Sequence[int] = ()

    def flags(self, *programs: str) -> tuple[str, ...]:
        """The flags in `command`, which begins with one of `programs` or with a flag at once.

        Raises:
            TargetError: it starts something else, or names a file (a configuration is in the image only).
        """
        words = list(self.command)
        if words and words[0].rpartition("/")[2] in programs:
            words = words[1:]
        if words and not words[0].startswith("-"):
            raise TargetError(
                f"the command of {self.node} cannot be had from the embedded server: {' '.join(self.command)}",
                hint=f"write flags only ({programs[0]} --flag ...), or x-chaoskit: process: {{command: [...]}}",
            )
        return tuple(words)


class Setup(NamedTuple):
    """How it starts.

    Attributes:
        prepare: argument lists run one after the other before the first start.
        env: added to the process's environment.
        user: (uid, gid) to run as, or None to stay who we are.
        reach: folders that this user must be able to enter: the software and whatever it loads.
    """

    argv: tuple[str, ...]
    prepare: tuple[tuple[str, ...], ...] = ()
    env: Mapping[str, str] = MappingProxyType({})
    user: tuple[int, int] | None = None
    reach: tuple[str, ...] = ()


class Recipe(Interface):
    """One embedded server."""

    port: int  # its usual one
    protocol: Protocol

    def versions(self) -> tuple[str, ...]:
        """What is installed, newest first; empty when the package is missing."""
        ...

    def setup(self, place: Place) -> Setup:
        """How it starts there. Computes only.

        Raises:
            EnvironmentFault: the package is not installed. TargetError: the environment makes no sense.
        """
        ...


def unprivileged() -> tuple[int, int] | None:
    """Whom servers run as: `postgres` or `nobody` when we are root (PostgreSQL refuses root), else whoever we are."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        if found.pw_uid != 0:
            return found.pw_uid, found.pw_gid
    return 65534, 65534
