"""The REST API of Toxiproxy 2.12, answer for answer; what is under /chaoskit/ is our own addition.

Statuses, messages, key order and content types were compared with the original's. Where that hangs or leaves things
half done (a reset that stops at the first proxy that cannot start) this one goes on: docs/toxiproxy.md lists it all.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import logging
import os
import posixpath
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from chaoskit.toxiproxy.server import gojson
from chaoskit.toxiproxy.server.address import AddressError
from chaoskit.toxiproxy.server.hosts import Hosts
from chaoskit.toxiproxy.server.log import log
from chaoskit.toxiproxy.server.metrics import CONTENT_TYPE, Metrics
from chaoskit.toxiproxy.server.population import populate
from chaoskit.toxiproxy.server.proxies import Proxies, Proxy
from chaoskit.toxiproxy.server.shapes import (
    Refused,
    attributes_of,
    fields_of,
    go_name,
    proxy_shape,
    short_text,
    toxic_shape,
)
from chaoskit.toxiproxy.server.stage import DIRECTIONS, Toxic
from chaoskit.toxiproxy.server.toxics import TOXICS

__all__ = ["VERSION", "Answer", "Api", "Call"]

VERSION = "2.12.0"  # of the API that is spoken
_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"
_HANDLER_LIMIT = 25.0  # seconds; only a name that DNS does not answer can take that long
_MOST_TOXICS = 100  # on one proxy; every byte passes through all of them
_TIMEOUT_PAGE = b"<html><head><title>Timeout</title></head><body><h1>Timeout</h1></body></html>"


@dataclass(frozen=True)
class Call:
    """A whole request. `path` is as sent, without the query; `agent` and `host` are the headers, "" when missing."""

    method: str
    path: str
    body: bytes
    agent: str = ""
    host: str = ""


@dataclass(frozen=True)
class Answer:
    """A whole reply; a `content_type` of "" sends no such header."""

    status: int
    body: bytes = b""
    content_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()


_Handler = Callable[..., Awaitable[Answer]]


class Api:
    """Routes and handlers over one collection of proxies. Changes are made one at a time.

    Args:
        most: proxies that there may be. hosts: the names that are answered to; None = all of them.
        metrics: what /metrics shows; None = there is no such page.
    """

    def __init__(
        self, proxies: Proxies, *, most: int = 10_000, hosts: Hosts | None = None, metrics: Metrics | None = None
    ) -> None:
        self._proxies = proxies
        self._most = most
        self._hosts = hosts
        self._metrics = metrics
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
        self._settle: Callable[[], None] = lambda: None
        if metrics is not None and metrics.wanted:
            self._routes["metrics",] = {"*": self._show_metrics}
            self._settle = metrics.settle

    async def answer(self, call: Call) -> Answer:
        """Carry a request out. Never raises for anything that a client can send."""
        if self._hosts is not None and not self._hosts.allow(call.host):
            return _plain(
                403, f"Host {call.host!r} not allowed: use an address or localhost, or start with -allow-host"
            )
        path = unquote(call.path, errors="replace")
        clean = _clean(path)
        if clean != path:
            return Answer(301, headers=(("Location", quote(clean)),))
        parts = path.split("/")[1:]
        for pattern, methods in self._routes.items():
            if len(pattern) == len(parts) and all(
                part and want in ("*", part) for want, part in zip(pattern, parts, strict=True)
            ):
                handler = methods.get(call.method) or methods.get("*")
                if handler is None:
                    return Answer(405)
                names = [part for want, part in zip(pattern, parts, strict=True) if want == "*"]
                return await self._routed(handler, names, call)
        return _plain(404, "404 page not found")

    async def _routed(self, handler: _Handler, names: list[str], call: Call) -> Answer:
        identity, began = self._request_id(), time.monotonic()
        answer = await self._handle(handler, names, call)
        log(
            logging.DEBUG,
            "",
            request_id=identity,
            method=call.method,
            url=call.path,
            user_agent=call.agent,
            status=answer.status,
            size=len(answer.body),
            duration=round((time.monotonic() - began) * 1000, 3),
        )
        headers = (*answer.headers, ("X-Toxiproxy-Request-Id", identity))
        return Answer(answer.status, answer.body, answer.content_type, headers)

    async def _handle(self, handler: _Handler, names: list[str], call: Call) -> Answer:
        if call.agent.startswith("Mozilla/"):
            return _plain(403, "User agent not allowed")
        try:
            async with asyncio.timeout(_HANDLER_LIMIT):
                if call.method in ("GET", "HEAD") or handler == self._show_metrics:
                    return await handler(*names)
                async with self._lock:
                    return await self._change(handler, names, call)
        except Refused as refused:
            status, message = refused.status, refused.message
        except gojson.BadJson as error:
            status, message = 400, f"bad request body: {error}"
        except AddressError as error:
            status, message = 500, str(error)
            log(logging.INFO, f"{call.method} {call.path}: {error}")
        except TimeoutError:
            return Answer(503, _TIMEOUT_PAGE, "text/html; charset=utf-8")
        return _plain(status, gojson.encode({"error": message, "status": status}).decode())

    async def _change(self, handler: _Handler, names: list[str], call: Call) -> Answer:
        self._settle()
        try:
            return await (handler(*names) if call.method == "DELETE" else handler(*names, call.body))
        finally:
            self._settle()

    def _request_id(self) -> str:
        # Twenty letters that sort by time, of the shape that the original gives.
        raw = struct.pack(">I", int(time.time()) & 0xFFFFFFFF) + self._process
        raw += (next(self._ids) & 0xFFFFFF).to_bytes(3, "big")
        return base64.b32hexencode(raw).decode().rstrip("=").lower()

    def _find(self, name: str) -> Proxy:
        proxy = self._proxies.by_name.get(name)
        if proxy is None:
            raise Refused(404, "proxy not found")
        return proxy

    def _find_toxic(self, proxy: str, name: str) -> tuple[Proxy, Toxic]:
        found = self._find(proxy)
        toxic = found.find(name)
        if toxic is None:
            raise Refused(404, "toxic not found")
        return found, toxic

    async def _index(self) -> Answer:
        return _json(200, {name: proxy_shape(proxy) for name, proxy in sorted(self._proxies.by_name.items())})

    async def _create(self, body: bytes) -> Answer:
        fields = fields_of(gojson.decode(body), "toxiproxy.Proxy")
        name, listen, upstream = (short_text(fields, key, "", "Proxy") for key in ("name", "listen", "upstream"))
        enabled = gojson.boolean(fields, "enabled", True, "Proxy")
        for key, value in (("name", name), ("upstream", upstream)):
            if not value:
                raise Refused(400, f"missing required field: {key}")
        if name in self._proxies.by_name:
            raise Refused(409, "proxy already exists")
        if len(self._proxies.by_name) >= self._most:
            raise Refused(400, f"too many proxies: {self._most} is the limit")
        proxy = await self._proxies.add_or_replace(self._proxies.make(name, listen, upstream), start=enabled)
        return _json(201, proxy_shape(proxy))

    async def _populate(self, body: bytes) -> Answer:
        done = await populate(self._proxies, body, self._most)
        trouble = {"error": done.message, "status": done.status} if done.message else {}
        return _json(done.status, {**trouble, "proxies": [proxy_shape(proxy) for proxy in done.proxies] or None})

    async def _show(self, name: str) -> Answer:
        return _json(200, proxy_shape(self._find(name)))

    async def _update(self, name: str, body: bytes) -> Answer:
        proxy = self._find(name)
        fields = fields_of(gojson.decode(body), "toxiproxy.Proxy")
        gojson.text(fields, "name", "", "Proxy")  # ignored, but must be a string
        await self._proxies.change(
            proxy,
            listen=short_text(fields, "listen", proxy.listen, "Proxy"),
            upstream=short_text(fields, "upstream", proxy.upstream, "Proxy"),
            enabled=gojson.boolean(fields, "enabled", proxy.enabled, "Proxy"),
        )
        return _json(200, proxy_shape(proxy))

    async def _delete(self, name: str) -> Answer:
        await self._find(name).stop()
        del self._proxies.by_name[name]
        return Answer(204)

    async def _toxics(self, name: str) -> Answer:
        return _json(200, [toxic_shape(toxic) for toxic in self._find(name).toxics()])

    async def _toxic_create(self, name: str, body: bytes) -> Answer:
        proxy = self._find(name)
        fields = fields_of(gojson.decode(body), "toxics.ToxicWrapper")
        where = "ToxicWrapper"
        given = gojson.members(fields, "attributes", where, "toxics.NoopToxic")
        called, kind = short_text(fields, "name", "", where), gojson.text(fields, "type", "", where)
        stream = gojson.text(fields, "stream", "downstream", where)
        toxicity = gojson.number(fields, "toxicity", 1, where)
        if stream.lower() not in DIRECTIONS:
            raise Refused(400, "stream was invalid, can be either upstream or downstream")
        stage = TOXICS.get(kind)
        if stage is None:
            raise Refused(400, "invalid toxic type")
        called = called or f"{kind}_{stream}"
        if proxy.find(called) is not None:
            raise Refused(409, "toxic already exists")
        if sum(len(chain) for chain in proxy.chains) >= _MOST_TOXICS:
            raise Refused(400, f"too many toxics on {name}: {_MOST_TOXICS} is the limit")
        attributes = attributes_of(kind, given, dict.fromkeys(stage.attributes, 0))
        toxic = Toxic(called, stage, stream, DIRECTIONS.index(stream.lower()), toxicity, attributes)
        proxy.add(toxic)
        return _json(200, toxic_shape(toxic))

    async def _toxic_show(self, name: str, called: str) -> Answer:
        return _json(200, toxic_shape(self._find_toxic(name, called)[1]))

    async def _toxic_update(self, name: str, called: str, body: bytes) -> Answer:
        proxy, toxic = self._find_toxic(name, called)
        kind = toxic.stage.type
        fields = fields_of(gojson.decode(body), f"toxics.{go_name(kind)}")
        given = gojson.members(fields, "attributes", "", f"toxics.{go_name(kind)}")
        toxicity = gojson.number(fields, "toxicity", toxic.toxicity, "")
        proxy.update(toxic, toxicity, attributes_of(kind, given, toxic.attributes))
        return _json(200, toxic_shape(toxic))

    async def _toxic_delete(self, name: str, called: str) -> Answer:
        proxy, toxic = self._find_toxic(name, called)
        proxy.remove(toxic)
        return Answer(204)

    async def _reset(self, body: bytes) -> Answer:
        await self._proxies.reset()
        return Answer(204)

    async def _version(self) -> Answer:
        return Answer(200, b'{"version": "%s"}\n' % VERSION.encode(), "application/json;charset=utf-8")

    async def _show_metrics(self) -> Answer:
        return Answer(200, self._metrics.text() if self._metrics else b"", CONTENT_TYPE)

    async def _counters(self) -> Answer:
        return _json(200, {name: proxy.counters() for name, proxy in sorted(self._proxies.by_name.items())})


def _json(status: int, value: object) -> Answer:
    return Answer(status, gojson.encode(value), _JSON)


def _plain(status: int, text: str) -> Answer:
    return Answer(status, text.encode() + b"\n", _TEXT, (("X-Content-Type-Options", "nosniff"),))


def _clean(path: str) -> str:
    """The path without empty, `.` and `..` parts; a slash at its end stays."""
    clean = posixpath.normpath("/" + path.lstrip("/"))
    return clean + "/" if path.endswith("/") and clean != "/" else clean
