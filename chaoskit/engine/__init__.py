"""The only orchestrator: it sequences, and never touches an operation."""

from chaoskit.engine.record import Control
from chaoskit.engine.run import run

__all__ = ["Control", "run"]
