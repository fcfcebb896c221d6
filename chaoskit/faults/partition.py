"""`partition`: the network splits. Some members do not hear others, while everybody goes on running.

One TCP connection carries both directions, and a link is named after the one who dials. So "n1 is not heard by n2" is
silence upstream on the links n1->n2 and downstream on the links n2->n1: every port, both of them.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Literal

from chaoskit.errors import PlanError
from chaoskit.faults import partition_shapes as shapes
from chaoskit.faults.model import Compiled, Fault, Ground, ParameterError, Where, silence
from chaoskit.faults.partition_members import Members, words_of
from chaoskit.faults.partition_parameters import PartitionParameters
from chaoskit.faults.partition_shapes import Shape
from chaoskit.stack.effects import Evidence, LinkEffect, Passage
from chaoskit.stack.topology import Protocol, Target

__all__ = ["FAULT", "Partition"]

_WAIT = 1.0  # seconds without an answer that count as silence

_HANG = "new connects over a link that is cut hang, in one direction as in both: a handshake needs the other one, too"
_LEAK = (
    "closes leak through the cut: the real Toxiproxy withholds data but passes the end of a connection on, and new "
    "connects are taken"
)
_MODES: dict[str, tuple[str, str]] = {
    "silent": (
        "in silence",
        "silent: data, ends and resets are withheld until it heals, then both ends of a connection that was cut are "
        "closed",
    ),
    "refuse": ("connections are refused", "refused: connections are closed at once, and new ones are refused"),
}


class Partition(Fault[PartitionParameters]):
    """Toxics that withhold everything, in the direction that is cut; with `mode: refuse` the link is closed instead."""

    name = "partition"
    summary = "members of a cluster do not hear each other"
    Parameters = PartitionParameters
    targets = "nothing"
    abilities = frozenset({"links:per-pair"})

    def role(self, parameters: Mapping[str, Any], target: Target) -> str | None:
        """The role of the target that one of its places is named after; no node is called so."""
        values = self.stored(parameters)
        names = {name for node in target.topology.nodes for name in (node.name, node.service)}
        roles = {role.name for role in target.roles} - names
        return next((word for _, word in words_of(values) if word in roles), None)

    def compile(self, injection: str, parameters: Mapping[str, Any], ground: Ground) -> Compiled:
        """An effect per link that is cut, and evidence from every link among the members."""
        values = self.stored(parameters)
        members = Members.of(values, ground)
        shape, what = _shape(values, members, ground)
        links = ground.target.topology.links
        matrix = shapes.passages(shape, links, members.stands)
        cut = [passage for passage in matrix if not (passage.up and passage.down)]
        if not cut:
            raise PlanError(
                f"{injection} would cut nothing: no link joins those that it separates",
                hint="`chaoskit plan` lists the links; name nodes that dial each other",
            )
        how, note = _MODES[values.mode]
        more = () if values.mode == "refuse" else (_LEAK if ground.toxiproxy == "real" else _HANG,)
        effects = {
            passage.link: _effect(f"{injection}/{number}", injection, passage, values.mode, ground)
            for number, passage in enumerate(cut, 1)
        }
        protocols = {link.id: link.protocol for link in links}
        return Compiled(
            effects=tuple(effects.values()),
            evidence=tuple(
                item
                for one in matrix
                for item in _evidence(one, effects.get(one.link), protocols[one.link], ground.toxiproxy == "embedded")
            ),
            sentence=f"{what}, {how}",
            matrix=matrix,
            sides=members.sides(shape),
            notes=(note, *more, *members.notes),
        )

    def describe(self, parameters: PartitionParameters, where: Where) -> str:
        """What is asked, before it is known who stands where."""
        return f"{parameters.shape} partition among {where.names}, {_MODES[parameters.mode][0]}"


def _effect(
    identity: str, injection: str, passage: Passage, mode: Literal["silent", "refuse"], ground: Ground
) -> LinkEffect:
    if mode == "refuse":
        return LinkEffect(id=identity, injection=injection, link=passage.link, enabled=False)
    up = () if passage.up else (silence(identity, "upstream", ground),)
    down = () if passage.down else (silence(identity, "downstream", ground),)
    return LinkEffect(id=identity, injection=injection, link=passage.link, toxics=up + down)


def _evidence(passage: Passage, effect: LinkEffect | None, protocol: Protocol, counted: bool) -> list[Evidence]:
    """What must be seen on one link, cut or not.

    Where only what is dialled with is cut, nothing says that answers would pass: nobody is asked for any. So an open
    direction `down` is looked for only where `up` is open too. And where the server does not count (`counted`), half a
    link cannot be seen to be open: a canary needs an answer.
    """
    link = passage.link
    if effect is None:
        return [Evidence(kind="open", link=link)]
    names = tuple(toxic.name for toxic in effect.toxics)
    if not passage.up and not passage.down:
        cut = Evidence(kind="cut", link=link, toxics=names)
        if not effect.enabled:  # where nobody counts a cut is silence to a canary, and this one is not silent
            refused = Evidence(kind="refused", link=link)
            return [cut, refused] if counted else [refused]
        # A plain TCP canary has nothing to say that could be left without an answer.
        return [cut] if protocol == "tcp" else [cut, Evidence(kind="silent", link=link, expected=_WAIT)]
    half = Evidence(kind="cut", link=link, stream="down" if passage.up else "up", toxics=names)
    return [half, Evidence(kind="open", link=link, stream="up")] if passage.up and counted else [half]


def _shape(values: PartitionParameters, members: Members, ground: Ground) -> tuple[Shape, str]:
    """Who does not hear whom, and that as a sentence."""
    try:
        return _SHAPES[values.shape](values, members, ground)
    except ValueError as error:  # from the shapes themselves: too few members
        names = Where.of(members.nodes).names
        raise ParameterError((values.shape,), f"{error} (the members are {names})", hint="name others: among") from None


def _groups(values: PartitionParameters, members: Members, ground: Ground) -> tuple[Shape, str]:
    groups = [members.named("groups", number) for number in range(len(values.groups or ()))]
    taken: dict[str, int] = {}
    for number, group in enumerate(groups):
        for name in group:
            if taken.setdefault(name, number) != number:
                raise ParameterError(
                    ("groups", number),
                    f"{name} stands in two groups",
                    hint="name each node once; for both sides: bridge",
                )
    rest = tuple(name for name in members.nodes if name not in taken)
    sides = {str(number): group for number, group in enumerate(groups, 1)}
    if rest:
        groups.append(rest)
        sides["rest"] = rest
    if len(groups) < 2:
        raise ParameterError(("groups",), "one group with everybody in it separates nobody", hint="add another group")
    text = " | ".join(", ".join(map(members.label, group)) for group in groups)
    return shapes.apart(groups, sides | members.by_size(groups)), f"the network splits into {text}"


def _isolate(values: PartitionParameters, members: Members, ground: Ground) -> tuple[Shape, str]:
    alone = members.named("isolate")
    rest = tuple(name for name in members.all if name not in alone)
    if not rest:
        raise ParameterError(("isolate",), "nobody is left to be isolated from", hint="name others: among")
    sides = {"isolated": alone, "rest": rest} | members.by_size([alone, rest])
    return shapes.apart([alone, rest], sides), f"{members.said(alone)} cut off from {members.listed(rest)}"


def _split(values: PartitionParameters, members: Members, ground: Ground) -> tuple[Shape, str]:
    size = shapes.sizes(len(members.nodes))
    holder = members.holder if values.leader else None
    others = [name for name in members.nodes if name != holder]
    small = set(random.Random(ground.seed).sample(others, size.minority - (values.leader == "minority")))
    if values.leader == "minority" and holder is not None:
        small.add(holder)
    minority = tuple(name for name in members.nodes if name in small)
    majority = tuple(name for name in members.nodes if name not in small)
    text = f"{members.said(minority)} cut off from the majority of {members.listed(majority)}"
    return shapes.apart([minority, majority], {"minority": minority, "majority": majority}), text


def _one_way(values: PartitionParameters, members: Members, ground: Ground) -> tuple[Shape, str]:
    senders, receivers = members.ends("one-way")
    text = f"what {members.listed(senders)} send{'s' if len(senders) == 1 else ''} does not reach "
    return shapes.one_way(senders, receivers), f"{text}{members.listed(receivers)}, while the other way is open"


def _bridge(values: PartitionParameters, members: Members, ground: Ground) -> tuple[Shape, str]:
    middle = members.named("bridge")
    if len(middle) != 1:
        raise ParameterError(("bridge",), f"{values.bridge} is {len(middle)} nodes", hint="name one node")
    shape = shapes.bridge(middle[0], members.all)
    one, two = members.said(shape.sides["1"]), members.listed(shape.sides["2"])
    return shape, f"{one} cut off from {two}, and only {members.label(middle[0])} hears both"


def _ring(values: PartitionParameters, members: Members, ground: Ground) -> tuple[Shape, str]:
    shape = shapes.ring(members.all, majority=values.ring == "majority")
    heard = len(members.all) - 1 - sum(1 for a, _ in shape.lost if a == members.all[0])
    near = "its two neighbours" if heard == 2 else f"the {heard} nearest to it"
    return shape, f"in the ring of {members.listed(members.all)} each hears only {near}"


def _dial_cut(values: PartitionParameters, members: Members, ground: Ground) -> tuple[Shape, str]:
    sources, destinations = members.ends("dial-cut")
    text = f"what {members.listed(sources)} dial{'s' if len(sources) == 1 else ''} at {members.listed(destinations)}"
    return shapes.dial_cut(sources, destinations), f"{text} is cut, while what is dialled the other way passes"


_SHAPES = {
    "groups": _groups,
    "isolate": _isolate,
    "split": _split,
    "one-way": _one_way,
    "bridge": _bridge,
    "ring": _ring,
    "dial-cut": _dial_cut,
}

FAULT = Partition()
