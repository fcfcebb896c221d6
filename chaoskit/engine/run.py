"""A run: supervisor up, then block by block (one stack start) and cell by cell; healed and down on every path.

```
start supervisor ─▶ for each block: layout ─▶ up ─▶ cells … ─▶ down ─▶ release ─▶ bye
                                                   └ any error: remembered (the first one wins), healed, next cell
```
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Coroutine, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

from chaoskit import registry
from chaoskit.clock import SystemClock
from chaoskit.engine.block import Block
from chaoskit.engine.cell import Cell
from chaoskit.engine.environment import describe, kept
from chaoskit.engine.record import Control, Recorder
from chaoskit.errors import ChaosKitError, EnvironmentFault, HealError, Interrupted, StoreError
from chaoskit.safety.session import Supervisor
from chaoskit.store import RunDir, conceal, write_atomic
from chaoskit.toxiproxy.client import AsyncClient

if TYPE_CHECKING:
    from chaoskit.contracts import Observer
    from chaoskit.plan import CellPlan, Plan

__all__ = ["run"]

T = TypeVar("T")
_ANSWER = 2.0  # seconds that the proxy may take to tell its counters
_DEADLINE_FACTOR, _DEADLINE_EXTRA = 3.0, 180.0  # of the estimate: a run that takes longer has hung


async def run(
    plan: Plan, folder: RunDir, *, observers: Sequence[Observer] = (), control: Control | None = None
) -> list[ChaosKitError]:
    """Carry out a plan; everything measured is in `folder` when this returns.

    Returns:
        What went wrong, the first error first (an interruption is one).
    """
    control = Control() if control is None else control
    stopped = control.attach()
    recorder = Recorder(SystemClock(), observers)
    try:
        _write_down(plan, folder)
    except StoreError as error:
        return [error]
    recorder.tell(
        {
            "kind": "run",
            "run": folder.id,
            "name": plan.experiment.name,
            "question": plan.experiment.question,
            "cells": len(plan.cells),
            "estimated_s": plan.estimated_seconds,
            "directory": str(folder.path),
        }
    )
    supervisor = Supervisor()
    errors: list[ChaosKitError] = []
    try:
        await supervisor.start(
            folder,
            runtime=plan.experiment.runtime,
            deadline_s=plan.estimated_seconds * _DEADLINE_FACTOR + _DEADLINE_EXTRA,
        )
        for cells in _blocks(plan.cells):
            errors += await _block(plan, cells, folder, supervisor, recorder, stopped, control)
            if _final(errors) or control.reason is not None:
                break
    except ChaosKitError as error:
        errors.append(error)
    finally:
        recorder.open(None, None)
        try:
            await supervisor.bye()
        except ChaosKitError as error:
            errors.append(error)
    return errors


def _final(errors: Sequence[ChaosKitError]) -> bool:
    """Whether going on makes no sense: the next cell would meet the same."""
    return any(isinstance(error, EnvironmentFault | Interrupted | HealError) for error in errors)


def _blocks(cells: Sequence[CellPlan]) -> list[list[CellPlan]]:
    """Cells that share one start of the stack: each cell with `restart` begins a new block."""
    number = 0

    def block(cell: CellPlan) -> int:
        nonlocal number
        number += cell.restart
        return number

    return [list(group) for _, group in groupby(cells, key=block)]


async def _block(
    plan: Plan,
    cells: Sequence[CellPlan],
    folder: RunDir,
    supervisor: Supervisor,
    recorder: Recorder,
    stopped: asyncio.Event,
    control: Control,
) -> list[ChaosKitError]:
    """One stack: start it, run its cells, stop it. Returns what went wrong."""
    experiment = plan.experiment
    head = cells[0]
    place = folder.block(head.variant, head.trial if experiment.fresh == "trial" else None)
    runtime = registry.load("runtime", experiment.runtime)()
    errors: list[ChaosKitError] = []
    proxy_lost = False
    recorder.open(head.id, None)
    recorder.event("phase", name="stack start", planned_s=None)
    try:
        variant = next(v for v in experiment.variants if v.name == head.variant)
        # Not on the loop: making an environment for the target's app may take a while, and hearts must beat.
        stack = await asyncio.to_thread(
            runtime.layout, plan.target, variant.env, place, plan.interposition, plan.toxiproxy
        )
        if stack.toxiproxy == "embedded":  # the original takes the flag and ignores it
            proxy = stack.proxy_process
            seeded = proxy.model_copy(update={"argv": (*proxy.argv, "--seed", str(head.seed))})
            stack = stack.model_copy(update={"proxy_process": seeded})
        began = time.monotonic()
        ready = await _or_stopped(supervisor.up(stack), stopped, control)
        recorder.event("up", ready=ready, interposition=stack.interposition, seconds=time.monotonic() - began)
        async with AsyncClient(f"http://{stack.control}", timeout=_ANSWER) as proxy_client:
            block = Block(plan, stack, supervisor, recorder, folder, place, proxy_client.counters)
            for planned in cells:
                cell = Cell(block, planned, stopped, control)
                errors += await cell.run()
                proxy_lost = cell.proxy_lost
                if _final(errors) or proxy_lost or supervisor.dead:
                    break
    except ChaosKitError as error:
        errors.append(error)
    finally:
        try:
            await supervisor.down()
        except HealError as error:
            if not proxy_lost:  # a dead proxy cannot be asked whether it is healed; it is, and the stack is stopped
                errors.append(error)
        except ChaosKitError as error:
            errors.append(error)
        runtime.release()
    return errors


async def _or_stopped(work: Coroutine[Any, Any, T], stopped: asyncio.Event, control: Control) -> T:
    """The result of `work`, unless the user stops the run first.

    Raises:
        Interrupted: stopped first; the work is cancelled.
    """
    task, stop = asyncio.ensure_future(work), asyncio.ensure_future(stopped.wait())
    try:
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Interrupted(f"interrupted ({control.reason}) while the stack was starting")
        return task.result()
    finally:
        for pending in (task, stop):
            pending.cancel()
        await asyncio.gather(task, stop, return_exceptions=True)


def _write_down(plan: Plan, folder: RunDir) -> None:
    """Everything that is known beforehand goes to disk first."""
    experiment = plan.experiment
    folder.write_json(
        "run.json",
        {
            "run": folder.id,
            "name": experiment.name,
            "question": experiment.question,
            "status": "running",
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        },
    )
    write_atomic(folder.file("plan.json"), conceal(kept(plan).model_dump_json(indent=1) + "\n", os.environ))
    folder.write_json("environment.json", describe(plan))
    write_atomic(folder.file("experiment.yaml"), conceal(plan.source, os.environ))
