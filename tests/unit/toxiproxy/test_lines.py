"""Toxics that let bytes wait, in virtual time: latency, bandwidth, slicer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.toxiproxy.server.line import Line
from chaoskit.toxiproxy.server.toxics.latency import Latency


class TestLatency:
    def test_each_read_is_late_by_as_much_and_in_order(self, rig):
        rig.add("latency", latency=100)
        rig.ask(b"a")
        rig.wait(30)
        rig.ask(b"b")
        rig.wait(69)
        assert rig.asked == []
        rig.wait(100)
        assert rig.asked == [(100, b"a"), (130, b"b")]

    def test_chains_add_up_exactly(self, rig):
        rig.add("latency", "one", latency=100)
        rig.add("latency", "two", latency=50)
        rig.add("latency", "three", latency=7)
        rig.ask(b"a")
        rig.wait(10)
        rig.ask(b"b")
        rig.wait(1000)
        assert rig.asked == [(157, b"a"), (167, b"b")]

    def test_a_clock_that_wakes_late_does_not_add_up(self, rig):
        rig.add("latency", "one", latency=100)
        rig.add("latency", "two", latency=50)
        rig.ask(b"a")
        rig.timers.time += 120_000_000  # the loop was stalled: the first timer fires 20 ms late
        rig.wait(0)
        rig.wait(29)
        assert rig.asked == []
        rig.wait(1)
        assert rig.asked == [(150, b"a")]

    @given(
        gaps=st.lists(st.integers(0, 30), min_size=1, max_size=40),
        delay=st.integers(0, 50),
        jitter=st.integers(0, 60),
    )
    def test_jitter_keeps_order_and_bounds(self, new_rig, gaps, delay, jitter):
        rig = new_rig()
        rig.add("latency", latency=delay, jitter=jitter)
        sent = []
        for number, gap in enumerate(gaps):
            sent.append(rig.timers.time / 1e6 - 1000)
            rig.ask(bytes([number]))
            rig.wait(gap)
        rig.wait(200)
        assert [data for _, data in rig.asked] == [bytes([number]) for number in range(len(gaps))]
        latest = 0.0
        for begun, (arrived, _) in zip(sent, rig.asked, strict=True):
            assert arrived - begun >= max(delay - jitter, 0) - 1e-6
            assert arrived <= max(begun + delay + jitter, latest) + 1e-6
            latest = max(latest, begun + delay + jitter)

    def test_the_end_follows_the_line_without_a_delay_of_its_own(self, rig):
        rig.add("latency", latency=100)
        rig.ask(b"last")
        rig.wait(90)
        rig.connection.client.eof_received()
        assert rig.server.closed is None
        rig.wait(10)
        assert rig.asked == [(100, b"last")]
        assert rig.server.closed_at == 100

    def test_removing_lets_everything_go_at_once(self, rig):
        toxic = rig.add("latency", latency=100)
        rig.ask(b"a")
        rig.ask(b"b")
        rig.connection.client.eof_received()
        rig.wait(10)
        rig.remove(toxic)
        assert rig.asked == [(10, b"a"), (10, b"b")]
        assert rig.server.closed == "fin"
        assert rig.timers.pending == 0

    def test_removing_the_first_of_two_keeps_the_order(self, rig):
        first = rig.add("latency", "one", latency=100)
        rig.add("latency", "two", latency=100)
        rig.ask(b"a")
        rig.wait(50)
        rig.ask(b"b")
        rig.remove(first)
        rig.ask(b"c")
        rig.wait(1000)
        assert b"".join(data for _, data in rig.asked) == b"abc"
        assert rig.asked[0][0] == 100  # it had come at 0 and the one that is left delays by 100

    def test_an_update_retimes_the_head(self, rig):
        toxic = rig.add("latency", latency=100)
        rig.ask(b"a")
        rig.wait(10)
        rig.update(toxic, latency=300)
        rig.wait(250)
        assert rig.asked == []
        rig.update(toxic, latency=5)
        assert rig.asked == [(260, b"a")]

    def test_the_line_is_bounded(self, rig):
        rig.add("latency", latency=1000)
        chunk = bytes(1 << 20)
        for _ in range(20):
            if rig.client.reading:
                rig.ask(chunk)
        assert not rig.client.reading
        held = len(chunk) * (Latency.limit // len(chunk) + 1)
        rig.wait(1000)
        assert sum(len(data) for _, data in rig.asked) <= held
        assert rig.client.reading

    def test_many_tiny_reads_are_bounded_too(self, rig):
        rig.add("latency", latency=1000)
        count = 0
        while rig.client.reading:
            rig.ask(b".")
            count += 1
        assert count <= Latency.limit // 200

    def test_a_delayed_write_whose_socket_is_gone_is_dropped(self, rig):
        rig.add("latency", latency=100)
        rig.ask(b"a")
        rig.connection.server.connection_lost(None)
        rig.wait(1000)
        assert rig.asked == []
        assert rig.timers.pending == 0
        assert rig.client.closed == "fin"

    def test_what_follows_a_write_that_failed_is_dropped(self, rig):
        """The loop says so a turn later; writes until then would be counted as sent, and complained about."""
        toxic = rig.add("latency", latency=100)
        for _ in range(10):
            rig.ask(b"x")
        rig.server.abort()  # what a transport does by itself when the system refuses a write
        rig.remove(toxic)
        assert rig.asked == []
        assert rig.proxy.flows[0].sent == 0

    def test_negative_values_count_as_none(self, rig):
        rig.add("latency", latency=-100, jitter=-5)
        rig.ask(b"a")
        assert rig.asked == [(0, b"a")]


class TestBandwidth:
    def test_a_read_takes_its_length_over_the_rate(self, rig):
        rig.add("bandwidth", rate=10)
        rig.ask(bytes(50))
        rig.wait(4.9)
        assert rig.asked == []
        rig.wait(0.1)
        assert rig.asked == [(5, bytes(50))]

    def test_one_that_takes_longer_than_a_tenth_of_a_second_leaves_in_slices(self, rig):
        rig.add("bandwidth", rate=10)
        rig.ask(bytes(2500))
        rig.wait(1000)
        assert [(at, len(data)) for at, data in rig.asked] == [(100, 1000), (200, 1000), (250, 500)]

    def test_those_behind_wait_until_the_wire_is_free(self, rig):
        rig.add("bandwidth", rate=1)
        rig.ask(bytes(30))
        rig.wait(10)
        rig.ask(bytes(20))
        rig.wait(100)
        rig.ask(bytes(7))
        rig.wait(100)
        assert [(at, len(data)) for at, data in rig.asked] == [(30, 30), (50, 20), (117, 7)]

    def test_a_clock_that_wakes_late_costs_no_throughput(self, rig):
        rig.add("bandwidth", rate=1)
        for _ in range(3):
            rig.ask(bytes(10))
        rig.timers.time += 18_000_000
        rig.wait(0)
        assert [at for at, _ in rig.asked] == [18]
        rig.wait(2)
        assert [at for at, _ in rig.asked] == [18, 20]
        rig.wait(10)
        assert [at for at, _ in rig.asked] == [18, 20, 30]

    def test_time_without_traffic_is_not_saved_up(self, rig):
        rig.add("bandwidth", rate=1)
        rig.ask(bytes(10))
        rig.wait(5000)
        rig.ask(bytes(10))
        rig.wait(9)
        assert len(rig.asked) == 1

    @given(
        sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=30),
        rates=st.lists(st.integers(1, 50), min_size=1, max_size=8),
    )
    def test_it_is_never_exceeded_whatever_is_changed(self, new_rig, sizes, rates):
        rig = new_rig()
        toxic = rig.add("bandwidth", rate=rates[0])
        for size in sizes:
            rig.ask(bytes(size))
        allowed = 0.0
        for rate in rates:
            rig.update(toxic, rate=rate)
            rig.wait(150)
            allowed += rate * 150
            assert sum(len(data) for _, data in rig.asked) <= allowed
        # What is left needs its time, and no more than that.
        left = sum(sizes) - sum(len(data) for _, data in rig.asked)
        rig.wait(left / rates[-1] + 100)
        assert sum(len(data) for _, data in rig.asked) == sum(sizes)
        assert rig.timers.pending == 0

    @pytest.mark.parametrize("rate", [0, -1])
    def test_without_a_rate_nothing_passes_and_no_timer_runs(self, rig, rate):
        toxic = rig.add("bandwidth", rate=rate)
        rig.ask(b"held")
        rig.connection.client.eof_received()
        rig.wait(1e9)
        assert (rig.asked, rig.server.closed, rig.timers.pending) == ([], None, 0)
        rig.update(toxic, rate=1)
        rig.wait(4)
        assert rig.asked == [(1e9 + 4, b"held")]
        assert rig.server.closed == "fin"

    def test_a_higher_rate_does_not_pay_for_the_past(self, rig):
        toxic = rig.add("bandwidth", rate=0)
        rig.ask(bytes(100_000))
        rig.wait(60_000)
        rig.update(toxic, rate=1)
        rig.wait(1000)
        assert sum(len(data) for _, data in rig.asked) == 1000

    def test_updates_without_end_do_not_stop_it(self, rig):
        toxic = rig.add("bandwidth", rate=10)
        rig.ask(bytes(1000))
        for number in range(100):
            rig.wait(1)
            rig.update(toxic, rate=10 + number % 2)
        assert 990 <= sum(len(data) for _, data in rig.asked) <= 1000

    def test_removing_sends_the_rest_at_once(self, rig):
        toxic = rig.add("bandwidth", rate=1)
        rig.ask(bytes(range(250)))
        rig.ask(b"more")
        rig.connection.client.eof_received()
        rig.wait(150)
        rig.remove(toxic)
        assert b"".join(data for _, data in rig.asked) == bytes(range(250)) + b"more"
        assert (rig.server.closed_at, rig.timers.pending) == (150, 0)

    def test_what_waits_is_bounded(self, rig):
        rig.add("bandwidth", rate=1)
        while rig.client.reading:
            rig.ask(bytes(65536))
        assert rig.proxy.flows[0].received <= Line.limit + 65536
        rig.wait(200_000)
        assert rig.client.reading

    def test_hits_are_reads_that_wait_for_a_millisecond(self, rig):
        toxic = rig.add("bandwidth", rate=100)
        for _ in range(10):
            rig.ask(bytes(50))
            rig.wait(1)
        assert toxic.hits == 0
        rig.ask(bytes(50))
        rig.ask(bytes(50))  # together they are a millisecond's worth
        assert toxic.hits == 1
        rig.wait(10)
        rig.ask(bytes(100))
        assert toxic.hits == 2


class TestSlicer:
    @given(
        length=st.integers(1, 3000),
        average=st.integers(-5, 400),
        variation=st.integers(-5, 800),
        delay=st.integers(-3, 2000),
    )
    def test_pieces_are_no_longer_than_asked_and_together_they_are_the_read(
        self, new_rig, length, average, variation, delay
    ):
        rig = new_rig()
        rig.add("slicer", average_size=average, size_variation=variation, delay=delay)
        blob = bytes(index % 256 for index in range(length))
        rig.ask(blob)
        rig.wait(3000 * 2)
        pieces = [data for _, data in rig.asked]
        assert b"".join(pieces) == blob
        assert all(pieces)
        most = max(average, 0) + max(variation, 0)
        if most:
            assert max(map(len, pieces)) <= most
        else:
            assert pieces == [blob]

    def test_halves_without_variation(self, rig):
        rig.add("slicer", average_size=25)
        rig.ask(bytes(100))
        rig.wait(1)
        assert [len(data) for _, data in rig.asked] == [25, 25, 25, 25]

    def test_waits_after_every_piece_also_between_reads(self, rig):
        rig.add("slicer", average_size=5, delay=10_000)
        rig.ask(bytes(10))
        rig.ask(bytes(3))
        rig.wait(100)
        assert [(at, len(data)) for at, data in rig.asked] == [(0, 5), (10, 5), (20, 3)]

    def test_without_a_delay_each_piece_waits_for_its_turn_of_the_loop(self, rig):
        rig.add("slicer", average_size=5)
        rig.ask(bytes(20))
        assert len(rig.asked) == 1
        rig.wait(1)
        assert len(rig.asked) == 4

    def test_small_reads_pass_at_once(self, rig):
        toxic = rig.add("slicer", average_size=5)
        rig.ask(b"a")
        rig.ask(b"b")
        assert rig.asked == [(0, b"a"), (0, b"b")]
        assert toxic.hits == 0

    def test_an_update_cuts_what_is_left_anew(self, rig):
        toxic = rig.add("slicer", average_size=10, delay=10_000)
        rig.ask(bytes(range(100)))
        rig.wait(1)
        rig.update(toxic, average_size=50, delay=0)
        rig.wait(1)
        pieces = [data for _, data in rig.asked]
        assert b"".join(pieces) == bytes(range(100))
        assert len(pieces[0]) <= 10 < len(pieces[1])
        assert toxic.hits == 1

    def test_removing_sends_the_rest_at_once(self, rig):
        toxic = rig.add("slicer", average_size=1, delay=1_000_000)
        rig.ask(bytes(range(100)))
        rig.connection.client.eof_received()
        rig.wait(1500)
        rig.remove(toxic)
        assert b"".join(data for _, data in rig.asked) == bytes(range(100))
        assert (rig.server.closed_at, rig.timers.pending) == (1500, 0)

    def test_what_waits_is_bounded(self, rig):
        rig.add("slicer", average_size=1, delay=1000)
        count = 0
        while rig.client.reading:
            rig.ask(b"four")
            count += 1
        assert count <= Line.limit // 200

    def test_the_same_seed_cuts_the_same(self, new_rig):
        def sizes():
            rig = new_rig()
            rig.add("slicer", average_size=20, size_variation=15)
            rig.ask(bytes(1000))
            rig.wait(100)
            return [len(data) for _, data in rig.asked]

        assert sizes() == sizes()
        assert len(set(sizes())) > 5


def test_an_end_that_has_passed_is_not_told_again_when_the_line_goes(rig):
    """slow_close would begin to wait anew."""
    line = rig.add("latency", "line", latency=5)
    late = rig.add("slow_close", "late", delay=100)
    rig.connection.client.eof_received()
    rig.wait(60)
    rig.remove(line)
    rig.wait(40)
    assert rig.server.closed_at == 100
    assert late.hits == 1
