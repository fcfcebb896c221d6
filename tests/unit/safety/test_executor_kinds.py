"""The executor beyond links: nodes that lose their data, burners and actions, overlapping in every order."""

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
    ActionEffect,
    Effect,
    LinkState,
    NodeEffect,
    StressEffect,
    fold_nodes,
    fold_stress,
    place_of,
)

LINKS = ("api->db:5432", "api->cache:6379")
NODES = ("db", "cache")
LINKS_TO = links_by_destination(LINKS)


def action(identity: str, name: str = "move", undo: str | None = "un-move") -> ActionEffect:
    return ActionEffect(
        id=identity, injection=identity.split("/")[0], action=name, undo=undo, arguments={"to": "n2"}, timeout=5.0
    )


def stress(identity: str, node: str, cpu: float) -> StressEffect:
    return StressEffect(id=identity, injection=identity.split("/")[0], node=node, cpu=cpu)


def node(identity: str, name: str, state: Any, *, wipe: bool = False) -> NodeEffect:
    return NodeEffect(id=identity, injection=identity.split("/")[0], node=name, state=state, wipe=wipe)


kinds = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(("paused", "killed", "wiped")), st.sampled_from(NODES)),
        st.tuples(st.sampled_from(("half", "one")), st.sampled_from(NODES)),
        st.tuples(st.just("action"), st.sampled_from(("move", "promote"))),
    ),
    min_size=1,
    max_size=8,
)


def made(drawn: list[tuple[str, str]]) -> list[Effect]:
    found: list[Effect] = []
    for number, (kind, place) in enumerate(drawn):
        identity = f"i{number}/1"
        if kind == "action":
            found.append(action(identity, place, f"un-{place}"))
        elif kind in ("half", "one"):
            found.append(stress(identity, place, 0.5 if kind == "half" else 1.0))
        else:
            state = "killed" if kind == "wiped" else kind
            found.append(node(identity, place, state, wipe=kind == "wiped"))
    return found


@settings(max_examples=200, deadline=None)
@given(drawn=kinds, order=st.randoms(use_true_random=False))
def test_kill_pause_stress_and_actions_overlap_in_any_order_and_end_as_before(
    drawn: list[tuple[str, str]], order: random.Random, make_controls: Any, make_acts: Any
) -> None:
    async def main() -> None:
        controls, acts = make_controls(), make_acts()
        subject = Executor(controls, controls, LINKS_TO, acts)
        waiting: list[Effect] = made(drawn)
        active: list[Effect] = []
        while waiting or active:
            if waiting and (not active or order.random() < 0.5):
                effect = waiting.pop(order.randrange(len(waiting)))
                active.append(effect)
                confirmed = await subject.begin([effect], deadline_ns=order.randrange(1, 1000))
            else:
                effect = active.pop(order.randrange(len(active)))
                confirmed = await subject.end([effect.id])
            assert place_of(effect) in confirmed.state
            for name in NODES:
                wanted = fold_nodes(active).get(name, "running")
                assert controls.nodes.get(name, "running") == wanted
                assert controls.burnt.get(name, 0.0) == fold_stress(active).get(name, 0.0)
                link = next(one for one in LINKS if f">{name}:" in one)
                assert controls.links.get(link, LinkState()).enabled is (wanted != "killed")
                # Data is lost as soon as one effect that is active asks for it, and only then.
                asked = any(isinstance(e, NodeEffect) and e.wipe and e.node == name for e in active)
                if asked:
                    assert name in controls.wiped
            for name in ("move", "promote"):
                assert acts.done[name] == sum(isinstance(e, ActionEffect) and e.action == name for e in active)
            assert not subject.unsettled
        for name in NODES:
            asks = sum(kind == "wiped" and place == name for kind, place in drawn)
            assert controls.lost[name] <= asks  # never more often than asked
            assert (controls.lost[name] > 0) is (asks > 0)

    asyncio.run(main())


