"""What the workers of a cell are told: who stands where, whom they dial, and what share of the load is theirs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from chaoskit.engine.load import Load
from chaoskit.history.storage import load_history
from chaoskit.plan import CellPlan
from chaoskit.spec.model import Arrivals, Experiment, Traffic, Variant
from chaoskit.stack.launch import LaunchSpec
from chaoskit.stack.topology import ClassSpec, Link, Node, Target, Topology, WorkloadSpec
from chaoskit.traffic.arrivals import due_times
from chaoskit.traffic.config import WorkerConfig
from chaoskit.traffic.counters import Counters
from chaoskit.traffic.snapshot import State

RATE, SECONDS = 100.0, 20.0


class Supervisor:
    """Starts nothing; says for every worker that it is ready."""

    def __init__(self) -> None:
        self.spawned: list[LaunchSpec] = []
        self.stopped: list[str] = []

    async def spawn(self, launch: LaunchSpec) -> int:
        self.spawned.append(launch)
        counters = Counters.open(Path(WorkerConfig.model_validate_json(Path(launch.argv[-1]).read_bytes()).counters))
        last = counters.read()
        counters.publish(State.READY, last.counts, last.cells)
        counters.close()
        return 1

    async def stop(self, name: str) -> None:
        self.stopped.append(name)


def load(folder: Path, clients: tuple[str, ...], workers: int) -> tuple[Load, Supervisor]:
    nodes = [Node(name=name, service=name, number=number) for number, name in enumerate(("n1", "n2"), 1)]
    nodes += [Node(name=name, service="client", number=number) for number, name in enumerate(clients, 3)]
    links = [
        Link(source=client, destination=node, port=80)
        for client in clients
        for node in ("n1", "n2")
        if client in ("client", f"client@{node}")
    ]
    arrivals = Arrivals(shape="constant", rate=RATE, random=False)
    workload = WorkloadSpec(name="w", file="/w.py", classes=(ClassSpec(name="get", kind="read"),))
    target = Target(
        name="t", folder="/t", compose_file="/t/c", services=(), entry="n1", workloads=(workload,), clients=clients,
        topology=Topology(nodes=tuple(nodes), links=tuple(links)),
    )  # fmt: skip
    experiment = Experiment(
        file="/x.yaml", name="x", question="?", target="/t", variants=(Variant(name="a"),),
        claims=(), seed=1, steady_state=(),
        traffic=Traffic(workload="w", arrivals=arrivals, mix={"get": 1.0}, workers=workers), duration=SECONDS,
    )  # fmt: skip
    stack = SimpleNamespace(
        clients={name: LaunchSpec(name=name, argv=("x",), cwd="/", log="/l", hosts=(("1", name),)) for name in clients},
        entries={name: f"{name.partition('@')[2] or 'all'}:80" for name in clients},
    )
    supervisor = Supervisor()
    block: Any = SimpleNamespace(
        plan=SimpleNamespace(experiment=experiment, target=target),
        stack=stack, supervisor=supervisor, folder=SimpleNamespace(cell=lambda variant, trial: folder),
    )  # fmt: skip
    cell = CellPlan(variant="a", trial=1, seed=7, restart=True, key_prefix="c1")
    return Load(block, cell), supervisor


def told(supervisor: Supervisor) -> list[WorkerConfig]:
    return [WorkerConfig.model_validate_json(Path(one.argv[-1]).read_bytes()) for one in supervisor.spawned]


@pytest.mark.parametrize(
    ("clients", "workers", "names", "where"),
    [
        (("client",), 1, ["client"], [("client", "n1", "all")]),
        (("client",), 2, ["client-1", "client-2"], [("client", "n1", "all")] * 2),
        (
            ("client@n1", "client@n2"),
            1,
            ["client@n1", "client@n2"],
            [("client@n1", "n1", "n1"), ("client@n2", "n2", "n2")],
        ),
        (
            ("client@n1", "client@n2"),
            2,
            ["client@n1-1", "client@n1-2", "client@n2-1", "client@n2-2"],
            [("client@n1", "n1", "n1")] * 2 + [("client@n2", "n2", "n2")] * 2,
        ),
    ],
)
def test_each_client_node_has_workers_of_its_own(
    tmp_path: Path, clients: tuple[str, ...], workers: int, names: list[str], where: list[tuple[str, str, str]]
) -> None:
    async def work() -> tuple[Load, Supervisor]:
        made, supervisor = load(tmp_path, clients, workers)
        await made.prepare()
        assert made.snapshot().state is State.READY
        await made.close()
        return made, supervisor

    made, supervisor = asyncio.run(work())
    configs = told(supervisor)
    assert list(made.names) == [one.name for one in supervisor.spawned] == supervisor.stopped == names
    assert [(c.source, c.node, c.host) for c in configs] == where
    assert [one.hosts for one in supervisor.spawned] == [(("1", c.source),) for c in configs]  # names as it sees them
    assert [c.worker for c in configs] == list(range(len(names)))
    assert len({c.counters for c in configs}) == len({one.log for one in supervisor.spawned}) == len(names)
    due = [due_times(c.arrivals, SECONDS, seed=c.seed, worker=c.worker, workers=c.workers) for c in configs]
    together = np.sort(np.concatenate(due))
    assert len(together) == RATE * SECONDS
    assert np.allclose(np.diff(together), 1e9 / RATE)  # the planned rate, whoever sends
    assert max(map(len, due)) - min(map(len, due)) <= 1
    silent = RATE * configs[0].timeout / len(names)  # in flight at a side of which nothing answers
    assert all(c.bound("get") >= 1.5 * silent for c in configs)


def test_a_worker_may_be_done_before_the_others(tmp_path: Path) -> None:
    async def work() -> None:
        made, supervisor = load(tmp_path, ("client@n1", "client@n2"), 1)
        assert not made.done("client@n1")
        await made.prepare()
        counters = Counters.open(Path(told(supervisor)[0].counters))
        last = counters.read()
        counters.publish(State.DONE, last.counts, last.cells)
        assert [made.done(name) for name in ("client@n1", "client@n2", "n1")] == [True, False, False]
        assert made.snapshot().state is State.READY  # all of them together: the one that is least far
        assert made.clients("n1") == made.clients("client@n1") == {"client@n1"} and not made.clients("n3")
        assert made.snapshot(made.clients("n1")).state is State.DONE
        assert made.snapshot(made.clients("n2")).state is State.READY
        counters.close()
        await made.close()

    asyncio.run(work())


def test_the_history_of_all_workers_tells_sources_and_nodes_apart(tmp_path: Path) -> None:
    from chaoskit.history.operation import Answer, ErrorCode, Outcome
    from chaoskit.history.spool import SpoolWriter

    for number, node in enumerate(("n1", "n2")):
        spool = SpoolWriter(tmp_path / "spool", number, nodes=[f"client@{node}", node], classes=["get"], rows=16)
        spool.set_origin(1)
        times = {"t_due": 1, "t_sent": 2}
        row = spool.open(
            process=0, source=0, node=1, cls=0, f=spool.function("read"), key=-1, value_id=-1, phase=1, bytes_out=0,
            attempt=0, parent=-1, **times,
        )  # fmt: skip
        spool.close_row(
            row, key=-1, value_id=-1, result_id=-1, t_first=3, t_end=4, bytes_out=0, bytes_in=0, status=200,
            error=ErrorCode.NO_ERROR, outcome=Outcome.OK, answer=Answer.YES, phase=1, attempt=0, parent=-1, **times,
        )  # fmt: skip
        spool.close()
    history = load_history(tmp_path)
    seen = [(history.nodes[row["source"]], history.nodes[row["node"]]) for row in history.rows]
    assert sorted(seen) == [("client@n1", "n1"), ("client@n2", "n2")]
