"""The traffic workers of one cell: started, told when, watched, ended; their history kept."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from chaoskit.engine.block import Block
from chaoskit.errors import ChaosKitError, EnvironmentFault
from chaoskit.plan import CellPlan
from chaoskit.stack.topology import CLIENT
from chaoskit.store import write_atomic
from chaoskit.traffic.config import WorkerConfig
from chaoskit.traffic.counters import Control, Counters
from chaoskit.traffic.snapshot import Snapshot, State, merged

__all__ = ["Load"]

_READY_S = 30.0  # starting Python and importing the user's workload on a busy machine
_FINAL_S = 15.0
_SLACK_S = 10.0  # beyond what a phase of a worker may take by its own rules
_POLL_S = 0.02


class Load:
    """All workers of a cell as one: `workers` processes for each client node, which share the planned rate.

    Clients that stand on different sides of a cut are different processes, so that neither the in-flight bound nor a
    stalled loop of one side can change what the other one measures.

    Attributes:
        names: of the workers' processes, as the supervisor reports them.
    """

    def __init__(self, block: Block, cell: CellPlan) -> None:
        self._block, self._cell = block, cell
        self._folder = block.folder.cell(cell.variant, cell.trial)
        count = block.plan.experiment.traffic.workers
        self._client = {  # worker -> the client node that it belongs to
            f"{client}-{number}" if count > 1 else client: client
            for client in block.plan.target.clients
            for number in range(1, count + 1)
        }
        self.names = tuple(self._client)
        self._counters: list[Counters] = []

    async def prepare(self) -> None:
        """Start the workers and wait until all are ready for their start instant.

        Raises:
            EnvironmentFault: one did not get ready; the message carries its own words.
        """
        for number, name in enumerate(self.names):
            config = self._config(number, name)
            self._counters.append(Counters.create(Path(config.counters), [c.name for c in config.classes]))
            path = self._folder / f"{name}.json"
            write_atomic(path, config.model_dump_json(indent=1) + "\n")
            launch = self._block.stack.clients[self._client[name]].model_copy(
                update={
                    "name": name,
                    "argv": (sys.executable, "-m", "chaoskit.traffic.worker", str(path)),
                    "log": str(self._folder / f"{name}.log"),
                }
            )
            await self._block.supervisor.spawn(launch)
        await self._reach(State.READY, _READY_S, "get ready")

    def start(self, start_ns: int) -> None:
        """Let the warm-up begin at this monotonic instant."""
        for counters in self._counters:
            counters.start_at(start_ns)

    def snapshot(self, clients: Collection[str] | None = None) -> Snapshot:
        """What the workers have counted so far: all of them, or those of some client nodes."""
        workers = zip(self.names, self._counters, strict=False)
        return merged([own.read() for name, own in workers if clients is None or self._client[name] in clients])

    def clients(self, side: str) -> frozenset[str]:
        """The client nodes that a word means: `client@n1`, or `n1`."""
        return frozenset(self._client.values()) & {side, f"{CLIENT}@{side}"}

    def check(self) -> None:
        """Look whether the workers are well.

        Raises:
            EnvironmentFault: one failed, or the workload's own code raised.
        """
        if not self._counters:
            return
        now = self.snapshot()
        if now.state is State.FAILED:
            raise EnvironmentFault(
                f"the traffic worker failed: {now.failure or 'it gave no reason'}", hint=self._logs()
            )
        if now.workload_errors:
            raise EnvironmentFault(
                f"the workload's own code raised (a bug in the workload, not in the target): {now.failure}",
                hint=self._logs(),
            )

    def done(self, name: str) -> bool:
        """Whether that is a worker which has done all that it had to; it ends then, maybe before the others."""
        return any(
            name == worker and counters.read().state is State.DONE
            for worker, counters in zip(self.names, self._counters, strict=False)
        )

    async def finished(self) -> None:
        """Wait until nothing is in flight any more.

        Raises:
            EnvironmentFault: it takes longer than the client timeout allows.
        """
        await self._reach(State.LOAD_DONE, self._block.plan.experiment.traffic.timeout + _SLACK_S, "finish its load")

    async def final_reads(self) -> None:
        """Have everything acknowledged read once more.

        Raises:
            EnvironmentFault: the workers do not come to an end.
        """
        self._tell(Control.FINAL)
        await self._reach(State.DONE, _FINAL_S + _SLACK_S, "finish the final reads")

    async def close(self) -> None:
        """End the workers and turn their spools into history.parquet; a history that cannot be kept is noted."""
        self._tell(Control.QUIT)
        for name in self.names if self._counters else ():
            with suppress(ChaosKitError):
                await self._block.supervisor.stop(name)
        for counters in self._counters:
            counters.close()
        self._counters.clear()
        if (self._folder / "spool").exists():
            try:
                await asyncio.to_thread(_keep, self._folder)
            except ChaosKitError as error:
                with suppress(ChaosKitError):  # the disk may be full; the spool is kept, and `analyse` reads it
                    self._block.recorder.event("note", reason=f"history.parquet was not written: {error.message}")

    def _config(self, number: int, name: str) -> WorkerConfig:
        experiment, target = self._block.plan.experiment, self._block.plan.target
        workload = next(w for w in target.workloads if w.name == experiment.traffic.workload)
        client = self._client[name]
        host, _, port = self._block.stack.entries[client].rpartition(":")
        return WorkerConfig(
            worker=number,
            workers=len(self.names),
            seed=self._cell.seed,
            host=host,
            port=int(port),
            timeout=experiment.traffic.timeout,
            arrivals=experiment.traffic.arrivals,
            mix=experiment.traffic.mix,
            classes=workload.classes,  # also those the mix leaves out: final reads may use them
            warm_up=experiment.warm_up,
            duration=experiment.duration,
            workload=workload.file,
            factory=workload.factory,
            key_prefix=self._cell.key_prefix,
            spool=str(self._folder / "spool"),
            counters=str(self._folder / f"{name}.counters"),
            lag=str(self._folder / "spool" / "lag.jsonl"),
            source=client,
            node=target.topology.links_from(client)[0].destination,  # as `entries` has it
            final_deadline=_FINAL_S,
        )

    def _tell(self, control: Control) -> None:
        for counters in self._counters:
            counters.tell(control)

    async def _reach(self, state: State, limit: float, what: str) -> None:
        try:
            async with asyncio.timeout(limit):
                while self.snapshot().state < state:
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            now = self.snapshot()
            raise EnvironmentFault(
                f"the traffic worker did not {what} within {limit:g} s (it is {now.state.name.lower()})",
                hint=self._logs(),
            ) from None
        self.check()

    def _logs(self) -> str:
        which = self.names[0] if len(self.names) == 1 else f"{CLIENT}*"
        return f"look into {self._folder / which}.log"


def _keep(folder: Path) -> None:
    from chaoskit.history.storage import load_history, write_parquet  # pyarrow is heavy

    write_parquet(load_history(folder), folder / "history.parquet")
