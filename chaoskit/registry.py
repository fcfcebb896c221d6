"""Where implementations are found by (kind, name): our own by a table, others' by entry points, loaded on first use.

Lower layers reach upper ones only through here (the supervisor asks for the runtime it was told to drive), so that the
imports keep pointing downward.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from chaoskit.errors import UsageError

__all__ = ["known", "load", "names"]

_OWN: dict[tuple[str, str], str] = {
    ("runtime", "process"): "chaoskit.runtimes.process:ProcessRuntime",
    ("driver", "process"): "chaoskit.runtimes.driver:ProcessDriver",
    ("server", "postgres"): "chaoskit.runtimes.servers.postgres:SERVER",
    ("server", "valkey"): "chaoskit.runtimes.servers.valkey:SERVER",
    ("server", "etcd"): "chaoskit.runtimes.servers.etcd:SERVER",
    ("links", "toxiproxy"): "chaoskit.toxiproxy.links:ToxiproxyLinks",
    ("fault", "latency"): "chaoskit.faults.latency:FAULT",
    ("fault", "timeout"): "chaoskit.faults.timeout:FAULT",
    ("fault", "outage"): "chaoskit.faults.outage:FAULT",
    ("fault", "blackhole"): "chaoskit.faults.blackhole:FAULT",
    ("fault", "reset"): "chaoskit.faults.reset:FAULT",
    ("fault", "bandwidth"): "chaoskit.faults.bandwidth:FAULT",
    ("fault", "slow_close"): "chaoskit.faults.slow_close:FAULT",
    ("fault", "slicer"): "chaoskit.faults.slicer:FAULT",
    ("fault", "limit_data"): "chaoskit.faults.limit_data:FAULT",
    ("fault", "flaky"): "chaoskit.faults.flaky:FAULT",
    ("fault", "flap"): "chaoskit.faults.flap:FAULT",
    ("fault", "partition"): "chaoskit.faults.partition:FAULT",
    ("fault", "kill"): "chaoskit.faults.kill:FAULT",
    ("fault", "restart"): "chaoskit.faults.restart:FAULT",
    ("fault", "pause"): "chaoskit.faults.pause:FAULT",
    ("fault", "stress"): "chaoskit.faults.stress:FAULT",
    ("fault", "action"): "chaoskit.faults.action:FAULT",
    ("model", "list-append"): "chaoskit.checks.models.list_append:MODEL",
    ("model", "rw-register"): "chaoskit.checks.models.rw_register:MODEL",
    ("invariant", "immutable"): "chaoskit.checks.immutable:check",
    ("invariant", "acknowledged-survive"): "chaoskit.checks.acknowledged:check",
    ("model", "append"): "chaoskit.checks.models.append:MODEL",
    ("model", "convergence"): "chaoskit.checks.models.convergence:MODEL",
    ("model", "set"): "chaoskit.checks.models.set_grow:MODEL",
    ("model", "set-full"): "chaoskit.checks.models.set_full:MODEL",
    ("model", "fifo-queue"): "chaoskit.checks.models.fifo_queue:MODEL",
    ("model", "queue"): "chaoskit.checks.models.queue:MODEL",
    ("model", "log"): "chaoskit.checks.models.log:MODEL",
    ("model", "register"): "chaoskit.checks.models.register:MODEL",
    ("model", "cas-register"): "chaoskit.checks.models.cas_register:MODEL",
    ("model", "multi-register"): "chaoskit.checks.models.multi_register:MODEL",
    ("model", "mutex"): "chaoskit.checks.models.mutex:MODEL",
    ("model", "reentrant-mutex"): "chaoskit.checks.models.reentrant_mutex:MODEL",
    ("model", "fenced-mutex"): "chaoskit.checks.models.fenced_mutex:MODEL",
    ("model", "kv"): "chaoskit.checks.models.kv:MODEL",
    # `auto` asks formats in this order: the more particular first (Porcupine's kv log is EDN, too), jepsen after them.
    ("format", "parquet"): "chaoskit.history.interchange.parquet:FORMAT",
    ("format", "run"): "chaoskit.history.interchange.run:FORMAT",
    ("format", "polysi"): "chaoskit.history.interchange.polysi:FORMAT",
    ("format", "dbcop"): "chaoskit.history.interchange.dbcop:FORMAT",
    ("format", "dbcop-hist"): "chaoskit.history.interchange.dbcop:HIST",
    ("format", "elle"): "chaoskit.history.interchange.elle:FORMAT",
    ("format", "porcupine"): "chaoskit.history.interchange.porcupine:FORMAT",
    ("format", "jepsen"): "chaoskit.history.interchange.jepsen:FORMAT",
    ("format", "jsonl"): "chaoskit.history.interchange.lines:FORMAT",
    ("model", "counter"): "chaoskit.checks.models.counter:MODEL",
    ("model", "bank"): "chaoskit.checks.models.bank:MODEL",
    ("model", "unique-ids"): "chaoskit.checks.models.unique_ids:MODEL",
    ("model", "effects"): "chaoskit.checks.models.effects:MODEL",
    ("model", "immutable"): "chaoskit.checks.models.immutable:MODEL",
    ("model", "long-fork"): "chaoskit.checks.models.long_fork:MODEL",
}


@cache
def _points(kind: str) -> dict[str, Any]:
    """Entry points of a kind by name. Asked once, and only when our own table does not answer: it reads every
    installed package's metadata."""
    from importlib.metadata import entry_points

    return {point.name: point for point in sorted(entry_points(group=f"chaoskit.{kind}"), key=lambda p: p.name)}


def names(kind: str) -> tuple[str, ...]:
    """All names of a kind, ours first."""
    own = [name for found, name in _OWN if found == kind]
    return tuple(own + [name for name in _points(kind) if name not in own])


def known(kind: str, name: str) -> bool:
    """Whether something of that kind is registered as `name`."""
    return (kind, name) in _OWN or name in _points(kind)


def load(kind: str, name: str) -> Any:
    """The implementation registered as `name`; third parties register under the entry point group `chaoskit.<kind>`.

    Raises:
        UsageError: nothing has that name; the message lists what has.
    """
    path = _OWN.get((kind, name))
    if path is not None:
        module, _, attribute = path.partition(":")
        return getattr(import_module(module), attribute)
    if name in _points(kind):
        return _points(kind)[name].load()
    raise UsageError(
        f"there is no {kind} called {name!r}", hint=f"use one of: {', '.join(names(kind)) or 'none found'}"
    )
