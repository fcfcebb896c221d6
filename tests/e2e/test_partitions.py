"""Every shape of a partition, on five nodes that write down what they hear: what passes between each ordered pair, in
each direction of each link, is what the plan says, by the nodes' own word and by the bytes that the links count. Over
the original Toxiproxy, which does not count, by the nodes' word alone."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from chaoskit import api, registry
from chaoskit.errors import ExitCode
from chaoskit.plan import PlannedInjection
from chaoskit.safety.session import Supervisor
from chaoskit.stack.launch import StackSpec
from chaoskit.store import RunDir
from chaoskit.toxiproxy.client import AsyncClient

HERE = Path(__file__).parent / "chatter"
NODES = ["n1", "n2", "n3", "n4", "n5"]
CLIENT = "client@n1"
PAIRS = [(a, b) for a in NODES for b in NODES if a != b]
LEAST_S, MOST_S = 1.0, 15.0  # how long a cut is listened to; longer only while something open has not been heard yet
UNDER_WAY_S = 0.3  # what had passed the link when it was cut may take so long to arrive and be written down

SHORT_S = 0.5  # where cuts were listened to for longer elsewhere

pytestmark = [pytest.mark.needs("namespaces"), pytest.mark.timeout(240), pytest.mark.paired]

Server = Literal["embedded", "real"]

Way = tuple[str, str]  # link, and `up` or `down`


def apart(*groups: str) -> set[tuple[str, str]]:
    """Ordered pairs of which the first is not heard by the second, when these groups do not hear each other."""
    side = {f"n{digit}": number for number, group in enumerate(groups) for digit in group}
    return {(a, b) for a, b in PAIRS if side[a] != side[b]}


# Who is not heard by whom, by hand. The split is drawn by the seed: only its sizes are known.
LOST = {
    "groups": apart("12", "34", "5"),
    "rest": apart("12", "345"),
    "isolate": apart("1", "2345"),
    "refuse": apart("4", "1235"),
    "one-way": {("n1", "n2")},
    "deaf": {(other, "n3") for other in NODES if other != "n3"},
    "bridge": {pair for a in "12" for b in "45" for pair in ((f"n{a}", f"n{b}"), (f"n{b}", f"n{a}"))},
    "ring": {(a, b) for a, b in PAIRS if abs(int(a[1]) - int(b[1])) in (2, 3)},
    "client": set(),
}


@dataclass
class Seen:
    """What was heard and counted while one injection lasted. Refused connections are counted with the silent ones.
    `counted` is None where the links do not count."""

    injection: PlannedInjection
    heard: set[Way] = field(default_factory=set)
    counted: set[Way] | None = None
    healed: dict[Way, int] = field(default_factory=dict)  # number of the first line that was heard afterwards

    @property
    def planned(self) -> set[Way]:
        """What the plan says that passes."""
        rows = {passage.link: passage for passage in self.injection.matrix}
        assert len(rows) == len(self.injection.matrix)
        return {(link, way) for link, row in rows.items() for way in ("up", "down") if getattr(row, way)}


class Chatter:
    """The stack that is up, and what its nodes have written down."""

    def __init__(self, stack: StackSpec, supervisor: Supervisor, client_log: Path) -> None:
        self.stack, self.supervisor = stack, supervisor
        self.logs = [*(Path(spec.log) for spec in stack.nodes), client_log]
        self.ways = {(proxy.name, way) for proxy in stack.proxies for way in ("up", "down")}
        self.proxy = AsyncClient(f"http://{stack.control}")

    def heard(self, since_ns: int) -> dict[Way, int]:
        """Ways on which something has arrived since, with the number of the first line."""
        found: dict[Way, int] = {}
        for log in self.logs:
            for line in log.read_text().splitlines():
                words = line.split()
                if len(words) == 4 and int(words[0]) >= since_ns:
                    found.setdefault((words[1], words[2]), int(words[3]))
        return found

    async def counted(self) -> dict[Way, int]:
        """Bytes that the links have passed on, by way."""
        found = await self.proxy.counters()
        return {
            (link, way): flow.sent
            for link, one in found.items()
            for way, flow in (("up", one.upstream), ("down", one.downstream))
        }

    async def until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + MOST_S
        while not true() and time.monotonic() < deadline:
            await asyncio.sleep(0.1)

    async def inject(self, injection: PlannedInjection) -> Seen:
        seen = Seen(injection)
        begun = await self.supervisor.begin(injection.effects, time.monotonic_ns() + round(60e9))
        await asyncio.sleep(UNDER_WAY_S)
        before, since = await self.counted(), begun + round(UNDER_WAY_S * 1e9)
        await asyncio.sleep(LEAST_S if before else SHORT_S)
        await self.until(lambda: seen.planned <= self.heard(since).keys())
        after = await self.counted()
        seen.heard = set(self.heard(since))
        seen.counted = {way for way in self.ways if after[way] > before[way]} if before else None
        healing = time.monotonic_ns()
        await self.supervisor.end([effect.id for effect in injection.effects])
        await self.until(lambda: self.ways <= self.heard(healing).keys())
        seen.healed = self.heard(healing)
        return seen


async def carry_out(folder: Path, server: Server) -> dict[str, Seen]:
    plan = api.load_plan(HERE / "shapes.yaml", interposition="hosts", toxiproxy=server)
    runtime, supervisor = registry.load("runtime", "process")(), Supervisor()
    run = RunDir.create(folder, "shapes")
    stack = runtime.layout(plan.target, {}, run.block("default"), "hosts", server)
    try:
        await supervisor.start(run, deadline_s=200)
        await supervisor.up(stack)
        client = stack.clients[CLIENT].model_copy(
            update={"argv": (sys.executable, str(HERE / "chatter.py"), CLIENT, "-", "n1:7000")}
        )
        await supervisor.spawn(client)
        chatter = Chatter(stack, supervisor, Path(client.log))
        start = time.monotonic_ns()
        await chatter.until(lambda: chatter.ways <= chatter.heard(start).keys())
        assert chatter.heard(start).keys() == chatter.ways, "not everybody hears everybody when nothing is cut"
        found = {injection.id: await chatter.inject(injection) for injection in plan.injections}
        await chatter.proxy.aclose()
    finally:
        await supervisor.bye()
        runtime.release()
    return found


@pytest.fixture(scope="module", params=["embedded", pytest.param("real", marks=pytest.mark.needs("toxiproxy"))])
def observed(request: pytest.FixtureRequest) -> Iterator[dict[str, Seen]]:
    """All shapes, one after the other, on one stack."""
    folder = Path(tempfile.mkdtemp(prefix="chaoskit-partitions-"))
    folder.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHAOSKIT_STATE", str(folder / "state"))
        try:
            yield asyncio.run(carry_out(folder / "runs", request.param))
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("shape", [*LOST, "split", "dial-cut"])
def test_what_passes_is_what_the_plan_says(observed: dict[str, Seen], shape: str) -> None:
    seen = observed[shape]
    assert seen.heard == seen.planned
    assert seen.counted in (None, seen.planned)


@pytest.mark.parametrize("shape", LOST)
def test_the_plan_says_what_the_shape_means(observed: dict[str, Seen], shape: str) -> None:
    """A link carries both directions: what a sends to b goes up on a->b, and down on b->a."""
    lost = LOST[shape]
    meant = {(f"{a}->{b}:7000", "up") for a, b in PAIRS if (a, b) not in lost}
    meant |= {(f"{a}->{b}:7000", "down") for a, b in PAIRS if (b, a) not in lost}
    if shape != "client":
        meant |= {(f"{CLIENT}->n1:7000", "up"), (f"{CLIENT}->n1:7000", "down")}
    assert observed[shape].planned == meant


def test_a_split_leaves_a_majority_together(observed: dict[str, Seen]) -> None:
    sides = observed["split"].injection.sides
    assert [len([n for n in sides[name] if n in NODES]) for name in ("majority", "minority")] == [3, 2]


def test_a_dial_cut_cuts_one_link(observed: dict[str, Seen]) -> None:
    seen = observed["dial-cut"]
    cut = {(passage.link, way) for passage in seen.injection.matrix for way in ("up", "down")} - seen.planned
    assert cut == {("n1->n2:7000", "up"), ("n1->n2:7000", "down")}


def test_everybody_hears_everybody_again(observed: dict[str, Seen]) -> None:
    whole = {(passage.link, way) for passage in observed["isolate"].injection.matrix for way in ("up", "down")}
    for shape, seen in observed.items():
        assert seen.healed.keys() == whole, shape


@pytest.mark.timeout(600)
def test_the_leader_of_a_real_cluster_is_cut_off(user, left: Callable[[str], list[str]]) -> None:
    """From the YAML to the verdicts: placed by who leads, judged on both sides by the clients that stand there."""
    done = user.judged(str(HERE.parents[2] / "experiments" / "etcd" / "leader-isolated.yaml"))
    assert done.code == ExitCode.OK, done.err + done.out
    (run,) = done.json["runs"]
    assert run["as_expected"] is True
    assert {claim["verdict"] for claim in run["claims"]} == {"held"}
    assert left(run["run"]) == []


def test_what_was_withheld_never_arrives(observed: dict[str, Seen]) -> None:
    """Both ends of a connection that was cut are closed when it heals: what is heard then is of a new one."""
    for shape, seen in observed.items():
        cut = seen.healed.keys() - seen.planned
        assert cut and {way: seen.healed[way] for way in cut} == dict.fromkeys(cut, 0), shape
