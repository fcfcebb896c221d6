"""`blackhole`: silence. Data, ends and resets are withheld until it heals: a pulled cable, seen from a program."""

from __future__ import annotations

from chaoskit.faults.model import WAYS, Ground, LinkFault, NoParameters, Where, silence
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

    def state(self, parameters: NoParameters, effect: str, ground: Ground) -> LinkState:
        """Silent in both directions."""
        return LinkState(toxics=tuple(silence(effect, way, ground) for way in WAYS["both"]))

    def notes(self, parameters: NoParameters, ground: Ground) -> tuple[str, ...]:
        """Where the silence has a hole."""
        leaks = (
            "closes leak through the cut: the real Toxiproxy withholds data but passes the end of a connection on, and "
            "new connects are taken"
        )
        return (leaks,) if ground.toxiproxy == "real" else ()

    def evidence(self, parameters: NoParameters, link: str, state: LinkState) -> Evidence:
        """No answer on an open connection, nor on a new one."""
        return Evidence(kind="silent", link=link, expected=_WAIT)


FAULT = Blackhole()
