"""Every fault on links over real sockets: seen to bite by the witness, felt by a client of its own, seen to be gone."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from chaoskit.faults.model import WAYS, Compiled, Ground, silence
from chaoskit.stack.effects import Evidence, LinkEffect

FAULTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # name -> (parameters, load)
    "latency": ({"latency": "60ms", "jitter": "10ms"}, {}),
    "timeout": ({"timeout": "300ms"}, {}),
    "outage": ({}, {}),
    "blackhole": ({}, {}),
    "reset": ({}, {}),
    "bandwidth": ({"rate": "100KB/s"}, {"size": 50_000}),
    "slow_close": ({"delay": "400ms"}, {}),
    "slicer": ({"size": "100B", "variation": "20B", "delay": "2ms"}, {}),
    "limit_data": ({"bytes": "5KB"}, {}),
    "flaky": ({"share": "50%"}, {}),
}


async def get(address: tuple[str, int], size: int, extra: str = "") -> tuple[list[bytes], float, float, str]:
    """(reads of the answer, seconds to the first and to the last byte, how it ended), over a new connection."""
    reads: list[bytes] = []
    reader, writer = await asyncio.open_connection(*address)
    start = time.perf_counter()
    first = last = 0.0
    try:
        async with asyncio.timeout(10):
            writer.write(f"GET /{size} HTTP/1.1\r\nHost: x\r\n{extra}\r\n".encode())
            while data := await reader.read(65536):
                last = time.perf_counter() - start
                first = first or last
                reads.append(data)
                if not extra and sum(map(len, reads)) > size:
                    return reads, first, last, "answered"
            return reads, first, last, f"eof {time.perf_counter() - start:.3f}"
    except ConnectionResetError:
        return reads, first, time.perf_counter() - start, "reset"
    except TimeoutError:
        return reads, first, last, "silent"
    finally:
        writer.transport.abort()


async def felt(name: str, address: tuple[str, int]) -> None:
    """What a client that knows nothing of the fault sees of it: what was asked. Upper limits are wide: others work."""
    if name == "latency":
        _, first, _, _ = await get(address, 20)
        assert 0.049 <= first < 1.0
    elif name == "timeout":
        _, _, _, end = await get(address, 20)
        assert end.startswith("eof") and 0.2 <= float(end.split()[1]) < 3.0  # counted from the connect
    elif name == "outage":
        with pytest.raises(ConnectionRefusedError):
            await get(address, 20)
    elif name == "reset":
        assert (await get(address, 20))[3] == "reset"
    elif name == "bandwidth":
        reads, _, last, _ = await get(address, 100_000)
        assert 0.9 < last < 2.5 and sum(map(len, reads)) > 100_000
    elif name == "slow_close":
        _, _, last, end = await get(address, 20, "Connection: close\r\n")
        assert last < 0.3 and 0.39 <= float(end.split()[1]) < 2.0
    elif name == "slicer":
        reads, first, last, _ = await get(address, 2000)
        # On a busy machine two pieces may meet in one read, but not many.
        assert len(reads) >= 10 and sorted(map(len, reads))[len(reads) // 2] <= 120
        assert last - first > 0.02
    elif name == "limit_data":
        reads, _, _, end = await get(address, 10_000)
        assert sum(map(len, reads)) == 5000 and end.startswith("eof")
    elif name == "flaky":
        ends = [(await get(address, 20))[3] for _ in range(40)]
        assert 5 < ends.count("answered") < 35
    elif name == "blackhole":
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await get(address, 20)


@pytest.mark.parametrize("name", FAULTS)
def test_it_bites_as_asked_and_is_gone(name: str, bench: Any, load: Any) -> None:
    raw, traffic = FAULTS[name]

    async def main() -> None:
        async with bench(load(**traffic)) as link:
            compiled = link.compile(name, raw)
            witness = link.witness(compiled)
            try:
                await witness.before()
                await asyncio.sleep(0.9)
                await link.begin(compiled)
                found = await link.seen(witness)
                assert found.seen, found.text
                print(link.server, name, found.text)
                await felt(name, link.address)
                await link.end()
                again = await link.gone(witness)
                assert again.seen, again.text
                print(link.server, name, again.text)
            finally:
                witness.close()

    asyncio.run(main())


@pytest.mark.parametrize("name", ["bandwidth", "limit_data", "flaky", "slicer"])
def test_on_plain_tcp_the_link_counts(name: str, bench: Any, load: Any) -> None:
    raw, traffic = FAULTS[name]

    async def main() -> None:
        async with bench(load(**traffic, fresh=name == "flaky")) as link:
            if link.server == "real":
                pytest.skip("the real Toxiproxy does not count")
            compiled = link.compile(name, raw)
            witness = link.witness(compiled, "tcp")
            try:
                await witness.before()
                await asyncio.sleep(0.9)
                await link.begin(compiled)
                found = await link.seen(witness)
                assert found.seen, found.text
                assert found.text.endswith("by the proxy's own count alone") == (name == "slicer")
                await link.end()
                again = await link.gone(witness)
                assert again.seen, again.text
            finally:
                witness.close()

    asyncio.run(main())


def test_pieces_without_a_pause_are_seen_too(bench: Any, load: Any) -> None:
    """A reader finds them together again: the kernel's count of segments shows them. And that they stayed."""

    async def main() -> None:
        async with bench(load()) as link:
            compiled = link.compile("slicer", {"size": "100B"})
            witness, other = link.witness(compiled), link.witness(compiled)
            try:
                await witness.before()
                await other.before()
                await asyncio.sleep(0.9)
                await link.begin(compiled)
                found = await link.seen(witness)
                assert found.seen and "an answer of 5.04 KB comes in " in found.text, found.text
                stayed = await link.gone(other, 0.5)
                assert not stayed.seen, stayed.text
                await link.end()
                again = await link.gone(witness)
                assert again.seen, again.text
            finally:
                witness.close()
                other.close()

    asyncio.run(main())


