"""Actions of the target as effects: each done once when it begins, and taken back once when it ends.

A link can be brought into a state again and again; an action cannot. So it is kept on record from the moment at which
it may have been done until it has been taken back, and one that is under way when its injection is aborted is waited
for first: half of it done and the rest done later, behind the undo, would stay.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from chaoskit.contracts import ActionControl
from chaoskit.errors import LinkError
from chaoskit.stack.effects import ActionEffect

__all__ = ["Deeds"]


@dataclass
class _Deed:
    """One action that was done, or may have been. `result` is its text, None while that is not known."""

    effect: ActionEffect
    doing: asyncio.Task[str]
    result: str | None = None


class Deeds:
    """Of one stack that is up. `control` None = its target declares no action."""

    def __init__(self, control: ActionControl | None) -> None:
        self._control = control
        self._deeds: dict[str, _Deed] = {}  # by effect id, oldest first
        self._locks: dict[str, asyncio.Lock] = {}

    @property
    def known(self) -> tuple[ActionEffect, ...]:
        """Those that were done, or may have been, oldest first."""
        return tuple(deed.effect for deed in self._deeds.values())

    @property
    def unsettled(self) -> tuple[ActionEffect, ...]:
        """Those of which it is not known whether they are done: under way, failed, or not taken back."""
        return tuple(deed.effect for deed in self._deeds.values() if deed.result is None)

    def result(self, identity: str) -> str:
        """What an action that was done returned; "" for one that is not done."""
        deed = self._deeds.get(identity)
        return "" if deed is None else deed.result or ""

    async def settle(self, effect: ActionEffect, *, wanted: bool) -> None:
        """Do it, or take it back; nothing where that is so already. One thing at a time for each effect.

        Raises:
            LinkError: the target's function failed or took too long. What failed half way is taken back by the next
            call with `wanted` False: its undo is called after a failure too.
        """
        async with self._locks.setdefault(effect.id, asyncio.Lock()):
            deed = self._deeds.get(effect.id)
            if wanted and deed is None:
                await self._do(effect)
            elif not wanted and deed is not None:
                await self._take_back(deed)

    async def drop(self) -> None:
        """Forget all of it and stop what is under way: the stack that it was done to ends now."""
        deeds = list(self._deeds.values())
        self._deeds.clear()
        for deed in deeds:
            deed.doing.cancel()
        await asyncio.gather(*(deed.doing for deed in deeds), return_exceptions=True)

    async def _do(self, effect: ActionEffect) -> None:
        work = self._run(effect.action, effect)
        deed = self._deeds[effect.id] = _Deed(effect, asyncio.create_task(work, name=f"action {effect.action}"))
        # Whoever asked may give up (an abort); the action goes on to its end or its timeout, and is then taken back.
        deed.result = await asyncio.shield(deed.doing)

    async def _take_back(self, deed: _Deed) -> None:
        await asyncio.gather(deed.doing, return_exceptions=True)  # ends at its timeout at the latest
        deed.result = None
        if deed.effect.undo is not None:
            await self._run(deed.effect.undo, deed.effect)
        self._deeds.pop(deed.effect.id, None)

    async def _run(self, action: str, effect: ActionEffect) -> str:
        if self._control is None:
            raise LinkError(f"{action} cannot be done: the target declares no action")
        return await self._control.run(action, effect.arguments, effect.timeout)
