"""`slicer`: data arrives in small pieces. Small segments, and readers that take one read for one message."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from chaoskit.faults.model import WAYS, FaultParameters, Ground, LinkFault, Stream, Where, check_whole, toxic
from chaoskit.spec.types import Duration, Size
from chaoskit.stack.effects import Evidence, LinkState
from chaoskit.units import format_duration, format_size

__all__ = ["FAULT", "Slicer", "SlicerParameters"]

_LARGEST = 1_000_000
_LONGEST = 10.0


class SlicerParameters(FaultParameters):
    """Data is cut into pieces of `size` ± `variation`, with `delay` after each of them."""

    size: Size
    variation: Size = 0
    delay: Duration = 0.0
    stream: Stream = "down"

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not 1 <= self.size <= _LARGEST:
            raise ValueError(f"size is between 1B and {format_size(_LARGEST)}")
        # The original server dies of it.
        if self.variation >= self.size:
            raise ValueError("variation is not smaller than size: some pieces would be empty")
        if self.delay > _LONGEST:
            raise ValueError(f"delay is at most {format_duration(_LONGEST)}; to withhold answers use blackhole")
        check_whole("delay", self.delay, 1e-6, "microseconds")
        return self


class Slicer(LinkFault[SlicerParameters]):
    """Toxic `slicer`: reads are halved until the pieces are small enough; order is kept and nothing is lost."""

    name = "slicer"
    summary = "data arrives in small pieces, one after the other"
    Parameters = SlicerParameters

    def describe(self, parameters: SlicerParameters, where: Where) -> str:
        """What a client sees."""
        spread = f" ± {format_size(parameters.variation)}" if parameters.variation else ""
        apart = f", {format_duration(parameters.delay)} apart" if parameters.delay else ""
        what = {"down": "answers", "up": "requests", "both": "all data"}[parameters.stream]
        pieces = f"pieces of {format_size(parameters.size)}{spread}{apart}"
        return f"{where.names} pass{'es' if where.s else ''} {what} on in {pieces}"

    def state(self, parameters: SlicerParameters, effect: str, ground: Ground) -> LinkState:
        """A slicer toxic on each direction."""
        values = {
            "average_size": parameters.size,
            "size_variation": parameters.variation,
            "delay": round(parameters.delay * 1e6),
        }
        return LinkState(toxics=tuple(toxic(effect, "slicer", way, **values) for way in WAYS[parameters.stream]))

    def notes(self, parameters: SlicerParameters, ground: Ground) -> tuple[str, ...]:
        """Where nothing but the proxy's own word stands behind it."""
        blind = parameters.stream == "up" or any(link.protocol == "tcp" for link in ground.links)
        alone = "that requests, and answers on plain TCP, are cut is the proxy's own count: no canary can see it"
        return (alone,) if blind and ground.toxiproxy == "embedded" else ()

    def evidence(self, parameters: SlicerParameters, link: str, state: LinkState) -> Evidence:
        """Reads that were cut, and answers that come in pieces."""
        return Evidence(
            kind="sliced",
            link=link,
            expected=parameters.size,
            tolerance=parameters.variation,
            stream=parameters.stream,
            toxics=tuple(one.name for one in state.toxics),
        )


FAULT = Slicer()
