"""The proxy as a process: loop, signals, files, and an end that leaves nothing open."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import resource
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from chaoskit import linux
from chaoskit.errors import EnvironmentFault
from chaoskit.toxiproxy.server import address
from chaoskit.toxiproxy.server.api import VERSION, Api
from chaoskit.toxiproxy.server.hosts import Hosts
from chaoskit.toxiproxy.server.http import ControlPort
from chaoskit.toxiproxy.server.lag import LagRecorder
from chaoskit.toxiproxy.server.log import log, logging_as
from chaoskit.toxiproxy.server.metrics import Metrics
from chaoskit.toxiproxy.server.population import populate_from
from chaoskit.toxiproxy.server.proxies import Proxies
from chaoskit.toxiproxy.server.timers import LoopTimers

__all__ = ["Options", "run"]


_ENOUGH = 200_000  # descriptors; an unlimited number is no number to plan with
_OWN_DESCRIPTORS = 200  # kept for the control port, files and the loop
_MOST_PROXIES = 10_000


@dataclass(frozen=True)
class Options:
    """What the command line says.

    Attributes:
        port: a number, or a service's name. config: file of proxies to make first.
        seed: None = different every time. loop: auto, uvloop or asyncio.
        allow_hosts: names beside localhost and the address bound that requests may be sent to.
    """

    host: str = "localhost"
    port: str = "8474"
    config: str = ""
    seed: int | None = None
    proxy_metrics: bool = False
    runtime_metrics: bool = False
    allow_hosts: tuple[str, ...] = ()
    lag_file: str | None = None
    loop: str = "auto"


def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        EnvironmentFault: the control address, the lag file or the proxies of the configuration cannot be had.
    """
    _fill_standard_descriptors()
    # A delay that was asked for shall not be longer because somebody else had the processor: bytes and timers want it
    # for microseconds, and within microseconds.
    with suppress(OSError):
        linux.short_slices()
    descriptors = _raise_file_limit()
    with logging_as(os.environ.get("LOG_LEVEL")) as lines:
        with asyncio.Runner(loop_factory=_loop_factory(options.loop)) as runner:
            runner.run(_serve(options, descriptors, announce=not lines))


async def _serve(options: Options, descriptors: int, *, announce: bool) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    log(logging.INFO, "Starting Toxiproxy", version=VERSION)
    timers = LoopTimers(loop)
    seed = options.seed if options.seed is not None else random.SystemRandom().getrandbits(63)
    # Listeners, two sockets a connection, and the control port share what the system allows: none may starve another.
    most = min(max(descriptors // 20, 50), _MOST_PROXIES)
    proxies = Proxies(timers, str(seed), room=max((descriptors - _OWN_DESCRIPTORS - most) // 2, 1))
    recorder: LagRecorder | None = None
    server: asyncio.Server | None = None
    control: ControlPort | None = None
    try:
        if options.lag_file is not None:
            recorder = _recorder(options.lag_file, timers)
        sock, bound = await _listen(options)
        metrics = Metrics(proxies, of_proxies=options.proxy_metrics, of_runtime=options.runtime_metrics)
        hosts = Hosts(sock.getsockname()[0], options.host, options.allow_hosts)
        control = ControlPort(Api(proxies, most=most, hosts=hosts, metrics=metrics).answer)
        if options.config:
            try:
                made = await populate_from(options.config, proxies, most)
            except EnvironmentFault:
                sock.close()
                raise
            log(logging.INFO, "Populated proxies from file", config=options.config, proxies=made)
        server = await loop.create_server(control, sock=sock, backlog=128)
        # Everything made so far lives as long as the process: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        log(logging.INFO, "Starting Toxiproxy HTTP server", address=bound)
        if announce:
            with suppress(OSError):  # a full disk or a reader that has left is no reason not to serve
                os.write(1, f"toxiproxy: listening on {bound}\n".encode())
        await stop.wait()
        log(logging.INFO, "Shutdown started")
    finally:
        if server is not None:
            server.close()
        if control is not None:
            await control.close()
        await proxies.close()
        if recorder is not None:
            recorder.close()
        timers.close()


def _recorder(file: str, timers: LoopTimers) -> LagRecorder:
    try:
        return LagRecorder(file, timers)
    except OSError as error:
        raise EnvironmentFault(
            f"the proxy cannot write its lag file {file}: {error.strerror}",
            hint="check the folder's permissions and the free space",
        ) from None


async def _listen(options: Options) -> tuple[socket.socket, str]:
    asked = f"[{options.host}]:{options.port}" if ":" in options.host else f"{options.host}:{options.port}"
    try:
        host, port = await address.resolve(asked)
        sock = address.listen(host, port)
    except address.AddressError as error:
        raise EnvironmentFault(
            f"the proxy cannot listen for control requests on {asked}: {error}",
            hint="choose another -host or -port, or stop what uses this one",
        ) from None
    return sock, address.join(*sock.getsockname()[:2])


def _loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if name == "asyncio":
        return None
    try:
        import uvloop
    except ImportError:
        if name == "uvloop":
            raise EnvironmentFault("uvloop is not installed", hint="pip install uvloop, or use -loop asyncio") from None
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _fill_standard_descriptors() -> None:
    """Who closed 0, 1 or 2 before the start would see them given to sockets, and lines written into those."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


def _raise_file_limit() -> int:
    """Two descriptors a connection: take all that the system allows, and say how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (ValueError, OSError):
        return soft
    return wanted
