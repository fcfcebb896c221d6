from __future__ import annotations

import asyncio
import socket

import pytest

from chaoskit.toxiproxy.server import address
from chaoskit.toxiproxy.server.address import AddressError
from chaoskit.toxiproxy.server.proxies import Proxies
from chaoskit.toxiproxy.server.timers import LoopTimers


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("", ("", 0)),
        (":80", ("", 80)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("127.0.0.1:", ("127.0.0.1", 0)),
        ("[::1]:443", ("::1", 443)),
        ("db:5432", ("db", 5432)),
        ("x:+5", ("x", 5)),
    ],
)
def test_parses(text, parsed):
    assert address.parse(text) == parsed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo", "address foo: missing port in address"),
        ("a:b:c", "address a:b:c: too many colons in address"),
        ("[::1", "address [::1: missing ']' in address"),
        ("[::1]80", "address [::1]80: missing port in address"),
        ("x:65536", "address 65536: invalid port"),
        ("x:-1", "address -1: invalid port"),
        ("x:99999999999", "address 99999999999: invalid port"),
        ("x:no-such-service", "lookup tcp/no-such-service: unknown port"),
        ("x:80 ", "lookup tcp/80 : unknown port"),
    ],
)
def test_refuses(text, message):
    with pytest.raises(AddressError) as caught:
        address.parse(text)
    assert str(caught.value) == message


def test_resolves_names_to_ipv4_first():
    assert asyncio.run(address.resolve("localhost:7")) == ("127.0.0.1", 7)
    assert asyncio.run(address.resolve("[::1]:7")) == ("::1", 7)
    assert asyncio.run(address.resolve(":7")) == ("", 7)


def test_listens_where_it_is_told_and_says_why_not():
    with address.listen("127.3.2.1", 0) as sock:
        assert sock.getsockname()[0] == "127.3.2.1"
        assert not sock.getblocking()
        socket.create_connection(sock.getsockname(), 10).close()
        port = sock.getsockname()[1]
        with pytest.raises(AddressError, match=f"listen tcp 127.3.2.1:{port}: bind: address already in use"):
            address.listen("127.3.2.1", port)
    address.listen("127.3.2.1", port).close()


@pytest.fixture
def deaf(monkeypatch):
    """Names of `.deaf` are looked up for ever; the limit is short."""
    ask = asyncio.BaseEventLoop.getaddrinfo

    async def getaddrinfo(self, host, port, **more):
        return await (asyncio.Event().wait() if host.endswith(".deaf") else ask(self, host, port, **more))

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(address, "LOOKUP", 0.2)


def test_a_name_that_nobody_answers_for_is_given_up(deaf):
    with pytest.raises(AddressError) as caught:
        asyncio.run(address.resolve("db.deaf:80"))
    assert str(caught.value) == "lookup db.deaf: no answer within 0.2 s (an address needs no lookup)"


def test_a_reset_heals_all_others_before_names_are_given_up(deaf):
    async def main() -> None:
        timers = LoopTimers(asyncio.get_running_loop())
        proxies = Proxies(timers, "seed")
        for name in ("a.deaf", "127.3.2.1", "b.deaf", "127.3.2.2"):
            await proxies.add_or_replace(proxies.make(name, f"{name}:0", "u:1"), start=False)
        reset = asyncio.create_task(proxies.reset())
        while [proxy.enabled for proxy in proxies.by_name.values()] != [False, True, False, True]:
            assert not reset.done(), "it waited for names"
            await asyncio.sleep(0)
        with pytest.raises(AddressError, match=r"a\.deaf: no answer"):
            await reset
        await proxies.close()
        timers.close()

    asyncio.run(main())
