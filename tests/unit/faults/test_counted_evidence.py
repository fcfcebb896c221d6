"""What readings of a link's counters say: judged without sockets and without waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from chaoskit.errors import LinkError
from chaoskit.faults.evidence import Observation, Witness, blind
from chaoskit.faults.evidence.carrying import Carrying
from chaoskit.faults.evidence.kinds import KINDS, sight_of
from chaoskit.faults.evidence.scene import Reading, Scene
from chaoskit.stack.effects import Evidence
from chaoskit.toxiproxy.model import FlowCounters, LinkCounters

LINK = "api->db:5432"
STEP = 0.2


async def nothing(*_: object) -> Any:
    return {}


def readings(
    count: int,
    *,
    up: float = 0.0,
    down: float = 0.0,
    into: float = 0.0,
    hits: float = 0.0,
    accepted: float = 0.0,
    opened: int = 1,
    start: int = 0,
    every: int = 1,
) -> list[Reading]:
    """Readings a fifth of a second apart. Rates are per second: sent `up` and `down`, received beyond that (`into`, in
    both directions), hits, connects; every so many readings only."""

    def counters(i: int) -> LinkCounters:
        seconds = (start + i) // every * every * STEP
        return LinkCounters(
            accepted=round(accepted * seconds),
            open=opened,
            upstream=FlowCounters(received=round((up + into) * seconds), sent=round(up * seconds)),
            downstream=FlowCounters(received=round((down + into) * seconds), sent=round(down * seconds)),
            hits={"t": round(hits * seconds)},
        )

    return [Reading((start + i) * STEP, counters(i)) for i in range(count)]


def judged(
    kind: str, before: Sequence[Reading], now: Sequence[Reading], *, expected: float = 0.0, stream: Any = "down"
) -> Observation:
    item = Evidence(kind=kind, link=LINK, expected=expected, stream=stream, toxics=("t",))
    sight = sight_of(item, Scene({LINK: ("127.0.0.1", 1, "tcp", "/")}, nothing, nothing))
    assert isinstance(sight, Carrying)
    return sight.judge(before, now)


def test_bandwidth_on_one_connection_falls_to_the_limit() -> None:
    found = judged(
        "bandwidth",
        readings(5, down=900_000),
        readings(8, down=100_000, into=500_000, hits=20),
        expected=100_000,
    )
    assert found.seen
    assert "asked at most 100 KB/s per connection, saw 100 KB/s ± " in found.text and "900 KB/s before" in found.text


@pytest.mark.parametrize(
    ("before", "now", "why"),
    [
        ({"down": 900_000}, {"down": 900_000, "hits": 20}, "saw 900 KB/s"),  # hits are claimed, nothing is limited
        ({"down": 900_000}, {"down": 100_000, "into": 800_000}, "nothing was held back"),
        ({"down": 50_000}, {"down": 50_000, "hits": 20}, "carries 50 KB/s: nothing to hold back"),
        ({"down": 0}, {"down": 0}, "carries 0 B/s: nothing to hold back"),
        # The limit of 100 connections is above all traffic, and nothing waits in the link.
        ({"down": 900_000}, {"down": 900_000, "hits": 20, "opened": 100}, "0 B waiting"),
        ({}, {"down": 150_000, "hits": 9}, "saw 150 KB/s"),
    ],
)
def test_bandwidth_that_does_not_bite(before: dict[str, Any], now: dict[str, Any], why: str) -> None:
    found = judged("bandwidth", readings(5, **before) if before else [], readings(8, **now), expected=100_000)
    assert not found.seen and why in found.text, found
    assert found.idle == (now == {"down": 0})


def test_bandwidth_shared_by_many_connections_makes_bytes_wait() -> None:
    waiting = [
        one._replace(
            link=one.link.model_copy(
                update={
                    "downstream": FlowCounters(
                        received=one.link.downstream.sent + 40_000, sent=one.link.downstream.sent
                    )
                }
            )
        )
        for one in readings(8, down=900_000, hits=20, opened=30)
    ]
    found = judged("bandwidth", readings(5, down=900_000), waiting, expected=100_000)
    assert found.seen and found.text.endswith("40 KB waiting on average"), found


def test_bandwidth_in_both_directions_is_judged_where_the_traffic_is() -> None:
    before, now = readings(5, up=900_000, down=10), readings(8, up=100_000, into=1, hits=9)
    assert judged("bandwidth", before, now, expected=100_000, stream="both").seen
    assert not judged("bandwidth", before, now, expected=100_000, stream="down").seen


def test_pieces_need_reads_that_were_cut_and_bytes_that_passed() -> None:
    assert judged("sliced", [], readings(5, down=1000, hits=5), expected=20).seen
    assert not judged("sliced", [], readings(5, down=1000), expected=20).seen
    assert not judged("sliced", [], readings(5, up=1000, hits=5), expected=20).seen
    assert judged("sliced", [], readings(5), expected=20).idle


def test_limits_need_connections_that_were_cut_and_no_more_bytes_than_may_pass() -> None:
    assert judged("limited", [], readings(5, down=900, hits=5, accepted=5), expected=1000).seen
    too_much = judged("limited", [], readings(5, down=90_000, hits=5, accepted=5), expected=1000)
    assert not too_much.seen and "each may carry 1 KB" in too_much.text
    assert not judged("limited", [], readings(5, down=900, accepted=5), expected=1000).seen
    assert judged("limited", [], readings(5), expected=1000).idle


def test_a_cut_passes_nothing_where_something_passed() -> None:
    assert judged("cut", readings(5, down=500), readings(5), stream="down").seen
    assert judged("cut", [], readings(5, into=100), stream="both").seen  # somebody sends into it: no baseline needed
    leaky = judged("cut", readings(5, up=500, down=500), readings(5, down=5), stream="both")
    assert not leaky.seen and "4 B passed down" in leaky.text
    assert not judged("cut", readings(5, down=500), readings(5, down=500), stream="down").seen
    idle = judged("cut", readings(5, up=500), readings(50), stream="down")
    assert idle.idle and not idle.seen and "nothing says that this link is used" in idle.text


def test_a_pause_must_be_longer_than_those_before() -> None:
    before = readings(11, down=500, every=5)  # bytes in 2 slices of 10: after 14 empty ones it is no chance any more
    assert not judged("cut", before, readings(10), stream="down").seen
    assert not judged("cut", before, readings(14), stream="down").seen
    assert judged("cut", before, readings(15), stream="down").seen


def test_open_is_seen_by_what_passes_and_denied_by_what_waits() -> None:
    assert judged("open", [], readings(5, up=1, down=500), stream="down").seen
    blocked = judged("open", readings(5, down=500), readings(5, into=500), stream="down")
    assert not blocked.seen and not blocked.idle and "more was sent down" in blocked.text
    idle = judged("open", readings(5, down=500), readings(5), stream="down")
    assert idle.idle and not idle.seen
    half = judged("open", [], readings(5, up=500), stream="both")
    assert half.idle and not half.seen


@pytest.mark.parametrize("kind", sorted(kind for kind, sight in KINDS.items() if issubclass(sight, Carrying)))
def test_nothing_is_seen_of_a_link_that_counts_nothing_new(kind: str) -> None:
    for before in (readings(5), [], readings(1)):
        found = judged(kind, before, readings(9), expected=1000, stream="both")
        assert not found.seen and found.idle, found


def test_a_flaky_link_is_counted_where_a_canary_cannot_speak() -> None:
    def found(hits: int, accepted: int) -> Observation:
        item = Evidence(kind="flaky", link=LINK, expected=0.2, toxics=("t",))
        scene = Scene({LINK: ("127.0.0.1", 1, "tcp", "/")}, nothing, nothing)
        sight = sight_of(item, scene)
        for at, done in ((1e12, 0), (2e12, 1)):
            link = LinkCounters(open=10, accepted=accepted * done, hits={"t": hits * done})
            scene._readings.append((at, {LINK: link}))
        return asyncio.run(sight.seen())

    assert found(20, 90).seen and "20 of 100 connections were hit" in found(20, 90).text
    assert not found(5, 90).seen
    assert not found(0, 90).seen
    assert not found(1, 0).seen  # one of ten may be chance
    assert not found(500, 0).text.startswith("500 of")  # more hits than connections are no more than all


@pytest.mark.parametrize(
    ("item", "protocol", "counted", "sees"),
    [
        (Evidence(kind="latency", link=LINK), "tcp", True, False),
        (Evidence(kind="latency", link=LINK), "resp", False, True),
        (Evidence(kind="flaky", link=LINK), "tcp", True, True),
        (Evidence(kind="flaky", link=LINK), "tcp", False, False),
        (Evidence(kind="flaky", link=LINK, tolerance=1.0), "tcp", True, False),
        (Evidence(kind="bandwidth", link=LINK), "tcp", True, True),
        (Evidence(kind="bandwidth", link=LINK), "tcp", False, False),
        (Evidence(kind="bandwidth", link=LINK, stream="up"), "http", False, False),
        (Evidence(kind="bandwidth", link=LINK, stream="down"), "http", False, True),
        (Evidence(kind="sliced", link=LINK, stream="up"), "http", False, False),
        (Evidence(kind="limited", link=LINK, stream="up"), "http", False, True),
        (Evidence(kind="cut", link=LINK), "tcp", False, False),
        (Evidence(kind="cut", link=LINK), "tcp", True, True),
        (Evidence(kind="down", node="db"), "tcp", True, True),
        (Evidence(kind="unheard-of", link=LINK), "tcp", True, True),
    ],
)
def test_what_cannot_be_seen_is_known_beforehand(item: Evidence, protocol: Any, counted: bool, sees: bool) -> None:
    reason = blind(item, protocol, counted=counted)
    assert (reason is None) == sees
    assert reason is None or reason.startswith(LINK)


def test_counters_that_fail_are_gaps_and_no_end() -> None:
    async def main() -> tuple[Observation, ...]:
        asked = 0

        async def counters() -> Mapping[str, LinkCounters]:
            nonlocal asked
            asked += 1
            if asked % 2:
                raise LinkError("busy")
            link = LinkCounters(upstream=FlowCounters(received=asked * 100, sent=asked * 100))
            return {LINK: link}

        item = Evidence(kind="open", link=LINK, stream="up")
        witness = Witness((item,), {LINK: ("127.0.0.1", 1, "tcp", "/")}, nothing, counters)
        await witness.before()
        try:
            return await witness.seen(asyncio.get_running_loop().time() + 10)
        finally:
            witness.close()
            before = asked
            await asyncio.sleep(0.5)
            assert asked == before, "somebody goes on counting"

    (found,) = asyncio.run(main())
    assert found.seen, found
