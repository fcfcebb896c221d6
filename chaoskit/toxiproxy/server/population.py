"""Many proxies at once: what POST /populate takes, and the file that -config names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chaoskit.errors import EnvironmentFault
from chaoskit.toxiproxy.server import gojson
from chaoskit.toxiproxy.server.address import AddressError
from chaoskit.toxiproxy.server.proxies import Proxies, Proxy
from chaoskit.toxiproxy.server.shapes import Refused, fields_of, short_text

__all__ = ["Populated", "populate", "populate_from"]

_LARGEST = 4 * 1024 * 1024  # bytes, as for the body of a request


@dataclass(frozen=True)
class Populated:
    """What came of it.

    Attributes:
        proxies: those that are as asked now, in order; the ones that were there already included.
        status, message: of the trouble that ended it early; 201 and "" when there was none.
    """

    proxies: tuple[Proxy, ...]
    status: int = 201
    message: str = ""


async def populate(proxies: Proxies, body: bytes, most: int) -> Populated:
    """Make what a JSON list asks for; what was made before a failure stays. At most `most` proxies in all."""
    made: list[Proxy] = []
    try:
        wanted = _wanted(proxies, body)
        # Nothing is made of a list that has a mistake in it or asks for too much.
        if len(proxies.by_name.keys() | {proxy.name for proxy, _ in wanted}) > most:
            raise Refused(400, f"too many proxies: {most} is the limit")
        for proxy, enabled in wanted:
            made.append(await proxies.add_or_replace(proxy, start=enabled))
    except gojson.BadJson as error:
        return Populated((), 400, f"bad request body: {error}")
    except Refused as refused:
        return Populated((), refused.status, refused.message)
    except AddressError as error:
        return Populated(tuple(made), 500, str(error))
    return Populated(tuple(made))


async def populate_from(file: str, proxies: Proxies, most: int) -> int:
    """Make the proxies of a file; how many they are.

    The original logs a failure and goes on without them, so that a program dials nothing, or past the proxy.

    Raises:
        EnvironmentFault: the file cannot be read, is wrong, or one of them cannot be made.
    """
    try:
        with Path(file).open("rb") as opened:
            body = opened.read(_LARGEST + 1)
    except OSError as error:
        raise EnvironmentFault(
            f"the proxies of {file} cannot be read: {error.strerror}", hint="name a file that this user can read"
        ) from None
    if len(body) > _LARGEST:
        raise EnvironmentFault(
            f"the proxies of {file} cannot be made: it is larger than {_LARGEST} bytes",
            hint="name a file with a list of proxies",
        )
    done = await populate(proxies, body, most)
    if done.message:
        raise EnvironmentFault(
            f"the proxies of {file} cannot be made: {done.message}",
            hint='it must hold a list such as [{"name": "db", "listen": "127.0.0.1:15432", "upstream": "db:5432"}]',
        )
    return len(done.proxies)


def _wanted(proxies: Proxies, body: bytes) -> list[tuple[Proxy, bool]]:
    """What a body asks for, checked as a whole before anything is made."""
    entries = gojson.decode(body)
    if not isinstance(entries, list | None):
        kind = gojson.kind_of(entries)
        raise gojson.BadJson(f"json: cannot unmarshal {kind} into Go value of type []toxiproxy.Proxy")
    wanted = []
    for entry in entries or []:
        fields = fields_of(entry, "toxiproxy.Proxy")
        name, listen, upstream = (short_text(fields, key, "", "") for key in ("name", "listen", "upstream"))
        enabled = gojson.boolean(fields, "enabled", True, "")
        wanted.append((proxies.make(name, listen, upstream), enabled))
    for number, (proxy, _) in enumerate(wanted, 1):
        for key, value in (("name", proxy.name), ("upstream", proxy.upstream)):
            if not value:
                raise Refused(400, f"missing required field: {key} at proxy {number}")
    return wanted
