"""One cell: variant x trial. Load runs through it unchanged; injections begin and end beside it; everything heals.

```
ready ─▶ warm-up ─▶ t=0 baseline ─▶ fault … ─▶ recovery ─▶ settle ─▶ final reads ─▶ done
            │ canaries learn the links      │ one task per injection (injecting.py), one for the bypass check
            └──────── watch: stop asked? abort condition? worker, proxy or node dead? ─────────┘
```
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from chaoskit import linux
from chaoskit.engine.block import Block
from chaoskit.engine.bypass import Bypass
from chaoskit.engine.gauge import Gauge
from chaoskit.engine.injecting import Injections, heal_limit
from chaoskit.engine.load import Load
from chaoskit.engine.record import Control
from chaoskit.errors import (
    AbortedError,
    ChaosKitError,
    EnvironmentFault,
    HealError,
    Interrupted,
    LinkError,
    SteadyStateError,
    StoreError,
)
from chaoskit.plan import CellPlan
from chaoskit.store import EventLog
from chaoskit.units import NS

__all__ = ["Cell"]

_TICK_S = 0.25  # of the watch and the live view
_LEAD_NS = NS // 5  # between the start order and the first due time


class Cell:
    """Runs one cell of a block.

    Attributes:
        proxy_lost: the proxy ended by itself; the stack is of no use any more.
    """

    def __init__(self, block: Block, cell: CellPlan, stopped: asyncio.Event, control: Control) -> None:
        self._block, self._cell, self._stopped, self._control = block, cell, stopped, control
        self._experiment = block.plan.experiment
        self._clock, self._recorder = block.clock, block.recorder
        self._load = Load(block, cell)
        self._gauge = Gauge(self._experiment, self._load)
        self._steady = asyncio.Event()
        self.proxy_lost = False
        self._origin = 0
        self._bypass = Bypass(block)
        self._injections = Injections(block, self._bypass, self._phase, self._steady)

    async def run(self) -> list[ChaosKitError]:
        """Carry the cell out; its events and its history are on disk when this returns, on every path.

        Returns:
            What went wrong, the first error first: SteadyStateError (no fault was injected), Interrupted, AbortedError,
            EnvironmentFault (supervisor, worker or target died outside of a fault), LinkError (a fault could not be
            trusted), HealError (one could not be taken back).
        """
        folder = self._block.folder.cell(self._cell.variant, self._cell.trial)
        self._recorder.open(self._cell.id, EventLog(folder / "events.jsonl"))
        self._recorder.event("anchor", wall_ns=self._clock.wall_ns(), boot_id=linux.boot_id())
        errors: list[ChaosKitError] = []
        try:
            await self._guarded()
            self._recorder.event("phase", name="done", planned_s=None)
        except ChaosKitError as error:
            errors.append(error)
            kind = {Interrupted: "interrupted", AbortedError: "abort"}.get(type(error), "error")
            with suppress(StoreError):  # the disk may be what is wrong
                self._recorder.event(kind, reason=error.message, type=type(error).__name__)
        finally:
            errors += await self._clean_up()
        return errors

    async def _guarded(self) -> None:
        """The timeline with the watch beside it; whichever fails first decides."""
        tasks = {asyncio.create_task(self._timeline()), asyncio.create_task(self._watch())}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except BaseExceptionGroup as group:
            raise _first(group) from group
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _timeline(self) -> None:
        experiment = self._experiment
        await self._load.prepare()
        await self._bypass.count("warm-up")
        start = self._clock.now_ns() + _LEAD_NS
        self._origin = start + round(experiment.warm_up * NS)
        end = self._origin + round(experiment.duration * NS)
        self._load.start(start)
        self._recorder.event("load", start_ns=start, end_ns=end)
        self._phase("warm-up", experiment.warm_up)
        self._injections.origin_ns = self._origin
        async with asyncio.TaskGroup() as beside:
            beside.create_task(self._injections.run())
            await self._until(0.0)
            self._recorder.event("origin", t=self._origin)
            watching = beside.create_task(self._bypass.watch()) if self._block.plan.injections else None
            self._gauge.origin()
            self._phase("baseline", self._steady_by())
            await self._until(self._steady_by())
            self._check_steady()
            self._steady.set()
            await self._until(experiment.duration)
            await self._bypass.count("done")
            if watching is not None:
                watching.cancel()
        self._phase("settle", experiment.settle)
        await self._load.finished()
        await self._clock.sleep_until(self._clock.now_ns() + round(experiment.settle * NS))
        self._phase("final", None)
        await self._load.final_reads()

    def _steady_by(self) -> float:
        """When the baseline ends: the first injection, or the first change of the arrivals."""
        arrivals = self._experiment.traffic.arrivals
        times = [injection.at for injection in self._block.plan.injections]
        if arrivals.shape != "constant" and arrivals.at is not None:
            times.append(arrivals.at)
        return min([*times, self._experiment.duration])

    def _check_steady(self) -> None:
        broken, text = self._gauge.steady()
        self._recorder.event("steady", met=not broken, text=text)
        if broken:
            raise SteadyStateError(
                f"{self._cell.id}: the steady state was not met before any fault: {text}",
                hint=f"lower `traffic`, or look into the logs of the target in {self._block.place / 'logs'}",
            )

    async def _watch(self) -> None:
        """Never returns; raises when the cell must end early."""
        supervisor, next_tick = self._block.supervisor, self._clock.now_ns()
        while True:
            next_tick += round(_TICK_S * NS)
            with suppress(TimeoutError):
                async with asyncio.timeout(max((next_tick - self._clock.now_ns()) / NS, 0.0)):
                    await self._stopped.wait()
            if self._stopped.is_set():
                raise Interrupted(f"stopped by {self._control.reason or 'request'}; healing")
            while not supervisor.events.empty():
                self._notice(supervisor.events.get_nowait())
            self._load.check()
            if self._origin:
                abort = self._gauge.abort()
                if abort is not None:
                    raise AbortedError(f"abort condition came true: {abort}")
            self._recorder.tell(self._live())

    def _notice(self, event: dict[str, object]) -> None:
        """Something the supervisor says unasked."""
        kind = event.get("event")
        if kind == "dead":
            raise EnvironmentFault(
                "the supervisor of this run ended unexpectedly: everything it ran is gone",
                hint="chaoskit recover, then look into supervisor.log of the run",
            )
        if kind == "stopped":
            self._control.interrupt("chaoskit stop")
            raise Interrupted("stopped by `chaoskit stop`")
        if kind in ("expired", "healed"):  # healed: at the deadline it could not be yet
            raise LinkError(f"the supervisor healed {event.get('ids')} at the deadline because the engine was late")
        if kind != "exit":
            return
        name = str(event["name"])
        if self._load.done(name):
            return  # other workers may still be at their final reads
        self._recorder.event("exit", name=name, code=event.get("code"), log=event.get("log"))
        if name == self._block.stack.proxy_process.name:
            self.proxy_lost = True
            raise LinkError("the proxy process ended in the middle of the cell: no link can be trusted")
        if name in self._load.names:
            self._load.check()  # its own words, when it had any
            raise EnvironmentFault(f"traffic worker {name} ended in the middle of the cell (code {event.get('code')})")
        if not self._steady.is_set():
            raise EnvironmentFault(
                f"node {name} ended by itself before any fault (code {event.get('code')}); last lines of its log:\n"
                + "\n".join(f"  {line}" for line in _lines(event.get("log"))),
                hint=f"look into {self._block.place / 'logs'}",
            )

    async def _clean_up(self) -> list[ChaosKitError]:
        """Heal what is active, end the workers, keep the history: each step also when the one before failed."""
        supervisor, limit = self._block.supervisor, heal_limit(self._block.plan)
        errors: list[ChaosKitError] = []
        try:
            # With the proxy, what it held is gone: there is nothing to take back but the stack, which comes next.
            if not supervisor.dead and not self.proxy_lost:
                async with asyncio.timeout(limit):
                    await supervisor.end(self._injections.effects)
        except TimeoutError:
            errors.append(HealError(f"{self._cell.id}: healing took longer than {limit:g} s"))
        except ChaosKitError as error:
            errors.append(error)
        finally:
            await self._load.close()
        return errors

    def _phase(self, name: str, planned_s: float | None) -> None:
        self._recorder.event("phase", name=name, planned_s=planned_s)
        self._gauge.phase(name, None if planned_s is None else self._clock.now_ns() + round(planned_s * NS))

    def _live(self) -> dict[str, object]:
        active = self._injections.active
        return {
            "t": self._clock.now_ns(),
            "kind": "live",
            "cell": self._cell.id,
            "t_s": self._elapsed() if self._origin else None,
            "active": list(active.values()),
            **self._gauge.live(self._clock.now_ns(), tuple(active)),
        }

    def _elapsed(self) -> float:
        """Seconds since t=0; negative before."""
        return (self._clock.now_ns() - self._origin) / NS

    async def _until(self, seconds: float) -> None:
        await self._clock.sleep_until(self._origin + round(seconds * NS))


def _lines(log: object) -> list[str]:
    return [str(line) for line in log] if isinstance(log, list | tuple) else []


def _first(group: BaseExceptionGroup) -> BaseException:
    """The first real error in a group of them."""
    for error in group.exceptions:
        found = _first(error) if isinstance(error, BaseExceptionGroup) else error
        if not isinstance(found, asyncio.CancelledError):
            return found
    return group.exceptions[0]
