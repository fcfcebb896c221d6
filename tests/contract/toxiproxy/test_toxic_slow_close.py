"""slow_close: data passes at once, the end of the connection comes late."""

from __future__ import annotations

import time

import pytest


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
def test_holds_the_end_and_not_the_data(link, wire, stream):
    link.add("slow_close", stream=stream, delay=400)
    near, far = link.pair()
    source, target = (near, far) if stream == "upstream" else (far, near)
    assert min(wire.round_trip(near, far, stream) for _ in range(5)) < 0.4
    start = time.monotonic()
    source.sendall(b"last words")
    source.close()
    assert wire.receive(target, 10) == b"last words"
    assert wire.ending(target) == "fin"
    assert time.monotonic() - start >= 0.39


def test_the_other_direction_ends_at_once(link, wire):
    link.add("slow_close", stream="upstream", delay=20_000)
    near, far = link.pair()
    start = time.monotonic()
    far.close()
    assert wire.ending(near) == "fin"
    assert time.monotonic() - start < 15


def test_reaches_open_connections(link, wire):
    near, far = link.pair()
    link.add("slow_close", delay=400)
    start = time.monotonic()
    far.close()
    assert wire.ending(near) == "fin"
    assert time.monotonic() - start >= 0.39


@pytest.mark.usefixtures("embedded")
class TestWhileItHolds:
    def test_removing_it_lets_the_end_pass_now(self, link, wire):
        link.add("slow_close", delay=600_000)
        near, far = link.pair()
        far.close()
        wire.until(lambda: link.client.counters()[link.name].hits == {"t": 1})
        assert wire.silent(near, 0.1)
        link.client.remove_toxic(link.name, "t")
        assert wire.ending(near) == "fin"

    def test_an_update_retimes_it(self, link, wire):
        toxic = link.add("slow_close", delay=600_000)
        near, far = link.pair()
        far.close()
        assert wire.silent(near, 0.1)
        link.client.update_toxic(link.name, toxic, attributes={"delay": 1})
        assert wire.ending(near) == "fin"

    def test_switching_the_proxy_off_does_not_wait(self, link, wire):
        link.add("slow_close", delay=600_000)
        near, far = link.pair()
        far.close()
        assert wire.silent(near, 0.1)
        link.client.update(link.name, enabled=False)
        assert wire.ending(near) in ("fin", "rst")
        wire.until(lambda: link.client.counters()[link.name].open == 0)
