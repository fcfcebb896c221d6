"""`flap`: down and up again and again. A service in a crash loop, a bad cable, an address that two machines claim."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

from pydantic import model_validator

from chaoskit.faults.model import Compiled, Fault, FaultParameters, Ground, ParameterError, Where
from chaoskit.spec.types import Duration
from chaoskit.stack.effects import Evidence, LinkEffect
from chaoskit.units import format_duration

__all__ = ["FAULT", "Flap", "FlapParameters"]

_SHORTEST = 0.2  # a change takes some milliseconds to carry out, and a canary must be able to hit each stretch
_MOST = 500


class FlapParameters(FaultParameters):
    """Connections are refused for `down`, then served for `up`, and so on while the fault lasts."""

    down: Duration
    up: Duration

    @model_validator(mode="after")
    def _possible(self) -> Self:
        for name, value in (("down", self.down), ("up", self.up)):
            if value < _SHORTEST:
                raise ValueError(f"{name} is at least {format_duration(_SHORTEST)}: it could not be seen apart")
        return self


class Flap(Fault[FlapParameters]):
    """An outage that begins and ends inside the injection, beginning with `down`."""

    name = "flap"
    summary = "connects are refused and served in turns"
    Parameters = FlapParameters
    targets = "links"

    def describe(self, parameters: FlapParameters, where: Where) -> str:
        """What a client sees."""
        return (
            f"{where.names} refuse{where.s} every connection for {format_duration(parameters.down)}, "
            f"then serve{where.s} for {format_duration(parameters.up)}, and so on"
        )

    def compile(self, injection: str, parameters: Mapping[str, Any], ground: Ground) -> Compiled:
        """One effect per link and outage, in the order of time; one piece of evidence per link."""
        values = self.stored(parameters)
        times = self._times(values, ground.duration or 0.0)
        effects = [
            LinkEffect(id="", injection=injection, link=link.id, enabled=False, begins=begins, ends=ends)
            for begins, ends in times
            for link in ground.links
        ]
        return Compiled(
            effects=tuple(one.model_copy(update={"id": f"{injection}/{n}"}) for n, one in enumerate(effects, 1)),
            evidence=tuple(
                Evidence(kind="flap", link=link.id, expected=values.down, tolerance=values.up) for link in ground.links
            ),
            sentence=self.describe(values, Where.of([link.id for link in ground.links])),
        )

    def _times(self, values: FlapParameters, duration: float) -> list[tuple[float, float | None]]:
        """(begin, end) of every outage, seconds from the begin of the injection; None = with it."""
        turn = values.down + values.up
        if turn > duration + 1e-9:
            raise ParameterError(
                ("up",),
                f"down and up together are {format_duration(turn)} and the fault lasts {format_duration(duration)}: "
                "it would not be up again while it lasts",
                hint="let the fault last longer, or use outage",
            )
        number = math.ceil(duration / turn - 1e-9)
        if number > _MOST:
            raise ParameterError(
                ("up",),
                f"it would go down {number:,} times in {format_duration(duration)}; {_MOST} times is the most",
                hint="choose a longer down and up, or a shorter fault",
            )
        found: list[tuple[float, float | None]] = []
        for i in range(number):
            begins = round(i * turn, 9)
            ends = round(begins + values.down, 9)
            found.append((begins, ends if ends < duration else None))
        return found


FAULT = Flap()
