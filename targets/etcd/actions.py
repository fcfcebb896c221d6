"""What this target can be asked and told: who leads, and who shall.

Few imports: every call is a process of its own, and while a fault waits for its place a quick answer is a better one.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from chaoskit.runtimes.actions_runner import Place

PORT = 2379
PATIENCE = 1.0  # seconds for one member to say how it is: nothing for one that lives
MOVED = 5.0  # seconds for a majority to know its new leader


class Status(NamedTuple):
    """How one member sees the cluster. `leader` is a member's id, 0 while it knows of none."""

    member: int
    leader: int
    term: int


async def leader(place: Place) -> str | None:
    """The node that most members follow, in the same term; None while no majority agrees.

    A leader that is cut off goes on calling itself one for a while, alone: it is not counted.
    """
    return led(await statuses(place), len(members(place)))


async def move_leader(place: Place, to: str) -> str:
    """Have the leader hand over to another member, and wait until a majority follows that one."""
    known, found = members(place), await statuses(place)
    now = led(found, len(known))
    if to not in known:
        raise ValueError(f"{to} is no member; members are {', '.join(known)}")
    if now is None or to not in found:
        raise RuntimeError("there is no leader that could hand over" if now is None else f"{to} does not answer")
    if now == to:
        return f"{to} leads already"
    await ask(known[now], "/v3/maintenance/transfer-leadership", {"targetID": str(found[to].member)})
    deadline = time.monotonic() + MOVED
    while await leader(place) != to:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{now} handed over, and after {MOVED:g} s no majority follows {to}")
        await asyncio.sleep(0.05)
    return f"leadership moved from {now} to {to}"


def led(found: dict[str, Status], count: int) -> str | None:
    """The node that more than half of `count` members follow in one term."""
    views = Counter((status.term, status.leader) for status in found.values() if status.leader)
    agreed = [leading for (_, leading), followers in views.items() if 2 * followers > count]
    return next((node for node, status in found.items() if status.member in agreed), None)


def members(place: Place) -> dict[str, str]:
    """Node -> where it answers clients, past every link."""
    found = {name.partition(":")[0]: address for name, address in place.real.items() if name.endswith(f":{PORT}")}
    return dict(sorted(found.items()))


async def statuses(place: Place) -> dict[str, Status]:
    """How the members that answer see the cluster."""

    async def status(address: str) -> Status | None:
        try:
            said = await ask(address, "/v3/maintenance/status", {})
            return Status(int(said["header"]["member_id"]), int(said.get("leader", 0)), int(said.get("raftTerm", 0)))
        except (OSError, TimeoutError, ValueError, KeyError):
            return None  # killed, paused, or not yet up: it follows nobody

    known = members(place)
    found = zip(known, await asyncio.gather(*map(status, known.values())), strict=True)
    return {node: seen for node, seen in found if seen is not None}


async def ask(address: str, path: str, body: dict[str, Any]) -> Any:
    """One question over HTTP/1.0: the answer ends where the connection does."""
    host, _, port = address.rpartition(":")
    text = json.dumps(body)
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(
                f"POST {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()
            )
            head, _, answer = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise ValueError(
            f"{address}{path} says {head[:80].decode(errors='replace')}: {answer[:200].decode(errors='replace')}"
        )
    return json.loads(answer)
