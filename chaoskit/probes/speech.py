"""The few words of each protocol that a probe needs: what to ask, and how to read the answer. Pure, no sockets.

Sources: RFC 9112 (HTTP/1.1, parsed by httptools), the RESP specification (PING), and the PostgreSQL documentation,
"Message Flow" and "Message Formats" (SSLRequest, GSSENCRequest, StartupMessage, ErrorResponse).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Literal, Protocol

import httptools

__all__ = ["MOST_BYTES", "Answer", "Speech", "speech"]

MOST_BYTES = 1 << 20  # of one answer; an endpoint that sends more is cut off

_SSL_REQUEST = struct.pack("!II", 8, 80877103)
_GSS_REQUEST = struct.pack("!II", 8, 80877104)
_CANNOT_CONNECT_NOW = "57P03"  # SQLSTATE while starting up, shutting down or recovering


@dataclass(frozen=True)
class Answer:
    """A whole answer. `more`: the same connection can be asked again."""

    detail: str
    ready: bool
    more: bool


class Speech(Protocol):
    """One conversation on one connection. Asks and answers alternate."""

    def ask(self) -> bytes | None:
        """Bytes of the next request, or None when this connection has nothing left to be asked."""
        ...

    def feed(self, data: bytes) -> Answer | None:
        """Take bytes of the answer; the answer once it is whole.

        Raises:
            ValueError: this is not the protocol.
        """
        ...


def speech(protocol: Literal["http", "resp", "postgres"], host: str, port: int, path: str, ready: bool) -> Speech:
    """A new conversation; `ready` asks PostgreSQL whether it accepts sessions instead of merely for a sign of life."""
    if protocol == "http":
        return _Http(host, port, path)
    return _Resp() if protocol == "resp" else _Postgres(ready)


class _Http:
    """GET; any status is an answer. The body is read to its end, so that the connection can be used again."""

    def __init__(self, host: str, port: int, path: str) -> None:
        # No line break may reach the request: the path is the user's text.
        path = "".join(char for char in path if char.isprintable() and char != " ") or "/"
        self._request = (
            f"GET {path if path.startswith('/') else '/' + path} HTTP/1.1\r\nHost: {host}:{port}\r\n"
            "User-Agent: chaoskit-probe\r\nAccept: */*\r\n\r\n"
        ).encode()
        self._parser: httptools.HttpResponseParser
        self._status = 0
        self._complete = False
        self._alive = True

    def ask(self) -> bytes | None:
        if not self._alive:
            return None
        self._parser, self._complete, self._status = httptools.HttpResponseParser(self), False, 0
        return self._request

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self._status = self._parser.get_status_code()
        self._alive = bool(self._parser.should_keep_alive())

    def on_message_complete(self) -> None:
        """Called by the parser. 1xx answers are not the last word."""
        self._complete = self._status >= 200

    def feed(self, data: bytes) -> Answer | None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise ValueError(f"not HTTP: {error}") from error
        # Without a length the body ends with the connection, which is not asked again anyway: the headers are enough.
        if not self._complete and (self._alive or self._status < 200):
            return None
        return Answer(f"HTTP {self._status}", ready=self._status < 500, more=self._alive)


class _Resp:
    """PING; an error reply is an answer too. LOADING and BUSY answer but are not ready."""

    def __init__(self) -> None:
        self._buffer = b""

    def ask(self) -> bytes | None:
        self._buffer = b""
        return b"*1\r\n$4\r\nPING\r\n"

    def feed(self, data: bytes) -> Answer | None:
        self._buffer += data
        if self._buffer[:1] not in (b"+", b"-"):
            raise ValueError(f"not RESP: begins with {self._buffer[:16]!r}")
        line, end, _ = self._buffer.partition(b"\r\n")
        if not end:
            if len(line) > 4096:
                raise ValueError("not RESP: a line without an end")
            return None
        text = line.decode("utf-8", "replace")
        word = text.split(" ", 1)[0]
        return Answer(word if text[0] == "-" else text, ready=word not in ("-LOADING", "-BUSY"), more=True)


@dataclass
class _Postgres:
    """SSLRequest, then GSSENCRequest, then a startup packet: three asks a connection, as the protocol allows."""

    ready: bool
    _left: list[str] = field(default_factory=lambda: ["ssl", "gss", "startup"])
    _asked: str = ""
    _buffer: bytes = b""

    def ask(self) -> bytes | None:
        if self.ready:
            self._left = ["startup"] if self._left else []
        if not self._left:
            return None
        self._asked, self._buffer = self._left.pop(0), b""
        if self._asked == "startup":
            body = b"user\0postgres\0database\0postgres\0application_name\0chaoskit-probe\0\0"
            return struct.pack("!II", 8 + len(body), 3 << 16) + body
        return _SSL_REQUEST if self._asked == "ssl" else _GSS_REQUEST

    def feed(self, data: bytes) -> Answer | None:
        self._buffer += data
        first = self._buffer[:1]
        if self._asked != "startup" and first in (b"N", b"S", b"G"):
            # After S or G the server waits for a handshake that we do not make: nothing more can be asked here.
            if first != b"N":
                self._left = []
            return Answer(first.decode(), ready=True, more=bool(self._left))
        if first not in (b"R", b"E"):
            raise ValueError(f"not PostgreSQL: begins with {self._buffer[:16]!r}")
        self._left = []
        if len(self._buffer) < 5:
            return None
        length = struct.unpack("!I", self._buffer[1:5])[0]
        if not 4 <= length <= MOST_BYTES:
            raise ValueError(f"not PostgreSQL: a message of {length} bytes")
        if first == b"R":
            return Answer("accepts connections", ready=True, more=False)
        if len(self._buffer) < 1 + length:
            return None
        fields = {part[:1]: part[1:] for part in self._buffer[5 : 1 + length].split(b"\0") if part}
        state = fields.get(b"C", b"").decode("ascii", "replace")
        text = fields.get(b"M", b"").decode("utf-8", "replace")
        return Answer(f"{state} {text}".strip(), ready=state != _CANNOT_CONNECT_NOW, more=False)
