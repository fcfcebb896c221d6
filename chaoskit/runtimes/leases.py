"""Addresses and ports that are ours for as long as a socket says so: exclusive across processes and users.

Nothing is written anywhere; a lease is gone with its holder, however that ends.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable
from pathlib import Path

from chaoskit import linux
from chaoskit.errors import EnvironmentFault

__all__ = ["HostsLease", "PortsLease", "free_leases", "taken"]

LEASES = range(2, 255)  # second byte of 127.L.x.y; 127.0 and 127.1 are in everybody's use
HOLD_PORT = 61474  # above the ephemeral range, so that nobody is given it by chance
BLOCK = 128  # ports of one lease; its first one is the held one
_LOWEST, _HIGHEST = 10240, 65536
_FEW = 8  # blocks, with which several runs at a time would not get far


class HostsLease:
    """127.L.0.0/16, held by a socket bound to 127.L.255.254.

    The process that holds it must live as long as the run; the engine does. A lease whose holder died while its stack
    was still being taken down is passed over: it has listeners.

    Raises:
        EnvironmentFault: all are taken.
    """

    def __init__(self) -> None:
        busy = {found.host.split(".")[1] for found in linux.listeners() if found.host.startswith("127.")}
        for number in random.sample(LEASES, len(LEASES)):
            if str(number) in busy:
                continue
            held = _bound(f"127.{number}.255.254", HOLD_PORT)
            if held is not None:
                self.number = number
                self._held = held
                return
        raise EnvironmentFault(
            f"all {len(LEASES)} address leases are taken (127.L.255.254:{HOLD_PORT})",
            hint=f"end other runs, or whatever listens on port {HOLD_PORT}; `chaoskit doctor` counts free leases",
        )

    def release(self) -> None:
        """Give it back; idempotent."""
        self._held.close()


class PortsLease:
    """Ports of 127.0.0.1 outside the ephemeral range, in blocks whose first port is held by a bound socket.

    Links close and open their listeners: a port that the kernel gives to anybody's connection in between could not be
    had again. Only where that range leaves no room are ports taken out of it.

    Args:
        count: how many ports are needed.

    Raises:
        EnvironmentFault: so many are not free.
    """

    def __init__(self, count: int) -> None:
        self.ports: tuple[int, ...] = ()
        self._held: list[socket.socket] = []
        low, high = _ephemeral()
        blocks = [*range(_LOWEST, low - BLOCK, BLOCK), *range(high + 1, _HIGHEST - BLOCK, BLOCK)]
        blocks = blocks if len(blocks) > _FEW else list(range(_LOWEST, _HIGHEST - BLOCK, BLOCK))
        for first in random.sample(blocks, len(blocks)):
            held = _bound("127.0.0.1", first)
            if held is None:
                continue
            self._held.append(held)
            block = range(first + 1, first + BLOCK)
            self.ports += tuple(port for port in block if not taken("127.0.0.1", port))
            if len(self.ports) >= count:
                self.ports = self.ports[:count]
                return
        self.release()
        raise EnvironmentFault(
            f"{count} ports of 127.0.0.1 are not free, from {_LOWEST} on and outside {low} to {high}",
            hint="end other runs and servers, or narrow net.ipv4.ip_local_port_range",
        )

    def release(self) -> None:
        """Give them back; idempotent."""
        for held in self._held:
            held.close()


def taken(host: str, port: int) -> bool:
    """Whether a server could not listen there now: somebody does, there or on every address."""
    with socket.socket() as trial:
        # As servers do: a connection of an earlier run that is still in TIME_WAIT is no obstacle.
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except PermissionError:
            return False  # a low port: another error, said elsewhere
        except OSError:
            return True
    return False


def free_leases(numbers: Iterable[int] = LEASES) -> int:
    """How many address leases could be had now."""
    count = 0
    for number in numbers:
        held = _bound(f"127.{number}.255.254", HOLD_PORT)
        if held is not None:
            held.close()
            count += 1
    return count


def _bound(host: str, port: int) -> socket.socket | None:
    # Without SO_REUSEADDR a bound socket excludes all others, also while it does not listen.
    held = socket.socket()
    try:
        held.bind((host, port))
    except OSError:
        held.close()
        return None
    return held


def _ephemeral() -> tuple[int, int]:
    """The first and the last port that the kernel gives to outgoing connections."""
    try:
        low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    except (OSError, ValueError):
        return 32768, 60999
    return low, high
