"""`bandwidth`: a narrow line. Bytes pass at a limited rate, and what is more waits, until senders are made to wait."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from chaoskit.faults.model import WAYS, FaultParameters, Ground, LinkFault, Stream, Where, check_whole, toxic
from chaoskit.spec.types import ByteRate
from chaoskit.stack.effects import Evidence, LinkState
from chaoskit.units import format_size

__all__ = ["FAULT", "Bandwidth", "BandwidthParameters"]

_KB = 1000.0
_MOST = 10e9


class BandwidthParameters(FaultParameters):
    """At most `rate` bytes per second pass, on each connection and in each direction that `stream` names."""

    rate: ByteRate
    stream: Stream = "down"

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.rate < _KB:
            raise ValueError("rate is at least 1KB/s: Toxiproxy counts whole KB/s; to let nothing pass use blackhole")
        if self.rate > _MOST:
            raise ValueError(f"rate is at most {format_size(_MOST)}/s; leave the fault out to limit nothing")
        check_whole("rate", self.rate, _KB, "KB/s (1,000 bytes)")
        return self


class Bandwidth(LinkFault[BandwidthParameters]):
    """Toxic `bandwidth`: a read is held as long as its bytes take at that rate; large ones leave ten times a second."""

    name = "bandwidth"
    summary = "bytes pass at a limited rate, on each connection"
    Parameters = BandwidthParameters

    def describe(self, parameters: BandwidthParameters, where: Where) -> str:
        """What a client sees."""
        way = {"down": "of answers", "up": "of requests", "both": "in each direction"}[parameters.stream]
        return f"{where.names} let{where.s} at most {format_size(parameters.rate)}/s {way} through per connection"

    def state(self, parameters: BandwidthParameters, effect: str, ground: Ground) -> LinkState:
        """A bandwidth toxic on each direction."""
        rate = round(parameters.rate / _KB)
        return LinkState(toxics=tuple(toxic(effect, "bandwidth", way, rate=rate) for way in WAYS[parameters.stream]))

    def evidence(self, parameters: BandwidthParameters, link: str, state: LinkState) -> Evidence:
        """Bytes per second that are no more than that, and something was held back."""
        names = tuple(one.name for one in state.toxics)
        return Evidence(kind="bandwidth", link=link, expected=parameters.rate, stream=parameters.stream, toxics=names)


FAULT = Bandwidth()
