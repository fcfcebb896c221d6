"""HTTP/1.1 for the load path: pre-encoded requests, a free list of keep-alive connections, one call at a time on each.

Nothing is retried: a request that met a connection which was just being closed is reported as closed or reset, because
nobody knows whether the server saw it. To make that rare, a connection that has been idle for a while is looked at
before it is used, and one that is idle for longer than `idle_limit` is closed.
"""

from __future__ import annotations

import asyncio
import json
import select
import time
from collections.abc import Mapping
from typing import Any, Protocol, cast

import httptools

from chaoskit.history.operation import ErrorCode
from chaoskit.traffic.outcomes import of_connect

__all__ = ["Call", "HttpReply", "Pool", "UnreadableError", "encode_head", "encode_request"]

MAX_ANSWER = 32 << 20  # bytes; a server that sends for ever must not fill the memory
_LOOK_AFTER_NS = 20_000_000  # idle for longer: look whether it was closed; costs a system call
_monotonic_ns = time.monotonic_ns
_to_json = json.JSONEncoder(separators=(",", ":")).encode


class UnreadableError(ValueError):
    """The body of an answer is not what the workload takes it for (`Reply.json`)."""


class HttpReply:
    """A whole answer (see contracts.Reply). Headers are decoded when somebody asks for them."""

    __slots__ = ("_headers", "_raw", "body", "status")

    def __init__(self, status: int, raw: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status = status
        self.body = body
        self._raw = raw
        self._headers: dict[str, str] | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """Lower-case names; the values of a repeated one are joined by ", "."""
        if self._headers is None:
            found: dict[str, str] = {}
            for raw_name, raw_value in self._raw:
                name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
                found[name] = f"{found[name]}, {value}" if name in found else value
            self._headers = found
        return self._headers

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            UnreadableError: it is not JSON.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise UnreadableError(f"the answer (status {self.status}) is not JSON: {self.body[:200]!r}") from error


class Call(Protocol):
    """One request on its way. The pool fills in what it sees and tells the end exactly once."""

    head_only: bool  # HEAD: the answer has no body whatever its headers say
    connection: Connection | None
    connecting: asyncio.Task[None] | None
    t_first: int  # monotonic ns of the first byte of the answer, -1 = none
    bytes_in: int

    def on_answer(self, reply: HttpReply, now_ns: int) -> None:
        """The whole answer is there."""
        ...

    def on_error(self, error: ErrorCode, now_ns: int) -> None:
        """There will be no answer."""
        ...


def encode_head(host_header: str) -> bytes:
    """The lines that every request of a worker carries.

    Raises:
        ValueError: the host is not a header value.
    """
    _check("host header", host_header)
    return f" HTTP/1.1\r\nHost: {host_header}\r\nUser-Agent: chaoskit\r\nAccept: */*\r\n".encode("ascii")


def encode_request(
    common: bytes, method: str, path: str, payload: Any, body: bytes, headers: Mapping[str, str] | None
) -> bytes:
    """A whole request.

    Args:
        common: from `encode_head`.
        payload: sent as JSON when not None; excludes `body`.

    Raises:
        ValueError: something would break the request's framing (a space in the path, a line break in a header).
    """
    if not (method.isascii() and method.isalpha()):
        raise ValueError(f"{method!r} is not a method")
    if not (path.startswith("/") and path.isascii() and path.isprintable() and " " not in path):
        raise ValueError(f"{path!r} is not a path; begin with / and percent-encode what is not plain ASCII")
    lines = ""
    if payload is not None:
        if body:
            raise ValueError("give json or body, not both")
        body = _to_json(payload).encode()
        lines = "Content-Type: application/json\r\n"
    if body or method not in ("GET", "HEAD", "DELETE"):
        lines += f"Content-Length: {len(body)}\r\n"
    if headers:
        for name, value in headers.items():
            _check("header name", name)
            _check(f"header {name}", value)
            if (
                " " in name
                or ":" in name
                or name.lower() in ("host", "content-length", "transfer-encoding", "connection")
            ):
                raise ValueError(f"header {name!r} cannot be set by a workload")
            lines += f"{name}: {value}\r\n"
    return b"%b %b%b%b\r\n%b" % (method.encode(), path.encode(), common, lines.encode("ascii"), body)


def _check(what: str, text: str) -> None:
    if not (text and text.isascii() and text.isprintable()):
        raise ValueError(f"{what}: {text!r} is empty or not printable ASCII")


class Connection(asyncio.Protocol):
    """One TCP connection; parses one answer at a time."""

    __slots__ = (
        "_body",
        "_complete",
        "_extra",
        "_headers",
        "_headers_done",
        "_keep",
        "_parser",
        "_poll",
        "_pool",
        "_status",
        "call",
        "closed",
        "idle_since",
        "transport",
    )

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._parser: Any = httptools.HttpResponseParser(self)
        self._poll: select.poll | None = None
        self.transport: asyncio.Transport | None = None
        self.call: Call | None = None
        self.closed = False
        self.idle_since = 0
        self._reset()

    def _reset(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._headers_done = self._complete = self._extra = self._keep = False
        self._status = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self.transport = cast(asyncio.Transport, transport)
        self._poll = select.poll()
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def begin(self, call: Call, request: bytes) -> None:
        """Send a request; the answer that follows belongs to `call`."""
        self.call = call
        call.connection = self
        assert self.transport is not None
        self.transport.write(request)

    def usable(self, now_ns: int, idle_limit_ns: int) -> bool:
        """Whether an idle connection may carry the next request: not closed, not idle for too long, nothing to read."""
        idle = now_ns - self.idle_since
        if self.closed or idle > idle_limit_ns or self.transport is None or self.transport.is_closing():
            return False
        return idle < _LOOK_AFTER_NS or self._poll is None or not self._poll.poll(0)

    def close(self) -> None:
        """Drop the connection at once; the call on it, if any, hears nothing more."""
        self.call = None
        self.closed = True
        # The parser holds our bound methods: a cycle, and the collector is off while load runs.
        self._parser = None
        if self.transport is not None:
            self.transport.abort()

    # What httptools calls while it parses. No user code runs in here.
    def on_message_begin(self) -> None:
        """A status line follows."""
        self._extra = self._complete

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer of a chunked answer."""
        if not self._complete:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """All headers are there."""
        if self._complete:
            return  # of something behind the answer: the parser's status is no longer the answer's
        self._headers_done = True
        self._status = self._parser.get_status_code()
        if self.call is not None and self.call.head_only and self._status >= 200:
            self._complete = True  # the parser would wait for a body; the connection is not used again

    def on_body(self, data: bytes) -> None:
        """A piece of the body, chunk framing removed."""
        if not self._complete:
            self._body.append(data)

    def on_message_complete(self) -> None:
        """The end of an answer, or of a 1xx that announces one."""
        if self._complete:
            return
        if 100 <= self._status < 200:
            self._reset()
            return
        self._complete = True
        self._keep = self._parser.should_keep_alive()

    def data_received(self, data: bytes) -> None:
        """Bytes arrived."""
        call, parser = self.call, self._parser
        if call is None or parser is None:
            self._pool.discard(self)  # nobody asked
            return
        now = _monotonic_ns()
        if call.t_first < 0:
            call.t_first = now
        call.bytes_in += len(data)
        broken = call.bytes_in > MAX_ANSWER
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            broken = True
        if self._complete:
            self._finish(now, reuse=self._keep and not broken and not self._extra)
        elif broken:
            self._fail(ErrorCode.PROTOCOL, now)

    def eof_received(self) -> bool:
        """The server closed its side."""
        call = self.call
        if call is None:
            self._pool.discard(self)
        elif self._headers_done and not any(
            name.lower() in (b"content-length", b"transfer-encoding") for name, _ in self._headers
        ):
            self._finish(_monotonic_ns(), reuse=False)  # an answer without a length ends where the connection ends
        else:
            self._fail(ErrorCode.CLOSED, _monotonic_ns())
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone: after `close`, an EOF or an error of the socket."""
        if self.call is not None:
            self._fail(ErrorCode.CLOSED if exc is None else ErrorCode.RESET, _monotonic_ns())
        elif not self.closed:
            self._pool.discard(self)
        self.transport = None

    def _finish(self, now: int, *, reuse: bool) -> None:
        call = self.call
        assert call is not None
        reply = HttpReply(self._status, self._headers, b"".join(self._body))
        call.connection = self.call = None
        if reuse and self.transport is not None and not self.transport.get_write_buffer_size():
            self._reset()
            self.idle_since = now
            self._pool.free.append(self)
        else:
            self.close()
        call.on_answer(reply, now)

    def _fail(self, error: ErrorCode, now: int) -> None:
        call = self.call
        assert call is not None
        call.connection = None
        self.close()
        call.on_error(error, now)


class Pool:
    """Connections of one operation class: hung writes hold no connection that a read could have used.

    Args:
        address: (numeric host, port).
        idle_limit: seconds.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, address: tuple[str, int], idle_limit: float) -> None:
        self._loop = loop
        self._address = address
        self._idle_limit_ns = round(idle_limit * 1e9)
        self.free: list[Connection] = []  # the last one used is used first, so the others can grow old
        self._connecting: set[asyncio.Task[None]] = set()

    def send(self, call: Call, request: bytes, now_ns: int) -> None:
        """Send `request` on a free connection or a new one. The end is told to `call`, never before this returns."""
        while self.free:
            connection = self.free.pop()
            if connection.usable(now_ns, self._idle_limit_ns):
                connection.begin(call, request)
                return
            connection.close()
        task = self._loop.create_task(self._connect(call, request))
        call.connecting = task
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, call: Call, request: bytes) -> None:
        connection = Connection(self)
        try:
            await self._loop.create_connection(lambda: connection, *self._address)
        except OSError as error:
            connection.close()
            call.connecting = None
            call.on_error(of_connect(error), _monotonic_ns())
            return
        except asyncio.CancelledError:
            connection.close()
            raise
        call.connecting = None
        if connection.closed:  # accepted and dropped before we could write: no byte of the request left
            call.on_error(ErrorCode.CONNECT, _monotonic_ns())
            return
        connection.begin(call, request)

    def give_up(self, call: Call) -> ErrorCode:
        """Stop waiting for `call`; nothing more is told to it. Returns what it was waiting for."""
        task, connection = call.connecting, call.connection
        call.connecting = call.connection = None
        if task is not None:
            task.cancel()
            return ErrorCode.CONNECT_TIMEOUT
        if connection is not None:
            connection.close()
        return ErrorCode.TIMEOUT

    def discard(self, connection: Connection) -> None:
        """An idle connection was closed by the server or spoke unasked: never use it again."""
        if connection in self.free:
            self.free.remove(connection)
        connection.close()

    def sweep(self, now_ns: int) -> None:
        """Close connections that have been idle for too long."""
        old = 0
        while old < len(self.free) and now_ns - self.free[old].idle_since > self._idle_limit_ns:
            self.free[old].close()
            old += 1
        del self.free[:old]

    def close(self) -> None:
        """Close the idle connections and give up those in the making; for the end."""
        for connection in self.free:
            connection.close()
        self.free.clear()
        for task in self._connecting:
            task.cancel()
