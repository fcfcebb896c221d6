"""Which names the control port answers to: so that no web page can drive it through a visitor's browser.

A page whose own name is made to point at this machine (DNS rebinding) is "same origin" to the browser, but the browser
still sends that name as `Host`. A name that nobody here goes by is therefore refused. The original answers to any.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

__all__ = ["Hosts"]


class Hosts:
    """The rule for one server.

    Args:
        bound: the address that it listens on. asked: the same as the command line says it, perhaps a name.
        allowed: further names.
    """

    def __init__(self, bound: str, asked: str = "", allowed: Iterable[str] = ()) -> None:
        self._names = {name.lower().rstrip(".") for name in ("localhost", asked, *allowed) if name}
        address = _address(bound)
        self._bound = address
        # Who listens everywhere wants to be reached from elsewhere: by any address (an address cannot be rebound), and
        # by the name of the machine or container.
        self._everywhere = address is None or address.is_unspecified
        if self._everywhere:
            self._names.add(socket.gethostname().lower())

    def allow(self, header: str) -> bool:
        """Whether a request with this Host header is answered; one without the header (HTTP/1.0) is."""
        if not header:
            return True
        host = header.strip().lower()
        if host.startswith("["):
            host = host[1:].partition("]")[0]
        elif host.count(":") == 1:
            host = host.partition(":")[0]
        if host.rstrip(".") in self._names:
            return True
        address = _address(host)
        return address is not None and (self._everywhere or address.is_loopback or address == self._bound)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