@settings(max_examples=100, deadline=None)
@given(drawn=kinds, order=st.randoms(use_true_random=False))
def test_with_failures_everything_is_as_before_once_they_stop(
    drawn: list[tuple[str, str]], order: random.Random, make_controls: Any, make_acts: Any
) -> None:
    async def life(subject: Executor, effect: Effect) -> None:
        for verb in (lambda: subject.begin([effect]), lambda: subject.end([effect.id])):
            for _ in range(order.randrange(5)):
                await asyncio.sleep(0)
            try:
                await verb()
            except (LinkError, HealError):
                pass

    async def main() -> None:
        controls, acts = make_controls(), make_acts()
        controls.fail = acts.fail = lambda name: order.random() < 0.3
        subject = Executor(controls, controls, LINKS_TO, acts)
        await asyncio.gather(*(life(subject, effect) for effect in made(drawn)))
        controls.fail = acts.fail = lambda name: False
        if subject.unsettled:
            await subject.retry()
        assert not subject.unsettled and subject.active == ()
        assert all(state == "running" for state in controls.nodes.values())
        assert all(cpu == 0.0 for cpu in controls.burnt.values())
        assert all(state == LinkState() for state in controls.links.values())
        for effect in made(drawn):
            if isinstance(effect, ActionEffect):
                calls = [name for name, _ in acts.calls if name.removeprefix("un-") == effect.action]
                assert not calls or calls[-1] == effect.undo  # the last word is the undo's

    asyncio.run(main())


def test_data_of_a_dead_node_is_thrown_away_as_well_and_only_once(controls: Any) -> None:
    async def main() -> None:
        subject = Executor(controls, controls, LINKS_TO)
        await subject.begin([node("keep/1", "db", "killed")])
        await subject.begin([node("lose/1", "db", "killed", wipe=True)])
        await subject.begin([node("again/1", "db", "killed", wipe=True)])
        assert [verb for verb, name in controls.calls if name == "db"] == ["kill", "wipe"]
        await subject.end(["lose/1", "keep/1"])
        assert controls.nodes["db"] == "killed"
        await subject.end(["again/1"])
        assert controls.nodes["db"] == "running" and controls.lost["db"] == 1
        await subject.begin([node("more/1", "db", "killed", wipe=True)])
        assert controls.lost["db"] == 2

    asyncio.run(main())


def test_stress_adds_up_and_ends_by_itself_with_the_last_of_it(controls: Any) -> None:
    async def main() -> None:
        subject = Executor(controls, controls, LINKS_TO)
        confirmed = await subject.begin([stress("a/1", "db", 1.0)], deadline_ns=100)
        assert confirmed.state == {"stress:db": 1.0} and controls.ends["db"] == 100
        await subject.begin([stress("b/1", "db", 0.5)], deadline_ns=50)
        assert controls.burnt["db"] == 1.5 and controls.ends["db"] == 100
        await subject.begin([stress("a/1", "db", 1.0)], deadline_ns=300)  # again: only the deadline moves
        assert controls.burnt["db"] == 1.5 and controls.ends["db"] == 300
        await subject.end(["a/1"])
        assert controls.burnt["db"] == 0.5 and controls.ends["db"] == 50
        await subject.end(["b/1"])
        assert controls.burnt["db"] == 0.0

    asyncio.run(main())


def test_too_little_stress_is_no_stress(controls: Any) -> None:
    async def half(node: str, cpu: float, until_ns: int | None = None) -> float:
        return cpu / 2

    async def main() -> None:
        controls.stress = half
        subject = Executor(controls, controls, LINKS_TO)
        with pytest.raises(LinkError, match=r"0\.5 processors are burnt beside db after it was to be 1"):
            await subject.begin([stress("a/1", "db", 1.0)])
        assert subject.active == ()

    asyncio.run(main())


def test_an_action_is_done_once_and_taken_back_once(controls: Any, make_acts: Any) -> None:
    async def main() -> None:
        acts = make_acts()
        subject = Executor(controls, controls, LINKS_TO, acts)
        confirmed = await subject.begin([action("a/1")])
        assert confirmed.state == {"action:move": "move returned"}
        await subject.begin([action("a/1")])
        await subject.end(["a/1"])
        await subject.end(["a/1"])
        await subject.heal_all()
        assert acts.calls == [("move", {"to": "n2"}), ("un-move", {"to": "n2"})]

    asyncio.run(main())


