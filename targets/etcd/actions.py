"""What this target can be asked and told: who leads, and who shall."""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.error import URLError
from urllib.request import ProxyHandler, Request, build_opener

if TYPE_CHECKING:
    from chaoskit.runtimes.actions_runner import Place

PORT = 2379
PATIENCE = 1.0  # seconds for one member to say how it is: nothing for one that lives
MOVED = 5.0  # seconds for a majority to know its new leader

_direct = build_opener(ProxyHandler({})).open  # whatever http_proxy says: members are on this machine


class Status(NamedTuple):
    """How one member sees the cluster. `leader` is a member's id, 0 while it knows of none."""

    member: int
    leader: int
    term: int


def leader(place: Place) -> str | None:
    """The node that most members follow, in the same term; None while no majority agrees.

    A leader that is cut off goes on calling itself one for a while, alone: it is not counted.
    """
    found = statuses(place)
    views = Counter((status.term, status.leader) for status in found.values() if status.leader)
    agreed = [view for view, count in views.items() if 2 * count > len(members(place))]
    return next((node for node, status in found.items() if agreed and status.member == agreed[0][1]), None)


def move_leader(place: Place, to: str) -> str:
    """Have the leader hand over to another member, and wait until a majority follows that one."""
    now = leader(place)
    if now is None:
        raise RuntimeError("there is no leader that could hand over")
    if to not in members(place):
        raise ValueError(f"{to} is no member; members are {', '.join(members(place))}")
    if now == to:
        return f"{to} leads already"
    successor = statuses(place)[to].member
    ask(place, now, "/v3/maintenance/transfer-leadership", {"targetID": str(successor)})
    deadline = time.monotonic() + MOVED
    while leader(place) != to:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{now} handed over, and after {MOVED:g} s no majority follows {to}")
        time.sleep(0.05)
    return f"leadership moved from {now} to {to}"


def members(place: Place) -> dict[str, str]:
    """Node -> where it answers clients."""
    found = {name.partition(":")[0]: address for name, address in place.real.items() if name.endswith(f":{PORT}")}
    return dict(sorted(found.items()))


def statuses(place: Place) -> dict[str, Status]:
    """How the members that answer see the cluster."""
    nodes = list(members(place))

    def status(node: str) -> Status | None:
        try:
            said = ask(place, node, "/v3/maintenance/status", {})
            return Status(int(said["header"]["member_id"]), int(said.get("leader", 0)), int(said.get("raftTerm", 0)))
        except (OSError, URLError, ValueError, KeyError):
            return None  # killed, paused, or not yet up: it follows nobody

    with ThreadPoolExecutor(len(nodes) or 1) as all_at_once:
        found = dict(zip(nodes, all_at_once.map(status, nodes), strict=True))
    return {node: seen for node, seen in found.items() if seen is not None}


def ask(place: Place, node: str, path: str, body: dict[str, Any]) -> Any:
    """One request to a member itself, past every link."""
    request = Request(f"http://{members(place)[node]}{path}", json.dumps(body).encode())
    with _direct(request, timeout=PATIENCE) as reply:
        return json.load(reply)