def test_a_flapping_link_is_seen_down_and_up(bench: Any, load: Any) -> None:
    async def main() -> None:
        async with bench(load()) as link:
            compiled = link.compile("flap", {"down": "400ms", "up": "600ms"}, duration=6.0)
            compiled = compiled.model_copy(
                update={
                    "effects": tuple(
                        e.model_copy(update={"ends": 5.4}) if e.ends is None else e for e in compiled.effects
                    )
                }
            )
            witness = link.witness(compiled)
            try:
                await witness.before()
                async with link.timed(compiled):
                    found = await link.seen(witness)
                assert found.seen and "refused" in found.text, found.text
                assert (await link.gone(witness)).seen
            finally:
                witness.close()

    asyncio.run(main())


def cut(link: Any, ways: tuple[Any, ...], evidence: tuple[Evidence, ...]) -> Compiled:
    ground = Ground(None, toxiproxy=link.server)  # type: ignore[arg-type]
    toxics = tuple(silence("cut/1", way, ground) for way in ways)
    effect = LinkEffect(id="cut/1", injection="cut", link=link.link.id, toxics=toxics)
    return Compiled(effects=(effect,), evidence=evidence, sentence="cut")


@pytest.mark.parametrize(("stream", "protocol"), [("up", "tcp"), ("down", "tcp"), ("both", "http")])
def test_a_cut_is_seen_in_the_direction_that_is_cut_and_no_other(
    stream: Any, protocol: str, bench: Any, load: Any
) -> None:
    async def main() -> None:
        async with bench(load(size=20, chats=True)) as link:
            if link.server == "real" and protocol == "tcp":
                pytest.skip("the real Toxiproxy does not count")
            other = {"up": "down", "down": "up", "both": "both"}[stream]
            items = tuple(
                Evidence(kind=kind, link=link.link.id, stream=way)
                for kind, way in (("cut", stream), ("open", other), ("cut", other), ("open", stream))
            )
            compiled = cut(link, WAYS[stream], items)
            witness = link.witness(compiled, protocol)
            try:
                await witness.before()
                await asyncio.sleep(0.9)
                await link.begin(compiled)
                found = await witness.seen(time.monotonic() + 2.5)
                print(*(one.text for one in found), sep="; ")
                if link.server == "real":  # a canary gets no answer, whichever direction it is that lacks
                    assert found[0].seen and not found[1].seen
                elif stream == "both":
                    assert [one.seen for one in found] == [True, False, True, False]
                elif stream == "down":
                    assert [one.seen for one in found] == [True, True, False, False]
                else:  # what is not asked is not answered
                    assert [one.seen for one in found] == [True, False, True, False]
                await link.end()
                for one in await witness.gone(time.monotonic() + 10):
                    assert one.seen, one.text
            finally:
                witness.close()

    asyncio.run(main())


def test_a_link_that_nobody_uses_is_neither_cut_nor_open(bench: Any) -> None:
    async def main() -> None:
        async with bench() as link:
            if link.server == "real":
                pytest.skip("the real Toxiproxy does not count")
            items = tuple(Evidence(kind=kind, link=link.link.id, stream="both") for kind in ("cut", "open"))
            compiled = cut(link, WAYS["both"], items)
            witness = link.witness(compiled, "tcp")
            try:
                await witness.before()
                await link.begin(compiled)
                for one in await witness.seen(time.monotonic() + 1.2):
                    assert one.idle and not one.seen, one.text
                await link.end()
                for one in await witness.gone(time.monotonic() + 10):
                    assert one.seen, one.text
            finally:
                witness.close()

    asyncio.run(main())
