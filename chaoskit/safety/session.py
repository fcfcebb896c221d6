"""The engine's side of the supervisor: starts it, beats its heart, asks it for things, notices when it dies."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from chaoskit import linux
from chaoskit.contracts import Sighting
from chaoskit.errors import ChaosKitError, EnvironmentFault, HealError, StoreError
from chaoskit.safety import hunt
from chaoskit.safety.pulse import Pulse
from chaoskit.safety.recover import recover
from chaoskit.safety.wire import LIMIT, Config, decode, encode, unpack_error
from chaoskit.stack.effects import Effect
from chaoskit.stack.launch import LaunchSpec, StackSpec
from chaoskit.store import RunDir

__all__ = ["Supervisor"]

_log = logging.getLogger(__name__)
_ROOT = Path(__file__).resolve().parents[2]

_BEAT = 0.5  # seconds between two heartbeats
_SILENCE = 5.0  # seconds without one after which the supervisor ends the run
_HUNG = 30.0  # seconds without an answer to a heartbeat after which the supervisor counts as dead
_HELLO = 30.0  # seconds for its start on a busy machine
_FAREWELL = 60.0  # seconds for healing, stopping everything and saying so


class Supervisor:
    """One per run. Made without effect; `start` starts the process.

    Attributes:
        events: what the supervisor says unasked (`exit`, `expired`, `unhealed`, `healed`, `stopped`), and
            `{"event": "dead"}`.
        dead: it ended without having been told to.
        pid: of the (outer) supervisor process. private: it has a PID namespace, nothing can outlive it.
    """

    def __init__(self) -> None:
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.dead = False
        self.pid = 0
        self.private = False
        self._run: RunDir
        self._process: subprocess.Popen[bytes] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._hello: asyncio.Future[dict[str, Any]]
        self._count = 0
        self._deadline_ns = 0
        self._heard = 0.0
        self._ending = False
        self._pulse: Pulse | None = None

    async def start(
        self,
        run: RunDir,
        *,
        runtime: str = "process",
        deadline_s: float,
        pid_namespace: Literal["auto", "never"] = "auto",
        silence_s: float = _SILENCE,
    ) -> None:
        """Start the process; it is on record as an active run when this returns.

        Args:
            deadline_s: seconds from now after which the run has hung: everything is healed and stopped then.
            silence_s: seconds without a heartbeat after which the same is done.

        Raises:
            EnvironmentFault: it did not start; its log says why.
        """
        self._run = run
        self._deadline_ns = time.monotonic_ns() + round(deadline_s * 1e9)
        self._hello = asyncio.get_running_loop().create_future()
        private = pid_namespace == "auto" and (await asyncio.to_thread(linux.probe)).pids
        ours, theirs = socket.socketpair()
        self._pulse = Pulse()
        try:
            self._process = self._spawn(theirs, runtime, private, silence_s, self._pulse.reading)
        except BaseException:
            ours.close()
            self._pulse.stop()
            raise
        finally:
            theirs.close()
        self._pulse.start()
        self.pid = self._process.pid
        reader, self._writer = await asyncio.open_connection(sock=ours, limit=LIMIT)
        self._tasks = [asyncio.create_task(self._listen(reader))]
        try:
            async with asyncio.timeout(_HELLO):
                hello = await self._hello
        except TimeoutError:
            await self._abort()
            raise EnvironmentFault(
                f"the supervisor did not start within {_HELLO:g} s", hint=f"see {run.file('supervisor.log')}"
            ) from None
        except BaseException:
            await self._abort()
            raise
        self.private = bool(hello.get("pid_namespace"))
        self._heard = time.monotonic()
        self._tasks.append(asyncio.create_task(self._beat_on()))

    async def up(self, stack: StackSpec) -> dict[str, float]:
        """Start a stack; seconds until each node was ready.

        Raises:
            TargetError: a node did not come up; all is stopped again.
        """
        return dict((await self._ask("up", stack=stack.model_dump(mode="json")))["ready"])

    async def begin(self, effects: Sequence[Effect], deadline_ns: int) -> int:
        """Inject; the monotonic instant at which the changed state was read back.

        Args:
            deadline_ns: when the supervisor takes them back by itself.

        Raises:
            LinkError, TargetError: it could not be done and was taken back. StoreError: the undo could not be
            recorded. HealError: half done and not taken back.
        """
        found = await self._ask(
            "begin", effects=[effect.model_dump(mode="json") for effect in effects], deadline_ns=deadline_ns
        )
        return int(found["confirmed_ns"])

    async def end(self, ids: Iterable[str]) -> int:
        """Take effects back; the instant at which the healed state was read back. Unknown ids are nothing to do.

        Raises:
            HealError: it could not be done; the supervisor goes on trying.
        """
        return int((await self._ask("end", ids=list(ids)))["confirmed_ns"])

    async def spawn(self, launch: LaunchSpec) -> int:
        """Start a traffic worker; its pid in the supervisor's namespace.

        Raises:
            TargetError: it cannot be started.
        """
        return int((await self._ask("spawn", launch=launch.model_dump(mode="json")))["pid"])

    async def stop(self, name: str) -> None:
        """End a spawned process; idempotent."""
        await self._ask("stop", name=name)

    async def pids(self, node: str) -> list[dict[str, object]]:
        """Processes of a node as in /proc now."""
        return list((await self._ask("pids", node=node))["pids"])

    async def ask(self, role: str) -> str | None:
        """The node that holds a role of the target (`leader`) now; None while nobody does.

        Raises:
            LinkError: the target's function failed or took too long; its own words are in the message.
        """
        holder = (await self._ask("ask", role=role))["holder"]
        return None if holder is None else str(holder)

    async def follow(self, role: str, seconds: float) -> list[Sighting]:
        """Ask again and again who holds a role, for `seconds` from the first call of this on; everything that was
        answered so far, at least once. 0 seconds: stop.

        Raises:
            LinkError: no answer came in time.
        """
        return [Sighting(*one) for one in (await self._ask("follow", role=role, seconds=seconds))["sightings"]]

    async def strays(self) -> list[dict[str, str]]:
        """Connections that lead to a real endpoint past its link, as in /proc now: `destination` ("node:port") and
        `source` (the node or worker that holds it; "" where that cannot be told)."""
        return list((await self._ask("strays"))["strays"])

    async def beat(self, deadline_s: float) -> None:
        """Move the run's deadline to `deadline_s` seconds from now."""
        self._deadline_ns = time.monotonic_ns() + round(deadline_s * 1e9)
        await self._ask("beat", deadline_ns=self._deadline_ns)

    async def down(self) -> None:
        """Heal and stop the stack; the supervisor stays.

        Raises:
            HealError: a link could not be healed before everything was stopped.
        """
        await self._ask("down")

    async def bye(self) -> None:
        """Heal, stop everything, end the supervisor; idempotent, and nothing to do where none was started. Where the
        supervisor died, what it left is cleaned up.

        Raises:
            HealError: something is left.
        """
        if self._process is None:
            return
        self._ending = True
        left: list[object] = []
        try:
            if not self.dead:
                async with asyncio.timeout(_FAREWELL):
                    left = (await self._ask("bye"))["left"]
                    await self._ended()
        except (TimeoutError, EnvironmentFault) as error:
            _log.warning("the supervisor did not end in the orderly way: %s", error)
            self.dead = True
        await self._abort()
        if self.dead:
            report = await asyncio.to_thread(recover, self._run.id)
            left = list(report.left)
        if left:
            raise HealError(f"the run is over, but {left} is left", hint="chaoskit recover")

    def _spawn(
        self, theirs: socket.socket, runtime: str, private: bool, silence_s: float, pulse: int
    ) -> subprocess.Popen[bytes]:
        config = Config(
            fd=theirs.fileno(),
            pulse=pulse,
            run=str(self._run.path),
            runtime=runtime,
            deadline_ns=self._deadline_ns,
            silence_s=silence_s,
            pid_namespace=private,
            engine=linux.identity(os.getpid()) or (os.getpid(), 0),
        )
        path = self._run.file("supervisor.log")
        try:
            with open(path, "ab") as log:
                return subprocess.Popen(
                    [sys.executable, "-m", "chaoskit.safety.supervisor", config.model_dump_json()],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[theirs.fileno(), pulse],
                    start_new_session=True,
                    cwd=_ROOT,  # so that -m finds this very package
                    env={**os.environ, hunt.MARK: self._run.id},
                )
        except OSError as error:
            if error.filename == str(path):
                raise StoreError(
                    f"cannot write {path}: {error.strerror}", hint="choose another place with --runs DIR"
                ) from error
            raise EnvironmentFault(
                f"the supervisor cannot be started: {error}", hint="free memory or processes, then try again"
            ) from error

    async def _ask(self, op: str, **arguments: Any) -> dict[str, Any]:
        if self.dead or self._writer is None:
            raise self._gone()
        self._count += 1
        number = self._count
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(encode({"id": number, "op": op, **arguments}))
            found: dict[str, Any] = await answer
            return found
        finally:
            self._waiting.pop(number, None)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        try:
            while (line := await reader.readline()).endswith(b"\n"):
                self._take(decode(line))
        except ConnectionError:
            pass  # it ended
        except (OSError, ValueError) as error:
            _log.warning("the supervisor cannot be understood: %s", error)
        self._lost()

    def _take(self, message: dict[str, Any]) -> None:
        self._heard = time.monotonic()
        event = message.get("event")
        if event in ("hello", "failed") and not self._hello.done():
            if event == "hello":
                self._hello.set_result(message)
            else:
                self._hello.set_exception(_as_environment(unpack_error(message["error"])))
        elif event is not None:
            self.events.put_nowait(message)
        elif (answer := self._waiting.get(message.get("id", 0))) is not None and not answer.done():
            if "error" in message:
                answer.set_exception(unpack_error(message["error"]))
            else:
                answer.set_result(message["ok"])

    def _lost(self) -> None:
        """The supervisor's end of the socket is closed: whoever waits shall know."""
        if not self._hello.done():
            self._hello.set_exception(self._gone())
        if not self._ending and not self.dead:
            self.dead = True
            self.events.put_nowait({"event": "dead"})
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(self._gone())

    async def _beat_on(self) -> None:
        """Beat the heart. A supervisor that does not answer (stopped, hanging in the kernel) is ended: with it dead
        `recover` can work, while a living one that hangs would hold its faults for ever."""
        while not self.dead:
            assert self._writer is not None
            self._count += 1
            self._writer.write(encode({"id": self._count, "op": "beat", "deadline_ns": self._deadline_ns}))
            if self._pulse is not None:
                self._pulse.loop_seen = time.monotonic()
            before = time.monotonic()
            await asyncio.sleep(_BEAT)
            now = time.monotonic()
            if now - before > 2 * _BEAT + 1.0:
                self._heard = now  # we ourselves did not run
            if now - self._heard > _HUNG:
                _log.error("the supervisor has not answered for %g s", _HUNG)
                if self._process is not None:
                    self._process.send_signal(signal.SIGKILL)
                return

    def _gone(self) -> EnvironmentFault:
        code = self._process.poll() if self._process is not None else None
        how = f"by signal {-code}" if code is not None and code < 0 else f"with code {code}"
        ended = "ended" if code is None else f"ended {how}"
        return EnvironmentFault(
            f"the supervisor of this run {ended} unexpectedly; what it ran is stopped",
            hint=f"see {self._run.file('supervisor.log')}; if anything is left, `chaoskit recover` removes it",
        )

    async def _ended(self) -> None:
        process = self._process
        assert process is not None
        while process.poll() is None:
            await asyncio.sleep(0.01)

    async def _abort(self) -> None:
        """Hang up and see the process end; kill it if it does not end by itself."""
        self._ending = True
        self._hang_up()
        process, tasks = self._process, self._tasks
        self._tasks = []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if process is None:
            return
        try:
            async with asyncio.timeout(_FAREWELL):
                await self._ended()
        except TimeoutError:
            process.kill()
            await asyncio.to_thread(process.wait)
            self.dead = True
        self._process = None

    def _hang_up(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.transport.abort()
        if self._pulse is not None:
            self._pulse.stop()
        for task in self._tasks:
            task.cancel()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(self._gone())


def _as_environment(error: ChaosKitError) -> ChaosKitError:
    """Why the supervisor did not start; a foreign error there is the environment's, with the text kept."""
    if isinstance(error, EnvironmentFault):
        return error
    return EnvironmentFault(f"the supervisor did not start: {error.message}", hint=error.hint)
