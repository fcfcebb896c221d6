"""What does not bite is not seen: a proxy that lies, and faults that are too small to be felt."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from chaoskit import registry
from chaoskit.faults.evidence import Witness
from chaoskit.stack.effects import Evidence
from chaoskit.toxiproxy.model import FlowCounters, LinkCounters

GOOD: dict[str, dict[str, Any]] = {
    "latency": {"latency": "60ms"},
    "timeout": {"timeout": "300ms"},
    "outage": {},
    "blackhole": {},
    "reset": {},
    "bandwidth": {"rate": "10KB/s"},
    "slow_close": {"delay": "300ms"},
    "slicer": {"size": "10B"},
    "limit_data": {"bytes": "100B"},
    "flaky": {"share": "50%"},
    "flap": {"down": "300ms", "up": "300ms"},
}


async def nobody(node: str) -> list[dict[str, object]]:
    return []


class Liar:
    """Forwards everything and counts honestly what passes; claims hits when told to."""

    def __init__(self, upstream: tuple[str, int]) -> None:
        self.upstream = upstream
        self.port = 0
        self.up = self.down = self.accepted = self.open = 0
        self.hits: tuple[str, ...] = ()

    async def counters(self, links: tuple[str, ...]) -> Mapping[str, LinkCounters]:
        return dict.fromkeys(
            links,
            LinkCounters(
                accepted=self.accepted,
                open=self.open,
                upstream=FlowCounters(received=self.up, sent=self.up),
                downstream=FlowCounters(received=self.down, sent=self.down),
                hits=dict.fromkeys(self.hits, self.accepted),
            ),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Liar]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await asyncio.sleep(0.05)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.open += 1
        far_reader, far_writer = await asyncio.open_connection(*self.upstream)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, up: bool) -> None:
            try:
                while data := await source.read(65536):
                    self.up, self.down = (self.up + len(data), self.down) if up else (self.up, self.down + len(data))
                    sink.write(data)
                    await sink.drain()
            except ConnectionError:
                pass
            finally:
                sink.close()

        await asyncio.gather(pump(reader, far_writer, True), pump(far_reader, writer, False))
        self.open -= 1


TIMED = ("latency", "slow_close")  # asked alone: those that ask beside them would be what makes them late
REST = tuple(name for name in GOOD if name not in TIMED)


@pytest.mark.parametrize(
    ("names", "protocol", "counts"),
    [
        (("latency",), "http", True),
        (("slow_close",), "tcp", True),
        (REST, "http", True),
        (REST, "tcp", True),
        (("bandwidth",), "http", False),
        (tuple(name for name in REST if name != "bandwidth"), "http", False),
    ],
    ids=["latency", "slow_close", "rest-http", "rest-tcp", "bandwidth-uncounted", "rest-uncounted"],
)
def test_a_proxy_that_lies_is_found_out(
    names: tuple[str, ...], protocol: str, counts: bool, bench: Any, load: Any
) -> None:
    async def main() -> None:
        async with bench() as link:
            if link.server == "real":
                pytest.skip("the liar is the same")
            async with Liar(link.backend.address).running() as liar:
                traffic = load(("127.0.0.1", liar.port), size=3000)
                traffic.start()
                evidence: list[Evidence] = []
                for name in names:
                    evidence += link.compile(name, GOOD[name]).evidence
                if len(names) > 1:
                    evidence += [Evidence(kind="cut", link=link.link.id, stream=way) for way in ("up", "down", "both")]

                async def counters() -> Mapping[str, LinkCounters]:
                    return await liar.counters((link.link.id,)) if counts else {}

                witness = Witness(
                    evidence, {link.link.id: ("127.0.0.1", liar.port, protocol, "/3000")}, nobody, counters
                )
                try:
                    await witness.before()
                    await asyncio.sleep(0.7)
                    for one in await witness.seen(time.monotonic() + 1.5):
                        assert not one.seen and not one.idle, one.text
                finally:
                    witness.close()
                    await traffic.stop()

    asyncio.run(main())


@pytest.mark.parametrize(("name", "protocol"), [("bandwidth", "tcp"), ("limit_data", "tcp"), ("slicer", "http")])
def test_a_proxy_that_claims_hits_is_found_out_by_what_passes(name: str, protocol: str, bench: Any, load: Any) -> None:
    async def main() -> None:
        async with bench() as link:
            if link.server == "real":
                pytest.skip("the liar is the same")
            async with Liar(link.backend.address).running() as liar:
                traffic = load(("127.0.0.1", liar.port), size=3000, fresh=True)
                traffic.start()
                compiled = link.compile(name, GOOD[name])
                liar.hits = compiled.evidence[0].toxics

                async def counters() -> Mapping[str, LinkCounters]:
                    return await liar.counters((link.link.id,))

                place = ("127.0.0.1", liar.port, protocol, "/3000")
                witness = Witness(compiled.evidence, {link.link.id: place}, nobody, counters)
                try:
                    await witness.before()
                    await asyncio.sleep(0.7)
                    found = await link.seen(witness, 1.0)
                    assert not found.seen, found.text
                    if name == "slicer":
                        assert "an answer of 3.04 KB comes in 1 segment, 1 before" in found.text, found.text
                finally:
                    witness.close()
                    await traffic.stop()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("name", "raw", "noise", "why"),
    [
        ("latency", {"latency": "1ms"}, 0.05, "asked 1 ms"),
        ("bandwidth", {"rate": "100MB/s"}, 0.0, "nothing to hold back"),
        ("limit_data", {"bytes": "1GB"}, 0.0, "0 connections cut"),
        ("slicer", {"size": "500KB"}, 0.0, "0 reads cut"),
        ("slow_close", {"delay": "1ms"}, 0.0, ""),
        ("flaky", {"share": "0.0001%"}, 0.0, "asked < 0.01 %"),
    ],
)
def test_a_fault_that_is_too_small_is_not_seen(
    name: str, raw: dict[str, Any], noise: float, why: str, bench: Any, load: Any
) -> None:
    async def main() -> None:
        async with bench(load()) as link:
            if link.server == "real" and name in ("bandwidth", "limit_data", "slicer"):
                pytest.skip("the real Toxiproxy does not count")
            link.backend.noise = noise
            compiled = link.compile(name, raw)
            witness = link.witness(compiled)
            try:
                await witness.before()
                await asyncio.sleep(0.7)
                await link.begin(compiled)
                found = await link.seen(witness, 1.2)
                assert found.text.startswith(link.link.id) and why in found.text, found.text
                # 1 ms is small for a busy machine and plain to see on a quiet one.
                assert not found.seen or name == "slow_close", found.text
                await link.end()
                again = await link.gone(witness)
                assert again.seen, again.text
            finally:
                witness.close()

    asyncio.run(main())


def test_every_fault_on_links_is_among_them() -> None:
    links = {name for name in registry.names("fault") if registry.load("fault", name).targets == "links"}
    assert links == set(GOOD)
