"""Toxics that drop, cut or withhold, in virtual time."""

from __future__ import annotations

import pytest

from chaoskit.toxiproxy.server.toxics import blackhole


class TestTimeout:
    def test_closes_when_nothing_comes_for_as_long(self, rig):
        rig.add("timeout", timeout=100)
        rig.wait(60)
        rig.ask(b"lost")
        rig.wait(99)
        assert rig.server.closed is None
        rig.wait(1)
        assert (rig.asked, rig.server.closed_at) == ([], 160)

    def test_zero_never_closes_but_passes_an_end(self, rig):
        rig.add("timeout")
        rig.ask(b"lost")
        rig.wait(1e9)
        assert rig.server.closed is None
        rig.connection.client.eof_received()
        assert rig.server.closed == "fin"

    def test_an_update_begins_the_wait_anew(self, rig):
        toxic = rig.add("timeout")
        rig.wait(500)
        rig.update(toxic, timeout=100)
        rig.wait(99)
        assert rig.server.closed is None
        rig.wait(1)
        assert rig.server.closed == "fin"

    def test_removing_closes(self, rig):
        rig.remove(rig.add("timeout"))
        assert rig.server.closed == "fin"
        assert rig.client.closed == "fin"

    def test_one_timer_however_many_reads(self, rig):
        rig.add("timeout", timeout=100)
        for _ in range(1000):
            rig.ask(b"x")
        assert rig.timers.pending == 1


class TestResetPeer:
    def test_both_ends_are_reset_when_data_comes(self, rig):
        rig.add("reset_peer", timeout=50)
        rig.wait(500)
        rig.ask(b"a")
        rig.wait(49)
        assert rig.server.closed is None
        rig.ask(b"b")
        rig.wait(1)
        assert (rig.asked, rig.server.closed, rig.client.closed) == ([], "abort", "abort")

    def test_the_near_reset_waits_for_the_other_chain(self, rig):
        rig.add("latency", "slow", stream="downstream", latency=70)
        rig.add("reset_peer", "cut", stream="upstream")
        rig.answer(b"under way")
        rig.ask(b"a")
        assert rig.server.closed == "abort"
        assert rig.client.closed is None
        rig.wait(70)
        assert rig.client.closed == "abort"

    def test_a_blackhole_the_other_way_withholds_the_reset(self, rig):
        hole = rig.add("blackhole", "hole", stream="downstream")
        rig.add("reset_peer", "cut", stream="upstream")
        rig.ask(b"a")
        rig.wait(1e6)
        assert rig.client.closed is None
        rig.remove(hole)
        assert rig.client.closed == "abort"

    def test_idle_it_does_nothing_and_leaves_nothing(self, rig):
        toxic = rig.add("reset_peer")
        rig.wait(1e6)
        rig.remove(toxic)
        rig.ask(b"a")
        assert rig.asked == [(1e6, b"a")]


class TestBlackhole:
    def test_withholds_data_and_end_and_closes_both_when_removed(self, rig):
        hole = rig.add("blackhole")
        rig.ask(b"lost")
        rig.connection.client.eof_received()
        rig.wait(1e6)
        assert (rig.asked, rig.server.closed) == ([], None)
        assert rig.proxy.flows[0].received == 4
        assert rig.proxy.flows[0].sent == 0
        rig.remove(hole)
        assert (rig.asked, rig.server.closed, rig.client.closed) == ([], "fin", "fin")

    def test_two_holes_are_healed_one_by_one(self, rig):
        up, down = rig.add("blackhole", "up"), rig.add("blackhole", "down", stream="downstream")
        rig.remove(up)
        assert (rig.server.closed, rig.client.closed) == ("fin", None)
        rig.remove(down)
        assert rig.client.closed == "fin"

    def test_stops_reading_once_it_has_swallowed_enough(self, rig):
        hole = rig.add("blackhole")
        while rig.client.reading:
            rig.ask(bytes(10_000))
        assert rig.proxy.flows[0].received <= blackhole.LIMIT + 10_000
        rig.remove(hole)
        rig.connection.server.connection_lost(None)
        assert rig.client.closed == "fin"

    def test_a_lost_source_is_kept_secret(self, rig):
        hole = rig.add("blackhole")
        rig.connection.client.connection_lost(ConnectionResetError())
        assert rig.server.closed is None
        rig.answer(b"into nothing")
        assert rig.proxy.connections
        rig.remove(hole)
        assert rig.server.closed == "fin"
        rig.connection.server.connection_lost(None)
        assert not rig.proxy.connections

    def test_a_toxicity_that_no_longer_hits_counts_as_removed(self, rig):
        hole = rig.add("blackhole")
        rig.ask(b"lost")
        rig.update(hole, toxicity=0.0)
        assert rig.server.closed == "fin"


