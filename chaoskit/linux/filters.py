"""A listening socket that hears nothing: connects to it hang, as on a cut wire, while its port stays taken."""

from __future__ import annotations

import ctypes
import socket
import struct

__all__ = ["deafen", "hear"]

_ATTACH, _DETACH = 26, 27  # SO_ATTACH_FILTER and SO_DETACH_FILTER of asm-generic/socket.h
_RETURN = 0x06  # BPF_RET | BPF_K: how many bytes of the packet are kept


def deafen(sock: socket.socket) -> None:
    """Drop every packet that arrives for this socket, so that no handshake goes on until `hear`. Needs no privilege.

    One instruction of the classic Berkeley packet filter (socket(7): keep nothing), which the kernel asks before it
    looks at a segment. What a client sends is lost, not refused; it goes on trying, and gets in after `hear`.
    Connections that were already set up are sockets of their own and not concerned.

    Raises:
        OSError: this kernel has no socket filters (not Linux, some sandboxes).
    """
    code = ctypes.create_string_buffer(struct.pack("HBBI", _RETURN, 0, 0, 0), 8)
    sock.setsockopt(socket.SOL_SOCKET, _ATTACH, struct.pack("HP", 1, ctypes.addressof(code)))


def hear(sock: socket.socket) -> None:
    """Take packets again; one that was never deaf hears already."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _DETACH, 0)
    except FileNotFoundError:
        pass
