"""Who comes before whom, as a graph of transactions, and the parts of it that go round in circles.

Nearly all of a history of a sound system is in order, so most of it is put aside without a search: each transaction is
given a place on the line of time, between its invocation and its completion, and moved ahead of what it comes before
until all edges point forward. Places that can be found so prove that there is no cycle, in real time either. What is
left is a few knots, which are searched by Tarjan's algorithm (Depth-first search and linear graph algorithms, 1972).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chaoskit.history.operations import NEVER, Operations

__all__ = [
    "LATE",
    "RT",
    "RW",
    "SO",
    "WR",
    "WW",
    "Edges",
    "knots",
    "line",
    "session_edges",
    "spread",
    "tangled",
    "time_edges",
]

# Wrote before, was read by, read before it was overwritten, session order, real time; and LATE: read before it was
# overwritten if versions are in the order of real time, which is so in cycles of real time only.
WW, WR, RW, SO, RT, LATE = range(6)
_STEP = 1 << 12  # places between two ranks
_ROUNDS = 64

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Edges:
    """Edges between transactions (by position): `source` comes before `target`.

    Attributes:
        label: WW, WR, RW, SO, RT or LATE. write: number of the write that the edge is about (what WW wrote later, what
            WR read, what RW and LATE did not see); -1 for SO and RT.
    """

    source: Ints
    target: Ints
    label: NDArray[np.uint8]
    write: Ints

    def __len__(self) -> int:
        return len(self.source)

    def where(self, chosen: Mask | Ints) -> Edges:
        """Some of them."""
        return Edges(self.source[chosen], self.target[chosen], self.label[chosen], self.write[chosen])

    def within(self, nodes: Mask) -> Edges:
        """Those between some transactions."""
        return self.where(nodes[self.source] & nodes[self.target])

    def joined(self, other: Edges) -> Edges:
        """With others."""
        return Edges(
            np.concatenate([self.source, other.source]),
            np.concatenate([self.target, other.target]),
            np.concatenate([self.label, other.label]),
            np.concatenate([self.write, other.write]),
        )


def line(operations: Operations, edges: Edges) -> Ints:
    """A place in time for each transaction, between invocation and completion, so that few edges point backward."""
    first = operations.invoked * _STEP + 1
    known = operations.completed != NEVER
    end = int(max(operations.invoked.max(initial=0), operations.completed[known].max(initial=0))) + 1
    place = np.where(known, operations.completed, end) * _STEP  # what never completed comes after everything
    source, target = edges.source, edges.target
    for _ in range(_ROUNDS):
        wrong = np.flatnonzero(place[source] >= place[target])
        ahead = np.maximum(place[target[wrong]] - 1, first[source[wrong]])
        moved = ahead < place[source[wrong]]
        if not moved.any():
            break
        np.minimum.at(place, source[wrong[moved]], ahead[moved])
    return place


def tangled(operations: Operations, edges: Edges) -> tuple[Mask, Ints]:
    """Which transactions are on cycles of the edges and of real time together, and the places of all in time."""
    if not operations.real_time:  # else real time has the order of sessions in it
        edges = edges.joined(session_edges(operations, np.arange(len(operations))))
    place = line(operations, edges)
    found = np.zeros(len(operations), dtype=np.bool_)
    backward = place[edges.source] >= place[edges.target]
    if not backward.any():
        return found, place
    members = _crossed(place, place[edges.target[backward]], place[edges.source[backward]])
    inside = edges.within(members)
    order = time_edges(operations, np.flatnonzero(members), len(operations))
    count = len(operations) + int(members.sum())
    places = np.concatenate([place, np.sort(operations.completed[members] * 1.0 * _STEP)])
    sources = np.concatenate([inside.source, order[0]])
    part = knots(count, sources, np.concatenate([inside.target, order[1]]), places)
    found[:] = part[: len(operations)] >= 0
    return found, place


def time_edges(operations: Operations, members: Ints, first: int) -> tuple[Ints, Ints]:
    """Real time between some transactions as edges: O(n) of them, over helper nodes, one per member, from `first` on.

    A helper stands for "this transaction, and all that completed before it, are over".
    """
    completed, invoked = operations.completed[members], operations.invoked[members]
    order = np.argsort(completed, kind="stable")
    helper = np.arange(first, first + len(members), dtype=np.int64)
    over = completed[order] != NEVER
    before = np.searchsorted(completed[order], invoked) - 1
    some = before >= 0
    source = np.concatenate([members[order][over], helper[:-1][over[1:]], helper[before[some]]])
    target = np.concatenate([helper[over], helper[1:][over[1:]], members[some]])
    return source, target


def session_edges(operations: Operations, members: Ints) -> Edges:
    """Each transaction before those that its session began next: after it was over, and before another one, begun in
    between, was over. What comes later follows from these.
    """
    members = members[np.lexsort((operations.invoked[members], operations.session[members]))]
    _, session = np.unique(operations.session[members], return_inverse=True)
    invoked, completed = operations.invoked[members], operations.completed[members]
    if not operations.real_time:  # all overlap by rank, and yet a session did one thing after the other
        invoked, completed = 2 * invoked, 2 * invoked + 1
    span = int(max(invoked.max(initial=0), completed[completed != NEVER].max(initial=0))) + 2
    begun = session * span + invoked
    over = completed != NEVER
    after = np.searchsorted(begun, session * span + np.where(over, completed, span - 1))
    # The earliest end within a session from a place on: a running minimum from the right; later sessions end later.
    ends = np.where(over, completed, span - 1) + session * span
    earliest = np.minimum.accumulate(np.append(ends, np.iinfo(np.int64).max)[::-1])[::-1]
    until = np.searchsorted(begun, np.minimum(earliest[after], (session + 1) * span - 1))
    count = np.where(over, np.maximum(until - after, 0), 0)
    at = np.repeat(after - np.cumsum(count) + count, count) + np.arange(int(count.sum()))
    nothing = np.full(len(at), -1, dtype=np.int64)
    return Edges(np.repeat(members, count), members[at], np.full(len(at), SO, dtype=np.uint8), nothing)


def knots(count: int, source: Ints, target: Ints, place: NDArray[np.int64] | NDArray[np.float64] | None = None) -> Ints:
    """Strongly connected components of at least two nodes: the number of its component for each node, -1 for others.

    Args:
        place: where the nodes would be if there were no cycle; most edges pointing forward makes it quick.
    """
    found = np.full(count, -1, dtype=np.int64)
    while len(source):
        kept = _between(count, source, target, place) if place is not None else np.ones(len(source), dtype=np.bool_)
        before, source, target = len(source), source[kept], target[kept]
        entered, left = np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
        entered[target], left[source] = True, True
        kept = entered[source] & left[target]  # on a cycle every node is entered and left
        source, target = source[kept], target[kept]
        if len(source) > 0.9 * before:
            break
    if not len(source):
        return found
    names, ends = np.unique(np.concatenate([source, target]), return_inverse=True)
    source, target = ends[: len(source)], ends[len(source) :]
    order = np.argsort(source, kind="stable")
    pointers = np.searchsorted(source[order], np.arange(len(names) + 1))
    part = np.array(_tarjan(len(names), pointers.tolist(), target[order].tolist()), dtype=np.int64)
    sizes = np.bincount(part)
    big = sizes[part] > 1
    _, numbers = np.unique(part[big], return_inverse=True)
    found[names[big]] = numbers
    return found


def spread(start: Ints, length: Ints) -> Ints:
    """The places of several stretches, one after the other: start[0], start[0] + 1, …"""
    ends = np.cumsum(length)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(start - ends + length, length) + np.arange(total, dtype=np.int64)


def _between(count: int, source: Ints, target: Ints, place: NDArray[np.int64] | NDArray[np.float64]) -> Mask:
    """Edges inside stretches that some edge crosses backward: cycles cannot leave these."""
    nodes = np.unique(np.concatenate([source, target]))
    rank = np.empty(count, dtype=np.int64)
    order = nodes[np.argsort(place[nodes], kind="stable")]
    rank[order] = np.arange(len(order))
    low, high = rank[target], rank[source]
    backward = low < high
    change = np.bincount(low[backward], minlength=len(order) + 1) - np.bincount(
        high[backward], minlength=len(order) + 1
    )
    crossed = np.cumsum(change)[: len(order)] > 0  # whether the gap after a node is
    block = np.concatenate([[0], np.cumsum(~crossed)])[: len(order)]
    kept: Mask = block[low] == block[high]
    return kept


def _crossed(place: Ints, low: Ints, high: Ints) -> Mask:
    """Nodes inside stretches from `low` to `high`, ends included."""
    order = np.argsort(low, kind="stable")
    low, high = low[order], np.maximum.accumulate(high[order])
    at = np.searchsorted(low, place, side="right") - 1
    inside: Mask = (at >= 0) & (place <= high[np.maximum(at, 0)])
    return inside


def _tarjan(count: int, pointers: list[int], targets: list[int]) -> list[int]:
    """The component of each node. Iterative: a million nodes in a row would be a million calls."""
    number = [0] * count  # order of discovery from 1; 0 = not seen
    low = [0] * count
    part = [-1] * count
    at = pointers[:-1]
    seen = parts = 0
    open_nodes: list[int] = []
    for root in range(count):
        if number[root]:
            continue
        path = [root]
        seen += 1
        number[root] = low[root] = seen
        open_nodes.append(root)
        while path:
            node = path[-1]
            if at[node] < pointers[node + 1]:
                following = targets[at[node]]
                at[node] += 1
                if not number[following]:
                    seen += 1
                    number[following] = low[following] = seen
                    open_nodes.append(following)
                    path.append(following)
                elif part[following] < 0 and number[following] < low[node]:
                    low[node] = number[following]
                continue
            path.pop()
            if path and low[node] < low[path[-1]]:
                low[path[-1]] = low[node]
            if low[node] == number[node]:
                while True:
                    member = open_nodes.pop()
                    part[member] = parts
                    if member == node:
                        break
                parts += 1
    return part
