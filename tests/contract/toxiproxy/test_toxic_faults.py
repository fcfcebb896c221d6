"""What each toxic and switch does to real connections: new ones, and those that were open before."""

from __future__ import annotations

import errno
import socket
import threading
import time

import pytest

MS = 0.001


def round_trip(wire, near, far, stream="downstream") -> float:
    """Seconds that one byte takes through the link in that direction."""
    source, target = (far, near) if stream == "downstream" else (near, far)
    start = time.monotonic()
    source.sendall(b"x")
    assert wire.receive(target, 1) == b"x"
    return time.monotonic() - start


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


class TestLatency:
    @pytest.mark.parametrize("stream", ["upstream", "downstream"])
    def test_delays_one_direction_only(self, link, wire, stream):
        link.add("latency", stream=stream, latency=250)
        near, far = link.pair()
        assert round_trip(wire, near, far, stream) >= 250 * MS
        other = "upstream" if stream == "downstream" else "downstream"
        assert min(round_trip(wire, near, far, other) for _ in range(5)) < 250 * MS

    def test_reaches_open_connections_and_leaves_them(self, link, wire):
        near, far = link.pair()
        link.add("latency", latency=250)
        assert round_trip(wire, near, far) >= 250 * MS
        link.client.remove_toxic(link.name, "t")
        assert min(round_trip(wire, near, far) for _ in range(5)) < 250 * MS

    def test_adds_up_over_a_chain(self, link, wire):
        link.add("latency", "one", latency=150)
        link.add("latency", "two", latency=150)
        near, far = link.pair()
        assert round_trip(wire, near, far) >= 300 * MS

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
        assert round_trip(wire, near, far) < 10

    def test_an_update_retimes_what_is_on_its_way(self, link, wire):
        toxic = link.add("latency", latency=60_000)
        near, far = link.pair()
        far.sendall(b"x")
        assert wire.silent(near, 0.2)
        link.client.update_toxic(link.name, toxic, attributes={"latency": 1})
        assert wire.receive(near, 1) == b"x"


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
        link.add("timeout", timeout=1500)
        near, far = link.pair()
        for _ in range(20):
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
        assert round_trip(wire, near, far) < 10


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
        assert round_trip(wire, near, far) < 10

    def test_removing_it_does_not_wait_for_connections_that_wait_for_their_reset(self, link, wire, embedded):
        link.add("reset_peer", timeout=60_000)
        near, far = link.pair()
        far.sendall(b"answer")
        wire.until(lambda: link.client.counters()[link.name].hits == {"t": 1})
        link.client.remove_toxic(link.name, "t")
        assert wire.ending(near) == "rst"

    def test_a_connection_it_spares_is_closed_normally(self, link, wire, embedded):
        link.add("reset_peer", toxicity=1e-9, timeout=0)
        near, far = link.pair()
        far.sendall(b"answer")
        far.close()
        assert wire.drain(near) == b"answer"


@pytest.mark.usefixtures("embedded")
class TestBlackhole:
    @pytest.mark.parametrize("stream", ["upstream", "downstream"])
    def test_withholds_data_in_its_direction_and_only_there(self, link, wire, stream):
        near, far = link.pair()
        link.add("blackhole", stream=stream)
        source, target = (near, far) if stream == "upstream" else (far, near)
        source.sendall(b"into the void")
        assert wire.silent(target)
        target.sendall(b"the other way")
        assert wire.receive(source, 13) == b"the other way"

    def test_withholds_the_end_of_a_connection(self, link, wire):
        near, far = link.pair()
        link.add("blackhole")
        far.close()
        assert wire.silent(near)

    def test_withholds_a_reset(self, link, wire):
        near, far = link.pair()
        link.add("blackhole", "up", stream="upstream")
        link.add("blackhole", "down")
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        far.close()
        near.sendall(b"anybody there?")
        assert wire.silent(near)
        link.client.remove_toxic(link.name, "up")
        assert wire.silent(near)
        link.client.remove_toxic(link.name, "down")
        assert wire.ending(near) in ("fin", "rst")

    def test_a_client_that_dies_is_not_known_to_the_server(self, link, wire):
        near, far = link.pair()
        link.add("blackhole", stream="upstream")
        near.close()
        assert wire.silent(far)
        far.sendall(b"hello?")  # into a connection whose other end is gone
        assert wire.silent(far)
        link.client.remove_toxic(link.name, "t")
        assert wire.ending(far) in ("fin", "rst")
        wire.until(lambda: link.client.counters()[link.name].open == 0)

    @pytest.mark.parametrize("stream", ["upstream", "downstream"])
    def test_a_new_connect_gets_no_answer_and_the_server_never_hears_of_it(self, link, wire, stream):
        link.add("blackhole", stream=stream)
        near = link.connect()
        near.sendall(b"hello")
        assert wire.silent(near)
        assert wire.silent(link.listener, 0.1)
        assert link.client.counters()[link.name].hits["t"] >= 1
        link.client.remove_toxic(link.name, "t")
        assert wire.ending(near) in ("fin", "rst")
        assert wire.silent(link.listener, 0.1)

    def test_healing_closes_both_ends_also_of_idle_connections(self, link, wire):
        near, far = link.pair()
        link.add("blackhole", "up", stream="upstream")
        link.add("blackhole", "down")
        assert wire.silent(near, 0.1) and wire.silent(far, 0.1)
        link.client.reset()
        assert wire.ending(near) == "fin"
        assert wire.ending(far) == "fin"
        near, far = link.pair()
        assert round_trip(wire, near, far) < 10

    def test_a_sender_that_goes_on_is_stopped_by_its_own_buffers(self, link, wire):
        near, _ = link.pair()
        link.add("blackhole", stream="upstream")
        near.settimeout(0.5)
        with pytest.raises(TimeoutError):
            near.sendall(b"z" * (256 << 20))
        assert wire.silent(near, 0.1)
        link.client.remove_toxic(link.name, "t")
        near.settimeout(wire.patience)
        assert wire.ending(near) in ("fin", "rst")

    def test_a_latency_before_it_does_not_leak(self, link, wire):
        near, far = link.pair()
        link.add("latency", "slow", latency=100)
        far.sendall(b"under way")
        link.add("blackhole", "gone")
        assert wire.silent(near)
        link.client.remove_toxic(link.name, "gone")
        assert wire.ending(near) == "fin"

    def test_the_connections_its_toxicity_spares_go_on(self, link, wire):
        pairs = [link.pair() for _ in range(40)]
        link.add("blackhole", toxicity=0.5)
        for _, far in pairs:
            far.sendall(b"x")
        wire.until(lambda: link.client.counters()[link.name].downstream.received == 40)
        heard = [near for near, _ in pairs if not wire.silent(near, 0.01)]
        assert 5 <= len(heard) <= 35
        link.client.remove_toxic(link.name, "t")
        for near, far in pairs:
            if near in heard:
                assert wire.receive(near, 1) == b"x"
                assert round_trip(wire, near, far) < 10
            else:
                assert wire.ending(near) == "fin"


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
        assert round_trip(wire, near, far) >= 250 * MS

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
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            address = full.getsockname()
            fillers = []
            for _ in range(8):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(address)
                fillers.append(filler)
            client.update(link.name, upstream=f"127.0.0.1:{address[1]}")
            stuck = [link.connect() for _ in range(5)]
            for sock in stuck:
                sock.sendall(b"waiting")
            assert wire.silent(stuck[0], 0.2)
            client.update(link.name, enabled=False)
            for sock in stuck:
                assert wire.ending(sock) in ("fin", "rst")
            for filler in fillers:
                filler.close()

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
