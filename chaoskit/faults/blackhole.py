"""`blackhole`: silence. Data, ends and resets are withheld until it heals: a pulled cable, seen from a program."""

from __future__ import annotations

from chaoskit.faults.model import WAYS, LinkFault, NoParameters, Where, toxic
from chaoskit.stack.effects import Evidence, LinkState

__all__ = ["FAULT", "Blackhole"]

_WAIT = 1.0  # seconds without an answer that count as silence


class Blackhole(LinkFault[NoParameters]):
    """Toxic `blackhole`, which only the embedded server has; the real one's `timeout: 0` lets closes through."""

    name = "blackhole"
    summary = "nothing arrives and nothing is closed; new connections are silent too"
    Parameters = NoParameters

    def describe(self, parameters: NoParameters, where: Where) -> str:
        """What a client sees."""
        return f"{where.names} fall{where.s} silent: no answer, no close, and new connections are silent too"

    def state(self, parameters: NoParameters, effect: str) -> LinkState:
        """Silent in both directions."""
        return LinkState(toxics=tuple(toxic(effect, "blackhole", way) for way in WAYS["both"]))

    def evidence(self, parameters: NoParameters, link: str) -> Evidence:
        """No answer on an open connection, nor on a new one."""
        return Evidence(kind="silent", link=link, expected=_WAIT)


FAULT = Blackhole()
