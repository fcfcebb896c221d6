"""Ask, and be glad of an answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class Get:
    async def perform(self, intent: Any, http: Any) -> None:
        intent.asks(f="read", key="hello")
        if (await http.request("GET", "/")).status == 200:
            intent.ok(result="hello")

    def final(self) -> Iterable[tuple[str, str]]:
        return []


def workload() -> Get:
    return Get()
