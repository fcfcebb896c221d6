"""A driver for tests: nodes are plain processes (that hide a child in a session of its own), links are files.

It lets the supervisor find everything hard: nothing dies with its parent, nothing is a namespace of its own. A link's
state is the content of `$LINKS/<number>`, so that a test can see it whoever is dead by then.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from chaoskit.errors import LinkError
from chaoskit.runtimes.actions import Actions
from chaoskit.stack.effects import CLEAN, LinkState, NodeState, burners_of
from chaoskit.stack.launch import LaunchSpec, StackSpec


class FileDriver:
    def __init__(self) -> None:
        self.nodes = self.links = self
        self.actions = Actions(None)
        self._folder = Path(os.environ["LINKS"])
        self._names: list[str] = []
        self._specs: dict[str, LaunchSpec] = {}
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._states: dict[str, NodeState] = {}
        self._told: set[str] = set()

    async def up(self, stack: StackSpec, exited: Any) -> dict[str, float]:
        self._exited = exited
        self._names = [proxy.name for proxy in stack.proxies]
        self.actions = Actions(stack)
        for launch in (stack.proxy_process, *stack.nodes):
            await asyncio.sleep(float(os.environ.get("SLOW_START", "0")))
            await self._launch(launch)
        return {node.name: 0.1 for node in stack.nodes}

    async def _launch(self, launch: LaunchSpec) -> int:
        Path(launch.log).parent.mkdir(parents=True, exist_ok=True)
        with open(launch.log, "ab") as log:
            process = await asyncio.create_subprocess_exec(
                *launch.argv,
                env={"PATH": os.environ["PATH"], **launch.env},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        # A node that is frozen before it has hidden its child would never hide one.
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while process.returncode is None and not children.read_text():
            await asyncio.sleep(0.01)
        self._specs[launch.name], self._processes[launch.name] = launch, process
        self._states[launch.name] = "running"
        self._told.discard(launch.name)
        self._watching = asyncio.create_task(self._watch(launch.name, process))
        return process.pid

    async def _watch(self, name: str, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        if name not in self._told:
            self._exited(name, code, ("its last words",))

    async def spawn(self, launch: LaunchSpec) -> int:
        return await self._launch(launch)

    async def stop(self, name: str, grace: float = 2.0) -> None:
        await self.kill(name)

    async def down(self) -> None:
        await self.actions.end_all()
        for name in list(self._processes):
            await self.kill(name)

    def pids(self, name: str) -> list[dict[str, object]]:
        process = self._processes.get(name)
        if process is None or process.returncode is not None:
            return []
        return [{"pid": process.pid, "outer": process.pid, "state": "S", "command": " ".join(self._specs[name].argv)}]

    def strays(self) -> list[dict[str, str]]:
        return []

    async def stress(self, node: str, cpu: float, until_ns: int | None = None) -> float:
        name = burners_of(node)
        if name in self._processes:
            await self.kill(name)
        if cpu:
            argv = ("sh", "-c", "sleep 1000 & exec sleep 1000")
            await self._launch(self._specs[node].model_copy(update={"name": name, "argv": argv}))
        return cpu

    async def kill(self, node: str, *, wipe: bool = False) -> None:
        self._told.add(node)
        self._states[node] = "killed"
        process = self._processes[node]
        if process.returncode is None:
            process.kill()
            await process.wait()

    async def pause(self, node: str) -> None:
        self._processes[node].send_signal(signal.SIGSTOP)
        self._states[node] = "paused"

    async def run(self, node: str) -> None:
        if self._states[node] == "killed":
            await self._launch(self._specs[node])
        else:
            self._processes[node].send_signal(signal.SIGCONT)
            self._states[node] = "running"

    async def state(self, node: str) -> NodeState:
        return self._states[node]

    async def apply(self, link: str, state: LinkState) -> LinkState:
        if (self._folder / "broken").exists():
            raise LinkError(f"{link}: the proxy does not answer")
        self._file(link).write_text(state.model_dump_json())
        return await self.read(link)

    async def read(self, link: str) -> LinkState:
        if (self._folder / "broken").exists():
            raise LinkError(f"{link}: the proxy does not answer")
        try:
            return LinkState.model_validate_json(self._file(link).read_text())
        except FileNotFoundError:
            return CLEAN

    def _file(self, link: str) -> Path:
        return self._folder / str(self._names.index(link))
