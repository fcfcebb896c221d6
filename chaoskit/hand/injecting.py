"""The life of one fault by hand: begun, seen to bite, taken back when its time is over or when it is asked to, seen to
be gone. The supervisor holds a deadline a little later, in case nobody here is able to."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from chaoskit.engine.injecting import Step, steps_of
from chaoskit.errors import ChaosKitError, HealError
from chaoskit.faults.evidence import Observation, Witness
from chaoskit.faults.model import Compiled
from chaoskit.hand.aiming import Order
from chaoskit.safety.session import Supervisor
from chaoskit.stack.effects import Effect, Evidence, NodeEffect, fold_links
from chaoskit.units import NS

__all__ = ["Injected", "visible"]

_log = logging.getLogger("chaoskit.keeper")
_GRACE_S = 2.0  # what healing may take before the supervisor does it by itself
_INSTANT_S = 60.0  # a node that is started again may take this long
_LOOK_S = 10.0  # looking for the bite, and for the heal, ends after this
_REACT_S = 0.2  # looking for the bite ends this long before the fault does


def visible(compiled: Compiled, active: Iterable[Effect]) -> tuple[Evidence, ...]:
    """The evidence of a fault without what the active ones hide: over a link that is cut nobody sees whether the node
    behind it runs; its processes show it."""
    if not any(isinstance(effect, NodeEffect) for effect in compiled.effects):
        return compiled.evidence
    cut = {link for link, state in fold_links(active).items() if state.silent or not state.enabled}
    return tuple(item for item in compiled.evidence if item.link not in cut)


class Injected:
    """One fault. `begin` first; everything after it happens by itself.

    Args:
        identity: unique in the stack. compiled: what is done. witness: watches it; closed here.
        changed: told when something is to be said (`seen`, `gone`, ...), with the fault's `summary`.
    """

    def __init__(
        self,
        identity: str,
        order: Order,
        compiled: Compiled,
        supervisor: Supervisor,
        witness: Witness,
        changed: Callable[[str, Mapping[str, Any]], None],
    ) -> None:
        self.id, self.order, self.compiled = identity, order, compiled
        self.state = "beginning"  # active, healed, unhealed
        self._supervisor, self._witness, self._changed = supervisor, witness, changed
        self._start = time.monotonic_ns()
        self._began = time.time()
        self._why = ""
        self._evidence: tuple[Observation, ...] = ()
        self._gone: tuple[Observation, ...] = ()
        self._task: asyncio.Task[None] | None = None
        self._begun = asyncio.Event()  # or not, but it is decided

    @property
    def active(self) -> bool:
        """Whether something may still be bent."""
        return self.state in ("beginning", "active", "unhealed")

    def summary(self) -> dict[str, Any]:
        """As JSON: what, since when, until when, what was seen of it."""
        duration = self.order.duration
        return {
            "id": self.id,
            "fault": self.order.fault,
            "on": list(self.order.on),
            "sentence": self.compiled.sentence,
            "notes": list(self.compiled.notes),
            "links": sorted({e.link for e in self.compiled.effects if e.kind == "link"}),
            "state": self.state,
            "began": self._began,
            "until": None if duration is None else self._began + duration,
            "left_s": None if duration is None or not self.active else max(self._end_ns() / NS - time.monotonic(), 0.0),
            "why": self._why,
            "seen": _all(self._evidence),
            "evidence": [o.text for o in self._evidence],
            "gone": _all(self._gone),
            "gone_evidence": [o.text for o in self._gone],
        }

    async def begin(self) -> None:
        """Inject; returns when the changed state was read back, and goes on by itself.

        Raises:
            ChaosKitError: it could not be done and was taken back (HealError: not even that).
        """
        first, *steps = steps_of(self.compiled.effects)
        try:
            await self._witness.before()
            self._start, self._began = time.monotonic_ns() - round(first.offset * NS), time.time()
            await self._begin(first.begins)
        except BaseException as error:
            self.state = "unhealed" if isinstance(error, HealError) else "healed"
            self._why = str(error)
            self._witness.close()
            raise
        finally:
            self._begun.set()
        self.state = "active"
        self._task = asyncio.create_task(self._live(steps))

    async def heal(self, why: str) -> None:
        """Take it back now; returns when it was read back and seen to be gone. Idempotent.

        Raises:
            HealError: it could not be taken back; the supervisor goes on trying.
        """
        await self._begun.wait()
        if not self.active:
            return
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        await self._heal(why)

    def expired(self) -> None:
        """The supervisor has taken it back at the deadline."""
        if self.active:
            self.state, self._why = "healed", "the supervisor took it back at its deadline"
            self._changed("healed", self.summary())

    def drop(self) -> None:
        """The stack is gone, and the fault with it."""
        if self._task is not None:
            self._task.cancel()
        self._witness.close()

    async def _live(self, steps: Sequence[Step]) -> None:
        try:
            if self.order.duration is None:  # an instant: what it did can only be seen after it
                await self._supervisor.end([effect.id for effect in self.compiled.effects])
                await self._look(time.monotonic() + _LOOK_S)
                await self._heal("it is an instant")
                return
            changing = asyncio.create_task(self._change(steps))
            try:
                await self._look(min(self._end_ns() / NS - _REACT_S, time.monotonic() + _LOOK_S))
                await self._until(self.order.duration)
            finally:
                changing.cancel()
                await asyncio.wait({changing})
            await self._heal("its time was over")
        except ChaosKitError as error:  # the supervisor goes on trying
            _log.warning("%s: %s", self.id, error)
            self._unhealed(error)
        except Exception as error:
            _log.exception("%s: our bug", self.id)
            self._unhealed(error)

    async def _change(self, steps: Sequence[Step]) -> None:
        """What begins later or ends earlier than the injection (a link that flaps)."""
        for step in steps:
            await self._until(step.offset)
            try:
                if step.begins:
                    await self._begin(step.begins)
                if step.ends:
                    await self._supervisor.end(step.ends)
            except ChaosKitError as error:
                self._why = str(error)
                _log.warning("%s: %s", self.id, error)

    async def _begin(self, effects: Sequence[Effect]) -> None:
        duration = self.order.duration
        ends = [effect.ends if effect.ends is not None else duration for effect in effects]
        last = max((end for end in ends if end is not None), default=None)
        grace = _GRACE_S if last is not None else _INSTANT_S
        await self._supervisor.begin(effects, self._start + round(((last or 0.0) + grace) * NS))

    async def _look(self, deadline: float) -> None:
        self._evidence = await self._witness.seen(deadline)
        self._changed("seen" if _all(self._evidence) else "unseen", self.summary())

    async def _heal(self, why: str) -> None:
        try:
            await self._supervisor.end([effect.id for effect in self.compiled.effects])
            if self.state != "healed":  # the supervisor may have been first
                self.state, self._why = "healed", why
            self._gone = await self._witness.gone(time.monotonic() + _LOOK_S)
            self._changed("gone" if _all(self._gone) else "stayed", self.summary())
        except HealError as error:
            self._unhealed(error)
            raise
        finally:
            self._witness.close()

    def _unhealed(self, error: Exception) -> None:
        self.state, self._why = "unhealed", str(error)
        self._changed("unhealed", self.summary())

    def _end_ns(self) -> int:
        return self._start + round((self.order.duration or 0.0) * NS)

    async def _until(self, seconds: float) -> None:
        await asyncio.sleep(max(self._start / NS + seconds - time.monotonic(), 0.0))


def _all(found: Sequence[Observation]) -> bool | None:
    """Whether all was seen; links that carry nothing can show nothing, and do not count while others do. None: nobody
    looked."""
    told = [observation for observation in found if not observation.idle]
    return (bool(told) and all(observation.seen for observation in told)) if found else None
