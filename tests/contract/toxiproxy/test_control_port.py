"""Slow, wrong and huge requests at the control port: answered or dropped, and the traffic does not notice."""

from __future__ import annotations

import socket

import pytest

from chaoskit.toxiproxy.client import Client

KINDS = ("uvloop", "asyncio")


@pytest.fixture
def talk(toxiproxy_server, wire):
    """Send raw bytes, read until the server closes (or, with `until`, until these bytes came)."""

    def talk(data: bytes, until: bytes | None = None) -> bytes:
        with socket.create_connection((toxiproxy_server.host, toxiproxy_server.port), wire.patience) as sock:
            sock.sendall(data)
            if until is None:
                sock.shutdown(socket.SHUT_WR)
            found = b""
            while until is None or until not in found:
                try:
                    data = sock.recv(65536)
                except ConnectionResetError:
                    break
                if not data:
                    break
                found += data
            return found

    return talk


VERSION = b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100, 400),
        (b"GET /version HTTP/1.1\r\n\r\n", 400),
        (b"GET /version HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
        (b"POST /proxies HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST /proxies HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 20_000 + b"\r\n", 431),
        (b"POST /proxies HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n" + b"z" * (5 << 20), 413),
    ],
)
def test_nonsense_is_refused_and_the_connection_closed(talk, data, status):
    found = talk(data)
    # A reset may overtake the answer when unread bytes are left.
    assert found == b"" or found.startswith(b"HTTP/1.1 %d " % status)
    assert b"2.12.0" in talk(VERSION)


def test_a_connection_is_kept_and_requests_may_be_pipelined(talk):
    found = talk(VERSION * 300)
    assert found.count(b"HTTP/1.1 200 OK") == 300
    assert found.count(b'{"version": "2.12.0"}\n') == 300


def test_http_10_and_connection_close(talk):
    assert b"Connection: close" in talk(b"GET /version HTTP/1.0\r\n\r\n", until=b"never")
    found = talk(b"GET /version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" + VERSION, until=b"never")
    assert found.count(b"HTTP/1.1 200 OK") == 1


def test_bodies_in_chunks_and_with_expect(talk):
    body = b'{"name":"p","upstream":"u:1","listen":"127.0.0.1:0"}'
    head = b"POST /proxies HTTP/1.1\r\nHost: localhost\r\n"
    found = talk(head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
    assert found.startswith(b"HTTP/1.1 201 Created")
    found = talk(head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    assert found.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 409 Conflict")


def test_a_request_cut_in_pieces(toxiproxy_server, wire):
    with socket.create_connection((toxiproxy_server.host, toxiproxy_server.port), wire.patience) as sock:
        for byte in VERSION:
            sock.sendall(bytes([byte]))
        assert b"2.12.0" in sock.recv(65536)


def test_hundreds_of_slow_clients_hurt_nobody(toxiproxy_server, link, wire):
    slow = []
    try:
        for _ in range(700):  # more than it keeps: the oldest are turned away
            sock = socket.create_connection((toxiproxy_server.host, toxiproxy_server.port), wire.patience)
            slow.append(sock)
        for sock in slow[650:]:
            sock.sendall(b"POST /proxies HTTP/1.1\r\nHost: localhost\r\nContent-Le")
        with Client(toxiproxy_server.url, timeout=wire.patience) as late:
            assert late.get(link.name).enabled
        near, far = link.pair()
        near.sendall(b"x")
        assert wire.receive(far, 1) == b"x"
    finally:
        for sock in slow:
            sock.close()
    assert link.client.get(link.name).enabled


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"name":' + b"1" * 10_000 + b"}", b"\xff\xfe\x00", b'{"a":' * 5000])
def test_hostile_json(talk, body):
    found = talk(b"POST /proxies HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    assert found.startswith(b"HTTP/1.1 400 Bad Request")
    assert b"bad request body" in found


def test_clients_that_ask_much_and_read_nothing_cost_little(toxiproxy_server, link, wire):
    address = (toxiproxy_server.host, toxiproxy_server.port)
    for number in range(30):  # so that answers are larger than questions
        link.client.create(f"p{number}", listen="127.0.0.1:0", upstream="127.0.0.1:9", enabled=False)
    memory = f"/proc/{toxiproxy_server.process.pid}/statm"

    def resident() -> int:
        with open(memory) as file:
            return int(file.read().split()[1]) * 4096

    before = resident()
    deaf = []
    try:
        for _ in range(120):  # as many as may be open, and more
            sock = socket.create_connection(address, wire.patience)
            sock.setblocking(False)
            deaf.append(sock)
        for _ in range(30):
            for sock in deaf:
                try:
                    sock.send(b"GET /proxies HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000)
                except OSError:  # its buffers are full, or it was turned away
                    pass
        with Client(toxiproxy_server.url, timeout=wire.patience) as late:
            assert late.get(link.name).enabled
        assert resident() - before < 100_000_000
    finally:
        for sock in deaf:
            sock.close()
    link.client.reset()
