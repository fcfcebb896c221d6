"""`timeout`: nothing gets through, and the connection is closed after a while. A firewall that drops idle sessions."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from chaoskit.faults.model import WAYS, FaultParameters, Ground, LinkFault, Stream, Where, check_whole, toxic
from chaoskit.spec.types import Duration
from chaoskit.stack.effects import Evidence, LinkState
from chaoskit.units import format_duration

__all__ = ["FAULT", "Timeout", "TimeoutParameters"]

_LONGEST = 600.0


class TimeoutParameters(FaultParameters):
    """A connection is closed after `timeout` without data. `stream` says which direction is dropped."""

    timeout: Duration
    stream: Stream = "both"

    @model_validator(mode="after")
    def _possible(self) -> Self:
        # 0 would mean "for ever, but closes pass at once" to Toxiproxy: neither a timeout nor a silent cut.
        if self.timeout < 0.001:
            raise ValueError(
                "timeout is at least 1 ms; to withhold answers for as long as the fault lasts use blackhole"
            )
        if self.timeout > _LONGEST:
            raise ValueError(f"timeout is at most {format_duration(_LONGEST)}; to withhold answers use blackhole")
        check_whole("timeout", self.timeout, 1e-3, "milliseconds")
        return self


class Timeout(LinkFault[TimeoutParameters]):
    """Toxic `timeout`. When it is removed every open connection of the link is closed: Toxiproxy does that."""

    name = "timeout"
    summary = "data is dropped, and a connection without data for that long is closed"
    Parameters = TimeoutParameters

    def describe(self, parameters: TimeoutParameters, where: Where) -> str:
        """What a client sees."""
        return (
            f"{where.names} never answer{where.s}; connections are closed after {format_duration(parameters.timeout)}"
        )

    def state(self, parameters: TimeoutParameters, effect: str, ground: Ground) -> LinkState:
        """Timeout toxics."""
        limit = round(parameters.timeout * 1000)
        return LinkState(toxics=tuple(toxic(effect, "timeout", way, timeout=limit) for way in WAYS[parameters.stream]))

    def evidence(self, parameters: TimeoutParameters, link: str, state: LinkState) -> Evidence:
        """No answer, and the end of the connection when the time is up."""
        return Evidence(kind="timeout", link=link, expected=parameters.timeout)


FAULT = Timeout()
