"""When a start counts as done: the process answers, and listens on its own address only."""

from __future__ import annotations

import asyncio
import time

from chaoskit import linux, probes
from chaoskit.errors import TargetError
from chaoskit.runtimes.launched import Launched
from chaoskit.stack.launch import LaunchSpec, ReadySpec

__all__ = ["await_ready", "failure"]

_ASK = 5.0  # seconds for one readiness command or probe


async def await_ready(running: Launched) -> None:
    """Return when the process is ready by its `ReadySpec` and its listening sockets are where they should be.

    Raises:
        TargetError: it exited, did not become ready in time, or listens on a wrong address; with its last log lines.
    """
    spec = running.spec
    if spec.ready is not None:
        await _until_ready(running, spec.ready)
    wrong = _wrong_listeners(running)
    if wrong:
        raise TargetError(f"{spec.name} {wrong[0]}", hint=wrong[1])


async def _until_ready(running: Launched, ready: ReadySpec) -> None:
    name = running.spec.name
    end = time.monotonic() + ready.timeout
    while True:
        found = await _ask(running.spec, ready, min(_ASK, ready.timeout))
        if running.exit.done():
            raise failure(running, f"{name} ended while starting {_ending(running)}")
        if found is None:
            return
        if time.monotonic() > end:
            why = _wrong_listeners(running)
            raise failure(
                running,
                f"{name} was not ready after {ready.timeout:g} s: {why[0] if why else found}",
                why[1] if why else "see its log; a slow start needs a longer `start_timeout`",
            )
        await asyncio.wait({running.exit}, timeout=ready.interval)


async def _ask(spec: LaunchSpec, ready: ReadySpec, timeout: float) -> str | None:
    """None when it is ready, else what was seen instead."""
    if ready.protocol is not None:
        result = await probes.probe(
            ready.host, ready.port, ready.protocol, path=ready.path, timeout=timeout, readiness=True
        )
        seen = f"{result.kind}, {result.detail}" if result.detail else result.kind
        return None if result.ready else f"{ready.protocol} probe of {ready.host}:{ready.port}: {seen}"
    if ready.command is None:
        return None
    asking = await Launched.start(spec, ready.command, pids=False, capture=True)
    try:
        code, output = await asking.output(timeout)
    except TimeoutError:
        return f"the health check {ready.command[0]} took longer than {timeout:g} s"
    last = output.strip().splitlines()[-1:] or [""]
    return None if code == 0 else f"the health check {ready.command[0]} exits with {code}: {last[0]}"


def _wrong_listeners(running: Launched) -> tuple[str, str] | None:
    """What is wrong with the sockets that the node listens on, and the remedy.

    A listener on all addresses would take the place of the proxies on that port, or be reached past them.
    """
    spec = running.spec
    if not spec.binds:
        return None
    own = linux.owners(found.pid for found in running.members())
    mine = [socket for socket in linux.listeners() if socket.inode in own]
    hint = "bind to {}:{} only: pass ${{NODE_HOST}} and ${{NODE_PORT}} in its command"
    right = [bind for bind in spec.binds if any((socket.host, socket.port) == bind for socket in mine)]
    for host, port in spec.binds:
        if any(socket.wildcard and socket.port == port for socket in mine):
            what = f"listens on every address of the machine at port {port}, past the links that lead to it"
            return what, hint.format(host, port)
        # A port of several may open later; one that is open elsewhere, or none where it should be, is a mistake.
        elsewhere = any(socket.port == port for socket in mine)
        if (host, port) not in right and (elsewhere or (mine and not right)):
            seen = ", ".join(sorted({f"{socket.host}:{socket.port}" for socket in mine}))
            return f"listens on {seen} instead of {host}:{port}", hint.format(host, port)
    return None


def failure(running: Launched, what: str, hint: str | None = None) -> TargetError:
    """The error of a process that did not do what it should, with its last log lines."""
    lines = running.log_lines()
    text = "\n".join(f"  | {line}" for line in lines) or "  (it wrote nothing)"
    if hint is None:
        hint = f"its whole log is {running.spec.log}"
        if any("address already in use" in line.lower() or "EADDRINUSE" in line for line in lines):
            hint = "bind to ${NODE_HOST} only, never to 0.0.0.0; if it does, another process holds the port"
    return TargetError(f"{what}\n{text}", hint=hint)


def _ending(running: Launched) -> str:
    code = running.returncode
    if code is None:
        return ""
    return f"(exit code {code})" if code >= 0 else f"(killed by signal {-code})"
