"""The process runtime, supervisor side: brings a stack of local processes up and takes all of it down again."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from chaoskit import linux
from chaoskit.contracts import ActionControl, LinkControl, NodeControl
from chaoskit.errors import ChaosKitError, InternalError, LinkError, TargetError
from chaoskit.registry import load
from chaoskit.runtimes.actions import Actions
from chaoskit.runtimes.nodes import Exited, Nodes
from chaoskit.runtimes.strays import Strays
from chaoskit.stack.effects import LinkState
from chaoskit.stack.launch import LaunchSpec, StackSpec

__all__ = ["ProcessDriver"]

_log = logging.getLogger(__name__)
_GRACE = 5.0  # seconds for one step of `down`: it must not hang on a server that is gone


class _NoLinks:
    """What there is to bend while no stack is up."""

    async def apply(self, link: str, state: LinkState) -> LinkState:
        raise LinkError(f"{link} cannot be changed: no stack is up")

    async def read(self, link: str) -> LinkState:
        raise LinkError(f"{link} cannot be read: no stack is up")


class ProcessDriver:
    """Starts what a StackSpec says as local processes and stops all of it. One stack at a time.

    Use it on the main thread: what it starts dies with the *thread* that started it.
    """

    nodes: NodeControl
    links: LinkControl
    actions: ActionControl

    def __init__(self) -> None:
        self._actions = Actions(None)
        self._strays: Strays | None = None
        self._nodes: Nodes | None = None
        self._proxy: Nodes | None = None
        self._control: Any = None
        self._starting: asyncio.Task[dict[str, float]] | None = None
        self._ending = asyncio.Lock()
        self._forget()

    async def up(self, stack: StackSpec, exited: Exited) -> dict[str, float]:
        """Start the proxy, make the proxies, start the nodes; seconds until each node was ready.

        Raises:
            TargetError: a node did not become ready, or `down` came in between; everything is stopped again.
            EnvironmentFault: the proxy did not start. LinkError: it refused a proxy.
        """
        if self._nodes is not None or self._starting is not None:
            raise InternalError("a stack is up already")
        starting = self._starting = asyncio.create_task(self._up(stack, exited), name="up")
        try:
            return await asyncio.shield(starting)
        except BaseException:
            stopped = starting.cancelled()
            starting.cancel()
            await asyncio.wait({starting})
            await self._end()
            if stopped:
                raise TargetError("the stack was stopped while it was starting") from None
            raise
        finally:
            self._starting = None

    async def _up(self, stack: StackSpec, exited: Exited) -> dict[str, float]:
        linux.subreaper()  # orphans of a launcher that was killed come to us instead of leaving the run
        nodes, proxy = Nodes(exited), Nodes(exited)
        self.nodes = self._nodes = nodes
        self._proxy = proxy
        self.actions = self._actions = Actions(stack)
        self._strays = Strays(stack.real, lambda: {**proxy.launchers(), **nodes.launchers()}, stack.proxy_process.name)
        preparing = asyncio.create_task(nodes.prepare_all(stack.nodes))
        try:
            await proxy.start(stack.proxy_process)
            self.links = self._control = load("links", "toxiproxy")(stack.control)
            await self._control.create(stack.proxies)
            await preparing
        finally:
            preparing.cancel()
            await asyncio.wait({preparing})
        return await nodes.start_all(stack.nodes)

    async def spawn(self, launch: LaunchSpec) -> int:
        """Start one more process (a traffic worker) without waiting for it; its pid.

        Raises:
            TargetError: it cannot be started. InternalError: no stack is up, or one of that name runs.
        """
        if self._nodes is None:
            raise InternalError("no stack is up")
        return await self._nodes.spawn(launch)

    async def stop(self, name: str, grace: float = 2.0) -> None:
        """End a process: SIGTERM, after `grace` seconds SIGKILL; idempotent."""
        if self._nodes is not None:
            await self._nodes.stop(name, grace)

    def pids(self, name: str) -> list[dict[str, object]]:
        """Processes of a node, or of what burns beside it, as in /proc now (see `Nodes.pids`)."""
        return [found for nodes in (self._nodes, self._proxy) if nodes is not None for found in nodes.pids(name)]

    def strays(self) -> list[dict[str, str]]:
        """Connections that lead to a real endpoint past its link, as in /proc now; none while no stack is up."""
        return [] if self._strays is None else self._strays.look()

    async def down(self) -> None:
        """Stop everything, the proxy last; idempotent, never raises. Data of the nodes is thrown away.

        A start that is under way is ended first: what it made after everything was stopped would stay.
        """
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait({self._starting})
        await self._end()

    async def _end(self) -> None:
        async with self._ending:  # whoever comes second waits until it is done
            nodes, proxy, control, actions = self._nodes, self._proxy, self._control, self._actions
            problems = await actions.end_all()
            if nodes is not None:
                problems += await nodes.end_all()
            if control is not None:
                try:
                    async with asyncio.timeout(_GRACE):
                        await control.aclose()
                except (ChaosKitError, OSError, TimeoutError) as error:
                    problems.append(error)
            if proxy is not None:
                problems += await proxy.end_all()
            for problem in problems:
                _log.warning("while stopping the stack: %s", problem)
            self._forget()  # only now: who is cancelled on the way leaves the rest to the next call

    def _forget(self) -> None:
        self._nodes = self._proxy = self._control = self._strays = None
        self.nodes, self.links = Nodes(lambda name, code, lines: None), _NoLinks()
        self.actions = self._actions = Actions(None)
