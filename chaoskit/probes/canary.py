"""Asks an endpoint for a sign of life, on a new connection (`probe`) or on one that is held open (`Canary`)."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import time
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypedDict

from chaoskit import linux
from chaoskit.probes.model import ProbeResult
from chaoskit.probes.speech import MOST_BYTES, Answer, Speech, speech
from chaoskit.stack.topology import Protocol

__all__ = ["Canary", "failure", "probe", "round_trips"]

_TLS: frozenset[Protocol] = frozenset(("https", "resp+tls"))
_SPOKEN: dict[Protocol, Literal["http", "resp", "postgres"]] = {
    "http": "http",
    "https": "http",
    "postgres": "postgres",
    "resp": "resp",
    "resp+tls": "resp",
}
# How long a plain TCP connection is watched for the end of file with which a proxy reports a dead upstream.
_LOOK = 0.05


class _Came(TypedDict):
    size: int
    reads: int
    segments: int


@dataclass
class _Incoming:
    """What has come of an answer, also of one that does not end in time."""

    before: int | None = None  # segments of the connection
    size: int = 0
    reads: int = 0

    def came(self, writer: asyncio.StreamWriter) -> _Came:
        """For the result."""
        after = linux.segments(writer.get_extra_info("socket"))
        counted = 0 if after is None or self.before is None else after - self.before
        return _Came(size=self.size, reads=self.reads, segments=counted)


async def probe(
    host: str, port: int, protocol: Protocol, *, path: str = "/", timeout: float, readiness: bool = False
) -> ProbeResult:
    """Connect, ask once, hang up.

    Args:
        path: for HTTP. timeout: seconds for everything together.
        readiness: ask whether it takes work, not merely whether it answers (differs for PostgreSQL, which answers an
            SSLRequest while still starting up).
    """
    canary = Canary(host, port, protocol, path, readiness=readiness)
    try:
        return await canary.ask(timeout)
    finally:
        canary.close()


class Canary:
    """Holds a connection open and asks over it again and again, to see a fault on connections older than the fault.

    A connection that has ended, or that the protocol lets nobody ask again, is replaced before the next ask, never
    within one: what happened to the old one is that ask's result. `opened` counts connections, so that a caller can
    tell whether an ask went over the one that it opened. Not for use by two tasks at once.
    """

    def __init__(self, host: str, port: int, protocol: Protocol, path: str = "/", *, readiness: bool = False) -> None:
        self.host, self.port, self.protocol, self.path = host, port, protocol, path
        self.opened = 0
        self._readiness = readiness
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._speech: Speech | None = None
        self._incoming = _Incoming()

    @property
    def is_open(self) -> bool:
        """Whether a connection is held that has not been seen to end."""
        return self._streams is not None

    async def open(self, timeout: float) -> ProbeResult:
        """Open a new connection (the old one is dropped) and ask once over it, so that it is known to go through."""
        self.close()
        return await self.ask(timeout)

    async def ask(self, timeout: float) -> ProbeResult:
        """Ask once, at most `timeout` seconds, connecting first if nothing is open. Never raises for the network."""
        connecting, self._incoming = True, _Incoming()
        try:
            async with asyncio.timeout(timeout):
                request = self._speech.ask() if self._speech else None
                if self._streams is None or (request is None and self.protocol != "tcp"):
                    request = await self._connect()
                connecting = False
                return await self._exchange(request)
        except TimeoutError:
            came = self._incoming.came(self._streams[1]) if self._streams else _Came(size=0, reads=0, segments=0)
            # A connection that owes an answer cannot be asked again: the late one would be taken for the next one.
            self.close()
            detail = "connect hung" if connecting else f"no answer in {timeout:g} s"
            return ProbeResult(kind="silent", detail=detail, **came)
        except OSError as error:
            self.close()
            return failure(error, connecting)
        except ValueError as error:
            self.close()
            return ProbeResult(kind="error", detail=str(error))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Hang up at once, unsent bytes dropped; idempotent."""
        streams, self._streams, self._speech = self._streams, None, None
        if streams is not None:
            streams[1].transport.abort()

    async def _connect(self) -> bytes | None:
        self.close()
        tls = _any_certificate() if self.protocol in _TLS else None
        self._streams = await asyncio.open_connection(self.host, self.port, limit=1 << 16, ssl=tls)
        self.opened += 1
        if self.protocol == "tcp":
            return None
        self._speech = speech(_SPOKEN[self.protocol], self.host, self.port, self.path, self._readiness)
        return self._speech.ask()

    async def _exchange(self, request: bytes | None) -> ProbeResult:
        assert self._streams is not None
        reader, writer = self._streams
        if request is None:
            return await self._look(reader)
        incoming = self._incoming
        incoming.before = linux.segments(writer.get_extra_info("socket"))
        start = time.perf_counter()
        writer.write(request)
        rtt: float | None = None
        said: Answer | None = None
        while said is None:
            data = await reader.read(1 << 16)
            if rtt is None and data:
                rtt = time.perf_counter() - start
            if not data:
                came = incoming.came(writer)
                self.close()
                detail = "closed in the middle of an answer" if incoming.size else "closed without an answer"
                return ProbeResult(kind="closed", detail=detail, sent=len(request), **came)
            incoming.size, incoming.reads = incoming.size + len(data), incoming.reads + 1
            if incoming.size > MOST_BYTES:
                raise ValueError(f"more than {MOST_BYTES} bytes in one answer")
            assert self._speech is not None
            said = self._speech.feed(data)
        took = time.perf_counter() - start
        came = incoming.came(writer)
        if not said.more:
            self.close()
        return ProbeResult(
            kind="answered", rtt=rtt, detail=said.detail, ready=said.ready, took=took, sent=len(request), **came
        )

    async def _look(self, reader: asyncio.StreamReader) -> ProbeResult:
        """A connection is all that plain TCP can be asked for: watch it a moment for an end that follows at once."""
        try:
            data = await asyncio.wait_for(reader.read(1 << 16), _LOOK)
        except TimeoutError:
            return ProbeResult(kind="answered", detail="connected", ready=True)
        if data:
            return ProbeResult(kind="answered", detail="connected, it speaks first", ready=True)
        self.close()
        return ProbeResult(kind="closed", detail="closed after the connect")


def failure(error: OSError, connecting: bool) -> ProbeResult:
    """What an error of the network means; `connecting`: it came before the connection was there."""
    kind: Literal["refused", "reset", "closed", "error"] = "error"
    if isinstance(error, ConnectionRefusedError):
        kind = "refused"
    elif isinstance(error, ConnectionResetError | BrokenPipeError | ConnectionAbortedError):
        kind = "reset"
    if isinstance(error, ssl.SSLError):
        text = f"TLS: {error.reason or error}"
    elif isinstance(error, ConnectionResetError) and error.errno is None:
        kind, text = "closed", "closed during the TLS handshake"  # asyncio's word for an end of file there
    elif isinstance(error, socket.gaierror):
        text = f"name not found: {error.strerror}"
    elif error.errno:
        text = f"{errno.errorcode.get(error.errno, error.errno)} {error.strerror or ''}".strip()
    else:
        text = str(error) or type(error).__name__
    return ProbeResult(kind=kind, detail=f"connect: {text}" if connecting else text)


@cache
def _any_certificate() -> ssl.SSLContext:
    """A canary asks for a sign of life and sends nothing worth keeping: whose certificate it is does not matter."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def round_trips(protocol: Protocol) -> int:
    """How many round trips an ask over a new connection takes at most, the connect not counted."""
    return 3 if protocol in _TLS else 1
