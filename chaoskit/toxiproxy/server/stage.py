"""A toxic as configured, and the stage that carries it out on one direction of one connection.

A new toxic is one file in `toxics/` with one subclass of Stage, and its name in `toxics/__init__.py`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from chaoskit.toxiproxy.server.pipe import Pipe

__all__ = ["DIRECTIONS", "DOWNSTREAM", "MS", "UPSTREAM", "Outlet", "Stage", "Toxic"]

UPSTREAM, DOWNSTREAM = 0, 1
DIRECTIONS = ("upstream", "downstream")
MS = 1_000_000  # nanoseconds in the unit of most attributes


class Outlet(Protocol):
    """Where a stage puts what it lets through: the next stage, or the far socket."""

    def feed(self, data: bytes, stamp: int) -> None:
        """Bytes that arrived here at `stamp` (monotonic nanoseconds)."""
        ...

    def end(self) -> None:
        """Nothing more will come: end of file, or a stage that closes the connection."""
        ...


@dataclass
class Toxic:
    """One toxic of one proxy, as its client asked for it. `toxicity` is the share of connections that it hits.

    Attributes:
        stream: as sent; the API echoes its letter case.
        direction: UPSTREAM or DOWNSTREAM.
        attributes: all of the type's attributes, in the original's units.
        seed: text that fixes every dice roll of this toxic, together with the number of the connection.
        hits: what it has really acted on: reads, ends of file or connections, as its stage says.
    """

    name: str
    stage: type[Stage]
    stream: str
    direction: int
    toxicity: float = 1
    attributes: dict[str, int] = field(default_factory=dict)
    seed: str = ""
    hits: int = 0

    def dice(self, connection: int) -> random.Random:
        """Randomness of this toxic on that connection: the first roll is the toxicity's, the rest is the stage's."""
        return random.Random(f"{self.seed}/{DIRECTIONS[self.direction]}/{self.name}/{connection}")

    def takes(self, connection: int) -> bool:
        """Whether it hits that connection."""
        if 0.0 < self.toxicity < 1.0:
            # The same roll whenever it is asked, so that a raised toxicity adds connections and never swaps them.
            return self.dice(connection).random() < self.toxicity
        return self.toxicity > 0.0


class Stage:
    """One toxic at work on one direction of one connection. This base lets everything through.

    Class attributes:
        type: name in the API. attributes: names in the API, all integers. mute: while it is active no connection can
        be established at all, because its handshake would not come through.
    """

    type: ClassVar[str]
    attributes: ClassVar[tuple[str, ...]] = ()
    mute: ClassVar[bool] = False

    def __init__(self, toxic: Toxic, pipe: Pipe) -> None:
        self.toxic = toxic
        self.pipe = pipe
        self.timers = pipe.connection.timers
        self.out: Outlet = pipe.sink
        self.active = toxic.takes(pipe.connection.number)

    @cached_property
    def random(self) -> random.Random:
        """Seeded per connection, direction and toxic; the toxicity's roll is already taken."""
        dice = self.toxic.dice(self.pipe.connection.number)
        dice.random()
        return dice

    def value(self, attribute: str) -> int:
        """An attribute as it is now; never negative, whatever was asked."""
        return max(self.toxic.attributes[attribute], 0)

    def entered(self) -> None:
        """It begins to act: the connection was established, or it was added to one, or its toxicity now hits."""

    def feed(self, data: bytes, stamp: int) -> None:
        """Bytes on their way; `stamp` is when they arrived here, in nanoseconds."""
        self.toxic.hits += 1
        self.out.feed(data, stamp)

    def end(self) -> None:
        """The source has ended."""
        self.out.end()

    def changed(self) -> None:
        """The attributes have new values."""

    def left(self) -> None:
        """It stops acting on an open connection: hand over, in order and at once, whatever is held back."""

    def discard(self) -> None:
        """The far side is gone: drop what is held, cancel what is due."""
