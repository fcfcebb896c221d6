"""blackhole, which only the embedded server has: silence in every respect."""

from __future__ import annotations

import asyncio
import errno
import select
import socket
import threading

import pytest

from chaoskit.probes import probe


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

    def test_the_server_never_hears_of_a_client_that_is_accepted_in_the_silence(self, link, wire):
        """As those are that a toxicity below 1 takes."""
        link.add("blackhole", toxicity=0.999999)
        near = link.connect()
        near.sendall(b"hello")
        wire.until(lambda: link.client.counters()[link.name].upstream.received == 5)
        assert wire.silent(near, 0.1) and wire.silent(link.listener, 0.1)
        assert link.client.counters()[link.name].upstream.sent == 0
        assert link.client.counters()[link.name].hits["t"] >= 1
        link.client.remove_toxic(link.name, "t")
        assert wire.ending(near) in ("fin", "rst")
        assert wire.silent(link.listener, 0.1)

    def test_between_two_silences_a_client_in_silence_stays_there(self, link, wire):
        link.add("blackhole", "one", toxicity=0.999999)
        near = link.connect()
        wire.until(lambda: link.client.counters()[link.name].accepted == 1)
        link.add("latency", "slow", latency=1)
        link.add("blackhole", "two")
        link.client.remove_toxic(link.name, "one")
        link.client.remove_toxic(link.name, "slow")
        assert wire.silent(near, 0.2)
        link.client.remove_toxic(link.name, "two")
        assert wire.ending(near) == "fin"

    def test_healing_closes_both_ends_also_of_idle_connections(self, link, wire):
        near, far = link.pair()
        link.add("blackhole", "up", stream="upstream")
        link.add("blackhole", "down")
        assert wire.silent(near, 0.1) and wire.silent(far, 0.1)
        link.client.reset()
        assert wire.ending(near) == "fin"
        assert wire.ending(far) == "fin"
        near, far = link.pair()
        assert wire.round_trip(near, far) < 10

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
                assert wire.round_trip(near, far) < 10
            else:
                assert wire.ending(near) == "fin"


@pytest.mark.usefixtures("embedded")
class TestConnectsIntoACut:
    """Both directions silent for everybody: the handshake itself goes unanswered, as on a cut wire."""

    def cut(self, link):
        link.add("blackhole", "up", stream="upstream")
        link.add("blackhole", "down")

    def hanging(self, link) -> socket.socket:
        """A client in the middle of its connect."""
        sock = socket.socket()
        link.open.append(sock)
        sock.setblocking(False)
        assert sock.connect_ex(link.address) == errno.EINPROGRESS
        return sock

    def test_a_connect_hangs_until_it_heals_and_then_gets_in(self, link, wire):
        self.cut(link)
        clients = [self.hanging(link) for _ in range(20)]
        assert not writable(clients, 1.5)  # its system has tried again by then
        assert link.client.counters()[link.name].accepted == 0
        link.client.reset()
        for client in clients:
            assert writable([client], wire.patience)
            far = link.accept()
            far.close()
        assert link.client.counters()[link.name].accepted == 20

    def test_one_that_has_a_timeout_sees_it_and_no_refusal(self, link):
        self.cut(link)
        with pytest.raises(TimeoutError):
            socket.create_connection(link.address, timeout=0.3)

    def test_who_connects_after_the_healing_gets_in_at_once(self, link, wire):
        self.cut(link)
        waiting = self.hanging(link)
        assert not writable([waiting], 0.2)
        link.client.remove_toxic(link.name, "up")
        link.client.remove_toxic(link.name, "down")
        near, far = link.pair()
        assert wire.round_trip(near, far) < 10

    def test_with_one_direction_healed_it_goes_on(self, link):
        self.cut(link)
        link.client.remove_toxic(link.name, "up")
        assert not writable([self.hanging(link)], 0.3)

    @pytest.mark.parametrize("stream", ["upstream", "downstream"])
    def test_one_direction_is_enough_for_it(self, link, wire, stream):
        link.add("blackhole", stream=stream)
        waiting = self.hanging(link)
        assert not writable([waiting], 0.3)
        link.client.remove_toxic(link.name, "t")
        assert writable([waiting], wire.patience)

    def test_a_share_of_the_connections_shakes_hands(self, link, wire):
        link.add("blackhole", "up", stream="upstream", toxicity=0.999999)
        link.add("blackhole", "down", toxicity=0.5)
        near = link.connect()
        near.sendall(b"hello")
        assert wire.silent(near, 0.2)

    def test_it_is_never_refused_while_it_comes_and_goes(self, link):
        """A cut that flaps under connects: each of them hangs or gets in."""
        stop = threading.Event()
        wrong: list[OSError] = []

        def connect() -> None:
            while not stop.is_set():
                try:
                    socket.create_connection(link.address, 0.01).close()
                except TimeoutError:
                    pass
                except OSError as error:
                    wrong.append(error)

        thread = threading.Thread(target=connect)
        thread.start()
        for _ in range(8):
            self.cut(link)
            link.client.reset()
        stop.set()
        thread.join()
        assert wrong == []

    def test_a_proxy_that_is_switched_on_in_the_cut_is_silent_from_the_first_moment(self, link):
        link.client.update(link.name, enabled=False)
        self.cut(link)
        with pytest.raises(ConnectionRefusedError):
            link.connect()
        link.client.update(link.name, enabled=True)
        assert not writable([self.hanging(link)], 0.3)
        link.client.update(link.name, enabled=False)
        with pytest.raises(ConnectionRefusedError):
            link.connect()

    def test_a_canary_calls_it_silent_and_then_answered(self, link):
        host, port = link.address
        self.cut(link)
        for protocol in ("tcp", "resp", "http"):
            found = asyncio.run(probe(host, port, protocol, timeout=0.2))
            assert (found.kind, found.detail) == ("silent", "connect hung")
        link.client.reset()
        assert asyncio.run(probe(host, port, "tcp", timeout=10)).kind == "answered"


def writable(socks, seconds: float) -> list[socket.socket]:
    """Those whose connect completes within that time."""
    return select.select([], socks, [], seconds)[1]
