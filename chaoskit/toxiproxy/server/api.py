"""The REST API of Toxiproxy 2.12, answer for answer; /chaoskit/counters is our own addition.

Statuses, messages, key order and content types were compared with the original's. Where it hangs or leaves things half
done (a reset that stops at the first proxy that cannot start) this one goes on.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import posixpath
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from chaoskit.toxiproxy.server import gojson
from chaoskit.toxiproxy.server.address import AddressError
from chaoskit.toxiproxy.server.proxies import Proxies, Proxy
from chaoskit.toxiproxy.server.stage import DIRECTIONS, Toxic
from chaoskit.toxiproxy.server.toxics import TOXICS

__all__ = ["VERSION", "Answer", "Api", "Call"]

VERSION = "2.12.0"  # of the API that is spoken
_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"
_HANDLER_LIMIT = 25.0  # seconds; only a name that DNS does not answer can take that long
_TIMEOUT_PAGE = b"<html><head><title>Timeout</title></head><body><h1>Timeout</h1></body></html>"


@dataclass(frozen=True)
class Call:
    """A whole request. `path` is as sent, without the query."""

    method: str
    path: str
    body: bytes
    agent: str = ""


@dataclass(frozen=True)
class Answer:
    """A whole reply; a `content_type` of "" sends no such header."""

    status: int
    body: bytes = b""
    content_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()


class _Refused(Exception):
    """An error reply: its status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


_Handler = Callable[..., Awaitable[Answer]]


