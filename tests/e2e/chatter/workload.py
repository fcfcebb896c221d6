"""Asks a node whether it lives."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chaoskit.contracts import HttpClient, Intent


class Ask:
    async def perform(self, intent: Intent, http: HttpClient) -> None:
        intent.asks(f="read", key="life")
        if (await http.request("GET", "/")).status == 200:
            intent.ok(result="alive")

    def final(self) -> list[tuple[str, str]]:
        return []


def workload() -> Ask:
    return Ask()
