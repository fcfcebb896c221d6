"""The Protocols, on one page: what can be plugged in, and what is promised about it.

Abilities beyond the base are optional Protocols, checked while planning.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path

    from chaoskit.checks.context import CheckContext, Judgement
    from chaoskit.history.frame import History
    from chaoskit.stack.effects import LinkState, NodeState
    from chaoskit.stack.launch import LaunchSpec, StackSpec
    from chaoskit.stack.topology import Target

__all__ = [
    "ActionControl",
    "Checker",
    "Driver",
    "HttpClient",
    "Intent",
    "LinkControl",
    "NodeControl",
    "Observer",
    "Reply",
    "Runtime",
    "Sighting",
    "Workload",
]


class Runtime(Protocol):
    """Where a stack runs. `layout` is engine-side and only reserves and computes; the supervisor starts things."""

    name: str

    def abilities(self) -> frozenset[str]:
        """Any of `kill`, `pause`, `restart`, `logs`, `stress:cpu`, `stress:memory`, `actions`, `links:per-pair`,
        `links:per-destination`."""
        ...

    def check(self, target: Target, interposition: str) -> str:
        """Which interposition it will be, as far as can be told without taking anything.

        Raises:
            AbilityError: the target cannot run that way on this machine; says why and what to do.
        """
        ...

    def layout(
        self,
        target: Target,
        env: Mapping[str, Mapping[str, str]],
        folder: Path,
        interposition: str,
        toxiproxy: Literal["embedded", "real"] = "embedded",
    ) -> StackSpec:
        """Addresses, processes and proxies for one variant. Holds leases until `release`.

        Args:
            env: environment overrides per service (the variant's).
            folder: of the cell block: data, logs and hosts files go below it.
            interposition: `hosts`, `rewrite` or `auto`.
            toxiproxy: which server bends the links.

        Raises:
            TargetError: the target cannot run here. EnvironmentFault: no server package, no address left, no real
            Toxiproxy on this machine.
        """
        ...

    def release(self) -> None:
        """Give the leases back."""
        ...


class NodeControl(Protocol):
    """Supervisor-side: processes of nodes. Every call is idempotent."""

    async def kill(self, node: str, *, wipe: bool = False) -> None:
        """SIGKILL every process of the node; returns when none is left (seen in /proc). With `wipe` its data is thrown
        away, and its next start begins with nothing."""
        ...

    async def pause(self, node: str) -> None:
        """SIGSTOP every process of the node; returns when a pass over /proc finds none running."""
        ...

    async def run(self, node: str) -> None:
        """Continue a paused node, start a killed one with its data kept; returns when it is ready."""
        ...

    async def state(self, node: str) -> NodeState:
        """As seen in /proc, not as remembered."""
        ...

    async def stress(self, node: str, cpu: float, until_ns: int | None = None) -> float:
        """Burn `cpu` processors beside the node, on those it may use; 0 ends it. Returns what is burnt now.

        Args:
            until_ns: monotonic instant at which the burning ends by itself, whoever is dead or frozen by then.

        Raises:
            EnvironmentFault: the node may not use that many processors. TargetError: it cannot be started.
        """
        ...


class Sighting(NamedTuple):
    """Who held a role, asked at `asked_ns` and answered at `answered_ns` (monotonic): `holder`, None while nobody did
    or when the question failed (`error`)."""

    asked_ns: int
    answered_ns: int
    holder: str | None
    error: str = ""


class ActionControl(Protocol):
    """Supervisor-side: functions that the target declares, each run in a process of its own."""

    async def run(self, action: str, arguments: Mapping[str, str], timeout: float) -> str:
        """Do it; the text that it returned ("" for none).

        Raises:
            LinkError: it failed, or took longer than `timeout` seconds; its own words are in the message.
        """
        ...

    async def ask(self, role: str) -> str | None:
        """The node that holds a role now; None while nobody does.

        Raises:
            LinkError: the target's function failed or took too long.
        """
        ...

    async def follow(self, role: str, seconds: float) -> list[Sighting]:
        """Ask again and again who holds a role, for `seconds` from the first call of this on; everything that was
        answered so far, at least once. 0 seconds: stop, and nothing is answered.

        A single question takes as long as a process takes to start. Whether a role was still held when a fault began
        must be known sooner: the fault itself may take it away.

        Raises:
            LinkError: no answer came in time.
        """
        ...


class LinkControl(Protocol):
    """Supervisor-side: the cut points."""

    async def apply(self, link: str, state: LinkState) -> LinkState:
        """Bring the link into `state` and return what was read back.

        Raises:
            LinkError: the server refused, did not answer in time, or reads back otherwise.
        """
        ...

    async def read(self, link: str) -> LinkState:
        """What the link is like now.

        Raises:
            LinkError: no answer.
        """
        ...


class Driver(Protocol):
    """Supervisor-side: starts what a StackSpec says and stops all of it. One stack at a time.

    Attributes:
        nodes: control of the nodes of the stack that is up.
        links: control of its cut points.
        actions: control of what the target declares.
    """

    nodes: NodeControl
    links: LinkControl
    actions: ActionControl

    async def up(self, stack: StackSpec, exited: Callable[[str, int, tuple[str, ...]], None]) -> dict[str, float]:
        """Start the proxy, make the proxies, start the nodes in order of `after`; seconds until each was ready.

        `exited(name, returncode, last_log_lines)` is called for every process that ends without having been told to.

        Raises:
            TargetError: a node did not become ready, exited, or bound a wildcard address; all is stopped again.
        """
        ...

    async def spawn(self, launch: LaunchSpec) -> int:
        """Start one more process (a traffic worker); its pid."""
        ...

    async def stop(self, name: str, grace: float = 2.0) -> None:
        """End a spawned process: SIGTERM, after `grace` seconds SIGKILL; idempotent."""
        ...

    async def down(self) -> None:
        """Stop everything that is up, the proxy last; idempotent, never raises."""
        ...

    def pids(self, name: str) -> list[dict[str, object]]:
        """Processes of a node as in /proc now: pid, outer (pid outside the namespace), state letter, command."""
        ...

    def strays(self) -> list[dict[str, str]]:
        """Established connections that lead to a real endpoint past its link, as in /proc now: `destination` (its
        "node:port"), `source` (the node that holds it, "" when the socket is gone before its holder was found)."""
        ...


class Reply(Protocol):
    """A whole answer over HTTP. The body is read to its end before the workload sees it."""

    @property
    def status(self) -> int:
        """Of the protocol: 200, 404 ..."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Lower-case names."""
        ...

    @property
    def body(self) -> bytes:
        """Content without transfer coding."""
        ...

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: it is not JSON.
        """
        ...


class HttpClient(Protocol):
    """What a workload sends requests with. One request an operation; it never retries and never follows redirects."""

    async def request(
        self, method: str, path: str, *, json: Any = None, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send and wait for the whole answer. Failures are raised to the worker, which records them: do not catch."""
        ...


class Intent(Protocol):
    """One operation that is due. The workload fills in what it asks and what it learned."""

    cls: str  # operation class drawn for it
    index: int  # i-th operation of this worker
    random: random.Random  # seeded for this worker; draw from nothing else
    stamp: str  # unique in the run, URL-safe: put it into every value written
    key: str | None  # final reads: the key to read, from `final()`; None under load: choose one yourself

    @property
    def prefix(self) -> str:
        """Begins every stamp of the cell; keys that several workers use begin with it, too."""
        ...

    @property
    def worker(self) -> int:
        """Which of the cell's workers this is, from 0."""
        ...

    @property
    def workers(self) -> int:
        """How many workers the cell has, those of all client nodes together."""
        ...

    def asks(self, *, f: str, key: str | None = None, value: str | None = None) -> None:
        """Say, before sending, what the model calls this and what is written: on record before the request leaves."""
        ...

    def ok(self, *, key: str | None = None, result: str | None = None) -> None:
        """It happened: an answer YES. `result` is what was read; `key` may be learned from the answer."""
        ...

    def absent(self) -> None:
        """A negative that the protocol means (404): answer YES, outcome OK, no result."""
        ...

    def failed(self) -> None:
        """It certainly did not happen although an answer came (409 on a first attempt ...): FAIL, answer REFUSED."""
        ...


@runtime_checkable
class Workload(Protocol):
    """A stream of operations on a target. Made once a worker by its factory, `workload()`.

    Anything that `perform` does not settle is settled by the worker: an exception of the client or a status that the
    workload did not accept becomes fail or info by the rules of docs/design.md (a timeout of a write is info).
    """

    async def perform(self, intent: Intent, http: HttpClient) -> None:
        """Do one operation of class `intent.cls`: `asks`, one request, then `ok`, `absent` or `failed` - or nothing."""
        ...

    def final(self) -> Iterable[tuple[str, str]]:
        """What to read at the end: (class, key) of everything acknowledged. Each becomes an intent of phase 2."""
        ...


class Observer(Protocol):
    """Told of every event of a run as it happens; never slows it down and never fails it."""

    def event(self, event: Mapping[str, Any]) -> None:
        """One event, as in events.jsonl."""
        ...


class Checker(Protocol):
    """An invariant: pure, from a history to a judgement. One that raises is inconclusive, never held."""

    def __call__(self, history: History, context: CheckContext) -> Judgement:
        """Held, refuted with the smallest witness, or inconclusive with the reasons.

        Raises:
            CheckerError: no set of clients could have produced this history.
        """
        ...
