"""Every verb of the REST API, once: a generator yields requests, is sent replies, and returns the typed result.

`client.py` runs the same generators over a blocking and over an asynchronous connection. Each write is read back and
compared; what would crash or surprise a server is refused before it is sent.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

from chaoskit.errors import LinkError
from chaoskit.stack.effects import Toxic
from chaoskit.stack.launch import ProxySpec
from chaoskit.toxiproxy.dangers import refusal
from chaoskit.toxiproxy.model import LinkCounters, Proxy, same_listen, same_toxic, toxic_of

__all__ = [
    "Flow",
    "Reply",
    "Request",
    "ToxiproxyError",
    "add_toxic",
    "counters",
    "create",
    "delete",
    "get",
    "get_toxic",
    "metrics",
    "populate",
    "proxies",
    "remove_toxic",
    "reset",
    "toxics",
    "update",
    "update_toxic",
    "version",
]

T = TypeVar("T")


class ToxiproxyError(LinkError):
    """A Toxiproxy refused, did not answer, answered nonsense, or reads back otherwise than asked.

    Attributes:
        status: the HTTP status; None when nothing was sent, nothing came back, or what came back was not as asked.
    """

    def __init__(self, message: str, *, status: int | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


@dataclass(frozen=True)
class Request:
    """What to send. `path` is quoted already; `body` becomes JSON when it is not None."""

    method: str
    path: str
    body: Any = None


@dataclass(frozen=True)
class Reply:
    """What came back; `body` is decoded JSON, or text where it was none."""

    status: int
    body: Any


Flow = Generator[Request, Reply, T]


def version() -> Flow[str]:
    """The server's version, "2.12.0"; "git" when it was built from source."""
    found = yield from _call("GET", "/version", 200)
    # Servers before 2.6 answer with plain text.
    return str(found["version"]) if isinstance(found, dict) else str(found).strip()


def proxies() -> Flow[dict[str, Proxy]]:
    """All proxies by name."""
    found = yield from _call("GET", "/proxies", 200)
    return {name: _proxy(value) for name, value in _items(found, "GET /proxies")}


def get(name: str) -> Flow[Proxy]:
    """One proxy with its toxics."""
    return _proxy((yield from _call("GET", _path(name), 200)))


def create(name: str, *, listen: str, upstream: str, enabled: bool = True) -> Flow[Proxy]:
    """Make a proxy; `listen` and `upstream` are host:port."""
    _check_proxy(name, upstream)
    asked = Proxy(name=name, listen=listen, upstream=upstream, enabled=enabled)
    yield from _call("POST", "/proxies", 201, asked.model_dump(exclude={"toxics"}))
    return _compared(asked, (yield from get(name)))


def populate(specs: Iterable[ProxySpec | Proxy]) -> Flow[dict[str, Proxy]]:
    """Make all these proxies; one that is there with the same addresses stays as it is, toxics and switch included.

    Toxics of what is given are not sent: the server makes proxies without any.
    """
    asked = [
        spec if isinstance(spec, Proxy) else Proxy(name=spec.name, listen=spec.listen, upstream=spec.upstream)
        for spec in specs
    ]
    for proxy in asked:
        _check_proxy(proxy.name, proxy.upstream)
    before = yield from proxies()
    yield from _call("POST", "/populate", 201, [proxy.model_dump(exclude={"toxics"}) for proxy in asked])
    found = yield from proxies()
    for proxy in asked:
        read = found.get(proxy.name)
        if read is None:
            raise ToxiproxyError(f"proxy {proxy.name} was populated but is not there when read back")
        untouched = before.get(proxy.name) == read
        _compared(proxy.model_copy(update={"enabled": read.enabled}) if untouched else proxy, read)
    return {proxy.name: found[proxy.name] for proxy in asked}


def update(
    name: str,
    *,
    listen: str | None = None,
    upstream: str | None = None,
    enabled: bool | None = None,
    verify: bool = True,
) -> Flow[Proxy]:
    """Change a proxy; what is None stays. Other addresses, or `enabled=False`, close its connections.

    Args:
        verify: read it back with a request of its own; False trusts the answer to the change.
    """
    wanted = {"listen": listen, "upstream": upstream, "enabled": enabled}
    changes = {key: value for key, value in wanted.items() if value is not None}
    if upstream == "":
        raise ToxiproxyError(f"upstream of {name} is empty: nothing could be dialled")
    answer = _proxy((yield from _call("PATCH", _path(name), 200, changes)))
    read = (yield from get(name)) if verify else answer
    return _compared(read.model_copy(update=changes), read)


def delete(name: str) -> Flow[None]:
    """Remove a proxy; its connections are closed."""
    yield from _call("DELETE", _path(name), 204)
    if name in (yield from proxies()):
        raise ToxiproxyError(f"proxy {name} was deleted but is still there when read back")


def toxics(name: str) -> Flow[tuple[Toxic, ...]]:
    """The toxics of a proxy: upstream first, each direction in chain order."""
    found = yield from _call("GET", _path(name, "toxics"), 200)
    if not isinstance(found, list):
        raise ToxiproxyError(f"GET {_path(name, 'toxics')}: a list was expected, not {found!r}")
    return tuple(_toxic(value) for value in found)


def get_toxic(name: str, toxic: str) -> Flow[Toxic]:
    """One toxic of a proxy."""
    return _toxic((yield from _call("GET", _path(name, "toxics", toxic), 200)))


def add_toxic(name: str, toxic: Toxic, *, verify: bool = True) -> Flow[Toxic]:
    """Put a toxic at the end of its direction's chain; it reaches open connections too."""
    _check_toxic(toxic)
    answer = _toxic((yield from _call("POST", _path(name, "toxics"), 200, toxic.model_dump())))
    read = (yield from get_toxic(name, toxic.name)) if verify else answer
    return _compared_toxic(name, toxic, read)


