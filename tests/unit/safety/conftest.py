"""Links, nodes and actions in memory that can be told to fail."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping

import pytest

from chaoskit.errors import LinkError
from chaoskit.stack.effects import CLEAN, LinkState, NodeState


class Controls:
    """LinkControl and NodeControl at once. `fail(name)` decides whether a change fails (after half of it is done).

    `wiped`: nodes that are dead without data. `burnt`: processors burnt beside each node. `lost`: how often data went.
    """

    def __init__(self) -> None:
        self.links: dict[str, LinkState] = {}
        self.nodes: dict[str, NodeState] = {}
        self.wiped: set[str] = set()
        self.lost: Counter[str] = Counter()
        self.burnt: dict[str, float] = {}
        self.ends: dict[str, int | None] = {}
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

    async def kill(self, node: str, *, wipe: bool = False) -> None:
        await self._change("wipe" if wipe else "kill", node)
        self.nodes[node] = "killed"
        if wipe:
            self.wiped.add(node)
            self.lost[node] += 1

    async def stress(self, node: str, cpu: float, until_ns: int | None = None) -> float:
        await self._change("stress", node)
        self.burnt[node], self.ends[node] = cpu, until_ns
        return cpu

    async def pause(self, node: str) -> None:
        assert self.nodes.get(node, "running") != "killed", "a killed node cannot be paused"
        await self._change("pause", node)
        self.nodes[node] = "paused"

    async def run(self, node: str) -> None:
        await self._change("run", node)
        await asyncio.sleep(0)
        self.nodes[node] = "running"
        self.wiped.discard(node)

    async def state(self, node: str) -> NodeState:
        return self.nodes.get(node, "running")


class Acts:
    """ActionControl in memory: what was called, in order. `fail(action)` decides whether a call fails after half of it;
    `held` keeps calls waiting until it is set."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Mapping[str, str]]] = []
        self.done: Counter[str] = Counter()  # action -> how often done, an undo counted off
        self.fail: Callable[[str], bool] = lambda action: False
        self.held = asyncio.Event()
        self.held.set()

    async def run(self, action: str, arguments: Mapping[str, str], timeout: float) -> str:
        self.calls.append((action, arguments))
        await self.held.wait()
        await asyncio.sleep(0)
        undone = action.removeprefix("un-")
        self.done[undone] += 1 if undone == action else -1
        await asyncio.sleep(0)
        if self.fail(action):
            raise LinkError(f"{action}: told to fail")
        return f"{action} returned"

    async def ask(self, role: str) -> str | None:
        return None


@pytest.fixture(scope="session")
def make_acts() -> type[Acts]:
    return Acts


@pytest.fixture
def controls() -> Controls:
    return Controls()


@pytest.fixture(scope="session")
def make_controls() -> type[Controls]:
    return Controls
