"""Leases are exclusive, also between processes, and end with their holder."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chaoskit.errors import EnvironmentFault
from chaoskit.runtimes import leases
from chaoskit.runtimes.leases import HostsLease, PortsLease, free_leases, taken

HOLD = "from chaoskit.runtimes.leases import *; lease = {}; print({}, flush=True); input()"


@contextmanager
def elsewhere(make: str, show: str) -> Iterator[list[int]]:
    """A lease held by another process."""
    command = [sys.executable, "-c", HOLD.format(make, show)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield [int(word) for word in process.stdout.readline().split()]
        finally:
            process.kill()


def test_no_two_are_the_same() -> None:
    held = [HostsLease() for _ in range(20)]
    try:
        assert len({lease.number for lease in held}) == 20
        assert free_leases(lease.number for lease in held) == 0
    finally:
        for lease in held:
            lease.release()
    assert free_leases(lease.number for lease in held) == 20


def test_another_process_holds_until_it_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    with elsewhere("HostsLease()", "lease.number") as (number,):
        monkeypatch.setattr(leases, "LEASES", range(number, number + 1))
        with pytest.raises(EnvironmentFault, match="taken") as caught:
            HostsLease()
        assert caught.value.hint
    HostsLease().release()


def test_a_lease_whose_stack_still_stands_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as left:
        left.bind(("127.203.0.1", 0))
        left.listen()
        monkeypatch.setattr(leases, "LEASES", range(203, 204))
        with pytest.raises(EnvironmentFault):
            HostsLease()
    HostsLease().release()


def test_ports_of_two_processes_never_meet() -> None:
    mine = PortsLease(200)
    try:
        with elsewhere("PortsLease(200)", "*lease.ports") as theirs:
            assert len(set(mine.ports)) == len(set(theirs)) == 200
            assert not set(mine.ports) & set(theirs)
    finally:
        mine.release()


def test_ports_in_use_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = PortsLease(leases.BLOCK - 1)
    first, busy = trial.ports[0] - 1, trial.ports[5]
    trial.release()
    monkeypatch.setattr(leases, "_LOWEST", first)
    monkeypatch.setattr(leases, "_ephemeral", lambda: (first + leases.BLOCK + 1, 65535))
    monkeypatch.setattr(leases, "_FEW", 0)
    with socket.socket() as server:
        server.bind(("127.0.0.1", busy))
        server.listen()
        lease = PortsLease(leases.BLOCK - 2)
        assert busy not in lease.ports
        lease.release()
        with pytest.raises(EnvironmentFault, match="not free"):
            PortsLease(leases.BLOCK - 1)


@pytest.mark.parametrize(
    ("ephemeral", "lowest", "highest"),
    [((32768, 60999), 10240, 65535), ((1024, 60999), 61000, 65535), ((1024, 65535), 10240, 65535)],
)
def test_nobody_is_given_our_ports_by_chance(
    monkeypatch: pytest.MonkeyPatch, ephemeral: tuple[int, int], lowest: int, highest: int
) -> None:
    """While a link refuses, nobody listens on its port. The last range leaves no room beside it."""
    monkeypatch.setattr(leases, "_ephemeral", lambda: ephemeral)
    for _ in range(5):
        lease = PortsLease(200)
        lease.release()
        assert lowest <= min(lease.ports) and max(lease.ports) <= highest
        assert ephemeral == (1024, 65535) or not {*range(ephemeral[0], ephemeral[1] + 1)} & set(lease.ports)


def test_taken_by_somebody_there_or_everywhere() -> None:
    with socket.socket() as there, socket.socket() as everywhere:
        there.bind(("127.204.0.1", 0))
        there.listen()
        everywhere.bind(("0.0.0.0", 0))
        everywhere.listen()
        port = there.getsockname()[1]
        assert taken("127.204.0.1", port)
        assert not taken("127.204.0.2", port)
        assert taken("127.204.0.2", everywhere.getsockname()[1])
