"""The life of an injection in virtual time, with a supervisor that only keeps a diary."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chaoskit.clock import VirtualClock
from chaoskit.contracts import Sighting
from chaoskit.engine import injecting
from chaoskit.engine.block import Block
from chaoskit.engine.bypass import Bypass
from chaoskit.engine.injecting import Injections, heal_limit, steps_of
from chaoskit.engine.record import Recorder
from chaoskit.errors import LinkError
from chaoskit.faults.evidence import Observation
from chaoskit.plan import Choice, PlannedInjection
from chaoskit.stack.effects import ActionEffect, Effect, Evidence, LinkEffect, NodeEffect
from chaoskit.toxiproxy.model import FlowCounters, LinkCounters

S = 1_000_000_000


def cut(number: int, begins: float = 0.0, ends: float | None = None, link: str = "a->b:1") -> LinkEffect:
    return LinkEffect(id=f"x/{number}", injection="x", link=link, enabled=False, begins=begins, ends=ends)


def planned(*effects: LinkEffect, at: float = 2.0, until: float | None = 8.0, **more: Any) -> PlannedInjection:
    return PlannedInjection(
        id="x", fault="f", at=at, until=until, effects=effects, evidence=(), sentence="a->b:1 is cut", **more
    )


class Diary:
    """A supervisor: effects are active, and stamped, at once."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.active: set[str] = set()
        self.lines: list[tuple[float, str, tuple[str, ...]]] = []
        self.deadlines: dict[str, float] = {}
        self.holders: list[tuple[float, str | None]] = []  # from when on (s) who holds the role; "!..." = an error
        self.followed_ns: int | None = None
        self.slow_ns = 0  # what a begin takes
        self.stray: list[dict[str, str]] = []

    async def begin(self, effects: Sequence[Effect], deadline_ns: int) -> int:
        ids = tuple(effect.id for effect in effects)
        self.active |= set(ids)
        await self.clock.sleep_until(self.clock.now_ns() + self.slow_ns)
        self.deadlines.update(dict.fromkeys(ids, deadline_ns / S))
        return self._note("begin", ids)

    async def end(self, ids: Sequence[str]) -> int:
        found = tuple(name for name in ids if name in self.active)
        self.active -= set(found)
        return self._note("end", found)

    async def follow(self, role: str, seconds: float) -> list[Sighting]:
        """Ten answers a second, each at once."""
        now = self.clock.now_ns()
        if seconds == 0:
            self.followed_ns = None
            return []
        if self.followed_ns is None:
            self.followed_ns = now
        return [self._sighting(t) for t in range(self.followed_ns, now + 1, S // 10)]

    def _sighting(self, t: int) -> Sighting:
        holder = [who for since, who in self.holders if round(since * S) <= t][-1]
        error = holder is not None and holder.startswith("!")
        return Sighting(t, t, None if error else holder, str(holder)[1:] if error else "")

    async def strays(self) -> list[dict[str, str]]:
        return self.stray

    async def pids(self, node: str) -> list[dict[str, object]]:
        return []

    def _note(self, what: str, ids: tuple[str, ...]) -> int:
        self.lines.append((self.clock.now_ns() / S, what, ids))
        return self.clock.now_ns()


class Eye:
    """A witness that sees what the test says."""

    says: tuple[Observation, ...] = ()

    def __init__(self, *_: object) -> None:
        pass

    async def before(self) -> None:
        pass

    async def seen(self, deadline: float) -> tuple[Observation, ...]:
        return self.says

    gone = seen

    def close(self) -> None:
        pass


class Stage:
    """Everything that the injections of a cell need, and what they wrote."""

    def __init__(self, *injections: PlannedInjection) -> None:
        self.clock = VirtualClock()
        self.supervisor = Diary(self.clock)
        self.events: list[dict[str, Any]] = []
        self.phases: list[tuple[str, float]] = []
        self.counted = {"a->b:1": LinkCounters(upstream=FlowCounters(received=7, sent=7))}
        plan = SimpleNamespace(injections=injections, experiment=SimpleNamespace(duration=20.0))
        self.block = Block(
            plan=plan,  # type: ignore[arg-type]
            stack=SimpleNamespace(canaries={}),  # type: ignore[arg-type]
            supervisor=self.supervisor,  # type: ignore[arg-type]
            recorder=Recorder(self.clock, [SimpleNamespace(event=lambda event: self.events.append(dict(event)))]),
            folder=None,  # type: ignore[arg-type]
            place=Path("/"),
            counters=self._counters,
            clock=self.clock,
        )
        self.bypass = Bypass(self.block)
        steady = asyncio.Event()
        steady.set()
        self.injections = Injections(
            self.block, self.bypass, lambda name, s: self.phases.append((name, round(s, 3))), steady
        )

    async def _counters(self) -> dict[str, LinkCounters]:
        return self.counted

    async def run(self, seconds: float = 20.0) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.injections.run())
            for _ in range(5):  # until all of them sleep
                await asyncio.sleep(0)
            for _ in range(round(seconds * 20)):
                await self.clock.advance(S // 20)

    def of(self, *kinds: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["kind"] in kinds]


@pytest.fixture(autouse=True)
def eye(monkeypatch: pytest.MonkeyPatch) -> type[Eye]:
    monkeypatch.setattr(injecting, "Witness", Eye)
    monkeypatch.setattr(Eye, "says", ())
    return Eye


def play(*injections: PlannedInjection, before: Callable[[Stage], None] = lambda stage: None) -> Stage:
    async def main() -> Stage:
        stage = Stage(*injections)
        before(stage)
        await stage.run()
        return stage

    return asyncio.run(main())


def test_steps_in_order_and_what_begins_comes_before_what_ends() -> None:
    steps = steps_of([cut(1, 0, 1), cut(2, 1, 2), cut(3, 0), cut(4, 2)])
    assert [(s.offset, [e.id for e in s.begins], list(s.ends)) for s in steps] == [
        (0.0, ["x/1", "x/3"], []),
        (1.0, ["x/2"], ["x/1"]),
        (2.0, ["x/4"], ["x/2"]),
    ]


def test_an_effect_without_times_lasts_as_long_as_its_injection() -> None:
    stage = play(planned(cut(1)))
    assert stage.supervisor.lines == [(2.0, "begin", ("x/1",)), (8.0, "end", ("x/1",))]
    assert stage.supervisor.deadlines == {"x/1": 10.0}
    assert [(e["kind"], e["t"] / S) for e in stage.of("begin", "end")] == [("begin", 2.0), ("end", 8.0)]
    assert stage.phases == [("fault", 6.0), ("recovery", 12.0)]
    assert stage.injections.active == {}


def test_effects_begin_and_end_at_their_offsets_each_with_its_own_deadline() -> None:
    stage = play(planned(cut(1, 0, 1), cut(2, 2, 3), cut(3, 4), cut(4, 9)))
    assert stage.supervisor.lines == [
        (2.0, "begin", ("x/1",)), (3.0, "end", ("x/1",)), (4.0, "begin", ("x/2",)), (5.0, "end", ("x/2",)),
        (6.0, "begin", ("x/3",)), (8.0, "end", ("x/3",)),
    ]  # fmt: skip
    assert stage.supervisor.deadlines == {"x/1": 5.0, "x/2": 7.0, "x/3": 10.0}  # x/4 lies behind the end
    assert [(e["kind"], e["t"] / S, e["effects"]) for e in stage.of("on", "off")] == [
        ("off", 3.0, ["x/1"]), ("on", 4.0, ["x/2"]), ("off", 5.0, ["x/2"]), ("on", 6.0, ["x/3"]),
    ]  # fmt: skip
    (end,) = stage.of("end")
    assert end["confirmed_ns"] == 8 * S


def test_the_window_ends_with_the_last_effect_that_ended_by_itself() -> None:
    stage = play(planned(cut(1, 0, 1), cut(2, 2, 3)))
    (begin,), (end,) = stage.of("begin"), stage.of("end")
    assert (begin["confirmed_ns"], end["confirmed_ns"], end["t"]) == (2 * S, 5 * S, 8 * S)


def test_an_instant_is_taken_back_at_once() -> None:
    stage = play(planned(cut(1), until=None))
    assert stage.supervisor.lines == [(2.0, "begin", ("x/1",)), (2.0, "end", ("x/1",))]
    assert stage.phases == [("recovery", 18.0)]


def test_a_change_that_fails_ends_the_injection_at_once() -> None:
    def before(stage: Stage) -> None:
        begin = stage.supervisor.begin

        async def refuse(effects: Sequence[Effect], deadline_ns: int) -> int:
            if effects[0].id == "x/2":
                raise LinkError("it would not")
            return await begin(effects, deadline_ns)

        stage.supervisor.begin = refuse  # type: ignore[method-assign]

    with pytest.raises(BaseExceptionGroup) as caught:
        play(planned(cut(1, 0, 1), cut(2, 2)), before=before)
    assert caught.group_contains(LinkError, match="it would not")


def seen(kind: str, *, bites: bool, idle: bool = False) -> Observation:
    return Observation(evidence=Evidence(kind=kind), seen=bites, text=kind, idle=idle)


@pytest.mark.parametrize(
    ("says", "word"),
    [
        ([seen("a", bites=True), seen("b", bites=False, idle=True)], "seen"),
        ([seen("a", bites=True), seen("b", bites=False)], "unseen"),
        ([seen("a", bites=False, idle=True)], "unseen"),
        ([], "unseen"),
    ],
)
def test_an_idle_link_can_show_nothing_and_hides_nothing(eye: type[Eye], says: list[Observation], word: str) -> None:
    eye.says = tuple(says)
    stage = play(planned(cut(1)))
    assert [event["kind"] for event in stage.of("seen", "unseen")] == [word]


def beside(**choices: LinkEffect) -> PlannedInjection:
    found = {
        name: Choice(links=(effect.link,), effects=(effect,), evidence=(), sentence=f"{name} is cut off")
        for name, effect in choices.items()
    }
    return planned(*next(iter(found.values())).effects, role="leader", choices=found)


N1, N2 = cut(1, link="n1->n2:1"), cut(1, link="n2->n1:1")


def led(*holders: tuple[float, str | None], slow: float = 0.0) -> Stage:
    """What becomes of the fault beside a leader, when these lead from these instants on; it is to begin at 2 s."""

    def before(stage: Stage) -> None:
        stage.supervisor.holders.extend(holders)
        stage.supervisor.slow_ns = round(slow * S)

    stage = play(beside(n1=N1, n2=N2), before=before)
    assert stage.supervisor.active == set()
    assert stage.supervisor.followed_ns is None  # nobody is asked any more
    return stage


def test_a_fault_is_placed_beside_the_one_who_leads() -> None:
    stage = led((0, "n2"))
    (placed,), (begin,) = stage.of("placed"), stage.of("begin")
    assert (placed["holder"], placed["sentence"], begin["sentence"]) == ("n2", "n2 is cut off", "n2 is cut off")
    assert stage.of("moved", "unplaced") == []


def test_a_leader_that_moves_before_it_begins_is_followed() -> None:
    stage = led((0, "n1"), (1.5, "n2"))
    assert [line[1] for line in stage.supervisor.lines] == ["begin", "end"]
    assert [(e["kind"], e.get("holder")) for e in stage.of("placed", "moved", "begin")] == [
        ("placed", "n1"), ("moved", "n1"), ("placed", "n2"), ("begin", None),
    ]  # fmt: skip


def test_a_leader_that_moves_while_it_begins_is_followed_once() -> None:
    stage = led((0, "n1"), (2.1, "n2"), slow=0.15)
    assert [line[1] for line in stage.supervisor.lines] == ["begin", "end", "begin", "end"]
    assert [(e["kind"], e.get("holder")) for e in stage.of("placed", "moved", "begin")] == [
        ("placed", "n1"), ("moved", "n1"), ("placed", "n2"), ("begin", None),
    ]  # fmt: skip
    assert stage.of("unplaced") == []


def test_a_leader_that_moves_twice_spoils_it() -> None:
    stage = led((0, "n1"), (2.1, "n2"), (2.4, "n1"), slow=0.15)
    assert [line[1] for line in stage.supervisor.lines] == ["begin", "end", "begin", "end"]
    (unplaced,) = stage.of("unplaced")
    assert unplaced["reason"] == "leader moved twice while it began, at last to n1"
    assert stage.of("begin") == []


@pytest.mark.parametrize("later", [None, "n2"])
def test_to_lose_the_lead_by_the_cut_is_no_move(later: str | None) -> None:
    stage = led((0, "n1"), (2.2, later), slow=0.1)
    assert len(stage.of("begin")) == 1
    assert stage.of("moved", "unplaced") == []


def test_an_election_is_waited_for() -> None:
    stage = led((0, None), (3.0, "n1"))
    (begin,) = stage.of("begin")
    assert begin["t"] / S == pytest.approx(3.0, abs=0.2)
    assert stage.of("moved", "unplaced") == []


@pytest.mark.parametrize(
    ("holder", "words"), [(None, "nobody held it"), ("!leader() raised", "leader() raised"), ("n9", "n9 held it")]
)
def test_where_nobody_leads_nothing_is_injected(holder: str | None, words: str) -> None:
    stage = led((0, holder))
    assert stage.supervisor.lines == []
    (unplaced,) = stage.of("unplaced")
    assert words in unplaced["reason"]
    assert unplaced["t"] / S == pytest.approx(7.0, abs=0.3)  # it had 5 s


def test_not_to_know_who_leads_when_it_has_begun_goes_on_record() -> None:
    stage = led((0, "n1"), (2.05, "!it hangs"), slow=0.1)
    (unplaced,) = stage.of("unplaced")
    assert "was not known when it had begun: it hangs" in unplaced["reason"]
    assert len(stage.of("begin")) == 1


def test_all_that_may_have_begun_is_known_to_the_clean_up() -> None:
    async def main() -> list[str]:
        return Stage(beside(n1=N1, n2=cut(2))).injections.effects

    assert asyncio.run(main()) == ["x/1", "x/2"]


def test_links_are_counted_before_the_first_canary_and_around_each_injection() -> None:
    one, other = planned(cut(1)), planned(cut(2), at=4.0, until=6.0).model_copy(update={"id": "y"})
    stage = play(one, other)
    found = [(e["when"], e.get("id"), e["t"] / S) for e in stage.of("counters")]
    assert found == [
        ("baseline", None, 1.0), ("start", "x", 2.0), ("start", "y", 4.0), ("end", "y", 6.0), ("end", "x", 8.0),
        ("healed", None, 8.0),
    ]  # fmt: skip
    assert stage.of("counters")[0]["links"]["a->b:1"]["upstream"] == {"received": 7, "sent": 7}


def test_where_nobody_counts_or_no_answer_comes_nothing_is_written() -> None:
    assert play(planned(cut(1)), before=lambda stage: stage.counted.clear()).of("counters") == []

    def broken(stage: Stage) -> None:
        async def fail() -> dict[str, LinkCounters]:
            raise LinkError("no answer")

        object.__setattr__(stage.block, "counters", fail)

    stage = play(planned(cut(1)), before=broken)
    assert stage.of("counters") == []
    assert len(stage.of("end")) == 1


def test_a_leak_is_told_once() -> None:
    async def main() -> list[dict[str, Any]]:
        stage = Stage()
        watch = asyncio.create_task(stage.bypass.watch())
        await asyncio.sleep(0)
        for second in range(5):
            stage.supervisor.stray = [{"destination": "b:1", "source": "a"}][: second // 2]
            await stage.clock.advance(S)
        watch.cancel()
        return stage.of("leaked")

    (leak,) = asyncio.run(main())
    assert (leak["destination"], leak["source"]) == ("b:1", "a")


def test_healing_has_as_long_as_the_slowest_of_what_it_takes_back_may_take() -> None:
    def limit(*effects: Effect, role: bool = False) -> float:
        first = planned() if role else planned(*effects)  # type: ignore[arg-type]
        choices = {"n1": Choice(effects=effects, evidence=(), sentence="")} if role else {}
        plan: Any = SimpleNamespace(
            injections=[first.model_copy(update={"choices": choices})],
            target=SimpleNamespace(
                service_of=lambda node: SimpleNamespace(start_timeout=50.0 if node == "slow" else 5.0)
            ),
        )
        return heal_limit(plan)

    action = ActionEffect(id="x/1", injection="x", action="move", undo="back", timeout=60.0)
    assert limit(cut(1)) > 30
    assert limit(NodeEffect(id="x/1", injection="x", node="quick", state="killed")) == limit(cut(1))
    assert limit(NodeEffect(id="x/1", injection="x", node="slow", state="killed")) > 50
    assert limit(cut(1), action) == limit(action, role=True) > 120  # it ends, then it is undone
