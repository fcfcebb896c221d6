"""Shapes of partitions: who is still heard by whom. Pure: names in, ordered pairs out; no links, no toxics.

A pair (a, b) that is *lost* means that nothing which a sends reaches b, whoever of them dialled. A pair (a, b) that
cannot be *dialled* means that connections from a to b are cut, both ways, while those from b to a are not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from chaoskit.stack.effects import Passage
from chaoskit.stack.topology import Link

__all__ = ["LEAST_RING", "Shape", "apart", "bridge", "dial_cut", "halves", "one_way", "passages", "ring", "sizes"]

Pair = tuple[str, str]

LEAST_RING = 5


@dataclass(frozen=True)
class Shape:
    """What a partition separates.

    Attributes:
        lost: ordered pairs of which the first is not heard by the second.
        undialled: ordered pairs of which the first cannot connect to the second.
        sides: name of a side -> its members, for claims `at SIDE`.
    """

    lost: frozenset[Pair] = frozenset()
    undialled: frozenset[Pair] = frozenset()
    sides: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Sizes(NamedTuple):
    """How many nodes stand where."""

    majority: int
    minority: int


def sizes(count: int) -> Sizes:
    """The closest split of `count` nodes of which one side has more than half.

    Raises:
        ValueError: there are too few of them for two such sides.
    """
    if count < 3:
        raise ValueError(f"of {count} node{'' if count == 1 else 's'} there is no minority beside a majority")
    majority = count // 2 + 1
    return Sizes(majority, count - majority)


def apart(groups: Sequence[Sequence[str]], sides: Mapping[str, tuple[str, ...]]) -> Shape:
    """Groups that do not hear each other; within one, everybody does. Groups share no member."""
    group_of = {member: number for number, group in enumerate(groups) for member in group}
    return Shape(_pairs(group_of, lambda a, b: group_of[a] != group_of[b]), sides=sides)


def one_way(senders: Sequence[str], receivers: Sequence[str]) -> Shape:
    """What the senders send does not reach the receivers; the other way is open."""
    lost = frozenset((a, b) for a in senders for b in receivers if a != b)
    return Shape(lost, sides={"from": tuple(senders), "to": tuple(receivers)})


def halves(members: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The first and the second half, in order; the first is the larger one."""
    middle = (len(members) + 1) // 2
    return tuple(members[:middle]), tuple(members[middle:])


def bridge(middle: str, members: Sequence[str]) -> Shape:
    """Two halves that do not hear each other, and one member between them that hears both and is heard by both.

    Raises:
        ValueError: there are no two halves.
    """
    one, two = halves([member for member in members if member != middle])
    if not two:
        raise ValueError("a bridge needs a node on each side of it")
    return apart([one, two], {"1": one, "2": two, "bridge": (middle,)})


def ring(members: Sequence[str], *, majority: bool) -> Shape:
    """Each member hears only the nearest ones on either side of it, in a circle: its two neighbours, or as many as make
    a majority with itself. Then no two members hear the same ones, and yet all are connected.

    Raises:
        ValueError: there are fewer than five members.
    """
    count = len(members)
    if count < LEAST_RING:
        seen = "everybody is everybody's neighbour: nothing would be cut"
        near = "only those who stand opposite each other would be cut, and each would still hear three of four"
        raise ValueError(f"with {count} nodes {near if count == 4 else seen}")
    reach = next(k for k in range(1, count) if 2 * (2 * k + 1) > count) if majority else 1
    place = {member: number for number, member in enumerate(members)}

    def far(a: str, b: str) -> bool:
        distance = abs(place[a] - place[b])
        return min(distance, count - distance) > reach

    return Shape(_pairs(place, far))


def dial_cut(sources: Sequence[str], destinations: Sequence[str]) -> Shape:
    """Connections from the sources to the destinations are cut, in both directions; those the other way are not."""
    pairs = frozenset((a, b) for a in sources for b in destinations if a != b)
    return Shape(undialled=pairs, sides={"from": tuple(sources), "to": tuple(destinations)})


def passages(shape: Shape, links: Sequence[Link], stands: Mapping[str, str]) -> tuple[Passage, ...]:
    """What passes over every link among the members.

    Args:
        stands: node -> the member that it stands with: itself, or for `client@n1` usually n1. Links of nodes that are
            not in it are left out.
    """
    found = []
    for link in links:
        if link.source not in stands or link.destination not in stands:
            continue
        a, b = stands[link.source], stands[link.destination]
        dialled = (a, b) not in shape.undialled
        found.append(
            Passage(link=link.id, up=dialled and (a, b) not in shape.lost, down=dialled and (b, a) not in shape.lost)
        )
    return tuple(found)


def _pairs(members: Mapping[str, int], chosen: Callable[[str, str], bool]) -> frozenset[Pair]:
    return frozenset((a, b) for a in members for b in members if a != b and chosen(a, b))
