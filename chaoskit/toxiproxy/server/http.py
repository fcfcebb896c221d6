"""A small HTTP/1.1 server for the control port, on httptools: keep-alive, pipelining, limits; nothing else.

It shares the loop with the traffic, so a client that sends slowly, too much or nonsense must cost nothing: there is a
time limit for a request to be whole, one for an idle connection, and bounds on headers, bodies and connections.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, cast

import httptools

from chaoskit.toxiproxy.server.api import Answer, Call

__all__ = ["ControlPort"]

_LOG = logging.getLogger(__name__)
_REQUEST_LIMIT = 15.0  # seconds from the first byte of a request to its last
_IDLE_LIMIT = 60.0
_ANSWER_LIMIT = 30.0  # for a client to take what it asked for
_HEADER_LIMIT = 64 * 1024
_BODY_LIMIT = 4 * 1024 * 1024
_CONNECTIONS = 100
_LAST_ANSWERS = 1.0  # seconds that a closing server gives to answers that are on their way
_PIPELINED = 64  # requests, and bytes of bodies, waiting on one connection before it is no longer read
_PIPELINED_BYTES = 1024 * 1024
_SLICE = 8 * 1024  # bytes that are parsed at a time: one read can hold thousands of requests


class ControlPort:
    """Makes a protocol for each connection of `loop.create_server`.

    Args:
        handler: carries a request out.
    """

    def __init__(self, handler: Callable[[Call], Awaitable[Answer]]) -> None:
        self.handler = handler
        self.open: dict[_Exchange, None] = {}  # in the order they came

    def __call__(self) -> asyncio.Protocol:
        """A protocol for one connection."""
        return _Exchange(self)

    def admit(self, exchange: _Exchange) -> None:
        """Take one more in; when there are too many, one has to go: the oldest that nothing is being done for, else the
        one that asks most at once.

        Not the newest: it may be the one that comes to heal, while somebody's forgotten ones sit here.
        """
        if len(self.open) >= _CONNECTIONS:
            greedy = max(self.open, key=lambda other: other.waiting)
            leaving = next((other for other in self.open if not other.busy), greedy)
            self.open.pop(leaving, None)
            leaving.abort()
        self.open[exchange] = None

    async def close(self) -> None:
        """Close all connections: idle ones at once, the others when their answer is sent, or shortly after anyway."""
        for exchange in list(self.open):
            exchange.finish()
        end = asyncio.get_running_loop().time() + _LAST_ANSWERS
        while self.open and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.005)
        for exchange in list(self.open):
            exchange.abort()


class _Exchange(asyncio.Protocol):
    """One connection to the control port."""

    def __init__(self, port: ControlPort) -> None:
        self._port = port
        self._parser: Any = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._waiting: deque[tuple[Call, bool]] = deque()
        self._kept = 0  # bytes of the bodies that wait
        self._full = False  # so much waits that nothing is read
        self._unread = b""  # received, and not looked at yet
        self._room = asyncio.Event()  # the client takes its answers
        self._room.set()
        self._worker: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._ended = False  # the client sends nothing more
        self._closing = False  # what is still to come is not read
        self._started = False  # a request has begun and is not whole
        self._clear()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass
        self._port.admit(self)
        self._limit(_IDLE_LIMIT)

    def connection_lost(self, exc: Exception | None) -> None:
        self._port.open.pop(self, None)
        self._closing = True
        self._unread = b""
        self._waiting.clear()
        self._room.set()
        if self._deadline is not None:
            self._deadline.cancel()
        self._parser = None  # parser and protocol know each other: a cycle that only the collector would find

    @property
    def busy(self) -> bool:
        """Something is being done for it; one that does not take its answers is not waited for."""
        return self._worker is not None and self._room.is_set()

    @property
    def waiting(self) -> int:
        """Requests that are not answered yet, beside the one that is being answered."""
        return len(self._waiting)

    def abort(self) -> None:
        self._transport.abort()

    def finish(self) -> None:
        self._closing = True
        if self.busy:
            self._waiting.clear()
        else:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._unread += data
        self._parse()

    def _parse(self) -> None:
        """Look at what was received, until enough requests wait to be answered."""
        while self._unread and not self._full and not self._closing:
            data, self._unread = self._unread[:_SLICE], self._unread[_SLICE:]
            if not self._started:
                self._started = True
                if self._room.is_set():
                    self._limit(_REQUEST_LIMIT)
            try:
                self._parser.feed_data(data)
            except (httptools.HttpParserUpgrade, httptools.HttpParserError):
                self._refuse(400)

    def pause_writing(self) -> None:
        self._room.clear()
        self._limit(_ANSWER_LIMIT)

    def resume_writing(self) -> None:
        self._room.set()
        self._limit(_IDLE_LIMIT)

    def eof_received(self) -> bool:
        # A client may close its side after its last request and still wait for the answer.
        self._ended = True
        self._closing = not self._unread
        return self._worker is not None

    # httptools calls these while it parses.

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        name = name.lower()
        if name == b"user-agent":
            self._agent = value.decode("latin-1")
        elif name == b"expect" and value.lower() == b"100-continue":
            self._expects = True
        elif name == b"host":
            self._hosts.append(value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        if self._expects and not self._closing:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > _BODY_LIMIT:
            self._refuse(413, f"request body is too large: {_BODY_LIMIT} bytes is the limit")
        elif not self._closing:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._closing:
            return
        keep = bool(self._parser.should_keep_alive())
        version = self._parser.get_http_version()
        if len(self._hosts) != 1 and (self._hosts or version == "1.1"):
            self._refuse(400, "exactly one Host header is wanted")
            return
        try:
            path = httptools.parse_url(bytes(self._url)).path.decode("latin-1")
        except httptools.HttpParserInvalidURLError:
            self._refuse(400)
            return
        call = Call(
            self._parser.get_method().decode("latin-1"), path, b"".join(self._body), self._agent, "".join(self._hosts)
        )
        self._waiting.append((call, keep))
        self._closing = not keep  # what follows a last request is not read
        self._kept += self._size
        if not self._full and (len(self._waiting) > _PIPELINED or self._kept > _PIPELINED_BYTES):
            self._full = True
            self._transport.pause_reading()
        self._clear()
        if self._room.is_set():
            self._limit(_IDLE_LIMIT)
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work())

    def _clear(self) -> None:
        self._url = bytearray()
        self._agent = ""
        self._hosts: list[str] = []
        self._expects = self._started = False
        self._headers = self._size = 0
        self._body: list[bytes] = []

    def _count(self, size: int) -> None:
        self._headers += size + 4
        if self._headers > _HEADER_LIMIT:
            self._refuse(431, f"request headers are too large: {_HEADER_LIMIT} bytes is the limit")

    def _limit(self, seconds: float) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(seconds, self._expire)

    def _expire(self) -> None:
        if self._worker is None:
            self._transport.close()
        elif not self._room.is_set():
            self._transport.abort()
        else:
            self._limit(_IDLE_LIMIT)  # it waits for us, not we for it

    def _refuse(self, status: int, reason: str = "") -> None:
        if not self._closing:
            self._closing = True
            text = f"{status} {HTTPStatus(status).phrase}" + (f": {reason}" if reason else "")
            self._waiting.clear()
            self._transport.write(_render(Answer(status, text.encode(), "text/plain; charset=utf-8"), keep=False))
            self._transport.close()

    async def _work(self) -> None:
        """Answer in the order of the requests."""
        keep = True
        while self._waiting and keep:
            await self._room.wait()
            await asyncio.sleep(
                0
            )  # most answers need no waiting: without this, who asks much would have the loop alone
            if not self._waiting:
                break
            call, keep = self._waiting.popleft()
            self._kept -= len(call.body)
            try:
                answer = await self._port.handler(call)
            except Exception:
                _LOG.exception("our bug, please report it: %s %s", call.method, call.path)
                answer = Answer(500, b'{"error":"internal error","status":500}\n', "text/plain; charset=utf-8")
            if self._transport.is_closing():
                break
            self._transport.write(_render(answer, keep=keep, head=call.method == "HEAD"))
            if self._full and len(self._waiting) <= _PIPELINED and self._kept <= _PIPELINED_BYTES:
                self._full = False
                self._parse()
                if not self._full:
                    self._transport.resume_reading()
        self._worker = None
        if not keep or self._closing or self._ended:
            self._closing = True
            self._transport.close()


def _render(answer: Answer, *, keep: bool, head: bool = False) -> bytes:
    headers: list[tuple[str, Any]] = [*answer.headers, ("Date", formatdate(usegmt=True))]
    if answer.content_type:
        headers.append(("Content-Type", answer.content_type))
    if answer.status != HTTPStatus.NO_CONTENT:
        headers.append(("Content-Length", len(answer.body)))
    if not keep:
        headers.append(("Connection", "close"))
    lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (b"" if head else answer.body)
