"""Put stamped values under stamped keys, get them again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class Kv:
    def __init__(self) -> None:
        self.keys: list[str] = []

    async def perform(self, intent: Any, http: Any) -> None:
        if intent.cls == "put":
            key = f"k-{intent.stamp}"
            intent.asks(f="write", key=key, value=f"v-{intent.stamp}")
            reply = await http.request("PUT", f"/k/{key}", body=f"v-{intent.stamp}".encode())
            if reply.status == 201:
                self.keys.append(key)
                intent.ok()
            return
        key = intent.key or (intent.random.choice(self.keys) if self.keys else "never")
        intent.asks(f="read", key=key)
        reply = await http.request("GET", f"/k/{key}")
        if reply.status == 200:
            intent.ok(result=reply.body.decode())
        elif reply.status == 404:
            intent.absent()

    def final(self) -> Iterable[tuple[str, str]]:
        return [("get", key) for key in self.keys]


def workload() -> Kv:
    return Kv()
