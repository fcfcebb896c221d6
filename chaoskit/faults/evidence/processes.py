"""Evidence from the processes of a node, as the supervisor sees them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

from chaoskit.faults.evidence.model import Observation, count
from chaoskit.faults.evidence.scene import Scene
from chaoskit.faults.evidence.sight import Sight
from chaoskit.stack.effects import Evidence

__all__ = ["Down", "Frozen", "NodeSight", "Restarted"]

Process = Mapping[str, object]
Identity = tuple[object, object]


class NodeSight(Sight):
    """Of a node's processes, which are compared with those before."""

    def __init__(self, item: Evidence, scene: Scene) -> None:
        super().__init__(item, scene)
        assert item.node is not None
        self.node: str = item.node
        self.old: set[Identity] = set()  # processes before

    async def before(self, timeout: float) -> None:
        """Which processes there are."""
        found = await self.scene.processes(self.node)
        self.old = set() if isinstance(found, str) else {identity(process) for process in found}

    async def seen(self) -> Observation:
        """One look, if the processes are known."""
        now = await self.scene.processes(self.node)
        return self.said(False, now) if isinstance(now, str) else self.look(now)

    @abstractmethod
    def look(self, now: Sequence[Process]) -> Observation:
        """What these living processes say."""

    async def gone(self) -> Observation:
        """There are processes, and all of them run."""
        now = await self.scene.processes(self.node)
        if isinstance(now, str):
            return self.said(False, now)
        running = len(now) - stopped(now)
        return self.said(bool(now) and running == len(now), f"{running} of {len(now)} processes running")


class Down(NodeSight):
    """No process is left."""

    def look(self, now: Sequence[Process]) -> Observation:
        """There were some, there are none."""
        return self.said(bool(self.old) and not now, f"{_processes(now)} left of {len(self.old)}")


class Frozen(NodeSight):
    """There are processes, and none of them runs."""

    def look(self, now: Sequence[Process]) -> Observation:
        """All are stopped."""
        return self.said(bool(now) and stopped(now) == len(now), f"{stopped(now)} of {len(now)} processes stopped")


class Restarted(NodeSight):
    """There are processes, none of them one of the former."""

    def look(self, now: Sequence[Process]) -> Observation:
        """All are new."""
        kept = self.old & {identity(process) for process in now}
        text = f"{_processes(now)}, {len(kept)} of them from before"
        return self.said(bool(self.old) and bool(now) and not kept, text)


def stopped(processes: Sequence[Process]) -> int:
    """How many are stopped."""
    return sum(process.get("state") in ("T", "t") for process in processes)


def identity(process: Process) -> Identity:
    """What makes it that process."""
    return process.get("outer"), process.get("pid")


def _processes(found: Sequence[Process]) -> str:
    return count(len(found), "process", "processes")
