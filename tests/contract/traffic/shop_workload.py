"""Creates links and resolves them."""

from __future__ import annotations

from collections.abc import Iterable

from chaoskit.contracts import HttpClient, Intent


class Shop:
    def __init__(self) -> None:
        self.codes: list[str] = []

    async def perform(self, intent: Intent, http: HttpClient) -> None:
        if intent.cls == "create":
            url = f"http://example.org/{intent.stamp}"
            intent.asks(f="write", value=url)
            reply = await http.request("POST", "/links", json={"url": url})
            if reply.status == 201:
                code = reply.json()["code"]
                self.codes.append(code)
                intent.ok(key=code)
        else:
            code = intent.key or (intent.random.choice(self.codes) if self.codes else "none")
            intent.asks(f="read", key=code)
            reply = await http.request("GET", f"/{code}")
            if reply.status == 302:
                intent.ok(result=reply.headers["location"])
            elif reply.status == 404:
                intent.absent()

    def final(self) -> Iterable[tuple[str, str]]:
        return [("resolve", code) for code in self.codes]


def workload() -> Shop:
    return Shop()
