"""The old `toxiproxy-python`, written against the original, drives the server as its users do."""

from __future__ import annotations

import time

import pytest
from toxiproxy import Toxiproxy
from toxiproxy.api import APIConsumer
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists


@pytest.fixture
def theirs(toxiproxy_server, client):
    before = APIConsumer.host, APIConsumer.port
    toxiproxy = Toxiproxy()
    toxiproxy.update_api_consumer(toxiproxy_server.host, toxiproxy_server.port)
    yield toxiproxy
    APIConsumer.host, APIConsumer.port = before


def test_it_runs_and_has_a_version(theirs, embedded):
    assert theirs.running()
    assert theirs.version() == b'{"version": "2.12.0"}\n'


def test_proxies_come_and_go(theirs):
    made = theirs.create(name="p", upstream="127.0.0.1:9")
    assert made.enabled
    assert list(theirs.proxies()) == ["p"]
    assert theirs.get_proxy("p").listen == made.listen
    assert theirs.get_proxy("q") is None
    with pytest.raises(ProxyExists):
        theirs.create(name="p", upstream="127.0.0.1:9")
    theirs.destroy_all()
    assert theirs.proxies() == {}
    with pytest.raises(NotFound):
        made.destroy()


def test_populate(theirs, wire):
    wanted = [{"name": name, "upstream": "127.0.0.1:9", "listen": wire.own_text()} for name in ("a", "b")]
    made = theirs.populate(wanted)
    assert [proxy.name for proxy in made] == ["a", "b"]


def test_toxics_come_and_go(theirs):
    proxy = theirs.create(name="p", upstream="127.0.0.1:9")
    proxy.add_toxic(type="latency", attributes={"latency": 5})
    proxy.add_toxic(type="timeout", name="cut", stream="upstream", toxicity=0.5, attributes={"timeout": 7})
    assert set(proxy.toxics()) == {"latency_downstream", "cut"}
    assert proxy.get_toxic("cut").attributes == {"timeout": 7}
    assert proxy.get_toxic("cut").toxicity == 0.5
    with pytest.raises(ProxyExists):
        proxy.add_toxic(type="latency")
    with pytest.raises(InvalidToxic):
        proxy.add_toxic(type="unheard-of")
    proxy.destroy_toxic("cut")
    assert set(proxy.toxics()) == {"latency_downstream"}
    theirs.reset()
    assert proxy.toxics() == {}


def test_its_faults_bite(theirs, link, wire):
    proxy = theirs.get_proxy(link.name)
    near, far = link.pair()
    proxy.add_toxic(type="latency", attributes={"latency": 200})
    start = time.monotonic()
    far.sendall(b"x")
    assert wire.receive(near, 1) == b"x"
    assert time.monotonic() - start >= 0.2
    with proxy.down():
        assert wire.ending(near) == "fin"
        with pytest.raises(ConnectionRefusedError):
            link.connect()
    near, far = link.pair()
    proxy.destroy_toxic("latency_downstream")
    far.sendall(b"x")
    assert wire.receive(near, 1) == b"x"
