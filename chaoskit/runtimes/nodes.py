"""The nodes of a stack that is up: started in order, killed, paused, run again, and looked at in /proc."""

from __future__ import annotations

import asyncio
import graphlib
import os
import shutil
import time
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

from chaoskit import linux
from chaoskit.errors import InternalError, TargetError
from chaoskit.runtimes.launched import Launched
from chaoskit.runtimes.ready import await_ready, failure
from chaoskit.runtimes.stress import Burners
from chaoskit.stack.effects import NodeState, burners_of
from chaoskit.stack.launch import LaunchSpec

__all__ = ["Exited", "Nodes"]

Exited = Callable[[str, int, tuple[str, ...]], None]

_PREPARE = 300.0  # seconds for one preparation


class Nodes:
    """Control of all processes of a stack by name: nodes, the proxy, traffic workers.

    Args:
        exited: called with (name, return code, last log lines) for each that ends without having been told to.
    """

    def __init__(self, exited: Exited) -> None:
        self._exited = exited
        self._specs: dict[str, LaunchSpec] = {}
        self._running: dict[str, Launched] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._watches: set[asyncio.Task[None]] = set()
        self._bare: set[str] = set()  # nodes that are to start with nothing
        self._burners = Burners(
            lambda node: [found.pid for found in self._get(node).members()], lambda burners: self._watch(burners, 0)
        )

    async def prepare_all(self, specs: tuple[LaunchSpec, ...]) -> None:
        """Make data folders and run all preparations, those of different nodes at once.

        Raises:
            TargetError: of the first that failed.
        """
        self._specs.update({spec.name: spec for spec in specs})
        await _together(_prepare_all_of(spec) for spec in specs)

    async def start_all(self, specs: tuple[LaunchSpec, ...]) -> dict[str, float]:
        """Start prepared nodes, each when all in its `after` are ready; seconds until each was ready.

        Raises:
            TargetError: of the first node that failed; the others may still be running.
        """
        known = {spec.name for spec in specs}
        order = {spec.name: [name for name in spec.after if name in known] for spec in specs}
        try:
            graphlib.TopologicalSorter(order).prepare()
        except graphlib.CycleError as error:
            raise TargetError(
                f"services wait for each other: {' -> '.join(error.args[1])}", hint="break the circle of `depends_on`"
            ) from error
        begin = time.monotonic()
        done = {name: asyncio.Event() for name in known}
        seconds: dict[str, float] = {}

        async def one(spec: LaunchSpec) -> None:
            for name in order[spec.name]:
                await done[name].wait()
            await self.start(spec)
            seconds[spec.name] = time.monotonic() - begin
            done[spec.name].set()

        await _together(one(spec) for spec in specs)
        return {spec.name: seconds[spec.name] for spec in specs}

    async def start(self, spec: LaunchSpec) -> None:
        """Start one; returns when it is ready.

        Raises:
            TargetError: it did not become ready, with its last log lines.
        """
        self._specs[spec.name] = spec
        async with self._lock(spec.name):
            await self._start(spec)

    async def spawn(self, spec: LaunchSpec) -> int:
        """Start one and do not wait for anything; its pid (the launcher's).

        Raises:
            TargetError: it cannot be started. InternalError: one of that name runs.
        """
        found = self._running.get(spec.name)
        if found is not None and not found.exit.done():
            raise InternalError(f"a process called {spec.name} runs already")
        self._specs[spec.name] = spec
        running = await Launched.start(spec)
        self._running[spec.name] = running
        self._watch(running)
        return running.pid

    async def stop(self, name: str, grace: float) -> None:
        """SIGTERM, after `grace` seconds SIGKILL; idempotent."""
        running = self._running.get(name)
        if running is not None:
            await running.terminate(grace)

    async def kill(self, node: str, *, wipe: bool = False) -> None:
        """SIGKILL every process of the node; returns when /proc shows none. With `wipe` its data is gone then, too.

        Raises:
            TargetError: a process does not die, or the data cannot be removed.
        """
        async with self._lock(node):
            await self._get(node).kill()
            if wipe:
                self._bare.add(node)
                await _wipe(self._specs[node])

    async def pause(self, node: str) -> None:
        """SIGSTOP every process of the node; returns when /proc shows none running. A killed one stays killed.

        Raises:
            TargetError: one does not stop.
        """
        async with self._lock(node):
            await self._get(node).pause()

    async def run(self, node: str) -> None:
        """Continue a paused node, start a killed one with the data that it has, or prepare it anew where it was wiped;
        returns when it is ready.

        Raises:
            TargetError: it does not become ready.
        """
        async with self._lock(node):
            running, spec = self._get(node), self._specs[node]
            if running.exit.done() or running.state() == "killed":
                await running.kill()  # what may be left of it
                if node in self._bare:
                    await _wipe(spec)  # an attempt that failed may have left half a database, which none is made over
                    await _prepare_all_of(spec)
                    self._bare.discard(node)
                await self._start(spec)
            else:
                await running.resume()
                await await_ready(running)

    async def state(self, node: str) -> NodeState:
        """As seen in /proc now."""
        return self._get(node).state()

    async def stress(self, node: str, cpu: float, until_ns: int | None = None) -> float:
        """Burn `cpu` processors beside the node; what is burnt now. See the contract.

        Raises:
            EnvironmentFault: the node may not use that many processors. TargetError: it cannot be started.
        """
        async with self._lock(burners_of(node)):
            return await self._burners.set(self._get(node).spec, cpu, until_ns)

    def pids(self, name: str) -> list[dict[str, object]]:
        """Processes now, of a node or (`burners_of`) beside it: `pid` as it sees itself, `outer` as we see it, `state`
        letter, `command`, and the seconds of processor time that it had (`cpu_s`) and waited for (`waited_s`), None
        where that is not known."""
        running = self._running.get(name) or self._burners.get(name)
        found = running.members() if running is not None else []
        return [_shown(one) for one in found]

    def launchers(self) -> dict[str, int]:
        """Name -> pid of the launcher of everything that runs now."""
        return {name: running.pid for name, running in self._running.items() if not running.exit.done()}

    async def end_all(self) -> list[Exception]:
        """Kill everything and throw the data away; what went wrong on the way."""
        everything = [*self._running.values(), *self._burners.all()]
        for running in everything:
            running.told = True
        for watch in self._watches:
            watch.cancel()
        results = await asyncio.gather(
            *(running.kill() for running in everything), *self._watches, return_exceptions=True
        )
        for spec in self._specs.values():
            if spec.data is not None:
                await asyncio.to_thread(shutil.rmtree, spec.data, ignore_errors=True)
        self._running.clear()
        self._watches.clear()
        return [result for result in results if isinstance(result, Exception)]

    async def _start(self, spec: LaunchSpec) -> None:
        running = await Launched.start(spec)
        self._running[spec.name] = running
        try:
            await await_ready(running)
        except BaseException:
            await running.kill()
            raise
        self._watch(running)

    def _watch(self, running: Launched, asked: int | None = None) -> None:
        """Tell of its end, unless it was told to end or ends with the exit code that was asked for."""

        async def wait() -> None:
            await asyncio.wait({running.exit})
            if not running.told and running.returncode != asked:
                self._exited(running.spec.name, running.returncode or 0, running.log_lines())

        watch = asyncio.create_task(wait(), name=f"watch {running.spec.name}")
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)

    def _get(self, name: str) -> Launched:
        try:
            return self._running[name]
        except KeyError:
            raise InternalError(f"no process called {name} was started") from None

    def _lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())


