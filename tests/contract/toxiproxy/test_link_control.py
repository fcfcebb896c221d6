"""ToxiproxyLinks against a running server: what is asked is what is read, whatever was there before."""

from __future__ import annotations

import asyncio
import itertools
import socket
from contextlib import aclosing

import pytest

from chaoskit.errors import LinkError
from chaoskit.stack.effects import CLEAN, LinkState, Toxic
from chaoskit.stack.launch import ProxySpec
from chaoskit.toxiproxy.links import ToxiproxyLinks
from chaoskit.toxiproxy.model import same_toxics

LINK = "api->db:5432"
SLOW = Toxic(name="slow", type="latency", attributes={"latency": 5})
SLOWER = Toxic(name="slow", type="latency", attributes={"latency": 9, "jitter": 1})
LOST = Toxic(name="lost", type="timeout", stream="upstream", toxicity=0.25)
RESET = Toxic(name="reset", type="reset_peer", attributes={"timeout": 1})
STATES = [
    CLEAN,
    LinkState(enabled=False),
    LinkState(toxics=(SLOW,)),
    LinkState(toxics=(SLOWER, LOST)),
    LinkState(toxics=(RESET, SLOW)),
    LinkState(enabled=False, toxics=(SLOW, RESET, LOST)),
    LinkState(toxics=(Toxic(name="slow", type="noop"),)),
]


@pytest.fixture
def control(toxiproxy_server):
    return f"{toxiproxy_server.host}:{toxiproxy_server.port}"


@pytest.fixture
def spec(wire):
    """One that nobody can take the port of while it is closed."""

    def spec(name: str = LINK, listen: str = "") -> ProxySpec:
        return ProxySpec(name=name, listen=listen or wire.own_text(), upstream="127.0.0.1:9")

    return spec


def test_from_every_state_to_every_other(control, client, spec):
    async def main() -> None:
        async with aclosing(ToxiproxyLinks(control, timeout=20)) as links:
            await links.create([spec()])
            for before, after in itertools.permutations(STATES, 2):
                await links.apply(LINK, before)
                read = await links.apply(LINK, after)
                assert read == await links.read(LINK)
                assert read.enabled == after.enabled
                assert same_toxics(after.toxics, read.toxics)

    asyncio.run(main())


def test_applying_the_same_twice_changes_nothing(control, client, link, wire):
    async def main() -> None:
        async with aclosing(ToxiproxyLinks(control, timeout=20)) as links:
            near, far = link.pair()
            for _ in range(3):
                await links.apply(link.name, LinkState(toxics=(SLOW,)))
            far.sendall(b"x")
            assert wire.receive(near, 1) == b"x"

    asyncio.run(main())


def test_create_cleans_what_was_there_before(control, client, spec):
    made = client.create(LINK, listen=spec().listen, upstream="127.0.0.1:9")
    client.add_toxic(LINK, SLOW)
    client.update(LINK, enabled=False)

    async def main() -> LinkState:
        async with aclosing(ToxiproxyLinks(control, timeout=20)) as links:
            await links.create([spec(listen=made.listen), spec("other->db:1")])
            return await links.read(LINK)

    assert asyncio.run(main()) == CLEAN


def test_heal_all(control, client, spec):
    async def main() -> None:
        async with aclosing(ToxiproxyLinks(control, timeout=20)) as links:
            await links.create([spec(f"a->b:{number}") for number in range(5)])
            for number, state in enumerate(STATES[1:6]):
                await links.apply(f"a->b:{number}", state)
            await links.heal_all()
            for number in range(5):
                assert await links.read(f"a->b:{number}") == CLEAN

    asyncio.run(main())


