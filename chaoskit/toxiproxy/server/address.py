"""Addresses as Go writes, reads and complains about them: `host:port`, `[::1]:80`, `:80`, `localhost:http`."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket

__all__ = ["BACKLOG", "AddressError", "join", "listen", "parse", "resolve"]

BACKLOG = 4096  # the kernel lowers it to net.core.somaxconn
LOOKUP = 2.0  # seconds that a name may take to be found: changes are made one at a time, and others wait


class AddressError(ValueError):
    """Not an address, or one that cannot be found; the text is the one that Go's net package gives."""


def parse(address: str) -> tuple[str, int]:
    """Host ("" = every interface) and port of an address.

    Raises:
        AddressError: malformed, or an unknown service name as the port.
    """
    if not address:
        return "", 0
    if address.startswith("["):
        host, bracket, rest = address[1:].partition("]")
        if not bracket:
            raise AddressError(f"address {address}: missing ']' in address")
        if not rest.startswith(":"):
            raise AddressError(f"address {address}: missing port in address")
        port = rest[1:]
    else:
        host, colon, port = address.rpartition(":")
        if not colon:
            raise AddressError(f"address {address}: missing port in address")
        if ":" in host:
            raise AddressError(f"address {address}: too many colons in address")
    return host, _port(port)


def _port(text: str) -> int:
    if not text:
        return 0
    digits = text[1:] if text[0] in "+-" else text
    if digits.isascii() and digits.isdigit():
        if len(digits) > 9 or not 0 <= int(text) <= 65535:
            raise AddressError(f"address {text}: invalid port")
        return int(text)
    try:
        return socket.getservbyname(text, "tcp")
    except OSError:
        raise AddressError(f"lookup tcp/{text}: unknown port") from None


def join(host: str, port: int) -> str:
    """The address of a host and port, IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def resolve(address: str) -> tuple[str, int]:
    """Parse, and look a name up: the first IPv4 address of it, as Go prefers, else the first of any kind.

    Raises:
        AddressError: malformed, no such host, or nobody who says so within `LOOKUP` seconds.
    """
    host, port = parse(address)
    if not host or _is_literal(host):
        return host, port
    try:
        async with asyncio.timeout(LOOKUP):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise AddressError(f"lookup {host}: no answer within {LOOKUP:g} s (an address needs no lookup)") from None
    except (OSError, UnicodeError):
        raise AddressError(f"lookup {host}: no such host") from None
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return str(found[0][4][0]), port


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def listen(host: str, port: int) -> socket.socket:
    """A listening socket that does not block; host "" and 0.0.0.0 mean every interface, IPv6 included, as in Go.

    Raises:
        AddressError: in use, no such address, not allowed.
    """
    wild = host in ("", "0.0.0.0", "::")
    try:
        try:
            return _listen("::" if wild else host, port)
        except OSError as error:
            # IPv6 may be compiled out or switched off: every interface is then every IPv4 interface.
            if not wild or error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
            return _listen("0.0.0.0", port)
    except OSError as error:
        reason = error.strerror or str(error)
        shown = join("" if wild else host, port)
        raise AddressError(f"listen tcp {shown}: bind: {reason[:1].lower()}{reason[1:]}") from None


def _listen(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if host == "::":
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
