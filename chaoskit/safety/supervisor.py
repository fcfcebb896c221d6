"""The supervisor process of a run: `python -m chaoskit.safety.supervisor CONFIG`, started by `session.Supervisor`.

It is in a session of its own (Ctrl-C reaches the engine alone). Where a PID namespace is to be had it forks: the outer
process only waits, the inner one is PID 1 of the namespace and does the work, so that the death of either, by whatever
signal, is the death of everything the run started. Elsewhere it works itself, as a subreaper.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from chaoskit import linux
from chaoskit.errors import ChaosKitError, ExitCode, StoreError
from chaoskit.safety import hunt
from chaoskit.safety.active import ActiveRun, pid_namespace, register, unregister
from chaoskit.safety.ledger import Ledger
from chaoskit.safety.service import Service
from chaoskit.safety.wire import Config, encode, pack_error

__all__ = ["main"]

_log = logging.getLogger("chaoskit.supervisor")


def main(arguments: list[str]) -> int:
    """Supervise the run that the configuration (JSON) in `arguments[0]` describes."""
    config = Config.model_validate_json(arguments[0])
    for fd in (config.fd, config.pulse):
        os.set_inheritable(fd, False)  # a node that held it would keep the engine from seeing us die
    logging.raiseExceptions = False  # a full disk must not get between a fault and its healing
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line per request says nothing that the ledger does not
    try:
        entry = register(
            ActiveRun(
                run=Path(config.run).name,
                directory=config.run,
                supervisor=linux.identity(os.getpid()) or (os.getpid(), 0),
                engine=config.engine,
                boot_id=linux.boot_id(),
                namespace=pid_namespace(),
            )
        )
        if config.pid_namespace:
            linux.enter(pids=True)
    except (ChaosKitError, OSError) as error:
        _refuse(config, error)
        return ExitCode.ENVIRONMENT
    if not config.pid_namespace:
        linux.subreaper()
        return _serve(config, entry, private=False)
    return _fork(config, entry)


def _fork(config: Config, entry: ActiveRun) -> int:
    """Be the outer process: wait for the inner one and end as it did."""
    # Signals that come before there is somebody to forward them to must wait.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
    reading, writing = os.pipe()
    inner = os.fork()
    if inner == 0:
        code = int(ExitCode.INTERNAL)
        try:
            os.close(writing)
            linux.parent_death_signal(signal.SIGKILL)
            os.set_blocking(reading, False)
            try:
                orphaned = os.read(reading, 1) == b""  # the outer one died before we asked
            except BlockingIOError:
                orphaned = False
            if not orphaned:
                linux.halt("supervisor-namespace")
                linux.mount_proc()
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
                code = _serve(config, entry, private=True)
        except BaseException:
            _log.exception("the supervisor failed")
        finally:
            os._exit(code)
    for fd in (config.fd, config.pulse, reading):
        os.close(fd)
    watched = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    while True:
        pid, status = os.waitpid(inner, os.WNOHANG)
        if pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        number = signal.sigwait(watched)
        if number != signal.SIGCHLD:
            os.kill(inner, signal.SIGTERM)


def _serve(config: Config, entry: ActiveRun, *, private: bool) -> int:
    try:
        return asyncio.run(_run(config, entry, private))
    finally:
        if not private:
            hunt.kill_below()  # whatever happened: nothing outlives this process (PID 1's end sees to it by itself)


async def _run(config: Config, entry: ActiveRun, private: bool) -> int:
    try:
        ledger = Ledger(Path(config.run))
    except StoreError as error:
        _refuse(config, error)
        unregister(entry)
        return ExitCode.ENVIRONMENT
    pid, start_ticks = entry.supervisor
    ledger.note(
        "header",
        sync=True,
        run=entry.run,
        boot_id=entry.boot_id,
        pid_namespace=private,
        supervisor={"pid": pid, "start_ticks": start_ticks},
    )
    return await Service(config, entry, private, ledger).serve()


def _refuse(config: Config, error: BaseException) -> None:
    """Tell the engine why nothing was started."""
    os.write(config.fd, encode({"event": "failed", "error": pack_error(error)}))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