def test_heal_all_goes_on_past_a_link_that_cannot_be_healed(control, client, spec):
    async def main() -> None:
        async with aclosing(ToxiproxyLinks(control, timeout=20)) as links:
            await links.create([spec(f"a->b:{number}") for number in range(5)])
            for number in range(5):
                await links.apply(f"a->b:{number}", LinkState(enabled=False, toxics=(SLOW,)))
            host, _, port = client.get("a->b:2").listen.rpartition(":")
            with socket.create_server((host, int(port))):
                with pytest.raises(LinkError, match="address already in use"):
                    await links.heal_all()
                for number in (0, 1, 3, 4):
                    assert await links.read(f"a->b:{number}") == CLEAN
            await links.heal_all()
            assert await links.read("a->b:2") == CLEAN

    asyncio.run(main())


def test_links_can_be_changed_at_the_same_time(control, client, spec):
    async def main() -> None:
        async with aclosing(ToxiproxyLinks(control, timeout=20)) as links:
            names = [f"n{a}->n{b}:80" for a, b in itertools.permutations(range(5), 2)]
            await links.create([spec(name) for name in names])
            states = await asyncio.gather(*(links.apply(name, LinkState(toxics=(SLOW, LOST))) for name in names))
            assert all(same_toxics((SLOW, LOST), state.toxics) for state in states)
            await links.heal_all()

    asyncio.run(main())


def test_unknown_links_bad_addresses_and_silence_are_link_errors(control, client, spec):
    async def main() -> None:
        async with aclosing(ToxiproxyLinks(control, timeout=20)) as links:
            with pytest.raises(LinkError, match="proxy not found"):
                await links.read("nobody->nothing:1")
            with pytest.raises(LinkError, match="proxy not found"):
                await links.apply("nobody->nothing:1", CLEAN)
            with pytest.raises(LinkError, match="cannot assign requested address"):
                await links.create([spec("a->b:1", "1.2.3.4:80")])
            await links.create([spec()])
            with pytest.raises(LinkError, match="not sent"):
                await links.apply(LINK, LinkState(toxics=(Toxic(name="t", type="slicer"),)))
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            silent = ToxiproxyLinks(f"127.0.0.1:{deaf.getsockname()[1]}", timeout=0.2)
            async with aclosing(silent):
                with pytest.raises(LinkError, match="no answer"):
                    await silent.read(LINK)

    asyncio.run(main())


def test_counters_tell_what_passed(control, client, link, wire, embedded):
    async def main() -> None:
        async with aclosing(ToxiproxyLinks(control, timeout=20)) as links:
            near, far = link.pair()
            await links.apply(link.name, LinkState(toxics=(Toxic(name="void", type="blackhole"),)))
            far.sendall(b"x" * 10)
            assert wire.silent(near, 0.2)
            found = (await links.counters())[link.name]
            assert (found.downstream.received, found.downstream.sent, found.hits) == (10, 0, {"void": 1})
            await links.apply(link.name, CLEAN)
            assert (await links.counters())[link.name].hits == {"void": 1}

    asyncio.run(main())


def test_a_port_that_is_taken_when_it_heals_is_said_and_healed_later(control, client, spec):
    async def main() -> None:
        async with aclosing(ToxiproxyLinks(control, timeout=20)) as links:
            await links.create([spec()])
            host, _, port = client.get(LINK).listen.rpartition(":")
            await links.apply(LINK, LinkState(enabled=False))
            with socket.create_server((host, int(port))):
                with pytest.raises(LinkError, match="address already in use"):
                    await links.apply(LINK, CLEAN)
                assert await links.read(LINK) == LinkState(enabled=False)
            assert await links.apply(LINK, CLEAN) == CLEAN

    asyncio.run(main())


def test_a_link_that_was_led_elsewhere_comes_back(control, client, caplog, spec):
    async def main() -> None:
        async with aclosing(ToxiproxyLinks(control, timeout=20)) as links:
            await links.create([spec()])
            client.update(LINK, upstream="127.0.0.1:10")
            await links.apply(LINK, LinkState(toxics=(SLOW,)))
            assert client.get(LINK).upstream == "127.0.0.1:9"

    asyncio.run(main())
    assert "somebody moved it" in caplog.text
