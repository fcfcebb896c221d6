"""Real sockets that refuse, reset, close in the middle, stall and answer nonsense: what goes on record."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from chaoskit.history.operation import NONE
from chaoskit.traffic.protocols import http as http_module

HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UPGRADE = b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nzz"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def answer(*pieces: bytes, end: str = "wait", pause: float = 0.0) -> Callable[[Any], None]:
    """A server that reads a request, sends the pieces, and then waits, closes or resets."""

    def handler(peer: Any) -> None:
        while peer.request():
            peer.send(*pieces, pause=pause)
            if end == "close":
                return
            if end == "reset":
                peer.reset()
                return

    return handler


@pytest.mark.parametrize(
    ("handler", "write", "answer_", "error"),
    [
        (answer(OK), "ok", "yes", "no-error"),
        (answer(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), "ok", "yes", "no-error"),
        (answer(b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n"), "fail", "refused", "status"),
        (answer(b"HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n"), "fail", "refused", "status"),
        (answer(b"HTTP/1.1 429 Later\r\nContent-Length: 0\r\n\r\n"), "info", "refused", "status"),
        (answer(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"), "info", "refused", "status"),
        (answer(end="close"), "info", "refused", "closed"),
        (answer(end="reset"), "info", "refused", "reset"),
        (answer(HALF, end="close"), "info", "refused", "closed"),
        (answer(HALF, end="reset", pause=0.1), "info", "refused", "reset"),
        (answer(b"HTTP/1.1 200 OK\r\nContent-Le", end="close"), "info", "refused", "closed"),
        (answer(CHUNKED + b"5\r\n123", end="close"), "info", "refused", "closed"),
        (answer(CHUNKED + b"zz\r\n"), "info", "refused", "protocol"),
        (answer(b"HTTP/1.1 100 Continue\r\n\r\n", end="close"), "info", "refused", "closed"),
        (answer(b"SSH-2.0-OpenSSH_9.9\r\n"), "info", "refused", "protocol"),
        (answer(b"\0\xff" * 50), "info", "refused", "protocol"),
        (answer(UPGRADE), "info", "refused", "protocol"),
        (answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok"), "info", "refused", "protocol"),
    ],
)  # fmt: skip
def test_outcome_table(serve: Any, send: Any, handler: Any, write: str, answer_: str, error: str) -> None:
    server = serve(handler)
    assert send(server.port, "write").summary == [(write, answer_, error)]
    read = "fail" if write == "info" else write
    assert send(server.port, "read").summary == [(read, answer_, error)]
    assert len(server.requests) == 2, "nothing may be retried"


@pytest.mark.parametrize("pieces", [(), (HALF,), (b"HTTP/1.1 200 OK\r\n",), (b"HTTP/1.1 100 Continue\r\n\r\n",)])
def test_nothing_whole_within_the_timeout(serve: Any, send: Any, pieces: tuple[bytes, ...]) -> None:
    server = serve(answer(*pieces))
    done = send(server.port, "write", timeout=0.3)
    assert done.summary == [("info", "silent", "timeout")]
    row = done.history.rows[0]
    assert row["t_end"] - row["t_sent"] >= 300_000_000
    assert row["status"] == NONE
    assert (row["t_first"] != NONE) == bool(pieces)
    assert send(server.port, "read", timeout=0.3).summary == [("fail", "silent", "timeout")]


def test_refused(send: Any) -> None:
    with socket.socket() as bound:  # bound and not listening: nobody else can answer there
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        for kind in ("read", "write"):
            done = send(port, kind)
            assert done.summary == [("fail", "refused", "refused")]
            assert done.history.rows[0]["t_sent"] != NONE


def test_an_address_that_cannot_be_reached(send: Any) -> None:
    assert send(9, "write", host="255.255.255.255").summary == [("fail", "refused", "connect")]


@contextmanager
def full_backlog() -> Iterator[int]:
    """A listener whose queue is full: the kernel drops further SYNs, a connect hangs."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            fillers.append(filler)
        yield listener.getsockname()[1]
        for filler in fillers:
            filler.close()


def test_connect_that_hangs(send: Any) -> None:
    with full_backlog() as port:
        for kind in ("read", "write"):
            assert send(port, kind, timeout=0.3).summary == [("fail", "silent", "connect-timeout")]


