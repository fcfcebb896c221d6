"""Whether a fault bites, and whether it is gone: seen from a client's place and counted by the link itself, never taken
from what was asked.
"""

from __future__ import annotations

from chaoskit.faults.evidence.kinds import blind
from chaoskit.faults.evidence.model import Counters, Observation, Pids, Place
from chaoskit.faults.evidence.statistics import change
from chaoskit.faults.evidence.witness import Witness

__all__ = ["Counters", "Observation", "Pids", "Place", "Witness", "blind", "change"]
