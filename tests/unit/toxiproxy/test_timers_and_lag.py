"""The proxy's clock on a real loop, and the file in which it says how late it was. Orders and bounds, no speeds."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
import uvloop

from chaoskit.toxiproxy.server.lag import LagRecorder
from chaoskit.toxiproxy.server.timers import LoopTimers

MS = 1_000_000


@pytest.fixture(params=["uvloop", "asyncio"])
def runner(request):
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if request.param == "uvloop" else None) as runner:
        yield runner


@pytest.fixture(params=[True, False], ids=["timerfd", "loop"])
def exact(request):
    return request.param


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


def test_nothing_fires_early_and_all_in_order(runner, exact):
    async def main() -> None:
        timers = LoopTimers(asyncio.get_running_loop(), exact=exact)
        fired = []
        start = timers.now()
        for number in (7, 3, 11, 3, 0, 5):
            due = start + number * MS + 137
            timers.at(due, lambda due=due: fired.append((due, time.monotonic_ns())))
        await until(lambda: len(fired) == 6)
        assert [due for due, _ in fired] == sorted(due for due, _ in fired)
        assert all(at >= due for due, at in fired)
        timers.close()

    runner.run(main())


def test_cancelled_ones_do_not_fire_and_firing_ones_may_add_more(runner, exact):
    async def main() -> None:
        timers = LoopTimers(asyncio.get_running_loop(), exact=exact)
        fired = []
        timers.at(timers.now() + 5 * MS, lambda: fired.append("cancelled")).cancel()
        timers.at(timers.now() + 5 * MS, lambda: timers.at(timers.now(), lambda: fired.append("later")))
        await until(lambda: fired)
        assert fired == ["later"]
        timers.close()
        timers.close()

    runner.run(main())


def test_cancelled_ones_of_the_far_future_do_not_pile_up(runner, exact):
    async def main() -> None:
        timers = LoopTimers(asyncio.get_running_loop(), exact=exact)
        fired = []
        kept = [timers.at(timers.now() + (number + 1) * MS // 100, lambda: fired.append(1)) for number in range(3000)]
        for number in range(20_000):
            timers.at(timers.now() + (1 << 62) + number, fired.clear).cancel()
        assert len(timers._heap) <= 2 * len(kept) + 2
        await until(lambda: len(fired) == len(kept))
        timers.close()

    runner.run(main())


def test_no_instant_is_too_far_away(runner, exact):
    async def main() -> None:
        timers = LoopTimers(asyncio.get_running_loop(), exact=exact)
        fired = []
        timers.at(1 << 200, lambda: fired.append("never"))
        timers.at(timers.now() + MS, lambda: fired.append("soon"))
        await until(lambda: fired)
        assert fired == ["soon"]
        timers.close()

    runner.run(main())


def test_one_that_asks_for_another_at_once_lets_sockets_have_their_turn(runner, exact):
    async def main() -> None:
        loop = asyncio.get_running_loop()
        timers = LoopTimers(loop, exact=exact)
        turns = []

        def again() -> None:
            turns.append("timer")
            timers.at(timers.now(), again)

        timers.at(timers.now(), again)
        for _ in range(50):
            await asyncio.sleep(0)
            turns.append("loop")
        assert turns.count("loop") == 50
        await until(lambda: turns.count("timer") > 5)
        assert max(map(len, "".join(turn[0] for turn in turns).split("l"))) <= 2
        timers.close()

    runner.run(main())


def test_one_that_fails_does_not_stop_the_others(runner, exact):
    async def main() -> None:
        loop = asyncio.get_running_loop()
        said = []
        loop.set_exception_handler(lambda _, context: said.append(context["exception"]))
        timers = LoopTimers(loop, exact=exact)
        fired = []

        def fail() -> None:
            raise ZeroDivisionError

        timers.at(timers.now(), fail)
        timers.at(timers.now() + MS, lambda: fired.append(1))
        await until(lambda: fired)
        assert [type(error) for error in said] == [ZeroDivisionError]
        timers.close()

    runner.run(main())


def test_lateness_is_the_worst_since_it_was_last_taken(runner, exact):
    async def main() -> None:
        timers = LoopTimers(asyncio.get_running_loop(), exact=exact)
        fired = []
        timers.at(timers.now() + 10 * MS, lambda: fired.append(1))
        time.sleep(0.05)  # the loop is stalled
        await until(lambda: fired)
        assert timers.take_lateness() >= 35 * MS
        assert timers.take_lateness() == 0
        timers.close()

    runner.run(main())


def test_lag_lines(runner, tmp_path):
    path = tmp_path / "lag.jsonl"
    path.write_text('{"t": 1, "lag_ns": 2, "cpu": 0.5}\n')

    async def main() -> None:
        timers = LoopTimers(asyncio.get_running_loop())
        recorder = LagRecorder(str(path), timers)
        await until(lambda: path.read_text().count("\n") >= 3)
        time.sleep(0.15)
        await until(lambda: path.read_text().count("\n") >= 5)
        recorder.close()
        timers.close()

    runner.run(main())
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0] == {"t": 1, "lag_ns": 2, "cpu": 0.5}
    assert max(line["lag_ns"] for line in lines) >= 120 * MS
    assert all(0 <= line["cpu"] <= 2 for line in lines)
