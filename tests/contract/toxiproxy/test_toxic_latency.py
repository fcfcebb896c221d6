"""latency, on connections that are new and on those that were open before."""

from __future__ import annotations

import time

import pytest

MS = 0.001


class TestLatency:
    @pytest.mark.parametrize("stream", ["upstream", "downstream"])
    def test_delays_one_direction_only(self, link, wire, stream):
        link.add("latency", stream=stream, latency=250)
        near, far = link.pair()
        assert wire.round_trip(near, far, stream) >= 250 * MS
        other = "upstream" if stream == "downstream" else "downstream"
        assert min(wire.round_trip(near, far, other) for _ in range(5)) < 250 * MS

    def test_reaches_open_connections_and_leaves_them(self, link, wire):
        near, far = link.pair()
        link.add("latency", latency=250)
        assert wire.round_trip(near, far) >= 250 * MS
        link.client.remove_toxic(link.name, "t")
        assert min(wire.round_trip(near, far) for _ in range(5)) < 250 * MS

    def test_adds_up_over_a_chain(self, link, wire):
        link.add("latency", "one", latency=150)
        link.add("latency", "two", latency=150)
        near, far = link.pair()
        assert wire.round_trip(near, far) >= 300 * MS

    def test_jitter_stays_inside_its_bounds_and_keeps_the_order(self, link, wire):
        link.add("latency", latency=60, jitter=50)
        near, far = link.pair()
        start = time.monotonic()
        for number in range(100):
            far.sendall(bytes([number]))
            time.sleep(0.001)
        assert wire.receive(near, 100) == bytes(range(100))
        assert time.monotonic() - start >= 0.1 + 10 * MS

    def test_is_a_delay_line_and_not_a_throttle(self, link, wire):
        link.add("latency", latency=300)
        near, far = link.pair()
        start = time.monotonic()
        for _ in range(20):
            far.sendall(b"z" * 1000)
            time.sleep(0.005)
        wire.receive(near, 20_000)
        # One after the other would be six seconds.
        assert 0.3 <= time.monotonic() - start < 5.0

    def test_the_close_follows_the_data(self, link, wire):
        link.add("latency", latency=200)
        near, far = link.pair()
        start = time.monotonic()
        far.sendall(b"last words")
        far.close()
        assert wire.drain(near) == b"last words"
        assert time.monotonic() - start >= 200 * MS

    def test_a_connect_is_not_delayed_and_an_empty_line_not_either(self, link, wire):
        link.add("latency", latency=5000)
        start = time.monotonic()
        near, far = link.pair()
        far.close()
        assert wire.ending(near) == "fin"
        assert time.monotonic() - start < 4.0

    def test_removing_it_sends_on_at_once_and_in_order_what_it_held(self, link, wire):
        link.add("latency", latency=60_000)
        near, far = link.pair()
        for number in range(50):
            far.sendall(bytes([number]))
            time.sleep(0.001)
        assert wire.silent(near, 0.2)
        link.client.remove_toxic(link.name, "t")
        assert wire.receive(near, 50) == bytes(range(50))
        assert wire.round_trip(near, far) < 10

    def test_an_update_retimes_what_is_on_its_way(self, link, wire):
        toxic = link.add("latency", latency=60_000)
        near, far = link.pair()
        far.sendall(b"x")
        assert wire.silent(near, 0.2)
        link.client.update_toxic(link.name, toxic, attributes={"latency": 1})
        assert wire.receive(near, 1) == b"x"
