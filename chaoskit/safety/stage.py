"""The stack that a supervisor has up, with what bends it: started, injected into, healed and stopped."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from chaoskit import linux, registry
from chaoskit.contracts import Driver, Sighting
from chaoskit.errors import ChaosKitError, HealError, InternalError, LinkError
from chaoskit.safety import hunt
from chaoskit.safety.executor import Confirmed, Executor, links_by_destination
from chaoskit.safety.ledger import Ledger
from chaoskit.stack.effects import ActionEffect, Effect, LinkState, NodeEffect, StressEffect, burners_of
from chaoskit.stack.launch import LaunchSpec, StackSpec

__all__ = ["Stage"]

_log = logging.getLogger(__name__)

_HEAL = 5.0  # seconds for healing links before everything is stopped anyway
_DOWN = 20.0  # seconds for stopping everything in the orderly way
_RETRY = 0.5  # seconds between two attempts to take back what is past its deadline


class Stage:
    """At most one stack. Everything that is bent or started goes through here, and into the ledger.

    Args:
        run: id of the run, the mark in the environment of all that is started. runtime: name of the driver.
        exited: told of every process that ends by itself.
    """

    def __init__(
        self, run: str, runtime: str, ledger: Ledger, exited: Callable[[str, int, tuple[str, ...]], None]
    ) -> None:
        self._run, self._runtime, self._ledger, self._exited = run, runtime, ledger, exited
        self._driver: Driver | None = None
        self._executor: Executor | None = None
        self._deadlines: dict[str, int] = {}  # effect -> monotonic ns
        self._unhealed: set[str] = set()  # effects that were to be taken back and could not be yet

    async def up(self, stack: StackSpec) -> dict[str, float]:
        """Start a stack; seconds until each node was ready.

        Raises:
            TargetError: it does not come up, nothing of it is left. InternalError: one is up.
        """
        if self._driver is not None:
            raise InternalError("a stack is up already")
        nodes = tuple(self._marked(launch) for launch in stack.nodes)
        own = {
            "proxy_process": self._marked(stack.proxy_process),
            "caller": None if stack.caller is None else self._marked(stack.caller),
        }
        stack = stack.model_copy(update={"nodes": nodes, **own})
        self._ledger.note("up", nodes=[node.name for node in nodes])
        driver: Driver = registry.load("driver", self._runtime)()
        self._driver = driver  # from now on `down` stops what there is, also while it is starting
        try:
            ready = await driver.up(stack, self._exited)
        except ChaosKitError:
            self._driver = None
            raise
        self._executor = Executor(
            driver.links,
            driver.nodes,
            links_by_destination(proxy.name for proxy in stack.proxies),
            driver.actions if stack.actions else None,
        )
        for name in (stack.proxy_process.name, *(node.name for node in nodes)):
            self._record(name)
        return ready

    async def begin(self, effects: Sequence[Effect], deadline_ns: int) -> dict[str, Any]:
        """Inject, the undo record first; when it was confirmed, and the state read back.

        An action that is under way counts as begun when it has returned: its deadline is later by what it may take.

        Raises:
            StoreError: the undo could not be recorded. LinkError, TargetError: it failed and was taken back.
            HealError: it failed and was not taken back yet.
        """
        executor = self._need()
        if time.monotonic_ns() >= deadline_ns:
            raise LinkError("nothing was injected: its deadline has passed already")
        self._ledger.undo(effects, deadline_ns)
        linux.halt("recorded")
        ids = [effect.id for effect in effects]
        self._deadlines.update((effect.id, deadline_ns + _allowance(effect)) for effect in effects)
        try:
            answer = _answer(await executor.begin(effects, deadline_ns))
        except HealError as error:
            self._failed(ids, error)
            raise
        except ChaosKitError:
            self._ledger.note("ended", ids=ids, confirmed_ns=None)
            raise
        self._ledger.note("confirmed", ids=ids, **answer)
        for effect in effects:
            if isinstance(effect, StressEffect):
                self._record(burners_of(effect.node))
        return answer

    async def end(self, ids: Sequence[str]) -> dict[str, Any]:
        """Take effects back; as `begin`.

        Raises:
            HealError: not all could be; `late` and `retry` see to the rest.
        """
        executor = self._need()
        nodes = [effect.node for effect in executor.active if isinstance(effect, NodeEffect) and effect.id in ids]
        try:
            answer = _answer(await executor.end(ids))
        except HealError as error:
            self._failed(ids, error)
            raise
        self._ledger.note("ended", ids=list(ids), **answer)
        self._unhealed.difference_update(ids)
        for identity in ids:
            self._deadlines.pop(identity, None)
        for node in nodes:  # started again, perhaps: other processes than before
            self._record(node)
        return answer

    async def end_all(self) -> None:
        """Take back all that is active.

        Raises:
            HealError: not all could be.
        """
        if self._executor is not None:
            await self.end([effect.id for effect in self._executor.active])

    def late(self) -> list[str]:
        """Active effects whose deadline has passed; each is named once per attempt to take it back."""
        if self._executor is None:
            return []
        now = time.monotonic_ns()
        found = [effect.id for effect in self._executor.active if self._deadlines.get(effect.id, now) <= now]
        self._deadlines.update(dict.fromkeys(found, now + round(_RETRY * 1e9)))
        return found

    async def retry(self) -> list[str]:
        """Try again what could not be taken back; the effects that have been now.

        Raises:
            ChaosKitError: it still cannot be.
        """
        if self._executor is None or not self._executor.unsettled:
            return []
        await self._executor.retry()
        healed = sorted(self._unhealed)
        self._unhealed.clear()
        if healed:
            self._ledger.note("ended", ids=healed, confirmed_ns=time.monotonic_ns())
        for identity in healed:
            self._deadlines.pop(identity, None)
        return healed

    async def ask(self, role: str) -> str | None:
        """The node that holds a role now; None while nobody does.

        Raises:
            LinkError: the target's function failed. InternalError: no stack is up.
        """
        self._need()
        assert self._driver is not None
        return await self._driver.actions.ask(role)

    async def follow(self, role: str, seconds: float) -> list[Sighting]:
        """Ask again and again who holds a role of the target; see the contract `ActionControl`.

        Raises:
            LinkError: no answer came in time. InternalError: no stack is up.
        """
        self._need()
        assert self._driver is not None
        return await self._driver.actions.follow(role, seconds)

    async def spawn(self, launch: LaunchSpec) -> int:
        """Start one more process; its pid.

        Raises:
            TargetError: it cannot be started.
        """
        self._need()
        assert self._driver is not None
        pid = await self._driver.spawn(self._marked(launch))
        self._record(launch.name)
        return pid

    async def stop(self, name: str) -> None:
        """End a spawned process; idempotent."""
        if self._driver is not None:
            await self._driver.stop(name)

    def pids(self, node: str) -> list[dict[str, object]]:
        """Processes of a node now; none when no stack is up."""
        return [] if self._driver is None else self._driver.pids(node)

    def strays(self) -> list[dict[str, str]]:
        """Connections that go past the links now; none when no stack is up. May be called from another thread."""
        driver = self._driver
        return [] if driver is None else driver.strays()

    async def down(self) -> HealError | None:
        """Heal the links, stop the stack; what could not be healed before it was stopped. Never raises, idempotent."""
        executor, driver = self._executor, self._driver
        self._executor = self._driver = None
        self._deadlines.clear()
        self._unhealed.clear()
        problem: HealError | None = None
        moot = [] if executor is None else [e.id for e in executor.active if isinstance(e, ActionEffect)]
        if executor is not None:
            try:
                async with asyncio.timeout(_HEAL):
                    await executor.heal_all(nodes=False)
            except HealError as error:
                problem = error
            except TimeoutError:
                problem = HealError(f"healing took longer than {_HEAL:g} s")
        if driver is not None:
            try:
                async with asyncio.timeout(_DOWN):
                    await driver.down()
            except Exception:
                _log.exception("the driver failed to stop the stack")
                problem = problem or HealError("the stack could not be stopped in the orderly way")
            # What was done to the stack ends with it: nothing is left that an undo could be done to.
            self._ledger.note("down", moot=moot)
        return problem

    def _failed(self, ids: Sequence[str], error: HealError) -> None:
        self._unhealed.update(ids)
        self._ledger.note("unhealed", ids=list(ids), error=error.message)

    def _need(self) -> Executor:
        if self._executor is None:
            raise InternalError("no stack is up")
        return self._executor

    def _marked(self, launch: LaunchSpec) -> LaunchSpec:
        """With the run's mark in its environment, by which `recover` finds it."""
        return launch.model_copy(update={"env": {**launch.env, hunt.MARK: self._run}})

    def _record(self, name: str) -> None:
        """Put the processes of a node on record."""
        for found in self.pids(name):
            who = linux.identity(int(str(found["outer"])))
            if who is not None:
                self._ledger.process(name, int(str(found["pid"])), who.pid, who.start_ticks)


def _allowance(effect: Effect) -> int:
    return round(effect.timeout * 1e9) if isinstance(effect, ActionEffect) else 0


def _answer(confirmed: Confirmed) -> dict[str, Any]:
    state = {
        place: found.model_dump() if isinstance(found, LinkState) else found for place, found in confirmed.state.items()
    }
    return {"confirmed_ns": confirmed.at_ns, "state": state}
