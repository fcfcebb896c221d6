"""The toxics one by one and in chains, in virtual time."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from chaoskit.toxiproxy.server.toxics import blackhole, latency


class TestFastPath:
    def test_without_toxics_a_read_is_written_at_once(self, rig):
        rig.ask(b"question")
        rig.answer(b"answer")
        assert rig.asked == [(0, b"question")]
        assert rig.answered == [(0, b"answer")]
        assert [(flow.received, flow.sent) for flow in rig.proxy.flows] == [(8, 8), (6, 6)]
        assert rig.connection.pipes[0].first is None

    def test_a_slow_reader_stops_the_other_side_only(self, rig):
        rig.connection.server.pause_writing()
        assert not rig.client.reading
        assert rig.server.reading
        rig.connection.server.resume_writing()
        assert rig.client.reading

    def test_end_of_file_closes_the_far_side_and_then_the_near_one(self, rig):
        assert rig.connection.client.eof_received() is True
        assert rig.server.closed == "fin"
        assert rig.client.closed == "fin"

    def test_all_is_forgotten_when_both_are_lost(self, rig):
        rig.connection.client.connection_lost(None)
        assert rig.server.closed == "fin"
        assert rig.proxy.connections
        rig.connection.server.connection_lost(None)
        assert not rig.proxy.connections

    def test_bytes_before_the_upstream_is_there_wait_and_hold_the_client(self, new_rig):
        rig = new_rig(dialled=False)
        rig.connection.client.transport = rig.client
        rig.ask(b"early")
        assert not rig.client.reading
        rig.ask(b"bird")
        rig.connect()
        assert b"".join(data for _, data in rig.asked) == b"earlybird"
        assert rig.client.reading

    def test_an_end_before_the_upstream_is_there_is_told_after_the_bytes(self, new_rig):
        rig = new_rig(dialled=False)
        rig.connection.client.transport = rig.client
        rig.ask(b"early")
        rig.connection.client.eof_received()
        rig.connect()
        assert rig.asked == [(0, b"early")]
        assert rig.server.closed == "fin"


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
        held = len(chunk) * (latency.LIMIT // len(chunk) + 1)
        rig.wait(1000)
        assert sum(len(data) for _, data in rig.asked) <= held
        assert rig.client.reading

    def test_many_tiny_reads_are_bounded_too(self, rig):
        rig.add("latency", latency=1000)
        count = 0
        while rig.client.reading:
            rig.ask(b".")
            count += 1
        assert count <= latency.LIMIT // 200

    def test_a_delayed_write_whose_socket_is_gone_is_dropped(self, rig):
        rig.add("latency", latency=100)
        rig.ask(b"a")
        rig.connection.server.connection_lost(None)
        rig.wait(1000)
        assert rig.asked == []
        assert rig.timers.pending == 0
        assert rig.client.closed == "fin"

    def test_negative_values_count_as_none(self, rig):
        rig.add("latency", latency=-100, jitter=-5)
        rig.ask(b"a")
        assert rig.asked == [(0, b"a")]


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


class TestToxicity:
    def test_a_spared_connection_is_on_the_fast_path(self, rig):
        rig.add("latency", latency=100, toxicity=0.0)
        assert rig.connection.pipes[0].first is None
        rig.ask(b"a")
        assert rig.asked == [(0, b"a")]

    def test_raising_it_adds_connections_and_never_swaps_them(self, rig):
        toxic = rig.add("latency", toxicity=0.3)
        hit = {number for number in range(500) if toxic.takes(number)}
        assert 100 < len(hit) < 200
        toxic.toxicity = 0.6
        more = {number for number in range(500) if toxic.takes(number)}
        assert hit < more
        assert 230 < len(more) < 370

    def test_directions_and_toxics_roll_their_own_dice(self, rig):
        toxics = [
            rig.add("latency", name, stream=stream, toxicity=0.5)
            for name, stream in (("a", "upstream"), ("b", "upstream"), ("a2", "downstream"))
        ]
        rolls = [tuple(toxic.takes(number) for number in range(64)) for toxic in toxics]
        assert len(set(rolls)) == 3

    def test_an_update_that_hits_begins_to_act(self, rig):
        toxic = rig.add("latency", latency=100, toxicity=0.0)
        rig.update(toxic, toxicity=1.0)
        rig.ask(b"a")
        rig.wait(100)
        assert rig.asked == [(100, b"a")]
        assert toxic.hits == 1


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(1, 5)),
        st.tuples(st.just("wait"), st.integers(0, 40)),
        st.tuples(st.just("add"), st.integers(0, 30)),
        st.tuples(st.just("remove"), st.integers(0, 5)),
        st.tuples(st.just("update"), st.integers(0, 30)),
    ),
    max_size=40,
)


@given(operations=OPERATIONS)
def test_chains_that_change_lose_reorder_and_double_nothing(new_rig, operations):
    rig = new_rig()
    chain, sent, made = [], b"", 0
    for what, value in operations:
        if what == "ask":
            data = random.Random(len(sent)).randbytes(value)
            sent += data
            rig.ask(data)
        elif what == "wait":
            rig.wait(value)
        elif what == "add":
            made += 1
            kind = "noop" if value % 5 == 0 else "latency"
            values = {} if kind == "noop" else {"latency": value, "jitter": value // 2}
            chain.append(rig.add(kind, f"t{made}", **values))
        elif chain and what == "remove":
            rig.remove(chain.pop(value % len(chain)))
        elif chain and what == "update" and chain[value % len(chain)].attributes:
            rig.update(chain[value % len(chain)], latency=value)
    rig.connection.client.eof_received()
    rig.wait(100_000)
    assert b"".join(data for _, data in rig.asked) == sent
    assert rig.server.closed == "fin"
    assert rig.timers.pending == 0
