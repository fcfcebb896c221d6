"""What a Toxiproxy says about its proxies, as frozen data; and when two of them say the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chaoskit.data import Frozen
from chaoskit.stack.effects import LinkState, Toxic
from chaoskit.toxiproxy.dangers import ATTRIBUTES

__all__ = ["FlowCounters", "LinkCounters", "Proxy", "same_listen", "same_toxic", "same_toxics", "toxic_of"]

_FLOAT32 = 1e-6  # the server keeps toxicity as a 32-bit float


class Proxy(Frozen):
    """A proxy as read back. `listen` is the address that it is bound to; toxics are upstream first, in chain order."""

    name: str
    listen: str
    upstream: str
    enabled: bool = True
    toxics: tuple[Toxic, ...] = ()

    @property
    def state(self) -> LinkState:
        """The same as the state of a link."""
        return LinkState(enabled=self.enabled, toxics=self.toxics)


class FlowCounters(Frozen):
    """Bytes of one direction: read from the sender, and given to the receiver's socket."""

    received: int = 0
    sent: int = 0


class LinkCounters(Frozen):
    """What a link carried since it was made.

    Attributes:
        accepted: clients that came in; those that were left hanging in their connect, or turned away, did not.
        hits: what each toxic really acted on, by its name; also of the last thousand that are gone. Reads: `latency`
            and `noop` all, `bandwidth` those held back for a millisecond or more, `slicer` those cut, `timeout` those
            dropped. Ends: `slow_close` those held. Reads and ends: `blackhole` those withheld. Connections:
            `limit_data` those cut, `reset_peer` those reset, `timeout` those closed, `blackhole` those left in silence.
            Connections that a toxicity below 1 spares are never counted.
    """

    accepted: int = 0
    open: int = 0
    dial_failures: int = 0
    upstream: FlowCounters = FlowCounters()
    downstream: FlowCounters = FlowCounters()
    hits: dict[str, int] = {}


def toxic_of(found: Mapping[str, Any]) -> Toxic:
    """A toxic from the server's JSON.

    Raises:
        ValueError: it is not one.
    """
    return Toxic(
        name=found["name"],
        type=found["type"],
        stream=str(found["stream"]).lower(),  # validated by the model
        toxicity=found["toxicity"],
        attributes=found.get("attributes") or {},
    )


def same_toxic(asked: Toxic, read: Toxic) -> bool:
    """Whether a toxic is the one asked for; attributes that were left out are 0 on the server."""
    defaults = dict.fromkeys(ATTRIBUTES.get(asked.type, ()), 0)
    return (
        (asked.name, asked.type, asked.stream) == (read.name, read.type, read.stream)
        and abs(asked.toxicity - read.toxicity) <= _FLOAT32
        and {**defaults, **asked.attributes} == {**defaults, **read.attributes}
    )


def same_toxics(asked: Sequence[Toxic], read: Sequence[Toxic]) -> bool:
    """Whether the chains are the same. Order counts within a direction; the directions are independent."""
    for stream in ("upstream", "downstream"):
        ours = [toxic for toxic in asked if toxic.stream == stream]
        theirs = [toxic for toxic in read if toxic.stream == stream]
        if len(ours) != len(theirs) or not all(map(same_toxic, ours, theirs)):
            return False
    return True


def same_listen(asked: str, read: str) -> bool:
    """Whether an address read back can be the one asked for: names are looked up and port 0 chosen by the server."""
    (host, _, port), (read_host, _, read_port) = asked.rpartition(":"), read.rpartition(":")
    literal = host.replace(".", "").isdigit() and host != "0.0.0.0"
    return (not literal or host == read_host) and (port in ("", "0") or not port.isdigit() or port == read_port)
