"""What the cells of one stack start share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from chaoskit.clock import Clock, SystemClock
from chaoskit.engine.record import Recorder
from chaoskit.plan import Plan
from chaoskit.safety.session import Supervisor
from chaoskit.stack.launch import StackSpec
from chaoskit.store import RunDir

__all__ = ["Block"]


@dataclass(frozen=True)
class Block:
    """One started stack. `place` is the block's folder (data, logs, hosts files)."""

    plan: Plan
    stack: StackSpec
    supervisor: Supervisor
    recorder: Recorder
    folder: RunDir
    place: Path
    clock: Clock = field(default_factory=SystemClock)
