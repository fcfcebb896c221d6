"""TCP sockets as /proc/net shows them, and whose they are."""

# ruff: noqa: PTH115, PTH208
# No pathlib here: its import would cost milliseconds at every start of a node.
from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Collection, Iterable
from typing import NamedTuple, Protocol

from chaoskit.linux.sockdiag import connections_to

__all__ = ["Socket", "connected", "listeners", "owners", "segments", "sockets"]

_MAPPED = bytes(10) + b"\xff\xff"  # ::ffff:a.b.c.d, an IPv4 peer of an IPv6 socket
_ESTABLISHED, _LISTEN = 0x01, 0x0A
_SEGMENTS_AT = 152  # of tcpi_data_segs_in in struct tcp_info (linux/tcp.h), since Linux 4.6


class Socket(NamedTuple):
    """A TCP socket. Addresses as text, IPv4 in IPv6 shown as IPv4; `inode` is 0 for one whose process let go of it."""

    host: str
    port: int
    remote_host: str
    remote_port: int
    state: int
    inode: int

    @property
    def listening(self) -> bool:
        """Whether it accepts connections."""
        return self.state == _LISTEN

    @property
    def wildcard(self) -> bool:
        """Whether it takes connections on every address of the machine."""
        return self.host in ("0.0.0.0", "::")


def sockets() -> list[Socket]:
    """All TCP sockets of this network namespace; empty where /proc/net is not to be had."""
    return _read(None)


def listeners() -> list[Socket]:
    """Sockets that accept connections."""
    return _read(_LISTEN)


def _read(state: int | None) -> list[Socket]:
    """Sockets in one state, or in all. Under load there are tens of thousands: what is not asked for is not parsed."""
    wanted = None if state is None else f"{state:02X}"
    found = []
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(name) as file:
                lines = file.read().splitlines()[1:]
        except OSError:
            continue  # no IPv6 in this kernel, or no /proc
        for line in lines:
            words = line.split(None, 10)
            if len(words) > 9 and wanted in (None, words[3]):
                found.append(Socket(*_endpoint(words[1]), *_endpoint(words[2]), int(words[3], 16), int(words[9])))
    return found


def connected(endpoints: Collection[tuple[str, int]]) -> list[Socket]:
    """Established sockets whose other end is one of these IPv4 endpoints, also those dialled as ::ffff:a.b.c.d."""
    try:
        found = connections_to(endpoints)
    except OSError:  # a kernel without it, or a container that forbids it
        return _in_tables(endpoints)
    return [
        Socket(_text(one.local), one.local_port, _text(one.remote), one.remote_port, _ESTABLISHED, one.inode)
        for one in found
    ]


def _in_tables(endpoints: Collection[tuple[str, int]]) -> list[Socket]:
    """The same from /proc. Looks for the endpoints in the tables as they are: splitting the lines of thousands of other
    sockets would take longer than reading them.
    """
    found = []
    for name, prefix in (("/proc/net/tcp", b""), ("/proc/net/tcp6", _MAPPED)):
        try:
            with open(name) as file:
                table = file.read()
        except OSError:
            continue
        for host, port in endpoints:
            wanted = f" {_digits(prefix + socket.inet_aton(host))}:{port:04X} {_ESTABLISHED:02X} "
            at = table.find(wanted)
            while at >= 0:
                line = table[table.rfind("\n", 0, at) + 1 : table.find("\n", at)]
                words = line.split(None, 10)
                found.append(Socket(*_endpoint(words[1]), host, port, _ESTABLISHED, int(words[9])))
                at = table.find(wanted, at + len(wanted))
    return found


def owners(pids: Iterable[int]) -> dict[int, int]:
    """Inode of each socket held by these processes -> pid. Processes that may not be looked into are left out."""
    found: dict[int, int] = {}
    for pid in pids:
        try:
            descriptors = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for descriptor in descriptors:
            try:
                target = os.readlink(f"/proc/{pid}/fd/{descriptor}")
            except OSError:
                continue
            if target.startswith("socket:["):
                found.setdefault(int(target[8:-1]), pid)
    return found


class _Optional(Protocol):
    """A socket, or what an event loop shows of one."""

    def getsockopt(self, level: int, name: int, size: int, /) -> bytes: ...


def segments(connection: _Optional) -> int | None:
    """How many segments with data have come over a TCP connection; None where the kernel does not say.

    Reads do not tell it: a reader that is late gets many segments in one.
    """
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SEGMENTS_AT + 4)
        return int(struct.unpack_from("=I", info, _SEGMENTS_AT)[0])
    except (OSError, AttributeError, struct.error):  # closed; another system; an older kernel
        return None


def _digits(raw: bytes) -> str:
    """An address as the tables have it: 32-bit words in the machine's own byte order."""
    return "".join(f"{int.from_bytes(raw[i : i + 4], sys.byteorder):08X}" for i in range(0, len(raw), 4))


def _endpoint(text: str) -> tuple[str, int]:
    """("127.0.0.1", 5432) of "0100007F:1538": 32-bit words in the machine's own byte order."""
    digits, _, port = text.partition(":")
    raw = b"".join(int(digits[i : i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(digits), 8))
    return _text(raw), int(port, 16)


def _text(raw: bytes) -> str:
    """An address as people write it; an IPv4 one in IPv6 as IPv4."""
    if len(raw) == 4:
        return socket.inet_ntoa(raw)
    return socket.inet_ntoa(raw[12:]) if raw[:12] == _MAPPED else socket.inet_ntop(socket.AF_INET6, raw)
