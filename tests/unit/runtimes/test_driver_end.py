"""A stack that is stopped while it starts, or while it is being stopped: the second call does what the first left."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from chaoskit.errors import InternalError, TargetError
from chaoskit.runtimes import driver as module


class Slow:
    """Stands for Nodes: its start hangs, and its first end is cut short when it is cancelled."""

    ended: list[str] = []

    def __init__(self, exited) -> None:
        self.ends = 0

    async def prepare_all(self, specs) -> None:
        await asyncio.sleep(3600)

    async def start(self, spec) -> None:
        await asyncio.sleep(3600)

    async def end_all(self) -> list[Exception]:
        self.ends += 1
        if self.ends == 1:
            await asyncio.sleep(3600)
        self.ended.append("ended")
        return []

    def launchers(self) -> dict[str, int]:
        return {}


STACK = SimpleNamespace(real={}, proxy_process=SimpleNamespace(name="proxy"), nodes=(), actions=(), proxies=())


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "Nodes", Slow)
    monkeypatch.setattr(module, "Actions", lambda stack: Slow(None))
    monkeypatch.setattr(Slow, "ended", [])
    return module.ProcessDriver()


def test_who_is_cancelled_while_it_cleans_up_leaves_the_rest_to_the_next(driver) -> None:
    async def main() -> None:
        up = asyncio.create_task(driver.up(STACK, lambda *_: None))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for _ in range(4):  # the start itself, then the end of actions, nodes and proxy, each in the middle
            up.cancel()
            await asyncio.wait({up}, timeout=0.01)
            if up.done():
                break
        assert up.done()
        for _ in range(2):
            down = asyncio.create_task(driver.down())
            await asyncio.wait({down}, timeout=0.01)
            down.cancel()
            await asyncio.wait({down})
        await driver.down()

    asyncio.run(main())
    assert Slow.ended.count("ended") >= 3  # actions, nodes, proxy


def test_down_ends_a_start_that_is_under_way(driver, monkeypatch: pytest.MonkeyPatch) -> None:
    async def quick(self) -> list[Exception]:
        self.ended.append("ended")
        return []

    monkeypatch.setattr(Slow, "end_all", quick)

    async def main() -> None:
        up = asyncio.create_task(driver.up(STACK, lambda *_: None))
        await asyncio.sleep(0.01)
        with pytest.raises(InternalError, match="up already"):
            await driver.up(STACK, lambda *_: None)
        await driver.down()
        with pytest.raises(TargetError, match="stopped while it was starting"):
            await up

    asyncio.run(main())
    assert len(Slow.ended) >= 3
