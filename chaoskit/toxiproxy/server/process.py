"""The proxy as a process: loop, signals, files, and an end that leaves nothing open."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass

from chaoskit.errors import EnvironmentFault
from chaoskit.toxiproxy.server import address
from chaoskit.toxiproxy.server.api import Api
from chaoskit.toxiproxy.server.http import ControlPort
from chaoskit.toxiproxy.server.lag import LagRecorder
from chaoskit.toxiproxy.server.proxies import Proxies
from chaoskit.toxiproxy.server.timers import LoopTimers

__all__ = ["Options", "run"]


_ENOUGH = 200_000  # descriptors; an unlimited number is no number to plan with
_OWN_DESCRIPTORS = 200  # kept for listeners, the control port and the lag file


@dataclass(frozen=True)
class Options:
    """What the command line says. `loop`: auto, uvloop or asyncio; `seed` None = different every time."""

    host: str = "localhost"
    port: int = 8474
    lag_file: str | None = None
    seed: int | None = None
    loop: str = "auto"


def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        EnvironmentFault: the control address or the lag file cannot be had.
    """
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    descriptors = _raise_file_limit()
    with asyncio.Runner(loop_factory=_loop_factory(options.loop)) as runner:
        runner.run(_serve(options, room=max((descriptors - _OWN_DESCRIPTORS) // 2, 1)))


async def _serve(options: Options, room: int) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    timers = LoopTimers(loop)
    seed = options.seed if options.seed is not None else random.SystemRandom().getrandbits(63)
    proxies = Proxies(timers, str(seed), room=room)
    control = ControlPort(Api(proxies).answer)
    server, bound = await _listen(options, control)
    recorder: LagRecorder | None = None
    try:
        if options.lag_file is not None:
            try:
                recorder = LagRecorder(options.lag_file, timers)
            except OSError as error:
                raise EnvironmentFault(
                    f"the proxy cannot write its lag file {options.lag_file}: {error.strerror}",
                    hint="check the folder's permissions and the free space",
                ) from None
        # Everything made so far lives as long as the process: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        print(f"toxiproxy: listening on {bound}", flush=True)  # noqa: T201
        await stop.wait()
    finally:
        server.close()
        control.close()
        await proxies.close()
        if recorder is not None:
            recorder.close()
        timers.close()


async def _listen(options: Options, control: Callable[[], asyncio.Protocol]) -> tuple[asyncio.Server, str]:
    asked = address.join(options.host, options.port)
    try:
        host, port = await address.resolve(asked)
        sock = address.listen(host, port)
    except address.AddressError as error:
        raise EnvironmentFault(
            f"the proxy cannot listen for control requests on {asked}: {error}",
            hint="choose another --host or --port, or stop what uses this one",
        ) from None
    bound = address.join(*sock.getsockname()[:2])
    return await asyncio.get_running_loop().create_server(control, sock=sock, backlog=128), bound


def _loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if name == "asyncio":
        return None
    try:
        import uvloop
    except ImportError:
        if name == "uvloop":
            raise EnvironmentFault(
                "uvloop is not installed", hint="pip install uvloop, or use --loop asyncio"
            ) from None
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _raise_file_limit() -> int:
    """Two descriptors a connection: take all that the system allows, and say how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (ValueError, OSError):
        return soft
    return wanted
