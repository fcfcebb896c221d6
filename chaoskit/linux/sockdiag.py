"""Sockets by asking the kernel for those that are wanted, instead of reading the tables of all of them.

Netlink's sock_diag (linux/sock_diag.h, linux/inet_diag.h), which needs no privilege. /proc/net/tcp takes ten
milliseconds and more, most of it for walking over empty places; this takes a fraction of one, which is what it costs to
look ten times a second.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Collection, Iterator
from typing import NamedTuple

__all__ = ["Connection", "connections_to"]

_SOCK_DIAG = 4  # NETLINK_SOCK_DIAG
_BY_FAMILY, _ERROR, _DONE = 20, 2, 3  # types of messages
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_BYTECODE = 1  # INET_DIAG_REQ_BYTECODE
_JUMP, _REMOTE_IS = 1, 8  # INET_DIAG_BC_JMP, INET_DIAG_BC_D_COND
_ESTABLISHED = 1
_HEADER, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=HH")
_REQUEST = struct.Struct("=BBBBI48s")  # family, protocol, extensions, states, which socket (any)
_OPERATION = struct.Struct("=BBH")  # code, where to go on if so, where if not
_CONDITION = struct.Struct("=BBxxi4s")  # family, bits of the address that count, port, address
_LENGTH = _OPERATION.size + _CONDITION.size
_PATIENCE = 2.0  # seconds; the answer is made while we ask
_RECEIVED = 1 << 17


class Connection(NamedTuple):
    """An established TCP connection as this end has it. Addresses are raw: 4 bytes, or 16 of an IPv6 socket."""

    local: bytes
    local_port: int
    remote: bytes
    remote_port: int
    inode: int


def connections_to(endpoints: Collection[tuple[str, int]]) -> list[Connection]:
    """Those whose other end is one of these IPv4 endpoints, also where it was dialled as ::ffff:a.b.c.d.

    Raises:
        OSError: this kernel does not answer, or this is not Linux.
    """
    if not sys.platform.startswith("linux"):
        raise OSError("sockets can be asked for on Linux only")
    if not endpoints:
        return []
    wanted = _filter(endpoints)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as netlink:
        netlink.settimeout(_PATIENCE)
        return [found for family in (socket.AF_INET, socket.AF_INET6) for found in _asked(netlink, family, wanted)]


def _filter(endpoints: Collection[tuple[str, int]]) -> bytes:
    """A program for the kernel: taken if it ends exactly at its end. One condition after the other; from the first that
    is met a jump leads to the end, from the last that is not met one leads beyond it."""
    step = _LENGTH + _OPERATION.size
    left = len(endpoints) * step - _OPERATION.size  # no jump after the last
    program = b""
    for host, port in endpoints:
        last = left == _LENGTH
        program += _OPERATION.pack(_REMOTE_IS, _LENGTH, left + 4 if last else step)
        program += _CONDITION.pack(socket.AF_INET, 32, port, socket.inet_aton(host))
        left -= _LENGTH
        if not last:
            program += _OPERATION.pack(_JUMP, _OPERATION.size, left)
            left -= _OPERATION.size
    return program


def _asked(netlink: socket.socket, family: int, wanted: bytes) -> Iterator[Connection]:
    request = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0, 1 << _ESTABLISHED, bytes(40) + b"\xff" * 8)
    request += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(wanted), _BYTECODE) + wanted
    netlink.send(_HEADER.pack(_HEADER.size + len(request), _BY_FAMILY, _DUMP, 1, 0) + request)
    while True:
        data, at = netlink.recv(_RECEIVED), 0
        while at < len(data):
            length, kind, *_ = _HEADER.unpack_from(data, at)
            if kind == _DONE:
                return
            if kind == _ERROR:
                raise OSError(-struct.unpack_from("=i", data, at + _HEADER.size)[0], "sockets cannot be asked for")
            yield _connection(data, at + _HEADER.size)
            at += (length + 3) & ~3


def _connection(data: bytes, at: int) -> Connection:
    """struct inet_diag_msg: family and three more, ports, addresses, interface, cookie, times, queues, user, inode."""
    size = 4 if data[at] == socket.AF_INET else 16
    local_port, remote_port = struct.unpack_from("!HH", data, at + 4)
    local, remote = data[at + 8 : at + 8 + size], data[at + 24 : at + 24 + size]
    (inode,) = struct.unpack_from("=I", data, at + 68)
    return Connection(local, local_port, remote, remote_port, inode)
