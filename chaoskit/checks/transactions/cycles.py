"""Cycles among transactions: each kind by its name in the field, with the shortest one that was found.

G0 writes only; G1c also what was read; G-single exactly one read that missed a write; G-nonadjacent several, no two of
them in a row; G2-item any. With the order of a session, or real time, in it: …-process, …-realtime.

Sources: Adya, Weak Consistency (1999), §4; Cerone and Gotsman, Analysing Snapshot Isolation (2016), theorem 9: a cycle
without two adjacent anti-dependencies is what snapshot isolation forbids; Kingsbury and Alvaro, Elle (2020), §5.

That there is a cycle is decided exactly, by strongly connected components (knots). A knot with a graver one inside is
put aside, so each is told once; of each knot the shortest cycle is shown that a bounded search finds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.transactions.graph import LATE, RT, RW, SO, WR, WW, Edges, knots, session_edges, tangled
from chaoskit.errors import CheckerError
from chaoskit.history.operations import Operations

__all__ = ["Cycle", "cycles"]

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
_KNOTS = 50  # knots of a kind in which a cycle is looked for, smallest first
_STARTS = 64  # edges of a knot from which it is looked for
_VISITS = 20_000  # transactions looked at from one edge, where it is not certain that there is a cycle through it
_DEPENDENCIES = (WW, WR)
_ALL = (WW, WR, RW)
_TIMED = (*_ALL, LATE)
_MISSED = (RW, LATE)
_ANY, _ONE, _APART = range(3)  # how often a path may go by RW: as it likes, once, never twice in a row


@dataclass(frozen=True, eq=False)
class Cycle:
    """One kind of cycle in a history.

    Attributes:
        kind: its name. edges: the shortest that was found, in order; the last one leads back to the first.
        count: knots (groups of transactions in which each comes before each other) that show it; for the variants of
            real time, transactions that come before one that was over when they began. accused: their positions.
    """

    kind: str
    edges: Edges
    count: int
    accused: Ints

    @property
    def long_fork(self) -> bool:
        """Whether two transactions saw two writes in opposite orders."""
        labels = self.edges.label.tolist()
        return labels in ([RW, WR, RW, WR], [WR, RW, WR, RW])


def cycles(operations: Operations, edges: Edges, committed: Mask) -> tuple[list[Cycle], Mask]:
    """All kinds of cycles, gravest first, and the mask of transactions that are on any, real time included.

    Args:
        edges: WW, WR, RW and LATE. committed: the transactions that happened.
    """
    mask, place = tangled(operations, edges)
    if not mask.any():
        return [], mask
    return _Search(operations, edges.within(mask), np.flatnonzero(mask & committed), place).all(), mask


class _Search:
    """Looks for cycles among the transactions that are on any. Nodes are numbered anew, from 0."""

    def __init__(self, operations: Operations, edges: Edges, members: Ints, place: Ints) -> None:
        self.members, self.place = members, place[members]
        self.invoked, self.completed = operations.invoked[members], operations.completed[members]
        number = np.zeros(len(operations), dtype=np.int64)
        number[members] = np.arange(len(members))
        edges = _once(edges.joined(session_edges(operations, members)))
        self.edges, self.label = edges, edges.label
        self.source, self.target = number[edges.source], number[edges.target]
        self.pointers = np.searchsorted(self.source, np.arange(len(members) + 1))
        self.grave = np.zeros(len(members), dtype=np.bool_)  # in a knot of a graver kind

    def all(self) -> list[Cycle]:
        """Every kind, gravest first."""
        found = self._knotted((WW,), WW) + self._knotted(_DEPENDENCIES, WR)
        found += self._apart() + self._knotted(_ALL, RW)
        for labels in ((WW,), _DEPENDENCIES, _ALL):
            found += self._knotted((*labels, SO), SO)
        return found + self._knotted(_TIMED, LATE) + self._real_time()

    def _knotted(self, labels: tuple[int, ...], through: int) -> list[Cycle]:
        """Cycles of edges with some labels. Each knot has an edge `through`, or a graver one is inside."""
        usable = np.isin(self.label, labels)
        part = knots(len(self.members), self.source[usable], self.target[usable], self.place)
        starts = np.flatnonzero(usable & (self.label == through) & (part[self.source] >= 0))
        starts = starts[part[self.source[starts]] == part[self.target[starts]]]
        rules = (_ONE, _APART, _ANY) if through in (SO, LATE) else (_ANY,)
        return self._shown(part, starts, labels, rules)

    def _apart(self) -> list[Cycle]:
        """Cycles with no two RW in a row: each transaction is two nodes, one entered by RW, which no RW leaves."""
        count = len(self.members)
        rw = self.label == RW
        usable = np.isin(self.label, _DEPENDENCIES)
        source, target = self.source[usable], self.target[usable]
        part = knots(
            2 * count,
            np.concatenate([source, source + count, self.source[rw]]),
            np.concatenate([target, target, self.target[rw] + count]),
            np.concatenate([self.place, self.place]),
        )
        starts = np.flatnonzero(rw & (part[self.source] >= 0))
        starts = starts[part[self.source[starts]] == part[self.target[starts] + count]]
        return self._shown(part, starts, _ALL, (_ONE, _APART))

    def _shown(self, part: Ints, starts: Ints, labels: tuple[int, ...], rules: tuple[int, ...]) -> list[Cycle]:
        """The shortest cycle of each kind among the knots, from edges that are inside them. Marks them as grave.

        `rules`: from strict to lenient; by the last of them a cycle is certain to be found.
        """
        count = len(self.members)
        inside = np.flatnonzero(part >= 0)
        graver = np.unique(part[inside[self.grave[inside % count]]])
        self.grave[inside % count] = True
        starts = starts[~np.isin(part[self.source[starts]], graver)]
        if not len(starts):
            return []
        number = part[self.source[starts]]
        size = np.bincount(part[inside])
        order = np.lexsort((number, size[number]))
        starts, number = starts[order], number[order]
        first = np.flatnonzero(np.append(True, number[1:] != number[:-1]))
        best: dict[str, tuple[list[int], int, list[int]]] = {}
        for at, end in list(zip(first, np.append(first[1:], len(starts)), strict=True))[:_KNOTS]:
            cycle = self._shortest(part, starts[at : min(end, at + _STARTS)].tolist(), labels, rules)
            kind = _kind(self.label[np.array(cycle)].tolist())
            shortest, seen, members = best.get(kind, (cycle, 0, []))
            members += (np.flatnonzero(part == number[at]) % count).tolist()
            best[kind] = (min(shortest, cycle, key=len), seen + 1, members)
        more = max(0, len(first) - _KNOTS)  # not looked into: counted with the first kind, which is as grave
        found = []
        for kind, (cycle, seen, members) in best.items():
            found.append(Cycle(kind, self.edges.where(np.array(cycle)), seen + more, self.members[np.unique(members)]))
            more = 0
        return found

    def _shortest(self, part: Ints, starts: list[int], labels: tuple[int, ...], rules: tuple[int, ...]) -> list[int]:
        """The shortest cycle from one of some edges, by the strictest rule by which there is one."""
        count = len(self.members)
        for rule in rules:
            cycle: list[int] = []
            for edge in starts:
                missed = count if self.label[edge] in _MISSED and rule != _ANY else 0
                path = self._path(
                    int(self.target[edge]) + missed,
                    labels,
                    rule,
                    goal=int(self.source[edge]),
                    part=part,
                    below=len(cycle) - 1 if cycle else None,
                    visits=None if rule == rules[-1] and not cycle else _VISITS,
                )
                cycle = cycle if path is None else [edge, *path]
            if cycle:
                return cycle
        raise CheckerError("a knot of transactions without a cycle: our bug, please report")

    def _path(
        self,
        begin: int,
        labels: tuple[int, ...],
        rule: int,
        *,
        goal: int = -1,
        over_before: int = -1,
        part: Ints | None = None,
        below: int | None = None,
        visits: int | None = None,
    ) -> list[int] | None:
        """The edges of a shortest path from a state: a node, or a node + count where no RW may follow.

        It leads to the node `goal`, or to the first transaction that completed before the rank `over_before`; stays in
        the knot of `part` that it begins in; has fewer than `below` edges; and looks at `visits` states.
        """
        count = len(self.members)
        knot = -1 if part is None else part[goal]
        came: dict[int, tuple[int, int]] = {begin: (-1, -1)}
        frontier, depth = [begin], 0
        while frontier and (below is None or depth < below - 1) and (visits is None or len(came) <= visits):
            following: list[int] = []
            depth += 1
            for state in frontier:
                node, full = state % count, state >= count
                span = slice(self.pointers[node], self.pointers[node + 1])
                steps = zip(self.target[span].tolist(), self.label[span].tolist(), strict=True)
                for edge, (target, label) in enumerate(steps, int(span.start)):
                    if label not in labels or (full and label in _MISSED):
                        continue
                    spent = rule != _ANY and (label in _MISSED or (rule == _ONE and full))
                    after = target + count if spent else target
                    if after in came:
                        continue
                    if part is not None and part[target] != knot and part[(target + count) % len(part)] != knot:
                        continue
                    came[after] = (state, edge)
                    # Where RW began the cycle, it must not end it, too, unless there is no such rule.
                    closed = target == goal and not (rule == _APART and begin >= count and label == RW)
                    if closed or self.completed[target] < over_before:
                        return _back(came, after)
                    following.append(after)
            frontier = following
        return None

    def _real_time(self) -> list[Cycle]:
        """Transactions that come before one that was over when they began: one edge of real time closes the cycle.

        One is always enough: of two, the earlier completion is before both invocations (an interval order).
        """
        found: list[Cycle] = []
        told = self.grave.copy()
        for labels, rule, earliest in self._earliest():
            accused = np.flatnonzero((earliest < self.invoked) & ~told)
            if len(accused):
                told[accused] = True
                found.append(self._over_before(accused, labels, rule))
        return found

    def _earliest(self) -> Iterator[tuple[tuple[int, ...], int, Ints]]:
        """The earliest completion of all that each transaction comes before, by paths of each kind, gravest first."""
        count = len(self.members)
        rw, dependency = np.isin(self.label, _MISSED), np.isin(self.label, _DEPENDENCIES)
        ww = self.label == WW
        source, target = self.source[dependency], self.target[dependency]
        yield (WW,), _ANY, _spread_back(self.completed, self.source[ww], self.target[ww])
        by_dependency = _spread_back(self.completed, source, target)
        yield _DEPENDENCIES, _ANY, by_dependency
        by_one = by_dependency.copy()
        np.minimum.at(by_one, self.source[rw], by_dependency[self.target[rw]])
        yield _TIMED, _ONE, _spread_back(by_one, source, target)
        sources = np.concatenate([source, source + count, self.source[rw]])
        targets = np.concatenate([target, target, self.target[rw] + count])
        twice = np.concatenate([self.completed, self.completed])
        yield _TIMED, _APART, _spread_back(twice, sources, targets)[:count]
        usable = rw | dependency
        yield _TIMED, _ANY, _spread_back(self.completed, self.source[usable], self.target[usable])

    def _over_before(self, accused: Ints, labels: tuple[int, ...], rule: int) -> Cycle:
        """The shortest cycle through one of some transactions that come before one which was over when they began."""
        cycle: list[int] = []
        for begin in accused[np.unique(np.linspace(0, len(accused) - 1, _STARTS).astype(np.int64))].tolist():
            path = self._path(
                begin,
                labels,
                rule,
                over_before=int(self.invoked[begin]),
                below=len(cycle) if cycle else None,
                visits=_VISITS if cycle else None,
            )
            cycle = cycle if path is None else path
        edges = self.edges.where(np.array(cycle))
        closing = Edges(edges.target[-1:], edges.source[:1], np.array([RT], dtype=np.uint8), np.array([-1]))
        return Cycle(_kind([*edges.label.tolist(), RT]), edges.joined(closing), len(accused), self.members[accused])


def _spread_back(value: Ints, source: Ints, target: Ints) -> Ints:
    """The least value of all that each node leads to, itself included."""
    least = value.copy()
    while True:
        better = least[target] < least[source]
        if not better.any():
            return least
        np.minimum.at(least, source[better], least[target[better]])


def _kind(labels: list[int]) -> str:
    """What a cycle of these labels is called."""
    missed = sum(label in _MISSED for label in labels)
    in_a_row = any(
        one in _MISSED and other in _MISSED for one, other in zip(labels, labels[1:] + labels[:1], strict=True)
    )
    if missed == 0:
        kind = "G1c" if WR in labels else "G0"
    elif missed == 1:
        kind = "G-single"
    else:
        kind = "G2-item" if in_a_row else "G-nonadjacent"
    return kind + ("-realtime" if RT in labels or LATE in labels else "-process" if SO in labels else "")


def _once(edges: Edges) -> Edges:
    """Without edges of one label between the same two, in order of their source."""
    order = np.lexsort((edges.write, edges.label, edges.target, edges.source))
    source, target, label = edges.source[order], edges.target[order], edges.label[order]
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (source[1:] != source[:-1]) | (target[1:] != target[:-1]) | (label[1:] != label[:-1])
    return edges.where(order[new])


def _back(came: dict[int, tuple[int, int]], state: int) -> list[int]:
    """The edges that led to a state."""
    edges: list[int] = []
    state, edge = came[state]
    while edge >= 0:
        edges.append(edge)
        state, edge = came[state]
    return edges[::-1]
