"""What a trial will do, drawn from (seed, number) alone, so that one trial can be repeated by itself."""

from __future__ import annotations

import random
from typing import NamedTuple

from chaoskit.linux.halting import POINTS

IN_NAMESPACES = ("supervisor-namespace", "node-namespace")
LONGEST = 2.2  # seconds from the start of a trial to a kill at a random instant

SETS = (
    ("engine",),
    ("outer",),
    ("inner",),
    ("proxy",),
    ("worker",),
    ("engine", "outer"),
    ("engine", "inner"),
    ("engine", "proxy"),
    ("outer", "proxy"),
    ("proxy", "worker"),
    ("engine", "outer", "inner", "proxy", "worker"),
)
# At a point somebody waits; half of the time it is that one who dies there.
AT_POINT = (("halted",), ("halted",), ("halted", "engine"), ("halted", "proxy"), *SETS)


class Trial(NamedTuple):
    """One kill.

    Attributes:
        point: where a process is made to wait before the kill; None = at a random instant.
        after: seconds from the start of the trial to the kill, for a random instant.
        victims: who is killed, in this order; who is not there at that moment is left out.
        faults: seed of the fault timeline.
    """

    number: int
    point: str | None
    after: float
    victims: tuple[str, ...]
    faults: int

    @property
    def text(self) -> str:
        where = f"at {self.point}" if self.point else f"after {self.after:.2f} s"
        return f"trial {self.number}: kill -9 of {', '.join(self.victims)} {where}"


def draw(seed: int, number: int, *, namespaces: bool) -> Trial:
    """Half of the trials are at named points, these in turn."""
    rng = random.Random(f"{seed}/{number}")
    points = [point for point in POINTS if namespaces or point not in IN_NAMESPACES]
    point = points[number // 2 % len(points)] if number % 2 else None
    victims = list(rng.choice(AT_POINT if point else SETS))
    rng.shuffle(victims)
    return Trial(number, point, rng.uniform(0, LONGEST), tuple(victims), rng.getrandbits(32))
