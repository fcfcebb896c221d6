"""probe(): every protocol, every way an endpoint can answer or not answer."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import struct
import subprocess
from typing import Any

import pytest

from chaoskit.probes import Canary, ProbeResult, closing, probe

HTTP_200 = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def says(answer: bytes, *, hang: bool = True) -> Any:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(answer)
        if hang:
            await asyncio.sleep(60)
        await writer.drain()
        writer.close()

    return talk


def error_packet(state: str, text: str) -> bytes:
    body = b"SFATAL\0C" + state.encode() + b"\0M" + text.encode() + b"\0\0"
    return b"E" + struct.pack("!I", 4 + len(body)) + body


CASES: list[tuple[str, bytes, bool, ProbeResult]] = [
    ("http", HTTP_200, False, ProbeResult(kind="answered", detail="HTTP 200", ready=True)),
    (
        "http",
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        False,
        ProbeResult(kind="answered", detail="HTTP 503"),
    ),
    ("http", b"HTTP/1.0 404 Nope\r\n\r\nbody", False, ProbeResult(kind="answered", detail="HTTP 404", ready=True)),
    (
        "http",
        b"HTTP/1.1 100 Continue\r\n\r\n" + HTTP_200,
        False,
        ProbeResult(kind="answered", detail="HTTP 200", ready=True),
    ),
    ("resp", b"+PONG\r\n", False, ProbeResult(kind="answered", detail="+PONG", ready=True)),
    ("resp", b"-LOADING Valkey is loading\r\n", False, ProbeResult(kind="answered", detail="-LOADING")),
    ("resp", b"-NOAUTH Authentication\r\n", False, ProbeResult(kind="answered", detail="-NOAUTH", ready=True)),
    ("postgres", b"N", False, ProbeResult(kind="answered", detail="N", ready=True)),
    ("postgres", b"S", False, ProbeResult(kind="answered", detail="S", ready=True)),
    (
        "postgres",
        error_packet("57P03", "the database system is starting up"),
        True,
        ProbeResult(kind="answered", detail="57P03 the database system is starting up"),
    ),
    (
        "postgres",
        error_packet("28000", 'role "postgres" does not exist'),
        True,
        ProbeResult(kind="answered", detail='28000 role "postgres" does not exist', ready=True),
    ),
    (
        "postgres",
        b"R" + struct.pack("!II", 8, 0),
        True,
        ProbeResult(kind="answered", detail="accepts connections", ready=True),
    ),
]


@pytest.mark.parametrize(
    ("protocol", "answer", "readiness", "expected"), CASES, ids=[f"{c[0]}-{c[3].detail[:12]}" for c in CASES]
)
def test_an_answer_is_read(serve: Any, protocol: Any, answer: bytes, readiness: bool, expected: ProbeResult) -> None:
    async def main() -> ProbeResult:
        async with serve(says(answer)) as port:
            return await probe("127.0.0.1", port, protocol, timeout=10, readiness=readiness)

    found = asyncio.run(main())
    measured = {"rtt": None, "took": None, "sent": 0, "size": 0, "reads": 0, "segments": 0}
    assert found.model_copy(update=measured) == expected
    assert found.rtt is not None and found.took is not None and 0 <= found.rtt <= found.took
    assert found.size >= len(answer) - len(b"body") and found.sent > 0 and found.reads > 0


@pytest.mark.parametrize("protocol", ["http", "resp", "postgres"])
@pytest.mark.parametrize("answer", [b"\x00\xff\xfegarbage" * 9, b"HTTP/9.9 hello\r\n\r\n"])
def test_garbage_is_an_error_not_an_answer(serve: Any, protocol: Any, answer: bytes) -> None:
    async def main() -> ProbeResult:
        async with serve(says(answer)) as port:
            return await probe("127.0.0.1", port, protocol, timeout=10)

    found = asyncio.run(main())
    assert found.kind == "error" and "not" in found.detail


def test_an_endless_answer_is_cut_off(serve: Any) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async def main() -> ProbeResult:
        async with serve(talk) as port:
            return await probe("127.0.0.1", port, "http", timeout=30)

    found = asyncio.run(main())
    assert found.kind == "error" and "bytes in one answer" in found.detail


@pytest.mark.parametrize("protocol", ["http", "resp", "postgres"])
def test_silence_closed_reset(serve: Any, reset: Any, protocol: Any) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async def rst(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        reset(writer)

    async def main() -> list[str]:
        kinds = []
        for talk, timeout in ((hang, 0.2), (says(b"", hang=False), 10), (rst, 10)):
            async with serve(talk) as port:
                kinds.append((await probe("127.0.0.1", port, protocol, timeout=timeout)).kind)
        return kinds

    assert asyncio.run(main()) == ["silent", "closed", "reset"]


def test_half_an_answer_is_not_an_answer(serve: Any) -> None:
    async def main() -> ProbeResult:
        async with serve(says(HTTP_200[:-1], hang=False)) as port:
            return await probe("127.0.0.1", port, "http", timeout=10)

    found = asyncio.run(main())
    assert (found.kind, found.detail) == ("closed", "closed in the middle of an answer")


@pytest.mark.parametrize("protocol", ["tcp", "http", "resp", "postgres"])
def test_nobody_listens(protocol: Any) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # bound, not listening: nobody else gets the port meanwhile
        found = asyncio.run(probe("127.0.0.1", sock.getsockname()[1], protocol, timeout=10))
    assert found.kind == "refused" and "ECONNREFUSED" in found.detail


def test_connect_that_hangs_is_silence() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)  # a full backlog: Linux drops further SYNs
        port = sock.getsockname()[1]
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        try:
            found = asyncio.run(probe("127.0.0.1", port, "tcp", timeout=0.5))
        finally:
            for filler in fillers:
                filler.close()
    assert (found.kind, found.detail) == ("silent", "connect hung")


def test_name_that_is_not_found() -> None:
    found = asyncio.run(probe("no-such-name.invalid", 1, "tcp", timeout=10))
    assert found.kind in ("error", "silent")


def test_tcp_sees_a_dead_upstream_behind_an_accepting_proxy(serve: Any) -> None:
    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async def main() -> list[str]:
        kinds = []
        for talk in (drop, hold):
            async with serve(talk) as port:
                kinds.append((await probe("127.0.0.1", port, "tcp", timeout=10)).kind)
        return kinds

    assert asyncio.run(main()) == ["closed", "answered"]


@pytest.mark.parametrize(
    ("protocol", "answer", "asks"),
    [("http", HTTP_200, 5), ("resp", b"+PONG\r\n", 5), ("postgres", b"N", 2)],
)
def test_canary_keeps_its_connection(serve: Any, protocol: Any, answer: bytes, asks: int) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            writer.write(answer)

    async def main() -> tuple[int, list[str]]:
        async with serve(talk) as port:
            canary = Canary("127.0.0.1", port, protocol)
            kinds = [(await canary.open(10)).kind]
            kinds += [(await canary.ask(10)).kind for _ in range(asks - 1)]
            canary.close()
            canary.close()
            return canary.opened, kinds

    assert asyncio.run(main()) == (1, ["answered"] * asks)


def test_canary_reports_what_became_of_the_old_connection_and_then_opens_a_new_one(serve: Any, reset: Any) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(b"+PONG\r\n")
        await reader.read(4096)
        reset(writer)

    async def main() -> list[tuple[str, int]]:
        async with serve(talk) as port:
            canary = Canary("127.0.0.1", port, "resp")
            found = []
            for _ in range(3):
                found.append(((await canary.ask(10)).kind, canary.opened))
            canary.close()
            return found

    assert asyncio.run(main()) == [("answered", 1), ("reset", 1), ("answered", 2)]


def test_request_cannot_be_split_by_the_path(serve: Any) -> None:
    seen: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.read(4096))
        writer.write(HTTP_200)

    async def main() -> None:
        async with serve(talk) as port:
            await probe("127.0.0.1", port, "http", path="/a\r\nX-Evil: 1", timeout=10)

    asyncio.run(main())
    assert b"X-Evil: 1\r\n" not in seen[0] and seen[0].startswith(b"GET /aX-Evil:1 HTTP/1.1\r\n")


def test_an_answer_in_pieces_is_counted_and_timed(serve: Any) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        for piece in (HTTP_200[:10], HTTP_200[10:20], HTTP_200[20:]):
            writer.write(piece)
            await asyncio.sleep(0.1)

    async def main() -> ProbeResult:
        async with serve(talk) as port:
            return await probe("127.0.0.1", port, "http", timeout=10)

    found = asyncio.run(main())
    assert (found.kind, found.size, found.reads, found.segments) == ("answered", len(HTTP_200), 3, 3)
    assert found.rtt is not None and found.took is not None and found.took - found.rtt > 0.15


def test_what_came_of_an_answer_that_broke_off_is_counted(serve: Any) -> None:
    async def main() -> ProbeResult:
        async with serve(says(HTTP_200[:7], hang=False)) as port:
            return await probe("127.0.0.1", port, "http", timeout=10)

    found = asyncio.run(main())
    assert (found.kind, found.size) == ("closed", 7)


def test_closing_waits_for_the_end_of_the_other_side(serve: Any, reset: Any) -> None:
    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello, I speak first")
        assert await reader.read(4096) == b""
        await asyncio.sleep(0.2)
        writer.close()

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async def rudely(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        reset(writer)

    async def main() -> list[ProbeResult]:
        found = []
        for talk, timeout in ((late, 10.0), (never, 0.2), (rudely, 10.0)):
            async with serve(talk) as port:
                found.append(await closing("127.0.0.1", port, timeout=timeout))
        return found

    ended, silent, was_reset = asyncio.run(main())
    assert ended.kind == "closed" and ended.took is not None and ended.took > 0.15
    assert (silent.kind, silent.detail, was_reset.kind) == ("silent", "no end in 0.2 s", "reset")


def test_closing_where_nobody_listens() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        assert asyncio.run(closing("127.0.0.1", sock.getsockname()[1], timeout=10)).kind == "refused"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's TLS with a certificate that nobody vouches for."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        f"{openssl} req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        "-subj /CN=elsewhere.invalid -keyout key -out certificate".split(),
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=60,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate", folder / "key")
    return context


@pytest.mark.parametrize(("protocol", "answer"), [("https", HTTP_200), ("resp+tls", b"-NOAUTH first\r\n")])
def test_a_canary_speaks_inside_tls(certificate: ssl.SSLContext, protocol: Any, answer: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            writer.write(answer)

    async def main() -> tuple[int, list[str]]:
        server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=certificate)
        canary = Canary("127.0.0.1", server.sockets[0].getsockname()[1], protocol)
        kinds = [(await canary.ask(10)).kind for _ in range(3)]
        canary.close()
        server.close()
        await asyncio.sleep(0.05)
        return canary.opened, kinds

    assert asyncio.run(main()) == (1, ["answered"] * 3)


@pytest.mark.parametrize("protocol", ["https", "resp+tls"])
def test_what_becomes_of_a_handshake(serve: Any, reset: Any, protocol: Any) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.close()

    async def rst(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        reset(writer)

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await asyncio.sleep(60)

    async def main() -> list[str]:
        kinds = []
        for talk, timeout in ((hang, 0.3), (end, 10), (rst, 10), (plain, 10)):
            async with serve(talk) as port:
                found = await probe("127.0.0.1", port, protocol, timeout=timeout)
                kinds.append(found.kind)
        assert "TLS" in found.detail
        return kinds

    assert asyncio.run(main()) == ["silent", "closed", "reset", "error"]
