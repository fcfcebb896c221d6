"""`flaky`: some connections fail and others do not. A bad instance behind a load balancer, a tired firewall."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from chaoskit.faults.model import FaultParameters, Ground, LinkFault, Where, silence, toxic
from chaoskit.spec.types import Share
from chaoskit.stack.effects import Evidence, LinkState
from chaoskit.units import format_share

__all__ = ["FAULT", "Flaky", "FlakyParameters"]

_WAIT = 1.0  # seconds without an answer that count as silence


class FlakyParameters(FaultParameters):
    """A `share` of the connections fails as soon as it is used: is reset, stays silent or is closed (`how`)."""

    share: Share
    how: Literal["reset", "silent", "close"] = "reset"

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.share == 0.0:
            raise ValueError("share is 0%: no connection would fail; leave the fault out")
        return self


class Flaky(LinkFault[FlakyParameters]):
    """One toxic on what is sent, at a toxicity below 1: it is decided once for each connection, open ones included."""

    name = "flaky"
    summary = "a share of the connections fails"
    Parameters = FlakyParameters

    def describe(self, parameters: FlakyParameters, where: Where) -> str:
        """What a client sees."""
        verb = {
            "reset": f"reset{where.s} ",
            "silent": f"leave{where.s} without an answer ",
            "close": f"close{where.s} ",
        }[parameters.how]
        return f"{where.names} {verb}{format_share(parameters.share)} of the connections"

    def state(self, parameters: FlakyParameters, effect: str, ground: Ground) -> LinkState:
        """A toxic on the requests. With one on each direction the dice would be rolled twice."""
        share = parameters.share
        if parameters.how == "reset":
            return LinkState(toxics=(toxic(effect, "reset_peer", "upstream", share, timeout=0),))
        if parameters.how == "close":
            return LinkState(toxics=(toxic(effect, "limit_data", "upstream", share, bytes=0),))
        return LinkState(toxics=(silence(effect, "upstream", ground, share),))

    def notes(self, parameters: FlakyParameters, ground: Ground) -> tuple[str, ...]:
        """What the real server does otherwise."""
        if ground.toxiproxy != "real" or parameters.share == 1.0:
            return ()
        found = ["which connections fail is not the same from run to run: the real Toxiproxy cannot be seeded"]
        if parameters.how == "reset":
            found.append("connections that are spared end with a reset too, as the real Toxiproxy does it")
        if parameters.how == "silent":
            found.append(
                "when the fault ends every open connection is closed, as the real Toxiproxy does it, and closes pass "
                "through the silence"
            )
        return tuple(found)

    def evidence(self, parameters: FlakyParameters, link: str, state: LinkState) -> Evidence:
        """A share of new connections that fails."""
        return Evidence(
            kind="flaky",
            link=link,
            expected=parameters.share,
            tolerance=_WAIT if parameters.how == "silent" else 0.0,
            toxics=tuple(one.name for one in state.toxics),
        )


FAULT = Flaky()
