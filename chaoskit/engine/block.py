"""What the cells of one stack start share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chaoskit.clock import Clock, SystemClock
from chaoskit.engine.record import Recorder
from chaoskit.plan import Plan
from chaoskit.safety.session import Supervisor
from chaoskit.stack.launch import StackSpec
from chaoskit.store import RunDir
from chaoskit.toxiproxy.model import LinkCounters

__all__ = ["Block"]


@dataclass(frozen=True)
class Block:
    """One started stack.

    Attributes:
        place: the block's folder (data, logs, hosts files).
        counters: asks the proxy what each link carried; empty where it does not count.
    """

    plan: Plan
    stack: StackSpec
    supervisor: Supervisor
    recorder: Recorder
    folder: RunDir
    place: Path
    counters: Callable[[], Awaitable[Mapping[str, LinkCounters]]]
    clock: Clock = field(default_factory=SystemClock)
