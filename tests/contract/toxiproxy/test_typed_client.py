"""Our own client against a running server, blocking and asynchronous alike."""

from __future__ import annotations

import asyncio
import inspect
import socket

import pytest

from chaoskit.errors import LinkError
from chaoskit.stack.effects import Toxic
from chaoskit.stack.launch import ProxySpec
from chaoskit.toxiproxy.client import AsyncClient, Client, ToxiproxyError


class _Driver:
    """Calls the verbs of either client in the same way."""

    def __init__(self, client: Client | AsyncClient, runner: asyncio.Runner) -> None:
        self.client = client
        self.runner = runner

    def __getattr__(self, verb):
        def call(*args, **kwargs):
            result = getattr(self.client, verb)(*args, **kwargs)
            return self.runner.run(result) if inspect.iscoroutine(result) else result

        return call


@pytest.fixture(params=["blocking", "asynchronous"])
def driver(request, toxiproxy_server, client):
    with asyncio.Runner() as runner:
        if request.param == "blocking":
            with Client(toxiproxy_server.url, timeout=20) as blocking:
                yield _Driver(blocking, runner)
        else:
            awaited = AsyncClient(toxiproxy_server.url, timeout=20)
            try:
                yield _Driver(awaited, runner)
            finally:
                runner.run(awaited.aclose())


def test_every_verb(driver, wire):
    assert driver.version() in ("2.12.0", "git")
    made = driver.create("a->b:1", listen=wire.own_text(), upstream="127.0.0.1:9")
    assert made.enabled
    assert driver.proxies() == {"a->b:1": made}
    assert driver.get("a->b:1") == made
    slow = Toxic(name="slow one", type="latency", attributes={"latency": 5})
    read = driver.add_toxic("a->b:1", slow)
    assert read.attributes == {"latency": 5, "jitter": 0}
    read = driver.update_toxic("a->b:1", read, attributes={"jitter": 2}, toxicity=0.3)
    assert (read.attributes, round(read.toxicity, 6)) == ({"latency": 5, "jitter": 2}, 0.3)
    assert driver.get_toxic("a->b:1", "slow one") == read
    assert driver.toxics("a->b:1") == (read,)
    driver.remove_toxic("a->b:1", "slow one")
    assert driver.toxics("a->b:1") == ()
    assert not driver.update("a->b:1", enabled=False).enabled
    assert driver.update("a->b:1", upstream="127.0.0.1:10", enabled=True).upstream == "127.0.0.1:10"
    driver.add_toxic("a->b:1", slow)
    assert driver.reset()["a->b:1"].toxics == ()
    made = driver.populate([ProxySpec(name="two", listen="127.0.0.1:0", upstream="localhost:9")])
    assert list(made) == ["two"]
    driver.delete("two")
    assert list(driver.proxies()) == ["a->b:1"]


def test_counters(driver, link, wire, embedded):
    near, far = link.pair()
    far.sendall(b"x" * 1000)
    assert len(wire.receive(near, 1000)) == 1000
    link.add("noop", "up", stream="upstream")
    near.sendall(b"y" * 10)
    assert len(wire.receive(far, 10)) == 10
    found = driver.counters()[link.name]
    assert (found.accepted, found.open, found.dial_failures) == (1, 1, 0)
    assert (found.downstream.received, found.downstream.sent) == (1000, 1000)
    assert (found.upstream.received, found.upstream.sent) == (10, 10)
    assert found.hits == {"up": 1}


def test_refusals_carry_status_and_message(driver):
    with pytest.raises(ToxiproxyError, match="proxy not found") as caught:
        driver.get("nobody")
    assert caught.value.status == 404
    assert isinstance(caught.value, LinkError)
    driver.create("p", listen="127.0.0.1:0", upstream="x:1")
    with pytest.raises(ToxiproxyError, match="proxy already exists") as caught:
        driver.create("p", listen="127.0.0.1:0", upstream="x:1")
    assert caught.value.status == 409
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(ToxiproxyError, match="address already in use") as caught:
            driver.create("q", listen=f"127.0.0.1:{taken.getsockname()[1]}", upstream="x:1")
    assert caught.value.status == 500


@pytest.mark.parametrize(
    ("toxic", "reason"),
    [
        (Toxic(name="t", type="slicer"), "never ends"),
        (Toxic(name="t", type="bandwidth", attributes={"rate": -1}), "negative"),
        (Toxic(name="t", type="latency", toxicity=1.5), "between 0 and 1"),
        (Toxic(name="a/b", type="latency"), "slash"),
    ],
)
def test_dangers_are_never_sent(driver, toxic, reason):
    driver.create("p", listen="127.0.0.1:0", upstream="x:1")
    with pytest.raises(ToxiproxyError, match=reason):
        driver.add_toxic("p", toxic)
    assert driver.toxics("p") == ()


def test_nobody_there_and_nobody_answering(wire):
    address = wire.own_address()
    url = f"http://{wire.text(address)}"
    with socket.create_server(address):
        with Client(url, timeout=0.2) as client, pytest.raises(ToxiproxyError, match="no answer") as caught:
            client.proxies()
        assert caught.value.status is None
    with Client(url, timeout=20) as client, pytest.raises(ToxiproxyError, match="no answer"):
        client.proxies()


def test_the_environments_proxies_are_not_asked(toxiproxy_server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    with Client(toxiproxy_server.url, timeout=20) as client:
        assert client.version()