class Api:
    """Routes and handlers over one collection of proxies. Changes are made one at a time."""

    def __init__(self, proxies: Proxies) -> None:
        self._proxies = proxies
        self._lock = asyncio.Lock()
        self._ids = itertools.count(1)
        self._process = os.urandom(5)
        self._routes: dict[tuple[str, ...], dict[str, _Handler]] = {
            ("reset",): {"POST": self._reset},
            ("proxies",): {"GET": self._index, "POST": self._create},
            ("populate",): {"POST": self._populate},
            ("proxies", "*"): {"GET": self._show, "POST": self._update, "PATCH": self._update, "DELETE": self._delete},
            ("proxies", "*", "toxics"): {"GET": self._toxics, "POST": self._toxic_create},
            ("proxies", "*", "toxics", "*"): {
                "GET": self._toxic_show,
                "POST": self._toxic_update,
                "PATCH": self._toxic_update,
                "DELETE": self._toxic_delete,
            },
            ("version",): {"GET": self._version},
            ("chaoskit", "counters"): {"GET": self._counters},
        }

    async def answer(self, call: Call) -> Answer:
        """Carry a request out. Never raises for anything that a client can send."""
        path = unquote(call.path, errors="replace")
        clean = _clean(path)
        if clean != path:
            return Answer(301, headers=(("Location", quote(clean)),))
        parts = path.split("/")[1:]
        for pattern, methods in self._routes.items():
            if len(pattern) == len(parts) and all(
                part and want in ("*", part) for want, part in zip(pattern, parts, strict=True)
            ):
                handler = methods.get(call.method)
                if handler is None:
                    return Answer(405)
                names = [part for want, part in zip(pattern, parts, strict=True) if want == "*"]
                answer = await self._handle(handler, names, call)
                identity = ("X-Toxiproxy-Request-Id", self._request_id())
                return Answer(answer.status, answer.body, answer.content_type, (*answer.headers, identity))
        return _plain(404, "404 page not found")

    async def _handle(self, handler: _Handler, names: list[str], call: Call) -> Answer:
        if call.agent.startswith("Mozilla/"):
            return _plain(403, "User agent not allowed")
        try:
            async with asyncio.timeout(_HANDLER_LIMIT):
                if call.method == "GET":
                    return await handler(*names)
                async with self._lock:
                    return await (handler(*names) if call.method == "DELETE" else handler(*names, call.body))
        except _Refused as refused:
            status, message = refused.status, refused.message
        except gojson.BadJson as error:
            status, message = 400, f"bad request body: {error}"
        except AddressError as error:
            status, message = 500, str(error)
        except TimeoutError:
            return Answer(503, _TIMEOUT_PAGE, "text/html; charset=utf-8")
        return _plain(status, gojson.encode({"error": message, "status": status}).decode())

    def _request_id(self) -> str:
        # Twenty letters that sort by time, of the shape that the original gives.
        raw = struct.pack(">I", int(time.time()) & 0xFFFFFFFF) + self._process
        raw += (next(self._ids) & 0xFFFFFF).to_bytes(3, "big")
        return base64.b32hexencode(raw).decode().rstrip("=").lower()

    def _find(self, name: str) -> Proxy:
        proxy = self._proxies.by_name.get(name)
        if proxy is None:
            raise _Refused(404, "proxy not found")
        return proxy

    def _find_toxic(self, proxy: str, name: str) -> tuple[Proxy, Toxic]:
        found = self._find(proxy)
        toxic = found.find(name)
        if toxic is None:
            raise _Refused(404, "toxic not found")
        return found, toxic

    async def _index(self) -> Answer:
        return _json(200, {name: _proxy(proxy) for name, proxy in sorted(self._proxies.by_name.items())})

    async def _create(self, body: bytes) -> Answer:
        fields = _object(gojson.decode(body), "toxiproxy.Proxy")
        name, listen, upstream = (gojson.text(fields, key, "", "Proxy") for key in ("name", "listen", "upstream"))
        enabled = gojson.boolean(fields, "enabled", True, "Proxy")
        for key, value in (("name", name), ("upstream", upstream)):
            if not value:
                raise _Refused(400, f"missing required field: {key}")
        if name in self._proxies.by_name:
            raise _Refused(409, "proxy already exists")
        proxy = await self._proxies.add_or_replace(self._proxies.make(name, listen, upstream), start=enabled)
        return _json(201, _proxy(proxy))

    async def _populate(self, body: bytes) -> Answer:
        made: list[Proxy] = []
        status, message = 201, ""
        try:
            for proxy, enabled in self._population(body):
                made.append(await self._proxies.add_or_replace(proxy, start=enabled))
        except gojson.BadJson as error:
            status, message = 400, f"bad request body: {error}"
        except _Refused as refused:
            status, message = refused.status, refused.message
        except AddressError as error:
            status, message = 500, str(error)
        trouble = {"error": message, "status": status} if message else {}
        return _json(status, {**trouble, "proxies": [_proxy(proxy) for proxy in made] or None})

    def _population(self, body: bytes) -> list[tuple[Proxy, bool]]:
        """What a body asks for, checked as a whole before anything is made."""
        entries = gojson.decode(body)
        if not isinstance(entries, list | None):
            kind = gojson.kind_of(entries)
            raise gojson.BadJson(f"json: cannot unmarshal {kind} into Go value of type []toxiproxy.Proxy")
        wanted = []
        for entry in entries or []:
            fields = _object(entry, "toxiproxy.Proxy")
            name, listen, upstream = (gojson.text(fields, key, "", "") for key in ("name", "listen", "upstream"))
            enabled = gojson.boolean(fields, "enabled", True, "")
            wanted.append((self._proxies.make(name, listen, upstream), enabled))
        for number, (proxy, _) in enumerate(wanted, 1):
            for key, value in (("name", proxy.name), ("upstream", proxy.upstream)):
                if not value:
                    raise _Refused(400, f"missing required field: {key} at proxy {number}")
        return wanted

    async def _show(self, name: str) -> Answer:
        return _json(200, _proxy(self._find(name)))

    async def _update(self, name: str, body: bytes) -> Answer:
        proxy = self._find(name)
        fields = _object(gojson.decode(body), "toxiproxy.Proxy")
        gojson.text(fields, "name", "", "Proxy")  # ignored, but must be a string
        await self._proxies.change(
            proxy,
            listen=gojson.text(fields, "listen", proxy.listen, "Proxy"),
            upstream=gojson.text(fields, "upstream", proxy.upstream, "Proxy"),
            enabled=gojson.boolean(fields, "enabled", proxy.enabled, "Proxy"),
        )
        return _json(200, _proxy(proxy))

    async def _delete(self, name: str) -> Answer:
        await self._find(name).stop()
        del self._proxies.by_name[name]
        return Answer(204)

    async def _toxics(self, name: str) -> Answer:
        return _json(200, [_toxic(toxic) for toxic in self._find(name).toxics()])

    async def _toxic_create(self, name: str, body: bytes) -> Answer:
        proxy = self._find(name)
        fields = _object(gojson.decode(body), "toxics.ToxicWrapper")
        where = "ToxicWrapper"
        given = gojson.members(fields, "attributes", where, "toxics.NoopToxic")
        called, kind = gojson.text(fields, "name", "", where), gojson.text(fields, "type", "", where)
        stream = gojson.text(fields, "stream", "downstream", where)
        toxicity = gojson.number(fields, "toxicity", 1, where)
        if stream.lower() not in DIRECTIONS:
            raise _Refused(400, "stream was invalid, can be either upstream or downstream")
        stage = TOXICS.get(kind)
        if stage is None:
            raise _Refused(400, "invalid toxic type")
        called = called or f"{kind}_{stream}"
        if proxy.find(called) is not None:
            raise _Refused(409, "toxic already exists")
        attributes = _attributes(kind, given, dict.fromkeys(stage.attributes, 0))
        toxic = Toxic(called, stage, stream, DIRECTIONS.index(stream.lower()), toxicity, attributes)
        proxy.add(toxic)
        return _json(200, _toxic(toxic))

    async def _toxic_show(self, name: str, called: str) -> Answer:
        return _json(200, _toxic(self._find_toxic(name, called)[1]))

    async def _toxic_update(self, name: str, called: str, body: bytes) -> Answer:
        proxy, toxic = self._find_toxic(name, called)
        kind = toxic.stage.type
        fields = _object(gojson.decode(body), f"toxics.{_go_name(kind)}")
        given = gojson.members(fields, "attributes", "", f"toxics.{_go_name(kind)}")
        toxicity = gojson.number(fields, "toxicity", toxic.toxicity, "")
        proxy.update(toxic, toxicity, _attributes(kind, given, toxic.attributes))
        return _json(200, _toxic(toxic))

    async def _toxic_delete(self, name: str, called: str) -> Answer:
        proxy, toxic = self._find_toxic(name, called)
        proxy.remove(toxic)
        return Answer(204)

    async def _reset(self, body: bytes) -> Answer:
        await self._proxies.reset()
        return Answer(204)

    async def _version(self) -> Answer:
        return Answer(200, b'{"version": "%s"}\n' % VERSION.encode(), "application/json;charset=utf-8")

    async def _counters(self) -> Answer:
        return _json(200, {name: proxy.counters() for name, proxy in sorted(self._proxies.by_name.items())})


