"""The shipped etcd under a real supervisor: `etcd_cluster.py FOLDER COMPOSE_FILE STORY …`. Prints one JSON object."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from chaoskit import registry
from chaoskit.faults.model import Ground
from chaoskit.safety.session import Supervisor
from chaoskit.stack.compose import load_target
from chaoskit.stack.effects import ActionEffect, NodeEffect
from chaoskit.store import RunDir

PATIENCE_S = 20.0  # until a majority has elected, or all agree: ten times what it takes
GIVE_UP_S = 2.0  # of a client, on a member that cannot answer


class Cluster:
    """The stack that is up. Clients ask over their own links, as traffic does."""

    def __init__(self, folder: Path, compose: Path, interposition: str) -> None:
        self.target = load_target(compose, {})
        self.runtime, self.supervisor = registry.load("runtime", "process")(), Supervisor()
        self.run = RunDir.create(folder, "etcd")
        self.stack = self.runtime.layout(self.target, {}, self.run.block("default"), interposition)
        self.nodes = [spec.name for spec in self.stack.nodes]

    async def ask(self, node: str, path: str, body: dict[str, Any], *, past: bool = False) -> dict[str, Any] | None:
        """The answer of a member to the client beside it (or past every link); None when there is none in time."""
        link = next(link for link in self.target.topology.links_to(node) if link.source.startswith("client"))
        host, port = self.stack.canaries[link.id][:2]
        place = self.stack.real[f"{node}:2379"] if past else f"{host}:{port}"

        def post() -> dict[str, Any] | None:
            request = urllib.request.Request(f"http://{place}{path}", json.dumps(body).encode())
            try:
                opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
                with opener.open(request, timeout=GIVE_UP_S) as reply:
                    found: dict[str, Any] = json.load(reply)
                    return found
            except (OSError, urllib.error.URLError):
                return None

        return await asyncio.to_thread(post)

    async def put(self, node: str, key: str, value: str) -> bool:
        return await self.ask(node, "/v3/kv/put", {"key": encoded(key), "value": encoded(value)}) is not None

    async def get(self, node: str, key: str, *, local: bool = False) -> list[str] | None:
        """Values found; None without an answer."""
        found = await self.ask(node, "/v3/kv/range", {"key": encoded(key), "serializable": local})
        return None if found is None else [base64.b64decode(kv["value"]).decode() for kv in found.get("kvs", [])]

    async def until(self, true: Any) -> float:
        """Seconds until it is so; -1 when it never is."""
        begun = time.monotonic()
        while not await true():
            if time.monotonic() - begun > PATIENCE_S:
                return -1.0
            await asyncio.sleep(0.05)
        return time.monotonic() - begun

    async def digests(self) -> set[str]:
        """What all that is stored comes to, by member: one when all agree."""
        found = [await self.ask(node, "/v3/maintenance/hash", {"revision": 0}, past=True) for node in self.nodes]
        return {f"{one['hash']} at {one['header']['revision']}" if one else "no answer" for one in found}

    async def agree(self) -> bool:
        digests = await self.digests()
        return len(digests) == 1 and "no answer" not in digests


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def isolated(cluster: Cluster) -> dict[str, Any]:
    """The leader is cut off; the others go on; it heals."""
    supervisor, nodes = cluster.supervisor, cluster.nodes
    old = await supervisor.ask("leader")
    assert old is not None
    before = [await cluster.put(node, f"before/{node}", "1") for node in nodes]
    ground = Ground(target=cluster.target, roles={"leader": old}, duration=60.0)
    cut = registry.load("fault", "partition").compile("cut", {"isolate": "leader"}, ground)
    await supervisor.begin(cut.effects, time.monotonic_ns() + round(120e9))
    others = [node for node in nodes if node != old]

    async def elected() -> bool:
        return await supervisor.ask("leader") in others

    async def written() -> bool:
        return await cluster.put(others[0], "during", "new")

    failover, written_s = await cluster.until(elected), await cluster.until(written)
    found = {
        "before": before,
        "failover": failover,
        "written": written_s,
        "majority_reads": [await cluster.get(node, "during") for node in others],
        "isolated_writes": await cluster.put(old, "lost", "never"),
        "isolated_reads": await cluster.get(old, "during"),
        "isolated_local": await cluster.get(old, "during", local=True),
        "isolated_local_before": await cluster.get(old, f"before/{old}", local=True),
        "apart": len(await cluster.digests()),
    }
    await supervisor.end([effect.id for effect in cut.effects])
    found["agreed"] = await cluster.until(cluster.agree)
    found["after"] = [await cluster.get(node, "during") for node in nodes]
    found["local_after"] = [await cluster.get(node, "during", local=True) for node in nodes]
    return found


async def moved(cluster: Cluster) -> dict[str, Any]:
    """Leadership is handed from member to member, by the target's own action."""
    supervisor, nodes = cluster.supervisor, cluster.nodes[::2]
    seen = []
    for number, node in enumerate(nodes, 1):
        move = ActionEffect(id=f"move/{number}", injection="move", action="move-leader", arguments={"to": node})
        await supervisor.begin([move], time.monotonic_ns() + round(60e9))
        seen.append(await supervisor.ask("leader"))
        await supervisor.end([move.id])
    return {"leaders": seen}


async def alone(cluster: Cluster) -> dict[str, Any]:
    """An etcd of one member answers, also after it was killed."""
    (node,) = cluster.nodes
    written = await cluster.put(node, "k", "1")
    kill = NodeEffect(id="kill/1", injection="kill", node=node, state="killed")
    await cluster.supervisor.begin([kill], time.monotonic_ns() + round(60e9))
    dead = await cluster.get(node, "k")
    await cluster.supervisor.end([kill.id])
    return {"written": written, "dead": dead, "again": await cluster.get(node, "k")}


async def main(folder: str, compose: str, story: str, interposition: str = "hosts") -> dict[str, Any]:
    cluster = Cluster(Path(folder), Path(compose), interposition)
    await cluster.supervisor.start(cluster.run, deadline_s=200)
    try:
        ready = await cluster.supervisor.up(cluster.stack)
        found = await {"isolated": isolated, "moved": moved, "alone": alone}[story](cluster)
        return {"ready": ready, "users": sorted({str(spec.user) for spec in cluster.stack.nodes}), **found}
    finally:
        await cluster.supervisor.bye()
        cluster.runtime.release()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
