"""Links and nodes in memory that can be told to fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from chaoskit.errors import LinkError
from chaoskit.stack.effects import CLEAN, LinkState, NodeState


class Controls:
    """LinkControl and NodeControl at once. `fail(name)` decides whether a change fails (after half of it is done)."""

    def __init__(self) -> None:
        self.links: dict[str, LinkState] = {}
        self.nodes: dict[str, NodeState] = {}
        self.calls: list[tuple[str, str]] = []
        self.fail: Callable[[str], bool] = lambda name: False

    async def _change(self, verb: str, name: str) -> None:
        self.calls.append((verb, name))
        await asyncio.sleep(0)
        if self.fail(name):
            raise LinkError(f"{verb} {name}: told to fail")

    async def apply(self, link: str, state: LinkState) -> LinkState:
        await self._change("apply", link)
        self.links[link] = state
        await asyncio.sleep(0)
        return state

    async def read(self, link: str) -> LinkState:
        await asyncio.sleep(0)
        return self.links.get(link, CLEAN)

    async def kill(self, node: str) -> None:
        await self._change("kill", node)
        self.nodes[node] = "killed"

    async def pause(self, node: str) -> None:
        assert self.nodes.get(node, "running") != "killed", "a killed node cannot be paused"
        await self._change("pause", node)
        self.nodes[node] = "paused"

    async def run(self, node: str) -> None:
        await self._change("run", node)
        await asyncio.sleep(0)
        self.nodes[node] = "running"

    async def state(self, node: str) -> NodeState:
        return self.nodes.get(node, "running")


@pytest.fixture
def controls() -> Controls:
    return Controls()


@pytest.fixture(scope="session")
def make_controls() -> type[Controls]:
    return Controls
