"""The engine of a trial, in a forked process: a stack up, then one fault after the other until somebody dies.

Says what it does as JSON lines; does what it is told ("quiet", "go", "stop") by lines from the other side.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from chaoskit import linux, registry
from chaoskit.errors import ChaosKitError
from chaoskit.faults.model import Ground
from chaoskit.safety.session import Supervisor
from chaoskit.stack.topology import CLIENT, Target
from chaoskit.store import RunDir

DEADLINE_S = 1.5  # from the begin of a fault
FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("latency", {"latency": "20ms", "jitter": "5ms"}),
    ("outage", {}),
    ("blackhole", {}),
    ("reset", {}),
    ("latency", {"latency": "50ms", "stream": "both"}),
    ("pause", {}),
    ("kill", {}),
)


def be_engine(target: Target, run: Path, server: str, seed: int, reading: int, writing: int) -> None:
    """Never returns; the caller has forked."""
    code = 1
    try:
        linux.parent_death_signal(signal.SIGKILL)
        asyncio.run(_Engine(target, run, server, seed, reading, writing).work())
        code = 0
    except BaseException as error:
        print(f"engine of {run.name}: {type(error).__name__}: {error}", file=sys.stderr)
    finally:
        os._exit(code)


class _Engine:
    def __init__(self, target: Target, run: Path, server: str, seed: int, reading: int, writing: int) -> None:
        self._target, self._run, self._server = target, RunDir(run), server
        self._rng = random.Random(seed)
        self._reading, self._writing = reading, writing
        self._go, self._over = asyncio.Event(), asyncio.Event()
        self._quiet = asyncio.Event()
        self._count = 0

    def _say(self, event: str, **fields: Any) -> None:
        with contextlib.suppress(OSError):
            os.write(self._writing, json.dumps({"event": event, **fields}).encode() + b"\n")

    async def work(self) -> None:
        runtime = registry.load("runtime", "process")()
        supervisor = Supervisor()
        self._go.set()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._reading, self._obey)
        watching = loop.create_task(self._watch(supervisor))
        try:
            await supervisor.start(self._run, deadline_s=120.0)
            self._say("supervised", pid=supervisor.pid, private=supervisor.private)
            stack = await asyncio.to_thread(
                runtime.layout, self._target, {}, self._run.block("v"), "auto", self._server
            )
            self._say("laid", control=stack.control, listens=[proxy.listen for proxy in stack.proxies])
            await supervisor.up(stack)
            host, _, port = stack.entries[CLIENT].rpartition(":")
            self._worker = stack.clients[CLIENT].model_copy(
                update={
                    "name": "worker",
                    "argv": (sys.executable, "-I", "-S", str(Path(self._target.folder) / "client.py"), host, port),
                }
            )
            await supervisor.spawn(self._worker)
            self._say("up")
            bending = loop.create_task(self._bend(supervisor))
            over = loop.create_task(self._over.wait())
            await asyncio.wait({bending, over}, return_when=asyncio.FIRST_COMPLETED)
            bending.cancel()
            await asyncio.wait({bending})
        except ChaosKitError as error:
            self._say("error", text=str(error))
        finally:
            try:
                await supervisor.bye()
            except ChaosKitError as error:
                self._say("left", text=str(error))
            watching.cancel()
            runtime.release()
            self._say("over")

    async def _bend(self, supervisor: Supervisor) -> None:
        try:
            while True:
                if not self._go.is_set():
                    self._quiet.set()
                    self._say("quiet")
                    await self._go.wait()
                self._count += 1
                effects = self._effects()
                deadline = time.monotonic_ns() + round(DEADLINE_S * 1e9)
                self._say("begin", deadline_ns=deadline)
                await supervisor.begin(effects, deadline)
                await asyncio.sleep(self._rng.uniform(0.02, 0.2))
                await supervisor.end([effect.id for effect in effects])
                await asyncio.sleep(self._rng.uniform(0.0, 0.05))
        except ChaosKitError as error:
            self._say("error", text=str(error))

    def _effects(self) -> list[Any]:
        """One or two faults at once, compiled as in a run."""
        effects = []
        topology = self._target.topology
        for number in range(self._rng.choice((1, 1, 2))):
            name, words = self._rng.choice(FAULTS)
            fault = registry.load("fault", name)
            nodes = (self._rng.choice(("cache", "echo")),) if fault.targets == "nodes" else ()
            links = tuple(link for link in topology.links if not nodes or link.destination in nodes)
            if not nodes:
                links = (self._rng.choice(links),)
            values = fault.Parameters.model_validate(words).model_dump()
            ground = Ground(self._target, links, nodes, 1, DEADLINE_S, "real" if self._server == "real" else "embedded")
            effects += fault.compile(f"f{self._count}-{number}", values, ground).effects
        return effects

    async def _watch(self, supervisor: Supervisor) -> None:
        while True:
            event = await supervisor.events.get()
            if event["event"] == "exit" and event["name"] == "worker":
                self._say("worker-gone")
                with contextlib.suppress(ChaosKitError):
                    await supervisor.spawn(self._worker)
            elif event["event"] in ("dead", "stopped") or event.get("name") == "proxy":
                self._over.set()

    def _obey(self) -> None:
        for word in os.read(self._reading, 4096).decode().split() or ["stop"]:
            if word == "quiet":
                self._go.clear()
            elif word == "go":
                self._go.set()
            else:
                self._over.set()
                asyncio.get_running_loop().remove_reader(self._reading)
                return