class TestSlowClose:
    def test_holds_the_end_and_nothing_else(self, rig):
        toxic = rig.add("slow_close", delay=100)
        rig.ask(b"a")
        rig.wait(10)
        rig.connection.client.eof_received()
        rig.wait(99)
        assert (rig.asked, rig.server.closed) == ([(0, b"a")], None)
        rig.wait(1)
        assert rig.server.closed_at == 110
        assert toxic.hits == 1

    def test_two_of_them_add_up(self, rig):
        rig.add("slow_close", "one", delay=100)
        rig.add("slow_close", "two", delay=50)
        rig.connection.client.eof_received()
        rig.wait(1000)
        assert rig.server.closed_at == 150

    @pytest.mark.parametrize("delay", [0, -1])
    def test_without_a_delay_it_holds_nothing(self, rig, delay):
        toxic = rig.add("slow_close", delay=delay)
        rig.connection.client.eof_received()
        assert rig.server.closed == "fin"
        assert toxic.hits == 0

    def test_an_update_counts_from_when_the_end_came(self, rig):
        toxic = rig.add("slow_close", delay=1000)
        rig.connection.client.eof_received()
        rig.wait(60)
        rig.update(toxic, delay=100)
        rig.wait(39)
        assert rig.server.closed is None
        rig.wait(1)
        assert rig.server.closed_at == 100
        assert toxic.hits == 1

    def test_removing_passes_it_now(self, rig):
        toxic = rig.add("slow_close", delay=1000)
        rig.connection.client.eof_received()
        rig.wait(5)
        rig.remove(toxic)
        assert (rig.server.closed_at, rig.timers.pending) == (5, 0)

    def test_a_far_side_that_goes_first_leaves_no_timer(self, rig):
        rig.add("slow_close", delay=1000)
        rig.connection.client.eof_received()
        rig.connection.server.connection_lost(None)
        assert rig.timers.pending == 0


class TestLimitData:
    def test_exactly_as_many_and_then_the_end(self, rig):
        toxic = rig.add("limit_data", bytes=5)
        rig.ask(b"012")
        rig.ask(b"3456")
        rig.ask(b"789")
        assert rig.asked == [(0, b"012"), (0, b"34")]
        assert (rig.server.closed, rig.client.closed) == ("fin", "fin")
        assert toxic.hits == 1

    def test_the_last_byte_allowed_ends_it(self, rig):
        rig.add("limit_data", bytes=3)
        rig.ask(b"012")
        assert rig.server.closed == "fin"

    @pytest.mark.parametrize("limit", [0, -7])
    def test_none_ends_at_the_first_read(self, rig, limit):
        rig.add("limit_data", bytes=limit)
        rig.wait(1e6)
        assert rig.server.closed is None
        rig.ask(b"x")
        assert (rig.asked, rig.server.closed) == ([], "fin")

    def test_the_count_goes_on_through_updates(self, rig):
        toxic = rig.add("limit_data", bytes=10)
        rig.ask(b"01234")
        rig.update(toxic, bytes=7)
        rig.ask(b"56789")
        assert b"".join(data for _, data in rig.asked) == b"0123456"

    def test_what_was_spared_is_not_counted(self, rig):
        toxic = rig.add("limit_data", bytes=5, toxicity=0.0)
        rig.ask(b"0123456789")
        rig.update(toxic, toxicity=1.0)
        rig.ask(b"01234")
        assert b"".join(data for _, data in rig.asked) == b"012345678901234"

    def test_what_was_let_through_is_delivered_by_a_latency_behind_it(self, rig):
        rig.add("limit_data", "limit", bytes=3)
        slow = rig.add("latency", "slow", latency=100)
        rig.ask(b"012345")
        rig.ask(b"6")
        assert rig.server.closed is None
        rig.wait(100)
        assert rig.asked == [(100, b"012")]
        assert rig.server.closed_at == 100
        assert slow.hits == 1

    def test_what_waits_before_it_is_lost_with_the_cut(self, rig):
        rig.add("latency", "slow", latency=100)
        rig.add("limit_data", "limit", bytes=3)
        for data in (b"012", b"345", b"678"):
            rig.ask(data)
        rig.wait(1000)
        assert rig.asked == [(100, b"012")]
        assert rig.timers.pending == 0

    def test_taking_it_away_after_the_cut_brings_nothing_back(self, rig):
        limit = rig.add("limit_data", "limit", bytes=3)
        rig.add("slow_close", "late", delay=100)
        rig.ask(b"012345")
        rig.remove(limit)
        rig.ask(b"678")
        rig.add("noop", "last")
        rig.ask(b"9")
        rig.wait(100)
        assert rig.asked == [(0, b"012")]
        assert rig.server.closed_at == 100

    def test_after_the_cut_the_source_is_no_longer_read(self, rig):
        rig.add("limit_data", "limit", bytes=3)
        rig.add("slow_close", "late", delay=100)
        rig.ask(b"012345")
        assert not rig.client.reading
