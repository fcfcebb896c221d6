"""slicer: reads arrive in small pieces, and no byte is lost or moved."""

from __future__ import annotations

import socket
import struct
import time

import httpx
import pytest

DATA_SEGMENTS_IN = 152  # offset of tcpi_data_segs_in in struct tcp_info (linux/tcp.h)


def pieces(sock, size: int) -> list[bytes]:
    """What single reads give, until so many bytes have come."""
    found: list[bytes] = []
    while sum(map(len, found)) < size:
        found.append(sock.recv(1 << 16))
        assert found[-1]
    return found


def test_cuts_to_the_size_asked_for_and_waits_after_each_piece(link, wire):
    link.add("slicer", average_size=100, size_variation=20, delay=5000)
    near, far = link.pair()
    blob = bytes(range(250)) * 8
    start = time.monotonic()
    far.sendall(blob)
    found = pieces(near, len(blob))
    assert b"".join(found) == blob
    # At most 120 bytes each: 17 pieces or more. A reader that is late gets some of them in one.
    assert time.monotonic() - start >= 16 * 0.005
    assert len(found) >= 5
    assert min(map(len, found)) <= 120


def test_without_a_delay_pieces_are_still_writes_of_their_own(link, wire):
    link.add("slicer", average_size=10, size_variation=0)
    near, far = link.pair()
    blob = bytes(range(200)) * 50
    far.sendall(blob)
    assert b"".join(pieces(near, len(blob))) == blob
    # A reader that is late gets many pieces in one read: what came over the wire is counted, not the reads.
    assert struct.unpack_from("=I", near.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192), DATA_SEGMENTS_IN)[0] >= 3


def test_the_end_follows_the_pieces(link, wire):
    link.add("slicer", average_size=10, size_variation=0, delay=2000)
    near, far = link.pair()
    far.sendall(b"z" * 500)
    far.close()
    assert wire.drain(near) == b"z" * 500


def test_what_is_small_enough_passes_whole(link, wire):
    link.add("slicer", average_size=100, size_variation=50)
    near, far = link.pair()
    far.sendall(b"small")
    assert near.recv(100) == b"small"


def test_removing_it_sends_on_at_once_and_in_order_what_it_held(link, wire):
    link.add("slicer", average_size=1, size_variation=0, delay=1_000_000)
    near, far = link.pair()
    blob = bytes(range(256)) * 40
    far.sendall(blob)
    first = near.recv(1)
    link.client.remove_toxic(link.name, "t")
    assert first + wire.receive(near, len(blob) - 1) == blob


@pytest.mark.usefixtures("embedded")
@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"average_size": 0, "size_variation": 5},
        {"average_size": 5, "size_variation": 5},
        {"average_size": 3, "size_variation": 1000},
        {"average_size": -1, "size_variation": -1, "delay": -1},
        {"average_size": 1 << 62, "size_variation": 1 << 62},
        {"average_size": 1, "size_variation": 0},
    ],
    ids=str,
)
def test_what_ends_the_original_is_accepted_and_harms_nobody(link, wire, attributes):
    body = {"type": "slicer", "name": "t", "attributes": attributes}
    answer = httpx.post(f"{link.client.url}/proxies/{link.name}/toxics", json=body)
    assert answer.status_code == 200
    near, far = link.pair()
    blob = bytes(range(256)) * 20
    far.sendall(blob)
    assert wire.receive(near, len(blob)) == blob
    far.close()
    assert wire.ending(near) == "fin"


@pytest.mark.usefixtures("embedded")
def test_hits_are_reads_that_were_cut(link, wire):
    link.add("slicer", average_size=10, size_variation=0)
    near, far = link.pair()
    wire.round_trip(near, far)
    assert link.client.counters()[link.name].hits == {"t": 0}
    far.sendall(b"z" * 100)
    wire.receive(near, 100)
    assert link.client.counters()[link.name].hits == {"t": 1}


@pytest.mark.usefixtures("embedded")
def test_cutting_very_finely_leaves_others_their_turn(link, wire):
    link.add("slicer", average_size=1, size_variation=0, toxicity=0.5)
    pairs = [link.pair() for _ in range(12)]
    for _, far in pairs:
        far.sendall(bytes(4000))
    assert len(link.client.proxies()) >= 1  # the control port answers meanwhile
    for near, _ in pairs:
        wire.receive(near, 4000)