def update_toxic(
    name: str,
    toxic: Toxic,
    *,
    attributes: Mapping[str, int] | None = None,
    toxicity: float | None = None,
    verify: bool = True,
) -> Flow[Toxic]:
    """Give a toxic new values; what is None, or an attribute not named, stays as `toxic` says.

    Args:
        toxic: as it is now, from `get_toxic` or `toxics`.
    """
    wanted = toxic.model_copy(
        update={
            "attributes": {**toxic.attributes, **(attributes or {})},
            "toxicity": toxic.toxicity if toxicity is None else toxicity,
        }
    )
    _check_toxic(wanted)
    body = {"attributes": wanted.attributes, "toxicity": wanted.toxicity}
    answer = _toxic((yield from _call("PATCH", _path(name, "toxics", toxic.name), 200, body)))
    read = (yield from get_toxic(name, toxic.name)) if verify else answer
    return _compared_toxic(name, wanted, read)


def remove_toxic(name: str, toxic: str, *, verify: bool = True) -> Flow[None]:
    """Take a toxic out of its chain."""
    yield from _call("DELETE", _path(name, "toxics", toxic), 204)
    if verify and any(left.name == toxic for left in (yield from toxics(name))):
        raise ToxiproxyError(f"toxic {toxic} of {name} was removed but is still there when read back")


def reset() -> Flow[dict[str, Proxy]]:
    """Enable all proxies and remove all toxics; the proxies afterwards."""
    yield from _call("POST", "/reset", 204)
    found = yield from proxies()
    for proxy in found.values():
        _compared(proxy.model_copy(update={"enabled": True, "toxics": ()}), proxy)
        if proxy.toxics:
            raise ToxiproxyError(f"after a reset {proxy.name} still has {_names(proxy.toxics)}")
    return found


def metrics() -> Flow[str]:
    """Prometheus text; "" when the server was started without -proxy-metrics and -runtime-metrics."""
    found = yield from _call("GET", "/metrics", 200, missing="")
    if not isinstance(found, str):
        raise ToxiproxyError(f"GET /metrics: text was expected, not {found!r}")
    return found


def counters() -> Flow[dict[str, LinkCounters]]:
    """What each proxy carried, by name. Only the embedded server counts; the original gives an empty answer here."""
    found = yield from _call("GET", "/chaoskit/counters", 200, missing={})
    try:
        items = _items(found, "GET /chaoskit/counters")
        return {name: LinkCounters.model_validate(value) for name, value in items}
    except ValueError as error:
        raise ToxiproxyError(f"GET /chaoskit/counters: unexpected answer ({error})") from error


def _call(method: str, path: str, status: int, body: Any = None, *, missing: Any = None) -> Flow[Any]:
    """One request that shall be answered with `status`; `missing` is the result where a server has no such page."""
    reply = yield Request(method, path, body)
    if reply.status == status:
        return reply.body
    if reply.status == 404 and missing is not None:
        return missing
    said = reply.body.get("error", reply.body) if isinstance(reply.body, dict) else reply.body
    raise ToxiproxyError(
        f"{method} {path}: the server answered {reply.status}: {str(said).strip() or 'no reason given'}",
        status=reply.status,
        hint={403: "it refuses browsers, and names that it does not go by: dial it by an address"}.get(reply.status),
    )


def _path(*names: str) -> str:
    for name in names:
        if name in ("", ".", "..") or "/" in name:
            raise ToxiproxyError(f"{name!r} cannot be addressed: as a part of a path it would name something else")
    return "/proxies/" + "/".join(quote(name, safe="") for name in names)


def _proxy(found: Any) -> Proxy:
    try:
        toxics = tuple(toxic_of(toxic) for toxic in found.get("toxics") or ())
        return Proxy(
            name=found["name"],
            listen=found["listen"],
            upstream=found["upstream"],
            enabled=found["enabled"],
            toxics=toxics,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ToxiproxyError(f"the server's answer is no proxy: {found!r} ({error})") from error


def _toxic(found: Any) -> Toxic:
    try:
        return toxic_of(found)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ToxiproxyError(f"the server's answer is no toxic: {found!r} ({error})") from error


def _items(found: Any, what: str) -> Iterable[tuple[str, Any]]:
    if not isinstance(found, dict):
        raise ToxiproxyError(f"{what}: an object was expected, not {found!r}")
    return found.items()


def _check_proxy(name: str, upstream: str) -> None:
    _path(name)
    if not upstream:
        raise ToxiproxyError(f"proxy {name} has no upstream: nothing could be dialled")


def _check_toxic(toxic: Toxic) -> None:
    reason = refusal(toxic.name, toxic.type, toxic.toxicity, toxic.attributes)
    if reason is not None:
        raise ToxiproxyError(f"not sent: {reason}")


def _compared(asked: Proxy, read: Proxy) -> Proxy:
    same = (asked.name, asked.upstream, asked.enabled) == (read.name, read.upstream, read.enabled)
    if not same or not same_listen(asked.listen, read.listen):
        raise ToxiproxyError(
            f"proxy {asked.name} reads back otherwise: asked listen={asked.listen} upstream={asked.upstream} "
            f"enabled={asked.enabled}, read listen={read.listen} upstream={read.upstream} enabled={read.enabled}"
        )
    return read


def _compared_toxic(proxy: str, asked: Toxic, read: Toxic) -> Toxic:
    if not same_toxic(asked, read):
        raise ToxiproxyError(f"toxic of {proxy} reads back otherwise: asked [{asked}], read [{read}]")
    return read


def _names(toxics: Iterable[Toxic]) -> str:
    return ", ".join(toxic.name for toxic in toxics)
