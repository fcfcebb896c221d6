"""What the supervisor does all the time: answers the engine, watches it, and heals when nobody else will."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from pydantic import TypeAdapter, ValidationError

from chaoskit import linux
from chaoskit.errors import ChaosKitError, InternalError, Interrupted
from chaoskit.safety import hunt
from chaoskit.safety.active import ActiveRun, unregister
from chaoskit.safety.ledger import Ledger
from chaoskit.safety.stage import Stage
from chaoskit.safety.wire import LIMIT, Config, decode, encode, pack_error
from chaoskit.stack.effects import Effect
from chaoskit.stack.launch import LaunchSpec, StackSpec

__all__ = ["Service"]

_log = logging.getLogger(__name__)
_EFFECTS: TypeAdapter[list[Effect]] = TypeAdapter(list[Effect])

_TICK = 0.1  # seconds between two looks of the watch
_GAP = 1.0  # a longer one means that this process itself did not run: the engine's silence is then not its fault
_RETRY = 0.5  # between two attempts to settle what could not be healed
_COLLECT = 2.0  # between two looks for orphans that have ended
_STOP_GRACE = 10.0  # for the engine to report and say bye after `chaoskit stop`
_CANCEL = 20.0  # for requests under way when the run ends
_UNREAD = 4 << 20  # bytes that a frozen engine may leave unread before events are dropped

Request = dict[str, Any]


class Service:
    """One run. `serve` returns when the run is over and everything is stopped.

    Args:
        entry: the run's record among the active ones; removed when nothing is left.
        private: whether this process is PID 1 of a PID namespace.
    """

    def __init__(self, config: Config, entry: ActiveRun, private: bool, ledger: Ledger) -> None:
        self._config, self._entry, self._private = config, entry, private
        self._deadline_ns = config.deadline_ns
        self._ledger = ledger
        self._stage = Stage(entry.run, config.runtime, ledger, self._exited)
        self._writer: asyncio.StreamWriter
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()
        self._why = ""
        self._bye: int | None = None  # id of the request to answer last
        self._last_beat = time.monotonic()
        self._stopped_at: float | None = None
        self._retried = 0.0
        self._retrying: asyncio.Task[None] | None = None
        self._zombies: set[linux.ProcessId] = set()
        self._operations: dict[str, Callable[[Request], Awaitable[dict[str, Any]]]] = {
            "up": self._up,
            "begin": self._begin,
            "end": self._end,
            "spawn": self._spawn,
            "stop": self._stop,
            "pids": self._pids,
            "ask": self._ask,
            "follow": self._follow,
            "strays": self._strays,
            "beat": self._beat,
            "down": self._down,
        }

    async def serve(self) -> int:
        """Work until the run is over, for whatever reason; then heal and stop everything.

        Returns:
            The process's exit code: 0 when nothing is left, 5 otherwise.
        """
        reader, self._writer = await asyncio.open_connection(sock=socket.socket(fileno=self._config.fd), limit=LIMIT)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._finish, f"signal {number.name}")
        os.set_blocking(self._config.pulse, False)
        loop.add_reader(self._config.pulse, self._felt)
        watching: list[asyncio.Task[None]] = []
        try:
            self._tell({"event": "hello", "pid_namespace": self._private})
            watching = [asyncio.create_task(self._listen(reader)), asyncio.create_task(self._watch())]
            over = asyncio.create_task(self._over.wait())
            done, _ = await asyncio.wait({*watching, over}, return_when=asyncio.FIRST_COMPLETED)
            over.cancel()
            for task in watching:
                if task in done:
                    task.result()
        except ChaosKitError as error:
            self._finish(error.message)
            self._tell({"event": "failed", "error": pack_error(error)})
        except Exception as error:
            _log.exception("our bug; healing and ending")
            self._finish(f"our bug: {error!r}")
            self._tell({"event": "failed", "error": pack_error(error)})
        finally:
            for task in watching:
                task.cancel()
            left = await self._close_down()
        return 5 if left else 0

    # What the engine asks for

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        """Take requests until the engine's end of the socket is closed."""
        while True:
            try:
                line = await reader.readline()
            except ConnectionError:
                line = b""
            except (OSError, ValueError) as error:  # ValueError: a line beyond LIMIT
                self._finish(f"the engine's requests cannot be read: {error}")
                return
            if not line.endswith(b"\n"):
                self._finish("the engine is gone")
                return
            try:
                request = decode(line)
                number = int(request["id"])
            except (ValueError, KeyError, TypeError) as error:
                self._finish(f"the engine's requests make no sense: {error}")
                return
            self._last_beat = time.monotonic()
            if request.get("op") == "bye":
                self._bye = number
                self._finish("the engine said bye")
                return
            self._start(self._answer(number, request))

    async def _answer(self, number: int, request: Request) -> None:
        try:
            operation = self._operations.get(str(request.get("op")))
            if operation is None:
                raise InternalError(f"the supervisor has no operation {request.get('op')!r}")
            if self._over.is_set():
                raise Interrupted(f"the run is being ended: {self._why}")
            self._tell({"id": number, "ok": await operation(request)})
        except asyncio.CancelledError:
            reason = f"the run is being ended: {self._why}" if self._over.is_set() else "the stack was taken down"
            self._tell({"id": number, "error": pack_error(Interrupted(f"{request.get('op')} was cut short: {reason}"))})
            raise
        except (ValidationError, KeyError, TypeError) as error:
            self._tell({"id": number, "error": pack_error(InternalError(f"bad request {request.get('op')}: {error}"))})
        except Exception as error:
            if not isinstance(error, ChaosKitError):
                _log.exception("request %s failed", request.get("op"))
            self._tell({"id": number, "error": pack_error(error)})

    async def _up(self, request: Request) -> dict[str, Any]:
        return {"ready": await self._stage.up(StackSpec.model_validate(request["stack"]))}

    async def _begin(self, request: Request) -> dict[str, Any]:
        if self._stopped_at is not None:
            raise Interrupted("the run was stopped by `chaoskit stop`: nothing more is injected")
        return await self._stage.begin(_EFFECTS.validate_python(request["effects"]), int(request["deadline_ns"]))

    async def _end(self, request: Request) -> dict[str, Any]:
        return await self._stage.end([str(identity) for identity in request["ids"]])

    async def _spawn(self, request: Request) -> dict[str, Any]:
        return {"pid": await self._stage.spawn(LaunchSpec.model_validate(request["launch"]))}

    async def _stop(self, request: Request) -> dict[str, Any]:
        await self._stage.stop(str(request["name"]))
        return {}

    async def _pids(self, request: Request) -> dict[str, Any]:
        return {"pids": self._stage.pids(str(request["node"]))}

    async def _ask(self, request: Request) -> dict[str, Any]:
        return {"holder": await self._stage.ask(str(request["role"]))}

    async def _follow(self, request: Request) -> dict[str, Any]:
        return {"sightings": await self._stage.follow(str(request["role"]), float(request["seconds"]))}

    async def _strays(self, request: Request) -> dict[str, Any]:
        # Beside the loop: the kernel walks all sockets of the machine, which may take longer than healing should wait.
        return {"strays": await asyncio.to_thread(self._stage.strays)}

    async def _beat(self, request: Request) -> dict[str, Any]:
        self._deadline_ns = int(request["deadline_ns"])
        return {}

    async def _down(self, request: Request) -> dict[str, Any]:
        # A start that goes on would start nodes behind the back of what stops them.
        await self._cut_short()
        problem = await self._stage.down()
        if problem is not None:
            raise problem
        return {}

    # The watch

    def _felt(self) -> None:
        """A pulse of the engine, or its end (which the socket tells as well)."""
        try:
            if os.read(self._config.pulse, 4096):
                self._last_beat = time.monotonic()
                return
        except BlockingIOError:
            return
        except OSError as error:
            _log.warning("the engine's pulse cannot be felt: %s", error)
        asyncio.get_running_loop().remove_reader(self._config.pulse)

    async def _watch(self) -> None:
        before = time.monotonic()
        collected = before
        while not self._over.is_set():
            await asyncio.sleep(_TICK)
            now = time.monotonic()
            if now - before > _GAP:
                self._last_beat += now - before
            before = now
            if time.monotonic_ns() >= self._deadline_ns:
                self._finish("the run's deadline passed")
            elif now - self._last_beat > self._config.silence_s:
                self._finish(f"no heartbeat from the engine for {self._config.silence_s:g} s")
            elif self._stopped_at is not None and now - self._stopped_at > _STOP_GRACE:
                self._finish("stopped by `chaoskit stop`; the engine did not end by itself")
            elif self._stopped_at is None and self._entry.stop_asked:
                self._stopped_at = now
                self._start(self._stop_asked())
            self._expire()
            if now - collected > _COLLECT:
                collected = now
                self._collect()

    def _expire(self) -> None:
        """Take back what is past its deadline, and try again what could not be taken back."""
        late = self._stage.late()
        if late:
            self._start(self._expired(late))
        elif time.monotonic() - self._retried > _RETRY and (self._retrying is None or self._retrying.done()):
            self._retried = time.monotonic()
            self._retrying = self._start(self._retry())

    async def _expired(self, ids: list[str]) -> None:
        try:
            await self._stage.end(ids)
        except ChaosKitError as error:
            _log.warning("deadline of %s passed and it cannot be healed yet: %s", ids, error.message)
            self._tell({"event": "unhealed", "ids": ids, "error": pack_error(error)})
            return
        self._tell({"event": "expired", "ids": ids})

    async def _retry(self) -> None:
        try:
            healed = await self._stage.retry()
        except ChaosKitError as error:
            _log.warning("still not healed: %s", error.message)
            return
        if healed:
            self._tell({"event": "healed", "ids": healed})

    async def _stop_asked(self) -> None:
        """`chaoskit stop`: heal now, then let the engine report what it has."""
        _log.info("stopped by `chaoskit stop`")
        try:
            await self._stage.end_all()
        except ChaosKitError as error:
            _log.warning("stopping: %s", error.message)
        finally:
            self._tell({"event": "stopped"})

    def _collect(self) -> None:
        """Collect orphans that ended. Whoever started a child itself collects it at once, so only those that were there
        at the last look already are taken."""
        own = os.getpid()
        found = {p.id for p in linux.processes().values() if p.parent == own and p.state == "Z"}
        for who in found & self._zombies:
            try:
                os.waitpid(who.pid, os.WNOHANG)
            except ChildProcessError:
                pass
        self._zombies = found

    # The end

    def _finish(self, why: str) -> None:
        """The run is over; the first reason counts."""
        if not self._over.is_set():
            _log.info("ending: %s", why)
            self._why = why
            self._over.set()

    async def _close_down(self) -> list[int]:
        """Heal, stop everything, say so in the ledger; pids of what would not die. Goes on past every error."""
        await self._cut_short()
        problem = await self._stage.down()
        if self._private:
            # PID 1 of a namespace: a signal to -1 reaches everything in it, and when this process ends the kernel ends
            # whatever is left.
            try:
                os.kill(-1, signal.SIGKILL)
            except OSError:
                pass  # nobody there
            left = []
        else:
            left = hunt.kill_below()
        if problem is not None:
            _log.warning("while ending: %s", problem.message)  # what was bent has been stopped meanwhile
        if left:
            self._ledger.note("unhealed", error=f"processes {left} do not die")
        else:
            self._ledger.note("clean", sync=True, reason=self._why)
            try:
                unregister(self._entry)
            except ChaosKitError as error:
                _log.warning("%s", error.message)
        if self._bye is not None:
            self._tell({"id": self._bye, "ok": {"left": left}})
        try:
            async with asyncio.timeout(1.0):
                await self._writer.drain()
        except (OSError, TimeoutError):
            pass
        self._writer.close()
        return left

    async def _cut_short(self) -> None:
        """Cancel everything under way but the task that asks for it."""
        tasks = {task for task in self._tasks if task is not asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CANCEL)

    # Small things

    def _exited(self, name: str, code: int, log: tuple[str, ...]) -> None:
        number = -code if code < 0 else None
        self._tell({"event": "exit", "name": name, "code": code, "signal": number, "log": list(log)})

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a task failed", exc_info=error)

    def _tell(self, message: dict[str, Any]) -> None:
        """Write to the engine; never waits for it, because it may be frozen."""
        transport = self._writer.transport
        if not transport.is_closing() and transport.get_write_buffer_size() < _UNREAD:
            self._writer.write(encode(message))
