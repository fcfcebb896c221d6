"""reset_peer: connections are reset when they are used."""

from __future__ import annotations

import time


class TestResetPeer:
    def test_new_connections_are_reset_on_the_first_answer(self, link, wire):
        link.add("reset_peer", timeout=0)
        near, far = link.pair()
        near.sendall(b"question")
        assert wire.receive(far, 8) == b"question"
        far.sendall(b"answer")
        assert wire.ending(near) == "rst"
        assert wire.ending(far) == "rst"

    def test_upstream_it_is_reset_on_the_first_question_which_never_arrives(self, link, wire):
        link.add("reset_peer", stream="upstream", timeout=0)
        near, far = link.pair()
        near.sendall(b"question")
        assert wire.ending(far) == "rst"
        assert wire.ending(near) == "rst"

    def test_connections_that_were_open_before_get_a_real_reset_too(self, link, wire, embedded):
        near, far = link.pair()
        link.add("reset_peer", timeout=0)
        far.sendall(b"answer")
        assert wire.ending(near) == "rst"
        assert wire.ending(far) == "rst"

    def test_waits_for_its_timeout(self, link, wire):
        link.add("reset_peer", timeout=300)
        near, far = link.pair()
        far.sendall(b"answer")
        start = time.monotonic()
        assert wire.ending(near) == "rst"
        assert time.monotonic() - start >= 0.25

    def test_an_end_of_file_is_as_good_as_data(self, link, wire):
        link.add("reset_peer", timeout=0)
        near, far = link.pair()
        far.close()
        assert wire.ending(near) == "rst"

    def test_an_idle_connection_is_left_alone_and_survives_the_healing(self, link, wire):
        near, far = link.pair()
        link.add("reset_peer", timeout=0)
        assert wire.silent(near)
        link.client.remove_toxic(link.name, "t")
        assert wire.round_trip(near, far) < 10

    def test_removing_it_does_not_wait_for_connections_that_wait_for_their_reset(self, link, wire, embedded):
        link.add("reset_peer", timeout=60_000)
        near, far = link.pair()
        far.sendall(b"answer")
        wire.until(lambda: link.client.counters()[link.name].downstream.received == 6)
        assert link.client.counters()[link.name].hits == {"t": 0}  # none was reset so far
        link.client.remove_toxic(link.name, "t")
        assert wire.ending(near) == "rst"
        assert link.client.counters()[link.name].hits == {"t": 1}

    def test_a_connection_it_spares_is_closed_normally(self, link, wire, embedded):
        link.add("reset_peer", toxicity=1e-9, timeout=0)
        near, far = link.pair()
        far.sendall(b"answer")
        far.close()
        assert wire.drain(near) == b"answer"
