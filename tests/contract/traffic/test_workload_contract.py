"""What a workload may do, and what becomes of one that breaks the contract: never a crash, never a false OK."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chaoskit.history.operation import NONE

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
ERROR = OK.replace(b"200 OK", b"500 No")


def answering(raw: bytes = OK) -> Any:
    def handler(peer: Any) -> None:
        while peer.request():
            peer.send(raw)

    return handler


class Scripted:
    def __init__(self, script: Any) -> None:
        self.script = script

    async def perform(self, intent: Any, http: Any) -> None:
        await self.script(intent, http)

    def final(self) -> list[tuple[str, str]]:
        return []


async def asked(intent: Any, http: Any) -> Any:
    intent.asks(f="f")
    return await http.request("GET", "/")


async def raises_before(intent: Any, http: Any) -> None:
    raise RuntimeError("before")


async def raises_after(intent: Any, http: Any) -> None:
    await asked(intent, http)
    raise RuntimeError("after")


async def exits(intent: Any, http: Any) -> None:
    await asked(intent, http)
    raise SystemExit(1)


async def no_request(intent: Any, http: Any) -> None:
    intent.asks(f="f")


async def settles_without_request(intent: Any, http: Any) -> None:
    intent.asks(f="f")
    intent.ok()


async def does_not_ask(intent: Any, http: Any) -> None:
    await http.request("GET", "/")


async def two_requests(intent: Any, http: Any) -> None:
    await asked(intent, http)
    await http.request("GET", "/")


async def sleeps(intent: Any, http: Any) -> None:
    await asyncio.sleep(0.01)


async def sleeps_after(intent: Any, http: Any) -> None:
    await asked(intent, http)
    await asyncio.sleep(0.01)


async def settles_twice(intent: Any, http: Any) -> None:
    await asked(intent, http)
    intent.absent()
    intent.ok()


async def settles_and_raises(intent: Any, http: Any) -> None:
    await asked(intent, http)
    intent.ok()
    raise RuntimeError("bookkeeping")


async def no_text(intent: Any, http: Any) -> None:
    intent.asks(f="f", key=7)


async def bad_path(intent: Any, http: Any) -> None:
    intent.asks(f="f")
    await http.request("GET", "/a b\r\nX: y")


async def bad_header(intent: Any, http: Any) -> None:
    intent.asks(f="f")
    await http.request("GET", "/", headers={"A": "b\r\nC: d"})


async def own_host(intent: Any, http: Any) -> None:
    intent.asks(f="f")
    await http.request("GET", "/", headers={"Host": "x"})


async def misses_a_key(intent: Any, http: Any) -> None:
    intent.ok(result=(await asked(intent, http)).json()["url"])


async def settles_nothing(intent: Any, http: Any) -> None:
    await asked(intent, http)


async def always_ok(intent: Any, http: Any) -> None:
    await asked(intent, http)
    intent.ok()


async def catches_everything(intent: Any, http: Any) -> None:
    try:
        await asked(intent, http)
    except Exception:
        pass
    intent.ok()


@pytest.mark.parametrize(
    ("script", "write", "read", "said"),
    [
        (raises_before, ("fail", "none", "workload"), ("fail", "none", "workload"), "RuntimeError: before"),
        (raises_after, ("info", "none", "workload"), ("fail", "none", "workload"), "RuntimeError: after"),
        (exits, ("info", "none", "workload"), ("fail", "none", "workload"), "SystemExit"),
        (no_request, ("fail", "none", "workload"), ("fail", "none", "workload"), "returned without a request"),
        (settles_without_request, ("fail", "none", "workload"), ("fail", "none", "workload"), "nothing has been asked"),
        (does_not_ask, ("fail", "none", "workload"), ("fail", "none", "workload"), "asks(f=...) comes before"),
        (two_requests, ("info", "none", "workload"), ("fail", "none", "workload"), "one operation is one request"),
        (sleeps, ("fail", "none", "workload"), ("fail", "none", "workload"), "may only await http.request()"),
        (sleeps_after, ("info", "none", "workload"), ("fail", "none", "workload"), "may only await http.request()"),
        (settles_twice, ("ok", "yes", "no-error"), ("ok", "yes", "no-error"), "an operation is settled once"),
        (settles_and_raises, ("ok", "yes", "no-error"), ("ok", "yes", "no-error"), "bookkeeping"),
        (no_text, ("fail", "none", "workload"), ("fail", "none", "workload"), "key must be a string, not int"),
        (bad_path, ("fail", "none", "workload"), ("fail", "none", "workload"), "is not a path"),
        (bad_header, ("fail", "none", "workload"), ("fail", "none", "workload"), "not printable ASCII"),
        (own_host, ("fail", "none", "workload"), ("fail", "none", "workload"), "cannot be set by a workload"),
        (misses_a_key, ("info", "refused", "wrong"), ("fail", "refused", "wrong"), ""),
        (settles_nothing, ("info", "refused", "wrong"), ("fail", "refused", "wrong"), ""),
    ],
)
def test_what_becomes_of_it(
    serve: Any,
    send: Any,
    script: Any,
    write: tuple[str, str, str],
    read: tuple[str, str, str],
    said: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    server = serve(answering())
    done = send(server.port, "write", count=7, workload=Scripted(script))
    assert done.summary == [write] * 7
    assert send(server.port, "read", workload=Scripted(script)).summary == [read]
    assert said in done.sender.first_error
    assert done.sender.workload_errors == (7 if said else 0)
    shown = capfd.readouterr().err
    assert said in shown
    assert shown.count("perform() raised") <= 6, "a workload that always fails must not fill the log"


def test_a_careless_ok_does_not_turn_an_error_into_a_success(serve: Any, send: Any) -> None:
    server = serve(answering(ERROR))
    for script in (always_ok, catches_everything):
        done = send(server.port, "write", workload=Scripted(script))
        assert done.summary == [("info", "refused", "status")]
        assert done.history.rows[0]["status"] == 500


def test_a_swallowed_failure_is_still_a_failure(serve: Any, send: Any) -> None:
    server = serve(lambda peer: peer.request() and None)
    assert send(server.port, "write", workload=Scripted(catches_everything)).summary == [("info", "refused", "closed")]


def test_a_bug_shows_only_the_users_frames(serve: Any, send: Any) -> None:
    done = send(serve(answering()).port, workload=Scripted(raises_after))
    assert "sending.py" not in done.sender.first_error


def test_what_the_intent_offers(serve: Any, send: Any) -> None:
    seen: list[Any] = []

    async def script(intent: Any, http: Any) -> None:
        seen.append((intent.cls, intent.index, intent.stamp, intent.key, intent.random.random()))
        intent.asks(f="write", key="first", value=intent.stamp)
        await http.request("POST", "/")
        intent.ok(key="learned", result="r")

    done = send(serve(answering()).port, count=3, workload=Scripted(script))
    assert [item[:4] for item in seen] == [("op", n, f"k-0-{n}", None) for n in range(3)]
    row = done.history.rows[0]
    assert [done.history.text(row[name]) for name in ("key", "value_id", "result_id")] == ["learned", "k-0-0", "r"]
    again: list[Any] = list(seen)
    seen.clear()
    send(serve(answering()).port, count=3, workload=Scripted(script))
    assert seen == again, "the same seed draws the same"


def test_an_unsent_operation_says_nothing_of_what_it_would_have_asked(serve: Any, send: Any) -> None:
    done = send(
        serve(answering(b"")).port, count=2, at_once=True, in_flight=1, timeout=0.2, workload=Scripted(always_ok)
    )
    assert (done.history.rows["f"] == NONE).tolist() == [False, True]
