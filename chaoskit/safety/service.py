"""What the supervisor does all the time: answers the engine, watches it, and heals when nobody else will."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from chaoskit import linux, registry
from chaoskit.contracts import Driver
from chaoskit.errors import ChaosKitError, HealError, InternalError, Interrupted, LinkError
from chaoskit.safety import hunt
from chaoskit.safety.active import ActiveRun, unregister
from chaoskit.safety.executor import Confirmed, Executor, links_by_destination
from chaoskit.safety.ledger import Ledger
from chaoskit.safety.wire import LIMIT, Config, decode, encode, pack_error
from chaoskit.stack.effects import Effect, LinkState, NodeEffect
from chaoskit.stack.launch import LaunchSpec, StackSpec

__all__ = ["Service"]

_log = logging.getLogger(__name__)
_EFFECTS: TypeAdapter[list[Effect]] = TypeAdapter(list[Effect])

_TICK = 0.1  # seconds between two looks of the watch
_GAP = 1.0  # a longer one means that this process itself did not run: the engine's silence is then not its fault
_RETRY = 0.5  # between two attempts to settle what could not be healed
_COLLECT = 2.0  # between two looks for orphans that have ended
_STOP_GRACE = 10.0  # for the engine to report and say bye after `chaoskit stop`
_HEAL = 5.0  # for healing links before everything is stopped anyway
_DOWN = 20.0  # for stopping everything in the orderly way
_UNREAD = 4 << 20  # bytes that a frozen engine may leave unread before events are dropped

Request = dict[str, Any]


class Service:
    """One run. `serve` returns when the run is over and everything is stopped.

    Args:
        entry: the run's record among the active ones; removed when nothing is left.
        private: whether this process is PID 1 of a PID namespace.
    """

    def __init__(self, config: Config, entry: ActiveRun, private: bool) -> None:
        self._config, self._entry, self._private = config, entry, private
        self._deadline_ns = config.deadline_ns
        self._driver: Driver | None = None
        self._stack: StackSpec | None = None
        self._executor: Executor | None = None
        self._deadlines: dict[str, int] = {}  # effect -> monotonic ns
        self._ledger: Ledger
        self._writer: asyncio.StreamWriter
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()
        self._why = ""
        self._bye: int | None = None  # id of the request to answer last
        self._last_beat = time.monotonic()
        self._stopped_at: float | None = None
        self._retried = 0.0
        self._zombies: set[linux.ProcessId] = set()
        self._operations: dict[str, Callable[[Request], Awaitable[dict[str, Any]]]] = {
            "up": self._up,
            "begin": self._begin,
            "end": self._end,
            "spawn": self._spawn,
            "stop": self._stop,
            "pids": self._pids,
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
        watching: list[asyncio.Task[None]] = []
        try:
            self._open_ledger()
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
            self._tell({"id": number, "error": pack_error(Interrupted(f"the run is being ended: {self._why}"))})
            raise
        except (ValidationError, KeyError, TypeError) as error:
            self._tell({"id": number, "error": pack_error(InternalError(f"bad request {request.get('op')}: {error}"))})
        except Exception as error:
            if not isinstance(error, ChaosKitError):
                _log.exception("request %s failed", request.get("op"))
            self._tell({"id": number, "error": pack_error(error)})

    async def _up(self, request: Request) -> dict[str, Any]:
        stack = StackSpec.model_validate(request["stack"])
        if self._stack is not None:
            raise InternalError("a stack is up already")
        stack = stack.model_copy(
            update={
                "nodes": tuple(self._marked(launch) for launch in stack.nodes),
                "proxy_process": self._marked(stack.proxy_process),
            }
        )
        driver: Driver = registry.load("driver", self._config.runtime)()
        self._driver, self._stack = driver, stack
        self._ledger.note("up", nodes=[node.name for node in stack.nodes])
        try:
            ready = await driver.up(stack, self._exited)
        except BaseException:
            self._stack = None
            raise
        self._executor = Executor(
            driver.links, driver.nodes, links_by_destination(proxy.name for proxy in stack.proxies)
        )
        for name in (stack.proxy_process.name, *(node.name for node in stack.nodes)):
            self._record(name)
        return {"ready": ready}

    async def _begin(self, request: Request) -> dict[str, Any]:
        effects, deadline = _EFFECTS.validate_python(request["effects"]), int(request["deadline_ns"])
        executor = self._need()
        if self._stopped_at is not None:
            raise Interrupted("the run was stopped by `chaoskit stop`: nothing more is injected")
        if time.monotonic_ns() >= deadline:
            raise LinkError("nothing injected: its deadline has passed already")
        self._ledger.undo(effects, deadline)
        ids = [effect.id for effect in effects]
        self._deadlines.update(dict.fromkeys(ids, deadline))
        try:
            confirmed = await executor.begin(effects)
        except ChaosKitError:
            self._ledger.note("ended", ids=ids, confirmed_ns=None)
            raise
        answer = _answer(confirmed)
        self._ledger.note("confirmed", ids=ids, **answer)
        return answer

    async def _end(self, request: Request) -> dict[str, Any]:
        return await self._take_back([str(identity) for identity in request["ids"]])

    async def _take_back(self, ids: list[str]) -> dict[str, Any]:
        executor = self._need()
        nodes = [effect.node for effect in executor.active if isinstance(effect, NodeEffect) and effect.id in ids]
        try:
            answer = _answer(await executor.end(ids))
        except HealError as error:
            self._ledger.note("unhealed", error=error.message)
            raise
        self._ledger.note("ended", ids=ids, **answer)
        for identity in ids:
            self._deadlines.pop(identity, None)
        for node in nodes:  # started again, perhaps: other processes than before
            self._record(node)
        return answer

    async def _spawn(self, request: Request) -> dict[str, Any]:
        launch = self._marked(LaunchSpec.model_validate(request["launch"]))
        self._need()
        assert self._driver is not None
        pid = await self._driver.spawn(launch)
        self._record(launch.name)
        return {"pid": pid}

    async def _stop(self, request: Request) -> dict[str, Any]:
        if self._driver is not None:
            await self._driver.stop(str(request["name"]))
        return {}

    async def _pids(self, request: Request) -> dict[str, Any]:
        return {"pids": [] if self._driver is None else self._driver.pids(str(request["node"]))}

    async def _beat(self, request: Request) -> dict[str, Any]:
        self._deadline_ns = int(request["deadline_ns"])
        return {}

    async def _down(self, request: Request) -> dict[str, Any]:
        problem = await self._stop_stack()
        if problem is not None:
            raise problem
        return {}

    # The watch

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
            elif self._stopped_at is None and self._entry.stop_file.exists():
                self._stopped_at = now
                self._start(self._stop_asked())
            self._expire()
            if now - collected > _COLLECT:
                collected = now
                self._collect()

    def _expire(self) -> None:
        """Take back what is past its deadline, and try again what could not be taken back."""
        executor = self._executor
        if executor is None:
            return
        now = time.monotonic_ns()
        late = [effect.id for effect in executor.active if self._deadlines.get(effect.id, now) <= now]
        if late:
            for identity in late:
                self._deadlines[identity] = now + round(_RETRY * 1e9)  # not again while this attempt is under way
            self._start(self._expired(late))
        elif executor.unsettled and time.monotonic() - self._retried > _RETRY:
            self._retried = time.monotonic()
            self._start(self._retry(executor))

    async def _expired(self, ids: list[str]) -> None:
        try:
            await self._take_back(ids)
        except ChaosKitError as error:
            _log.warning("deadline of %s passed and it cannot be healed yet: %s", ids, error.message)
            self._tell({"event": "unhealed", "ids": ids, "error": pack_error(error)})
            return
        self._tell({"event": "expired", "ids": ids})

    async def _retry(self, executor: Executor) -> None:
        try:
            await executor.retry()
        except ChaosKitError as error:
            _log.warning("still not healed: %s", error.message)

    async def _stop_asked(self) -> None:
        """`chaoskit stop`: heal now, then let the engine report what it has."""
        _log.info("stopped by `chaoskit stop`")
        try:
            if self._executor is not None:
                await self._take_back([effect.id for effect in self._executor.active])
        except ChaosKitError as error:
            _log.warning("stopping: %s", error.message)
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
        tasks = {task for task in self._tasks if not task.done()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_DOWN)
        problem = await self._stop_stack()
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
            self._note("unhealed", error=f"processes {left} do not die")
        else:
            self._note("clean", sync=True, reason=self._why)
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

    async def _stop_stack(self) -> HealError | None:
        """Heal the links, stop the stack; what could not be healed first. Never raises."""
        executor, driver = self._executor, self._driver
        self._executor = self._driver = self._stack = None
        self._deadlines.clear()
        problem: HealError | None = None
        if executor is not None:
            try:
                async with asyncio.timeout(_HEAL):
                    await executor.heal_all(nodes=False)
            except HealError as error:
                problem = error
            except TimeoutError:
                problem = HealError(f"healing took longer than {_HEAL:g} s")
        if driver is not None:
            try:
                async with asyncio.timeout(_DOWN):
                    await driver.down()
            except Exception:
                _log.exception("the driver failed to stop the stack")
                problem = problem or HealError("the stack could not be stopped in the orderly way")
            self._note("down")
        return problem

    # Small things

    def _open_ledger(self) -> None:
        self._ledger = Ledger(Path(self._config.run))
        self._ledger.note(
            "header",
            sync=True,
            run=self._entry.run,
            boot_id=self._entry.boot_id,
            pid_namespace=self._private,
            supervisor={"pid": self._entry.supervisor[0], "start_ticks": self._entry.supervisor[1]},
        )

    def _note(self, kind: str, *, sync: bool = False, **fields: Any) -> bool:
        ledger: Ledger | None = getattr(self, "_ledger", None)
        return ledger is not None and ledger.note(kind, sync=sync, **fields)

    def _need(self) -> Executor:
        if self._executor is None:
            raise InternalError("no stack is up")
        return self._executor

    def _marked(self, launch: LaunchSpec) -> LaunchSpec:
        """With the run's mark in its environment, by which `recover` finds it."""
        return launch.model_copy(update={"env": {**launch.env, hunt.MARK: self._entry.run}})

    def _record(self, name: str) -> None:
        """Put the processes of a node on record."""
        if self._driver is None:
            return
        for found in self._driver.pids(name):
            who = linux.identity(int(str(found["outer"])))
            if who is not None:
                self._ledger.process(name, int(str(found["pid"])), who.pid, who.start_ticks)

    def _exited(self, name: str, code: int, log: tuple[str, ...]) -> None:
        number = -code if code < 0 else None
        self._tell({"event": "exit", "name": name, "code": code, "signal": number, "log": list(log)})

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a task failed", exc_info=error)

    def _tell(self, message: dict[str, Any]) -> None:
        """Write to the engine; never waits for it, because it may be frozen."""
        transport = self._writer.transport
        if not transport.is_closing() and transport.get_write_buffer_size() < _UNREAD:
            self._writer.write(encode(message))


def _answer(confirmed: Confirmed) -> dict[str, Any]:
    state = {
        place: found.model_dump() if isinstance(found, LinkState) else found for place, found in confirmed.state.items()
    }
    return {"confirmed_ns": confirmed.at_ns, "state": state}
