"""The life of an injection: from shortly before it to the proof that it is gone.

```
   ahead: who holds the role? ─▶ canaries learn ─▶ begin ─▶ still the holder? ─▶ seen? … on, off … ─▶ end ─▶ gone?
             ▲                                                  └ no: heal, once more ┐
             └────────────────────────────────────────────────────────────────────────┘
```
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from chaoskit.engine.block import Block
from chaoskit.engine.bypass import Bypass
from chaoskit.engine.placing import Placing
from chaoskit.errors import LinkError
from chaoskit.faults.evidence import Observation, Witness
from chaoskit.plan import Choice, Plan, PlannedInjection
from chaoskit.stack.effects import ActionEffect, Effect, NodeEffect
from chaoskit.units import NS

__all__ = ["Injections", "Step", "heal_limit", "steps_of"]

_GRACE_S = 2.0  # what healing may take before the supervisor does it by itself
_AHEAD_S = 1.0  # canaries learn a link this long before its fault
_REACT_S = 0.2  # looking for the bite ends this long before the fault does
_HEAL_S = 30.0  # what taking everything back may take at least, where nothing in it has a limit of its own
_MARGIN_S = 10.0  # to start a process or two on a busy machine, beyond those limits
_GONE_S = 10.0  # a healed link or node may take this long to be as before
_PLACE_S = 5.0  # somebody must hold the role this long after the fault should have begun
_ASK_AHEAD_S = 2.0  # who does is asked from this long before the fault on: to begin to ask takes a process


@dataclass(frozen=True)
class Step:
    """What changes at one instant inside an injection, `offset` seconds from its begin."""

    offset: float
    begins: tuple[Effect, ...] = ()
    ends: tuple[str, ...] = ()


def steps_of(effects: Iterable[Effect]) -> list[Step]:
    """When which effects begin and end by themselves, in order; those without an end of their own end with the
    injection. What begins at an instant comes before what ends at it, so that a link is never clean in between."""
    begins: dict[float, list[Effect]] = {}
    ends: dict[float, list[str]] = {}
    for effect in effects:
        begins.setdefault(effect.begins, []).append(effect)
        if effect.ends is not None:
            ends.setdefault(effect.ends, []).append(effect.id)
    return [Step(at, tuple(begins.get(at, ())), tuple(ends.get(at, ()))) for at in sorted({*begins, *ends})]


def heal_limit(plan: Plan) -> float:
    """Seconds that taking back all that a plan may begin can take: as long as the slowest of it is allowed to take.

    An action may be under way, and is then taken back; a killed node has its `start_timeout` to be ready again.
    """
    longest = _HEAL_S
    for effect in _effects(plan):
        if isinstance(effect, ActionEffect):
            longest = max(longest, 2 * effect.timeout)
        elif isinstance(effect, NodeEffect):
            longest = max(longest, plan.target.service_of(effect.node).start_timeout)
    return longest + _MARGIN_S


def _effects(plan: Plan) -> Iterator[Effect]:
    """Everything that may be begun, whoever holds a role."""
    for planned in plan.injections:
        for choice in (planned, *planned.choices.values()):
            yield from choice.effects


@dataclass
class Injections:
    """All injections of one cell.

    Attributes:
        phase: told of the phases `fault` and `recovery`, with the seconds planned for them.
        steady: set when faults may begin.
        active: sentences of what is injected now, by id.
        origin_ns: the cell's t=0.
    """

    block: Block
    bypass: Bypass
    phase: Callable[[str, float], None]
    steady: asyncio.Event
    active: dict[str, str] = field(default_factory=dict)
    origin_ns: int = 0

    @property
    def effects(self) -> list[str]:
        """Ids of everything that may have been begun, whoever held a role."""
        return list(dict.fromkeys(effect.id for effect in _effects(self.block.plan)))

    async def run(self) -> None:
        """Carry out all of them side by side.

        Raises:
            BaseExceptionGroup: of LinkError, TargetError ... (one could not be begun or changed), HealError (could not
            be taken back), StoreError (what happened could not be written down).
        """
        async with asyncio.TaskGroup() as group:
            for planned in self.block.plan.injections:
                group.create_task(_Life(self, planned).run())
        await self.bypass.count("healed")


class _Life:
    def __init__(self, injections: Injections, planned: PlannedInjection) -> None:
        block = injections.block
        self._all, self._planned = injections, planned
        self._block, self._supervisor, self._clock = block, block.supervisor, block.clock
        self._bent: set[str] = set()  # effects that are active now
        self._healed_ns = 0  # when the last one that ended by itself was read back as taken back

    async def run(self) -> None:
        """Carry it out; raises as `Injections.run`."""
        if self._planned.role is None:
            await self._attempt(self._planned)
        else:
            await self._beside(self._planned.role)

    async def _beside(self, role: str) -> None:
        """Place it relative to the node that holds the role; if that moves while it begins, once more."""
        planned = self._planned
        placing = Placing(self._supervisor, self._clock, role, planned.choices)
        last = planned.at + _PLACE_S if planned.until is None else min(planned.at + _PLACE_S, planned.until - _REACT_S)
        await self._until(planned.at - _ASK_AHEAD_S)
        try:
            for again in (False, True):
                try:
                    holder = await placing.choose(self._at(last))
                except LinkError as error:
                    self._event("unplaced", role=role, reason=error.message)
                    return
                choice = planned.choices[holder]
                self._event("placed", role=role, holder=holder, sentence=choice.sentence)
                moved = await self._attempt(choice, placing)
                if moved is None:
                    return
                self._event("moved", role=role, holder=holder, now=moved)
                if again:
                    self._event("unplaced", role=role, reason=f"{role} moved twice while it began, at last to {moved}")
        finally:
            await placing.stop()

    async def _attempt(self, choice: Choice, placing: Placing | None = None) -> str | None:
        """Begin it, see it bite, end it, see it gone. The node that the role has moved to meanwhile, if it has: then
        everything is taken back."""
        supervisor, planned = self._supervisor, self._planned
        steps = steps_of(choice.effects)
        witness = Witness(choice.evidence, self._block.stack.canaries, supervisor.pids, self._block.counters)
        try:
            await self._until(planned.at - _AHEAD_S)
            await self._all.bypass.baseline()
            await witness.before()
            await self._until(planned.at + steps[0].offset)
            await self._all.steady.wait()
            if (moved := await self._moved(placing)) is not None:
                return moved
            start = self._clock.now_ns() - round(steps[0].offset * NS)
            confirmed = await self._begin(steps[0], start)
            if (moved := await self._moved(placing, confirmed)) is not None:
                await supervisor.end([effect.id for effect in choice.effects])
                self._bent.clear()
                return moved
            if placing is not None:
                await placing.stop()
            self._all.active[planned.id] = choice.sentence
            ids = [effect.id for effect in steps[0].begins]
            self._event("begin", effects=ids, confirmed_ns=confirmed, sentence=choice.sentence)
            await self._last(choice, steps[1:], start, witness)
            self._prove("gone", "stayed", await witness.gone(time.monotonic() + _GONE_S))
            return None
        finally:
            witness.close()

    async def _moved(self, placing: Placing | None, begun_ns: int | None = None) -> str | None:
        """Who holds the role instead of the node that it was placed beside. Not to know where a fault has begun spoils
        it; that goes on record."""
        if placing is None:
            return None
        try:
            return await placing.moved(begun_ns)
        except LinkError as error:
            if begun_ns is not None:
                self._event("unplaced", role=self._planned.role, reason=error.message)
            return None

    async def _last(self, choice: Choice, steps: Sequence[Step], start: int, witness: Witness) -> None:
        """From its begin to its end."""
        planned, name, bypass = self._planned, self._planned.id, self._all.bypass
        if planned.until is not None:
            self._all.phase("fault", planned.until - planned.at)
            async with asyncio.TaskGroup() as meanwhile:
                meanwhile.create_task(bypass.look())
                meanwhile.create_task(bypass.count("start", name))
                meanwhile.create_task(self._change(steps, start, self._at(planned.until)))
                meanwhile.create_task(self._see(witness, self._at(planned.until - _REACT_S) / NS))
                await self._until(planned.until)
            await bypass.count("end", name)
        ended = await self._supervisor.end([effect.id for effect in choice.effects])
        del self._all.active[name]
        # Where the last effect had ended by itself, the system was healed from then on.
        self._event("end", confirmed_ns=ended if self._bent else self._healed_ns)
        if not self._all.active:
            left = self._at(self._block.plan.experiment.duration) - self._clock.now_ns()
            self._all.phase("recovery", max(left / NS, 0.0))
        if planned.until is None:  # an instant: what it did can only be seen after it
            await self._see(witness, time.monotonic() + _GONE_S)

    async def _change(self, steps: Sequence[Step], start: int, until: int) -> None:
        """Begin and end what does so inside the injection, at its offsets from the begin."""
        for step in steps:
            due = start + round(step.offset * NS)
            if due >= until:
                return
            await self._clock.sleep_until(due)
            if step.begins:
                confirmed = await self._begin(step, start)
                self._event("on", effects=[effect.id for effect in step.begins], confirmed_ns=confirmed)
            if step.ends:
                self._healed_ns = await self._supervisor.end(step.ends)
                self._bent.difference_update(step.ends)
                self._event("off", effects=list(step.ends), confirmed_ns=self._healed_ns)

    async def _begin(self, step: Step, start: int) -> int:
        """Begin effects, each with its own deadline; when the last of them was confirmed."""
        planned = self._planned
        until = self._at(planned.at if planned.until is None else planned.until)

        def deadline(effect: Effect) -> int:
            own = until if effect.ends is None else min(start + round(effect.ends * NS), until)
            return own + round(_GRACE_S * NS)

        confirmed = 0
        for end, effects in groupby(sorted(step.begins, key=deadline), key=deadline):
            these = list(effects)
            confirmed = await self._supervisor.begin(these, end)
            self._bent.update(effect.id for effect in these)
        return confirmed

    async def _see(self, witness: Witness, deadline: float) -> None:
        self._prove("seen", "unseen", await witness.seen(deadline))

    def _prove(self, yes: str, no: str, found: Sequence[Observation]) -> None:
        """Record what was seen: one word for the injection, one sentence per piece of evidence. Links that carried
        nothing can show nothing, and do not count as long as something was seen elsewhere."""
        told = [observation for observation in found if not observation.idle]
        missing = [observation.text for observation in told or found if not observation.seen]
        self._event(
            yes if told and not missing else no,
            evidence=[observation.text for observation in found],
            missing=missing,
            samples=[observation.samples for observation in found],
        )

    def _event(self, kind: str, **fields: Any) -> None:
        self._block.recorder.event(kind, id=self._planned.id, **fields)

    def _at(self, seconds: float) -> int:
        return self._all.origin_ns + round(seconds * NS)

    async def _until(self, seconds: float) -> None:
        await self._clock.sleep_until(self._at(seconds))
