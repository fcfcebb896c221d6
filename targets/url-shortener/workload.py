"""Shorten and resolve: every link is uniquely stamped, so that each answer can be traced to who asked for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chaoskit.contracts import HttpClient, Intent


class ShortenAndResolve:
    """Creates links, and resolves links that this worker was told exist, each as likely as any other."""

    def __init__(self) -> None:
        self.codes: list[str] = []

    async def perform(self, intent: Intent, http: HttpClient) -> None:
        """One request. What is not settled here (timeouts, errors, other statuses) the worker settles by its rules."""
        if intent.cls == "create":
            await self.create(intent, http)
        else:
            await self.resolve(intent, http)

    async def create(self, intent: Intent, http: HttpClient) -> None:
        """Ask for a code. Which one it is, the answer says."""
        url = f"https://example.org/{intent.stamp}"
        intent.asks(f="write", value=url)
        reply = await http.request("POST", "/links", json={"url": url})
        if reply.status == 201:
            code = str(reply.json()["code"])
            self.codes.append(code)
            intent.ok(key=code)
        elif reply.status == 503 and reply.json().get("error") == "overloaded":
            intent.failed()  # turned away before anything was done; any other 503 leaves it open

    async def resolve(self, intent: Intent, http: HttpClient) -> None:
        """Look up the code that a final read names, else one of ours, else (there is none yet) one never given out."""
        code = intent.key or (intent.random.choice(self.codes) if self.codes else "neverGiven")
        intent.asks(f="read", key=code)
        reply = await http.request("GET", f"/links/{code}")
        if reply.status == 200:
            intent.ok(result=str(reply.json()["url"]))
        elif reply.status == 404:
            intent.absent()  # the API says so only when the database did

    def final(self) -> Iterable[tuple[str, str]]:
        """Every acknowledged link is looked up at the end."""
        return [("resolve", code) for code in self.codes]


def workload() -> ShortenAndResolve:
    """Made once a worker."""
    return ShortenAndResolve()
