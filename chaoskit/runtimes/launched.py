"""One started process with all that it started in turn: killed, paused and looked at as a whole, through /proc."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from chaoskit import linux
from chaoskit.errors import TargetError
from chaoskit.stack.effects import NodeState
from chaoskit.stack.launch import LaunchSpec

__all__ = ["LOG_LINES", "Launched"]

LOG_LINES = 20  # how much of a log an error shows
_LOG_BYTES = 65536
_PASS = 0.003  # seconds between two passes over /proc
_PATIENCE = 10.0  # seconds after which a process that ignores SIGKILL or SIGSTOP is an error (it hangs in the kernel)


class Launched:
    """A launcher and what is below it. Make one with `start`.

    Attributes:
        told: its end is wanted; nobody needs to hear of it.
        exit: done when the launcher has ended, and with it everything below.
    """

    def __init__(self, spec: LaunchSpec, process: asyncio.subprocess.Process, log_start: int) -> None:
        self.spec = spec
        self.told = False
        self.exit: asyncio.Task[int] = asyncio.create_task(process.wait(), name=f"exit of {spec.name}")
        self._process = process
        self._log_start = log_start

    @classmethod
    async def start(
        cls,
        spec: LaunchSpec,
        argv: Sequence[str] | None = None,
        *,
        pids: bool | None = None,
        capture: bool = False,
        pass_fds: Sequence[int] = (),
    ) -> Launched:
        """Start a process as the spec says.

        Args:
            argv: instead of the spec's own (a preparation, a readiness command: same names, user and folder).
            pids: instead of the spec's `own_pids`.
            capture: its output is for `output`, not for the log.
            pass_fds: descriptors that it gets, under the same numbers.

        Raises:
            TargetError: the log or the process cannot be made.
        """
        launch = linux.Launch(
            argv=tuple(argv or spec.argv),
            env=spec.env,
            cwd=spec.cwd,
            hosts=spec.hosts,
            pids=spec.own_pids if pids is None else pids,
            user=spec.user,
            reach=spec.reach,
            parent=os.getpid(),
        )
        try:
            Path(spec.log).parent.mkdir(parents=True, exist_ok=True)
            with open(spec.log, "ab") as log:
                command, fd = launch.command(spec.name)
                try:
                    process = await asyncio.create_subprocess_exec(
                        *command,
                        stdin=asyncio.subprocess.DEVNULL,
                        stdout=asyncio.subprocess.PIPE if capture else log,
                        stderr=asyncio.subprocess.STDOUT,
                        pass_fds=[fd, *pass_fds],
                        start_new_session=True,
                        cwd="/",
                    )
                finally:
                    os.close(fd)
                return cls(spec, process, log.tell())
        except OSError as error:
            raise TargetError(
                f"{spec.name} cannot be started: {error}", hint="free disk space, processes or permissions"
            ) from error

    @property
    def pid(self) -> int:
        """Of the launcher; signals sent to it reach the program."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """How the program ended: its exit code, or minus the signal's number; None while it runs."""
        code = self._process.returncode
        # The launcher cannot die by the same signal as the program, so it says it as a shell does.
        return -(code - 128) if code is not None and 128 < code < 128 + signal.NSIG else code

    def members(self) -> list[linux.Process]:
        """Processes of the node as in /proc now: what is below init, without what has ended."""
        if self._process.returncode is not None:
            return []
        init = {self.pid} if self.spec.own_pids else set[int]()
        return [
            found for found in linux.descendants(self.pid) if found.state not in linux.DEAD and found.parent not in init
        ]

    def state(self) -> NodeState:
        """What /proc says: killed when no process is left, paused when none of them runs."""
        members = self.members()
        if not members:
            return "killed"
        return "paused" if all(found.state in linux.STOPPED for found in members) else "running"

    async def kill(self) -> None:
        """SIGKILL everything; returns when /proc shows none of it any more.

        Raises:
            TargetError: something does not die (it hangs in the kernel).
        """
        self.told = True
        end = time.monotonic() + _PATIENCE
        seen: set[linux.ProcessId] = set()
        while not self.exit.done():
            family = linux.descendants(self.pid)
            seen.update(found.id for found in family)
            for found in family:
                _send(found.pid, signal.SIGKILL)
            # However far the launcher has come, it now ends, and not before everything below it has ended.
            _send(self.pid, linux.END)
            _send(self.pid, signal.SIGCONT)
            await asyncio.wait({self.exit}, timeout=_PASS * 4)
            if time.monotonic() > end:
                raise TargetError(f"{self.spec.name} does not die: {self._named(self.members())}")
        while left := [who for who in seen if linux.alive(who)]:
            if time.monotonic() > end:
                raise TargetError(f"{self.spec.name} does not die: pids {sorted(who.pid for who in left)}")
            await asyncio.sleep(_PASS)
        for who in seen:
            _collect(who.pid)

    async def pause(self) -> None:
        """SIGSTOP everything, again and again, until two passes over /proc in a row find nobody running.

        One pass is not enough: a child forked between the listing and the look at its parent is in neither.

        Raises:
            TargetError: something does not stop.
        """
        await self._signal_until(signal.SIGSTOP, lambda found: found.state in linux.STOPPED)

    async def resume(self) -> None:
        """SIGCONT everything until nobody is stopped.

        Raises:
            TargetError: something stays stopped.
        """
        await self._signal_until(signal.SIGCONT, lambda found: found.state not in linux.STOPPED)

    async def _signal_until(self, number: signal.Signals, done: Callable[[linux.Process], bool]) -> None:
        end = time.monotonic() + _PATIENCE
        before: set[linux.ProcessId] | None = None
        while True:
            members = self.members()
            wrong = [found for found in members if not done(found)]
            now = {found.id for found in members}
            if not wrong and now == before:
                return
            before = None if wrong else now
            for found in wrong:
                _send(found.pid, number)
            if time.monotonic() > end:
                raise TargetError(f"{self.spec.name} does not obey {number.name}: {self._named(wrong)}")
            await asyncio.sleep(_PASS)

    async def terminate(self, grace: float) -> None:
        """SIGTERM to the program, SIGKILL to everything after `grace` seconds."""
        self.told = True
        _send(self.pid, signal.SIGTERM)
        await asyncio.wait({self.exit}, timeout=grace)
        await self.kill()

    async def ended(self, timeout: float) -> int:
        """Wait for the end of a process that is to end by itself; how it ended. One that is late is killed.

        Raises:
            TimeoutError: it was late.
        """
        try:
            async with asyncio.timeout(timeout):
                await asyncio.shield(self.exit)
        except BaseException:
            await self.kill()
            raise
        return self.returncode or 0

    async def output(self, timeout: float) -> tuple[int, str]:
        """Wait for the end of a process started with `capture`; code and output. One that is late is killed.

        Raises:
            TimeoutError: it was late.
        """
        try:
            async with asyncio.timeout(timeout):
                out, _ = await self._process.communicate()
                await self.exit
        except BaseException:
            await self.kill()
            raise
        return self.returncode or 0, out.decode(errors="replace")

    def log_lines(self, count: int = LOG_LINES) -> tuple[str, ...]:
        """The last lines that this start (not an earlier one) wrote to the log."""
        try:
            with open(self.spec.log, "rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(self._log_start, size - _LOG_BYTES))
                return tuple(file.read().decode(errors="replace").splitlines()[-count:])
        except OSError:
            return ()

    @staticmethod
    def _named(members: list[linux.Process]) -> str:
        return ", ".join(f"pid {found.pid} ({found.name}, state {found.state})" for found in members) or "its launcher"


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass  # gone, or a set-uid program that is not ours to signal: the next look at /proc tells


def _collect(pid: int) -> None:
    """Take a zombie off the table that became ours because its launcher was killed before it."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
