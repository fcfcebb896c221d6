"""The keeper of a stack that was started by hand: `python -m chaoskit.hand.keeper`, its configuration (JSON) on stdin.

It is to the supervisor what the engine is in a run: it holds the leases, beats the heart and asks for what is to be
done. It has a session of its own, so that the terminal may be closed, and listens on a unix socket in the state folder.
If it dies, the supervisor heals and stops everything; when its time is over, it says bye itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from chaoskit import registry
from chaoskit.data import Frozen
from chaoskit.errors import ChaosKitError, EnvironmentFault, HealError, UsageError
from chaoskit.faults.evidence import Witness
from chaoskit.hand.aiming import Order, aim, role_of
from chaoskit.hand.injecting import Injected, visible
from chaoskit.hand.table import Table
from chaoskit.safety.active import exclusive, running
from chaoskit.safety.recover import preflight
from chaoskit.safety.session import Supervisor
from chaoskit.safety.wire import LIMIT, decode, encode, pack_error
from chaoskit.stack.launch import StackSpec
from chaoskit.stack.topology import Target
from chaoskit.store import RunDir
from chaoskit.toxiproxy.client import AsyncClient
from chaoskit.toxiproxy.model import LinkCounters

__all__ = ["Config", "Keeper", "main"]

_log = logging.getLogger("chaoskit.keeper")
_SPARE_S = 30.0  # the supervisor ends the stack this much later than the keeper would
_KEPT = 50  # faults that `status` remembers

Request = dict[str, Any]
Tell = Callable[[Mapping[str, Any]], None]


class Config(Frozen):
    """What `chaoskit up` tells the keeper.

    Attributes:
        run: the run directory; the folder above it is called as the stack is. seconds: until it ends by itself.
        env: environment overrides per service.
    """

    run: str
    target: Target
    env: dict[str, dict[str, str]] = {}
    interposition: str = "auto"
    toxiproxy: Literal["embedded", "real"] = "embedded"
    runtime: str = "process"
    seconds: float


class Keeper:
    """One stack, from its start to its end. `say` tells whoever called `up` how it goes, until it is up."""

    def __init__(self, config: Config, say: Tell) -> None:
        self._config, self._say = config, say
        self._folder = RunDir(Path(config.run))
        self._runtime = registry.load("runtime", config.runtime)()
        self._supervisor = Supervisor()
        self._stack: StackSpec | None = None
        self._table = Table(config.target, self._folder, time.time() + config.seconds)
        self._faults: dict[str, Injected] = {}
        self._over = asyncio.Event()
        self._proxy_lost = False
        self._listening: list[Tell] = []
        self._clients: set[asyncio.Task[None]] = set()

    async def keep(self) -> None:
        """Start the stack and keep it until it is to end; everything is stopped when this returns, on every path.

        Raises:
            ChaosKitError: it did not start, or something could not be healed.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._end, f"signal {number.name}")
        server: asyncio.Server | None = None
        tasks: list[asyncio.Task[Any]] = []
        try:
            listening = await self._begin()
            server = await asyncio.start_unix_server(self._serve, sock=listening, limit=LIMIT)
            tasks = [asyncio.create_task(self._watch())]
            starting = asyncio.create_task(self._up())
            over = asyncio.create_task(self._over.wait())
            tasks += [starting, over]
            await asyncio.wait({starting, over}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                self._say({"up": await self._status()})
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._config.seconds):
                        await over
                self._end("its time was over")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._close(server)

    async def _begin(self) -> socket.socket:
        """Put the stack on record, where no other one of its name is, and listen."""
        name = self._folder.path.parent.name
        with exclusive():
            preflight()
            for entry in running():
                if entry.socket.exists() and entry.name == name:
                    raise UsageError(
                        f"a stack called {name} is up already ({entry.run})",
                        hint=f"chaoskit down {name}, or give this one another name: --name NAME",
                    )
            self._say({"starting": "supervisor"})
            await self._supervisor.start(
                self._folder, runtime=self._config.runtime, deadline_s=self._config.seconds + _SPARE_S
            )
            for entry in running():
                if entry.run == self._folder.id:
                    return _listen(entry.socket)
        raise EnvironmentFault("the supervisor ended at once", hint=f"see {self._folder.file('supervisor.log')}")

    async def _up(self) -> None:
        config = self._config
        self._say({"starting": "addresses and programs"})
        stack: StackSpec = await asyncio.to_thread(
            self._runtime.layout,
            config.target,
            config.env,
            self._folder.block("by-hand"),
            config.interposition,
            config.toxiproxy,
        )
        self._say({"starting": ", ".join(node.name for node in stack.nodes)})
        ready = await self._supervisor.up(stack)
        self._stack = stack
        self._table.up(stack, ready)

    # What is asked for over the socket

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)

        def tell(message: Mapping[str, Any]) -> None:
            if not writer.transport.is_closing():
                writer.write(encode(message))

        try:
            request = decode(await reader.readline())
            tell({"ok": await self._answer(request, tell)})
        except ChaosKitError as error:
            tell({"error": pack_error(error)})
        except (ValueError, KeyError, TypeError, ConnectionError) as error:
            tell({"error": pack_error(UsageError(f"the keeper was asked something that makes no sense: {error}"))})
        except Exception as error:
            _log.exception("a request failed")
            tell({"error": pack_error(error)})
        finally:
            self._clients.discard(task)
            with suppress(OSError):
                writer.close()
                await writer.wait_closed()

    async def _answer(self, request: Request, tell: Tell) -> Any:
        operations: dict[str, Callable[[], Awaitable[Any]]] = {
            "status": self._status,
            "inject": lambda: self._inject(Order.model_validate(request["order"]), tell),
            "heal": lambda: self._heal(request.get("id")),
            "down": self._down,
        }
        return await operations[str(request["op"])]()

    async def _status(self) -> dict[str, Any]:
        faults = [fault.summary() for fault in self._faults.values()]
        pids = {}
        if self._stack is not None and not self._supervisor.dead:
            for node in self._stack.nodes:
                pids[node.name] = await self._supervisor.pids(node.name)
        return self._table.summary(faults, pids, ending=self._over.is_set())

    async def _inject(self, order: Order, tell: Tell) -> dict[str, Any]:
        """Begin a fault, then tell what is seen of it until it is seen to bite or is over."""
        stack = self._need()
        if self._proxy_lost:
            raise EnvironmentFault("the proxy of this stack has ended: no link can be bent", hint="chaoskit down")
        identity = self._identity(order)
        role = role_of(order, self._config.target)
        roles = {}
        if role is not None:
            holder = await self._supervisor.ask(role)
            if holder is None:
                raise UsageError(f"nobody holds the role {role} at the moment", hint="try again, or name a node")
            roles = {role: holder}
        compiled = aim(
            order,
            identity,
            self._config.target,
            abilities=self._runtime.abilities(),
            toxiproxy=stack.toxiproxy,
            roles=roles,
        )
        decided = asyncio.Event()

        def changed(kind: str, summary: Mapping[str, Any]) -> None:
            if kind in ("seen", "unseen", "healed", "gone", "stayed", "unhealed"):
                decided.set()
            _log.info("%s: %s: %s", identity, kind, summary)

        bent = [effect for fault in self._faults.values() if fault.active for effect in fault.compiled.effects]
        evidence = visible(compiled, bent)
        witness = Witness(evidence, stack.canaries, self._supervisor.pids, self._counters)
        fault = Injected(identity, order, compiled, self._supervisor, witness, changed)
        self._faults[identity] = fault
        self._forget()
        await fault.begin()
        tell({"event": "begun", "fault": fault.summary()})
        await decided.wait()
        return fault.summary()

    async def _heal(self, identity: str | None) -> dict[str, Any]:
        """One fault, or all that are active."""
        if identity is not None and identity not in self._faults:
            active = [fault.id for fault in self._faults.values() if fault.active]
            raise UsageError(
                f"there is no fault {identity!r}", hint=f"active: {', '.join(active) or 'none'} (chaoskit status)"
            )
        chosen = [self._faults[identity]] if identity is not None else list(reversed(self._faults.values()))
        healed = [fault for fault in chosen if fault.active]
        results = await asyncio.gather(*(fault.heal("by hand") for fault in healed), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return {"healed": [fault.summary() for fault in healed]}

    async def _down(self) -> dict[str, Any]:
        self._end("chaoskit down")
        return {"ending": True}

    # What happens by itself

    async def _watch(self) -> None:
        """What the supervisor says unasked."""
        while True:
            event = await self._supervisor.events.get()
            kind = event.get("event")
            if kind == "dead":
                self._end("the supervisor ended unexpectedly")
            elif kind == "stopped":
                self._end("chaoskit stop")
            elif kind == "exit":
                name, code = str(event.get("name")), event.get("code")
                self._table.note(f"{name} ended by itself (code {code})")
                if self._stack is not None and name == self._stack.proxy_process.name:
                    self._proxy_lost = True
            elif kind in ("expired", "unhealed"):
                self._expired([str(identity) for identity in event.get("ids", ())], kind == "expired")

    def _expired(self, ids: list[str], healed: bool) -> None:
        for identity in {name.rpartition("/")[0] for name in ids}:
            fault = self._faults.get(identity)
            if fault is not None and healed:
                fault.expired()
            elif fault is not None:
                self._table.note(f"{identity} cannot be healed yet; the supervisor goes on trying")

    def _end(self, why: str) -> None:
        if not self._over.is_set():
            _log.info("ending: %s", why)
            self._over.set()

    async def _close(self, server: asyncio.Server | None) -> None:
        """Heal and stop everything, whatever state it is in; whoever waits for the socket's end then knows."""
        for fault in self._faults.values():
            fault.drop()
        try:
            if self._stack is not None and not self._supervisor.dead:
                await self._supervisor.down()
        except HealError:
            if not self._proxy_lost:  # with the proxy, what it held is gone
                raise
        finally:
            try:
                await self._supervisor.bye()
            finally:
                self._runtime.release()
                if server is not None:
                    server.close()
                for task in self._clients:
                    task.cancel()

    async def _counters(self) -> Mapping[str, LinkCounters]:
        client = AsyncClient(f"http://{self._need().control}")
        try:
            return await client.counters()
        finally:
            await client.aclose()

    def _need(self) -> StackSpec:
        if self._stack is None:
            raise EnvironmentFault("the stack is not up yet", hint="chaoskit status says when it is")
        return self._stack

    def _identity(self, order: Order) -> str:
        if order.name:
            known = self._faults.get(order.name)
            if known is not None and known.active:
                raise UsageError(f"a fault called {order.name} is active", hint=f"chaoskit heal {order.name}")
            return order.name
        names = (f"{order.fault}-{number}" for number in range(1, 1_000_000))
        return next(name for name in names if name not in self._faults)

    def _forget(self) -> None:
        old = [name for name, fault in self._faults.items() if not fault.active]
        for name in old[: max(len(self._faults) - _KEPT, 0)]:
            del self._faults[name]


def _listen(path: Path) -> socket.socket:
    """A listening socket for the user alone. By the folder's descriptor: a path of a socket has at most 107 bytes."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    listening = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listening.bind(f"/proc/self/fd/{folder}/{path.name}")
        listening.listen()
        return listening
    except OSError as error:
        listening.close()
        raise EnvironmentFault(f"cannot listen at {path}: {error.strerror or error}", hint="free disk space") from error
    finally:
        os.umask(before)
        os.close(folder)


def main() -> int:
    """Keep the stack that stdin describes; lines on stdout say how it goes, until it is up or has failed."""
    config = Config.model_validate_json(sys.stdin.buffer.read())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)

    def say(message: Mapping[str, Any]) -> None:
        with suppress(OSError):  # nobody listens any more: `up` was interrupted, or has all it wants
            os.write(1, encode(message))
            if "up" in message:
                os.dup2(2, 1)

    try:
        asyncio.run(Keeper(config, say).keep())
    except ChaosKitError as error:
        _log.error("%s", error)
        say({"error": pack_error(error)})
        return int(error.exit_code)
    except Exception as error:
        _log.exception("our bug")
        say({"error": pack_error(error)})
        return 70
    return 0


if __name__ == "__main__":
    sys.exit(main())
