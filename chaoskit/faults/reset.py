"""`reset`: a connection is reset as soon as it is used. A crashed peer, a load balancer that forgot the session."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from chaoskit.faults.model import FaultParameters, Ground, LinkFault, Where, check_whole, toxic
from chaoskit.spec.types import Duration
from chaoskit.stack.effects import Evidence, LinkState
from chaoskit.units import format_duration

__all__ = ["FAULT", "Reset", "ResetParameters"]

_LONGEST = 5.0


class ResetParameters(FaultParameters):
    """The reset comes `delay` after the first byte of the request."""

    delay: Duration = 0.0

    @model_validator(mode="after")
    def _possible(self) -> Self:
        # Toxiproxy waits this time without looking up: healing would have to wait as long.
        if self.delay > _LONGEST:
            raise ValueError(
                f"delay is at most {format_duration(_LONGEST)}: healing waits for resets that are under way"
            )
        check_whole("delay", self.delay, 1e-3, "milliseconds")
        return self


class Reset(LinkFault[ResetParameters]):
    """Toxic `reset_peer` on what the client sends: the request does not arrive, the client gets RST."""

    name = "reset"
    summary = "connections are reset as soon as something is sent over them"
    Parameters = ResetParameters

    def describe(self, parameters: ResetParameters, where: Where) -> str:
        """What a client sees."""
        late = (
            f" {format_duration(parameters.delay)} after it was used" if parameters.delay else " as soon as it is used"
        )
        return f"{where.names} reset{where.s} every connection{late}"

    def state(self, parameters: ResetParameters, effect: str, ground: Ground) -> LinkState:
        """A reset toxic on the requests."""
        return LinkState(toxics=(toxic(effect, "reset_peer", "upstream", timeout=round(parameters.delay * 1000)),))

    def evidence(self, parameters: ResetParameters, link: str, state: LinkState) -> Evidence:
        """ECONNRESET on use."""
        return Evidence(kind="reset", link=link, expected=parameters.delay)


FAULT = Reset()
