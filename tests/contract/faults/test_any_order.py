"""Faults that overlap on real links, in any order: the server says what the fold of the active ones says, then clean.

The seed is in the name of the test; CHAOSKIT_FAULT_SEEDS=100-199 runs others.
"""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any

import pytest

from chaoskit import registry
from chaoskit.faults.model import Ground
from chaoskit.safety.executor import Executor
from chaoskit.stack.effects import CLEAN, LinkEffect, LinkState, Toxic
from chaoskit.stack.launch import ProxySpec
from chaoskit.stack.topology import Link, Target, Topology
from chaoskit.toxiproxy.client import AsyncClient
from chaoskit.toxiproxy.links import ToxiproxyLinks
from chaoskit.toxiproxy.model import same_toxics

TARGET = Target(
    name="t", folder="/t", compose_file="/t", services=(), topology=Topology(nodes=(), links=()), entry="api"
)
LINKS = tuple(Link(source=source, destination="db", port=1) for source in ("a", "b", "c"))
FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("latency", {"latency": "20ms", "jitter": "3ms", "stream": "both"}),
    ("timeout", {"timeout": "1s"}),
    ("outage", {}),
    ("blackhole", {}),
    ("reset", {}),
    ("bandwidth", {"rate": "9KB/s", "stream": "both"}),
    ("slow_close", {"delay": "100ms"}),
    ("slicer", {"size": "9B", "variation": "3B"}),
    ("limit_data", {"bytes": "9KB", "stream": "both"}),
    ("flaky", {"share": "20%"}),
    ("flaky", {"share": "20%", "how": "silent"}),
    ("flap", {"down": "1s", "up": "1s"}),
]
FIRST, _, LAST = os.environ.get("CHAOSKIT_FAULT_SEEDS", "0-2").partition("-")


def effects_of(draw: random.Random, server: Any) -> list[LinkEffect]:
    found: list[LinkEffect] = []
    for number in range(draw.randint(2, 6)):
        name, raw = draw.choice(FAULTS)
        fault = registry.load("fault", name)
        places = tuple(draw.sample(LINKS, draw.randint(1, len(LINKS))))
        stored = fault.Parameters.model_validate(raw).model_dump()
        found += fault.compile(f"i{number}", stored, Ground(TARGET, places, duration=4.0, toxiproxy=server)).effects
    return found


def wanted(link: str, active: list[LinkEffect]) -> tuple[bool, list[Toxic]]:
    here = [effect for effect in active if effect.link == link]
    return all(effect.enabled for effect in here), [toxic for effect in here for toxic in effect.toxics]


@pytest.mark.parametrize("seed", range(int(FIRST), int(LAST or FIRST) + 1))
def test_the_server_says_what_the_fold_says(
    seed: int, server: tuple[str, str], bench: Any, load: Any, own_address: Any
) -> None:
    which, control = server
    draw = random.Random(seed)

    async def main() -> None:
        async with bench() as link, AsyncClient(f"http://{control}", timeout=20) as client:
            links = ToxiproxyLinks(control, timeout=20)
            upstream = "{}:{}".format(*link.backend.address)
            addresses = [own_address() for _ in LINKS]
            specs = [
                ProxySpec(name=one.id, listen=f"{host}:{port}", upstream=upstream)
                for one, (host, port) in zip(LINKS, addresses, strict=True)
            ]
            # Connections that are open, and traffic, while everything changes under them.
            traffic = [load(address, users=2, every=0.05) for address in addresses]
            try:
                await links.create(specs)
                for one in traffic:
                    one.start()
                executor = Executor(links, None, {})  # type: ignore[arg-type]
                waiting, active = effects_of(draw, which), list[LinkEffect]()
                while waiting or active:
                    if waiting and (not active or draw.random() < 0.5):
                        active.append(waiting.pop(draw.randrange(len(waiting))))
                        await executor.begin(active[-1:])
                    else:
                        await executor.end([active.pop(draw.randrange(len(active))).id])
                    for one in LINKS:
                        enabled, toxics = wanted(one.id, active)
                        found: LinkState = (await client.get(one.id)).state
                        assert found.enabled == enabled and same_toxics(toxics, found.toxics), (one.id, found, toxics)
                for one in LINKS:
                    assert (await client.get(one.id)).state == CLEAN
            finally:
                for one in traffic:
                    await one.stop()
                for name in {one.id for one in LINKS} & set(await client.proxies()):
                    await client.delete(name)
                await links.aclose()

    asyncio.run(main())