async def _together(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do all of it at once; the first failure ends the rest and is the one that is told."""
    try:
        async with asyncio.TaskGroup() as group:
            for one in work:
                group.create_task(one)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def _prepare_all_of(spec: LaunchSpec) -> None:
    _make_data(spec)
    for argv in spec.prepare:
        await _prepare(spec, argv)


def _make_data(spec: LaunchSpec) -> None:
    if spec.data is None:
        return
    try:
        folder = Path(spec.data)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if spec.user is not None:
            os.chown(folder, *spec.user)
    except OSError as error:
        raise TargetError(
            f"the data folder of {spec.name} cannot be made: {error}", hint="free disk space, or choose --runs DIR"
        ) from error


async def _wipe(spec: LaunchSpec) -> None:
    """Throw the data away; nothing to do where there is none."""
    if spec.data is None:
        return
    try:
        await asyncio.to_thread(shutil.rmtree, spec.data)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise TargetError(
            f"the data of {spec.name} cannot be removed: {error}", hint=f"look into {spec.data}, then run it again"
        ) from error


def _shown(found: linux.Process) -> dict[str, object]:
    used = linux.usage(found.pid)
    return {
        "pid": (linux.ns_pids(found.pid) or (found.pid,))[-1],
        "outer": found.pid,
        "state": found.state,
        "command": linux.command(found.pid),
        "cpu_s": None if used is None else used.cpu,
        "waited_s": None if used is None else used.waited,
    }


async def _prepare(spec: LaunchSpec, argv: tuple[str, ...]) -> None:
    running = await Launched.start(spec, argv, pids=False)
    try:
        await asyncio.wait({running.exit}, timeout=_PREPARE)
        late = not running.exit.done()
    finally:
        await running.kill()
    if late or running.returncode:
        what = f"took longer than {_PREPARE:g} s" if late else f"failed with exit code {running.returncode}"
        raise failure(running, f"preparing {spec.name} {what} ({Path(argv[0]).name})")