def test_an_action_that_nothing_takes_back_is_let_be(controls: Any, make_acts: Any) -> None:
    async def main() -> None:
        acts = make_acts()
        subject = Executor(controls, controls, LINKS_TO, acts)
        await subject.begin([action("a/1", undo=None)])
        await subject.end(["a/1"])
        acts.fail = lambda name: True
        with pytest.raises(LinkError, match="move: told to fail"):
            await subject.begin([action("b/1", undo=None)])
        assert [name for name, _ in acts.calls] == ["move", "move"] and not subject.unsettled

    asyncio.run(main())


def test_an_action_that_fails_half_way_is_taken_back(controls: Any, make_acts: Any) -> None:
    async def main() -> None:
        acts = make_acts()
        acts.fail = lambda name: name == "move"
        subject = Executor(controls, controls, LINKS_TO, acts)
        with pytest.raises(LinkError, match="move: told to fail"):
            await subject.begin([action("a/1")])
        assert [name for name, _ in acts.calls] == ["move", "un-move"] and not subject.unsettled

    asyncio.run(main())


def test_an_undo_that_fails_is_tried_again(controls: Any, make_acts: Any) -> None:
    async def main() -> None:
        acts = make_acts()
        subject = Executor(controls, controls, LINKS_TO, acts)
        await subject.begin([action("a/1")])
        acts.fail = lambda name: name == "un-move"
        with pytest.raises(HealError, match="un-move: told to fail"):
            await subject.end(["a/1"])
        assert subject.unsettled
        with pytest.raises(LinkError):
            await subject.retry()
        acts.fail = lambda name: False
        await subject.retry()
        assert not subject.unsettled
        assert [name for name, _ in acts.calls] == ["move", "un-move", "un-move", "un-move"]

    asyncio.run(main())


def test_an_action_under_way_is_waited_for_and_then_taken_back(controls: Any, make_acts: Any) -> None:
    async def main() -> None:
        acts = make_acts()
        acts.held.clear()
        subject = Executor(controls, controls, LINKS_TO, acts)
        beginning = asyncio.create_task(subject.begin([action("a/1")]))
        while not acts.calls:
            await asyncio.sleep(0)
        ending = asyncio.create_task(subject.end(["a/1"]))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not ending.done() and len(acts.calls) == 1  # the undo does not overtake what it undoes
        acts.held.set()
        await asyncio.gather(beginning, ending)
        assert [name for name, _ in acts.calls] == ["move", "un-move"] and not acts.done["move"]

    asyncio.run(main())


def test_an_action_whose_caller_gave_up_goes_on_and_is_taken_back(controls: Any, make_acts: Any) -> None:
    async def main() -> None:
        acts = make_acts()
        acts.held.clear()
        subject = Executor(controls, controls, LINKS_TO, acts)
        beginning = asyncio.create_task(subject.begin([action("a/1")]))
        while not acts.calls:
            await asyncio.sleep(0)
        beginning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await beginning
        assert subject.unsettled
        asyncio.get_running_loop().call_later(0.01, acts.held.set)
        await subject.end(["a/1"])
        assert [name for name, _ in acts.calls] == ["move", "un-move"] and not acts.done["move"]

    asyncio.run(main())


def test_where_the_stack_ends_nothing_is_taken_back_and_nothing_goes_on(controls: Any, make_acts: Any) -> None:
    async def main() -> None:
        acts = make_acts()
        subject = Executor(controls, controls, LINKS_TO, acts)
        await subject.begin([action("a/1"), stress("s/1", "db", 1.0)])
        acts.held.clear()
        hanging = asyncio.create_task(subject.begin([action("b/1", "promote", "un-promote")]))
        while len(acts.calls) < 2:
            await asyncio.sleep(0)
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)
        await subject.heal_all(nodes=False)
        assert [name for name, _ in acts.calls] == ["move", "promote"] and not subject.unsettled
        assert controls.burnt["db"] == 1.0  # ends with the stack

    asyncio.run(main())


def test_a_target_without_actions_says_so(controls: Any) -> None:
    async def main() -> None:
        with pytest.raises(LinkError, match="the target declares no action"):
            await Executor(controls, controls, LINKS_TO).begin([action("a/1", undo=None)])

    asyncio.run(main())
