"""What passes between whom, as a square: a row per sender, a column per hearer. Pure.

Two nodes may be joined by several links, and each link carries both directions; what a sends to b passes over the links
a->b (up) and b->a (down). A plan, a report and a test print the same square.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from chaoskit.stack.effects import Passage
from chaoskit.stack.topology import CLIENT

__all__ = ["MARKS", "Square", "ends", "named_sides", "square"]

Cell = Literal["passes", "lost", "partly", ""]  # partly: over some of the links. "": no link joins them

MARKS: Mapping[Cell, str] = {"passes": "+", "lost": "x", "partly": "~", "": " "}


class Square(NamedTuple):
    """`cells[i][j]`: what becomes of that which `nodes[i]` sends to `nodes[j]`."""

    nodes: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]

    def cell(self, sender: str, hearer: str) -> Cell:
        """What becomes of that which one sends to the other."""
        return self.cells[self.nodes.index(sender)][self.nodes.index(hearer)]


def ends(link: str) -> tuple[str, str]:
    """Source and destination of a link, from its id."""
    source, _, rest = link.partition("->")
    return source, rest.rpartition(":")[0]


def square(matrix: Iterable[Passage]) -> Square:
    """The square of a matrix, nodes in the order in which it names them. Clients of which nothing is cut are left out:
    they stand beside a node, and it would be twice as large.
    """
    ways: dict[tuple[str, str], set[bool]] = {}
    names: dict[str, bool] = {}  # node -> whether something of it is cut
    for passage in matrix:
        source, destination = ends(passage.link)
        ways.setdefault((source, destination), set()).add(passage.up)
        ways.setdefault((destination, source), set()).add(passage.down)
        for name in (source, destination):
            names[name] = names.get(name, False) or not (passage.up and passage.down)
    nodes = tuple(name for name, cut in names.items() if cut or name.partition("@")[0] != CLIENT)

    def cell(sender: str, hearer: str) -> Cell:
        found = ways.get((sender, hearer))
        if found is None:
            return ""
        return "partly" if len(found) == 2 else "passes" if True in found else "lost"

    return Square(nodes, tuple(tuple(cell(a, b) for b in nodes) for a in nodes))


def named_sides(sides: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Sides other than single nodes, those with the same members under one name: "rest or majority"."""
    found: dict[tuple[str, ...], list[str]] = {}
    for side, members in sides.items():
        if not members or side != members[0]:
            found.setdefault(members, []).append(side)
    return {" or ".join(names): members for members, names in found.items()}
