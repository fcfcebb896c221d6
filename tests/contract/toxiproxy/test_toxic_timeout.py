"""timeout: drops data, closes when none comes."""

from __future__ import annotations

import time


class TestTimeout:
    def test_zero_drops_data_for_ever_but_lets_the_end_through(self, link, wire):
        link.add("timeout", timeout=0)
        near, far = link.pair()
        far.sendall(b"lost")
        assert wire.silent(near)
        far.close()
        assert wire.ending(near) == "fin"

    def test_closes_after_the_time_without_data(self, link, wire):
        link.add("timeout", timeout=300)
        start = time.monotonic()
        near, far = link.pair()
        assert wire.ending(near) == "fin"
        assert time.monotonic() - start >= 0.29
        assert wire.ending(far) == "fin"

    def test_a_chatty_peer_is_never_cut(self, link, wire):
        link.add("timeout", timeout=1000)
        near, far = link.pair()
        for _ in range(12):
            far.sendall(b"dropped")
            time.sleep(0.1)
        assert wire.silent(near, 0.01)
        assert wire.ending(near) == "fin"

    def test_removing_it_closes_the_connections_it_acted_on(self, link, wire):
        near, far = link.pair()
        link.add("timeout", timeout=0)
        far.sendall(b"lost")
        assert wire.silent(near)
        link.client.remove_toxic(link.name, "t")
        assert wire.ending(near) == "fin"
        assert wire.ending(far) == "fin"

    def test_removing_it_spares_the_connections_it_spared(self, link, wire, embedded):
        link.add("timeout", toxicity=0.0, timeout=0)
        near, far = link.pair()
        link.client.remove_toxic(link.name, "t")
        assert wire.round_trip(near, far) < 10
