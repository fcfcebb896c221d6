"""The toxics, one a file. `TOXICS` is what POST /proxies/{name}/toxics knows."""

from __future__ import annotations

from chaoskit.toxiproxy.server.stage import Stage
from chaoskit.toxiproxy.server.toxics.bandwidth import Bandwidth
from chaoskit.toxiproxy.server.toxics.blackhole import Blackhole
from chaoskit.toxiproxy.server.toxics.latency import Latency
from chaoskit.toxiproxy.server.toxics.limit_data import LimitData
from chaoskit.toxiproxy.server.toxics.noop import Noop
from chaoskit.toxiproxy.server.toxics.reset_peer import ResetPeer
from chaoskit.toxiproxy.server.toxics.slicer import Slicer
from chaoskit.toxiproxy.server.toxics.slow_close import SlowClose
from chaoskit.toxiproxy.server.toxics.timeout import Timeout

__all__ = ["TOXICS"]

_ALL: tuple[type[Stage], ...] = (
    Bandwidth,
    Blackhole,
    Latency,
    LimitData,
    Noop,
    ResetPeer,
    Slicer,
    SlowClose,
    Timeout,
)
TOXICS: dict[str, type[Stage]] = {stage.type: stage for stage in _ALL}
