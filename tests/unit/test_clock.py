from __future__ import annotations

import asyncio
import time

from chaoskit.clock import SystemClock, VirtualClock


async def _sleepers(clock: VirtualClock, woken: list[tuple[int, int]], when: int) -> None:
    await clock.sleep_until(when)
    woken.append((when, clock.now_ns()))


def test_virtual_sleepers_wake_in_order_at_their_own_instant() -> None:
    async def go() -> list[tuple[int, int]]:
        clock, woken = VirtualClock(), []
        tasks = [asyncio.create_task(_sleepers(clock, woken, when)) for when in (30, 10, 20, 0)]
        await asyncio.sleep(0)
        await clock.advance(20)
        assert clock.now_ns() == 20
        assert [when for when, _ in woken] == [0, 10, 20]
        await clock.advance(100)
        await asyncio.gather(*tasks)
        return woken

    assert asyncio.run(go()) == [(0, 0), (10, 10), (20, 20), (30, 30)]


def test_the_system_clock_never_wakes_early() -> None:
    async def go() -> None:
        clock = SystemClock()
        when = clock.now_ns() + 5_000_000
        await clock.sleep_until(when)
        assert time.monotonic_ns() >= when
        await clock.sleep_until(0)

    asyncio.run(go())
