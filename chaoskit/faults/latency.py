"""`latency`: answers come late. The network is far away, or the other side is slow."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from chaoskit.faults.model import WAYS, FaultParameters, Ground, LinkFault, Stream, Where, check_whole, toxic
from chaoskit.spec.types import Duration
from chaoskit.stack.effects import Evidence, LinkState
from chaoskit.units import format_duration

__all__ = ["FAULT", "Latency", "LatencyParameters"]

_LONGEST = 600.0


class LatencyParameters(FaultParameters):
    """`latency` more per round trip, spread evenly over ± `jitter`; `both` puts half of it on each direction."""

    latency: Duration
    jitter: Duration = 0.0
    stream: Stream = "down"

    @model_validator(mode="after")
    def _possible(self) -> Self:
        least = 0.002 if self.stream == "both" else 0.001
        if self.latency < least:
            raise ValueError(f"latency is at least {format_duration(least)}: Toxiproxy counts whole milliseconds")
        if self.latency > _LONGEST:
            raise ValueError(f"latency is at most {format_duration(_LONGEST)}; to withhold answers use blackhole")
        if self.jitter > self.latency:
            raise ValueError("jitter is larger than latency: some answers would have to come before they were asked")
        check_whole("latency", self.latency, 1e-3, "milliseconds")
        check_whole("jitter", self.jitter, 1e-3, "milliseconds")
        return self


class Latency(LinkFault[LatencyParameters]):
    """Toxic `latency`: connects are not delayed, every chunk of data is; order is kept."""

    name = "latency"
    summary = "every round trip takes longer, by latency ± jitter"
    Parameters = LatencyParameters

    def describe(self, parameters: LatencyParameters, where: Where) -> str:
        """What a client sees."""
        spread = f" ± {format_duration(parameters.jitter)}" if parameters.jitter else ""
        return f"{where.names} answer{where.s} {format_duration(parameters.latency)}{spread} late"

    def state(self, parameters: LatencyParameters, effect: str, ground: Ground) -> LinkState:
        """Latency toxics that add up to what was asked."""
        ways = WAYS[parameters.stream]
        delays = _shares(parameters.latency, len(ways))
        jitters = _shares(parameters.jitter, len(ways))
        return LinkState(
            toxics=tuple(
                toxic(effect, "latency", way, latency=delay, jitter=jitter)
                for way, delay, jitter in zip(ways, delays, jitters, strict=True)
            )
        )

    def notes(self, parameters: LatencyParameters, ground: Ground) -> tuple[str, ...]:
        """What the real server cannot do."""
        chance = "the jitter is not the same from run to run: the real Toxiproxy cannot be seeded"
        return (chance,) if parameters.jitter and ground.toxiproxy == "real" else ()

    def evidence(self, parameters: LatencyParameters, link: str, state: LinkState) -> Evidence:
        """The round trip grows by what was asked."""
        return Evidence(kind="latency", link=link, expected=parameters.latency, tolerance=parameters.jitter)


def _shares(seconds: float, count: int) -> list[int]:
    """Whole milliseconds that add up to `seconds`."""
    total = round(seconds * 1000)
    return [total // count + (1 if i < total % count else 0) for i in range(count)]


FAULT = Latency()
