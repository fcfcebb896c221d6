"""Keys that are written once, by the client beside one member, and read by the clients beside all of them.

etcd's JSON gateway: keys and values in base64. Clients of all members use the same keys, so that what one side of a cut
writes is what the other side looks for.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chaoskit.contracts import HttpClient, Intent, Reply

RECENT = 100  # reads look for one of the last so many keys of a worker; workers draw apart by some tens
EXHAUSTED = 8  # gRPC's code for what etcd turns away before it does anything: too many requests, no space


class Keys:
    """Key n of worker w is `<prefix>/<w>/<n>`: every worker knows what the others have asked to write, about."""

    def __init__(self) -> None:
        self.asked = 0
        self.acknowledged: list[str] = []

    async def perform(self, intent: Intent, http: HttpClient) -> None:
        """One request. What is not settled here the worker settles: a 503 ("request timed out", "no leader", "leader
        changed") leaves open whether a write happened."""
        if intent.cls == "write":
            await self.write(intent, http)
        else:
            await self.read(intent, http, local=intent.cls == "local-read")

    async def write(self, intent: Intent, http: HttpClient) -> None:
        """A new key of ours."""
        key = f"{intent.prefix}/{intent.worker}/{self.asked}"
        self.asked += 1
        intent.asks(f="write", key=key, value=intent.stamp)
        reply = await http.request("POST", "/v3/kv/put", json={"key": encoded(key), "value": encoded(intent.stamp)})
        if reply.status == 200:
            self.acknowledged.append(key)
            intent.ok()
        elif said(reply).get("code") == EXHAUSTED:
            intent.failed()

    async def read(self, intent: Intent, http: HttpClient, *, local: bool) -> None:
        """The key that a final read names, else a recent one of any worker: all of them write equally often."""
        key = intent.key
        if key is None:
            writer, number = intent.random.randrange(intent.workers), max(self.asked - 1, 0)
            key = f"{intent.prefix}/{writer}/{intent.random.randint(max(number - RECENT, 0), number)}"
        intent.asks(f="read", key=key)
        reply = await http.request("POST", "/v3/kv/range", json={"key": encoded(key), "serializable": local})
        if reply.status == 200:
            found = said(reply).get("kvs", [])
            if found:
                intent.ok(result=b64decode(found[0]["value"]).decode())
            else:
                intent.absent()

    def final(self) -> Iterable[tuple[str, str]]:
        """Every acknowledged key is read at the end, with a majority to vouch for it."""
        return [("read", key) for key in self.acknowledged]


def encoded(text: str) -> str:
    """As the gateway wants bytes."""
    return b64encode(text.encode()).decode()


def said(reply: Reply) -> dict[str, Any]:
    """What the gateway says. Raises ValueError for what no gateway says: the worker takes that as a wrong answer."""
    found = reply.json()
    if not isinstance(found, dict):
        raise ValueError(f"not an answer of etcd: {found!r}")
    return found


def workload() -> Keys:
    """Made once a worker."""
    return Keys()