def test_accepted_and_dropped_at_once_is_never_called_done(serve: Any, send: Any) -> None:
    """A proxy whose upstream is down does this. Whether our bytes left is a race; the record says which it was."""
    server = serve(lambda peer: peer.reset())
    allowed = {("fail", "refused", "connect"), ("info", "refused", "closed"), ("info", "refused", "reset")}
    assert set(send(server.port, "write", count=20).summary) <= allowed


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (CHUNKED + b"3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nTrailer: 1\r\n\r\n", "abcde"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, "ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", ""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", "x"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("split", [False, True])
def test_answers_of_every_framing_keep_the_connection(
    serve: Any, send: Any, raw: bytes, body: str, split: bool
) -> None:
    pieces = [raw[i : i + 1] for i in range(len(raw))] if split else [raw]
    server = serve(answer(*pieces, pause=0.001 if split else 0))
    done = send(server.port, "read", count=2)
    assert done.summary == [("ok", "yes", "no-error")] * 2
    assert [done.history.text(row["result_id"]) for row in done.history.rows] == [body] * 2
    assert server.connections == 1


def test_an_answer_without_a_length_ends_with_the_connection(serve: Any, send: Any) -> None:
    server = serve(answer(b"HTTP/1.1 200 OK\r\n\r\nall of it", end="close"))
    done = send(server.port, "write", count=2)
    assert done.summary == [("ok", "yes", "no-error")] * 2
    assert done.history.text(done.history.rows[0]["result_id"]) == "all of it"
    assert server.connections == 2


def test_head_has_no_body(serve: Any, send: Any, plain: Any) -> None:
    server = serve(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"))
    assert send(server.port, "read", count=2, workload=plain("HEAD")).summary == [("ok", "yes", "no-error")] * 2


def test_bytes_behind_an_answer_spoil_the_connection_not_the_answer(serve: Any, send: Any) -> None:
    server = serve(answer(OK + b"HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nnot"))
    done = send(server.port, "read", count=3)
    assert done.summary == [("ok", "yes", "no-error")] * 3
    assert [reply.body for reply in done.workload.replies] == [b"ok"] * 3
    assert server.connections == 3


def test_connection_close_is_obeyed(serve: Any, send: Any) -> None:
    server = serve(answer(OK.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)))
    assert send(server.port, "read", count=3).summary == [("ok", "yes", "no-error")] * 3
    assert server.connections == 3


def test_an_idle_connection_that_the_server_closed_is_not_used(serve: Any, send: Any) -> None:
    server = serve(answer(OK, end="close"))
    assert send(server.port, "write", count=4, pause=0.05).summary == [("ok", "yes", "no-error")] * 4
    assert server.connections == 4


def test_an_idle_connection_that_spoke_unasked_is_not_used(serve: Any, send: Any) -> None:
    def handler(peer: Any) -> None:
        while peer.request():
            peer.send(OK)
            peer.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n", pause=0.01)

    server = serve(handler)
    assert send(server.port, "write", count=3, pause=0.1).summary == [("ok", "yes", "no-error")] * 3
    assert server.connections == 3


def test_a_kept_connection_that_dies_under_a_request_is_not_retried(serve: Any, send: Any) -> None:
    def handler(peer: Any) -> None:
        peer.request()
        peer.send(OK)
        peer.request()  # and nothing for it

    server = serve(handler)
    done = send(server.port, "write", count=2)
    assert done.summary == [("ok", "yes", "no-error"), ("info", "refused", "closed")]
    assert len(server.requests) == 2


def test_a_connection_that_is_idle_for_too_long_is_not_used(serve: Any, send: Any) -> None:
    server = serve(answer(OK))
    assert send(server.port, "read", count=3, pause=0.2, idle_limit=0.05).summary == [("ok", "yes", "no-error")] * 3
    assert server.connections == 3


def test_a_connection_that_timed_out_is_never_used_again(serve: Any, send: Any) -> None:
    def handler(peer: Any) -> None:
        while request := peer.request():
            late = request.count(b"k-0-0")
            peer.send(b"", pause=0.6 if late else 0.0)
            peer.send(OK if not late else OK.replace(b"ok", b"no"))

    server = serve(handler)

    class Stamped:
        async def perform(self, intent: Any, http: Any) -> None:
            intent.asks(f="w", value=intent.stamp)
            reply = await http.request("POST", f"/{intent.stamp}")
            intent.ok(result=reply.body.decode())

        def final(self) -> list[tuple[str, str]]:
            return []

    done = send(server.port, "write", count=3, timeout=0.3, pause=0.2, workload=Stamped())
    assert done.summary == [("info", "silent", "timeout"), *[("ok", "yes", "no-error")] * 2]
    assert [done.history.text(row["result_id"]) for row in done.history.rows] == [None, "ok", "ok"]


def test_an_answer_without_end_is_cut_off(serve: Any, send: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "MAX_ANSWER", 100_000)

    def handler(peer: Any) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            peer.send(b"X-More: " + b"x" * 1000 + b"\r\n")

    assert send(serve(handler).port, "write").summary == [("info", "refused", "protocol")]


def test_what_arrives_at_the_server(serve: Any, send: Any, plain: Any) -> None:
    server = serve(answer(OK))
    send(server.port, workload=plain("POST", json={"a": "ü"}, headers={"X-Id": "7"}))
    send(server.port, workload=plain("PUT", body=b"\0raw"))
    send(server.port, workload=plain("GET"))
    host = f"Host: 127.0.0.1:{server.port}\r\n".encode()
    common = host + b"User-Agent: chaoskit\r\nAccept: */*\r\n"
    json_lines = b"Content-Type: application/json\r\nContent-Length: 14\r\nX-Id: 7\r\n\r\n"
    assert server.requests == [
        b"POST /x HTTP/1.1\r\n" + common + json_lines + b'{"a":"\\u00fc"}',
        b"PUT /x HTTP/1.1\r\n" + common + b"Content-Length: 4\r\n\r\n\0raw",
        b"GET /x HTTP/1.1\r\n" + common + b"\r\n",
    ]


def test_the_answer_as_the_workload_sees_it(serve: Any, send: Any) -> None:
    raw = b'HTTP/1.1 201 Created\r\nContent-Length: 7\r\nSet-Cookie: a\r\nset-cookie: b\r\nX: y\r\n\r\n{"a":1}'
    done = send(serve(answer(raw)).port)
    (reply,) = done.workload.replies
    assert (reply.status, reply.body, reply.json()) == (201, b'{"a":1}', {"a": 1})
    assert reply.headers == {"content-length": "7", "set-cookie": "a, b", "x": "y"}


def test_many_at_once_have_a_connection_each_and_keep_them(serve: Any, send: Any) -> None:
    server = serve(answer(OK))
    done = send(server.port, "read", count=30, at_once=True, in_flight=30)
    assert done.summary == [("ok", "yes", "no-error")] * 30
    assert server.connections == 30


def test_beyond_the_bound_nothing_is_sent_and_every_class_has_its_own(serve: Any, send: Any) -> None:
    server = serve(answer())
    done = send(server.port, "write", count=10, at_once=True, in_flight=2, timeout=0.3, classes=("a", "b"))
    assert done.summary.count(("info", "silent", "timeout")) == 4
    assert done.summary.count(("fail", "none", "unsent")) == 6
    unsent = done.history.rows[done.history.rows["error"] == 1]
    assert (unsent["t_sent"] == NONE).all()
    assert len(server.requests) == 4
    counts = done.sender.publishable()[0]
    assert counts[:, 0].tolist() == [5, 5]


def test_a_client_is_retired_after_info_and_reused_otherwise(serve: Any, send: Any) -> None:
    server = serve(answer(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"))
    assert send(server.port, "write", count=3).history.rows["process"].tolist() == [0, 1, 2]
    assert send(server.port, "read", count=3).history.rows["process"].tolist() == [0, 0, 0]


def test_times_are_in_order(serve: Any, send: Any) -> None:
    for row in send(serve(answer(OK)).port, count=5).history.rows:
        assert row["t_due"] <= row["t_sent"] <= row["t_first"] <= row["t_end"]
        assert row["bytes_in"] == len(OK)
        assert row["bytes_out"] > 50
