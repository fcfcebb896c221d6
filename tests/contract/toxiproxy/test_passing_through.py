"""What a link does to connections without a toxic, when it is switched off, and when its upstream is away."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
import time

import pytest

MS = 0.001

KINDS = ("uvloop", "asyncio", "real")


class TestWithoutToxics:
    def test_bytes_pass_both_ways_and_the_end_of_one_side_closes_the_other(self, link, wire):
        near, far = link.pair()
        near.sendall(b"question")
        assert wire.receive(far, 8) == b"question"
        far.sendall(b"answer")
        far.close()
        assert wire.drain(near) == b"answer"

    def test_there_is_no_half_close(self, link, wire):
        near, far = link.pair()
        near.sendall(b"all I have to say")
        near.shutdown(socket.SHUT_WR)
        assert wire.drain(far) == b"all I have to say"
        # The far side was closed fully, and that closes the near one although it still waits for an answer.
        assert wire.ending(near) == "fin"

    def test_a_dead_upstream_is_a_connect_that_ends_at_once(self, link, wire):
        link.listener.close()
        near = link.connect()
        assert wire.ending(near) in ("fin", "rst")

    def test_bytes_sent_before_the_upstream_is_connected_are_not_lost(self, link, wire):
        near = link.connect()
        near.sendall(b"early" * 1000)
        far = link.accept()
        assert wire.receive(far, 5000) == b"early" * 1000

    def test_a_client_that_comes_and_goes_leaves_nothing_open(self, link, wire, embedded):
        for _ in range(20):
            link.connect().close()
        wire.until(lambda: link.client.counters()[link.name].accepted == 20)
        for _ in range(20):
            assert wire.drain(link.accept()) == b""
        wire.until(lambda: link.client.counters()[link.name].open == 0)


class TestOutage:
    def test_disabling_refuses_connects_and_cuts_what_is_open(self, link, wire):
        near, far = link.pair()
        link.client.update(link.name, enabled=False)
        with pytest.raises(ConnectionRefusedError) as refused:
            link.connect()
        assert refused.value.errno == errno.ECONNREFUSED
        assert wire.ending(near) == "fin"
        assert wire.ending(far) == "fin"

    def test_enabling_serves_the_same_address_with_the_same_toxics(self, link, wire):
        link.add("latency", latency=250)
        link.client.update(link.name, enabled=False)
        read = link.client.update(link.name, enabled=True)
        assert read.listen == f"{link.address[0]}:{link.address[1]}"
        near, far = link.pair()
        assert wire.round_trip(near, far) >= 250 * MS

    def test_deleting_cuts_too(self, link, wire):
        near, far = link.pair()
        link.client.delete(link.name)
        assert wire.ending(near) == "fin"
        assert wire.ending(far) == "fin"
        with pytest.raises(ConnectionRefusedError):
            link.connect()

    def test_also_in_the_middle_of_held_data_and_silence(self, link, wire):
        near, far = link.pair()
        link.add("latency", latency=60_000)
        far.sendall(b"held")
        time.sleep(0.1)
        link.client.update(link.name, enabled=False)
        assert wire.ending(near) == "fin"
        assert wire.ending(far) == "fin"

    def test_another_upstream_cuts_and_redirects(self, link, wire):
        near, _ = link.pair()
        with socket.create_server(("127.0.0.1", 0)) as other:
            other.settimeout(wire.patience)
            link.client.update(link.name, upstream=f"127.0.0.1:{other.getsockname()[1]}")
            assert wire.ending(near) == "fin"
            fresh = link.connect()
            far, _ = other.accept()
            with far:
                far.sendall(b"x")
                assert wire.receive(fresh, 1) == b"x"


class TestDialling:
    def test_an_upstream_that_does_not_accept_does_not_keep_others_waiting(self, client, link, wire, embedded):
        # A full backlog: the kernel drops the handshakes, so that dialling hangs.
        with socket.socket() as full, contextlib.ExitStack() as stack:
            full.bind(wire.own_address())
            full.listen(0)
            address = full.getsockname()
            for _ in range(8):
                filler = stack.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(address)
            client.update(link.name, upstream=wire.text(address))
            stuck = [link.connect() for _ in range(5)]
            for sock in stuck:
                sock.sendall(b"waiting")
            assert wire.silent(stuck[0], 0.2)
            client.update(link.name, enabled=False)
            for sock in stuck:
                assert wire.ending(sock) in ("fin", "rst")

    def test_a_malformed_upstream_is_like_a_dead_one(self, client, link, wire):
        client.update(link.name, upstream="nowhere")
        assert wire.ending(link.connect()) in ("fin", "rst")
        client.update(link.name, upstream="127.0.0.1:99999")
        assert wire.ending(link.connect()) in ("fin", "rst")


def test_toxicity_hits_a_share_of_the_connections(link, wire):
    link.add("timeout", toxicity=0.5, timeout=0)
    heard = 0
    for _ in range(60):
        near, far = link.pair()
        far.sendall(b"x")
        far.shutdown(socket.SHUT_WR)
        heard += wire.drain(near) == b"x"
    assert 12 <= heard <= 48


def test_changes_under_traffic_lose_and_reorder_nothing(link, wire):
    """Latency comes, changes and goes while bytes stream: what arrives is what was sent."""
    near, far = link.pair()
    blob = b"".join(number.to_bytes(4, "big") for number in range(1 << 19))
    sender = threading.Thread(target=far.sendall, args=(blob,))
    sender.start()

    def bend() -> None:
        for number in range(15):
            toxic = link.add("latency", latency=number % 4, jitter=number % 3)
            link.add("noop", "n")
            link.client.update_toxic(link.name, toxic, attributes={"latency": 5})
            link.client.remove_toxic(link.name, "t")
            link.client.remove_toxic(link.name, "n")

    bender = threading.Thread(target=bend)
    bender.start()
    received = wire.receive(near, len(blob))
    sender.join()
    bender.join()
    assert received == blob
