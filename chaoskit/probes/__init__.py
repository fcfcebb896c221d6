"""Speaks the protocols of links and nodes, for readiness and for canaries."""

from __future__ import annotations

from chaoskit.probes.canary import Canary, probe, round_trips
from chaoskit.probes.closing import closing
from chaoskit.probes.model import Kind, ProbeResult

__all__ = ["Canary", "Kind", "ProbeResult", "closing", "probe", "round_trips"]
