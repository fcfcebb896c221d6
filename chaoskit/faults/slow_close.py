"""`slow_close`: connections take their time to end. A peer that lingers, a load balancer that drains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import model_validator

from chaoskit.faults.model import (
    WAYS,
    Compiled,
    FaultParameters,
    Ground,
    LinkFault,
    ParameterError,
    Stream,
    Where,
    check_whole,
    toxic,
)
from chaoskit.spec.types import Duration
from chaoskit.stack.effects import Evidence, LinkState
from chaoskit.units import format_duration

__all__ = ["FAULT", "SlowClose", "SlowCloseParameters"]

_LONGEST = 600.0


class SlowCloseParameters(FaultParameters):
    """The end of a connection arrives `delay` late, in each direction that `stream` names."""

    delay: Duration
    stream: Stream = "down"

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.delay < 0.001:
            raise ValueError("delay is at least 1 ms: Toxiproxy counts whole milliseconds")
        if self.delay > _LONGEST:
            raise ValueError(f"delay is at most {format_duration(_LONGEST)}")
        check_whole("delay", self.delay, 1e-3, "milliseconds")
        return self


class SlowClose(LinkFault[SlowCloseParameters]):
    """Toxic `slow_close`: data is untouched, the end of file is held."""

    name = "slow_close"
    summary = "the end of a connection arrives late, data does not"
    Parameters = SlowCloseParameters

    def describe(self, parameters: SlowCloseParameters, where: Where) -> str:
        """What a client sees."""
        late = f"{format_duration(parameters.delay)} late"
        return f"{where.names} pass{'es' if where.s else ''} ends of connections on {late}"

    def compile(self, injection: str, parameters: Mapping[str, Any], ground: Ground) -> Compiled:
        """As any fault on links, if an end can come while it lasts."""
        delay = self.stored(parameters).delay
        if ground.duration is not None and delay >= ground.duration:
            raise ParameterError(
                ("delay",),
                f"delay {format_duration(delay)} is no shorter than the fault, which lasts "
                f"{format_duration(ground.duration)}: no end of a connection would come while it lasts",
                hint="let the fault last longer, or shorten delay",
            )
        return super().compile(injection, parameters, ground)

    def state(self, parameters: SlowCloseParameters, effect: str, ground: Ground) -> LinkState:
        """A slow_close toxic on each direction."""
        delay = round(parameters.delay * 1000)
        return LinkState(toxics=tuple(toxic(effect, "slow_close", way, delay=delay) for way in WAYS[parameters.stream]))

    def evidence(self, parameters: SlowCloseParameters, link: str, state: LinkState) -> Evidence:
        """A connection that a canary closes on its side is closed on the other side that much later."""
        names = tuple(one.name for one in state.toxics)
        # The close goes there and comes back: what holds it on both ways holds it twice.
        expected = parameters.delay * len(names)
        return Evidence(kind="slow_close", link=link, expected=expected, stream=parameters.stream, toxics=names)


FAULT = SlowClose()
