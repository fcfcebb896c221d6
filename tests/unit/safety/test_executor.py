"""The executor: whatever begins and ends in whatever order, every link and node is what the active effects ask for."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaoskit.errors import HealError, LinkError
from chaoskit.safety.executor import Executor, links_by_destination
from chaoskit.stack.effects import (
    CLEAN,
    Effect,
    LinkEffect,
    LinkState,
    NodeEffect,
    Toxic,
    fold_links,
    fold_nodes,
)

LINKS = ("api->db:5432", "api->cache:6379", "client->api:8000")
NODES = ("db", "cache", "api")
LINKS_TO = links_by_destination(LINKS)
WAYS = ("upstream", "downstream")


def slow(identity: str, link: str, stream: Any = "downstream") -> LinkEffect:
    toxic = Toxic(name=identity.replace("/", "."), type="latency", stream=stream, attributes={"latency": 200})
    return LinkEffect(id=identity, injection=identity.split("/")[0], link=link, toxics=(toxic,))


def cut(identity: str, link: str) -> LinkEffect:
    return LinkEffect(id=identity, injection=identity.split("/")[0], link=link, enabled=False)


def silent(identity: str, link: str) -> LinkEffect:
    toxics = tuple(
        Toxic(name=f"{identity.replace('/', '.')}.{way}", type="blackhole", stream=way)  # type: ignore[arg-type]
        for way in WAYS
    )
    return LinkEffect(id=identity, injection=identity.split("/")[0], link=link, toxics=toxics)


def node(identity: str, name: str, state: Any) -> NodeEffect:
    return NodeEffect(id=identity, injection=identity.split("/")[0], node=name, state=state)


def executor(controls: Any) -> Executor:
    return Executor(controls, controls, LINKS_TO)


def expected_link(link: str, active: list[Effect]) -> LinkState:
    """Written down independently of the executor: the fold, and refusal while the destination is dead, of which nobody
    learns through silence."""
    state = fold_links(active).get(link, CLEAN)
    destination = link.split("->")[1].split(":")[0]
    if state.enabled and {toxic.stream for toxic in state.toxics if toxic.type == "blackhole"} >= set(WAYS):
        return state
    if fold_nodes(active).get(destination) == "killed":
        return LinkState(enabled=False, toxics=state.toxics)
    return state


effects = st.lists(
    st.one_of(
        st.builds(
            lambda link, way: ("slow", link, way), st.sampled_from(LINKS), st.sampled_from(("upstream", "downstream"))
        ),
        st.builds(lambda kind, link: (kind, link, ""), st.sampled_from(("cut", "silent")), st.sampled_from(LINKS)),
        st.builds(lambda name, state: (state, name, ""), st.sampled_from(NODES), st.sampled_from(("paused", "killed"))),
    ),
    min_size=1,
    max_size=7,
)


def made(drawn: list[tuple[str, str, str]]) -> list[Effect]:
    found: list[Effect] = []
    for number, (kind, place, way) in enumerate(drawn):
        identity = f"i{number}/1"
        if kind == "slow":
            found.append(slow(identity, place, way))
        elif kind in ("cut", "silent"):
            found.append((cut if kind == "cut" else silent)(identity, place))
        else:
            found.append(node(identity, place, kind))
    return found


def by_stream(state: LinkState) -> tuple[bool, list[Toxic]]:
    return state.enabled, sorted(state.toxics, key=lambda toxic: toxic.stream)


@settings(max_examples=150, deadline=None)
@given(drawn=effects, order=st.randoms(use_true_random=False))
def test_any_order_of_begin_and_end_folds_and_ends_clean(
    drawn: list[tuple[str, str, str]], order: random.Random, make_controls: Any
) -> None:
    async def main() -> None:
        controls = make_controls()
        subject = executor(controls)
        waiting, active = made(drawn), []
        while waiting or active:
            if waiting and (not active or order.random() < 0.5):
                effect = waiting.pop(order.randrange(len(waiting)))
                active.append(effect)
                confirmed = await subject.begin([effect])
            else:
                effect = active.pop(order.randrange(len(active)))
                confirmed = await subject.end([effect.id])
            for link in LINKS:
                want = expected_link(link, active)
                assert by_stream(controls.links.get(link, CLEAN)) == by_stream(want)
            for name in NODES:
                assert controls.nodes.get(name, "running") == fold_nodes(active).get(name, "running")
            for place, state in confirmed.state.items():
                assert state == controls.links.get(place, CLEAN) or state == controls.nodes.get(place, "running")
            assert not subject.unsettled
        await subject.heal_all()
        assert all(state == CLEAN for state in controls.links.values())
        assert all(state == "running" for state in controls.nodes.values())

    asyncio.run(main())


@settings(max_examples=150, deadline=None)
@given(drawn=effects, order=st.randoms(use_true_random=False))
def test_begins_and_ends_at_once_with_failures_heal_once_the_failures_stop(
    drawn: list[tuple[str, str, str]], order: random.Random, make_controls: Any
) -> None:
    async def life(subject: Executor, effect: Effect) -> None:
        for _ in range(order.randrange(4)):
            await asyncio.sleep(0)
        try:
            await subject.begin([effect])
        except (LinkError, HealError):
            pass
        for _ in range(order.randrange(4)):
            await asyncio.sleep(0)
        try:
            await subject.end([effect.id])
        except HealError:
            pass

    async def main() -> None:
        controls = make_controls()
        controls.fail = lambda name: order.random() < 0.3
        subject = executor(controls)
        await asyncio.gather(*(life(subject, effect) for effect in made(drawn)))
        assert subject.active == ()
        controls.fail = lambda name: False
        if subject.unsettled:
            await subject.retry()
        assert not subject.unsettled
        assert all(state == CLEAN for state in controls.links.values())
        assert all(state == "running" for state in controls.nodes.values())

    asyncio.run(main())


def test_only_differences_are_applied(controls: Any) -> None:
    async def main() -> None:
        subject = executor(controls)
        effect = slow("a/1", LINKS[0])
        await subject.begin([effect])
        await subject.begin([effect])  # again: nothing to do
        await subject.end(["a/1", "never-heard-of"])
        await subject.end(["a/1"])
        await subject.end([])
        assert controls.calls == [("apply", LINKS[0])] * 2

    asyncio.run(main())


def test_a_killed_node_refuses_and_its_links_open_only_when_it_runs(controls: Any) -> None:
    seen: list[bool] = []

    async def run(name: str) -> None:
        for _ in range(5):
            for _ in range(10):
                await asyncio.sleep(0)
            seen.append(controls.links[LINKS[0]].enabled)
        controls.nodes[name] = "running"

    async def main() -> None:
        subject = executor(controls)
        confirmed = await subject.begin([node("k/1", "db", "killed"), slow("k/2", LINKS[0])])
        assert confirmed.state["db"] == "killed"
        assert not controls.links[LINKS[0]].enabled and controls.links[LINKS[0]].toxics
        assert LINKS[1] not in controls.links
        controls.run = run
        ending = asyncio.create_task(subject.end(["k/1"]))
        await asyncio.sleep(0)
        await subject.begin([cut("c/1", LINKS[1])])  # is not held up by the start of the node
        await subject.begin([slow("s/1", LINKS[0])])  # while it starts, the link goes on refusing
        assert not controls.links[LINKS[0]].enabled and len(controls.links[LINKS[0]].toxics) == 2
        await ending
        assert seen == [False] * 5
        assert controls.links[LINKS[0]].enabled

    asyncio.run(main())


def test_nobody_learns_through_a_silent_cut_that_a_node_died(controls: Any) -> None:
    half = silent("h/1", LINKS[0]).model_copy(update={"toxics": silent("h/1", LINKS[0]).toxics[:1]})

    async def main() -> None:
        subject = executor(controls)
        await subject.begin([silent("c/1", LINKS[0])])
        await subject.begin([node("k/1", "db", "killed")])
        assert controls.links[LINKS[0]].silent and controls.links[LINKS[0]].enabled
        await subject.begin([half])
        await subject.end(["c/1"])  # what is left of the silence would let the client wait for a dead node
        assert not controls.links[LINKS[0]].enabled
        await subject.end(["h/1", "k/1"])
        assert controls.links[LINKS[0]] == CLEAN

    asyncio.run(main())


def test_failed_injection_is_rolled_back_and_the_first_error_reported(controls: Any) -> None:
    async def main() -> None:
        subject = executor(controls)
        await subject.begin([slow("keep/1", LINKS[1])])
        broken = [True]

        def fail(name: str) -> bool:
            return name == LINKS[2] and broken.pop() if broken else False

        controls.fail = fail
        with pytest.raises(LinkError, match=r"apply client->api:8000: told to fail"):
            await subject.begin([cut("new/1", LINKS[0]), cut("new/2", LINKS[2])])
        assert controls.links[LINKS[0]] == CLEAN and controls.links[LINKS[2]] == CLEAN
        assert controls.links[LINKS[1]].toxics  # others are left alone
        assert [effect.id for effect in subject.active] == ["keep/1"]

    asyncio.run(main())


def test_failure_beside_an_effect_that_was_active_leaves_it_active(controls: Any) -> None:
    async def main() -> None:
        subject = executor(controls)
        await subject.begin([cut("old/1", LINKS[0])])
        failures = [True]
        controls.fail = lambda name: name == LINKS[1] and bool(failures) and failures.pop()
        with pytest.raises(LinkError):
            await subject.begin([cut("old/1", LINKS[0]), cut("new/1", LINKS[1])])
        assert [effect.id for effect in subject.active] == ["old/1"]
        assert not controls.links[LINKS[0]].enabled

    asyncio.run(main())


def test_what_cannot_be_rolled_back_is_a_heal_error_and_can_be_retried(controls: Any) -> None:
    async def main() -> None:
        subject = executor(controls)
        controls.fail = lambda name: True
        with pytest.raises(HealError, match="could not be taken back"):
            await subject.begin([cut("new/1", LINKS[0])])
        assert subject.unsettled
        controls.fail = lambda name: False
        await subject.retry()
        assert not subject.unsettled and controls.links[LINKS[0]] == CLEAN

    asyncio.run(main())


def test_heal_all_goes_on_past_errors_and_names_what_is_left(controls: Any) -> None:
    async def main() -> None:
        subject = executor(controls)
        await subject.begin([cut("a/1", LINKS[0]), cut("a/2", LINKS[1]), node("a/3", "api", "paused")])
        controls.fail = lambda name: name == LINKS[1]
        with pytest.raises(HealError, match="1 of the links and nodes") as caught:
            await subject.heal_all()
        assert LINKS[1] in caught.value.message
        assert controls.links[LINKS[0]] == CLEAN and controls.nodes["api"] == "running"
        controls.fail = lambda name: False
        await subject.heal_all()
        assert controls.links[LINKS[1]] == CLEAN

    asyncio.run(main())


def test_heal_all_trusts_nothing_that_it_did_not_read(controls: Any) -> None:
    async def main() -> None:
        subject = executor(controls)
        await subject.begin([cut("a/1", LINKS[0])])
        await subject.end(["a/1"])
        controls.links[LINKS[0]] = LinkState(enabled=False)  # somebody else's doing
        await subject.heal_all(nodes=False)
        assert controls.links[LINKS[0]] == CLEAN

    asyncio.run(main())


def test_a_link_that_reads_back_otherwise_is_an_error(controls: Any) -> None:
    async def lie(link: str, state: LinkState) -> LinkState:
        return CLEAN

    async def main() -> None:
        subject = executor(controls)
        controls.apply = lie
        with pytest.raises(LinkError, match="reads back enabled with no toxics after it was to be disabled"):
            await subject.begin([cut("a/1", LINKS[0])])

    asyncio.run(main())


def test_a_bug_in_a_control_is_rolled_back_too(controls: Any) -> None:
    async def main() -> None:
        subject = executor(controls)
        apply, calls = controls.apply, []

        async def crash(link: str, state: LinkState) -> LinkState:
            calls.append(link)
            if len(calls) == 1:
                raise KeyError(link)
            return await apply(link, state)  # type: ignore[no-any-return]

        controls.apply = crash
        with pytest.raises(LinkError, match="KeyError"):
            await subject.begin([cut("a/1", LINKS[0])])
        assert subject.active == () and not subject.unsettled

    asyncio.run(main())
