"""What a traffic worker is told: one JSON file, frozen."""

from __future__ import annotations

import math

from pydantic import Field

from chaoskit.data import SCHEMA_VERSION, Frozen
from chaoskit.spec.model import Arrivals
from chaoskit.stack.topology import CLIENT, ClassSpec
from chaoskit.traffic.arrivals import peak_rate

__all__ = ["WorkerConfig"]


class WorkerConfig(Frozen):
    """One worker of one cell. Paths are absolute; durations are seconds.

    Attributes:
        worker, workers: number of this worker, and how many share the planned rate.
        host, port: entry of the target as the client sees it. host_header: sent as `Host`; default host:port.
        timeout: client timeout, counted from the send. mix: weight per class.
        workload, factory: Python file and the callable in it that makes a Workload.
        key_prefix: begins every stamp; unique in the run.
        spool: folder. counters: file, made by the engine before the worker starts. lag: JSON lines, appended to.
        source, node: names for the columns `source` and `node`.
        in_flight: bound on operations in flight per class; None = computed (`bound`).
        final_deadline: for all final reads together. final_parallel: final reads at the same time.
        idle_limit: a connection idle for longer is closed, not used: below the keep-alive limit of common servers
            (the shortest default is 2 s), or a request now and then meets a connection that is just being closed.
    """

    schema_version: int = SCHEMA_VERSION
    worker: int = Field(0, ge=0, le=32767)
    workers: int = Field(1, ge=1)
    seed: int
    host: str
    port: int = Field(ge=1, le=65535)
    host_header: str | None = None
    timeout: float = Field(2.0, gt=0)
    arrivals: Arrivals
    mix: dict[str, float]
    classes: tuple[ClassSpec, ...] = Field(min_length=1)
    warm_up: float = Field(ge=0)
    duration: float = Field(ge=0)
    workload: str
    factory: str = "workload"
    key_prefix: str
    spool: str
    counters: str
    lag: str
    source: str = CLIENT
    node: str
    in_flight: int | None = Field(None, ge=1)
    final_deadline: float = Field(10.0, gt=0)
    final_parallel: int = Field(32, ge=1)
    idle_limit: float = Field(1.5, gt=0)

    def bound(self, cls: str) -> int:
        """How many operations of a class may be in flight, in this worker.

        When nothing is answered, rate x timeout are in flight; half as many again, and six standard deviations of a
        Poisson process for small rates, keep the bound from being met by chance.
        """
        if self.in_flight is not None:
            return self.in_flight
        share = self.mix.get(cls, 0.0) / (sum(self.mix.values()) or 1.0) / self.workers
        silent = peak_rate(self.arrivals) * share * self.timeout
        return math.ceil(1.5 * silent + 6 * math.sqrt(silent)) + 8
