"""`limit_data`: a connection is closed after so many bytes. A quota, or a download that breaks off."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from chaoskit.faults.model import WAYS, FaultParameters, Ground, LinkFault, Stream, Where, toxic
from chaoskit.spec.types import Size
from chaoskit.stack.effects import Evidence, LinkState
from chaoskit.units import format_size

__all__ = ["FAULT", "LimitData", "LimitDataParameters"]

_MOST = 10**12


class LimitDataParameters(FaultParameters):
    """A connection is closed once `bytes` have passed in a direction that `stream` names; 0 closes it on use."""

    bytes: Size
    stream: Stream = "down"

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.bytes > _MOST:
            raise ValueError(f"bytes is at most {format_size(_MOST)}; leave the fault out to limit nothing")
        return self


class LimitData(LinkFault[LimitDataParameters]):
    """Toxic `limit_data`: exactly so many bytes pass, the rest of the last read is lost."""

    name = "limit_data"
    summary = "a connection is closed after a number of bytes"
    Parameters = LimitDataParameters

    def describe(self, parameters: LimitDataParameters, where: Where) -> str:
        """What a client sees."""
        if parameters.bytes == 0:
            return f"{where.names} close{where.s} every connection when it is used"
        what = {"down": "answers", "up": "requests", "both": "data in one direction"}[parameters.stream]
        return f"{where.names} close{where.s} every connection after {format_size(parameters.bytes)} of {what}"

    def state(self, parameters: LimitDataParameters, effect: str, ground: Ground) -> LinkState:
        """A limit_data toxic on each direction."""
        return LinkState(
            toxics=tuple(toxic(effect, "limit_data", way, bytes=parameters.bytes) for way in WAYS[parameters.stream])
        )

    def evidence(self, parameters: LimitDataParameters, link: str, state: LinkState) -> Evidence:
        """Connections that were cut."""
        names = tuple(one.name for one in state.toxics)
        return Evidence(kind="limited", link=link, expected=parameters.bytes, stream=parameters.stream, toxics=names)


FAULT = LimitData()
