"""The process runtime, engine side: decides where everything shall stand on this machine, and holds the leases.

It starts nothing of the stack; the supervisor does (`driver.py`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from chaoskit import linux
from chaoskit.errors import AbilityError, ChaosKitError, EnvironmentFault, PlanError
from chaoskit.runtimes.addresses import Addresses, endpoints, hosts_addresses, rewrite_addresses
from chaoskit.runtimes.leases import HostsLease, PortsLease, taken
from chaoskit.stack.topology import Target

if TYPE_CHECKING:  # `validate` asks for abilities only
    from chaoskit.stack.launch import StackSpec

__all__ = ["ProcessRuntime"]

_HOST_ALONE = re.compile(r"(HOST|HOSTNAME|ADDR|ADDRESS|SERVER)S?$", re.IGNORECASE)
_T = TypeVar("_T")
_WAYS = {"hosts": ("hosts",), "rewrite": ("rewrite",), "auto": ("hosts", "rewrite")}


class ProcessRuntime:
    """Local processes on loopback addresses. Leases live as long as this process, or until `release`.

    The engine holds this object for the whole run: a lease that is given back while its stack still stands would let
    another run take the same addresses.
    """

    name = "process"

    def __init__(self) -> None:
        self._leases: list[HostsLease | PortsLease] = []

    def abilities(self) -> frozenset[str]:
        """What faults can be had here."""
        return frozenset({"kill", "pause", "restart", "logs", "stress:cpu", "actions", "links:per-pair"})

    def check(self, target: Target, interposition: str) -> str:
        """Which interposition it will be, as far as can be told without taking leases: `hosts` or `rewrite`.

        Raises:
            AbilityError: the target cannot run that way on this machine; says why and what to do.
        """

        def possible(way: str) -> str:
            _refuse(target, {}, way)
            return way

        return _first(interposition, possible)

    def layout(
        self,
        target: Target,
        env: Mapping[str, Mapping[str, str]],
        folder: Path,
        interposition: str,
        toxiproxy: Literal["embedded", "real"] = "embedded",
    ) -> StackSpec:
        """Addresses, processes and proxies for one variant; see the contract.

        Raises:
            AbilityError: as `check`. TargetError: a service cannot be started this way. EnvironmentFault: no server
            package, no address or port left, the folder cannot be written.
        """
        from chaoskit.runtimes.assembly import assemble  # `validate` needs none of it, and it is slow to load

        folder = folder.absolute()
        try:
            (folder / "logs").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EnvironmentFault(
                f"the folder of the stack cannot be made: {error}", hint="free disk space, or choose --runs DIR"
            ) from error

        def place(way: str) -> Addresses:
            _refuse(target, env, way)
            return self._by_hosts(target) if way == "hosts" else self._by_ports(target)

        addresses = _first(interposition, place)
        return assemble(target, env, folder, addresses, own_pids=linux.probe().pids, toxiproxy=toxiproxy)

    def release(self) -> None:
        """Give the leases back; idempotent. Not before the stack is down."""
        while self._leases:
            self._leases.pop().release()

    def _by_hosts(self, target: Target) -> Addresses:
        lease = HostsLease()
        try:
            addresses = hosts_addresses(target, lease.number)
            for host, port in addresses.all():
                if taken(host, port):
                    raise EnvironmentFault(
                        f"port {port} is taken on every address of this machine{_holder(port)}",
                        hint="stop what holds it, or choose --interposition rewrite, which needs no fixed port",
                    )
        except ChaosKitError:
            lease.release()
            raise
        self._leases.append(lease)
        return addresses

    def _by_ports(self, target: Target) -> Addresses:
        lease = PortsLease(len(endpoints(target)) + len(target.topology.links) + 1)
        self._leases.append(lease)
        return rewrite_addresses(target, lease.ports)


def _first(interposition: str, attempt: Callable[[str], _T]) -> _T:
    """The first way that works; when none does, the error of the first one, with that of the second."""
    if interposition not in _WAYS:
        raise PlanError(f"there is no interposition {interposition!r}", hint=f"use one of: {', '.join(_WAYS)}")
    errors: list[ChaosKitError] = []
    for way in _WAYS[interposition]:
        try:
            return attempt(way)
        except (AbilityError, EnvironmentFault) as error:
            errors.append(error)
    first = errors[0]
    if len(errors) == 1:
        raise first
    raise type(first)("; and ".join(error.message for error in errors), hint=first.hint)


def _refuse(target: Target, env: Mapping[str, Mapping[str, str]], way: str) -> None:
    """Raise what speaks against this way on this machine."""
    if way == "hosts":
        found = linux.probe()
        if not found.hosts:
            raise AbilityError(f"names cannot be private on this machine: {found.reason}", hint=found.remedy)
        low = sorted({port for _, port in endpoints(target) if port < _lowest_port()})
        if low:
            raise AbilityError(
                f"{target.name} listens on port {low[0]}, which this user may not have",
                hint=f"use ports from {_lowest_port()} up, or run as root",
            )
        return
    if target.gossips:
        raise AbilityError(
            f"addresses of {target.name} cannot be rewritten: its members tell each other their addresses, "
            "so that all sources would dial past their own links",
            hint="allow user namespaces (`chaoskit doctor` says how), or run on a machine that has them",
        )
    for service in target.services:
        names = {other.name for other in target.services} | {node.name for node in target.topology.nodes}
        for key, value in {**service.environment, **env.get(service.name, {})}.items():
            if value in names - {service.name} and _HOST_ALONE.search(key):
                raise AbilityError(
                    f"{key}={value} of {service.name} cannot be rewritten: a host without its port",
                    hint=f"write it as {value}:PORT, or allow user namespaces (`chaoskit doctor` says how)",
                )


def _lowest_port() -> int:
    """The lowest port that this user may listen on."""
    if os.geteuid() == 0:
        return 1
    try:
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    except (OSError, ValueError):
        return 1024


def _holder(port: int) -> str:
    """ " (pid 12: nginx)" for whoever listens there, as far as this user may see it."""
    found = {socket.inode for socket in linux.listeners() if socket.port == port and socket.wildcard}
    for inode, pid in linux.owners(linux.processes()).items():
        if inode in found:
            return f" (pid {pid}: {linux.command(pid)[:80]})"
    return ""
