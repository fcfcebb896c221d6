"""Stress: processors are burnt beside a node, by processes of ours on the processors that its own may use.

They are no part of the node (killing or pausing it leaves them alone, and it is not seen to have more processes), but
stand beside it: same user as the supervisor, same control group, same priority, same processors.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import time
from collections.abc import Callable, Iterable

from chaoskit import linux
from chaoskit.errors import EnvironmentFault, TargetError
from chaoskit.runtimes.launched import Launched
from chaoskit.safety.hunt import MARK
from chaoskit.stack.effects import burners_of
from chaoskit.stack.launch import LaunchSpec

__all__ = ["Burners"]

_START = 10.0  # seconds for the processes to be there, on a busy machine
_LOOK = 0.01  # seconds between two looks whether they are
_LONGEST = 3600.0  # seconds that burning may last where nobody says until when


class Burners:
    """Of all nodes of one stack.

    Args:
        members: pids of a node's processes now.
        watch: told of each that is started, to tell others when it ends by itself.
    """

    def __init__(self, members: Callable[[str], Iterable[int]], watch: Callable[[Launched], None]) -> None:
        self._members, self._watch = members, watch
        self._burning: dict[str, Launched] = {}

    def get(self, name: str) -> Launched | None:
        """What burns under a name (`burners_of` a node), or did last."""
        return next((found for found in self._burning.values() if found.spec.name == name), None)

    def all(self) -> list[Launched]:
        """Everything that burns, or did last."""
        return list(self._burning.values())

    async def set(self, beside: LaunchSpec, cpu: float, until_ns: int | None) -> float:
        """Burn `cpu` processors beside a node from now on; what is burnt before stops when that has begun.

        Returns:
            What is burnt, in processors, as far as the processes for it are there.

        Raises:
            EnvironmentFault: the node may not use that many processors. TargetError: they cannot be started.
        """
        node = beside.name
        before = self._burning.pop(node, None)
        try:
            return 0.0 if cpu <= 0 else await self._start(beside, cpu, until_ns)
        finally:
            if before is not None:
                await before.kill()

    async def _start(self, beside: LaunchSpec, cpu: float, until_ns: int | None) -> float:
        node = beside.name
        processors, nice = _surroundings(self._members(node))
        count = math.ceil(cpu)
        if count > len(processors):
            raise EnvironmentFault(
                f"{cpu:g} processors cannot be burnt beside {node}: its processes may use {len(processors)}",
                hint=f"ask for `cpu: {len(processors)}` at most, or run on a machine with more processors",
            )
        asked = {
            "shares": [cpu / count] * count,
            "processors": sorted(processors),
            "nice": nice,
            "until_ns": until_ns or time.monotonic_ns() + round(_LONGEST * 1e9),
        }
        name = burners_of(node)
        spec = LaunchSpec(
            name=name,
            argv=tuple(linux.isolated_python("chaoskit.runtimes.burner", json.dumps(asked))),
            env={MARK: beside.env[MARK]} if MARK in beside.env else {},
            cwd="/",
            own_pids=beside.own_pids,
            log=f"{beside.log.removesuffix('.log')}.stress.log",
        )
        running = await Launched.start(spec)
        self._burning[node] = running
        end = time.monotonic() + _START
        while (there := len(running.members()) - 1) < count:  # without the one that waits for the others
            if running.exit.done() or time.monotonic() > end:
                await running.kill()
                lines = "\n".join(f"  | {line}" for line in running.log_lines())
                raise TargetError(f"the processes that burn beside {node} did not start\n{lines}", hint=spec.log)
            await asyncio.sleep(_LOOK)
        self._watch(running)
        return cpu * there / count


def _surroundings(pids: Iterable[int]) -> tuple[set[int], int]:
    """Processors that any of these processes may use, and the best priority among them; ours where there is none."""
    processors: set[int] = set()
    priorities: list[int] = []
    for pid in pids:
        with contextlib.suppress(OSError):  # it ended just now
            processors |= os.sched_getaffinity(pid)
            priorities.append(os.getpriority(os.PRIO_PROCESS, pid))
    return processors or os.sched_getaffinity(0), min(priorities or [os.getpriority(os.PRIO_PROCESS, 0)])
