"""limit_data: exactly so many bytes, then the end."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
@pytest.mark.parametrize("limit", [1, 1000, 300_000])
def test_passes_exactly_so_many_bytes_and_closes_both_ends(link, wire, stream, limit):
    link.add("limit_data", stream=stream, bytes=limit)
    near, far = link.pair()
    source, target = (near, far) if stream == "upstream" else (far, near)
    blob = bytes(index % 251 for index in range(400_000))
    try:
        source.sendall(blob)
    except OSError:
        pass  # closed while it was sending, as it should be
    assert drained(target) == blob[:limit]
    assert wire.ending(source) in ("fin", "rst")


def test_the_other_direction_is_not_counted(link, wire):
    link.add("limit_data", bytes=10)
    near, far = link.pair()
    near.sendall(b"z" * 10_000)
    wire.receive(far, 10_000)
    far.sendall(b"0123456789abc")
    assert drained(near) == b"0123456789"


def test_zero_ends_it_at_the_first_read(link, wire):
    link.add("limit_data", bytes=0)
    near, far = link.pair()
    assert wire.silent(near, 0.2)
    far.sendall(b"never seen")
    assert drained(near) == b""


def test_each_connection_counts_for_itself(link, wire):
    link.add("limit_data", bytes=5)
    for _ in range(3):
        near, far = link.pair()
        far.sendall(b"0123456789")
        assert drained(near) == b"01234"


def test_what_has_passed_counts_through_updates_and_through_other_toxics(link, wire):
    toxic = link.add("limit_data", bytes=100)
    near, far = link.pair()
    far.sendall(b"z" * 60)
    wire.receive(near, 60)
    link.client.update_toxic(link.name, toxic, attributes={"bytes": 80})
    link.add("noop", "n")
    link.client.remove_toxic(link.name, "n")
    far.sendall(b"z" * 60)
    assert drained(near) == b"z" * 20


def test_a_limit_below_what_has_passed_closes_at_the_next_read(link, wire):
    toxic = link.add("limit_data", bytes=100)
    near, far = link.pair()
    far.sendall(b"z" * 60)
    wire.receive(near, 60)
    link.client.update_toxic(link.name, toxic, attributes={"bytes": 10})
    far.sendall(b"z")
    assert drained(near) == b""


def test_removing_it_lets_everything_through_again(link, wire):
    link.add("limit_data", bytes=100)
    near, far = link.pair()
    far.sendall(b"z" * 99)
    wire.receive(near, 99)
    link.client.remove_toxic(link.name, "t")
    far.sendall(b"z" * 10_000)
    wire.receive(near, 10_000)


@pytest.mark.usefixtures("embedded")
class TestAfterTheCut:
    def test_a_latency_behind_it_still_delivers_what_was_let_through(self, link, wire):
        link.add("limit_data", "limit", bytes=5)
        link.add("latency", "slow", latency=300)
        near, far = link.pair()
        far.sendall(b"0123456789")
        assert drained(near) == b"01234"

    def test_removing_it_brings_nothing_back(self, link, wire):
        link.add("limit_data", "limit", bytes=5)
        link.add("slow_close", "late", delay=500)
        near, far = link.pair()
        far.sendall(b"0123456789")
        assert wire.receive(near, 5) == b"01234"
        link.client.remove_toxic(link.name, "limit")
        far.sendall(b"more")
        assert drained(near) == b""

    def test_hits_are_connections_that_were_cut(self, link, wire):
        link.add("limit_data", bytes=5)
        for number in range(3):
            near, far = link.pair()
            far.sendall(b"012")
            wire.receive(near, 3)
            assert link.client.counters()[link.name].hits == {"t": number}
            far.sendall(b"3456789")
            assert drained(near) == b"34"

    def test_bytes_are_counted_on_both_sides_of_the_cut(self, link, wire):
        link.add("limit_data", bytes=5)
        near, far = link.pair()
        far.sendall(b"0123456789")
        assert drained(near) == b"01234"
        flow = link.client.counters()[link.name].downstream
        assert (flow.received, flow.sent) == (10, 5)


def drained(sock) -> bytes:
    """All bytes until the end; a reset after them counts as an end."""
    found = bytearray()
    try:
        while data := sock.recv(1 << 20):
            found += data
    except ConnectionResetError:
        pass
    return bytes(found)