def _object(value: Any, go_type: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise gojson.BadJson(f"json: cannot unmarshal {gojson.kind_of(value)} into Go value of type {go_type}")
    return value


def _attributes(kind: str, given: dict[str, Any], before: dict[str, int]) -> dict[str, int]:
    """The values given over those from before; names that the type does not have are ignored."""
    where = f"{_go_name(kind)}.attributes"
    return {name: gojson.integer(given, name, value, where) for name, value in before.items()}


def _go_name(kind: str) -> str:
    """What the original calls the type of a toxic in its messages: LatencyToxic, ResetToxic."""
    return kind.removesuffix("_peer").title().replace("_", "") + "Toxic"


def _proxy(proxy: Proxy) -> dict[str, object]:
    return {
        "name": proxy.name,
        "listen": proxy.listen,
        "upstream": proxy.upstream,
        "enabled": proxy.enabled,
        "Logger": {},  # the original leaks this key, and clients have learned to ignore it
        "toxics": [_toxic(toxic) for toxic in proxy.toxics()],
    }


def _toxic(toxic: Toxic) -> dict[str, object]:
    return {
        "attributes": toxic.attributes,
        "name": toxic.name,
        "type": toxic.stage.type,
        "stream": toxic.stream,
        "toxicity": toxic.toxicity,
    }


def _json(status: int, value: object) -> Answer:
    return Answer(status, gojson.encode(value), _JSON)


def _plain(status: int, text: str) -> Answer:
    return Answer(status, text.encode() + b"\n", _TEXT, (("X-Content-Type-Options", "nosniff"),))


def _clean(path: str) -> str:
    """The path without empty, `.` and `..` parts; a slash at its end stays."""
    clean = posixpath.normpath("/" + path.lstrip("/"))
    return clean + "/" if path.endswith("/") and clean != "/" else clean
