"""`outage`: connects are refused and open connections are closed. The process is gone, its machine still there."""

from __future__ import annotations

from chaoskit.faults.model import Ground, LinkFault, NoParameters, Where
from chaoskit.stack.effects import Evidence, LinkState

__all__ = ["FAULT", "Outage"]


class Outage(LinkFault[NoParameters]):
    """The proxy is disabled: its listener closes, and so does every connection."""

    name = "outage"
    summary = "connects are refused, open connections are closed"
    Parameters = NoParameters

    def describe(self, parameters: NoParameters, where: Where) -> str:
        """What a client sees."""
        return f"{where.names} refuse{where.s} every connection"

    def state(self, parameters: NoParameters, effect: str, ground: Ground) -> LinkState:
        """Not enabled."""
        return LinkState(enabled=False)

    def evidence(self, parameters: NoParameters, link: str, state: LinkState) -> Evidence:
        """Connects are refused."""
        return Evidence(kind="refused", link=link)


FAULT = Outage()
