"""noop: everything passes. It counts its hits, so it can show what flows without bending it."""

from __future__ import annotations

from chaoskit.toxiproxy.server.stage import Stage

__all__ = ["Noop"]


class Noop(Stage):
    """What a stage does by default."""

    type = "noop"
