"""Any faults on any links, begun and ended in any order: every link is the fold of what is active, then clean."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chaoskit import registry
from chaoskit.faults.model import Ground
from chaoskit.safety.executor import Executor
from chaoskit.stack.effects import CLEAN, LinkEffect, LinkState, Toxic
from chaoskit.stack.topology import Link, Target, Topology

TARGET = Target(
    name="t", folder="/t", compose_file="/t", services=(), topology=Topology(nodes=(), links=()), entry="api"
)
LINKS = tuple(Link(source=source, destination="db", port=1) for source in ("a", "b", "c"))
PARAMETERS: dict[str, tuple[dict[str, Any], ...]] = {
    "latency": ({"latency": "20ms", "jitter": "3ms", "stream": "both"}, {"latency": "5ms"}),
    "timeout": ({"timeout": "1s"},),
    "outage": ({},),
    "blackhole": ({},),
    "reset": ({},),
    "bandwidth": ({"rate": "9KB/s", "stream": "both"}, {"rate": "1KB/s", "stream": "up"}),
    "slow_close": ({"delay": "1s"},),
    "slicer": ({"size": "9B", "variation": "3B"},),
    "limit_data": ({"bytes": "0B"}, {"bytes": "9KB", "stream": "both"}),
    "flaky": ({"share": "20%"}, {"share": "7%", "how": "silent"}, {"share": "1%", "how": "close"}),
    "flap": ({"down": "1s", "up": "1s"},),
}
SERVERS = ("embedded", "real")


class Links:
    """LinkControl in memory."""

    def __init__(self) -> None:
        self.now: dict[str, LinkState] = {}

    async def apply(self, link: str, state: LinkState) -> LinkState:
        await asyncio.sleep(0)
        self.now[link] = state
        return state

    async def read(self, link: str) -> LinkState:
        return self.now.get(link, CLEAN)


def effects_of(drawn: list[tuple[str, int, set[int]]], server: Any) -> list[LinkEffect]:
    found: list[LinkEffect] = []
    for number, (name, choice, places) in enumerate(drawn):
        fault, options = registry.load("fault", name), PARAMETERS[name]
        stored = fault.Parameters.model_validate(options[choice % len(options)]).model_dump()
        ground = Ground(TARGET, tuple(LINKS[i] for i in sorted(places)), duration=5.0, toxiproxy=server)
        found += fault.compile(f"i{number}", stored, ground).effects
    return found


def expected(link: str, active: list[LinkEffect]) -> tuple[bool, list[Toxic], list[Toxic]]:
    """By the words of the promise: refuses if anything refuses, and every active toxic in the order of begin."""
    here = [effect for effect in active if effect.link == link]
    toxics = [toxic for effect in here for toxic in effect.toxics]
    return (
        not any(not effect.enabled for effect in here),
        [toxic for toxic in toxics if toxic.stream == "upstream"],
        [toxic for toxic in toxics if toxic.stream == "downstream"],
    )


def shape(state: LinkState) -> tuple[bool, list[Toxic], list[Toxic]]:
    ways = ("upstream", "downstream")
    up, down = ([toxic for toxic in state.toxics if toxic.stream == way] for way in ways)
    return state.enabled, up, down


@settings(max_examples=60, deadline=None)
@given(
    drawn=st.lists(
        st.tuples(
            st.sampled_from(sorted(PARAMETERS)),
            st.integers(0, 2),
            st.sets(st.integers(0, len(LINKS) - 1), min_size=1),
        ),
        min_size=1,
        max_size=6,
    ),
    server=st.sampled_from(SERVERS),
    order=st.randoms(use_true_random=False),
)
def test_every_link_is_the_fold_of_what_is_active(
    drawn: list[tuple[str, int, set[int]]], server: str, order: random.Random
) -> None:
    async def main() -> None:
        links = Links()
        executor = Executor(links, None, {})  # type: ignore[arg-type]
        waiting, active = effects_of(drawn, server), list[LinkEffect]()
        names = [toxic.name for effect in waiting for toxic in effect.toxics]
        assert len(set(names)) == len(names)
        while waiting or active:
            if waiting and (not active or order.random() < 0.5):
                some = [waiting.pop(order.randrange(len(waiting))) for _ in range(min(len(waiting), 2))]
                active += some
                await executor.begin(some)
            else:
                ended = active.pop(order.randrange(len(active)))
                await executor.end([ended.id])
            for link in LINKS:
                assert shape(links.now.get(link.id, CLEAN)) == expected(link.id, active)
            assert not executor.unsettled
        assert all(state == CLEAN for state in links.now.values())

    asyncio.run(main())


def test_every_fault_on_links_takes_part() -> None:
    known = {name for name in registry.names("fault") if registry.load("fault", name).targets == "links"}
    assert known == set(PARAMETERS)
